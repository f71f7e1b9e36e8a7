#include "wire/version.h"

#include "base/text.h"
#include "wire/path.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 18

static int bad_digit(const char *text, size_t size, size_t at, struct lsp_error *err)
{
	char c = text[at];
	if (c > ' ' && c < 0x7f)
		return lsp_error_set(err, "wire", LSP_E_INVALID,
			"version \"%.*s\" has '%c' where a digit should be (it is numbers with "
			"dots "
			"between, such as 20240131 or 1.2.10)",
			(int)size, text, c);
	return lsp_error_set(err, "wire", LSP_E_INVALID,
		"the version has byte 0x%02x at position %zu where a digit should be (it is "
		"numbers with dots between, such as 20240131 or 1.2.10)",
		(unsigned)(unsigned char)c, at + 1);
}

/* One number from *at on, which then stands behind it. */
static int parse_part(
	const char *text, size_t size, size_t *at, uint64_t *ret_part, struct lsp_error *err)
{
	size_t start = *at;
	uint64_t value = 0;
	while (*at < size && text[*at] >= '0' && text[*at] <= '9') {
		if (*at - start == DIGITS_MAX)
			return lsp_error_set(err, "wire", LSP_E_INVALID,
				"version \"%.*s\" has a number of more than %d digits", (int)size,
				text, DIGITS_MAX);
		value = value * 10 + (uint64_t)(text[(*at)++] - '0');
	}
	if (*at == start && *at < size)
		return bad_digit(text, size, *at, err);
	if (*at == start)
		return lsp_error_set(err, "wire", LSP_E_INVALID,
			"version \"%.*s\" ends where a number should be", (int)size, text);
	*ret_part = value;
	return 0;
}

int lsp_version_parse(
	const char *text, size_t size, struct lsp_version *ret_version, struct lsp_error *err)
{
	if (size == 0)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "the version is empty");
	if (size > LSP_VERSION_TEXT_MAX)
		return lsp_error_set(err, "wire", LSP_E_INVALID,
			"the version is longer than %d bytes", LSP_VERSION_TEXT_MAX);
	struct lsp_version version = {0};
	for (size_t at = 0;; at++) {
		if (version.part_count == LSP_VERSION_PARTS_MAX)
			return lsp_error_set(err, "wire", LSP_E_INVALID,
				"version \"%.*s\" has more than %d numbers", (int)size, text,
				LSP_VERSION_PARTS_MAX);
		int r = parse_part(text, size, &at, &version.parts[version.part_count], err);
		if (r < 0)
			return r;
		version.part_count++;
		if (at == size)
			break;
		if (text[at] != '.')
			return bad_digit(text, size, at, err);
	}
	memcpy(version.text, text, size);
	*ret_version = version;
	return 0;
}

int lsp_version_compare(const struct lsp_version *a, const struct lsp_version *b)
{
	for (unsigned i = 0; i < a->part_count && i < b->part_count; i++) {
		if (a->parts[i] != b->parts[i])
			return a->parts[i] < b->parts[i] ? -1 : 1;
	}
	if (a->part_count != b->part_count)
		return a->part_count < b->part_count ? -1 : 1;
	return strcmp(a->text, b->text);
}

int lsp_version_compare_text(const char *a, const char *b)
{
	struct lsp_version va, vb;
	bool good_a = lsp_version_parse(a, strlen(a), &va, NULL) == 0;
	bool good_b = lsp_version_parse(b, strlen(b), &vb, NULL) == 0;
	if (good_a && good_b)
		return lsp_version_compare(&va, &vb);
	if (good_a != good_b)
		return good_a ? 1 : -1;
	return strcmp(a, b);
}

/* ---- The file --------------------------------------------------------------------------- */

struct span {
	const char *text;
	size_t size;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
	while (s.size && is_space(*s.text))
		s.text++, s.size--;
	while (s.size && is_space(s.text[s.size - 1]))
		s.size--;
	return s;
}

static bool key_is(struct span key, const char *word)
{
	return key.size == strlen(word) && strncasecmp(key.text, word, key.size) == 0;
}

/* Windows habits: a backslash between folders is taken as a slash. */
static int take_start(struct lsp_version_file *file, struct span value, struct lsp_error *err)
{
	if (file->start)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "two lines \"start=\"");
	_cleanup_free_ char *start = strndup(value.text, value.size);
	if (!start)
		return lsp_error_no_memory(err, "wire");
	for (char *c = start; *c; c++)
		*c = *c == '\\' ? '/' : *c;
	int r = lsp_path_check(start, value.size, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "\"start=\"");
	file->start = TAKE_PTR(start);
	return 0;
}

static int take_line(struct lsp_version_file *file, struct span line, struct lsp_error *err)
{
	line = trim(line);
	if (line.size == 0 || strchr(";#[", *line.text))
		return 0;
	const char *equals = memchr(line.text, '=', line.size);
	if (!equals)
		return 0;
	struct span key = trim((struct span){line.text, (size_t)(equals - line.text)});
	struct span value =
		trim((struct span){equals + 1, line.size - (size_t)(equals - line.text) - 1});
	if (key_is(key, "start"))
		return take_start(file, value, err);
	if (!key_is(key, "version"))
		return 0;
	if (file->version.part_count)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "two lines \"version=\"");
	return lsp_version_parse(value.text, value.size, &file->version, err);
}

static int parse_ini(struct span all, struct lsp_version_file *file, struct lsp_error *err)
{
	while (all.size) {
		const char *end = memchr(all.text, '\n', all.size);
		size_t length = end ? (size_t)(end - all.text) + 1 : all.size;
		int r = take_line(file, (struct span){all.text, length}, err);
		if (r < 0)
			return r;
		all.text += length;
		all.size -= length;
	}
	if (!file->version.part_count)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "no line \"version=\"");
	return 0;
}

int lsp_version_file_parse(
	const char *text, size_t size, struct lsp_version_file *ret_file, struct lsp_error *err)
{
	if (size > LSP_VERSION_FILE_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"version.ini is longer than %d bytes", LSP_VERSION_FILE_MAX);
	if (memchr(text, '\0', size))
		return lsp_error_set(
			err, "wire", LSP_E_INVALID, "version.ini holds a NUL byte: not a text");
	struct span all = {text, size};
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		all = (struct span){text + 3, size - 3};
	all = trim(all);
	if (all.size == 0)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "version.ini is empty");
	_cleanup_version_file_ struct lsp_version_file file = {0};
	bool ini = memchr(all.text, '=', all.size) || memchr(all.text, '\n', all.size);
	int r = ini ? parse_ini(all, &file, err)
		    : lsp_version_parse(all.text, all.size, &file.version, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "version.ini");
	*ret_file = file;
	file = (struct lsp_version_file){0};
	return 0;
}

void lsp_version_file_done(struct lsp_version_file *file)
{
	free(file->start);
	*file = (struct lsp_version_file){0};
}
