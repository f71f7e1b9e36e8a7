/*
 * Both files begin with a header of 128 bytes: "lanspread chunks 1\n" ("lanspread synced 1\n"), the
 * content id at 32, the number of chunks in 8 decimal digits at 64, the boot id at 72. Then
 * `chunks` has pairs of a byte and its complement; `chunks.synced` has the bytes and the SHA-256 of
 * everything before it.
 */
#include "content/stage_map.h"

#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define HEADER_SIZE 128
#define FILE_MAX ((size_t)4 << 20)

static const char live_magic[] = "lanspread chunks 1\n";
static const char synced_magic[] = "lanspread synced 1\n";

void lsp_boot_id_read(char ret_boot[LSP_BOOT_ID_SIZE + 1])
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	ret_boot[0] = '\0';
	if (lsp_fs_read_file("/proc/sys/kernel/random/boot_id", 256, &text, NULL) < 0 ||
		text.size < LSP_BOOT_ID_SIZE)
		return;
	memcpy(ret_boot, text.data, LSP_BOOT_ID_SIZE);
	ret_boot[LSP_BOOT_ID_SIZE] = '\0';
}

static void make_header(uint8_t header[HEADER_SIZE], const char *magic,
	const struct lsp_hash *content, size_t chunks, const char *boot)
{
	char count[16];
	memset(header, 0, HEADER_SIZE);
	memcpy(header, magic, sizeof live_magic - 1);
	memcpy(header + 32, content->bytes, LSP_SHA256_SIZE);
	snprintf(count, sizeof count, "%08zu", chunks % 100000000);
	memcpy(header + 64, count, 8);
	memcpy(header + 72, boot, strlen(boot));
}

/* 1: read; 0: not there; a damaged or foreign one reads as empty. */
static int read_map(int stage_fd, const char *name, const uint8_t header[HEADER_SIZE],
	size_t compare, size_t size, struct lsp_buffer *ret_file, struct lsp_error *err)
{
	int r = lsp_fs_read_file_below(stage_fd, name, FILE_MAX, ret_file, err);
	if (r == -LSP_E_NOT_FOUND)
		return 0;
	if (r < 0 && r != -LSP_E_TOO_LARGE && r != -LSP_E_DENIED)
		return r;
	if (r < 0 || ret_file->size != size || memcmp(ret_file->data, header, compare) != 0)
		lsp_buffer_reset(ret_file);
	return 1;
}

/* The bits of `chunks`, if no pair is broken. */
static bool take_pairs(const uint8_t *pairs, struct lsp_bitmap *map)
{
	size_t size = lsp_bitmap_bytes(map);
	_cleanup_free_ uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return false;
	for (size_t i = 0; i < size; i++) {
		if ((pairs[2 * i] ^ pairs[2 * i + 1]) != 0xff)
			return false;
		bytes[i] = pairs[2 * i];
	}
	return lsp_bitmap_load(map, bytes, size, NULL) == 0;
}

static bool take_synced(const struct lsp_buffer *file, struct lsp_bitmap *map)
{
	struct lsp_hash hash;
	size_t hashed = file->size - LSP_SHA256_SIZE;
	lsp_sha256(&hash, file->data, hashed);
	return memcmp(hash.bytes, file->data + hashed, LSP_SHA256_SIZE) == 0 &&
	       lsp_bitmap_load(map, file->data + HEADER_SIZE, lsp_bitmap_bytes(map), NULL) == 0;
}

/* Doubt what is claimed and not believed. */
static void subtract(struct lsp_bitmap *doubtful, const struct lsp_bitmap *done)
{
	for (size_t i = lsp_bitmap_next_set(done, 0); i < done->bits;
		i = lsp_bitmap_next_set(done, i + 1))
		lsp_bitmap_clear(doubtful, i);
}

static void add(struct lsp_bitmap *done, const struct lsp_bitmap *more)
{
	for (size_t i = lsp_bitmap_next_set(more, 0); i < more->bits;
		i = lsp_bitmap_next_set(more, i + 1))
		lsp_bitmap_set(done, i);
}

int lsp_stage_map_load(int stage_fd, const struct lsp_hash *content, const char *boot,
	struct lsp_bitmap *done, struct lsp_bitmap *doubtful, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer live = {0}, synced = {0};
	_cleanup_bitmap_ struct lsp_bitmap claimed = {0};
	uint8_t header[HEADER_SIZE];
	size_t size = lsp_bitmap_bytes(done);
	make_header(header, synced_magic, content, done->bits, "");
	int has_synced = read_map(stage_fd, LSP_STAGE_MAP_SYNCED, header, HEADER_SIZE,
		HEADER_SIZE + size + LSP_SHA256_SIZE, &synced, err);
	if (has_synced < 0)
		return has_synced;
	make_header(header, live_magic, content, done->bits, boot);
	int has_live =
		read_map(stage_fd, LSP_STAGE_MAP, header, 72, HEADER_SIZE + 2 * size, &live, err);
	int r = has_live < 0 ? has_live : lsp_bitmap_init(&claimed, done->bits, err);
	if (r < 0)
		return r;
	bool synced_good = has_synced && synced.size && take_synced(&synced, done);
	bool live_good = has_live && live.size && take_pairs(live.data + HEADER_SIZE, &claimed);
	bool same_boot = live_good && *boot && memcmp(live.data, header, HEADER_SIZE) == 0;
	if (same_boot)
		add(done, &claimed);
	else if (live_good)
		add(doubtful, &claimed);
	bool damaged = (has_live && !live_good) || (has_synced && !synced_good && !same_boot) ||
		       (has_synced && !has_live);
	if (damaged)
		lsp_bitmap_fill(doubtful);
	subtract(doubtful, done);
	return 0;
}

int lsp_stage_map_create(int stage_fd, const struct lsp_hash *content, const char *boot,
	const struct lsp_bitmap *done, int *ret_fd, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer file = {0};
	uint8_t header[HEADER_SIZE];
	make_header(header, live_magic, content, done->bits, boot);
	int r = lsp_buffer_append(&file, header, sizeof header, err);
	for (size_t i = 0; r == 0 && i < lsp_bitmap_bytes(done); i++) {
		uint8_t pair[2] = {done->bytes[i], (uint8_t)~done->bytes[i]};
		r = lsp_buffer_append(&file, pair, sizeof pair, err);
	}
	if (r == 0)
		r = lsp_fs_write_file_below(
			stage_fd, LSP_STAGE_MAP, file.data, file.size, 0644, err);
	return r < 0 ? r : lsp_fs_open_below(stage_fd, LSP_STAGE_MAP, O_RDWR, 0, ret_fd, err);
}

int lsp_stage_map_write(int map_fd, size_t index, uint8_t byte, struct lsp_error *err)
{
	uint8_t pair[2] = {byte, (uint8_t)~byte};
	return lsp_fs_write_at(
		map_fd, pair, sizeof pair, HEADER_SIZE + 2 * index, LSP_STAGE_MAP, err);
}

int lsp_stage_map_write_synced(int stage_fd, const struct lsp_hash *content,
	const struct lsp_bitmap *done, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer file = {0};
	uint8_t header[HEADER_SIZE];
	struct lsp_hash hash;
	make_header(header, synced_magic, content, done->bits, "");
	int r = lsp_buffer_append(&file, header, sizeof header, err);
	if (r == 0)
		r = lsp_buffer_append(&file, done->bytes, lsp_bitmap_bytes(done), err);
	if (r < 0)
		return r;
	lsp_sha256(&hash, file.data, file.size);
	r = lsp_buffer_append(&file, hash.bytes, LSP_SHA256_SIZE, err);
	return r < 0 ? r
		     : lsp_fs_write_file_below(
			       stage_fd, LSP_STAGE_MAP_SYNCED, file.data, file.size, 0644, err);
}
