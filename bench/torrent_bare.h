/* Both ends of a transfer by libtorrent alone. Failures end the program with a word. */
#pragma once

#include "torrent/shim.h"

#include <stddef.h>

struct bench_end {
	const char *torrent; /* a path */
	const char *folder;  /* that holds, or gets, the torrent's own */
	const char *peer;    /* "address:port" of the seed, of who fetches; else NULL */
};

/* With the settings of a session of ours. A seed says that it is ready and is killed; who fetches
 * returns the nanoseconds that it took. */
unsigned long long bench_bare(
	const struct lsp_shim_setting *settings, size_t count, const struct bench_end *end);
/* Of a seed: tells who waits for it, and waits to be killed. */
void bench_seed(void);
