/* Settings, the end, and commands that start other programs. */
#include "world.h"

/* ---- Settings ---- */

static void limits_are_sent_in_bytes(void **state)
{
	struct world *world = *state;
	says(world, "set_limits", json_pack("{s:i, s:i}", "up", 1500000, "down", 0));
	assert_int_equal(lanspread(world, "limits --up 1.5M --down 0 --game quake"), CLI_DONE);
	assert_sent(world, "set_limits",
		"{\"command\":\"set_limits\",\"down\":0,\"game\":\"quake\",\"up\":1500000}");
	assert_non_null(strstr(world->out, "up 1.5 MB/s, down unlimited"));
	assert_int_equal(lanspread(world, "limits --pause-uploads"), CLI_DONE);
	assert_sent(world, "set_limits", "{\"command\":\"set_limits\",\"pause_uploads\":true}");
	assert_int_equal(lanspread(world, "limits"), CLI_DONE);
	assert_sent(world, "get_limits", "{\"command\":\"get_limits\"}");
}

static void settings_keep_their_types(void **state)
{
	struct world *world = *state;
	says(world, "config_set", json_pack("{s:{s:s}}", "config", "name", "box 17"));
	assert_int_equal(lanspread(world, "config name box"), CLI_DONE);
	assert_sent(world, "config_set",
		"{\"command\":\"config_set\",\"key\":\"name\",\"value\":\"box\"}");
	assert_string_equal(world->out, "box 17\n");
	assert_string_equal(world->errors, "");
	says(world, "config_set",
		json_pack("{s:{s:s}, s:b}", "config", "listen", "5", "restart", 1));
	assert_int_equal(lanspread(world, "config listen 5"), CLI_DONE);
	assert_string_equal(world->errors, "listen is in effect at the peer's next start\n");
	assert_int_equal(lanspread(world, "config discovery false"), CLI_DONE);
	assert_sent(world, "config_set",
		"{\"command\":\"config_set\",\"key\":\"discovery\",\"value\":false}");
	assert_int_equal(lanspread(world, "config"), CLI_DONE);
	assert_sent(world, "config_get", "{\"command\":\"config_get\"}");
}

static void what_a_flag_fixed_is_told_among_the_settings(void **state)
{
	struct world *world = *state;
	says(world, "config_get",
		json_pack("{s:{s:s, s:s}, s:[s]}", "config", "http", "off", "name", "box", "fixed",
			"http"));
	assert_int_equal(lanspread(world, "config"), CLI_DONE);
	assert_non_null(strstr(world->out, "http = off  (by a flag of this run)\n"));
	assert_non_null(strstr(world->out, "name = box\n"));
	assert_int_equal(lanspread(world, "config http"), CLI_DONE);
	assert_string_equal(world->out, "off\n");
}

static void folders_and_files_are_named_absolutely(void **state)
{
	struct world *world = *state;
	char expected[256];
	assert_int_equal(chdir(world->folder), 0);
	says(world, "set_game_dir", json_pack("{s:s}", "games_dir", "/g"));
	assert_int_equal(lanspread(world, "games-dir new/place"), CLI_DONE);
	snprintf(expected, sizeof expected,
		"{\"command\":\"set_game_dir\",\"path\":\"%s/new/place\"}", world->folder);
	assert_sent(world, "set_game_dir", expected);
	assert_string_equal(world->out, "/g\n");
	says(world, "catalog_import", json_pack("{s:i}", "imported", 12));
	assert_int_equal(lanspread(world, "catalog import /tmp/games.csv"), CLI_DONE);
	assert_string_equal(world->out, "12 games\n");
	assert_int_equal(chdir("/"), 0);
}

static void a_new_identity_says_when_it_counts(void **state)
{
	struct world *world = *state;
	says(world, "identity_rotate", json_pack("{s:s, s:b}", "peer_id", "cd34", "restart", 1));
	assert_int_equal(lanspread(world, "identity rotate"), CLI_DONE);
	assert_string_equal(world->out, "cd34\n");
	assert_non_null(strstr(world->errors, "next start"));
}

static void stop_returns_when_the_peer_is_gone(void **state)
{
	struct world *world = *state;
	assert_int_equal(lanspread(world, "stop"), CLI_DONE);
	assert_string_equal(world->out, "stopped\n");
}

static void torrent_commands_pass_through(void **state)
{
	struct world *world = *state;
	says(world, "torrent_add", json_pack("{s:s}", "id", "t1"));
	assert_int_equal(
		lanspread(
			world, "torrent add magnet:?xt=1 --as-game --set paused=true --set name=x"),
		CLI_DONE);
	assert_sent(world, "torrent_add",
		"{\"as_game\":true,\"command\":\"torrent_add\",\"name\":\"x\",\"paused\":true,"
		"\"source\":\"magnet:?xt=1\"}");
}

static void open_puts_the_token_behind_the_address(void **state)
{
	struct world *world = *state;
	char path[128];
	snprintf(path, sizeof path, "%s/page.token", world->folder);
	FILE *file = fopen(path, "w");
	fputs("secret\n", file);
	fclose(file);
	says(world, "status",
		json_pack("{s:s, s:s}", "http", "http://127.0.0.1:47777/", "state_dir",
			world->folder));
	assert_int_equal(lanspread(world, "open --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "page"), "http://127.0.0.1:47777/?token=secret");
	json_decref(document);
	/* Without a command, where a peer runs: the same. */
	assert_int_equal(lanspread(world, "--json"), CLI_DONE);
	says(world, "status", json_pack("{s:n, s:s}", "http", "state_dir", world->folder));
	assert_int_equal(lanspread(world, "open"), CLI_FAILED);
}

static void bare_says_where_the_log_is_when_no_peer_starts(void **state)
{
	struct world *world = *state;
	char words[128];
	unsetenv("XDG_STATE_HOME");
	snprintf(words, sizeof words, "--control %s/nobody", world->folder);
	assert_int_equal(lanspread(world, words), CLI_FAILED);
	assert_non_null(strstr(world->errors, "lanspread.log"));
	assert_non_null(strstr(world->errors, "did not start"));
}

static void play_reports_what_it_cannot_start(void **state)
{
	struct world *world = *state;
	says(world, "play_info",
		json_pack("{s:[s], s:s, s:s}", "argv", "/nonexistent/game", "cwd", "/", "kind",
			"program"));
	assert_int_equal(lanspread(world, "play quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "/nonexistent/game"));
	says(world, "play_info",
		json_pack("{s:[], s:s, s:s}", "argv", "cwd", "/g", "kind", "folder"));
	assert_int_equal(lanspread(world, "play quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "/g"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(limits_are_sent_in_bytes),
		WORLD_TEST(settings_keep_their_types),
		WORLD_TEST(what_a_flag_fixed_is_told_among_the_settings),
		WORLD_TEST(folders_and_files_are_named_absolutely),
		WORLD_TEST(a_new_identity_says_when_it_counts),
		WORLD_TEST(stop_returns_when_the_peer_is_gone),
		WORLD_TEST(torrent_commands_pass_through),
		WORLD_TEST(open_puts_the_token_behind_the_address),
		WORLD_TEST(bare_says_where_the_log_is_when_no_peer_starts),
		WORLD_TEST(play_reports_what_it_cannot_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
