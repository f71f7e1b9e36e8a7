/* Names of entries, and what they become below the target. Pure. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/*
 * The path of an entry, cleaned: "./" and doubled and final slashes dropped, NFC. Bytes that are no
 * UTF-8 are taken as code page 437 (what old zip programs wrote). "" for the root itself.
 * -LSP_E_DENIED: leads up, to the root, has a control character or a name of more than 255 bytes;
 * -LSP_E_TOO_LARGE: more than `depth` names. The caller frees it.
 */
LSP_MUST_CHECK int lsp_extract_clean_name(
	const char *raw, uint32_t depth, char **ret_path, struct lsp_error *err);
