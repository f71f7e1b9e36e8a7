/* `lanspread run`: from options to the library, and from the way it ended to an exit code. */
#include "cli.h"
#include "fake_start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *out, *errors;
static size_t out_size, errors_size;
static int interrupt_fds[2];

static const char *http_setting;

static void handle(struct lanspread *peer, const json_t *command, uint64_t request,
	struct fake_answer *answer, void *argument)
{
	const char *name = cli_text(command, "command");
	if (strcmp(name, "config_get") == 0) {
		answer->result = json_pack("{s:{s:s?}}", "config", "http", http_setting);
		return;
	}
	answer->result = json_pack("{s:s, s:s, s:[s]}", "name", "box", "peer_id", "ab12cd34",
		"listen", "0.0.0.0:47777");
}

static int set_up(void **state)
{
	fake_start = (struct fake_start){.peer = fake_new(handle, NULL),
		.http_url = "http://x/?token=t",
		.how = {.graceful = 1}};
	http_setting = NULL;
	setenv("LANSPREAD_CONTROL", "/tmp/none.sock", 1);
	return pipe(interrupt_fds);
}

static int tear_down(void **state)
{
	free(out);
	free(errors);
	out = errors = NULL;
	close(interrupt_fds[0]);
	close(interrupt_fds[1]);
	return 0;
}

static int lanspread(int argc, const char *const *argv)
{
	struct cli cli = {.out = open_memstream(&out, &out_size),
		.errors = open_memstream(&errors, &errors_size),
		.interrupt_fd = interrupt_fds[0]};
	int code = cli_main(&cli, argc, (char **)argv);
	fclose(cli.out);
	fclose(cli.errors);
	return code;
}

#define RUN(...)                                                                                   \
	({                                                                                         \
		const char *const argv_[] = {"lanspread", "run", ##__VA_ARGS__};                   \
		lanspread(sizeof argv_ / sizeof *argv_, argv_);                                    \
	})

static void a_signal(void)
{
	assert_int_equal(write(interrupt_fds[1], "x", 1), 1);
}

static void options_reach_the_library(void **state)
{
	a_signal();
	assert_int_equal(
		RUN("--games", "/g", "--state=/s", "--name", "Ann", "--listen", "5", "--interface",
			"eth0", "--peer", "a:1", "--peer", "b:2#ff", "--no-discovery", "--catalog",
			"/c", "--unpacker", "u", "--swarm", "lan", "--log-level", "debug",
			"--control", "/tmp/c.sock", "--http", "off"),
		CLI_DONE);
	struct lanspread_options *given = &fake_start.options;
	assert_int_equal(given->struct_size, sizeof *given);
	assert_string_equal(given->games_dir, "/g");
	assert_string_equal(given->state_dir, "/s");
	assert_string_equal(given->name, "Ann");
	assert_string_equal(given->listen, "5");
	assert_string_equal(given->interface_name, "eth0");
	assert_string_equal(fake_start.peers[0], "a:1");
	assert_string_equal(fake_start.peers[1], "b:2#ff");
	assert_true(given->no_discovery);
	assert_string_equal(given->catalog_file, "/c");
	assert_string_equal(given->unpacker_command, "u");
	assert_string_equal(given->swarm, "lan");
	assert_string_equal(given->http, "off");
	assert_true(given->log_level_set);
	assert_int_equal(given->log_level, LANSPREAD_LOG_DEBUG);
	assert_non_null(strstr(out, "page off"));
}

static void without_options_every_default_is_the_librarys(void **state)
{
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_null(fake_start.options.games_dir);
	assert_null(fake_start.options.peers);
	assert_false(fake_start.options.log_level_set);
}

static void one_line_says_that_it_is_ready(void **state)
{
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_string_equal(out, "ready: box (ab12cd34) at 0.0.0.0:47777; page http://x/?token=t; "
				 "control /tmp/none.sock\n");
}

static void ready_in_json_has_what_scripts_need(void **state)
{
	a_signal();
	assert_int_equal(RUN("--json"), CLI_DONE);
	json_t *ready = json_loads(out, 0, NULL);
	assert_true(json_is_true(json_object_get(ready, "ready")));
	assert_string_equal(cli_text(ready, "peer_id"), "ab12cd34");
	assert_string_equal(cli_text(ready, "page"), "http://x/?token=t");
	assert_string_equal(cli_text(ready, "control"), "/tmp/none.sock");
	assert_int_equal(json_array_size(json_object_get(ready, "listen")), 1);
	json_decref(ready);
}

static void a_signal_stops_the_peer_and_exits_0(void **state)
{
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_true(fake_start.shutdowns >= 1);
	assert_string_equal(errors, "");
}

static void a_runtime_failure_is_its_message_and_not_0(void **state)
{
	fake_start.how = (struct lanspread_exit){.exit_code = 1, .reason = "fatal"};
	strcpy(fake_start.how.message, "quic: the socket is gone"); /* lint: a test's own text */
	fake_stop(fake_start.peer);
	assert_int_equal(RUN(), CLI_FAILED);
	assert_non_null(strstr(errors, "quic: the socket is gone"));
}

static void a_peer_that_was_asked_to_stop_exits_0(void **state)
{
	/* `lanspread stop`: the streams end without a signal here. */
	fake_start.http_url = NULL;
	fake_stop(fake_start.peer);
	assert_int_equal(RUN(), CLI_DONE);
}

static void a_failed_start_is_one_line(void **state)
{
	struct lanspread *unused = fake_start.peer;
	fake_start.peer = NULL;
	fake_start.code = LANSPREAD_E_BUSY;
	fake_start.message = "process 7 has the state folder";
	assert_int_equal(RUN(), CLI_FAILED);
	assert_string_equal(errors, "lanspread: process 7 has the state folder\n");
	lanspread_free(unused);
}

static void a_page_for_other_machines_is_said_to_need_its_link(void **state)
{
	fake_start.http_url = "http://127.0.0.1:5/?token=t";
	a_signal();
	assert_int_equal(RUN("--http", "0.0.0.0:5"), 0);
	assert_non_null(strstr(errors, "other machines reach the page"));
	assert_non_null(strstr(errors, ":5/?token=t"));
}

static void a_page_on_loopback_says_nothing_more(void **state)
{
	fake_start.http_url = "http://127.0.0.1:5/?token=t";
	a_signal();
	assert_int_equal(RUN("--http", "127.0.0.1:5"), 0);
	assert_null(strstr(errors, "other machines"));
}

static void a_page_that_was_not_asked_for_may_be_missing(void **state)
{
	fake_start.http_url = NULL;
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_non_null(strstr(errors, "no page"));
}

static void the_page_is_where_the_setting_says_unless_a_flag_does(void **state)
{
	http_setting = "off";
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_non_null(strstr(out, "page off"));
}

static void a_flag_wins_over_the_pages_setting(void **state)
{
	http_setting = "off";
	a_signal();
	assert_int_equal(RUN("--http", "127.0.0.1:5"), CLI_DONE);
	assert_string_equal(fake_start.http_listen, "127.0.0.1:5");
	assert_null(strstr(out, "page off"));
}

static void the_usual_place_of_the_page_may_be_taken(void **state)
{
	/* A named port that is taken is an error; the usual one gives way to a free one. */
	http_setting = "127.0.0.1:47777";
	a_signal();
	assert_int_equal(RUN(), CLI_DONE);
	assert_string_equal(fake_start.http_listen, "");
}

static void a_page_that_was_asked_for_may_not(void **state)
{
	fake_start.http_url = NULL;
	assert_int_equal(RUN("--http", "127.0.0.1:1"), CLI_FAILED);
	assert_non_null(strstr(errors, "built without the page"));
}

static void stragglers_are_named_and_left_behind(void **state)
{
	/* The process exits without joining them, so it is a process of its own here. */
	fake_start.stop_code = LANSPREAD_E_TIMEOUT;
	a_signal();
	int fds[2], status;
	char text[512] = "";
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		FILE *pipe_end = fdopen(fds[1], "w");
		setvbuf(pipe_end, NULL, _IONBF, 0);
		struct cli cli = {
			.out = pipe_end, .errors = pipe_end, .interrupt_fd = interrupt_fds[0]};
		char *argv[] = {(char[]){"lanspread"}, (char[]){"run"}, NULL};
		_exit(cli_main(&cli, 2, argv) == CLI_FAILED ? 77 : 78);
	}
	close(fds[1]);
	size_t size = 0;
	ssize_t got;
	while ((got = read(fds[0], text + size, sizeof text - 1 - size)) > 0)
		size += (size_t)got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CLI_FAILED);
	assert_non_null(strstr(text, "still running: disk, hash"));
	lanspread_free(fake_start.peer);
}

static void a_wrong_log_level_is_wrong_usage(void **state)
{
	assert_int_equal(RUN("--log-level", "loud"), CLI_USAGE);
	lanspread_free(fake_start.peer);
}

#define DAEMON_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAEMON_TEST(options_reach_the_library),
		DAEMON_TEST(without_options_every_default_is_the_librarys),
		DAEMON_TEST(one_line_says_that_it_is_ready),
		DAEMON_TEST(ready_in_json_has_what_scripts_need),
		DAEMON_TEST(a_signal_stops_the_peer_and_exits_0),
		DAEMON_TEST(a_runtime_failure_is_its_message_and_not_0),
		DAEMON_TEST(a_peer_that_was_asked_to_stop_exits_0),
		DAEMON_TEST(a_failed_start_is_one_line),
		DAEMON_TEST(a_page_for_other_machines_is_said_to_need_its_link),
		DAEMON_TEST(a_page_on_loopback_says_nothing_more),
		DAEMON_TEST(a_page_that_was_not_asked_for_may_be_missing),
		DAEMON_TEST(the_page_is_where_the_setting_says_unless_a_flag_does),
		DAEMON_TEST(a_flag_wins_over_the_pages_setting),
		DAEMON_TEST(the_usual_place_of_the_page_may_be_taken),
		DAEMON_TEST(a_page_that_was_asked_for_may_not),
		DAEMON_TEST(stragglers_are_named_and_left_behind),
		DAEMON_TEST(a_wrong_log_level_is_wrong_usage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
