#include "control/connection.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "lanspread/lanspread.h"
#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE 16384
#define READS_PER_TURN 64
#define PUMPS_PER_TURN 16
#define OUT_ENOUGH (256u << 10) /* no more events are taken while this much waits */
#define OUT_KEEP (1u << 20)     /* an idle client's buffer is given back above this */

int lsp_control_client_new(struct lanspread *peer, int fd, lsp_time now,
	struct lsp_control_client **ret_client, struct lsp_error *err)
{
	struct lanspread_error api = {0};
	struct lsp_control_client *client = calloc(1, sizeof *client);
	if (!client) {
		close(fd);
		return lsp_error_no_memory(err, "control");
	}
	*client = (struct lsp_control_client){
		.fd = fd, .peer = peer, .progress = now, .stream_watched = -1};
	lsp_frame_decoder_init(&client->decoder, LSP_FRAME_MAX);
	if (lanspread_subscribe(peer, &client->stream, &api) < 0) {
		client->fd = -1;
		lsp_control_client_free(client);
		lsp_control_turn_away(fd, api.code, api.message);
		return lsp_error_set(err, "control", api.code, "%s", api.message);
	}
	*ret_client = client;
	return 0;
}

void lsp_control_client_free(struct lsp_control_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	lanspread_stream_free(client->stream);
	lsp_frame_decoder_done(&client->decoder);
	lsp_buffer_done(&client->out);
	free(client);
}

/* ---- What it sends ---- */

static json_t *refusal(int code, const char *message)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "event", "refused", "error", "code",
		lanspread_code_name(code), "message", message);
}

static void say(struct lsp_control_client *client, json_t *event)
{
	_cleanup_json_ json_t *owned = event;
	if (!owned || lsp_frame_append_json(&client->out, owned, LSP_FRAME_MAX_LOCAL, NULL) < 0)
		client->gone = true;
}

static void pass_on(struct lsp_control_client *client, const char *command)
{
	struct lanspread_error err = {0};
	uint64_t request = 0;
	int r = lanspread_send(client->peer, client->stream, command, &request, &err);
	if (r < 0)
		say(client, refusal(err.code ? err.code : -r, err.message));
	else
		say(client, json_pack("{s:s, s:I}", "event", "accepted", "request",
				    (json_int_t)request));
}

static void take_bytes(struct lsp_control_client *client, const char *data, size_t size)
{
	while (size > 0 && !client->gone) {
		struct lsp_error err = {0};
		const char *payload;
		size_t used, length;
		int r = lsp_frame_decoder_feed(
			&client->decoder, data, size, &used, &payload, &length, &err);
		if (r < 0) {
			lsp_log_warning("control", "dropping a client: %s", err.message);
			say(client, refusal(err.code, err.message));
			client->reading_over = true;
			return;
		}
		data += used;
		size -= used;
		if (r > 0 && memchr(payload, '\0', length))
			say(client, refusal(LSP_E_PROTOCOL, "a command with a NUL byte in it"));
		else if (r > 0)
			pass_on(client, payload);
	}
}

void lsp_control_client_read(struct lsp_control_client *client)
{
	char data[READ_SIZE];
	for (int i = 0; i < READS_PER_TURN && !client->reading_over && !client->gone; i++) {
		/* Answers that it does not read hold up its further commands, not our memory. */
		if (client->out.size - client->sent > OUT_ENOUGH)
			return;
		ssize_t got = recv(client->fd, data, sizeof data, MSG_DONTWAIT);
		if (got > 0) {
			take_bytes(client, data, (size_t)got);
		} else if (got == 0) {
			client->reading_over = true;
			client->gone = true;
		} else if (errno != EINTR) {
			if (errno != EAGAIN)
				client->gone = true;
			return;
		}
	}
}

/* ---- What it reads ---- */

static void flush(struct lsp_control_client *client, lsp_time now)
{
	while (client->sent < client->out.size) {
		ssize_t put = send(client->fd, client->out.data + client->sent,
			client->out.size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put > 0) {
			client->sent += (size_t)put;
			client->progress = now;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			client->gone = true;
			return;
		}
	}
	client->sent = 0;
	client->progress = now;
	lsp_buffer_reset(&client->out);
	if (client->out.capacity > OUT_KEEP)
		lsp_buffer_done(&client->out);
}

/* One event into `out`. False: there is none now. */
static bool take_event(struct lsp_control_client *client)
{
	struct lsp_error err = {0};
	char *json = NULL;
	int r = lanspread_next_event(client->stream, 0, &json, NULL);
	if (r == -LANSPREAD_E_TIMEOUT)
		return false;
	if (r < 0) {
		client->stream_over = true;
		return false;
	}
	r = lsp_frame_append(&client->out, json, strlen(json), LSP_FRAME_MAX_LOCAL, &err);
	lanspread_free_text(json);
	if (r < 0) {
		lsp_log_error("control", "dropping a client: %s", err.message);
		client->gone = true;
	}
	return r == 0;
}

/* Whether its stream may have more for it. */
static bool wants_events(const struct lsp_control_client *client)
{
	return !client->gone && !client->reading_over && !client->stream_over &&
	       client->out.size - client->sent < OUT_ENOUGH;
}

void lsp_control_client_pump(struct lsp_control_client *client, lsp_time now)
{
	for (int i = 0; i < PUMPS_PER_TURN; i++) {
		bool taken = false;
		while (wants_events(client) && take_event(client))
			taken = true;
		if (!client->gone)
			flush(client, now);
		if (!taken || lsp_control_client_is_full(client))
			break;
	}
	if ((client->reading_over || client->stream_over) && !lsp_control_client_is_full(client))
		client->gone = true;
}

void lsp_control_turn_away(int fd, int code, const char *message)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	_cleanup_json_ json_t *event = refusal(code, message);
	if (event && lsp_frame_append_json(&out, event, LSP_FRAME_MAX_LOCAL, NULL) == 0 &&
		send(fd, out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		lsp_log_debug("control", "a client that was turned away did not hear why");
	close(fd);
}
