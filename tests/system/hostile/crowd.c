/*
 * A crowd: many connections from one address, each with a key and a socket of its own, that come
 * back whenever they are sent away. `half` begin a handshake, prove their address and never finish;
 * `mute` finish it and say nothing; `idle` say Hello, list no game and answer what they are asked.
 */
#include "hostile.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define TELL_TICKS 50
#define LONG_HEADER 0x80
#define TYPE 0x30 /* of a long header; all bits: Retry (RFC 9000, 17.2.5) */

struct member {
	struct victim victim; /* first: what main.c's callbacks take it for */
	struct lsp_endpoint *endpoint;
	struct lsp_identity *identity;
};

static struct {
	struct member *members;
	size_t count;
	bool half;
	struct sockaddr_storage to;
	/* Since the beginning: begun, came up, ended. */
	uint64_t dialled, up, closed;
	unsigned ticks;
} crowd;

/* ---- Half a handshake: nothing that comes is heard but a Retry --------------------------------
 */

void __real_lsp_connection_read(struct lsp_connection *connection,
	const struct lsp_arrival *arrival, const uint8_t *data, size_t size, lsp_time now);
void __wrap_lsp_connection_read(struct lsp_connection *connection,
	const struct lsp_arrival *arrival, const uint8_t *data, size_t size, lsp_time now);

void __wrap_lsp_connection_read(struct lsp_connection *connection,
	const struct lsp_arrival *arrival, const uint8_t *data, size_t size, lsp_time now)
{
	bool retry = size && (data[0] & LONG_HEADER) && (data[0] & TYPE) == TYPE;
	if (!crowd.half || retry)
		__real_lsp_connection_read(connection, arrival, data, size, now);
}

/* ---- Members --------------------------------------------------------------------------------- */

static void dial(struct member *member)
{
	struct lsp_error err = {0};
	if (lsp_endpoint_connect(member->endpoint, &crowd.to, NULL, &member->victim,
		    &member->victim.connection, &err) < 0)
		die("crowd", &err);
	crowd.dialled++;
}

static void connected(struct lsp_connection *connection, void *argument)
{
	struct member *member = argument;
	crowd.up++;
	if (member->victim.hostile->kind == IDLE)
		greet(&member->victim, lsp_endpoint_peer_id(member->endpoint),
			lsp_endpoint_port(member->endpoint));
}

static void closed(struct lsp_connection *connection, const struct lsp_close *close, void *argument)
{
	struct member *member = argument;
	member->victim.connection = NULL;
	member->victim.up = false;
	crowd.closed++;
}

void crowd_begin(struct hostile *hostile, size_t count, const struct sockaddr_storage *to)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = connected, .closed = closed, .stream = serve_stream};
	struct sockaddr_storage any = {.ss_family = to->ss_family};
	struct rlimit descriptors;
	getrlimit(RLIMIT_NOFILE, &descriptors);
	descriptors.rlim_cur = descriptors.rlim_max;
	setrlimit(RLIMIT_NOFILE, &descriptors);
	crowd.members = calloc(count, sizeof *crowd.members);
	crowd.count = count;
	crowd.half = hostile->kind == HALF;
	crowd.to = *to;
	for (size_t i = 0; i < count; i++) {
		struct member *member = &crowd.members[i];
		struct lsp_error err = {0};
		if (lsp_identity_new(&member->identity, &err) < 0)
			die("identity", &err);
		struct lsp_endpoint_options options = {.loop = &hostile->loop,
			.callbacks = &callbacks,
			.argument = member,
			.identity = member->identity,
			.listen = &any,
			.socket_buffer = 64 << 10};
		member->victim.hostile = hostile;
		if (lsp_endpoint_new(&options, &member->endpoint, &err) < 0)
			die("endpoint", &err);
	}
}

void crowd_tick(struct hostile *hostile)
{
	size_t open = 0, greeted = 0;
	for (size_t i = 0; i < crowd.count; i++) {
		struct member *member = &crowd.members[i];
		if (!member->victim.connection)
			dial(member);
		open += member->victim.connection != NULL;
		greeted += member->victim.up;
	}
	if (++crowd.ticks % TELL_TICKS == 0)
		say(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "event", "crowd", "open",
			(json_int_t)open, "greeted", (json_int_t)greeted, "dialled",
			(json_int_t)crowd.dialled, "up", (json_int_t)crowd.up, "closed",
			(json_int_t)crowd.closed));
}

void crowd_leave(void)
{
	for (size_t i = 0; i < crowd.count; i++)
		lsp_endpoint_close_all(crowd.members[i].endpoint, LSP_CLOSE_GOODBYE, "");
}
