/*
 * Which chunks of a download are verified, on disk, in two files beside the stage.
 *
 * `chunks` is written in place, without fsync, as chunks are verified: a write(2) survives SIGKILL.
 * It names the boot of the kernel that it was written under: after a power cut its bits say only
 * what is worth checking. Each byte of bits is followed by its complement, so that a damaged byte,
 * or a block of zeros, is seen.
 *
 * `chunks.synced` is replaced as a whole, after the data that it speaks of was fsynced: it is
 * believed whatever happened since.
 *
 * Functions block on the disk. lsp_stage_map_write may be called from several threads at once, for
 * different bytes.
 */
#pragma once

#include "base/bitmap.h"
#include "base/error.h"
#include "base/sha256.h"

#include <stdint.h>

#define LSP_STAGE_MAP "chunks"
#define LSP_STAGE_MAP_SYNCED "chunks.synced"
#define LSP_BOOT_ID_SIZE 36

/* "" where the system does not tell: then no boot is like another. */
void lsp_boot_id_read(char ret_boot[LSP_BOOT_ID_SIZE + 1]);

/*
 * Both maps (initialised, all zero, one bit a chunk) are filled: `done` with what is believed,
 * `doubtful` with what must be hashed first. Neither file there: both stay empty. A file that is
 * damaged or of another content makes all that is not believed doubtful.
 */
LSP_MUST_CHECK int lsp_stage_map_load(int stage_fd, const struct lsp_hash *content,
	const char *boot, struct lsp_bitmap *done, struct lsp_bitmap *doubtful,
	struct lsp_error *err);

/* A new `chunks`, atomically; *ret_fd is open for lsp_stage_map_write. */
LSP_MUST_CHECK int lsp_stage_map_create(int stage_fd, const struct lsp_hash *content,
	const char *boot, const struct lsp_bitmap *done, int *ret_fd, struct lsp_error *err);

/* Byte `index` of the bits. */
LSP_MUST_CHECK int lsp_stage_map_write(
	int map_fd, size_t index, uint8_t byte, struct lsp_error *err);

/* A new `chunks.synced`, atomically. */
LSP_MUST_CHECK int lsp_stage_map_write_synced(int stage_fd, const struct lsp_hash *content,
	const struct lsp_bitmap *done, struct lsp_error *err);
