#include "install/pack.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "install/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define DOMAIN "install"
#define BLOCK 512
#define RUN ((size_t)1 << 20)
#define FIXED_TIME 315532800u /* 1980-01-01 */
#define USTAR_SIZE_MAX UINT64_C(077777777777)

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
	char prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

struct pack {
	int to_fd;
	uint64_t at;
	struct lsp_cancel *token;
	lsp_pack_step step;
	void *argument;
	char *run;
};

static int put(struct pack *pack, const void *data, size_t size, struct lsp_error *err)
{
	int r = lsp_fs_write_at(pack->to_fd, data, size, pack->at, "the archive", err);
	pack->at += r == 0 ? size : 0;
	return r;
}

static int put_padding(struct pack *pack, struct lsp_error *err)
{
	static const char zeros[BLOCK];
	size_t rest = (size_t)(pack->at % BLOCK);
	return rest ? put(pack, zeros, BLOCK - rest, err) : 0;
}

/* Fields of the right length without a NUL are what the format wants. */
static void fill(char *field, size_t size, const char *text)
{
	memcpy(field, text, LSP_MIN(size, strlen(text)));
}

static int put_header(struct pack *pack, const char *name, char type, mode_t mode, uint64_t size,
	const char *link, struct lsp_error *err)
{
	struct header header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
	char size_text[16];
	fill(header.name, sizeof header.name, name);
	fill(header.link, sizeof header.link, link);
	snprintf(header.mode, sizeof header.mode, "%07o", (unsigned)mode);
	snprintf(header.uid, sizeof header.uid, "%07o", 0);
	snprintf(header.gid, sizeof header.gid, "%07o", 0);
	snprintf(header.mtime, sizeof header.mtime, "%011o", FIXED_TIME);
	snprintf(size_text, sizeof size_text, "%011" PRIo64, LSP_MIN(size, USTAR_SIZE_MAX));
	memcpy(header.size, size_text, sizeof header.size);
	memset(header.checksum, ' ', sizeof header.checksum);
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof header; i++)
		sum += ((const unsigned char *)&header)[i];
	snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
	return put(pack, &header, sizeof header, err);
}

/* "<length> <key>=<value>\n", where the length counts its own digits. */
static int add_record(
	struct lsp_buffer *out, const char *key, const char *value, struct lsp_error *err)
{
	size_t rest = strlen(key) + strlen(value) + 3, length = rest + 1;
	for (int again = 0; again < 2; again++) {
		char digits[24];
		length = rest + (size_t)snprintf(digits, sizeof digits, "%zu", length);
	}
	return lsp_buffer_printf(out, err, "%zu %s=%s\n", length, key, value);
}

static int put_records(
	struct pack *pack, const char *path, uint64_t size, const char *link, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer records = {0};
	char size_text[24];
	snprintf(size_text, sizeof size_text, "%" PRIu64, size);
	int r = strlen(path) > 100 ? add_record(&records, "path", path, err) : 0;
	if (r == 0 && strlen(link) > 100)
		r = add_record(&records, "linkpath", link, err);
	if (r == 0 && size > USTAR_SIZE_MAX)
		r = add_record(&records, "size", size_text, err);
	if (r < 0 || records.size == 0)
		return r;
	r = put_header(pack, "pax", 'x', 0644, records.size, "", err);
	if (r == 0)
		r = put(pack, records.data, records.size, err);
	return r < 0 ? r : put_padding(pack, err);
}

static int put_entry(struct pack *pack, const char *path, char type, mode_t mode, uint64_t size,
	const char *link, struct lsp_error *err)
{
	int r = put_records(pack, path, size, link, err);
	return r < 0 ? r : put_header(pack, path, type, mode, size, link, err);
}

static int pack_file(struct pack *pack, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	uint64_t size = (uint64_t)entry->st->st_size;
	int r = lsp_fs_open_below(entry->dir_fd, entry->name, O_RDONLY, 0, &fd, err);
	if (r == 0)
		r = put_entry(pack, entry->path, '0', entry->st->st_mode & 0111 ? 0755 : 0644, size,
			"", err);
	for (uint64_t at = 0; r == 0 && at < size;) {
		size_t want = (size_t)LSP_MIN(size - at, (uint64_t)RUN), got = 0;
		r = lsp_cancel_check(pack->token, err);
		if (r == 0)
			r = lsp_fs_read_at(fd, pack->run, want, at, &got, err);
		if (r == 0 && got < want)
			r = lsp_error_set(err, DOMAIN, LSP_E_BUSY,
				"\"%s\" became shorter while it was packed", entry->path);
		if (r == 0)
			r = put(pack, pack->run, got, err);
		if (r == 0 && pack->step)
			r = pack->step(pack->argument, got, err);
		at += got;
	}
	return r < 0 ? r : put_padding(pack, err);
}

static int pack_link(struct pack *pack, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	char text[PATH_MAX];
	int r = lsp_tree_read_link(entry->dir_fd, entry->name, text, sizeof text, err);
	if (r == 0 && !lsp_tree_link_stays_inside(entry->path, text))
		r = lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"the link \"%.150s\" leads out of the folder, to \"%.150s\": remove it "
			"first",
			entry->path, text);
	return r < 0 ? r : put_entry(pack, entry->path, '2', 0777, 0, text, err);
}

static int pack_visit(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct pack *pack = argument;
	mode_t mode = entry->st->st_mode;
	if (entry->leaving || strcmp(entry->path, "version.ini") == 0)
		return 0;
	if (S_ISREG(mode))
		return pack_file(pack, entry, err);
	if (S_ISLNK(mode))
		return pack_link(pack, entry, err);
	if (!S_ISDIR(mode))
		return lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"\"%s\" is neither a file nor a folder", entry->path);
	_cleanup_buffer_ struct lsp_buffer path = {0};
	int r = lsp_buffer_printf(&path, err, "%s/", entry->path);
	return r < 0 ? r : put_entry(pack, (char *)path.data, '5', 0755, 0, "", err);
}

int lsp_pack_folder(int folder_fd, int to_fd, struct lsp_cancel *token, lsp_pack_step step,
	void *argument, uint64_t *ret_size, struct lsp_error *err)
{
	static const char end[2 * BLOCK];
	_cleanup_free_ char *run = malloc(RUN);
	struct pack pack = {to_fd, 0, token, step, argument, run};
	if (!run)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_tree_walk(folder_fd, ".", token, pack_visit, &pack, err);
	if (r == 0)
		r = put(&pack, end, sizeof end, err);
	if (r == 0)
		*ret_size = pack.at;
	return r;
}
