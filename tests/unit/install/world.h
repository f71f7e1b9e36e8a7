/* What the tests of install/ share: a folder of their own, files in it, snapshots, archives. */
#pragma once

#include "base/buffer.h"
#include "base/fs.h"
#include "install/install.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

/* A fresh folder below $TMPDIR, else in memory (thousands of fsyncs cost minutes on a disk);
 * removed by world_end. The game's folder is its "game". */
struct world {
	char path[256];
	int root_fd;
	int game_fd;
};

int world_begin(void **state);
int world_end(void **state);

void put(int fd, const char *path, const char *text);
/* text NULL: is it absent? */
bool holds(int fd, const char *path, const char *text);
void drop(int fd, const char *path);
/* The lines "path kind mode content-hash" of what is visible, and of the record. */
void snapshot(int game_fd, struct lsp_buffer *out);
bool same_snapshot(int game_fd, const struct lsp_buffer *other);

/* ---- Archives ---- */

struct item {
	const char *path;
	const char *text;      /* a file; NULL: a folder */
	const char *link;      /* a symlink's text */
	const char *hard;      /* a hard link's target */
	unsigned mode;         /* 0: 0644 */
	unsigned type;         /* AE_IF…, 0: what the above says */
	uint64_t zeros;        /* this many zeros in place of text */
	const char *attribute; /* an extended one, with the value "x" */
};

/* format: ARCHIVE_FORMAT_…, filter: ARCHIVE_FILTER_…. options as of archive_write_set_options. */
void write_archive(int dir_fd, const char *name, int format, int filter, const char *options,
	const char *passphrase, const struct item *items, size_t count);

uint32_t crc32_of(const uint8_t *data, size_t size);

/* RAR 5, stored. dictionary: 0 is 128 KiB, each more doubles. more: its end says that another
 * volume follows. */
void write_rar5(int dir_fd, const char *name, unsigned dictionary, const struct item *items,
	size_t count, bool more);
