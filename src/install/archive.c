#include "install/archive.h"

#include "base/fs.h"
#include "base/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define DOMAIN "install"

const struct lsp_unpack_limits lsp_unpack_limits_default = {
	.bytes = UINT64_C(16) << 40,
	.ratio = 1000,
	.ratio_free = UINT64_C(1) << 30,
	.entries = 1000000,
	.depth = 64,
	.memory = UINT64_C(4) << 30,
	.stall = 60 * LSP_SECOND,
};

/* ---- What the first bytes say ---- */

struct signature {
	enum lsp_archive_format format;
	unsigned offset, size;
	const char *bytes;
};

static const struct signature signatures[] = {
	{LSP_ARCHIVE_RAR5, 0, 8, "Rar!\x1a\x07\x01\x00"},
	{LSP_ARCHIVE_RAR4, 0, 7, "Rar!\x1a\x07\x00"},
	{LSP_ARCHIVE_ZIP, 0, 4, "PK\x03\x04"},
	{LSP_ARCHIVE_ZIP, 0, 4, "PK\x05\x06"}, /* an empty one */
	{LSP_ARCHIVE_ZIP, 0, 4, "PK\x07\x08"}, /* the first of a split one */
	{LSP_ARCHIVE_7Z, 0, 6, "7z\xbc\xaf\x27\x1c"},
	{LSP_ARCHIVE_COMPRESSED, 0, 3, "\x1f\x8b\x08"},
	{LSP_ARCHIVE_COMPRESSED, 0, 3, "BZh"},
	{LSP_ARCHIVE_COMPRESSED, 0, 6,
		"\xfd"
		"7zXZ\x00"},
	{LSP_ARCHIVE_COMPRESSED, 0, 4, "\x28\xb5\x2f\xfd"},
	{LSP_ARCHIVE_COMPRESSED, 0, 4, "\x04\x22\x4d\x18"},
	{LSP_ARCHIVE_TAR, 257, 5, "ustar"},
};

enum lsp_archive_format lsp_archive_sniff(int fd)
{
	char head[512];
	size_t got;
	if (lsp_fs_read_at(fd, head, sizeof head, 0, &got, NULL) < 0)
		return LSP_ARCHIVE_NONE;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(signatures); i++) {
		const struct signature *s = &signatures[i];
		if (s->offset + s->size <= got && memcmp(head + s->offset, s->bytes, s->size) == 0)
			return s->format;
	}
	return LSP_ARCHIVE_NONE;
}

const char *lsp_archive_format_name(enum lsp_archive_format format)
{
	static const char *const names[] = {
		"no archive", "RAR 4", "RAR 5", "zip", "7z", "tar", "compressed tar"};
	return names[format];
}

/* ---- Names of volumes ---- */

/*
 * A name as a volume of a set: the set's key is what all its volumes share, `index` orders them and
 * `first` is the lowest that a whole set has. A single archive is a set of its own name, index 0.
 */
struct volume {
	size_t key_size; /* the first bytes of the name are the key */
	char style;      /* 'p' x.part1.rar, 'r' x.rar x.r00, 'n' x.7z.001, 'z' x.z01 x.zip, 's' */
	uint32_t index;
};

static bool digits(const char *text, size_t size, uint32_t *ret_value)
{
	uint32_t value = 0;
	if (size == 0 || size > 6)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	*ret_value = value;
	return true;
}

static bool is_rar_extension(const char *extension)
{
	return strcasecmp(extension, "rar") == 0 || strcasecmp(extension, "eti") == 0;
}

static struct volume parse_volume(const char *name)
{
	size_t length = strlen(name);
	struct volume single = {length, 's', 0};
	const char *dot = strrchr(name, '.');
	if (!dot || dot == name)
		return single;
	size_t stem = (size_t)(dot - name), extension = length - stem - 1;
	uint32_t index;
	if (is_rar_extension(dot + 1)) {
		size_t part = stem;
		while (part && isdigit((unsigned char)name[part - 1]))
			part--;
		if (part > 5 && strncasecmp(name + part - 5, ".part", 5) == 0 &&
			digits(name + part, stem - part, &index))
			return (struct volume){part, 'p', index};
		return (struct volume){stem, 'r', 0};
	}
	char letter = (char)tolower((unsigned char)dot[1]);
	if (extension == 3 && (letter == 'r' || letter == 'z') && digits(dot + 2, 2, &index))
		return (struct volume){stem, letter, letter == 'r' ? index + 1 : index};
	if (strcasecmp(dot + 1, "zip") == 0)
		return (struct volume){stem, 'z', UINT32_MAX};
	if (extension == 3 && digits(dot + 1, 3, &index) && index > 0)
		return (struct volume){stem, 'n', index};
	return single;
}

/* The name that volume `index` of the set of `name` would have. */
static char *volume_name(const char *name, const struct volume *volume, uint32_t index)
{
	const char *dot = strrchr(name, '.');
	int key = (int)volume->key_size;
	switch (volume->style) {
	case 'p': {
		int width = (int)((size_t)(dot - name) - volume->key_size);
		return lsp_text_format("%.*s%0*u%s", key, name, width, index, dot);
	}
	case 'r':
		return index == 0 ? lsp_text_format("%.*s.rar", key, name)
				  : lsp_text_format("%.*s.r%02u", key, name, index - 1);
	case 'z':
		return index == UINT32_MAX ? lsp_text_format("%.*s.zip", key, name)
					   : lsp_text_format("%.*s.z%02u", key, name, index);
	default:
		return lsp_text_format("%.*s.%03u", key, name, index);
	}
}

/* ---- Putting sets together ---- */

struct candidate {
	const struct lsp_install_source_file *file;
	struct volume volume;
	enum lsp_archive_format format;
};

static int compare_candidates(const void *a_pointer, const void *b_pointer)
{
	const struct candidate *a = a_pointer, *b = b_pointer;
	size_t size = LSP_MIN(a->volume.key_size, b->volume.key_size);
	int by_key = memcmp(a->file->path, b->file->path, size);
	if (by_key == 0 && a->volume.key_size != b->volume.key_size)
		by_key = a->volume.key_size < b->volume.key_size ? -1 : 1;
	if (by_key == 0 && a->volume.style != b->volume.style)
		by_key = a->volume.style < b->volume.style ? -1 : 1;
	if (by_key == 0 && a->volume.index != b->volume.index)
		by_key = a->volume.index < b->volume.index ? -1 : 1;
	return by_key ? by_key : strcmp(a->file->path, b->file->path);
}

static bool same_set(const struct candidate *a, const struct candidate *b)
{
	return a->volume.style != 's' && a->volume.style == b->volume.style &&
	       a->volume.key_size == b->volume.key_size && a->volume.index != b->volume.index &&
	       memcmp(a->file->path, b->file->path, a->volume.key_size) == 0;
}

static int missing_volume(const struct candidate *at, uint32_t index, struct lsp_error *err)
{
	_cleanup_free_ char *name = volume_name(at->file->path, &at->volume, index);
	if (!name)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
		"\"%s\" is a part of an archive whose part \"%s\" is missing", at->file->path,
		name);
}

/* candidates[0 … count) are one set in order; are they all there, as far as names tell? */
static int check_gaps(const struct candidate *set, size_t count, struct lsp_error *err)
{
	char style = set->volume.style;
	if (style == 's')
		return 0;
	uint32_t expected = style == 'r' ? 0 : 1;
	if (style == 'z' && count == 1 && set->volume.index == UINT32_MAX)
		return 0; /* just a zip */
	for (size_t i = 0; i < count; i++, expected++) {
		bool last_zip = style == 'z' && i + 1 == count;
		if (last_zip)
			expected = UINT32_MAX;
		if (set[i].volume.index != expected)
			return missing_volume(&set[i], expected, err);
	}
	return 0;
}

static int add_set(struct lsp_archives *archives, const struct candidate *set, size_t count,
	struct lsp_error *err)
{
	int r = check_gaps(set, count, err);
	if (r < 0)
		return r;
	struct lsp_archive *list = reallocarray(archives->list, archives->count + 1, sizeof *list);
	if (!list)
		return lsp_error_no_memory(err, DOMAIN);
	archives->list = list;
	struct lsp_archive archive = {
		.format = set->format, .split_zip = count > 1 && set->volume.style == 'z'};
	archive.volumes = calloc(count, sizeof *archive.volumes);
	if (!archive.volumes)
		return lsp_error_no_memory(err, DOMAIN);
	for (size_t i = 0; i < count; i++) {
		archive.volumes[archive.count++] = set[i].file;
		archive.size += set[i].file->size;
	}
	archives->size += archive.size;
	list[archives->count++] = archive;
	return 0;
}

void lsp_archives_done(struct lsp_archives *archives)
{
	for (size_t i = 0; i < archives->count; i++)
		free(archives->list[i].volumes);
	free(archives->list);
	*archives = (struct lsp_archives){0};
}

static int build(struct candidate *candidates, size_t count, struct lsp_archives *ret_archives,
	struct lsp_error *err)
{
	_cleanup_archives_ struct lsp_archives archives = {0};
	qsort(candidates, count, sizeof *candidates, compare_candidates);
	for (size_t i = 0; i < count;) {
		size_t end = i + 1;
		while (end < count && same_set(&candidates[end - 1], &candidates[end]))
			end++;
		int r = add_set(&archives, candidates + i, end - i, err);
		if (r < 0)
			return r;
		i = end;
	}
	*ret_archives = archives;
	archives = (struct lsp_archives){0};
	return 0;
}

/* ---- Which files ---- */

static bool has_extension(const char *path, const char *const *list)
{
	for (; *list; list++) {
		size_t length = strlen(path), tail = strlen(*list);
		if (length > tail && strcasecmp(path + length - tail, *list) == 0)
			return true;
	}
	return false;
}

static bool archive_by_name(const char *path)
{
	static const char *const list[] = {".eti", ".rar", ".zip", ".7z", ".tar", ".tar.gz", ".tgz",
		".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4", NULL};
	struct volume volume = parse_volume(path);
	return has_extension(path, list) || volume.style != 's';
}

static bool is_companion(const char *path)
{
	static const char *const list[] = {"version.ini", ".txt", ".nfo", ".md", ".diz", ".sfv",
		".md5", ".jpg", ".jpeg", ".png", ".webp", ".gif", ".ico", ".url", ".pdf",
		"start.sh", NULL};
	return has_extension(path, list) || strcasecmp(path, "version.ini") == 0 ||
	       strcasecmp(path, "start.sh") == 0 || strcasecmp(path, "readme") == 0;
}

static enum lsp_archive_format sniff_file(
	const struct lsp_install_source *source, const struct lsp_install_source_file *file)
{
	_cleanup_close_ int fd = -1;
	if (lsp_fs_open_below(source->game_fd, file->where, O_RDONLY, 0, &fd, NULL) < 0)
		return LSP_ARCHIVE_NONE;
	return lsp_archive_sniff(fd);
}

static const char *const eti[] = {".eti", NULL};

/*
 * Volumes behind the first of a numbered set have no signature of their own; the first one's is
 * what counts (add_set), and extensions vouch for the others.
 */
static bool is_later_volume(const struct volume *volume)
{
	return (volume->style == 'n' && volume->index > 1) ||
	       (volume->style == 'z' && volume->index > 1);
}

static int take(const struct lsp_install_source *source, const struct lsp_install_source_file *file,
	bool eti_game, struct candidate *candidate, bool *ret_plain, struct lsp_error *err)
{
	const char *path = file->path;
	candidate->file = NULL;
	bool has_folder = strchr(path, '/') != NULL;
	struct volume volume = parse_volume(path);
	bool wanted = eti_game ? !has_folder && (has_extension(path, eti) || volume.style == 'r')
			       : !has_folder && archive_by_name(path);
	if (!wanted) {
		*ret_plain = !eti_game && (has_folder || !is_companion(path));
		return 0;
	}
	enum lsp_archive_format format = sniff_file(source, file);
	if (format == LSP_ARCHIVE_NONE && !is_later_volume(&volume)) {
		if (eti_game)
			return lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL,
				"\"%s\" is no archive that is known (RAR, zip, 7z, tar)", path);
		*ret_plain = true;
		return 0;
	}
	*candidate = (struct candidate){file, volume, format};
	return 0;
}

int lsp_archives_find(const struct lsp_install_source *source, struct lsp_archives *ret_archives,
	struct lsp_error *err)
{
	_cleanup_free_ struct candidate *candidates = calloc(source->count + 1, sizeof *candidates);
	if (!candidates)
		return lsp_error_no_memory(err, DOMAIN);
	bool eti_game = false;
	for (size_t i = 0; i < source->count; i++)
		eti_game |= !strchr(source->files[i].path, '/') &&
			    has_extension(source->files[i].path, eti);
	size_t count = 0;
	for (size_t i = 0; i < source->count; i++) {
		bool plain = false;
		int r = take(source, &source->files[i], eti_game, &candidates[count], &plain, err);
		if (r < 0)
			return r;
		if (plain) {
			*ret_archives = (struct lsp_archives){0};
			return 0;
		}
		count += candidates[count].file != NULL;
	}
	return build(candidates, count, ret_archives, err);
}
