/*
 * libIPSec_MB (Intel's multi-buffer cryptography, Debian's libipsec-mb-dev): packets are protected
 * by it (net/protection.h) and leaves hashed (base/sha256_many.h). Only where HAVE_IPSEC_MB says
 * that it is built in.
 *
 * A manager holds the functions for this processor and a queue of jobs. The functions may be called
 * from several threads at once; the jobs belong to one.
 */
#pragma once

#include <intel-ipsec-mb.h>
#include <stdbool.h>

/*
 * A manager for this processor, or NULL: it lacks one of `features` (IMB_FEATURE_…), the library's
 * own test fails, or memory is short. Free it with free_mb_mgr.
 */
IMB_MGR *lsp_ipsec_mb_new(uint64_t features);
