#include "control/server.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "control/connection.h"
#include "control/listen.h"
#include "lanspread/lanspread.h"
#include "task/registry.h"
#include "task/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EVENTS_PER_TURN 64
#define ACCEPT_PAUSE LSP_SECOND /* when there is no descriptor, for a client or to wait with */

/* Owned by the task from its start on. */
struct server {
	struct lanspread *peer;
	const struct lsp_clock *clock;
	uint64_t stall;
	struct lsp_control_socket socket;
	int epoll_fd;
	struct lsp_control_client *clients;
	size_t client_count;
	bool accepting;
	lsp_time accept_at; /* when to try again; while not accepting */
};

static void server_free(struct server *server)
{
	if (!server)
		return;
	while (server->clients) {
		struct lsp_control_client *client = server->clients;
		server->clients = client->next;
		lsp_control_client_free(client);
	}
	lsp_control_socket_close(&server->socket);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	free(server);
}
LSP_DEFINE_CLEANUP(struct server *, server_free);
#define _cleanup_server_ _cleanup_(server_free_pointer)

/* ---- The epoll set ---- */

static int watch(struct server *server, int fd, uint32_t events, int operation)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	return epoll_ctl(server->epoll_fd, operation, fd, &event);
}

/*
 * While something waits to be written the client's stream is not watched: its events stay where
 * they are bounded. The descriptors are level-triggered.
 */
static void watch_client(struct server *server, struct lsp_control_client *client)
{
	bool full = lsp_control_client_is_full(client);
	int wanted = full || client->stream_over ? -1 : lanspread_stream_fd(client->stream);
	if (full != client->watches_write) {
		watch(server, client->fd, full ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
		client->watches_write = full;
	}
	if (wanted == client->stream_watched)
		return;
	if (client->stream_watched >= 0)
		watch(server, client->stream_watched, 0, EPOLL_CTL_DEL);
	if (wanted >= 0 && watch(server, wanted, EPOLLIN, EPOLL_CTL_ADD) < 0)
		client->gone = true;
	client->stream_watched = wanted;
}

/* ---- Clients come and go ---- */

/* The file's mode keeps others out; this holds even where the file's folder was opened up. */
static bool is_allowed(int fd)
{
	struct ucred other;
	socklen_t size = sizeof other;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) < 0)
		return false;
	return other.uid == geteuid() || other.uid == 0;
}

static void let_in(struct server *server, int fd)
{
	struct lsp_error err = {0};
	struct lsp_control_client *client = NULL;
	if (!is_allowed(fd)) {
		lsp_control_turn_away(fd, LSP_E_DENIED, "this peer belongs to another user");
		return;
	}
	if (server->client_count >= LSP_CONTROL_MAX_CLIENTS) {
		lsp_control_turn_away(fd, LSP_E_BUSY, "too many clients; close one");
		return;
	}
	if (lsp_control_client_new(server->peer, fd, lsp_now(server->clock), &client, &err) < 0) {
		lsp_log_warning("control", "a client was turned away: %s", err.message);
		return;
	}
	if (watch(server, fd, EPOLLIN, EPOLL_CTL_ADD) < 0) {
		lsp_log_warning("control", "a client was turned away: no room in the epoll set");
		lsp_control_client_free(client);
		return;
	}
	client->next = server->clients;
	server->clients = client;
	server->client_count++;
	watch_client(server, client);
}

static void accept_clients(struct server *server)
{
	for (;;) {
		int fd = accept4(server->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			let_in(server, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			/* No descriptors, say; the socket would wake us over and over. */
			lsp_log_warning("control", "no new clients for now: errno %d", errno);
			watch(server, server->socket.fd, 0, EPOLL_CTL_DEL);
			server->accepting = false;
			server->accept_at = lsp_time_add(lsp_now(server->clock), ACCEPT_PAUSE);
		}
		return;
	}
}

static void accept_again(struct server *server)
{
	if (server->accepting)
		return;
	server->accepting = watch(server, server->socket.fd, EPOLLIN, EPOLL_CTL_ADD) == 0;
	server->accept_at = lsp_time_add(lsp_now(server->clock), ACCEPT_PAUSE);
}

static void drop_the_gone(struct server *server)
{
	struct lsp_control_client **link = &server->clients;
	while (*link) {
		struct lsp_control_client *client = *link;
		if (!client->gone) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		lsp_control_client_free(client);
		server->client_count--;
		accept_again(server);
	}
}

/* ---- The task ---- */

static void serve_clients(struct server *server)
{
	lsp_time now = lsp_now(server->clock);
	for (struct lsp_control_client *client = server->clients; client; client = client->next) {
		lsp_control_client_read(client);
		lsp_control_client_pump(client, now);
		if (!client->gone && lsp_control_client_is_full(client) &&
			lsp_time_left(now, lsp_time_add(client->progress, server->stall)) == 0) {
			lsp_log_warning("control", "dropping a client that does not read");
			client->gone = true;
		}
		if (!client->gone)
			watch_client(server, client);
	}
	drop_the_gone(server);
}

static lsp_time next_deadline(const struct server *server)
{
	lsp_time deadline = server->accepting ? LSP_TIME_NEVER : server->accept_at;
	for (struct lsp_control_client *client = server->clients; client; client = client->next)
		if (lsp_control_client_is_full(client))
			deadline = LSP_MIN(deadline, lsp_time_add(client->progress, server->stall));
	return deadline;
}

/* Empties the epoll set; true if the listening socket was in it. */
static bool take_ready(struct server *server)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count = epoll_wait(server->epoll_fd, events, EVENTS_PER_TURN, 0);
	bool listening = false;
	for (int i = 0; i < count; i++)
		listening |= events[i].data.fd == server->socket.fd;
	return listening;
}

/*
 * Until the token is cancelled. Who left is seen before who comes is let in: it leaves a place, and
 * descriptors.
 */
static int serve(struct server *server, struct lsp_cancel *token, struct lsp_error *err)
{
	for (;;) {
		struct pollfd fds = {.fd = server->epoll_fd, .events = POLLIN};
		int r = lsp_wait_poll(&fds, 1, token, server->clock, next_deadline(server), err);
		if (r == -LSP_E_CANCELLED)
			return 0;
		if (r < 0 && r != -LSP_E_TIMEOUT) {
			/* No descriptor to wait with, say; without us nobody reaches the peer. */
			lsp_log_warning("control", "no client is served for now: %s", err->message);
			lsp_time again = lsp_time_add(lsp_now(server->clock), ACCEPT_PAUSE);
			if (lsp_cancel_wait(token, server->clock, again))
				return 0;
			continue;
		}
		bool knocks = take_ready(server);
		serve_clients(server);
		if (knocks) {
			accept_clients(server);
			drop_the_gone(server);
		} else if (lsp_now(server->clock) >= server->accept_at) {
			accept_again(server);
		}
	}
}

/* The last events go out: until the peer has closed all streams and they are read. */
static void say_goodbye(struct server *server)
{
	lsp_time deadline = lsp_time_add(lsp_now(server->clock), LSP_CONTROL_GRACE);
	if (server->accepting)
		watch(server, server->socket.fd, 0, EPOLL_CTL_DEL);
	server->accepting = true; /* so that nobody puts it back */
	for (;;) {
		serve_clients(server);
		if (!server->clients)
			return;
		struct pollfd fds = {.fd = server->epoll_fd, .events = POLLIN};
		if (lsp_wait_poll(&fds, 1, NULL, server->clock, deadline, NULL) < 0)
			return;
		take_ready(server);
	}
}

static int run(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	_cleanup_server_ struct server *server = argument;
	int r = serve(server, token, err);
	say_goodbye(server);
	return r;
}

int lsp_control_start(struct lanspread *peer, struct lsp_tasks *tasks,
	const struct lsp_control_options *options, struct lsp_error *err)
{
	_cleanup_server_ struct server *server = calloc(1, sizeof *server);
	if (!server)
		return lsp_error_no_memory(err, "control");
	server->peer = peer;
	server->clock = lsp_tasks_clock(tasks);
	server->stall = options->stall ? options->stall : LSP_CONTROL_STALL;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return lsp_error_errno(err, "control", errno, "cannot make an epoll set");
	int r = lsp_control_socket_open(options->path, &server->socket, err);
	if (r < 0)
		return r;
	if (watch(server, server->socket.fd, EPOLLIN, EPOLL_CTL_ADD) < 0)
		return lsp_error_errno(err, "control", errno, "cannot watch the control socket");
	server->accepting = true;
	r = lsp_tasks_spawn(tasks, "control", LSP_TASK_BACKGROUND, run, server, NULL, err);
	if (r < 0)
		return r;
	TAKE_PTR(server);
	return 0;
}
