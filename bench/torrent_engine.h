/* The engine's half of bench-torrent. Failures end the program with a word. */
#pragma once

#include <stddef.h>

/* folder/from is seeded by one engine, folder/to filled by another. */
void bench_engine_transfer(const char *folder, const void *metainfo, size_t size);
/* Stores so many torrents, starts with them, and is idle so long; prints what it took. */
void bench_engine_idle(const char *folder, unsigned torrents, unsigned seconds);
