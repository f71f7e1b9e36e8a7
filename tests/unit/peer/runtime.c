/*
 * The runtime through its public door: a Required service that fails, a shutdown, a core loop that
 * ends by itself. Several clients each time: what is promised is promised to every one.
 */
#include "peer/runtime.h"

#include "base/fs.h"
#include "base/text.h"
#include "peer/connect.h"
#include "peer/events.h"
#include "peer/handle.h"
#include "peer/limits.h"
#include "peer/peer.h"
#include "peer/runtime_private.h"
#include "store/config.h"
#include "task/pool.h"

#include <lanspread/lanspread.h>

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 3
#define PATIENCE 20000 /* ms */

struct party {
	char folder[40], games[64], state[64];
	struct lanspread *peer;
	struct lanspread_stream *clients[CLIENTS];
};

static void make_folders(struct party *party)
{
	snprintf(party->folder, sizeof party->folder, "/tmp/unit-runtime-XXXXXX");
	assert_non_null(mkdtemp(party->folder));
	snprintf(party->games, sizeof party->games, "%s/games", party->folder);
	snprintf(party->state, sizeof party->state, "%s/state", party->folder);
	assert_int_equal(mkdir(party->games, 0700), 0);
}

static struct lanspread_options party_options(const struct party *party)
{
	return (struct lanspread_options){
		.struct_size = sizeof(struct lanspread_options),
		.games_dir = party->games,
		.state_dir = party->state,
		.listen = "127.0.0.1:0",
		.no_discovery = 1,
	};
}

static void start_in_folders(struct party *party)
{
	struct lanspread_error err = {0};
	struct lanspread_options options = party_options(party);
	if (lanspread_start(&options, &party->peer, &err) < 0)
		fail_msg("%s", err.message);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(lanspread_subscribe(party->peer, &party->clients[i], &err), 0);
}

static void start_peer(struct party *party)
{
	make_folders(party);
	start_in_folders(party);
}

static void remove_folders(const struct party *party)
{
	char command[80];
	snprintf(command, sizeof command, "rm -rf %s", party->folder);
	assert_int_equal(system(command), 0);
}

static void end_peer(struct party *party)
{
	for (int i = 0; i < CLIENTS; i++)
		lanspread_stream_free(party->clients[i]);
	lanspread_free(party->peer);
	remove_folders(party);
}

/* Reads a stream to its end: the last event, a new reference; *ret_failures: how many
 * runtime_failed. */
static json_t *read_to_the_end(struct lanspread_stream *stream, unsigned *ret_failures)
{
	json_t *last = NULL;
	*ret_failures = 0;
	for (;;) {
		char *text = NULL;
		int r = lanspread_next_event(stream, PATIENCE, &text, NULL);
		assert_int_not_equal(r, -LANSPREAD_E_TIMEOUT);
		if (r < 0)
			return last;
		json_decref(last);
		last = json_loads(text, 0, NULL);
		lanspread_free_text(text);
		const char *name = json_string_value(json_object_get(last, "event"));
		*ret_failures += strcmp(name, "runtime_failed") == 0;
	}
}

/* Each client's last word is the failure of that component. */
static void expect_failure(struct party *party, const char *component, const char *why)
{
	struct lanspread_exit how = {0};
	for (int i = 0; i < CLIENTS; i++) {
		unsigned failures;
		json_t *last = read_to_the_end(party->clients[i], &failures);
		assert_int_equal(failures, 1);
		assert_string_equal(
			json_string_value(json_object_get(last, "event")), "runtime_failed");
		assert_string_equal(
			json_string_value(json_object_get(last, "component")), component);
		const char *message = json_string_value(
			json_object_get(json_object_get(last, "error"), "message"));
		assert_non_null(strstr(message, why));
		json_decref(last);
	}
	assert_int_equal(lanspread_wait_stopped(party->peer, PATIENCE, &how, NULL), 0);
	assert_false(how.graceful);
	assert_int_equal(how.exit_code, 1);
	assert_string_equal(how.reason, "fatal");
	assert_non_null(strstr(how.message, component));
	assert_non_null(strstr(how.message, why));
}

static int fail_quic(void *argument, struct lsp_error *err)
{
	lsp_runtime_fail_quic(argument, "pulled out by the roots");
	return 0;
}

static void quic_that_fails_reaches_every_client_before_its_stream_closes(void **state)
{
	struct party party = {0};
	start_peer(&party);
	struct lsp_runtime *runtime = lsp_handle_runtime(party.peer);
	assert_int_equal(lsp_loop_call(lsp_runtime_peer(runtime)->core, fail_quic, runtime, NULL,
				 LSP_TIME_NEVER, NULL),
		0);
	expect_failure(&party, "quic", "pulled out by the roots");
	end_peer(&party);
}

static void a_shutdown_is_seen_by_who_waits_and_what_comes_after_it_is_quiet(void **state)
{
	struct party party = {0};
	struct lanspread_exit how = {0};
	struct lanspread_error err = {0};
	uint64_t request;
	start_peer(&party);
	assert_int_equal(lanspread_wait_stopped(party.peer, 0, &how, &err), -LANSPREAD_E_TIMEOUT);
	lanspread_shutdown(party.peer);
	lanspread_shutdown(party.peer);
	assert_int_equal(lanspread_wait_stopped(party.peer, PATIENCE, &how, &err), 0);
	assert_true(how.graceful);
	assert_int_equal(how.exit_code, 0);
	assert_string_equal(how.reason, "user");
	assert_string_equal(how.message, "");
	assert_int_equal(lanspread_send(party.peer, party.clients[0], "{\"command\":\"status\"}",
				 &request, &err),
		-LANSPREAD_E_CLOSED);
	assert_string_equal(err.message, "the peer has stopped");
	for (int i = 0; i < CLIENTS; i++) {
		unsigned failures;
		json_decref(read_to_the_end(party.clients[i], &failures));
		assert_int_equal(failures, 0);
	}
	end_peer(&party);
}

/* Nothing of what was asked for may be passed over in silence: it would be another peer. */
static void options_of_a_size_that_is_none_are_refused(void **state)
{
	struct {
		struct lanspread_options options;
		const char *of_a_later_version;
	} later;
	struct party party = {0};
	struct lanspread_error err = {0};
	make_folders(&party);
	later.options = party_options(&party);
	later.of_a_later_version = NULL;
	static const size_t none[] = {0, sizeof(size_t), 1 << 20};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(none); i++) {
		later.options.struct_size = none[i];
		assert_int_equal(
			lanspread_start(&later.options, &party.peer, &err), -LANSPREAD_E_INVALID);
		assert_non_null(strstr(err.message, "struct_size"));
		assert_null(party.peer);
	}
	later.options.struct_size = sizeof later;
	later.of_a_later_version = "blue";
	assert_int_equal(
		lanspread_start(&later.options, &party.peer, &err), -LANSPREAD_E_UNSUPPORTED);
	assert_int_not_equal(access(party.state, F_OK), 0);
	later.of_a_later_version = NULL;
	assert_int_equal(lanspread_start(&later.options, &party.peer, &err), 0);
	lanspread_free(party.peer);
	remove_folders(&party);
}

static void commands_that_wait_at_the_shutdown_are_answered_or_refused_and_none_is_lost(
	void **state)
{
	struct party party = {0};
	unsigned accepted = 0, answers = 0;
	start_peer(&party);
	for (int i = 0; i < 200; i++) {
		uint64_t request;
		if (i == 100)
			lanspread_shutdown(party.peer);
		accepted += lanspread_send(party.peer, party.clients[0],
				    "{\"command\":\"list_games\"}", &request, NULL) == 0;
	}
	for (;;) {
		char *text = NULL;
		if (lanspread_next_event(party.clients[0], PATIENCE, &text, NULL) < 0)
			break;
		answers += strstr(text, "\"answer\"") != NULL;
		assert_null(strstr(text, "runtime_failed"));
		lanspread_free_text(text);
	}
	assert_true(accepted >= 100);
	assert_int_equal(answers, accepted);
	end_peer(&party);
}

static void note_line(
	enum lanspread_log_level level, const char *component, const char *message, void *argument)
{
	if (strstr(message, "cut short"))
		*(atomic_bool *)argument = true;
}

static void a_start_that_is_given_up_does_not_wait_for_its_first_scan(void **state)
{
	struct party party = {0};
	struct lanspread_error err = {0};
	struct lanspread_exit how = {0};
	atomic_bool cut = false;
	int stop[2];
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(write(stop[1], "", 1), 1);
	make_folders(&party);
	char game[80];
	snprintf(game, sizeof game, "%s/quake", party.games);
	assert_int_equal(mkdir(game, 0700), 0);
	struct lanspread_options options = party_options(&party);
	options.stop_fd = stop[0];
	options.stop_fd_set = 1;
	options.log_sink = note_line;
	options.log_argument = &cut;
	if (lanspread_start(&options, &party.peer, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(cut);
	lanspread_shutdown(party.peer);
	assert_int_equal(lanspread_wait_stopped(party.peer, PATIENCE, &how, &err), 0);
	assert_true(how.graceful);
	end_peer(&party);
	close(stop[0]);
	close(stop[1]);
}

/* In a process of its own: nobody can take down what the loop owned, it ends with the process. */
static void lose_the_core_loop(struct party *party, int result)
{
	start_in_folders(party);
	lsp_loop_close(lsp_runtime_peer(lsp_handle_runtime(party->peer))->core);
	expect_failure(party, "core", "nobody asked");
	if (write(result, "k", 1) == 1)
		raise(SIGKILL);
}

static void a_core_loop_that_ends_by_itself_is_runtime_failed(void **state)
{
	struct party party = {0};
	int result[2], status;
	char told;
	make_folders(&party);
	assert_int_equal(pipe(result), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		lose_the_core_loop(&party, result[1]);
	close(result[1]);
	assert_int_equal(read(result[0], &told, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(result[0]);
	remove_folders(&party);
}

/* ---- A verify whose hashing does not come to its turn ---- */

static void write_file(const struct party *party, const char *name, const char *text)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", party->games, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void send_command(struct party *party, const char *command)
{
	struct lanspread_error err = {0};
	uint64_t request;
	if (lanspread_send(party->peer, party->clients[0], command, &request, &err) < 0)
		fail_msg("%s", err.message);
}

/* Reads on until an event holds both texts. */
static void await_event(struct party *party, const char *name, const char *more)
{
	for (bool found = false; !found;) {
		char *text = NULL;
		assert_int_equal(lanspread_next_event(party->clients[0], PATIENCE, &text, NULL), 0);
		found = strstr(text, name) && strstr(text, more);
		lanspread_free_text(text);
	}
}

struct stuck {
	struct lsp_job job;
	int fd;
};

static void wait_for_a_byte(struct lsp_job *job)
{
	char byte;
	job->result = read(lsp_container_of(job, struct stuck, job)->fd, &byte, 1) == 1 ? 0 : -1;
}

static void stuck_done(struct lsp_job *job)
{
}

static void a_verify_that_is_cancelled_is_over_before_its_hashing_is(void **state)
{
	struct party party = {0};
	struct lanspread_error err = {0};
	int free_it[2];
	make_folders(&party);
	char game[80];
	snprintf(game, sizeof game, "%s/quake", party.games);
	assert_int_equal(mkdir(game, 0700), 0);
	write_file(&party, "quake/version.ini", "1.0\n");
	write_file(&party, "quake/data", "to be hashed");
	start_in_folders(&party);
	send_command(&party, "{\"command\":\"verify_game\",\"game\":\"quake\"}");
	await_event(&party, "\"verify_finished\"", "quake"); /* so it was hashed before, too */

	struct lsp_runtime *runtime = lsp_handle_runtime(party.peer);
	struct stuck stuck = {.job = {.work = wait_for_a_byte, .done = stuck_done}};
	assert_int_equal(pipe(free_it), 0);
	stuck.fd = free_it[0];
	assert_int_equal(
		lsp_pool_submit(runtime->hash, lsp_runtime_peer(runtime)->core, &stuck.job, NULL),
		0);
	send_command(&party, "{\"command\":\"verify_game\",\"game\":\"quake\"}");
	await_event(&party, "\"verify_begin\"", "quake");
	send_command(&party, "{\"command\":\"cancel\",\"game\":\"quake\"}");
	await_event(&party, "\"verify_failed\"", "cancelled before all of quake");

	assert_int_equal(write(free_it[1], "", 1), 1);
	lanspread_shutdown(party.peer);
	assert_int_equal(lanspread_wait_stopped(party.peer, PATIENCE, NULL, &err), 0);
	end_peer(&party);
	close(free_it[0]);
	close(free_it[1]);
}

/* ---- The watchdog of the limits ---- */

/* 1 MB/s; then what the wire is said to have carried, second by second. */
static int see_a_limit_broken_and_kept_again(void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	struct lsp_peer *peer = lsp_runtime_peer(runtime);
	struct lsp_limits *limits = peer->limits;
	lsp_time now = lsp_peer_now(peer);
	if (lsp_config_set(lsp_runtime_config(runtime), LSP_SETTING_LIMIT_UP, "1000000", err) < 0)
		return -1;
	lsp_runtime_settings_changed(runtime, 1u << LSP_SETTING_LIMIT_UP);
	lsp_limits_look(limits, 0, 0, now);
	lsp_limits_look(limits, 2000000, 90000000, now += 2 * LSP_SECOND);
	bool kept = !lsp_limits_are_stale(limits); /* no limit to the download */
	lsp_limits_look(limits, 5000000, 90000000, now += 2 * LSP_SECOND);
	bool broken = lsp_limits_are_stale(limits);
	lsp_limits_look(limits, 9000000, 90000000, now += 2 * LSP_SECOND); /* no second warning */
	lsp_limits_look(limits, 11000000, 90000000, now += 2 * LSP_SECOND);
	lsp_events_publish(peer->events, json_pack("{s:s}", "event", "looked"));
	return kept && broken && !lsp_limits_are_stale(limits) ? 0 : -1;
}

static void a_limit_that_does_not_hold_is_warned_of_once(void **state)
{
	struct party party = {0};
	unsigned warnings = 0;
	start_peer(&party);
	struct lsp_runtime *runtime = lsp_handle_runtime(party.peer);
	assert_int_equal(
		lsp_loop_call(lsp_runtime_peer(runtime)->core, see_a_limit_broken_and_kept_again,
			runtime, NULL, LSP_TIME_NEVER, NULL),
		0);
	for (bool looked = false; !looked;) {
		char *text = NULL;
		assert_int_equal(lanspread_next_event(party.clients[0], PATIENCE, &text, NULL), 0);
		warnings += strstr(text, "the upload limit does not hold") != NULL;
		looked = strstr(text, "\"looked\"") != NULL;
		assert_null(strstr(text, "the download limit"));
		lanspread_free_text(text);
	}
	assert_int_equal(warnings, 1);
	lanspread_shutdown(party.peer);
	end_peer(&party);
}

static char *state_file(const struct party *party, const char *name)
{
	return lsp_text_format("%s/%s", party->state, name);
}

static void put_state(const struct party *party, const char *name, const char *text)
{
	_cleanup_free_ char *path = state_file(party, name);
	assert_int_equal(lsp_fs_write_file(path, text, strlen(text), 0600, NULL), 0);
}

#define PROMISED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ORPHAN "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Killed between the promise and the record: it has no other reference. */
static void a_start_keeps_the_torrent_of_what_is_about_to_be_a_game(void **state)
{
	struct party party = {0};
	make_folders(&party);
	_cleanup_free_ char *folder = state_file(&party, "torrents");
	_cleanup_free_ char *promised = state_file(&party, "torrents/" PROMISED ".torrent");
	_cleanup_free_ char *orphan = state_file(&party, "torrents/" ORPHAN ".torrent");
	assert_int_equal(lsp_fs_make_dirs(folder, true, NULL), 0);
	put_state(&party, "torrents/" PROMISED ".torrent", "de");
	put_state(&party, "torrents/" ORPHAN ".torrent", "de");
	put_state(&party, "swarm.json",
		"{\"quake\": {\"content\": \"cc\", \"shared\": false, \"aliases\": []}}");
	put_state(&party, "as-game.json",
		"{\"" PROMISED "\": {\"promise\": {\"content\": \"dd\", \"alias\": true}}}");
	start_in_folders(&party);
	assert_int_equal(access(promised, F_OK), 0);
	assert_int_equal(access(orphan, F_OK), -1);
	end_peer(&party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quic_that_fails_reaches_every_client_before_its_stream_closes),
		cmocka_unit_test(a_shutdown_is_seen_by_who_waits_and_what_comes_after_it_is_quiet),
		cmocka_unit_test(options_of_a_size_that_is_none_are_refused),
		cmocka_unit_test(
			commands_that_wait_at_the_shutdown_are_answered_or_refused_and_none_is_lost),
		cmocka_unit_test(a_start_that_is_given_up_does_not_wait_for_its_first_scan),
		cmocka_unit_test(a_core_loop_that_ends_by_itself_is_runtime_failed),
		cmocka_unit_test(a_verify_that_is_cancelled_is_over_before_its_hashing_is),
		cmocka_unit_test(a_limit_that_does_not_hold_is_warned_of_once),
		cmocka_unit_test(a_start_keeps_the_torrent_of_what_is_about_to_be_a_game),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
