#include "control/server.h"
#include "base/fs.h"
#include "control/client.h"
#include "control/listen.h"
#include "control/path.h"
#include "fake_peer.h"
#include "task/registry.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON (30 * LSP_SECOND)

/* A folder, a registry, a fake peer; the server is started by the test. */
struct world {
	char folder[64];
	char path[96];
	struct lsp_cancel *token;
	struct lsp_tasks *tasks;
	struct lanspread *peer;
	uint64_t put_off; /* the request that "tasks" left unanswered */
	int gate[2];      /* "play" holds the server up until a byte is in here */
};

static struct lsp_error err;

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		lsp_error_clear(&err);                                                             \
		int r_ = (call);                                                                   \
		if (r_ < 0)                                                                        \
			fail_msg("%s: %s", #call, err.message);                                    \
	} while (0)

/* The linker puts it in between (meson.build): a wait that cannot even begin, once. */
static int failed_waits[2] = {-1, -1}; /* a byte comes when it failed; below 0: it does not */

int __real_lsp_wait_poll(struct pollfd *fds, size_t count, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *error);
int __wrap_lsp_wait_poll(struct pollfd *fds, size_t count, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *error);

int __wrap_lsp_wait_poll(struct pollfd *fds, size_t count, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *error)
{
	int told = failed_waits[1];
	if (told < 0)
		return __real_lsp_wait_poll(fds, count, token, clock, deadline, error);
	failed_waits[1] = -1;
	int r = lsp_error_errno(error, "task", EMFILE, "cannot make an eventfd");
	assert_int_equal(write(told, "", 1), 1);
	close(told);
	return r;
}

static void handle(struct lanspread *peer, const json_t *command, uint64_t request,
	struct fake_answer *answer, void *argument)
{
	struct world *world = argument;
	const char *name = json_string_value(json_object_get(command, "command"));
	if (!strcmp(name, "status")) {
		answer->result = json_pack("{s:s}", "name", "fake");
	} else if (!strcmp(name, "tasks")) {
		world->put_off = request;
		answer->later = true;
	} else if (!strcmp(name, "play")) {
		char byte;
		assert_int_equal(read(world->gate[0], &byte, 1), 1);
	} else if (!strcmp(name, "install_game")) {
		answer->code = LANSPREAD_E_EXISTS;
		answer->message = "two contents";
		answer->more = json_pack("{s:[{s:s}]}", "variants", "content", "ab");
	} else if (!strcmp(name, "echo")) {
		answer->result = json_deep_copy(command);
	}
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	snprintf(world->folder, sizeof world->folder, "/tmp/lanspread-control-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/run/control.sock", world->folder);
	assert_ok(lsp_cancel_new(NULL, &world->token, &err));
	assert_ok(lsp_tasks_new(world->token, NULL, &world->tasks, &err));
	world->peer = fake_new(handle, world);
	assert_int_equal(pipe2(world->gate, O_CLOEXEC), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[128];
	fake_stop(world->peer);
	lsp_cancel_request(world->token, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_tasks_join_all(world->tasks, lsp_now(lsp_clock_system) + SOON, NULL, &err));
	assert_int_not_equal(access(world->path, F_OK), 0);
	lsp_tasks_free(world->tasks);
	lsp_cancel_unref(world->token);
	lanspread_free(world->peer);
	close(world->gate[0]);
	close(world->gate[1]);
	snprintf(command, sizeof command, "rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static void start_server(struct world *world, uint64_t stall)
{
	struct lsp_control_options options = {.path = world->path, .stall = stall};
	assert_ok(lsp_control_start(world->peer, world->tasks, &options, &err));
}

static struct lsp_control_connection *join(struct world *world)
{
	struct lsp_control_connection *connection = NULL;
	assert_ok(lsp_control_connect(world->path, &connection, &err));
	return connection;
}

/* The next event's name, checked. */
static void expect_event(struct lsp_control_connection *connection, const char *name)
{
	json_t *event = NULL;
	assert_ok(lsp_control_next(connection, SOON, &event, &err));
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	json_decref(event);
}

/* Sends a command whose answer nobody waits for. */
static void let_go(struct lsp_control_connection *connection, const char *name)
{
	json_t *command = json_pack("{s:s}", "command", name), *result = NULL;
	assert_int_equal(
		lsp_control_call(connection, command, 0, &result, NULL, &err), -LSP_E_TIMEOUT);
	json_decref(command);
}

static int call(struct lsp_control_connection *connection, const char *name, json_t **ret_result,
	json_t **ret_error, struct lsp_error *error)
{
	json_t *command = json_pack("{s:s}", "command", name);
	int r = lsp_control_call(connection, command, SOON, ret_result, ret_error, error);
	json_decref(command);
	return r;
}

/* ---- Commands and events ---- */

static void a_command_ends_in_its_answer_and_events_are_kept_in_order(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	json_t *result = NULL;
	fake_wait_streams(world->peer, 1);
	fake_publish(world->peer, json_pack("{s:s}", "event", "download_begin"));
	assert_ok(call(connection, "status", &result, NULL, &err));
	assert_string_equal(json_string_value(json_object_get(result, "name")), "fake");
	json_decref(result);
	expect_event(connection, "local_games_updated");
	expect_event(connection, "download_begin");
	lsp_control_disconnect(connection);
}

static void a_refusal_carries_code_message_and_what_stands_beside_them(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	json_t *result = NULL, *error = NULL;
	assert_int_equal(call(connection, "install_game", &result, &error, &err), -LSP_E_EXISTS);
	assert_string_equal(err.message, "two contents");
	assert_int_equal(json_array_size(json_object_get(error, "variants")), 1);
	json_decref(error);
	/* A full queue refuses before there is a request; the connection lives on. */
	fake_refuse_send(world->peer, LANSPREAD_E_BUSY);
	assert_int_equal(call(connection, "status", &result, NULL, &err), -LSP_E_BUSY);
	fake_refuse_send(world->peer, 0);
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(connection);
}

static void an_answer_may_overtake_an_earlier_one(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	json_t *result = NULL;
	let_go(connection, "tasks");
	fake_wait_commands(world->peer, "tasks", 1);
	lsp_control_disconnect(connection);

	connection = join(world);
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	/* The late answer belongs to a client that has left: nobody else sees it. */
	fake_answer_now(world->peer, world->put_off, (struct fake_answer){0});
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	expect_event(connection, "local_games_updated");
	lsp_control_disconnect(connection);
}

static void what_is_no_command_gets_an_answer_and_nothing_else(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	json_t *result = NULL, *nonsense = json_pack("[i]", 1);
	assert_int_equal(
		lsp_control_call(connection, nonsense, SOON, &result, NULL, &err), -LSP_E_INVALID);
	json_decref(nonsense);
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(connection);
}

/* ---- Clients nobody should trust ---- */

static int raw_connect(struct world *world)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, world->path, strlen(world->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* Reads until the server closes; true if `text` was in it. */
static bool closes_saying(int fd, const char *text)
{
	static char data[1 << 20];
	size_t size = 0;
	ssize_t got;
	while (size < sizeof data && (got = read(fd, data + size, sizeof data - size)) > 0)
		size += (size_t)got;
	close(fd);
	return memmem(data, size, text, strlen(text)) != NULL;
}

static void a_frame_over_the_limit_ends_only_its_client(void **state)
{
	struct world *world = *state;
	static const uint8_t lengths[][4] = {
		{0, 0, 0, 0}, {0, 0x10, 0, 1}, {0xff, 0xff, 0xff, 0xff}};
	start_server(world, 0);
	struct lsp_control_connection *bystander = join(world);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lengths); i++) {
		int fd = raw_connect(world);
		assert_int_equal(write(fd, lengths[i], 4), 4);
		assert_true(closes_saying(fd, i ? "too_large" : "protocol"));
	}
	json_t *result = NULL;
	assert_ok(call(bystander, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(bystander);
}

static void a_command_in_pieces_is_put_together(void **state)
{
	struct world *world = *state;
	struct lsp_buffer out = {0};
	start_server(world, 0);
	int fd = raw_connect(world);
	static const char text[] = "{\"command\":\"echo\",\"x\":\"pieces\"}";
	assert_ok(lsp_frame_append(&out, text, sizeof text - 1, LSP_FRAME_MAX, &err));
	for (size_t i = 0; i < out.size; i++)
		assert_int_equal(write(fd, out.data + i, 1), 1);
	fake_wait_commands(world->peer, "echo", 1);
	lsp_buffer_done(&out);
	close(fd);
	fake_wait_streams(world->peer, 0);
}

static void a_nul_in_a_command_is_refused(void **state)
{
	struct world *world = *state;
	struct lsp_buffer out = {0};
	start_server(world, 0);
	int fd = raw_connect(world);
	static const char text[] = "{\"command\":\"echo\"}\0{\"command\":\"status\"}";
	assert_ok(lsp_frame_append(&out, text, sizeof text - 1, LSP_FRAME_MAX, &err));
	assert_int_equal(write(fd, out.data, out.size), out.size);
	lsp_buffer_done(&out);
	/* A broken frame after it closes the connection, so that the reply can be read to its end.
	 */
	assert_int_equal(write(fd, "\0\0\0\0", 4), 4);
	assert_true(closes_saying(fd, "NUL"));
	assert_null(fake_last_command(world->peer, "echo"));
}

static void a_client_that_never_reads_is_dropped_and_others_see_everything(void **state)
{
	struct world *world = *state;
	enum { EVENTS = 2000 };
	char filler[1024];
	memset(filler, 'x', sizeof filler - 1);
	filler[sizeof filler - 1] = '\0';
	start_server(world, LSP_SECOND);
	struct lsp_control_connection *reader = join(world);
	int sleeper = raw_connect(world);
	fake_wait_streams(world->peer, 2);
	expect_event(reader, "local_games_updated");
	for (int i = 0; i < EVENTS; i++) {
		json_t *event = NULL;
		fake_publish(world->peer,
			json_pack("{s:s, s:i, s:s}", "event", "tick", "i", i, "filler", filler));
		assert_ok(lsp_control_next(reader, SOON, &event, &err));
		assert_int_equal(json_integer_value(json_object_get(event, "i")), i);
		json_decref(event);
	}
	fake_wait_streams(world->peer, 1);
	close(sleeper);
	lsp_control_disconnect(reader);
}

static void one_client_too_many_is_told_so(void **state)
{
	struct world *world = *state;
	struct lsp_control_connection *clients[LSP_CONTROL_MAX_CLIENTS];
	start_server(world, 0);
	for (int i = 0; i < LSP_CONTROL_MAX_CLIENTS; i++)
		clients[i] = join(world);
	fake_wait_streams(world->peer, LSP_CONTROL_MAX_CLIENTS);
	assert_true(closes_saying(raw_connect(world), "too many clients"));
	lsp_control_disconnect(clients[0]);
	fake_wait_streams(world->peer, LSP_CONTROL_MAX_CLIENTS - 1);
	clients[0] = join(world);
	json_t *result = NULL;
	assert_ok(call(clients[0], "status", &result, NULL, &err));
	json_decref(result);
	for (int i = 0; i < LSP_CONTROL_MAX_CLIENTS; i++)
		lsp_control_disconnect(clients[i]);
}

static void who_left_makes_room_for_who_comes_at_the_same_moment(void **state)
{
	struct world *world = *state;
	struct lsp_control_connection *clients[LSP_CONTROL_MAX_CLIENTS], *newcomer;
	json_t *result = NULL;
	start_server(world, 0);
	for (int i = 0; i < LSP_CONTROL_MAX_CLIENTS; i++)
		clients[i] = join(world);
	fake_wait_streams(world->peer, LSP_CONTROL_MAX_CLIENTS);
	/* The first one is served last: all others have had their turn. */
	let_go(clients[0], "play");
	fake_wait_commands(world->peer, "play", 1);
	lsp_control_disconnect(clients[1]);
	newcomer = join(world);
	assert_int_equal(write(world->gate[1], "x", 1), 1);
	assert_ok(call(newcomer, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(newcomer);
	lsp_control_disconnect(clients[0]);
	for (int i = 2; i < LSP_CONTROL_MAX_CLIENTS; i++)
		lsp_control_disconnect(clients[i]);
}

/* ---- The end ---- */

static void a_wait_that_fails_is_made_again(void **state)
{
	struct world *world = *state;
	json_t *result = NULL;
	char byte;
	assert_int_equal(pipe2(failed_waits, O_CLOEXEC), 0);
	start_server(world, 0);
	assert_int_equal(read(failed_waits[0], &byte, 1), 1);
	close(failed_waits[0]);
	struct lsp_control_connection *connection = join(world);
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(connection);
}

static void the_last_event_reaches_every_client_before_its_stream_closes(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *first = join(world), *second = join(world);
	fake_wait_streams(world->peer, 2);
	lsp_cancel_request(world->token, LSP_CANCEL_FATAL, "the network is gone");
	fake_publish(world->peer, json_pack("{s:s}", "event", "runtime_failed"));
	fake_stop(world->peer);
	struct lsp_control_connection *both[] = {first, second};
	for (int i = 0; i < 2; i++) {
		json_t *event = NULL;
		expect_event(both[i], "local_games_updated");
		expect_event(both[i], "runtime_failed");
		assert_int_equal(lsp_control_next(both[i], SOON, &event, &err), -LSP_E_CLOSED);
		lsp_control_disconnect(both[i]);
	}
}

static void an_interrupt_ends_a_wait(void **state)
{
	struct world *world = *state;
	json_t *event = NULL;
	int pipe_fds[2];
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	expect_event(connection, "local_games_updated");
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	lsp_control_interrupted_by(connection, pipe_fds[0]);
	assert_int_equal(
		lsp_control_next(connection, LSP_TIME_NEVER, &event, &err), -LSP_E_CANCELLED);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	lsp_control_disconnect(connection);
}

/* ---- The socket file ---- */

static void the_socket_is_the_users_alone(void **state)
{
	struct world *world = *state;
	struct stat st;
	mode_t old = umask(0);
	start_server(world, 0);
	umask(old);
	assert_int_equal(stat(world->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	*strrchr(world->path, '/') = '\0';
	assert_int_equal(stat(world->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	world->path[strlen(world->path)] = '/';
}

static void a_second_server_is_refused_and_the_first_lives_on(void **state)
{
	struct world *world = *state;
	struct lsp_control_options options = {.path = world->path};
	json_t *result = NULL;
	start_server(world, 0);
	assert_int_equal(lsp_control_start(world->peer, world->tasks, &options, &err), -LSP_E_BUSY);
	assert_non_null(strstr(err.message, world->path));
	struct lsp_control_connection *connection = join(world);
	assert_ok(call(connection, "status", &result, NULL, &err));
	json_decref(result);
	lsp_control_disconnect(connection);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct world *world = *state;
	struct lsp_control_connection *connection = NULL;
	/* As after SIGKILL: the file is there, nobody listens, no lock is held. */
	struct lsp_control_socket dead = {0};
	assert_ok(lsp_control_socket_open(world->path, &dead, &err));
	close(dead.fd);
	close(dead.lock_fd);
	free(dead.path);
	assert_int_equal(access(world->path, F_OK), 0);
	assert_int_equal(lsp_control_connect(world->path, &connection, &err), -LSP_E_NOT_FOUND);
	start_server(world, 0);
	lsp_control_disconnect(join(world));
}

struct publication {
	const char *path;
	unsigned before, after; /* renames that were looked at */
};

static int before_it_has_its_name(const struct lsp_fs_event *event, void *argument)
{
	struct publication *publication = argument;
	if (event->call == LSP_FS_RENAME) {
		publication->before++;
		assert_int_equal(access(publication->path, F_OK), -1);
	}
	return 0;
}

static void once_it_has_its_name(const struct lsp_fs_event *event, void *argument)
{
	struct publication *publication = argument;
	struct lsp_control_connection *connection = NULL;
	if (event->call != LSP_FS_RENAME)
		return;
	publication->after++;
	assert_ok(lsp_control_connect(publication->path, &connection, &err));
	lsp_control_disconnect(connection);
}

static void a_socket_that_can_be_found_is_listened_at(void **state)
{
	struct world *world = *state;
	struct publication publication = {.path = world->path};
	struct lsp_fs_hooks hooks = {.before = before_it_has_its_name,
		.after = once_it_has_its_name,
		.argument = &publication};
	struct lsp_control_socket socket = {0};
	lsp_fs_set_hooks(&hooks);
	assert_ok(lsp_control_socket_open(world->path, &socket, &err));
	lsp_fs_set_hooks(NULL);
	assert_int_equal(publication.before, 1);
	assert_int_equal(publication.after, 1);
	lsp_control_socket_close(&socket);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct world *world = *state;
	struct lsp_control_options options = {.path = world->path};
	char lock[sizeof world->path + 8];
	start_server(world, 0);
	lsp_cancel_request(world->token, LSP_CANCEL_USER, NULL);
	/* The lock goes last. */
	snprintf(lock, sizeof lock, "%s.lock", world->path);
	while (access(lock, F_OK) == 0)
		;
	FILE *file = fopen(world->path, "w");
	fputs("mine", file);
	fclose(file);
	assert_int_equal(
		lsp_control_start(world->peer, world->tasks, &options, &err), -LSP_E_EXISTS);
	assert_int_equal(access(world->path, F_OK), 0);
	assert_int_equal(unlink(world->path), 0);
}

static void nobody_there_is_not_found(void **state)
{
	struct world *world = *state;
	struct lsp_control_connection *connection = NULL;
	assert_int_equal(lsp_control_connect(world->path, &connection, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "lanspread run"));
}

static void expect_nobody(const char *path, int code, const char *why)
{
	struct lsp_control_connection *connection = NULL;
	assert_int_equal(lsp_control_connect(path, &connection, &err), -code);
	assert_non_null(strstr(err.message, path));
	if (!strstr(err.message, why))
		fail_msg("%s: not because \"%s\"", err.message, why);
	assert_non_null(strstr(err.message, "lanspread run"));
}

static void why_nobody_is_there_is_said(void **state)
{
	struct world *world = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char below[sizeof address.sun_path + 8];
	snprintf(address.sun_path, sizeof address.sun_path, "%s/left", world->folder);
	expect_nobody(address.sun_path, LSP_E_NOT_FOUND, "no such socket");
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server, 1), 0);
	close(server);
	expect_nobody(address.sun_path, LSP_E_NOT_FOUND, "nobody listens");
	assert_int_equal(unlink(address.sun_path), 0);
	close(open(address.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_nobody(address.sun_path, LSP_E_NOT_FOUND, "no socket");
	snprintf(below, sizeof below, "%s/below", address.sun_path);
	expect_nobody(below, LSP_E_NOT_FOUND, "no folder");
	assert_int_equal(unlink(address.sun_path), 0);
}

/* In a child, for that gives up who it is. */
static void try_as_nobody(const char *path)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(2);
	struct lsp_control_connection *connection = NULL;
	int r = lsp_control_connect(path, &connection, &err);
	bool said = strstr(err.message, "belongs to root") && strstr(err.message, "nobody else");
	_exit(r == -LSP_E_DENIED && said ? 0 : 1);
}

static void a_peer_of_another_user_is_said_to_be_theirs(void **state)
{
	struct world *world = *state;
	char private[128], path[160];
	int status;
	if (geteuid() != 0)
		skip();
	snprintf(private, sizeof private, "%s/private", world->folder);
	snprintf(path, sizeof path, "%s/socket", private);
	assert_int_equal(mkdir(private, 0700), 0);
	assert_int_equal(chmod(world->folder, 0755), 0);
	pid_t child = fork();
	if (child == 0)
		try_as_nobody(path);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(world->folder, 0700), 0);
	assert_int_equal(rmdir(private), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_peer_that_lets_nobody_in_is_told_from_none(void **state)
{
	struct world *world = *state;
	struct lsp_control_connection *connection = NULL;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/hangs", world->folder);
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), waiting[8], count = 0;
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server, 1), 0);
	do {
		assert_true(count < 8);
		waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} while (connect(waiting[count++], (struct sockaddr *)&address, sizeof address) == 0);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(lsp_control_connect(address.sun_path, &connection, &err), -LSP_E_TIMEOUT);
	assert_non_null(strstr(err.message, address.sun_path));
	/* Room for one: it gets in. */
	close(accept(server, NULL, NULL));
	assert_ok(lsp_control_connect(address.sun_path, &connection, &err));
	lsp_control_disconnect(connection);
	while (count > 0)
		close(waiting[--count]);
	close(server);
	assert_int_equal(unlink(address.sun_path), 0);
}

static void expect_path(const char *chosen, const char *state_dir, const char *wanted)
{
	char *path = NULL;
	assert_ok(lsp_control_path(chosen, state_dir, &path, &err));
	assert_string_equal(path, wanted);
	free(path);
}

static void daemon_and_clients_agree_where_the_socket_is(void **state)
{
	char *path = NULL, longest[200];
	setenv("HOME", "/home/player", 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("LANSPREAD_CONTROL");
	expect_path(NULL, NULL, "/home/player/.local/state/lanspread/control.sock");
	expect_path(NULL, "/state", "/state/control.sock");
	setenv("XDG_STATE_HOME", "/var/state", 1);
	expect_path(NULL, NULL, "/var/state/lanspread/control.sock");
	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	expect_path(NULL, "/state", "/run/user/1/lanspread/control.sock");
	setenv("LANSPREAD_CONTROL", "/c", 1);
	expect_path(NULL, "/state", "/c");
	expect_path("/chosen", "/state", "/chosen");
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(lsp_control_path(longest, NULL, &path, &err), -LSP_E_TOO_LARGE);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A peer in a process of its own: hangs up on whoever comes, and ends when told. */
static void serve_in_a_child(const char *path, int listening, int told)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char byte;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(fd, 1) < 0 || write(listening, "x", 1) != 1)
		_exit(1);
	close(accept(fd, NULL, NULL));
	_exit(read(told, &byte, 1) == 1 ? 0 : 1);
}

static void the_end_of_a_peers_process_can_be_waited_for(void **state)
{
	struct world *world = *state;
	char path[108], byte;
	int listening[2], told[2];
	struct lsp_control_connection *connection = NULL;
	json_t *event = NULL;
	snprintf(path, sizeof path, "%s/other.sock", world->folder);
	assert_int_equal(pipe(listening) | pipe(told), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		serve_in_a_child(path, listening[1], told[0]);
	close(listening[1]);
	close(told[0]);
	assert_int_equal(read(listening[0], &byte, 1), 1);
	assert_ok(lsp_control_connect(path, &connection, &err));
	struct pollfd process = {.fd = lsp_control_process(connection), .events = POLLIN};
	assert_true(process.fd >= 0);
	/* Its socket is closed, and it holds its locks as long as it likes. */
	assert_int_equal(lsp_control_next(connection, SOON, &event, &err), -LSP_E_CLOSED);
	assert_int_equal(poll(&process, 1, 0), 0);
	assert_int_equal(write(told[1], "x", 1), 1);
	assert_int_equal(poll(&process, 1, SOON / LSP_MILLISECOND), 1);
	close(process.fd);
	lsp_control_disconnect(connection);
	assert_int_equal(waitpid(child, NULL, 0), child);
	unlink(path);
	close(listening[0]);
	close(told[1]);
}

static void this_very_process_is_not_waited_for(void **state)
{
	struct world *world = *state;
	start_server(world, 0);
	struct lsp_control_connection *connection = join(world);
	assert_int_equal(lsp_control_process(connection), -1);
	lsp_control_disconnect(connection);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_command_ends_in_its_answer_and_events_are_kept_in_order),
		WORLD_TEST(a_refusal_carries_code_message_and_what_stands_beside_them),
		WORLD_TEST(an_answer_may_overtake_an_earlier_one),
		WORLD_TEST(what_is_no_command_gets_an_answer_and_nothing_else),
		WORLD_TEST(a_frame_over_the_limit_ends_only_its_client),
		WORLD_TEST(a_command_in_pieces_is_put_together),
		WORLD_TEST(a_nul_in_a_command_is_refused),
		WORLD_TEST(a_client_that_never_reads_is_dropped_and_others_see_everything),
		WORLD_TEST(one_client_too_many_is_told_so),
		WORLD_TEST(who_left_makes_room_for_who_comes_at_the_same_moment),
		WORLD_TEST(a_wait_that_fails_is_made_again),
		WORLD_TEST(the_last_event_reaches_every_client_before_its_stream_closes),
		WORLD_TEST(an_interrupt_ends_a_wait),
		WORLD_TEST(the_socket_is_the_users_alone),
		WORLD_TEST(a_second_server_is_refused_and_the_first_lives_on),
		WORLD_TEST(a_stale_socket_is_replaced),
		WORLD_TEST(a_socket_that_can_be_found_is_listened_at),
		WORLD_TEST(what_is_no_socket_is_left_alone),
		WORLD_TEST(nobody_there_is_not_found),
		WORLD_TEST(why_nobody_is_there_is_said),
		WORLD_TEST(a_peer_of_another_user_is_said_to_be_theirs),
		WORLD_TEST(the_end_of_a_peers_process_can_be_waited_for),
		WORLD_TEST(this_very_process_is_not_waited_for),
		WORLD_TEST(a_peer_that_lets_nobody_in_is_told_from_none),
		cmocka_unit_test(daemon_and_clients_agree_where_the_socket_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
