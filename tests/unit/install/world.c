#include "world.h"

#include "base/sha256.h"
#include "install/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

int world_begin(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	const char *folder = getenv("TMPDIR");
	snprintf(world->path, sizeof world->path, "%s/lanspread-install-XXXXXX",
		folder                          ? folder
		: access("/dev/shm", W_OK) == 0 ? "/dev/shm"
						: "/tmp");
	assert_non_null(mkdtemp(world->path));
	assert_int_equal(lsp_fs_open_dir(world->path, &world->root_fd, NULL), 0);
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, "game", NULL), 0);
	assert_int_equal(lsp_fs_open_dir_below(world->root_fd, "game", &world->game_fd, NULL), 0);
	*state = world;
	return 0;
}

int world_end(void **state)
{
	struct world *world = *state;
	close(world->game_fd);
	close(world->root_fd);
	char *slash = strrchr(world->path, '/');
	*slash = '\0';
	int parent;
	assert_int_equal(lsp_fs_open_dir(world->path, &parent, NULL), 0);
	assert_int_equal(lsp_fs_remove_tree_below(parent, slash + 1, NULL), 0);
	close(parent);
	free(world);
	return 0;
}

void put(int fd, const char *path, const char *text)
{
	char parent[512];
	snprintf(parent, sizeof parent, "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		assert_int_equal(lsp_fs_make_dirs_below(fd, parent, NULL), 0);
	}
	assert_int_equal(lsp_fs_write_file_below(fd, path, text, strlen(text), 0644, NULL), 0);
}

bool holds(int fd, const char *path, const char *text)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	if (lsp_fs_read_file_below(fd, path, 1 << 20, &content, NULL) < 0)
		return text == NULL;
	return text && strcmp((const char *)content.data, text) == 0;
}

void drop(int fd, const char *path)
{
	assert_int_equal(lsp_fs_remove_tree_below(fd, path, NULL), 0);
}

static int add_line(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct lsp_buffer *out = argument;
	if (entry->leaving || (strncmp(entry->path, ".lanspread", 10) == 0 &&
				      strcmp(entry->path, ".lanspread/installed") != 0))
		return 0;
	char text[PATH_MAX] = "";
	_cleanup_buffer_ struct lsp_buffer content = {0};
	struct lsp_hash hash = {{0}};
	if (S_ISREG(entry->st->st_mode)) {
		assert_int_equal(lsp_fs_read_file_below(
					 entry->dir_fd, entry->name, 64 << 20, &content, NULL),
			0);
		lsp_sha256(&hash, content.data, content.size);
	} else if (S_ISLNK(entry->st->st_mode)) {
		assert_int_equal(
			lsp_tree_read_link(entry->dir_fd, entry->name, text, sizeof text, NULL), 0);
	}
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&hash, hex);
	return lsp_buffer_printf(
		out, err, "%s %o %s %s\n", entry->path, entry->st->st_mode, text, hex);
}

void snapshot(int game_fd, struct lsp_buffer *out)
{
	lsp_buffer_reset(out);
	assert_int_equal(lsp_tree_walk(game_fd, ".", NULL, add_line, out, NULL), 0);
	assert_int_equal(lsp_buffer_append(out, "", 1, NULL), 0);
}

bool same_snapshot(int game_fd, const struct lsp_buffer *other)
{
	_cleanup_buffer_ struct lsp_buffer now = {0};
	snapshot(game_fd, &now);
	return strcmp((const char *)now.data, (const char *)other->data) == 0;
}

/* ---- Archives ---- */

static void write_item(struct archive *a, const struct item *item)
{
	struct archive_entry *entry = archive_entry_new();
	uint64_t size = item->zeros ? item->zeros : item->text ? strlen(item->text) : 0;
	archive_entry_set_pathname(entry, item->path);
	archive_entry_set_mtime(entry, 1600000000, 0);
	archive_entry_set_perm(entry, item->mode ? item->mode : 0644);
	archive_entry_set_filetype(entry, item->type                                ? item->type
					  : item->link                              ? AE_IFLNK
					  : item->text || item->zeros || item->hard ? AE_IFREG
										    : AE_IFDIR);
	if (item->link)
		archive_entry_set_symlink(entry, item->link);
	if (item->hard)
		archive_entry_set_hardlink(entry, item->hard);
	if (item->attribute)
		archive_entry_xattr_add_entry(entry, item->attribute, "x", 1);
	archive_entry_set_size(entry, (int64_t)size);
	assert_true(archive_write_header(a, entry) >= ARCHIVE_WARN);
	static const char zeros[65536];
	if (!item->zeros && size)
		assert_int_equal(archive_write_data(a, item->text, size), size);
	for (uint64_t done = 0; item->zeros && done < size;) {
		size_t run = (size_t)LSP_MIN(size - done, (uint64_t)sizeof zeros);
		assert_int_equal(archive_write_data(a, zeros, run), run);
		done += run;
	}
	archive_entry_free(entry);
}

void write_archive(int dir_fd, const char *name, int format, int filter, const char *options,
	const char *passphrase, const struct item *items, size_t count)
{
	_cleanup_close_ int fd = -1;
	assert_int_equal(
		lsp_fs_open_below(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0644, &fd, NULL), 0);
	struct archive *a = archive_write_new();
	assert_int_equal(archive_write_set_format(a, format), ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
	if (options)
		assert_int_equal(archive_write_set_options(a, options), ARCHIVE_OK);
	if (passphrase)
		assert_int_equal(archive_write_set_passphrase(a, passphrase), ARCHIVE_OK);
	assert_int_equal(archive_write_open_fd(a, fd), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++)
		write_item(a, &items[i]);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

/*
 * RAR 5 as its author describes it (technote.txt of the RAR program): blocks of CRC-32, length,
 * type and flags, numbers in seven-bit groups, lowest first.
 */
uint32_t crc32_of(const uint8_t *data, size_t size)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

static void add_number(struct lsp_buffer *out, uint64_t value)
{
	do {
		uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		assert_int_equal(lsp_buffer_append(out, &byte, 1, NULL), 0);
		value >>= 7;
	} while (value);
}

static void add_u32(struct lsp_buffer *out, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};
	assert_int_equal(lsp_buffer_append(out, bytes, 4, NULL), 0);
}

static void add_block(struct lsp_buffer *out, const struct lsp_buffer *body)
{
	_cleanup_buffer_ struct lsp_buffer block = {0};
	add_number(&block, body->size);
	assert_int_equal(lsp_buffer_append(&block, body->data, body->size, NULL), 0);
	add_u32(out, crc32_of(block.data, block.size));
	assert_int_equal(lsp_buffer_append(out, block.data, block.size, NULL), 0);
}

static void add_rar5_file(struct lsp_buffer *out, unsigned dictionary, const struct item *item)
{
	_cleanup_buffer_ struct lsp_buffer body = {0};
	size_t size = strlen(item->text);
	add_number(&body, 2); /* a file */
	add_number(&body, 2); /* data follow */
	add_number(&body, size);
	add_number(&body, 4);    /* there is a CRC */
	add_number(&body, size); /* unpacked */
	add_number(&body, 0100000 | (item->mode ? item->mode : 0644));
	add_u32(&body, crc32_of((const uint8_t *)item->text, size));
	add_number(&body, (uint64_t)dictionary << 10); /* method 0: stored */
	add_number(&body, 1);                          /* made on Unix */
	add_number(&body, strlen(item->path));
	assert_int_equal(lsp_buffer_append(&body, item->path, strlen(item->path), NULL), 0);
	add_block(out, &body);
	assert_int_equal(lsp_buffer_append(out, item->text, size, NULL), 0);
}

void write_rar5(int dir_fd, const char *name, unsigned dictionary, const struct item *items,
	size_t count, bool more)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	_cleanup_buffer_ struct lsp_buffer head = {0};
	_cleanup_buffer_ struct lsp_buffer tail = {0};
	assert_int_equal(lsp_buffer_append(&out, "Rar!\x1a\x07\x01\x00", 8, NULL), 0);
	add_number(&head, 1);
	add_number(&head, 0);
	add_number(&head, 0);
	add_block(&out, &head);
	for (size_t i = 0; i < count; i++)
		add_rar5_file(&out, dictionary, &items[i]);
	add_number(&tail, 5);
	add_number(&tail, 0);
	add_number(&tail, more);
	add_block(&out, &tail);
	assert_int_equal(lsp_fs_write_file_below(dir_fd, name, out.data, out.size, 0644, NULL), 0);
}
