#include "wire/path.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* ---- Characters ------------------------------------------------------------------------- */

static bool is_bidi_control(int32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static bool is_control(int32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static bool is_noncharacter(int32_t c)
{
	return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe || c == 0xfeff;
}

/* What is wrong with this character in a name; NULL: nothing. */
static const char *why_not(int32_t c)
{
	if (c == 0)
		return "a NUL byte";
	if (is_control(c))
		return "a control character";
	if (is_bidi_control(c))
		return "a character that turns the writing direction";
	if (is_noncharacter(c))
		return "a code point that is no character";
	if (c == '\\')
		return "a backslash";
	if (c < 0x80 && strchr("/:*?\"<>|", c))
		return "one of / : * ? \" < > |";
	return NULL;
}

static int refuse(const char *name, size_t size, const char *what, struct lsp_error *err)
{
	char label[LSP_LABEL_MAX + 1];
	lsp_label_clean(name, size, label, LSP_LABEL_MAX);
	return lsp_error_set(err, "wire", LSP_E_INVALID, "the name \"%s\" %s", label, what);
}

/* ---- Names ------------------------------------------------------------------------------ */

static bool ascii_equal(const char *a, const char *upper, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = a[i] >= 'a' && a[i] <= 'z' ? (char)(a[i] - 'a' + 'A') : a[i];
		if (c != upper[i])
			return false;
	}
	return true;
}

/* COM or LPT with one digit, or a superscript one, which Windows takes for it. */
static bool is_numbered_device(const char *name, size_t size)
{
	if (size < 4 || !(ascii_equal(name, "COM", 3) || ascii_equal(name, "LPT", 3)))
		return false;
	if (size == 4)
		return name[3] >= '0' && name[3] <= '9';
	return size == 5 &&
	       (memcmp(name + 3, "\xc2\xb9", 2) == 0 || memcmp(name + 3, "\xc2\xb2", 2) == 0 ||
		       memcmp(name + 3, "\xc2\xb3", 2) == 0);
}

/* Windows looks at what stands before the first dot, without the spaces at its end. */
static bool is_device(const char *name, size_t size)
{
	static const char *const devices[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
	const char *dot = memchr(name, '.', size);
	size_t stem = dot ? (size_t)(dot - name) : size;
	while (stem && name[stem - 1] == ' ')
		stem--;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(devices); i++) {
		if (strlen(devices[i]) == stem && ascii_equal(name, devices[i], stem))
			return true;
	}
	return is_numbered_device(name, stem);
}

static bool is_ascii(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)name[i] >= 0x80)
			return false;
	}
	return true;
}

/* Maps with utf8proc; *ret_out is malloc'ed. */
static int map_text(const char *text, size_t size, utf8proc_option_t options, char **ret_out,
	size_t *ret_size, struct lsp_error *err)
{
	utf8proc_uint8_t *out = NULL;
	utf8proc_ssize_t n =
		utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &out, options);
	if (n == UTF8PROC_ERROR_NOMEM)
		return lsp_error_no_memory(err, "wire");
	if (n < 0)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "a name: %s", utf8proc_errmsg(n));
	*ret_out = (char *)out;
	*ret_size = (size_t)n;
	return 0;
}

static int check_nfc(const char *name, size_t size, struct lsp_error *err)
{
	if (is_ascii(name, size))
		return 0;
	_cleanup_free_ char *nfc = NULL;
	size_t nfc_size = 0;
	int r = map_text(name, size, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &nfc, &nfc_size, err);
	if (r < 0)
		return r;
	if (nfc_size != size || memcmp(nfc, name, size) != 0)
		return refuse(name, size, "is not in Unicode normal form C", err);
	return 0;
}

static int check_characters(const char *name, size_t size, struct lsp_error *err)
{
	for (size_t at = 0; at < size;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(
			(const utf8proc_uint8_t *)name + at, (utf8proc_ssize_t)(size - at), &c);
		if (n <= 0)
			return refuse(name, size, "is not valid UTF-8", err);
		const char *why = why_not(c);
		if (why) {
			char what[96];
			snprintf(what, sizeof what, "holds %s", why);
			return refuse(name, size, what, err);
		}
		at += (size_t)n;
	}
	return 0;
}

int lsp_path_check_name(const char *name, size_t size, struct lsp_error *err)
{
	if (size == 0)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "a name is empty");
	if (size > LSP_PATH_COMPONENT_MAX)
		return refuse(name, size, "is longer than 255 bytes", err);
	int r = check_characters(name, size, err);
	if (r < 0)
		return r;
	if (name[size - 1] == '.' || name[size - 1] == ' ')
		return refuse(name, size, "ends with a dot or a space", err);
	if (is_device(name, size))
		return refuse(name, size, "is a device on Windows", err);
	return check_nfc(name, size, err);
}

/* ---- Paths ------------------------------------------------------------------------------ */

/* LANSPR~1: what NTFS and FAT may call .lanspread beside its name. */
static bool is_short_alias(const char *key)
{
	return strncmp(key, "lanspr~", 7) == 0;
}

static bool key_is_private(const char *key)
{
	return strcmp(key, "local") == 0 || strncmp(key, "local.kept-", 11) == 0 ||
	       strcmp(key, ".lanspread") == 0 || is_short_alias(key);
}

bool lsp_path_is_private(const char *name)
{
	return strcmp(name, "local") == 0 || strncmp(name, "local.kept-", 11) == 0 ||
	       strcmp(name, ".lanspread") == 0;
}

static int check_first(const char *name, size_t size, struct lsp_error *err)
{
	_cleanup_free_ char *key = NULL;
	int r = lsp_path_key(name, size, &key, err);
	if (r < 0)
		return r;
	if (key_is_private(key))
		return refuse(name, size, "is one of our own and never shared", err);
	return 0;
}

int lsp_path_check(const char *path, size_t size, struct lsp_error *err)
{
	if (size > LSP_PATH_MAX)
		return refuse(path, size, "is longer than 1024 bytes", err);
	unsigned depth = 0;
	for (size_t at = 0; at <= size; depth++) {
		const char *slash = memchr(path + at, '/', size - at);
		size_t length = slash ? (size_t)(slash - path) - at : size - at;
		if (length == 0)
			return refuse(path, size,
				at == 0 ? "is empty or absolute" : "has an empty component", err);
		int r = lsp_path_check_name(path + at, length, err);
		if (r == 0 && at == 0)
			r = check_first(path, length, err);
		if (r < 0)
			return r;
		at += length + 1;
	}
	if (depth > LSP_PATH_DEPTH_MAX)
		return refuse(path, size, "has more than 32 components", err);
	return 0;
}

int lsp_path_key(const char *path, size_t size, char **ret_key, struct lsp_error *err)
{
	if (is_ascii(path, size)) {
		char *key = strndup(path, size);
		if (!key)
			return lsp_error_no_memory(err, "wire");
		for (char *c = key; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
		*ret_key = key;
		return 0;
	}
	size_t key_size;
	return map_text(path, size,
		UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, ret_key,
		&key_size, err);
}

int lsp_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	/* The end of a component is below every character in one. */
	unsigned left = *a == '/' ? 1 : *a ? (unsigned char)*a + 1u : 0;
	unsigned right = *b == '/' ? 1 : *b ? (unsigned char)*b + 1u : 0;
	return left < right ? -1 : left > right;
}

int lsp_game_id_check(const char *id, size_t size, struct lsp_error *err)
{
	if (size > LSP_GAME_ID_MAX)
		return refuse(id, size, "is longer than 100 bytes: too long for a game's id", err);
	int r = lsp_path_check_name(id, size, err);
	if (r < 0)
		return r;
	if (strchr(".-~$ ", id[0]))
		return refuse(id, size, "begins with . - ~ $ or a space: no id of a game", err);
	return 0;
}

void lsp_label_clean(const char *text, size_t size, char *out, size_t max)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t used = 0;
	for (size_t at = 0; at < size;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(
			(const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &c);
		bool bad = n <= 0 || is_control(c) || is_bidi_control(c) || is_noncharacter(c);
		size_t in = n <= 0 ? 1 : (size_t)n;
		const char *from = bad ? replacement : text + at;
		size_t put = bad ? sizeof replacement - 1 : in;
		if (used + put > max)
			break;
		memcpy(out + used, from, put);
		used += put;
		at += in;
	}
	out[used] = '\0';
}
