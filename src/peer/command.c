#include "peer/command.h"

#include "base/cleanup.h"
#include "peer/events.h"
#include "peer/peer.h"
#include "wire/json.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT (64u << 10)
#define MAX_NUMBER (INT64_C(1) << 53)

struct lsp_call {
	struct lsp_calls *owner;
	struct lsp_call *previous, *next;
	struct lanspread_stream *stream; /* NULL: nobody is told */
	uint64_t number;
	json_t *document; /* NULL when it could not be parsed */
	char *wrong;      /* the argument that it is refused for, or NULL */
	bool answered;    /* when the peer stopped; whoever works on it does not know yet */
};

struct lsp_calls {
	struct lsp_peer *peer;
	struct lsp_call *open;
};

int lsp_calls_new(struct lsp_peer *peer, struct lsp_calls **ret_calls, struct lsp_error *err)
{
	struct lsp_calls *calls = calloc(1, sizeof *calls);
	if (!calls)
		return lsp_error_no_memory(err, "peer");
	calls->peer = peer;
	*ret_calls = calls;
	return 0;
}

static void call_free(struct lsp_call *call)
{
	if (call->previous)
		call->previous->next = call->next;
	else
		call->owner->open = call->next;
	if (call->next)
		call->next->previous = call->previous;
	lsp_event_stream_unref(call->stream);
	json_decref(call->document);
	free(call->wrong);
	free(call);
}

json_t *lsp_error_to_json(const struct lsp_error *err)
{
	/* It may hold a file's name that is no UTF-8, or be cut off in the middle of a letter. */
	char message[sizeof err->message + 3];
	lsp_label_clean(err->message, strlen(err->message), message, sizeof err->message - 1);
	return json_pack("{s:s, s:s}", "code", lsp_code_name(err->code), "message", message);
}

static void send_answer(struct lsp_call *call, bool ok, const char *key, json_t *value)
{
	if (call->answered) {
		json_decref(value);
		return;
	}
	call->answered = true;
	lsp_events_answer(call->stream, call->number,
		json_pack("{s:s, s:I, s:b, s:o}", "event", "answer", "request",
			(json_int_t)call->number, "ok", ok, key, value));
}

void lsp_call_answer(struct lsp_call *call, json_t *result)
{
	send_answer(call, true, "result", result ? result : json_object());
	call_free(call);
}

void lsp_call_fail_with(struct lsp_call *call, const struct lsp_error *err, json_t *more)
{
	json_t *detail = lsp_error_to_json(err);
	if (call->wrong)
		json_object_set_new(detail, "argument", json_string(call->wrong));
	if (more) {
		json_object_update(detail, more);
		json_decref(more);
	}
	send_answer(call, false, "error", detail);
	call_free(call);
}

/* An answer that waits behind the saves. */
struct waiting {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	json_t *result;
};

static void do_nothing(struct lsp_job *job)
{
}

static void all_saved(struct lsp_job *job)
{
	struct waiting *waiting = lsp_container_of(job, struct waiting, job);
	if (waiting->peer->stopping)
		json_decref(waiting->result);
	else
		lsp_call_answer(waiting->call, waiting->result);
	free(waiting);
}

void lsp_call_answer_saved(struct lsp_call *call, json_t *result)
{
	struct lsp_peer *peer = call->owner->peer;
	struct waiting *waiting = calloc(1, sizeof *waiting);
	if (waiting) {
		*waiting = (struct waiting){.job = {.work = do_nothing, .done = all_saved},
			.peer = peer,
			.call = call,
			.result = result};
		/* Saves are written in turn, by one thread. */
		if (lsp_pool_submit(peer->state_pool, peer->core, &waiting->job, NULL) == 0)
			return;
	}
	free(waiting);
	lsp_call_answer(call, result);
}

void lsp_call_fail(struct lsp_call *call, const struct lsp_error *err)
{
	lsp_call_fail_with(call, err, NULL);
}

void lsp_calls_close(struct lsp_calls *calls)
{
	struct lsp_error closed = {0};
	lsp_error_set(&closed, "peer", LSP_E_CLOSED, "the peer is stopping");
	for (struct lsp_call *call = calls->open; call; call = call->next)
		send_answer(call, false, "error", lsp_error_to_json(&closed));
}

void lsp_calls_free(struct lsp_calls *calls)
{
	if (!calls)
		return;
	lsp_calls_close(calls);
	while (calls->open)
		call_free(calls->open);
	free(calls);
}

const char *lsp_call_text(const struct lsp_call *call, const char *name)
{
	return json_string_value(json_object_get(call->document, name));
}

uint64_t lsp_call_number(const struct lsp_call *call, const char *name, uint64_t fallback)
{
	json_t *value = json_object_get(call->document, name);
	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : fallback;
}

bool lsp_call_flag(const struct lsp_call *call, const char *name)
{
	return json_is_true(json_object_get(call->document, name));
}

const char *lsp_call_command(const struct lsp_call *call)
{
	return lsp_call_text(call, "command");
}

json_t *lsp_call_document(const struct lsp_call *call)
{
	return call->document;
}

json_t *lsp_call_json(const struct lsp_call *call, const char *name)
{
	json_t *value = json_object_get(call->document, name);
	return json_is_null(value) ? NULL : value;
}

/* ---- Checking ---- */

static bool is_hash_prefix(const char *text)
{
	size_t length = strspn(text, "0123456789abcdefABCDEF");
	return length >= 4 && length <= 64 && !text[length];
}

/* What is said of a name alone would not tell which argument it is. */
static int check_game(
	const struct lsp_argument *argument, const char *text, size_t length, struct lsp_error *err)
{
	int r = lsp_game_id_check(text, length, err);
	return r < 0 ? lsp_error_prefix(err, r, "\"%s\"", argument->name) : 0;
}

static int check_value(const struct lsp_argument *argument, json_t *value, struct lsp_error *err)
{
	const char *text = json_string_value(value);
	const char *wanted = NULL;
	switch (argument->type) {
	case LSP_ARGUMENT_GAME:
		if (text)
			return check_game(argument, text, json_string_length(value), err);
		wanted = "a game id";
		break;
	case LSP_ARGUMENT_TEXT:
		if (!text || json_string_length(value) > MAX_TEXT)
			wanted = "a text of at most 64 KiB";
		break;
	case LSP_ARGUMENT_DATA:
		if (!text)
			wanted = "a text";
		break;
	case LSP_ARGUMENT_NUMBER:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
			json_integer_value(value) > MAX_NUMBER)
			wanted = "a whole number from 0 to 2^53";
		break;
	case LSP_ARGUMENT_BOOLEAN:
		if (!json_is_boolean(value))
			wanted = "true or false";
		break;
	case LSP_ARGUMENT_HASH:
		if (!text || !is_hash_prefix(text))
			wanted = "4 to 64 hexadecimal digits";
		break;
	case LSP_ARGUMENT_ANY:
	case LSP_ARGUMENT_END:
		break;
	}
	if (wanted)
		return lsp_error_set(
			err, "peer", LSP_E_INVALID, "\"%s\" must be %s", argument->name, wanted);
	return 0;
}

static const struct lsp_argument *find_argument(const struct lsp_command *command, const char *name)
{
	const struct lsp_argument *argument = command->arguments;
	for (; argument->name; argument++) {
		if (strcmp(argument->name, name) == 0)
			return argument;
	}
	return NULL;
}

/* The first argument that is wrong: its name goes into *ret_wrong, the message begins with it. */
static int check_arguments(const struct lsp_command *command, json_t *document,
	const char **ret_wrong, struct lsp_error *err)
{
	const char *key;
	json_t *value;
	json_object_foreach (document, key, value) {
		if (strcmp(key, "command") == 0)
			continue;
		const struct lsp_argument *argument = find_argument(command, key);
		*ret_wrong = key;
		if (!argument)
			return lsp_error_set(err, "peer", LSP_E_INVALID,
				"\"%.64s\" is no argument of this command", key);
		if (json_is_null(value) && !argument->required)
			continue;
		int r = check_value(argument, value, err);
		if (r < 0)
			return r;
	}
	for (const struct lsp_argument *a = command->arguments; a->name; a++) {
		*ret_wrong = a->name;
		if (a->required && !json_object_get(document, a->name))
			return lsp_error_set(
				err, "peer", LSP_E_INVALID, "\"%s\" is missing", a->name);
	}
	return 0;
}

static int find_command(
	json_t *document, const struct lsp_command **ret_command, struct lsp_error *err)
{
	const char *name = json_string_value(json_object_get(document, "command"));
	if (!name)
		return lsp_error_set(err, "peer", LSP_E_INVALID,
			"a command is an object with a text \"command\"");
	const struct lsp_command *const tables[] = {lsp_commands, lsp_torrent_commands};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(tables); i++) {
		for (const struct lsp_command *command = tables[i]; command->name; command++) {
			if (strcmp(command->name, name) == 0) {
				*ret_command = command;
				return 0;
			}
		}
	}
	return lsp_error_set(err, "peer", LSP_E_INVALID, "there is no command \"%.64s\"", name);
}

static int run(struct lsp_call *call, const char *json, struct lsp_error *err)
{
	const struct lsp_command *command = NULL;
	const char *wrong = NULL;
	int r = lsp_json_parse(json, strlen(json), &lsp_json_limits_local, &call->document, err);
	if (r == 0)
		r = find_command(call->document, &command, err);
	if (r < 0)
		return r;
	r = check_arguments(command, call->document, &wrong, err);
	if (r < 0) {
		call->wrong = wrong ? strdup(wrong) : NULL;
		return r;
	}
	return command->run(call->owner->peer, call, err);
}

void lsp_calls_run(
	struct lsp_calls *calls, struct lanspread_stream *stream, uint64_t number, const char *json)
{
	struct lsp_call *call = calloc(1, sizeof *call);
	if (!call) {
		struct lsp_error err = {0};
		lsp_error_no_memory(&err, "peer");
		lsp_events_answer(stream, number,
			json_pack("{s:s, s:I, s:b, s:o}", "event", "answer", "request",
				(json_int_t)number, "ok", 0, "error", lsp_error_to_json(&err)));
		return;
	}
	call->owner = calls;
	call->stream = stream ? lsp_event_stream_ref(stream) : NULL;
	call->number = number;
	call->next = calls->open;
	if (calls->open)
		calls->open->previous = call;
	calls->open = call;
	struct lsp_error err = {0};
	if (run(call, json, &err) < 0)
		lsp_call_fail(call, &err);
}
