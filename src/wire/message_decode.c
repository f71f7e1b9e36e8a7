/* From JSON to messages, by the tables of message.c: fills a zeroed body field by field. */
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/message_table.h"

#include <assert.h>
#include <string.h>

static int broken(struct lsp_error *err, const char *key, const char *what)
{
	return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"%s\" %s", key, what);
}

/* ---- Texts ---- */

static bool is_word(const char *text, size_t size)
{
	static const char more[] = "_-./+";
	if (size == 0 || size > LSP_WORD_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || (c && strchr(more, c));
		if (!plain)
			return false;
	}
	return true;
}

int lsp_field_check_text(enum lsp_field_kind kind, const char *key, const char *text, size_t size,
	struct lsp_error *err)
{
	struct lsp_version version;
	int r = 0;
	switch (kind) {
	case LSP_FIELD_ID:
	case LSP_FIELD_IDS:
		r = lsp_game_id_check(text, size, err);
		break;
	case LSP_FIELD_PATH:
		r = lsp_path_check(text, size, err);
		break;
	case LSP_FIELD_VERSION:
		r = lsp_version_parse(text, size, &version, err);
		break;
	case LSP_FIELD_WORD:
	case LSP_FIELD_WORDS:
		return is_word(text, size) ? 0 : broken(err, key, "is not a word");
	default:
		break;
	}
	if (r == -LSP_E_NO_MEMORY)
		return r;
	return r < 0 ? lsp_error_prefix(err, -LSP_E_PROTOCOL, "\"%s\"", key) : 0;
}

/* Room in the struct for a text of that kind, without the NUL. */
static size_t text_room(const struct lsp_field *field)
{
	switch (field->kind) {
	case LSP_FIELD_ID:
		return LSP_GAME_ID_MAX;
	case LSP_FIELD_VERSION:
		return LSP_VERSION_TEXT_MAX;
	case LSP_FIELD_WORD:
		return LSP_WORD_MAX;
	default:
		return field->max;
	}
}

static int decode_text(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	if (!json_is_string(json))
		return broken(err, field->key, "is not a text");
	const char *text = json_string_value(json);
	size_t size = json_string_length(json);
	if (field->kind == LSP_FIELD_LABEL) {
		lsp_label_clean(text, size, value, field->max);
		return 0;
	}
	int r = lsp_field_check_text(field->kind, field->key, text, size, err);
	if (r < 0)
		return r;
	if (field->kind == LSP_FIELD_PATH) {
		char *copy = strndup(text, size);
		if (!copy)
			return lsp_error_no_memory(err, "wire");
		*(char **)value = copy;
		return 0;
	}
	assert(size <= text_room(field));
	memcpy(value, text, size);
	((char *)value)[size] = '\0';
	return 0;
}

static int decode_hash(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	const char *text = json_string_value(json);
	if (!text || lsp_hash_from_hex(text, value, NULL) < 0)
		return broken(err, field->key, "is not 64 hexadecimal digits");
	return 0;
}

const char *const lsp_game_state_names[LSP_GAME_STATE_COUNT] = {
	[LSP_GAME_HASHING] = "hashing",
	[LSP_GAME_READY] = "ready",
	[LSP_GAME_PARTIAL] = "partial",
};

static int decode_state(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	const char *text = json_string_value(json);
	for (size_t i = 0; text && i < LSP_GAME_STATE_COUNT; i++) {
		if (strcmp(text, lsp_game_state_names[i]) == 0) {
			*(enum lsp_game_state *)value = (enum lsp_game_state)i;
			return 0;
		}
	}
	return broken(err, field->key, "is not hashing, ready or partial");
}

static int decode_code(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	const char *text = json_string_value(json);
	if (!text)
		return broken(err, field->key, "is not a text");
	int code = LSP_E_FAILED;
	for (int i = 1; i < LSP_E_CODE_COUNT; i++)
		code = strcmp(text, lsp_code_name(i)) == 0 ? i : code;
	*(int *)value = code;
	return 0;
}

/* ---- Numbers and lists ---- */

static int decode_number(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	json_int_t number = json_integer_value(json);
	if (!json_is_integer(json) || number < 0 || (uint64_t)number < field->min ||
		(uint64_t)number > field->max)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"\"%s\" is not a whole number from %llu to %llu", field->key,
			(unsigned long long)field->min, (unsigned long long)field->max);
	*(uint64_t *)value = (uint64_t)number;
	return 0;
}

static int check_list(
	const struct lsp_field *field, const json_t *json, uint64_t max, struct lsp_error *err)
{
	if (!json_is_array(json))
		return broken(err, field->key, "is not a list");
	if (json_array_size(json) > max)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"\"%s\" has %zu entries, more than %llu", field->key, json_array_size(json),
			(unsigned long long)max);
	return 0;
}

/* `count` whole numbers below `limit` from a short list; false if that is not what it is. */
static bool take_numbers(const json_t *json, uint64_t *numbers, size_t count, uint64_t limit)
{
	if (json_array_size(json) != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(json, i);
		json_int_t number = json_integer_value(item);
		if (!json_is_integer(item) || number < 0 || (uint64_t)number > limit)
			return false;
		numbers[i] = (uint64_t)number;
	}
	return true;
}

static int decode_ranges(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	struct lsp_ranges *ranges = value;
	int r = check_list(field, json, LSP_MESSAGE_RANGES_MAX, err);
	if (r < 0)
		return r;
	size_t count = json_array_size(json);
	ranges->items = calloc(count + 1, sizeof *ranges->items);
	if (!ranges->items)
		return lsp_error_no_memory(err, "wire");
	uint64_t total = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t n[2];
		if (!take_numbers(json_array_get(json, i), n, 2, LSP_MESSAGE_CHUNKS_MAX) || !n[1])
			return broken(err, field->key, "holds what is no [first, count]");
		total += n[1];
		if (total > LSP_MESSAGE_CHUNKS_MAX)
			return broken(err, field->key, "holds more chunks than a content has");
		ranges->items[ranges->count++] = (struct lsp_range){n[0], n[1]};
	}
	return 0;
}

static int decode_runs(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	struct lsp_get_blocks *blocks = lsp_container_of(value, struct lsp_get_blocks, runs);
	int r = check_list(field, json, LSP_MESSAGE_BLOCKS_MAX, err);
	if (r < 0)
		return r;
	size_t count = json_array_size(json);
	blocks->runs = calloc(count + 1, sizeof *blocks->runs);
	if (!blocks->runs)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < count; i++) {
		uint64_t n[3];
		if (!take_numbers(json_array_get(json, i), n, 3, LSP_MESSAGE_CHUNKS_MAX) || !n[2])
			return broken(err, field->key, "holds what is no [chunk, first, count]");
		blocks->runs[blocks->run_count++] =
			(struct lsp_block_run){(uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2]};
	}
	return 0;
}

static int decode_body(
	const struct lsp_message_type *type, const json_t *json, void *body, struct lsp_error *err);

static int decode_games(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	struct lsp_game_list *games = value;
	bool one = field->kind == LSP_FIELD_GAME;
	int r = one ? 0 : check_list(field, json, field->max, err);
	if (r < 0)
		return r;
	size_t count = one ? 1 : json_array_size(json);
	games->items = calloc(count + 1, sizeof *games->items);
	if (!games->items)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < count; i++) {
		const json_t *item = one ? json : json_array_get(json, i);
		if (!json_is_object(item))
			return broken(err, field->key, "holds what is no game");
		r = decode_body(&lsp_game_summary_type, item, &games->items[i], err);
		if (r < 0)
			return r;
		games->count++;
	}
	return 0;
}

static int decode_texts(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	struct lsp_text_list *list = value;
	int r = check_list(field, json, field->max, err);
	if (r < 0)
		return r;
	size_t count = json_array_size(json);
	list->items = calloc(count + 1, sizeof *list->items);
	if (!list->items)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(json, i);
		if (!json_is_string(item))
			return broken(err, field->key, "holds what is no text");
		r = lsp_field_check_text(field->kind, field->key, json_string_value(item),
			json_string_length(item), err);
		if (r < 0)
			return r;
		list->items[i] = strdup(json_string_value(item));
		if (!list->items[i])
			return lsp_error_no_memory(err, "wire");
		list->count++;
	}
	return 0;
}

/* "count" chunks, and "bits" of which each is one. */
static int decode_bitmap(const struct lsp_field *field, const json_t *object, const json_t *json,
	void *value, struct lsp_error *err)
{
	uint64_t count = 0;
	int r = lsp_json_get_u64(object, "count", field->max, &count, err);
	if (r < 0)
		return r;
	if (!json_is_string(json) || count == 0)
		return broken(err, field->key, "is not base64 with \"count\" beside it");
	size_t text_size = json_string_length(json);
	size_t size = (size_t)(count + 7) / 8;
	if (text_size != lsp_base64_size(size))
		return broken(err, field->key, "is not as long as \"count\" says");
	_cleanup_free_ uint8_t *bytes = malloc(size);
	if (!bytes)
		return lsp_error_no_memory(err, "wire");
	r = lsp_base64_decode(json_string_value(json), text_size, bytes, size, err);
	if (r == 0)
		r = lsp_bitmap_init(value, (size_t)count, err);
	return r < 0 ? r : lsp_bitmap_load(value, bytes, size, err);
}

/* ---- Decoding ---- */

static int decode_field(const struct lsp_field *field, const json_t *object, const json_t *json,
	void *value, struct lsp_error *err)
{
	switch (field->kind) {
	case LSP_FIELD_NUMBER:
		return decode_number(field, json, value, err);
	case LSP_FIELD_BOOL:
		if (!json_is_boolean(json))
			return broken(err, field->key, "is not true or false");
		*(bool *)value = json_is_true(json);
		return 0;
	case LSP_FIELD_HASH:
		return decode_hash(field, json, value, err);
	case LSP_FIELD_CODE:
		return decode_code(field, json, value, err);
	case LSP_FIELD_STATE:
		return decode_state(field, json, value, err);
	case LSP_FIELD_RANGES:
		return decode_ranges(field, json, value, err);
	case LSP_FIELD_RUNS:
		return decode_runs(field, json, value, err);
	case LSP_FIELD_GAMES:
	case LSP_FIELD_GAME:
		return decode_games(field, json, value, err);
	case LSP_FIELD_IDS:
	case LSP_FIELD_WORDS:
		return decode_texts(field, json, value, err);
	case LSP_FIELD_BITMAP:
		return decode_bitmap(field, object, json, value, err);
	default:
		return decode_text(field, json, value, err);
	}
}

/* body is zeroed. json: an object, or NULL for one without fields. */
static int decode_body(
	const struct lsp_message_type *type, const json_t *json, void *body, struct lsp_error *err)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct lsp_field *field = &type->fields[i];
		void *value = (char *)body + field->offset;
		const json_t *found = json_object_get(json, field->key);
		if (!found || json_is_null(found)) {
			if (field->required)
				return broken(err, field->key, "is missing");
			if (field->kind == LSP_FIELD_NUMBER)
				*(uint64_t *)value = field->absent;
			continue;
		}
		int r = decode_field(field, json, found, value, err);
		if (r < 0)
			return r;
	}
	return type->check ? type->check(body, err) : 0;
}

/* A tag alone, or an object of one key. */
static int split_tag(
	json_t *json, const char **ret_tag, const json_t **ret_body, struct lsp_error *err)
{
	*ret_body = NULL;
	if (json_is_string(json)) {
		*ret_tag = json_string_value(json);
		return 0;
	}
	if (json_object_size(json) != 1)
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "a message is a tag or an object of one tag");
	void *iter = json_object_iter(json);
	*ret_tag = json_object_iter_key(iter);
	const json_t *body = json_object_iter_value(iter);
	if (!json_is_object(body) && !json_is_null(body))
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "what follows the tag is no object");
	*ret_body = json_is_null(body) ? NULL : body;
	return 0;
}

/* The tag's number in the table, or -LSP_E_UNSUPPORTED. */
static int find_type(const struct lsp_message_type *types, int count, const char *tag,
	const char *kind, struct lsp_error *err)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(types[i].name, tag) == 0)
			return i;
	}
	char label[LSP_WORD_MAX + 1];
	lsp_label_clean(tag, strlen(tag), label, LSP_WORD_MAX);
	return lsp_error_set(err, "wire", LSP_E_UNSUPPORTED, "unknown %s \"%s\"", kind, label);
}

int lsp_request_decode(
	const char *text, size_t size, struct lsp_request *ret_request, struct lsp_error *err)
{
	_cleanup_json_ json_t *json = NULL;
	const char *tag = NULL;
	const json_t *body = NULL;
	struct lsp_chunk_set haves;
	int r = lsp_message_read_haves(text, size, &haves, err);
	if (r > 0)
		*ret_request =
			(struct lsp_request){.type = LSP_REQUEST_HAVE_UPDATE, .chunk_set = haves};
	if (r != 0)
		return r < 0 ? r : 0;
	r = lsp_json_parse(text, size, &lsp_json_limits_peer, &json, err);
	if (r == 0)
		r = split_tag(json, &tag, &body, err);
	if (r == 0)
		r = find_type(lsp_request_types, LSP_REQUEST_COUNT, tag, "request", err);
	if (r < 0)
		return r;
	struct lsp_request request = {.type = (enum lsp_request_type)r};
	r = decode_body(&lsp_request_types[request.type], body, &request.hello, err);
	if (r < 0) {
		lsp_error_prefix(err, r, "%s", lsp_request_name(request.type));
		lsp_request_done(&request);
		return r;
	}
	*ret_request = request;
	return 0;
}

int lsp_response_decode(
	const char *text, size_t size, struct lsp_response *ret_response, struct lsp_error *err)
{
	_cleanup_json_ json_t *json = NULL;
	const char *tag = NULL;
	const json_t *body = NULL;
	int r = lsp_json_parse(text, size, &lsp_json_limits_peer, &json, err);
	if (r == 0)
		r = split_tag(json, &tag, &body, err);
	if (r == 0)
		r = find_type(lsp_response_types, LSP_RESPONSE_COUNT, tag, "response", err);
	if (r < 0)
		return r;
	struct lsp_response response = {.type = (enum lsp_response_type)r};
	r = decode_body(&lsp_response_types[response.type], body, &response.hello, err);
	if (r < 0) {
		lsp_error_prefix(err, r, "%s", lsp_response_name(response.type));
		lsp_response_done(&response);
		return r;
	}
	*ret_response = response;
	return 0;
}
