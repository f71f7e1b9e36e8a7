/*
 * Between messages and JSON, by the tables of message.c. Decoding fills a zeroed body field by field;
 * on failure the caller frees what is there. Encoding checks what decoding would.
 */
#include "wire/base64.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/message_table.h"

#include <assert.h>
#include <string.h>

static int broken(struct lsp_error *err, const char *key, const char *what)
{
	return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"%s\" %s", key, what);
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

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

/* Is this a text that a field of that kind may hold? */
static int check_text(enum lsp_field_kind kind, const char *key, const char *text, size_t size,
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
	if (r < 0) {
		if (err)
			err->code = LSP_E_PROTOCOL;
		lsp_error_prefix(err, "\"%s\"", key);
		return -LSP_E_PROTOCOL;
	}
	return 0;
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
	int r = check_text(field->kind, field->key, text, size, err);
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

static const char *const state_names[] = {
	[LSP_GAME_HASHING] = "hashing",
	[LSP_GAME_READY] = "ready",
	[LSP_GAME_PARTIAL] = "partial",
};

static int decode_state(
	const struct lsp_field *field, const json_t *json, void *value, struct lsp_error *err)
{
	const char *text = json_string_value(json);
	for (size_t i = 0; text && i < LSP_ARRAY_SIZE(state_names); i++) {
		if (strcmp(text, state_names[i]) == 0) {
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

/* ---- Numbers and lists ----------------------------------------------------------------------------- */

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

static int check_list(const struct lsp_field *field, const json_t *json, uint64_t max,
	struct lsp_error *err)
{
	if (!json_is_array(json))
		return broken(err, field->key, "is not a list");
	if (json_array_size(json) > max)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"\"%s\" has %zu entries, more than %llu", field->key,
			json_array_size(json), (unsigned long long)max);
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
	for (size_t i = 0; i < count; i++) {
		uint64_t n[2];
		if (!take_numbers(json_array_get(json, i), n, 2, LSP_MESSAGE_CHUNKS_MAX) || !n[1])
			return broken(err, field->key, "holds what is no [first, count]");
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
		blocks->runs[blocks->run_count++] = (struct lsp_block_run){
			(uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2]};
	}
	return 0;
}

static int decode_body(const struct lsp_message_type *type, const json_t *json, void *body,
	struct lsp_error *err);

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
		r = check_text(field->kind, field->key, json_string_value(item),
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

/* ---- Decoding --------------------------------------------------------------------------------------- */

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
static int decode_body(const struct lsp_message_type *type, const json_t *json, void *body,
	struct lsp_error *err)
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
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"a message is a tag or an object of one tag");
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
	int r = lsp_json_parse(text, size, &lsp_json_limits_peer, &json, err);
	if (r == 0)
		r = split_tag(json, &tag, &body, err);
	if (r == 0)
		r = find_type(lsp_request_types, LSP_REQUEST_COUNT, tag, "request", err);
	if (r < 0)
		return r;
	struct lsp_request request = {.type = (enum lsp_request_type)r};
	r = decode_body(&lsp_request_types[request.type], body, &request.hello, err);
	if (r < 0) {
		lsp_error_prefix(err, "%s", lsp_request_name(request.type));
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
		lsp_error_prefix(err, "%s", lsp_response_name(response.type));
		lsp_response_done(&response);
		return r;
	}
	*ret_response = response;
	return 0;
}

/* ---- Encoding --------------------------------------------------------------------------------------- */

/* A *ret_json of NULL without an error: the field is left out. */
static int encode_text(
	const struct lsp_field *field, const char *text, json_t **ret_json, struct lsp_error *err)
{
	char label[LSP_LABEL_MAX + 1];
	if (!text || !*text)
		return 0;
	size_t size = strlen(text);
	if (field->kind == LSP_FIELD_LABEL) {
		lsp_label_clean(text, size, label, LSP_MIN(field->max, (uint64_t)LSP_LABEL_MAX));
		text = label;
	} else {
		int r = check_text(field->kind, field->key, text, size, err);
		if (r < 0)
			return r;
	}
	*ret_json = json_string(text);
	return *ret_json ? 0 : lsp_error_no_memory(err, "wire");
}

static int encode_hash(const struct lsp_hash *hash, json_t **ret_json, struct lsp_error *err)
{
	char hex[LSP_SHA256_HEX_SIZE];
	if (lsp_hash_is_zero(hash))
		return 0;
	lsp_hash_to_hex(hash, hex);
	*ret_json = json_string(hex);
	return *ret_json ? 0 : lsp_error_no_memory(err, "wire");
}

static int encode_number(
	const struct lsp_field *field, uint64_t number, json_t **ret_json, struct lsp_error *err)
{
	if (!field->required && number == field->absent)
		return 0;
	if (number < field->min || number > field->max)
		return lsp_error_set(err, "wire", LSP_E_INVALID,
			"\"%s\" is %llu, out of range", field->key, (unsigned long long)number);
	*ret_json = json_integer((json_int_t)number);
	return *ret_json ? 0 : lsp_error_no_memory(err, "wire");
}

static int append_item(json_t *array, json_t *item, struct lsp_error *err)
{
	if (!item || json_array_append_new(array, item) < 0)
		return lsp_error_no_memory(err, "wire");
	return 0;
}

static int encode_ranges(const struct lsp_ranges *ranges, json_t *array, struct lsp_error *err)
{
	if (ranges->count > LSP_MESSAGE_RANGES_MAX)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "too many ranges for a message");
	for (size_t i = 0; i < ranges->count; i++) {
		json_t *item = json_pack("[I,I]", (json_int_t)ranges->items[i].first,
			(json_int_t)ranges->items[i].count);
		int r = append_item(array, item, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode_runs(const struct lsp_get_blocks *blocks, json_t *array, struct lsp_error *err)
{
	if (blocks->run_count > LSP_MESSAGE_BLOCKS_MAX)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "too many runs for a message");
	for (size_t i = 0; i < blocks->run_count; i++) {
		const struct lsp_block_run *run = &blocks->runs[i];
		json_t *item = json_pack("[I,I,I]", (json_int_t)run->chunk,
			(json_int_t)run->first, (json_int_t)run->count);
		int r = append_item(array, item, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode_body(const struct lsp_message_type *type, const void *body, json_t **ret_json,
	struct lsp_error *err);

static int encode_games(const struct lsp_field *field, const struct lsp_game_list *games,
	json_t *array, struct lsp_error *err)
{
	if (games->count > field->max)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "too many games for a message");
	for (size_t i = 0; i < games->count; i++) {
		json_t *item = NULL;
		int r = encode_body(&lsp_game_summary_type, &games->items[i], &item, err);
		if (r == 0)
			r = append_item(array, item, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode_texts(const struct lsp_field *field, const struct lsp_text_list *list,
	json_t *array, struct lsp_error *err)
{
	if (list->count > field->max)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "too many \"%s\"", field->key);
	for (size_t i = 0; i < list->count; i++) {
		const char *text = list->items[i];
		int r = check_text(field->kind, field->key, text, strlen(text), err);
		if (r == 0)
			r = append_item(array, json_string(text), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode_list(const struct lsp_field *field, const void *value, json_t **ret_json,
	struct lsp_error *err)
{
	_cleanup_json_ json_t *array = json_array();
	if (!array)
		return lsp_error_no_memory(err, "wire");
	int r;
	if (field->kind == LSP_FIELD_RANGES)
		r = encode_ranges(value, array, err);
	else if (field->kind == LSP_FIELD_RUNS)
		r = encode_runs(lsp_container_of((char *)(uintptr_t)value, struct lsp_get_blocks,
					runs),
			array, err);
	else if (field->kind == LSP_FIELD_GAMES)
		r = encode_games(field, value, array, err);
	else
		r = encode_texts(field, value, array, err);
	if (r < 0)
		return r;
	if (field->required || json_array_size(array))
		*ret_json = TAKE_PTR(array);
	return 0;
}

static int encode_game(
	const struct lsp_game_list *games, json_t **ret_json, struct lsp_error *err)
{
	if (games->count != 1)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "not exactly one game");
	return encode_body(&lsp_game_summary_type, games->items, ret_json, err);
}

/* Two keys: "count" goes into the object here, "bits" as the field's value. */
static int encode_bitmap(const struct lsp_bitmap *map, json_t *object, json_t **ret_json,
	struct lsp_error *err)
{
	if (map->bits == 0)
		return 0;
	if (map->bits > LSP_MESSAGE_CHUNKS_MAX)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "too many chunks for a message");
	_cleanup_free_ char *text = malloc(lsp_base64_size(lsp_bitmap_bytes(map)) + 1);
	if (!text)
		return lsp_error_no_memory(err, "wire");
	lsp_base64_encode(map->bytes, lsp_bitmap_bytes(map), text);
	*ret_json = json_string(text);
	if (!*ret_json || json_object_set_new(object, "count", json_integer((json_int_t)map->bits)) < 0)
		return lsp_error_no_memory(err, "wire");
	return 0;
}

static int encode_field(const struct lsp_field *field, const void *value, json_t *object,
	json_t **ret_json, struct lsp_error *err)
{
	switch (field->kind) {
	case LSP_FIELD_NUMBER:
		return encode_number(field, *(const uint64_t *)value, ret_json, err);
	case LSP_FIELD_BOOL:
		*ret_json = *(const bool *)value ? json_true() : NULL;
		return 0;
	case LSP_FIELD_HASH:
		return encode_hash(value, ret_json, err);
	case LSP_FIELD_CODE:
		*ret_json = json_string(lsp_code_name(*(const int *)value));
		return *ret_json ? 0 : lsp_error_no_memory(err, "wire");
	case LSP_FIELD_STATE:
		*ret_json = json_string(state_names[*(const enum lsp_game_state *)value]);
		return *ret_json ? 0 : lsp_error_no_memory(err, "wire");
	case LSP_FIELD_PATH:
		return encode_text(field, *(char *const *)value, ret_json, err);
	case LSP_FIELD_RANGES:
	case LSP_FIELD_RUNS:
	case LSP_FIELD_GAMES:
	case LSP_FIELD_IDS:
	case LSP_FIELD_WORDS:
		return encode_list(field, value, ret_json, err);
	case LSP_FIELD_GAME:
		return encode_game(value, ret_json, err);
	case LSP_FIELD_BITMAP:
		return encode_bitmap(value, object, ret_json, err);
	default:
		return encode_text(field, value, ret_json, err);
	}
}

static int encode_body(const struct lsp_message_type *type, const void *body, json_t **ret_json,
	struct lsp_error *err)
{
	_cleanup_json_ json_t *object = json_object();
	if (!object)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < type->field_count; i++) {
		const struct lsp_field *field = &type->fields[i];
		json_t *value = NULL;
		int r = encode_field(
			field, (const char *)body + field->offset, object, &value, err);
		if (r < 0) {
			json_decref(value);
			return r;
		}
		if (!value && field->required)
			return lsp_error_set(
				err, "wire", LSP_E_INVALID, "\"%s\" is not set", field->key);
		if (value && json_object_set_new(object, field->key, value) < 0)
			return lsp_error_no_memory(err, "wire");
	}
	int r = type->check ? type->check(body, err) : 0;
	if (r < 0)
		return r;
	*ret_json = TAKE_PTR(object);
	return 0;
}

static int append_message(const struct lsp_message_type *type, const void *body,
	struct lsp_buffer *buffer, struct lsp_error *err)
{
	json_t *value = NULL;
	int r = encode_body(type, body, &value, err);
	if (r < 0) {
		lsp_error_prefix(err, "%s", type->name);
		return r == -LSP_E_NO_MEMORY ? r : -LSP_E_INVALID;
	}
	_cleanup_json_ json_t *message = NULL;
	if (json_object_size(value)) {
		message = json_object();
		if (!message || json_object_set_new(message, type->name, value) < 0)
			return lsp_error_no_memory(err, "wire");
	} else {
		json_decref(value);
		message = json_string(type->name);
		if (!message)
			return lsp_error_no_memory(err, "wire");
	}
	return lsp_frame_append_json(buffer, message, LSP_FRAME_MAX, err);
}

int lsp_request_append(
	const struct lsp_request *request, struct lsp_buffer *buffer, struct lsp_error *err)
{
	return append_message(&lsp_request_types[request->type], &request->hello, buffer, err);
}

int lsp_response_append(
	const struct lsp_response *response, struct lsp_buffer *buffer, struct lsp_error *err)
{
	return append_message(&lsp_response_types[response->type], &response->hello, buffer, err);
}

int lsp_response_append_error(
	const struct lsp_error *failure, struct lsp_buffer *buffer, struct lsp_error *err)
{
	struct lsp_response response = {.type = LSP_RESPONSE_ERROR, .error.code = failure->code};
	lsp_label_clean(failure->message, strlen(failure->message), response.error.message,
		LSP_LABEL_MAX);
	return lsp_response_append(&response, buffer, err);
}
