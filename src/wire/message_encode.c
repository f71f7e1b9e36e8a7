/*
 * From messages to JSON, by the tables of message.c. Checks what decoding would, so that nothing is
 * sent which the other side must refuse.
 */
#include "wire/base64.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/message_table.h"

#include <string.h>

/* ---- Encoding ---- */

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
		int r = lsp_field_check_text(field->kind, field->key, text, size, err);
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
		return lsp_error_set(err, "wire", LSP_E_INVALID, "\"%s\" is %llu, out of range",
			field->key, (unsigned long long)number);
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
		json_t *item = json_pack("[I,I,I]", (json_int_t)run->chunk, (json_int_t)run->first,
			(json_int_t)run->count);
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
		int r = lsp_field_check_text(field->kind, field->key, text, strlen(text), err);
		if (r == 0)
			r = append_item(array, json_string(text), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode_list(
	const struct lsp_field *field, const void *value, json_t **ret_json, struct lsp_error *err)
{
	_cleanup_json_ json_t *array = json_array();
	if (!array)
		return lsp_error_no_memory(err, "wire");
	int r;
	if (field->kind == LSP_FIELD_RANGES)
		r = encode_ranges(value, array, err);
	else if (field->kind == LSP_FIELD_RUNS)
		r = encode_runs(
			lsp_container_of((char *)(uintptr_t)value, struct lsp_get_blocks, runs),
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

static int encode_game(const struct lsp_game_list *games, json_t **ret_json, struct lsp_error *err)
{
	if (games->count != 1)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "not exactly one game");
	return encode_body(&lsp_game_summary_type, games->items, ret_json, err);
}

/* Two keys: "count" goes into the object here, "bits" as the field's value. */
static int encode_bitmap(
	const struct lsp_bitmap *map, json_t *object, json_t **ret_json, struct lsp_error *err)
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
	if (!*ret_json ||
		json_object_set_new(object, "count", json_integer((json_int_t)map->bits)) < 0)
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
		*ret_json = json_string(lsp_game_state_names[*(const enum lsp_game_state *)value]);
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
	_cleanup_json_ json_t *value = NULL, *message = NULL;
	int r = encode_body(type, body, &value, err);
	if (r < 0) {
		r = r == -LSP_E_NO_MEMORY ? r : -LSP_E_INVALID;
		return lsp_error_prefix(err, r, "%s", type->name);
	}
	if (json_object_size(value)) {
		message = json_object();
		if (json_object_set(message, type->name, value) < 0)
			return lsp_error_no_memory(err, "wire");
	} else {
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
	lsp_label_clean(
		failure->message, strlen(failure->message), response.error.message, LSP_LABEL_MAX);
	return lsp_response_append(&response, buffer, err);
}
