/* What shells are told that may come next, and the manual page: both are made of the table. */
#include "world.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Is there a line that is `candidate`, alone or with its meaning behind it? */
static bool offered(struct world *world, const char *words, const char *candidate)
{
	char line[256];
	assert_int_equal(lanspread(world, words), CLI_DONE);
	assert_string_equal(world->errors, "");
	size_t size = strlen(candidate);
	for (const char *at = world->out; *at; at = strchr(at, '\n') + 1) {
		snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
		if (strncmp(line, candidate, size) == 0 && strchr("\t", line[size]))
			return true;
	}
	return false;
}

static void every_command_and_option_is_offered_and_in_the_manual(void **state)
{
	struct world *world = *state;
	setenv("LANSPREAD_CONTROL", "/nonexistent/socket", 1);
	char words[128], text[128];
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		snprintf(words, sizeof words, "--complete %.2s", command->name);
		assert_true(offered(world, words, command->name));
		for (const struct cli_option *option = command->options; option && option->name;
			option++) {
			snprintf(words, sizeof words, "--complete %s --", command->name);
			snprintf(text, sizeof text, "--%s", option->name);
			assert_true(offered(world, words, text));
		}
	}
	assert_int_equal(lanspread(world, "help --man"), CLI_DONE);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		/* A dash is "\-" there, so only what has none is looked for whole. */
		snprintf(text, sizeof text, "\n\\fB%.*s", (int)strcspn(command->name, "-"),
			command->name);
		assert_non_null(strstr(world->out, text));
	}
	assert_non_null(strstr(world->out, "\\fB\\-\\-no\\-discovery\\fR\n"));
	assert_non_null(strstr(world->out, "\\fB\\-\\-control\\fR \\fIPATH\\fR\n"));
	assert_non_null(strstr(world->out, "\\fBpause, resume\\fR \\fITORRENT\\fR\n"));
}

static void a_manual_says_the_day_that_its_build_gives(void **state)
{
	struct world *world = *state;
	setenv("SOURCE_DATE_EPOCH", "86400", 1);
	assert_int_equal(lanspread(world, "help --man"), CLI_DONE);
	unsetenv("SOURCE_DATE_EPOCH");
	assert_ptr_equal(strstr(world->out, ".TH LANSPREAD 1 1970-01-02 "), world->out);
}

static void what_the_usage_says_is_offered_in_its_place(void **state)
{
	struct world *world = *state;
	static const char *const yes[][2] = {
		{"--complete catalog i", "import"},
		{"--complete catalog import x", ":files"},
		{"--complete add ./", ":files"},
		{"--complete games-dir x", ":folders"},
		{"--complete run --games x", ":folders"},
		{"--complete run --swarm i", "internet"},
		{"--complete run --http o", "off"},
		{"--complete get --engine=s", "--engine=swarm"},
		{"--complete get quake --engine l", "lan"},
		{"--complete identity r", "rotate"},
		{"--complete peers f", "forget"},
		{"--complete torrent seq", "sequential"},
		{"--complete torrent res", "resume"},
		{"--complete torrent sequential abcdef o", "off"},
		{"--complete torrent create x", ":files"},
		{"--complete torrent move abcdef x", ":folders"},
		{"--complete help inst", "install"},
		{"--complete --vers", "--version"},
	};
	static const char *const no[][2] = {
		{"--complete catalog show imp", "import"},
		{"--complete get quake --no-wait qu", "quake"},
		{"--complete fly a", "add"},
		{"--complete --json ge", "get"},
		{"--complete get -- --no", "--no-wait"},
		{"--complete get --engine=fa", "--engine=swarm"},
		{"--complete status r", "rotate"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(yes); i++)
		assert_true(offered(world, yes[i][0], yes[i][1]));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(no); i++)
		assert_false(offered(world, no[i][0], no[i][1]));
}

static void the_peers_games_are_offered_but_none_that_could_steer_a_shell(void **state)
{
	struct world *world = *state;
	static const char *const ids[] = {"quake", "spiel-ü", "-rf", ":files", "q\nrm"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ids); i++)
		add_game(world, ids[i], "ready", "none");
	add_game(world, "quux", "unavailable", "none");
	assert_true(offered(world, "--complete get q", "quake"));
	assert_non_null(strstr(world->out, "quake\tQuake\n"));
	assert_null(strstr(world->out, "quux"));
	assert_null(strstr(world->out, "rm"));
	assert_true(offered(world, "--complete limits --game sp", "spiel-ü"));
	assert_false(offered(world, "--complete get -", "-rf"));
	assert_false(offered(world, "--complete get :", ":files"));
	assert_false(offered(world, "--complete get quake q", "quake"));
}

static void settings_and_peers_are_offered(void **state)
{
	struct world *world = *state;
	says(world, "config_get", json_pack("{s:{s:s}}", "config", "log_level", "info"));
	assert_true(offered(world, "--complete config l", "log_level"));
	says(world, "peers",
		json_pack("{s:[{s:s, s:s}]}", "peers", "id", "abcdef0123", "name", "Ann"));
	assert_true(offered(world, "--complete peers forget a", "abcdef0123"));
}

static void a_peer_that_lets_nobody_in_does_not_hold_up_the_shell(void **state)
{
	struct world *world = *state;
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
	setenv("LANSPREAD_CONTROL", address.sun_path, 1);
	lsp_time before = lsp_now(lsp_clock_system);
	assert_false(offered(world, "--complete get q", "quake"));
	assert_true(lsp_now(lsp_clock_system) - before < LSP_CONTROL_CONNECT_PATIENCE / 2);
	while (count > 0)
		close(waiting[--count]);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(every_command_and_option_is_offered_and_in_the_manual),
		WORLD_TEST(a_manual_says_the_day_that_its_build_gives),
		WORLD_TEST(what_the_usage_says_is_offered_in_its_place),
		WORLD_TEST(the_peers_games_are_offered_but_none_that_could_steer_a_shell),
		WORLD_TEST(settings_and_peers_are_offered),
		WORLD_TEST(a_peer_that_lets_nobody_in_does_not_hold_up_the_shell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
