#include "control/client.h"

#include "base/buffer.h"
#include "control/path.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/path.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536

struct lsp_control_connection {
	int fd;
	int interrupt_fd;
	struct lsp_frame_decoder decoder;
	json_t *queue; /* events that came and were not asked for yet */
	void (*on_event)(void *argument, const json_t *event);
	void *on_event_argument;
	char data[READ_SIZE];
	size_t begin, end; /* of data: what was read and not decoded yet */
};

/* ---- Why nobody answers ---- */

#define USER_NAME_MAX 64

/* "anna", or "user 1000". */
static void user_name(uid_t user, char ret_name[USER_NAME_MAX])
{
	char buffer[4096];
	struct passwd entry, *found = NULL;
	if (getpwuid_r(user, &entry, buffer, sizeof buffer, &found) == 0 && found)
		lsp_label_clean(
			found->pw_name, strlen(found->pw_name), ret_name, USER_NAME_MAX - 1);
	else
		snprintf(ret_name, USER_NAME_MAX, "user %lu", (unsigned long)user);
}

/* Whose the socket is, or the nearest folder above it that may be looked at. */
static bool find_owner(const char *path, uid_t *ret_owner)
{
	char at[LSP_CONTROL_PATH_MAX];
	struct stat st;
	snprintf(at, sizeof at, "%s", path);
	for (;;) {
		if (stat(at, &st) == 0) {
			*ret_owner = st.st_uid;
			return true;
		}
		char *slash = strrchr(at, '/');
		if (!slash || slash == at)
			return false;
		*slash = '\0';
	}
}

static int tell_denied(const char *path, int error, struct lsp_error *err)
{
	uid_t owner;
	char theirs[USER_NAME_MAX], ours[USER_NAME_MAX];
	if (!find_owner(path, &owner) || owner == geteuid())
		return lsp_error_errno(err, "control", error,
			"cannot reach the peer at %s (look at the modes of the socket and of the "
			"folders that lead to it)",
			path);
	user_name(owner, theirs);
	user_name(geteuid(), ours);
	return lsp_error_set(err, "control", LSP_E_DENIED,
		"the peer at %s belongs to %s and answers nobody else: run this as %s, or start a "
		"peer of your own as %s with 'lanspread run'",
		path, theirs, theirs, ours);
}

static int tell_why(const char *path, int error, struct lsp_error *err)
{
	struct stat st;
	const char *why = NULL;
	if (error == EACCES || error == EPERM)
		return tell_denied(path, error, err);
	if (error == ENOENT)
		why = "there is no such socket";
	else if (error == ENOTDIR)
		why = "what leads there is no folder";
	else if (error == ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		why = "that is no socket";
	else if (error == ECONNREFUSED)
		why = "its socket is left, but nobody listens any more";
	if (!why)
		return lsp_error_errno(err, "control", error, "cannot reach the peer at %s", path);
	return lsp_error_set(err, "control", LSP_E_NOT_FOUND,
		"no peer is running at %s (%s): start one with 'lanspread run', or say with "
		"--control where yours is",
		path, why);
}

/* ---- Connecting ---- */

/* Waits when others wait to be let in already. */
static int try_connect(int fd, const char *path, uint64_t patience, struct lsp_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = (time_t)(patience / LSP_SECOND),
		.tv_usec = (suseconds_t)(patience % LSP_SECOND / LSP_MICROSECOND)};
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return lsp_error_errno(err, "control", errno, "cannot set up a socket");
	int r;
	do {
		r = connect(fd, (struct sockaddr *)&address, sizeof address);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	if (errno == EAGAIN)
		return lsp_error_set(err, "control", LSP_E_TIMEOUT,
			"the peer at %s lets nobody in: it hangs, or too many programs wait for it",
			path);
	return tell_why(path, errno, err);
}

int lsp_control_connect(
	const char *path, struct lsp_control_connection **ret_connection, struct lsp_error *err)
{
	return lsp_control_connect_within(path, LSP_CONTROL_CONNECT_PATIENCE, ret_connection, err);
}

int lsp_control_connect_within(const char *path, uint64_t patience,
	struct lsp_control_connection **ret_connection, struct lsp_error *err)
{
	if (strlen(path) >= LSP_CONTROL_PATH_MAX)
		return lsp_error_set(
			err, "control", LSP_E_TOO_LARGE, "%s is too long for a socket", path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return lsp_error_errno(err, "control", errno, "cannot make a socket");
	int r = try_connect(fd, path, patience, err);
	if (r < 0)
		return r;
	struct lsp_control_connection *connection = calloc(1, sizeof *connection);
	json_t *queue = json_array();
	if (!connection || !queue) {
		free(connection);
		json_decref(queue);
		return lsp_error_no_memory(err, "control");
	}
	connection->fd = TAKE_FD(fd);
	connection->interrupt_fd = -1;
	connection->queue = queue;
	lsp_frame_decoder_init(&connection->decoder, LSP_FRAME_MAX_LOCAL);
	*ret_connection = connection;
	return 0;
}

void lsp_control_disconnect(struct lsp_control_connection *connection)
{
	if (!connection)
		return;
	close(connection->fd);
	json_decref(connection->queue);
	lsp_frame_decoder_done(&connection->decoder);
	free(connection);
}

int lsp_control_process(const struct lsp_control_connection *connection)
{
	struct ucred other;
	socklen_t size = sizeof other;
	if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &other, &size) < 0 ||
		other.pid <= 0 || other.pid == getpid())
		return -1;
	return (int)syscall(SYS_pidfd_open, other.pid, 0);
}

void lsp_control_interrupted_by(struct lsp_control_connection *connection, int fd)
{
	connection->interrupt_fd = fd;
}

int lsp_control_code(const char *name)
{
	for (int code = 1; name && code < LSP_E_CODE_COUNT; code++)
		if (strcmp(lsp_code_name(code), name) == 0)
			return code;
	return LSP_E_FAILED;
}

/* ---- Reading and writing ---- */

static int wait_for(struct lsp_control_connection *connection, short events, lsp_time deadline,
	struct lsp_error *err)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = connection->fd, .events = events},
			{.fd = connection->interrupt_fd, .events = POLLIN}};
		uint64_t left = lsp_time_left(lsp_now(lsp_clock_system), deadline);
		int timeout = left >= 3600 * LSP_SECOND
				      ? 3600 * 1000
				      : (int)((left + LSP_MILLISECOND - 1) / LSP_MILLISECOND);
		int r = poll(fds, 2, timeout);
		if (r < 0 && errno != EINTR)
			return lsp_error_errno(err, "control", errno, "cannot wait for the peer");
		if (r > 0 && fds[1].revents)
			return lsp_error_set(err, "control", LSP_E_CANCELLED, "interrupted");
		if (r > 0)
			return 0;
		if (lsp_now(lsp_clock_system) >= deadline)
			return lsp_error_set(
				err, "control", LSP_E_TIMEOUT, "the peer did not answer in time");
	}
}

static int gone(struct lsp_error *err)
{
	return lsp_error_set(err, "control", LSP_E_CLOSED, "the peer has stopped");
}

/* More bytes into `data`, which is empty. */
static int fill(struct lsp_control_connection *connection, lsp_time deadline, struct lsp_error *err)
{
	for (;;) {
		int r = wait_for(connection, POLLIN, deadline, err);
		if (r < 0)
			return r;
		ssize_t got = recv(
			connection->fd, connection->data, sizeof connection->data, MSG_DONTWAIT);
		if (got > 0) {
			connection->begin = 0;
			connection->end = (size_t)got;
			return 0;
		}
		if (got == 0 || errno == ECONNRESET)
			return gone(err);
		if (errno != EAGAIN && errno != EINTR)
			return lsp_error_errno(err, "control", errno, "cannot read from the peer");
	}
}

static int parse(const char *payload, size_t size, json_t **ret_event, struct lsp_error *err)
{
	_cleanup_json_ json_t *event = NULL;
	int r = lsp_json_parse(payload, size, &lsp_json_limits_local, &event, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "the peer sent something unreadable");
	if (!json_is_object(event))
		return lsp_error_set(err, "control", LSP_E_PROTOCOL, "the peer sent no event");
	*ret_event = TAKE_PTR(event);
	return 0;
}

/* The next frame off the socket. */
static int receive(struct lsp_control_connection *connection, lsp_time deadline, json_t **ret_event,
	struct lsp_error *err)
{
	for (;;) {
		int r = 0;
		while (connection->begin < connection->end) {
			const char *payload;
			size_t used, size;
			r = lsp_frame_decoder_feed(&connection->decoder,
				connection->data + connection->begin,
				connection->end - connection->begin, &used, &payload, &size, err);
			if (r < 0)
				return lsp_error_prefix(
					err, r, "the peer sent something unreadable");
			connection->begin += used;
			if (r > 0)
				return parse(payload, size, ret_event, err);
		}
		r = fill(connection, deadline, err);
		if (r < 0)
			return r;
	}
}

static int transmit(struct lsp_control_connection *connection, const struct lsp_buffer *out,
	lsp_time deadline, struct lsp_error *err)
{
	size_t sent = 0;
	while (sent < out->size) {
		ssize_t put = send(connection->fd, out->data + sent, out->size - sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put > 0) {
			sent += (size_t)put;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* what it said before it closed is still to be read */
		if (errno != EAGAIN && errno != EINTR)
			return lsp_error_errno(err, "control", errno, "cannot write to the peer");
		int r = wait_for(connection, POLLOUT, deadline, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- Commands and events ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int fail_with(const json_t *event, json_t **ret_error, struct lsp_error *err)
{
	json_t *error = json_object_get(event, "error");
	const char *message = text_of(error, "message");
	if (ret_error)
		*ret_error = json_incref(error);
	return lsp_error_set(err, "peer", lsp_control_code(text_of(error, "code")), "%s",
		message[0] ? message : "the peer refused without a reason");
}

/*
 * Events until one is ours: the acknowledgement (request unknown) or the answer to `request`. All
 * others are queued.
 */
static int await(struct lsp_control_connection *connection, const json_int_t *request,
	lsp_time deadline, json_t **ret_event, struct lsp_error *err)
{
	for (;;) {
		_cleanup_json_ json_t *event = NULL;
		int r = receive(connection, deadline, &event, err);
		if (r < 0)
			return r;
		const char *name = text_of(event, "event");
		bool ours = request ? strcmp(name, "answer") == 0 &&
					      json_integer_value(
						      json_object_get(event, "request")) == *request
				    : strcmp(name, "accepted") == 0 || strcmp(name, "refused") == 0;
		if (ours) {
			*ret_event = TAKE_PTR(event);
			return 0;
		}
		if (connection->on_event)
			connection->on_event(connection->on_event_argument, event);
		else if (json_array_append(connection->queue, event) < 0)
			return lsp_error_no_memory(err, "control");
	}
}

void lsp_control_on_event(struct lsp_control_connection *connection,
	void (*function)(void *argument, const json_t *event), void *argument)
{
	connection->on_event = function;
	connection->on_event_argument = argument;
}

int lsp_control_call(struct lsp_control_connection *connection, const json_t *command,
	uint64_t timeout, json_t **ret_result, json_t **ret_error, struct lsp_error *err)
{
	lsp_time deadline = lsp_time_add(lsp_now(lsp_clock_system), timeout);
	_cleanup_buffer_ struct lsp_buffer out = {0};
	_cleanup_json_ json_t *accepted = NULL, *answer = NULL;
	int r = lsp_frame_append_json(&out, command, LSP_FRAME_MAX, err);
	if (r == 0)
		r = transmit(connection, &out, deadline, err);
	if (r == 0)
		r = await(connection, NULL, deadline, &accepted, err);
	if (r < 0)
		return r;
	if (strcmp(text_of(accepted, "event"), "refused") == 0)
		return fail_with(accepted, ret_error, err);
	json_int_t request = json_integer_value(json_object_get(accepted, "request"));
	r = await(connection, &request, deadline, &answer, err);
	if (r < 0)
		return r;
	if (!json_is_true(json_object_get(answer, "ok")))
		return fail_with(answer, ret_error, err);
	json_t *result = json_object_get(answer, "result");
	json_t *kept = result ? json_incref(result) : json_object();
	if (!kept)
		return lsp_error_no_memory(err, "control");
	*ret_result = kept;
	return 0;
}

int lsp_control_next(struct lsp_control_connection *connection, uint64_t timeout,
	json_t **ret_event, struct lsp_error *err)
{
	if (json_array_size(connection->queue) > 0) {
		*ret_event = json_incref(json_array_get(connection->queue, 0));
		json_array_remove(connection->queue, 0);
		return 0;
	}
	lsp_time deadline = lsp_time_add(lsp_now(lsp_clock_system), timeout);
	_cleanup_json_ json_t *event = NULL;
	int r = receive(connection, deadline, &event, err);
	if (r < 0)
		return r;
	if (strcmp(text_of(event, "event"), "refused") == 0)
		return fail_with(event, NULL, err);
	*ret_event = TAKE_PTR(event);
	return 0;
}
