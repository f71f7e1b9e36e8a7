#include "wire/message.h"

#include "wire/message_table.h"

#include <string.h>

#define NUMBER_MAX ((UINT64_C(1) << 53) - 1) /* what every JSON reader can hold */

#define FIELD(type, member, key_, kind_, ...)                                                      \
	{                                                                                          \
		.key = (key_), .kind = LSP_FIELD_##kind_, .offset = offsetof(type, member),        \
		__VA_ARGS__                                                                        \
	}
#define TYPE(name_, fields_, check_)                                                               \
	{                                                                                          \
		.name = (name_), .fields = (fields_), .field_count = LSP_ARRAY_SIZE(fields_),      \
		.check = (check_)                                                                  \
	}
#define UNIT(name_)                                                                                \
	{                                                                                          \
		.name = (name_)                                                                    \
	}
#define REQUIRED .required = true

/* ---- Checks of whole messages ----------------------------------------------------------- */

static int check_file(
	const struct lsp_hash *content, const char *id, const char *path, struct lsp_error *err)
{
	if (lsp_hash_is_zero(content) == !*id)
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "either \"content\" or \"id\" names the game");
	if (!path)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"path\" is missing");
	return 0;
}

static int check_get_file(const void *body, struct lsp_error *err)
{
	const struct lsp_get_file *m = body;
	return check_file(&m->content, m->id, m->path, err);
}

static int check_get_file_range(const void *body, struct lsp_error *err)
{
	const struct lsp_get_file_range *m = body;
	return check_file(&m->content, m->id, m->path, err);
}

static int check_haves(const void *body, struct lsp_error *err)
{
	const struct lsp_haves *m = body;
	if (m->all != (m->chunks.bits == 0))
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "either \"all\" or \"count\" and \"bits\"");
	return 0;
}

static int check_some_chunks(const void *body, struct lsp_error *err)
{
	const struct lsp_chunk_set *m = body;
	if (m->chunks.count == 0)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "\"chunks\" is empty");
	return 0;
}

static int check_blocks(const void *body, struct lsp_error *err)
{
	const struct lsp_get_blocks *m = body;
	uint64_t leaves = 0;
	for (size_t i = 0; i < m->run_count; i++)
		leaves += m->runs[i].count;
	if (leaves == 0 || leaves > LSP_MESSAGE_BYTES_MAX / 16384)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"\"blocks\" asks for %llu leaves, not for 1 to 4096",
			(unsigned long long)leaves);
	return 0;
}

/* ---- Tables ----------------------------------------------------------------------------- */

static const struct lsp_field hello_fields[] = {
	FIELD(struct lsp_hello, version, "version", NUMBER, REQUIRED, .min = 1, .max = NUMBER_MAX),
	FIELD(struct lsp_hello, peer, "peer", HASH, REQUIRED),
	FIELD(struct lsp_hello, instance, "instance", HASH, REQUIRED),
	FIELD(struct lsp_hello, name, "name", LABEL, .max = LSP_PEER_NAME_MAX),
	FIELD(struct lsp_hello, port, "port", NUMBER, .max = 65535),
	FIELD(struct lsp_hello, features, "features", WORDS, .max = LSP_MESSAGE_FEATURES_MAX),
	FIELD(struct lsp_hello, revision, "revision", NUMBER, .max = NUMBER_MAX),
	FIELD(struct lsp_hello, games, "games", NUMBER, .max = NUMBER_MAX),
	FIELD(struct lsp_hello, torrent_port, "torrent_port", NUMBER, .max = 65535),
};
static const struct lsp_field torrent_port_fields[] = {
	FIELD(struct lsp_torrent_port, port, "port", NUMBER, REQUIRED, .max = 65535),
};
static const struct lsp_field list_games_fields[] = {
	FIELD(struct lsp_list_games, after, "after", ID),
	FIELD(struct lsp_list_games, limit, "limit", NUMBER, .min = 1, .max = LSP_MESSAGE_GAMES_MAX,
		.absent = LSP_MESSAGE_GAMES_MAX),
};
static const struct lsp_field get_game_fields[] = {
	FIELD(struct lsp_get_game, id, "id", ID, REQUIRED),
};
static const struct lsp_field get_content_fields[] = {
	FIELD(struct lsp_get_content, content, "content", HASH, REQUIRED),
};
static const struct lsp_field get_file_fields[] = {
	FIELD(struct lsp_get_file, content, "content", HASH),
	FIELD(struct lsp_get_file, id, "id", ID),
	FIELD(struct lsp_get_file, path, "path", PATH, REQUIRED),
};
static const struct lsp_field get_file_range_fields[] = {
	FIELD(struct lsp_get_file_range, content, "content", HASH),
	FIELD(struct lsp_get_file_range, id, "id", ID),
	FIELD(struct lsp_get_file_range, path, "path", PATH, REQUIRED),
	FIELD(struct lsp_get_file_range, offset, "offset", NUMBER, REQUIRED, .max = NUMBER_MAX),
	FIELD(struct lsp_get_file_range, length, "length", NUMBER, REQUIRED, .min = 1,
		.max = LSP_MESSAGE_BYTES_MAX),
};
static const struct lsp_field get_chunks_fields[] = {
	FIELD(struct lsp_get_chunks, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_get_chunks, first, "first", NUMBER, REQUIRED,
		.max = LSP_MESSAGE_CHUNKS_MAX - 1),
	FIELD(struct lsp_get_chunks, count, "count", NUMBER, REQUIRED, .min = 1,
		.max = LSP_MESSAGE_CHUNKS_MAX),
	FIELD(struct lsp_get_chunks, insist, "insist", BOOL),
	FIELD(struct lsp_get_chunks, gentle, "gentle", BOOL),
};
static const struct lsp_field get_blocks_fields[] = {
	FIELD(struct lsp_get_blocks, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_get_blocks, runs, "blocks", RUNS, REQUIRED),
	FIELD(struct lsp_get_blocks, gentle, "gentle", BOOL),
};
static const struct lsp_field get_hashes_fields[] = {
	FIELD(struct lsp_get_hashes, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_get_hashes, first, "first", NUMBER, REQUIRED,
		.max = LSP_MESSAGE_CHUNKS_MAX - 1),
	FIELD(struct lsp_get_hashes, count, "count", NUMBER, REQUIRED, .min = 1,
		.max = LSP_MESSAGE_CHUNKS_MAX),
};
static const struct lsp_field library_delta_fields[] = {
	FIELD(struct lsp_library_delta, base, "base", NUMBER, REQUIRED, .max = NUMBER_MAX),
	FIELD(struct lsp_library_delta, revision, "revision", NUMBER, REQUIRED, .max = NUMBER_MAX),
	FIELD(struct lsp_library_delta, changed, "changed", GAMES, .max = LSP_MESSAGE_GAMES_MAX),
	FIELD(struct lsp_library_delta, removed, "removed", IDS, .max = LSP_MESSAGE_GAMES_MAX),
};
static const struct lsp_field haves_fields[] = {
	FIELD(struct lsp_haves, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_haves, all, "all", BOOL),
	FIELD(struct lsp_haves, chunks, "bits", BITMAP, .max = LSP_MESSAGE_CHUNKS_MAX),
};
static const struct lsp_field chunk_set_fields[] = {
	FIELD(struct lsp_chunk_set, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_chunk_set, chunks, "chunks", RANGES),
};
static const struct lsp_field chunk_rejected_fields[] = {
	FIELD(struct lsp_chunk_rejected, content, "content", HASH, REQUIRED),
	FIELD(struct lsp_chunk_rejected, chunk, "chunk", NUMBER, REQUIRED,
		.max = LSP_MESSAGE_CHUNKS_MAX - 1),
};
static const struct lsp_field goodbye_fields[] = {
	FIELD(struct lsp_goodbye, reason, "reason", LABEL, .max = LSP_LABEL_MAX),
};
static const struct lsp_field error_fields[] = {
	FIELD(struct lsp_error_response, code, "code", CODE, REQUIRED),
	FIELD(struct lsp_error_response, message, "message", LABEL, .max = LSP_LABEL_MAX),
	FIELD(struct lsp_error_response, retry_ms, "retry_ms", NUMBER, .max = 3600000),
	FIELD(struct lsp_error_response, bounce, "bounce", WORD),
	FIELD(struct lsp_error_response, has_hint, "has_hint", BOOL),
	FIELD(struct lsp_error_response, hint, "hint", NUMBER, .max = LSP_MESSAGE_CHUNKS_MAX),
};
static const struct lsp_field games_fields[] = {
	FIELD(struct lsp_games_response, revision, "revision", NUMBER, .max = NUMBER_MAX),
	FIELD(struct lsp_games_response, more, "more", BOOL),
	FIELD(struct lsp_games_response, games, "games", GAMES, REQUIRED,
		.max = LSP_MESSAGE_GAMES_MAX),
};
static const struct lsp_field game_fields[] = {
	FIELD(struct lsp_game_response, games, "game", GAME, REQUIRED),
};
static const struct lsp_field bytes_fields[] = {
	FIELD(struct lsp_bytes_response, length, "length", NUMBER, REQUIRED, .max = NUMBER_MAX),
	FIELD(struct lsp_bytes_response, count, "count", NUMBER, .max = LSP_MESSAGE_CHUNKS_MAX),
	FIELD(struct lsp_bytes_response, media, "media", WORD),
};
static const struct lsp_field summary_fields[] = {
	FIELD(struct lsp_game_summary, id, "id", ID, REQUIRED),
	FIELD(struct lsp_game_summary, title, "title", LABEL, .max = LSP_LABEL_MAX),
	FIELD(struct lsp_game_summary, version, "version", VERSION),
	FIELD(struct lsp_game_summary, size, "size", NUMBER, .max = UINT64_C(1) << 43),
	FIELD(struct lsp_game_summary, content, "content", HASH),
	FIELD(struct lsp_game_summary, state, "state", STATE, REQUIRED),
	FIELD(struct lsp_game_summary, has_cover, "cover", BOOL),
};

const struct lsp_message_type lsp_game_summary_type = TYPE("Game", summary_fields, NULL);

const struct lsp_message_type lsp_request_types[LSP_REQUEST_COUNT] = {
	[LSP_REQUEST_PING] = UNIT("Ping"),
	[LSP_REQUEST_HELLO] = TYPE("Hello", hello_fields, NULL),
	[LSP_REQUEST_LIST_GAMES] = TYPE("ListGames", list_games_fields, NULL),
	[LSP_REQUEST_GET_GAME] = TYPE("GetGame", get_game_fields, NULL),
	[LSP_REQUEST_GET_MANIFEST] = TYPE("GetManifest", get_content_fields, NULL),
	[LSP_REQUEST_GET_GAME_FILE_DATA] = TYPE("GetGameFileData", get_file_fields, check_get_file),
	[LSP_REQUEST_GET_GAME_FILE_CHUNK] =
		TYPE("GetGameFileChunk", get_file_range_fields, check_get_file_range),
	[LSP_REQUEST_GET_CHUNKS] = TYPE("GetChunks", get_chunks_fields, NULL),
	[LSP_REQUEST_GET_BLOCKS] = TYPE("GetBlocks", get_blocks_fields, check_blocks),
	[LSP_REQUEST_GET_HASHES] = TYPE("GetHashes", get_hashes_fields, NULL),
	[LSP_REQUEST_GET_COVER] = TYPE("GetCover", get_game_fields, NULL),
	[LSP_REQUEST_LIBRARY_DELTA] = TYPE("LibraryDelta", library_delta_fields, NULL),
	[LSP_REQUEST_FOLLOW] = TYPE("Follow", get_content_fields, NULL),
	[LSP_REQUEST_UNFOLLOW] = TYPE("Unfollow", get_content_fields, NULL),
	[LSP_REQUEST_HAVES] = TYPE("Haves", haves_fields, check_haves),
	[LSP_REQUEST_HAVE_UPDATE] = TYPE("HaveUpdate", chunk_set_fields, check_some_chunks),
	[LSP_REQUEST_SUGGEST] = TYPE("Suggest", chunk_set_fields, check_some_chunks),
	[LSP_REQUEST_CHUNK_REJECTED] = TYPE("ChunkRejected", chunk_rejected_fields, NULL),
	[LSP_REQUEST_WITHDRAW] = TYPE("Withdraw", chunk_set_fields, NULL),
	[LSP_REQUEST_TORRENT_PORT] = TYPE("TorrentPort", torrent_port_fields, NULL),
	[LSP_REQUEST_GOODBYE] = TYPE("Goodbye", goodbye_fields, NULL),
};

const struct lsp_message_type lsp_response_types[LSP_RESPONSE_COUNT] = {
	[LSP_RESPONSE_OK] = UNIT("Ok"),
	[LSP_RESPONSE_PONG] = UNIT("Pong"),
	[LSP_RESPONSE_ERROR] = TYPE("Error", error_fields, NULL),
	[LSP_RESPONSE_HELLO] = TYPE("Hello", hello_fields, NULL),
	[LSP_RESPONSE_GAMES] = TYPE("Games", games_fields, NULL),
	[LSP_RESPONSE_GAME] = TYPE("Game", game_fields, NULL),
	[LSP_RESPONSE_HAVES] = TYPE("Haves", haves_fields, check_haves),
	[LSP_RESPONSE_BYTES] = TYPE("Bytes", bytes_fields, NULL),
};

/* ---- Lifetime ---- */

void lsp_ranges_done(struct lsp_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct lsp_ranges){0};
}

static void texts_done(struct lsp_text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct lsp_text_list){0};
}

static void field_done(const struct lsp_field *field, void *value)
{
	switch (field->kind) {
	case LSP_FIELD_PATH:
		free(*(char **)value);
		*(char **)value = NULL;
		break;
	case LSP_FIELD_RANGES:
		lsp_ranges_done(value);
		break;
	case LSP_FIELD_RUNS: {
		struct lsp_get_blocks *blocks =
			lsp_container_of(value, struct lsp_get_blocks, runs);
		free(blocks->runs);
		blocks->runs = NULL;
		blocks->run_count = 0;
		break;
	}
	case LSP_FIELD_GAMES:
	case LSP_FIELD_GAME: {
		struct lsp_game_list *games = value;
		free(games->items);
		*games = (struct lsp_game_list){0};
		break;
	}
	case LSP_FIELD_IDS:
	case LSP_FIELD_WORDS:
		texts_done(value);
		break;
	case LSP_FIELD_BITMAP:
		lsp_bitmap_done(value);
		break;
	default:
		break;
	}
}

void lsp_fields_done(const struct lsp_message_type *type, void *body)
{
	for (size_t i = 0; i < type->field_count; i++)
		field_done(&type->fields[i], (char *)body + type->fields[i].offset);
}

void lsp_request_done(struct lsp_request *request)
{
	lsp_fields_done(&lsp_request_types[request->type], &request->hello);
	*request = (struct lsp_request){0};
}

void lsp_response_done(struct lsp_response *response)
{
	lsp_fields_done(&lsp_response_types[response->type], &response->hello);
	*response = (struct lsp_response){0};
}

const char *lsp_request_name(enum lsp_request_type type)
{
	return type < LSP_REQUEST_COUNT ? lsp_request_types[type].name : "?";
}

const char *lsp_response_name(enum lsp_response_type type)
{
	return type < LSP_RESPONSE_COUNT ? lsp_response_types[type].name : "?";
}

/* ---- Ranges ---- */

bool lsp_ranges_fit(const struct lsp_ranges *ranges, uint64_t end)
{
	uint64_t total = 0;
	for (size_t i = 0; i < ranges->count; i++) {
		const struct lsp_range *range = &ranges->items[i];
		if (range->first >= end || range->count > end - range->first)
			return false;
		total += range->count;
	}
	return total <= end;
}

int lsp_ranges_from_bitmap(const struct lsp_bitmap *map, size_t from, size_t max,
	struct lsp_ranges *ret_ranges, size_t *ret_next, struct lsp_error *err)
{
	size_t room = 0;
	struct lsp_ranges ranges = {0};
	size_t next = lsp_bitmap_next_set(map, from);
	while (next < map->bits && ranges.count < max) {
		if (ranges.count == room) {
			room = LSP_MAX((size_t)16, room * 2);
			struct lsp_range *items = reallocarray(ranges.items, room, sizeof *items);
			if (!items) {
				lsp_ranges_done(&ranges);
				return lsp_error_no_memory(err, "wire");
			}
			ranges.items = items;
		}
		size_t end = lsp_bitmap_next_clear(map, next);
		ranges.items[ranges.count++] = (struct lsp_range){next, end - next};
		next = lsp_bitmap_next_set(map, end);
	}
	*ret_ranges = ranges;
	*ret_next = next;
	return 0;
}
