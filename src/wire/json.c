#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct lsp_json_limits lsp_json_limits_peer = {
	.size = (size_t)1 << 20, .values = 65536, .containers = 16384, .depth = 16};
const struct lsp_json_limits lsp_json_limits_local = {
	.size = (size_t)64 << 20, .values = 8 << 20, .containers = 1 << 20, .depth = 16};

struct scan {
	const struct lsp_json_limits *limits;
	size_t values;
	size_t containers;
	unsigned depth;
};

/* Passes over a string whose opening quote was at *at − 1; false when it does not end. */
static bool scan_string(const char *text, size_t size, size_t *at)
{
	while (*at < size) {
		char c = text[(*at)++];
		if (c == '"')
			return true;
		if (c == '\\')
			(*at)++;
	}
	return false;
}

static int scan_open(struct scan *scan, struct lsp_error *err)
{
	if (++scan->depth > scan->limits->depth)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "JSON is nested deeper than %u",
			scan->limits->depth);
	if (++scan->containers > scan->limits->containers)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"JSON has more than %zu objects and arrays", scan->limits->containers);
	return 0;
}

static int scan_byte(struct scan *scan, char c, struct lsp_error *err)
{
	switch (c) {
	case '\0':
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "JSON holds a NUL byte");
	case '{':
	case '[':
		return scan_open(scan, err);
	case '}':
	case ']':
		if (scan->depth-- == 0)
			return lsp_error_set(
				err, "wire", LSP_E_PROTOCOL, "JSON closes what it did not open");
		return 0;
	case ',':
		if (++scan->values > scan->limits->values)
			return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
				"JSON has more than %zu values", scan->limits->values);
		return 0;
	default:
		return 0;
	}
}

/* Not a grammar: jansson knows that. Only what must not reach it. */
int lsp_json_check(
	const char *text, size_t size, const struct lsp_json_limits *limits, struct lsp_error *err)
{
	if (size > limits->size)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"JSON of %zu bytes, more than %zu", size, limits->size);
	struct scan scan = {.limits = limits};
	for (size_t at = 0; at < size;) {
		char c = text[at++];
		if (c == '"') {
			size_t start = at;
			if (!scan_string(text, size, &at))
				return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
					"JSON string at byte %zu does not end", start - 1);
			continue;
		}
		int r = scan_byte(&scan, c, err);
		if (r < 0)
			return r;
	}
	if (scan.depth)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "JSON ends inside a value");
	return 0;
}

/* ---- Memory ---- */

static _Thread_local bool starved;
static json_malloc_t allocate_first = malloc; /* whoever was asked before us */

static void *allocate(size_t size)
{
	void *memory = allocate_first(size);
	starved = starved || !memory;
	return memory;
}

/* A program that embeds us may have functions of its own there: they go on to do the work. */
__attribute__((constructor)) static void watch_allocations(void)
{
	json_free_t free_first;
	json_get_alloc_funcs(&allocate_first, &free_first);
	json_set_alloc_funcs(allocate, free_first);
}

bool lsp_json_starved(void)
{
	bool was = starved;
	starved = false;
	return was;
}

json_t *lsp_json_load(const char *text, size_t size, size_t flags, json_error_t *ret_error)
{
	bool before = lsp_json_starved();
	json_t *value = json_loadb(text, size, flags, ret_error);
	bool lacked = lsp_json_starved();
	starved = before; /* of a document that is being built */
	if (!lacked)
		return value;
	json_decref(value);
	snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
	ret_error->text[JSON_ERROR_TEXT_LENGTH - 1] = json_error_out_of_memory;
	return NULL;
}

int lsp_json_parse(const char *text, size_t size, const struct lsp_json_limits *limits,
	json_t **ret_value, struct lsp_error *err)
{
	int r = lsp_json_check(text, size, limits, err);
	if (r < 0)
		return r;
	json_error_t detail;
	json_t *value =
		lsp_json_load(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &detail);
	if (!value && json_error_code(&detail) == json_error_out_of_memory)
		return lsp_error_no_memory(err, "wire");
	if (!value)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "bad JSON at byte %d: %s",
			detail.position, detail.text);
	*ret_value = value;
	return 0;
}

struct dump {
	struct lsp_buffer *buffer;
	bool failed; /* jansson does not look at every result, and would go on behind a gap */
};

static int append_dumped(const char *text, size_t size, void *argument)
{
	struct dump *dump = argument;
	dump->failed = dump->failed || lsp_buffer_append(dump->buffer, text, size, NULL) < 0;
	return dump->failed ? -1 : 0;
}

int lsp_json_append(const json_t *value, struct lsp_buffer *buffer, struct lsp_error *err)
{
	size_t before = buffer->size;
	struct dump dump = {.buffer = buffer};
	int r = json_dump_callback(value, append_dumped, &dump, JSON_COMPACT | JSON_ENCODE_ANY);
	if (lsp_json_starved() || r < 0 || dump.failed) {
		buffer->size = before;
		return lsp_error_no_memory(err, "wire");
	}
	return 0;
}

char *lsp_json_dump(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags);
	if (!lsp_json_starved())
		return text;
	free(text);
	return NULL;
}

/* The field, or NULL where it is absent or null. */
static json_t *field(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	return json_is_null(value) ? NULL : value;
}

int lsp_json_get_u64(
	const json_t *object, const char *key, uint64_t max, uint64_t *value, struct lsp_error *err)
{
	const json_t *found = field(object, key);
	if (!found)
		return 0;
	if (!json_is_integer(found))
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "\"%s\" is not a whole number", key);
	json_int_t number = json_integer_value(found);
	if (number < 0 || (uint64_t)number > max)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"\"%s\" is %lld, not within 0 and %llu", key, (long long)number,
			(unsigned long long)max);
	*value = (uint64_t)number;
	return 0;
}

int lsp_json_get_bool(const json_t *object, const char *key, bool *value, struct lsp_error *err)
{
	const json_t *found = field(object, key);
	if (!found)
		return 0;
	if (!json_is_boolean(found))
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "\"%s\" is not true or false", key);
	*value = json_is_true(found);
	return 0;
}

int lsp_json_get_text(const json_t *object, const char *key, size_t max, const char **value,
	struct lsp_error *err)
{
	const json_t *found = field(object, key);
	if (!found)
		return 0;
	if (!json_is_string(found))
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"%s\" is not a text", key);
	if (json_string_length(found) > max)
		return lsp_error_set(
			err, "wire", LSP_E_TOO_LARGE, "\"%s\" is longer than %zu bytes", key, max);
	*value = json_string_value(found);
	return 0;
}

int lsp_json_get_array(const json_t *object, const char *key, size_t max_count, json_t **value,
	struct lsp_error *err)
{
	json_t *found = field(object, key);
	if (!found)
		return 0;
	if (!json_is_array(found))
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"%s\" is not a list", key);
	if (json_array_size(found) > max_count)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"\"%s\" has %zu entries, more than %zu", key, json_array_size(found),
			max_count);
	*value = found;
	return 0;
}
