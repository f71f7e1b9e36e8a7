/* Company: what a hostile peer does in a swarm. */
#include "hostile.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define FLOOD_REQUESTS 64
#define TRICKLE_BYTES 100
#define ASK_AGAIN_TICKS 20

/* An answer that trickles. */
struct trickle {
	struct trickle *prev, *next;
	struct hostile *hostile;
	struct lsp_responder *responder;
	uint64_t left;
};

static bool claims(const struct hostile *hostile)
{
	return hostile->kind == LURE ||
	       (hostile->manifest && hostile->kind != FLOOD && hostile->kind != GREEDY);
}

/* ---- A game that nobody has ------------------------------------------------------------------ */

/* The content id is that of the bytes, whatever they are. */
void company_begin(struct hostile *hostile)
{
	static uint8_t bytes[1 << 20];
	struct lsp_game_summary *summary = &hostile->summary;
	struct lsp_error err = {0};
	if (hostile->kind != LURE)
		return;
	FILE *file = fopen(hostile->folder, "rb");
	size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
	if (size < 4)
		die(hostile->folder, NULL);
	fclose(file);
	size_t info = (size_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
	lsp_sha256(&summary->content, bytes + 4, LSP_MIN(info, size - 4));
	if (lsp_buffer_append(&hostile->transport, bytes, size, &err) < 0)
		die("manifest", &err);
	snprintf(summary->id, sizeof summary->id, "%s", hostile->game);
	snprintf(summary->version, sizeof summary->version, "1.0");
	summary->size = 5;
	summary->state = LSP_GAME_READY;
}

/* ---- The copy of somebody's announcement ----------------------------------------------------- */

static void claim(struct victim *victim)
{
	struct hostile *hostile = victim->hostile;
	struct lsp_request delta = {.type = LSP_REQUEST_LIBRARY_DELTA};
	if (!victim->up || victim->claimed || !claims(hostile))
		return;
	victim->claimed = true;
	delta.library_delta.base = 1;
	delta.library_delta.revision = 2;
	delta.library_delta.changed = (struct lsp_game_list){&hostile->summary, 1};
	lsp_exchange_tell(victim->connection, &delta);
	say(json_pack("{s:s, s:s}", "event", "claimed", "peer", victim->address));
}

static void manifest_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	struct lsp_error err = {0};
	if (lsp_buffer_append(&victim->hostile->transport, data, size, &err) < 0)
		die("manifest", &err);
	lsp_exchange_consume(exchange, size);
}

static void manifest_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	struct hostile *hostile = victim->hostile;
	struct lsp_error err = {0};
	hostile->fetching = NULL;
	if (error || lsp_manifest_parse(hostile->transport.data, hostile->transport.size,
			     &hostile->summary.content, &hostile->manifest, &err) < 0) {
		lsp_buffer_reset(&hostile->transport);
		hostile->summary.content = (struct lsp_hash){0};
		return;
	}
	for (size_t i = 0; i < hostile->victim_count; i++)
		claim(&hostile->victims[i]);
}

static void game_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.bytes = manifest_bytes, .done = manifest_done};
	struct victim *victim = lsp_exchange_argument(exchange);
	struct hostile *hostile = victim->hostile;
	struct lsp_request request = {.type = LSP_REQUEST_GET_MANIFEST};
	if (response->type != LSP_RESPONSE_GAME || hostile->fetching || hostile->manifest ||
		lsp_hash_is_zero(&response->game.games.items[0].content))
		return;
	hostile->summary = response->game.games.items[0];
	hostile->summary.state = LSP_GAME_READY;
	request.get_content.content = hostile->summary.content;
	(void)!lsp_exchange_start(
		victim->connection, &request, &callbacks, victim, &hostile->fetching, NULL);
}

static void game_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	victim->listing = false;
}

static void ask_for_game(struct victim *victim)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = game_came, .done = game_done};
	struct hostile *hostile = victim->hostile;
	struct lsp_request request = {.type = LSP_REQUEST_GET_GAME};
	struct lsp_exchange *exchange;
	if (!victim->up || victim->listing || hostile->manifest || hostile->kind == LURE)
		return;
	snprintf(request.get_game.id, sizeof request.get_game.id, "%s", hostile->game);
	victim->listing = lsp_exchange_start(victim->connection, &request, &callbacks, victim,
				  &exchange, NULL) == 0;
}

void company_up(struct victim *victim)
{
	ask_for_game(victim);
	claim(victim);
}

/* ---- Floods ---------------------------------------------------------------------------------- */

static void flood_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	victim->hostile->received += size;
	if (victim->hostile->kind == FLOOD)
		lsp_exchange_consume(exchange, size);
}

static void flood_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	victim->in_flight--;
}

static void flood(struct victim *victim)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.bytes = flood_bytes, .done = flood_done};
	struct hostile *hostile = victim->hostile;
	struct lsp_request request = {.type = LSP_REQUEST_GET_CHUNKS};
	struct lsp_exchange *exchange;
	while (victim->up && victim->in_flight < FLOOD_REQUESTS) {
		request.get_chunks.content = hostile->summary.content;
		request.get_chunks.first = hostile->turn++ % hostile->manifest->chunk_count;
		request.get_chunks.count = 1;
		request.get_chunks.insist = true;
		if (lsp_exchange_start(
			    victim->connection, &request, &callbacks, victim, &exchange, NULL) < 0)
			return;
		victim->in_flight++;
		hostile->asked++;
	}
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void list_games(struct victim *victim, struct lsp_responder *responder)
{
	struct hostile *hostile = victim->hostile;
	struct lsp_response response = {.type = LSP_RESPONSE_GAMES};
	response.games.revision = victim->claimed ? 2 : 1;
	if (victim->claimed)
		response.games.games = (struct lsp_game_list){&hostile->summary, 1};
	lsp_responder_send(responder, &response);
}

static void give_manifest(struct hostile *hostile, struct lsp_responder *responder)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = hostile->transport.size;
	lsp_responder_begin_bytes(responder, &response);
	lsp_responder_bytes(
		responder, hostile->transport.data, hostile->transport.size, NULL, NULL);
}

/* One chunk of what was asked for: that is allowed, and enough. */
static uint64_t begin_chunk(
	struct hostile *hostile, struct lsp_responder *responder, uint64_t first)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	struct lsp_chunk chunk;
	lsp_manifest_chunk(hostile->manifest, (uint32_t)first, &chunk);
	response.bytes.length = chunk.size;
	response.bytes.count = 1;
	lsp_responder_begin_bytes(responder, &response);
	return chunk.size;
}

static void give_rubbish(struct hostile *hostile, struct lsp_responder *responder, uint64_t size)
{
	uint8_t *rubbish = malloc(size);
	if (!rubbish)
		die("memory", NULL);
	memset(rubbish, 0xa5, size);
	hostile->sent += size;
	lsp_responder_bytes(responder, rubbish, size, free, rubbish);
}

static void reset_now(void *argument)
{
	lsp_responder_abort(argument);
}

static void trickle_gone(void *argument)
{
	struct trickle *trickle = argument;
	DL_DELETE(trickle->hostile->trickles, trickle);
	free(trickle);
}

static void trickle_start(struct hostile *hostile, struct lsp_responder *responder, uint64_t first)
{
	struct trickle *trickle = calloc(1, sizeof *trickle);
	if (!trickle)
		die("memory", NULL);
	trickle->hostile = hostile;
	trickle->responder = responder;
	DL_APPEND(hostile->trickles, trickle);
	lsp_responder_own(responder,
		&(struct lsp_responder_owner){.gone = trickle_gone, .argument = trickle});
	trickle->left = begin_chunk(hostile, responder, first);
}

/* What the chunk really is, or half of it. */
static void give_truth(struct hostile *hostile, struct lsp_responder *responder, uint64_t first)
{
	struct lsp_chunk chunk;
	char path[4096];
	uint64_t size = begin_chunk(hostile, responder, first);
	lsp_manifest_chunk(hostile->manifest, (uint32_t)first, &chunk);
	snprintf(path, sizeof path, "%s/%s", hostile->folder,
		hostile->manifest->files[chunk.file].path);
	uint8_t *bytes = malloc(size);
	FILE *file = fopen(path, "rb");
	if (!bytes || !file || fseeko(file, (off_t)chunk.offset, SEEK_SET) != 0 ||
		fread(bytes, 1, size, file) != size)
		die(path, NULL);
	fclose(file);
	if (hostile->asked % 10 == 0) {
		lsp_responder_own(responder,
			&(struct lsp_responder_owner){.more = reset_now, .argument = responder});
		size /= 2;
	}
	hostile->sent += size;
	lsp_responder_bytes(responder, bytes, size, free, bytes);
}

static void give_chunks(struct victim *victim, struct lsp_responder *responder, uint64_t first)
{
	struct hostile *hostile = victim->hostile;
	struct lsp_error err = {0};
	hostile->asked++;
	if (!victim->asked)
		say(json_pack("{s:s, s:s}", "event", "asked", "peer", victim->address));
	victim->asked = true;
	if (hostile->kind == STALL)
		return;
	if (hostile->kind == POISON) {
		give_rubbish(hostile, responder, begin_chunk(hostile, responder, first));
	} else if (hostile->kind == FLAKY) {
		give_truth(hostile, responder, first);
	} else if (hostile->kind == TRICKLE) {
		trickle_start(hostile, responder, first);
	} else if (hostile->kind == RESET) {
		lsp_responder_own(responder,
			&(struct lsp_responder_owner){.more = reset_now, .argument = responder});
		give_rubbish(hostile, responder, begin_chunk(hostile, responder, first) / 2);
	} else {
		lsp_error_set(&err, "hostile", LSP_E_NOT_FOUND, "I don't have that");
		lsp_responder_fail(responder, &err);
	}
}

void company_request(
	struct victim *victim, struct lsp_responder *responder, const struct lsp_request *request)
{
	struct hostile *hostile = victim->hostile;
	struct lsp_response haves = {.type = LSP_RESPONSE_HAVES};
	struct lsp_error err = {0};
	if (request->type == LSP_REQUEST_LIST_GAMES) {
		list_games(victim, responder);
	} else if (request->type == LSP_REQUEST_GET_MANIFEST && hostile->transport.size) {
		give_manifest(hostile, responder);
	} else if (request->type == LSP_REQUEST_GET_CHUNKS && hostile->manifest &&
		   request->get_chunks.first < hostile->manifest->chunk_count) {
		give_chunks(victim, responder, request->get_chunks.first);
	} else if (request->type == LSP_REQUEST_FOLLOW) {
		haves.haves.content = request->get_content.content;
		haves.haves.all = true;
		lsp_responder_send(responder, &haves);
	} else if (request->type >= LSP_REQUEST_LIBRARY_DELTA) {
		lsp_responder_ok(responder);
	} else {
		lsp_error_set(&err, "hostile", LSP_E_NOT_FOUND, "nothing of that kind here");
		lsp_responder_fail(responder, &err);
	}
}

/* ---- The clock ------------------------------------------------------------------------------- */

static void trickle_all(struct hostile *hostile)
{
	static const uint8_t rubbish[TRICKLE_BYTES];
	struct trickle *trickle;
	DL_FOREACH(hostile->trickles, trickle)
	{
		size_t size = (size_t)LSP_MIN(trickle->left, (uint64_t)TRICKLE_BYTES);
		if (!size)
			continue;
		trickle->left -= size;
		hostile->sent += size;
		lsp_responder_bytes(trickle->responder, rubbish, size, NULL, NULL);
	}
}

void company_tick(struct hostile *hostile)
{
	static unsigned ticks;
	ticks++;
	for (size_t i = 0; i < hostile->victim_count; i++) {
		struct victim *victim = &hostile->victims[i];
		if (ticks % ASK_AGAIN_TICKS == 0)
			ask_for_game(victim);
		if (hostile->manifest && !claims(hostile))
			flood(victim);
	}
	if (ticks % 100 == 0)
		trickle_all(hostile);
}

void company_done(struct hostile *hostile)
{
	say(json_pack("{s:s, s:I, s:I, s:I}", "event", "done", "asked", (json_int_t)hostile->asked,
		"sent", (json_int_t)hostile->sent, "received", (json_int_t)hostile->received));
}
