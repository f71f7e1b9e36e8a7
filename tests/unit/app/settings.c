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
	says(world, "catalog_import",
		json_pack("{s:i, s:i, s:i, s:i}", "imported", 12, "added", 9, "changed", 3,
			"unchanged", 1));
	assert_int_equal(lanspread(world, "catalog import /tmp/games.csv"), CLI_DONE);
	assert_string_equal(world->out, "games: 9 new, 3 changed, 1 as they were\n");
	assert_int_equal(chdir("/"), 0);
}

static void an_empty_path_is_not_where_the_command_runs(void **state)
{
	struct world *world = *state;
	char *dir[] = {(char[]){"lanspread"}, (char[]){"games-dir"}, (char[]){""}};
	char *import[] = {
		(char[]){"lanspread"}, (char[]){"catalog"}, (char[]){"import"}, (char[]){""}};
	assert_int_equal(run_words(world, 3, dir), CLI_USAGE);
	assert_non_null(strstr(world->errors, "games-dir: a path is empty"));
	assert_int_equal(run_words(world, 4, import), CLI_USAGE);
	assert_null(fake_last_command(world->peer, "set_game_dir"));
	assert_null(fake_last_command(world->peer, "catalog_import"));
}

static void what_an_import_left_out_is_told(void **state)
{
	struct world *world = *state;
	says(world, "catalog_import", json_pack("{s:i, s:s}", "added", 1, "ignored", "titel"));
	assert_int_equal(lanspread(world, "catalog import /tmp/games.csv"), CLI_DONE);
	assert_string_equal(world->out, "games: 1 new, 0 changed, 0 as they were\n");
	assert_non_null(strstr(world->errors, "left out: titel"));
}

static void a_setting_that_is_not_set_says_what_holds(void **state)
{
	struct world *world = *state;
	says(world, "config_get", json_pack("{s:{s:s, s:i}}", "config", "name", "", "limit_up", 0));
	assert_int_equal(lanspread(world, "config"), CLI_DONE);
	assert_string_equal(world->out, "name =  (not set: the host's name)\nlimit_up = 0\n");
	/* A script reads what is set; a person what that means. */
	assert_int_equal(lanspread(world, "config name"), CLI_DONE);
	assert_string_equal(world->out, "\n");
	assert_string_equal(world->errors, "name is not set: the host's name\n");
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

static void lists_and_rates_are_given_as_a_person_would(void **state)
{
	struct world *world = *state;
	says(world, "torrent_select", json_pack("{s:[]}", "files"));
	assert_int_equal(
		lanspread(world, "torrent select abcdef --set exclude=*.iso --set exclude=b"),
		CLI_DONE);
	assert_sent(world, "torrent_select",
		"{\"command\":\"torrent_select\",\"exclude\":[\"*.iso\",\"b\"],\"torrent\":"
		"\"abcdef\"}");
	assert_int_equal(lanspread(world, "torrent sequential abcdef on"), CLI_DONE);
	assert_sent(world, "torrent_sequential",
		"{\"command\":\"torrent_sequential\",\"on\":true,\"torrent\":\"abcdef\"}");
	says(world, "torrent_limits", json_object());
	assert_int_equal(lanspread(world, "torrent limits --set max_upload=1.5M"), CLI_DONE);
	assert_sent(
		world, "torrent_limits", "{\"command\":\"torrent_limits\",\"max_upload\":1500000}");
	/* What is written as JSON is as it is. */
	says(world, "torrent_trackers", json_pack("{s:[]}", "trackers"));
	assert_int_equal(
		lanspread(world, "torrent trackers abcdef --set set=[[\"a\",\"b\"]]"), CLI_DONE);
	assert_sent(world, "torrent_trackers",
		"{\"command\":\"torrent_trackers\",\"set\":[[\"a\",\"b\"]],\"torrent\":"
		"\"abcdef\"}");
}

/* Runs it after the peer was told what to answer; what was printed is in world->out. */
static void prints(struct world *world, const char *words, const char *command, json_t *result,
	const char *expected)
{
	says(world, command, result);
	assert_int_equal(lanspread(world, words), CLI_DONE);
	assert_string_equal(world->out, expected);
}

static void torrent_answers_are_for_people(void **state)
{
	struct world *world = *state;
	const char *id = "0123456789abcdef0123456789abcdef01234567";
	json_t *torrent = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:i, s:n}", "id", id,
		"name", "quake", "state", "downloading", "done", 50, "total", 100, "size", 1500000,
		"download_rate", 2000000, "ratio", 0.5, "peers", 3, "error");
	prints(world, "torrent list", "torrent_list", json_pack("{s:[O]}", "torrents", torrent),
		"ID        NAME   STATE        DONE  SIZE    DOWN      UP  RATIO  PEERS\n"
		"01234567  quake  downloading  50 %  1.5 MB  2.0 MB/s  -   0.50   3\n");
	prints(world, "torrent list", "torrent_list", json_pack("{s:[]}", "torrents"),
		"no torrents: 'lanspread torrent add LINK|FILE' adds one\n");
	json_object_set_new(torrent, "state", json_string("failed"));
	json_object_set_new(torrent, "error", json_string("disk \x1b[2J full"));
	prints(world, "torrent pause 012345", "torrent_pause", torrent,
		"quake (01234567): failed: disk \\u001b[2J full\n");
	prints(world, "torrent limits", "torrent_limits",
		json_pack("{s:i, s:i}", "max_download", 0, "max_upload", 1000000),
		"up 1.0 MB/s, down unlimited\n");
	prints(world, "torrent files 012345", "torrent_files",
		json_pack("{s:[{s:s, s:i, s:i, s:s}]}", "files", "path", "a", "size", 4, "done", 1,
			"priority", "high"),
		"PATH  SIZE     DONE  PRIORITY\na     4 bytes  25 %  high\n");
	prints(world, "torrent peers 012345", "torrent_peers", json_pack("{s:[]}", "peers"),
		"nobody is connected\n");
	prints(world, "torrent remove 012345", "torrent_remove", json_object(), "removed\n");
	prints(world, "torrent add magnet:?xt=1 --as-game", "torrent_add",
		json_pack("{s:s, s:s, s:s}", "operation", "downloading", "game", "quake", "message",
			"it was on its way already"),
		"quake: downloading; it was on its way already\n");
	prints(world, "torrent add magnet:?xt=1 --as-game", "torrent_add",
		json_pack("{s:s, s:s, s:s}", "operation", "none", "game", "quake", "message",
			"it is here already, and is seeded now"),
		"quake: it is here already, and is seeded now\n");
}

static void a_file_that_is_none_is_said_and_the_help_has_all_commands(void **state)
{
	struct world *world = *state;
	assert_int_equal(lanspread(world, "torrent add nothing.torrent"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "cannot read nothing.torrent: No such file"));
	says(world, "torrent_pause", json_object());
	assert_int_equal(lanspread(world, "torrent pause --set torrent=abcdef"), CLI_DONE);
	assert_int_equal(lanspread(world, "torrent --help"), CLI_DONE);
	assert_non_null(strstr(world->out, "move TORRENT DIR"));
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
		WORLD_TEST(an_empty_path_is_not_where_the_command_runs),
		WORLD_TEST(what_an_import_left_out_is_told),
		WORLD_TEST(a_setting_that_is_not_set_says_what_holds),
		WORLD_TEST(a_new_identity_says_when_it_counts),
		WORLD_TEST(stop_returns_when_the_peer_is_gone),
		WORLD_TEST(torrent_commands_pass_through),
		WORLD_TEST(lists_and_rates_are_given_as_a_person_would),
		WORLD_TEST(torrent_answers_are_for_people),
		WORLD_TEST(a_file_that_is_none_is_said_and_the_help_has_all_commands),
		WORLD_TEST(open_puts_the_token_behind_the_address),
		WORLD_TEST(bare_says_where_the_log_is_when_no_peer_starts),
		WORLD_TEST(play_reports_what_it_cannot_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
