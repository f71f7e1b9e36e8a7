/* Broken rules of the wire, one a run. */
#include "hostile.h"

#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 100000
#define STREAMS 100000
#define SLOW_PAYLOAD "{\"GetGame\":{\"id\":\"a game that is asked for one byte at a time\"}}"
#define CONTENT "0000000000000000000000000000000000000000000000000000000000000000"
#define ASK_FOR(first)                                                                             \
	"{\"GetChunks\":{\"content\":\"" CONTENT "\",\"first\":" first ",\"count\":1}}"

enum rule_form {
	HEADER,
	PAYLOAD,
	DEEP,
	SLOW,
	MANY_STREAMS,
	HELLO_AGAIN,
	GARBAGE,
	RAW,
	FORGED,
	FETCH
};

static const struct rule {
	const char *name;
	enum rule_form form;
	uint32_t length; /* of HEADER */
	const char *payload;
	bool early;
	enum flood flood; /* of FORGED */
} rules[] = {
	{"frame-zero", HEADER, 0},
	{"frame-large", HEADER, LSP_FRAME_MAX + 1},
	{"frame-huge", HEADER, UINT32_MAX},
	{"slow", SLOW},
	{"deep", DEEP},
	{"duplicate", PAYLOAD, .payload = "{\"GetGame\":{\"id\":\"one\",\"id\":\"two\"}}"},
	{"nul", PAYLOAD, .payload = "{\"GetGame\":{\"id\":\"a\\u0000b\"}}"},
	{"negative", PAYLOAD, .payload = ASK_FOR("-1")},
	{"infinite", PAYLOAD, .payload = ASK_FOR("1e999")},
	{"huge-number", PAYLOAD, .payload = ASK_FOR("9223372036854775808")},
	{"wrong-state", PAYLOAD, .payload = ASK_FOR("0"), .early = true},
	{"second-hello", HELLO_AGAIN},
	{"streams", MANY_STREAMS},
	{"garbage", GARBAGE},
	{"raw", RAW},
	/* No broken rule: a file of the test's game, for who broke one before (--parameters). */
	{"fetch", FETCH,
		.payload = "{\"GetGameFileData\":{\"id\":\"quake\",\"path\":\"data/large.bin\"}}"},
	{"cids", FORGED, .flood = FLOOD_CIDS},
	{"retired-cids", FORGED, .flood = FLOOD_RETIRED_CIDS},
	{"challenges", FORGED, .flood = FLOOD_CHALLENGES},
	{"gaps", FORGED, .flood = FLOOD_GAPS},
};

static const struct rule *find(const char *name)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

bool rule_is_known(const char *name)
{
	return find(name) != NULL;
}

/* ---- What comes back ------------------------------------------------------------------------- */

/* Only which kind of answer: {"Error":… or another. */
static void answer(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct hostile *hostile = argument;
	lsp_stream_consume(stream, size);
	hostile->answered += size;
	if (size && !hostile->answer[0]) {
		bool error = memmem(data, size, "\"Error\"", 7) != NULL;
		snprintf(hostile->answer, sizeof hostile->answer, "%s", error ? "error" : "answer");
	}
	hostile->whole |= fin;
}

static void stream_over(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct hostile *hostile = argument;
	for (size_t i = 0; i < hostile->opened_count; i++)
		if (hostile->opened[i] == stream)
			hostile->opened[i] = NULL;
	if (hostile->stream == stream)
		hostile->stream = NULL;
}

static const struct lsp_stream_callbacks callbacks = {.data = answer, .closed = stream_over};

void rule_result(struct hostile *hostile, const struct lsp_close *close)
{
	if (!hostile->rule)
		return;
	double passed = (double)(lsp_now(lsp_clock_system) - hostile->begun) / LSP_SECOND;
	say(json_pack("{s:s, s:s, s:b, s:s, s:b, s:f, s:s, s:s, s:I, s:I}", "event", "result",
		"rule", hostile->rule, "closed", close != NULL, "reason",
		close ? lsp_close_reason_name(close->reason) : "", "by_peer",
		close && close->by_peer, "seconds", passed, "message", close ? close->message : "",
		"answer", hostile->answer[0] ? hostile->answer : "none", "frames",
		(json_int_t)hostile->forged, "answered", (json_int_t)hostile->answered));
	hostile->rule = NULL;
	leave(hostile);
}

/* ---- Breaking it ----------------------------------------------------------------------------- */

static void append(struct lsp_buffer *buffer, const void *data, size_t size)
{
	struct lsp_error err = {0};
	if (lsp_buffer_append(buffer, data, size, &err) < 0)
		die("memory", &err);
}

static void append_header(struct lsp_buffer *buffer, uint32_t length)
{
	uint8_t header[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
		(uint8_t)(length >> 8), (uint8_t)length};
	append(buffer, header, sizeof header);
}

static void append_frame(struct lsp_buffer *buffer, const char *payload)
{
	append_header(buffer, (uint32_t)strlen(payload));
	append(buffer, payload, strlen(payload));
}

static void append_file(struct lsp_buffer *buffer, const char *path)
{
	char part[4096];
	size_t size;
	FILE *file = path ? fopen(path, "rb") : NULL;
	if (!file)
		die("raw FILE", NULL);
	while ((size = fread(part, 1, sizeof part, file)))
		append(buffer, part, size);
	fclose(file);
}

static void append_hello(struct lsp_buffer *buffer, const struct hostile *hostile)
{
	struct lsp_request hello = {.type = LSP_REQUEST_HELLO};
	struct lsp_error err = {0};
	hello.hello.version = LSP_PROTOCOL_VERSION;
	hello.hello.peer = *lsp_identity_peer_id(hostile->identity);
	hello.hello.instance = hostile->instance;
	if (lsp_request_append(&hello, buffer, &err) < 0)
		die("Hello", &err);
}

static void build(const struct hostile *hostile, const struct rule *rule, struct lsp_buffer *buffer)
{
	uint8_t random[4096];
	switch (rule->form) {
	case HEADER:
		append_header(buffer, rule->length);
		break;
	case PAYLOAD:
	case FETCH:
		append_frame(buffer, rule->payload);
		break;
	case DEEP:
		append_header(buffer, DEPTH);
		for (int i = 0; i < DEPTH; i++)
			append(buffer, "[", 1);
		break;
	case HELLO_AGAIN:
		append_hello(buffer, hostile);
		break;
	case GARBAGE:
		lsp_random_bytes(random, sizeof random);
		append(buffer, random, sizeof random);
		break;
	case RAW:
		append_file(buffer, hostile->file);
		break;
	case SLOW:
	case MANY_STREAMS:
	case FORGED:
		break;
	}
}

void rule_break(struct victim *victim)
{
	struct hostile *hostile = victim->hostile;
	const struct rule *rule = find(hostile->rule);
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	struct lsp_error err = {0};
	hostile->begun = lsp_now(lsp_clock_system);
	if (rule->form == MANY_STREAMS) {
		hostile->streams_left = STREAMS;
		return;
	}
	if (rule->form == FORGED) {
		forge_begin(hostile->endpoint, &victim->to);
		return;
	}
	if (lsp_connection_open_stream(
		    victim->connection, &callbacks, hostile, &hostile->stream, &err) < 0)
		die("a stream", &err);
	if (rule->form == SLOW) {
		append_frame(&hostile->slow, SLOW_PAYLOAD);
		return;
	}
	build(hostile, rule, &buffer);
	if (lsp_stream_write(hostile->stream, buffer.data, buffer.size, &err) < 0)
		die("write", &err);
	lsp_stream_finish(hostile->stream);
}

/* ---- The clock ------------------------------------------------------------------------------- */

static void slow_byte(struct hostile *hostile)
{
	static unsigned ticks;
	if (!hostile->stream || ++ticks % 100 || hostile->slow_at == hostile->slow.size)
		return;
	(void)!lsp_stream_write(
		hostile->stream, (uint8_t *)hostile->slow.data + hostile->slow_at++, 1, NULL);
}

/* Those of the last round are reset, new ones opened, each with a byte, so that they exist. */
static void many_streams(struct hostile *hostile)
{
	struct victim *victim = &hostile->victims[0];
	if (!victim->connection || !hostile->streams_left)
		return;
	for (size_t i = 0; i < hostile->opened_count; i++)
		if (hostile->opened[i])
			lsp_stream_abort(hostile->opened[i], LSP_STREAM_CANCELLED);
	hostile->opened_count = 0;
	while (hostile->opened_count < LSP_ARRAY_SIZE(hostile->opened) && hostile->streams_left) {
		struct lsp_stream *stream;
		if (lsp_connection_open_stream(
			    victim->connection, &callbacks, hostile, &stream, NULL) < 0)
			return;
		(void)!lsp_stream_write(stream, "", 1, NULL);
		hostile->opened[hostile->opened_count++] = stream;
		hostile->streams_left--;
	}
}

void rule_tick(struct hostile *hostile)
{
	if (!hostile->begun || !hostile->rule)
		return;
	lsp_time passed = lsp_now(lsp_clock_system) - hostile->begun;
	bool fetched = hostile->whole && find(hostile->rule)->form == FETCH;
	if (fetched || (double)passed / LSP_SECOND > hostile->seconds) {
		rule_result(hostile, NULL);
		return;
	}
	slow_byte(hostile);
	many_streams(hostile);
	if (find(hostile->rule)->form == FORGED && hostile->victims[0].connection)
		hostile->forged = forge_flood(find(hostile->rule)->flood);
}
