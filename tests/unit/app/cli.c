/* What every command has, looking around, and operations that one waits for. */
#include "world.h"

/* ---- The edge ---- */

static void help_and_version_need_no_peer(void **state)
{
	struct world *world = *state;
	setenv("LANSPREAD_CONTROL", "/nonexistent/socket", 1);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		char words[64];
		assert_int_equal(lanspread(world, "--help"), CLI_DONE);
		assert_non_null(strstr(world->out, command->name));
		snprintf(words, sizeof words, "%s --help", command->name);
		assert_int_equal(lanspread(world, words), CLI_DONE);
		assert_non_null(strstr(world->out, command->summary));
		assert_non_null(strstr(world->out, "--json"));
		snprintf(words, sizeof words, "%s --version", command->name);
		if (command->min == 0) {
			assert_int_equal(lanspread(world, words), CLI_DONE);
			assert_non_null(strstr(world->out, LANSPREAD_VERSION));
		}
		snprintf(words, sizeof words, "help %s", command->name);
		assert_int_equal(lanspread(world, words), CLI_DONE);
	}
	assert_int_equal(lanspread(world, "--version"), CLI_DONE);
	assert_non_null(strstr(world->out, LANSPREAD_VERSION));
}

/* Words stay whole, and what stands at the left stays alone there. */
static void help_keeps_within_the_terminal(void **state)
{
	struct world *world = *state;
	static const int widths[] = {100, 80, 60, 40};
	world->terminal = true;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(widths); i++) {
		world->columns = widths[i];
		for (const struct cli_command *command = cli_commands; command->name; command++) {
			char words[64];
			snprintf(words, sizeof words, "help %s", command->name);
			assert_int_equal(lanspread(world, words), CLI_DONE);
			const char *line = strstr(world->out, "\n\n"); /* the usage is one line */
			for (size_t size; *line; line += size + (line[size] == '\n')) {
				size = strcspn(line, "\n");
				assert_true(size <= (size_t)widths[i]);
			}
		}
		assert_int_equal(lanspread(world, "--help"), CLI_DONE);
		for (const char *line = world->out; *line; line += strcspn(line, "\n") + 1)
			assert_true(strcspn(line, "\n") <= (size_t)widths[i]);
	}
	world->columns = 60;
	assert_int_equal(lanspread(world, "help status"), CLI_DONE);
	assert_non_null(
		strstr(world->out, "  --control PATH            the peer's control socket\n"
				   "                            (default: $LANSPREAD_CONTROL,\n"
				   "                            else the usual place)\n"));
	world->columns = 40;
	assert_int_equal(lanspread(world, "help status"), CLI_DONE);
	assert_non_null(strstr(world->out, "  --control PATH\n"
					   "        the peer's control socket\n"
					   "        (default: $LANSPREAD_CONTROL,\n"
					   "        else the usual place)\n"));
	world->terminal = false; /* a pipe has no end of the line */
	assert_int_equal(lanspread(world, "help status"), CLI_DONE);
	assert_non_null(strstr(world->out, "$LANSPREAD_CONTROL, else the usual place)\n"));
}

static void wrong_usage_is_exit_2_and_one_line(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {"fly", "games now", "get", "get a b", "get a --variant",
		"status --loud", "status --json=1", "peers remember x", "limits --up fast",
		"limits --up -5", "limits --pause-uploads --resume-uploads", "catalog",
		"catalog import", "catalog eat x", "identity steal", "add . --id x", "torrent fly",
		"torrent list --set nothing", "torrent pause a b", "--games"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		assert_int_equal(lanspread(world, lines[i]), CLI_USAGE);
		assert_string_equal(world->out, "");
		assert_ptr_equal(
			strchr(world->errors, '\n'), world->errors + world->errors_size - 1);
		assert_ptr_equal(strstr(world->errors, "lanspread: "), world->errors);
	}
	assert_int_equal(lanspread(world, "get"), CLI_USAGE);
	assert_non_null(strstr(world->errors, "see 'lanspread get --help'"));
	assert_int_equal(lanspread(world, "fly"), CLI_USAGE);
	assert_non_null(strstr(world->errors, "see 'lanspread --help'"));
}

static void a_mistyped_word_is_told_what_it_may_have_been(void **state)
{
	struct world *world = *state;
	static const char *const lines[][2] = {{"gmaes", "'gmaes' (did you mean 'games'?)"},
		{"help instal", "'instal' (did you mean 'install'?)"},
		{"status --jsn", "--jsn (did you mean --json?)"},
		{"get quake --varaint=x", "--varaint (did you mean --variant?)"},
		{"torrent lst", "'lst' (did you mean 'list'?)"}, {"-v", "there is no option -v"},
		{"get -x", "there is no option -x"}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		assert_int_equal(lanspread(world, lines[i][0]), CLI_USAGE);
		assert_non_null(strstr(world->errors, lines[i][1]));
		assert_ptr_equal(
			strchr(world->errors, '\n'), world->errors + world->errors_size - 1);
	}
	assert_int_equal(lanspread(world, "fly"), CLI_USAGE);
	assert_null(strstr(world->errors, "did you mean"));
}

static void a_mistyped_game_is_told_what_it_may_have_been(void **state)
{
	struct world *world = *state;
	json_array_append_new(world->games, json_pack("{s:s}", "id", "openttd"));
	json_array_append_new(world->games, json_pack("{s:s}", "id", "quake"));
	refuses(world, "download_game_files", LANSPREAD_E_NOT_FOUND, "not here", NULL);
	assert_int_equal(lanspread(world, "get qauke"), CLI_FAILED);
	assert_string_equal(world->errors,
		"lanspread: no game \"qauke\" is known here (did you mean \"quake\"?); "
		"`lanspread games` lists them\n");
	assert_int_equal(lanspread(world, "get xonotic"), CLI_FAILED);
	assert_null(strstr(world->errors, "did you mean"));
	/* What else is not there is said as the peer said it. */
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: not here\n");
	/* A cancel of what nobody knows stopped nothing. */
	assert_int_equal(lanspread(world, "cancel qauke"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "did you mean \"quake\"?"));
	assert_int_equal(lanspread(world, "cancel quake"), CLI_DONE);
}

static void no_peer_is_exit_3(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {
		"status", "games", "get quake", "watch", "stop", "open"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		char words[128];
		snprintf(words, sizeof words, "%s --control %s/nobody", lines[i], world->folder);
		assert_int_equal(lanspread(world, words), CLI_NO_DAEMON);
		assert_non_null(strstr(world->errors, "no peer is running"));
	}
}

static void what_is_resumed_and_has_nobody_to_come_from_says_so(void **state)
{
	struct world *world = *state;
	add_game(world, "quake", "remote", "downloading");
	says(world, "resume", json_object());
	assert_int_equal(lanspread(world, "resume quake"), CLI_DONE);
	assert_string_equal(world->out, "quake: goes on\n");
	json_object_set_new(json_array_get(world->games, 0), "waiting", json_true());
	json_object_set_new(json_array_get(world->games, 0), "content", json_string("ab"));
	assert_int_equal(lanspread(world, "resume quake"), CLI_DONE);
	assert_string_equal(world->out, "");
	assert_string_equal(world->errors,
		"quake: nobody here has it now; it goes on by itself when somebody comes\n");
}

/* Who mistyped is told that, not to start a peer first. */
static void wrong_usage_is_told_before_a_peer_is_asked(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {"peers frob", "peers forget", "catalog frob",
		"catalog show x", "catalog import", "identity x", "limits --up x",
		"limits --down 1X", "limits --game quake",
		"limits --pause-uploads --resume-uploads", "add / --id x", "games x", "fly",
		"torrent frob", "torrent files", "torrent move d00d00", "torrent pause a b",
		"torrent limits --set x"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		char words[128];
		snprintf(words, sizeof words, "%s --json --control %s/nobody", lines[i],
			world->folder);
		assert_int_equal(lanspread(world, words), CLI_USAGE);
		assert_non_null(strstr(world->errors, "--help'\n"));
		json_t *document = last_line(world);
		assert_true(json_is_false(json_object_get(document, "ok")));
		assert_string_equal(
			cli_text(json_object_get(document, "error"), "code"), "invalid");
		json_decref(document);
	}
}

static void what_could_not_be_written_is_no_success(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {
		"games", "games --json", "config", "--help", "help games", "--version"};
	says(world, "config_get", json_pack("{s:{s:s}}", "config", "name", "box"));
	world->full = true;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		assert_int_equal(lanspread(world, lines[i]), CLI_FAILED);
		assert_non_null(strstr(world->errors, "output could not be written"));
	}
}

static void an_error_is_one_line_on_stderr_and_a_document_in_json(void **state)
{
	struct world *world = *state;
	refuses(world, "status", LANSPREAD_E_IO, "the disk \033[31m is \u202egone", NULL);
	assert_int_equal(lanspread(world, "status"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: the disk \\u001b[31m is \\u202egone\n");
	assert_int_equal(lanspread(world, "status --json"), CLI_FAILED);
	json_t *document = last_line(world);
	assert_false(json_is_true(json_object_get(document, "ok")));
	assert_string_equal(cli_text(json_object_get(document, "error"), "code"), "io");
	json_decref(document);
}

/* The peer knows an argument by its name in JSON; the person typed a word or an option. */
static void what_is_wrong_with_an_argument_is_said_of_what_was_typed(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *words, *command, *argument, *message, *wanted;
	} cases[] = {
		{"peers forget zz", "peers_forget", "peer", "\"peer\" must be an id",
			"'zz' must be an id"},
		{"get quake --variant zz", "download_game_files", "variant",
			"\"variant\" must be a hash", "--variant zz must be a hash"},
		{"add / --id a! --version 1", "add_game", "game", "\"game\" must be an id",
			"--id a! must be an id"},
		{"limits --up 1.5M", "set_limits", "up", "\"up\" must be less",
			"--up 1.5M must be less"},
		{"torrent list --set colour=red", "torrent_list", "colour",
			"\"colour\" is no argument of this command",
			"--set colour=red is no argument of this command"},
		{"torrent add", "torrent_add", "source", "\"source\" is missing",
			"SOURCE is missing"},
		{"get quake", "download_game_files", "game", "the game \"game\" is odd",
			"the game \"game\" is odd"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		char wanted[128];
		refuses(world, cases[i].command, LANSPREAD_E_INVALID, cases[i].message,
			json_pack("{s:s}", "argument", cases[i].argument));
		assert_int_equal(lanspread(world, cases[i].words), CLI_FAILED);
		snprintf(wanted, sizeof wanted, "lanspread: %s\n", cases[i].wanted);
		assert_string_equal(world->errors, wanted);
	}
}

/* ---- Looking ---- */

static void games_are_a_table_or_the_peers_own_document(void **state)
{
	struct world *world = *state;
	add_game(world, "quake", "remote", "none");
	add_game(world, "\033]0;evil\007", "downloaded", "verifying");
	assert_int_equal(lanspread(world, "games"), CLI_DONE);
	assert_non_null(strstr(world->out, "quake"));
	assert_non_null(strstr(world->out, "1.5 GB"));
	assert_null(strchr(world->out, '\033'));
	assert_int_equal(lanspread(world, "games --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_true(json_equal(json_object_get(document, "games"), world->games));
	json_decref(document);
}

static void games_that_nobody_has_come_last_but_those_that_are_waited_for(void **state)
{
	struct world *world = *state;
	add_game(world, "absent", "unavailable", "none");
	add_game(world, "quake", "remote", "none");
	add_game(world, "wanted", "unavailable", "downloading");
	assert_int_equal(lanspread(world, "games"), CLI_DONE);
	assert_true(strstr(world->out, "quake") < strstr(world->out, "wanted"));
	assert_true(strstr(world->out, "wanted") < strstr(world->out, "absent"));
}

static void games_have_the_sources_of_both_engines(void **state)
{
	struct world *world = *state;
	json_array_append_new(world->games,
		json_pack("{s:s, s:s, s:i, s:{s:i, s:i}}", "id", "doom", "operation", "downloading",
			"sources", 2, "swarm", "peers", 5, "seeds", 1));
	json_array_append_new(
		world->games, json_pack("{s:s, s:s, s:i, s:{s:i, s:i}}", "id", "quake", "operation",
				      "none", "sources", 3, "swarm", "peers", 5, "seeds", 0));
	assert_int_equal(lanspread(world, "games"), CLI_DONE);
	assert_non_null(strstr(world->out, "  2 + 5 by torrent\n"));
	assert_non_null(strstr(world->out, "  3\n")); /* who fetches from us is no source */
}

static void status_peers_and_tasks_show_what_the_peer_says(void **state)
{
	struct world *world = *state;
	says(world, "status",
		json_pack("{s:s, s:s, s:[s,s], s:{s:s, s:[s]}, s:[{s:s, s:s, s:i, s:s}], s:i}",
			"name", "box", "peer_id", "ab12", "listen", "10.0.0.1:47777", "[::1]:47777",
			"health", "state", "degraded", "degraded", "discovery", "services", "name",
			"discovery", "state", "restarting", "restarts", 3, "error", "avahi died",
			"uptime_s", 65));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out, "10.0.0.1:47777, [::1]:47777"));
	assert_non_null(strstr(world->out, "degraded: discovery"));
	assert_non_null(strstr(world->out, "avahi died"));
	assert_non_null(strstr(world->out, "1:05"));
	assert_non_null(strstr(world->out, "torrents   off"));
	says(world, "status",
		json_pack("{s:{s:s, s:i, s:i, s:i, s:i, s:i}}", "torrent", "mode", "lan", "port",
			47778, "downloading", 1, "seeding", 2, "sent", 5000000, "received", 8000));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out,
		"torrents   lan, port 47778; 1 downloading, 2 seeding; 5.0 MB sent, 8.0 kB "
		"received\n"));
	says(world, "status",
		json_pack("{s:{s:s, s:i, s:i}}", "torrent", "mode", "off", "port", 47778,
			"downloading", 1));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out,
		"torrents   off but for downloads, port 47778; 1 downloading, 0 seeding;"));
	assert_null(strstr(world->out, "limits"));
	says(world, "status",
		json_pack("{s:{s:i, s:i, s:b, s:{s:{s:i}}}}", "limits", "up", 1500000, "down", 0,
			"pause_uploads", 1, "games", "quake", "up", 5));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out, "limits     up 1.5 MB/s, down unlimited; 1 game has its "
					   "own; uploads are paused\n"));
	says(world, "status", json_pack("{s:{s:s}}", "torrent", "mode", "off"));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out, "torrents   off, not listening;"));
	says(world, "peers",
		json_pack("{s:[{s:s, s:s, s:s, s:b, s:i}]}", "peers", "id", "ab12", "name", "box",
			"address", "10.0.0.2:47777", "connected", 1, "games", 7));
	assert_int_equal(lanspread(world, "peers"), CLI_DONE);
	assert_non_null(strstr(world->out, "10.0.0.2:47777  yes"));
	assert_int_equal(lanspread(world, "peers forget ab"), CLI_DONE);
	assert_sent(world, "peers_forget", "{\"command\":\"peers_forget\",\"peer\":\"ab\"}");
	says(world, "tasks",
		json_pack("{s:[{s:s, s:s, s:i, s:i, s:s}]}", "tasks", "name", "core", "kind",
			"background loop", "age_s", 3, "tid", 99, "state", "running"));
	assert_int_equal(lanspread(world, "tasks"), CLI_DONE);
	assert_non_null(strstr(world->out, "background loop"));
}

static void watch_prints_one_event_a_line_until_the_peer_stops(void **state)
{
	struct world *world = *state;
	world->answers = "nothing";
	fake_set_snapshot(world->peer, snapshot("quake", "downloading"));
	/* What happened before it came is in the snapshot, not among its events. */
	fake_publish(world->peer, event("early", "quake"));
	fake_stop(world->peer);
	assert_int_equal(lanspread(world, "watch --json"), CLI_DONE);
	assert_non_null(strstr(world->out, "{\"event\":\"local_games_updated\""));
	assert_null(strstr(world->out, "early"));
	assert_non_null(strstr(world->errors, "the peer has stopped"));
}

/* ---- Operations ---- */

static void get_returns_when_the_guard_is_released(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake --variant ab12 --engine lan"), CLI_DONE);
	assert_string_equal(world->out, "quake: downloaded, version 20240131, 1.5 GB\n");
	assert_sent(world, "download_game_files",
		"{\"command\":\"download_game_files\",\"engine\":\"lan\",\"game\":\"quake\","
		"\"variant\":\"ab12\"}");
}

static void get_in_json_prints_events_and_the_result_last(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake --json"), CLI_DONE);
	assert_ptr_equal(strstr(world->out, "{\"event\":\"download_begin\""), world->out);
	json_t *document = last_line(world);
	assert_true(json_is_true(json_object_get(document, "ok")));
	assert_string_equal(
		cli_text(json_object_get(document, "game"), "availability"), "downloaded");
	json_decref(document);
}

static void a_terminal_gets_a_bar_and_loses_it_at_the_end(void **state)
{
	struct world *world = *state;
	world->terminal = true;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "[###"));
	assert_non_null(strstr(world->out, " 50 %"));
	assert_non_null(strstr(world->out, "0:05 left  from 2"));
	assert_non_null(strstr(world->out, "\r\033[Kquake: downloaded"));
}

static void a_failure_is_exit_1_with_its_reason(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = json_pack("{s:s, s:s, s:{s:s, s:s}}", "event", "download_failed", "game",
		"quake", "error", "code", "no_space", "message", "3 GB needed, 1 GB free");
	world->after[2] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: 3 GB needed, 1 GB free\n");
}

static void other_games_events_do_not_end_a_wait(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot(NULL, NULL); /* of before: the operation is not in it yet */
	world->after[1] = snapshot("quake", "downloading");
	world->after[2] = json_pack("{s:s, s:s, s:{s:s}}", "event", "download_failed", "game",
		"doom", "error", "code", "io");
	world->after[3] = snapshot("quake", "downloading");
	world->after[4] = event("download_finished", "quake");
	world->after[5] = snapshot("doom", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void a_game_that_is_being_hashed_is_not_taken_for_the_download(void **state)
{
	struct world *world = *state;
	fake_set_snapshot(world->peer, snapshot("quake", "hashing"));
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot(NULL, NULL);
	world->after[1] = snapshot("quake", "downloading");
	world->after[2] = event("download_finished", "quake");
	world->after[3] = snapshot("quake", "hashing");
	add_game(world, "quake", "downloaded", "hashing");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void the_list_may_come_before_the_event_that_says_how(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = snapshot(NULL, NULL);
	world->after[2] = event("download_finished", "quake");
	world->after[3] = event("install_begin", "quake");
	world->after[4] = snapshot("quake", "installing");
	world->after[5] = snapshot(NULL, NULL);
	world->after[6] = event("install_finished", "quake");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "install quake"), CLI_DONE);
}

static void a_lost_stretch_of_events_is_made_good_by_the_games_state(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	json_t *resync = snapshot(NULL, NULL);
	json_object_set_new(resync, "resync", json_true());
	world->after[0] = resync;
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void a_cancelled_download_is_a_failure_for_who_waits(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->patience = 1;
	world->after[1] = snapshot(NULL, NULL); /* nothing says how it went: its state does, soon */
	add_game(world, "quake", "remote", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "stopped before"));
}

static void install_waits_through_both_halves(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = event("download_finished", "quake");
	world->after[2] = snapshot(NULL, NULL); /* the moment between them */
	world->after[3] = snapshot("quake", "installing");
	world->after[4] = event("install_begin", "quake");
	world->after[5] = event("install_finished", "quake");
	world->after[6] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "install quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "quake: installed"));
}

static void install_fails_when_its_download_fails(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = json_pack("{s:s, s:s, s:{s:s, s:s}}", "event", "download_failed", "game",
		"quake", "error", "code", "corrupt", "message", "no good copy");
	world->after[2] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "install quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "no good copy"));
}

static void uninstall_says_where_saves_were_kept(void **state)
{
	struct world *world = *state;
	says(world, "uninstall_game", json_pack("{s:s}", "operation", "uninstalling"));
	world->after[0] = snapshot("quake", "uninstalling");
	world->after[1] = event("uninstall_finished", "quake");
	json_object_set_new(world->after[1], "kept", json_string("/g/quake/local.kept-20240131"));
	world->after[2] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "uninstall quake --purge"), CLI_DONE);
	assert_non_null(strstr(world->out, "saved files are kept in /g/quake/local.kept-20240131"));
	assert_sent(world, "uninstall_game",
		"{\"command\":\"uninstall_game\",\"game\":\"quake\",\"purge\":true}");
}

/* What the peer tells of the game then is the installation that stays. */
static void what_was_removed_has_no_version_any_more(void **state)
{
	struct world *world = *state;
	says(world, "remove_game", json_pack("{s:s}", "operation", "removing"));
	world->after[0] = snapshot("quake", "removing");
	world->after[1] = event("remove_finished", "quake");
	world->after[2] = snapshot(NULL, NULL);
	add_game(world, "quake", "local_only", "none");
	assert_int_equal(lanspread(world, "remove quake"), CLI_DONE);
	assert_string_equal(world->out, "quake: removed\n");
}

static void nothing_to_do_is_done(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files",
		json_pack("{s:s, s:s}", "operation", "none", "message",
			"quake 20230101 is here; 'lanspread update quake' fetches 20240131"));
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "lanspread update quake"));
	assert_int_equal(lanspread(world, "get quake --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "operation"), "none");
	json_decref(document);
}

static void an_unknown_game_is_exit_1(void **state)
{
	struct world *world = *state;
	refuses(world, "download_game_files", LANSPREAD_E_NOT_FOUND, "nobody knows a game 'quack'",
		NULL);
	assert_int_equal(lanspread(world, "get quack"), CLI_FAILED);
	assert_string_equal(world->errors,
		"lanspread: no game \"quack\" is known here; `lanspread games` lists them\n");
}

static void several_variants_are_listed_for_a_choice(void **state)
{
	struct world *world = *state;
	refuses(world, "download_game_files", LANSPREAD_E_EXISTS, "quake has 2 contents",
		json_pack("{s:[{s:s, s:s, s:i, s:i}, {s:s, s:s, s:i, s:i}]}", "variants", "content",
			"aaaabbbbccccddddeeee", "version", "1", "size", 1000, "holders", 3,
			"content", "11112222333344445555", "version", "1", "size", 2000, "holders",
			1));
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "--variant"));
	assert_non_null(strstr(world->out, "aaaabbbbccccdddd"));
	assert_int_equal(lanspread(world, "get quake --json"), CLI_FAILED);
	json_t *document = last_line(world);
	assert_int_equal(json_array_size(json_object_get(document, "variants")), 2);
	json_decref(document);
}

static void get_attaches_to_a_running_download(void **state)
{
	struct world *world = *state;
	fake_set_snapshot(world->peer, snapshot("quake", "downloading"));
	refuses(world, "download_game_files", LANSPREAD_E_BUSY, "quake is being downloaded", NULL);
	add_game(world, "quake", "remote", "downloading");
	world->after[0] = event("download_finished", "quake");
	world->after[1] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	/* Busy with something else is an error. */
	refuses(world, "install_game", LANSPREAD_E_BUSY, "quake is being downloaded", NULL);
	assert_int_equal(lanspread(world, "install quake"), CLI_FAILED);
}

static void no_wait_returns_at_once(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	assert_int_equal(lanspread(world, "get quake --no-wait"), CLI_DONE);
	assert_non_null(strstr(world->out, "downloading"));
	assert_int_equal(lanspread(world, "get quake --no-wait --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "operation"), "downloading");
	json_decref(document);
}

static void ctrl_c_detaches_and_says_how_to_look_and_cancel(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->detach = true;
	assert_int_equal(lanspread(world, "get quake"), CLI_DETACHED);
	assert_non_null(strstr(world->errors, "'lanspread games' shows it"));
	assert_non_null(strstr(world->errors, "'lanspread cancel quake' stops it"));
	assert_null(fake_last_command(world->peer, "cancel"));
}

/* The pass of a hybrid would publish what nobody waits for any more. */
static void ctrl_c_ends_the_pass_of_a_hybrid(void **state)
{
	struct world *world = *state;
	world->answers = "share";
	world->answer = (struct fake_answer){.later = true};
	world->detach = true;
	assert_int_equal(lanspread(world, "share quake --hybrid"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: interrupted\n");
	fake_wait_commands(world->peer, "torrent_cancel", 1);
	assert_sent(world, "torrent_cancel",
		"{\"command\":\"torrent_cancel\",\"job\":\"share quake\"}");
}

static void waiting_for_a_source_is_said_once(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = event("download_all_peers_gone", "quake");
	world->after[2] = event("download_all_peers_gone", "quake");
	world->after[3] = event("download_progress", "quake");
	world->after[4] = event("download_finished", "quake");
	world->after[5] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	char *first = strstr(world->errors, "nobody here has it now");
	assert_non_null(first);
	assert_null(strstr(first + 1, "nobody here has it now"));
}

static void nobody_who_gives_it_by_bittorrent_is_told_with_the_way_out(void **state)
{
	struct world *world = *state;
	const char *way = "'lanspread get quake --engine lan'";
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = event("download_all_peers_gone", "quake");
	json_object_set_new(world->after[1], "engine", json_string("swarm"));
	world->after[2] = event("download_finished", "quake");
	world->after[3] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake --engine swarm"), CLI_DONE);
	assert_non_null(strstr(world->errors, "nobody gives it by BitTorrent now"));
	assert_non_null(strstr(world->errors, way));
}

static void a_holder_that_still_hashes_is_told_from_nobody(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	json_object_set_new(world->after[0], "games",
		json_pack("[{s:s, s:s, s:b, s:n}]", "id", "quake", "availability", "remote",
			"waiting", 1, "content"));
	world->after[1] = event("download_progress", "quake");
	world->after[2] = event("download_finished", "quake");
	world->after[3] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	assert_non_null(strstr(world->errors, "who has it is still reading it through"));
	assert_null(strstr(world->errors, "nobody here has it now"));
}

static void a_peer_that_stops_under_a_wait_is_exit_1(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->stop = true;
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "goes on at its next start"));
}

static void add_sends_an_absolute_path(void **state)
{
	struct world *world = *state;
	char expected[256];
	says(world, "add_game", json_pack("{s:s}", "operation", "adding"));
	assert_int_equal(chdir(world->folder), 0);
	assert_int_equal(
		lanspread(world, "add . --id mine --title Mine --version 1.0 --pack --no-wait"),
		CLI_DONE);
	snprintf(expected, sizeof expected,
		"{\"command\":\"add_game\",\"game\":\"mine\",\"pack\":true,\"path\":\"%s\","
		"\"title\":\"Mine\",\"version\":\"1.0\"}",
		world->folder);
	assert_sent(world, "add_game", expected);
	assert_int_equal(lanspread(world, "add nowhere --id mine --version 1"), CLI_FAILED);
	assert_int_equal(chdir("/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(help_and_version_need_no_peer),
		WORLD_TEST(help_keeps_within_the_terminal),
		WORLD_TEST(wrong_usage_is_exit_2_and_one_line),
		WORLD_TEST(a_mistyped_word_is_told_what_it_may_have_been),
		WORLD_TEST(a_mistyped_game_is_told_what_it_may_have_been),
		WORLD_TEST(no_peer_is_exit_3),
		WORLD_TEST(what_is_resumed_and_has_nobody_to_come_from_says_so),
		WORLD_TEST(wrong_usage_is_told_before_a_peer_is_asked),
		WORLD_TEST(what_could_not_be_written_is_no_success),
		WORLD_TEST(an_error_is_one_line_on_stderr_and_a_document_in_json),
		WORLD_TEST(what_is_wrong_with_an_argument_is_said_of_what_was_typed),
		WORLD_TEST(games_are_a_table_or_the_peers_own_document),
		WORLD_TEST(games_that_nobody_has_come_last_but_those_that_are_waited_for),
		WORLD_TEST(games_have_the_sources_of_both_engines),
		WORLD_TEST(status_peers_and_tasks_show_what_the_peer_says),
		WORLD_TEST(watch_prints_one_event_a_line_until_the_peer_stops),
		WORLD_TEST(get_returns_when_the_guard_is_released),
		WORLD_TEST(get_in_json_prints_events_and_the_result_last),
		WORLD_TEST(a_terminal_gets_a_bar_and_loses_it_at_the_end),
		WORLD_TEST(a_failure_is_exit_1_with_its_reason),
		WORLD_TEST(other_games_events_do_not_end_a_wait),
		WORLD_TEST(a_game_that_is_being_hashed_is_not_taken_for_the_download),
		WORLD_TEST(the_list_may_come_before_the_event_that_says_how),
		WORLD_TEST(a_lost_stretch_of_events_is_made_good_by_the_games_state),
		WORLD_TEST(a_cancelled_download_is_a_failure_for_who_waits),
		WORLD_TEST(install_waits_through_both_halves),
		WORLD_TEST(install_fails_when_its_download_fails),
		WORLD_TEST(uninstall_says_where_saves_were_kept),
		WORLD_TEST(what_was_removed_has_no_version_any_more),
		WORLD_TEST(nothing_to_do_is_done),
		WORLD_TEST(an_unknown_game_is_exit_1),
		WORLD_TEST(several_variants_are_listed_for_a_choice),
		WORLD_TEST(get_attaches_to_a_running_download),
		WORLD_TEST(no_wait_returns_at_once),
		WORLD_TEST(ctrl_c_detaches_and_says_how_to_look_and_cancel),
		WORLD_TEST(ctrl_c_ends_the_pass_of_a_hybrid),
		WORLD_TEST(waiting_for_a_source_is_said_once),
		WORLD_TEST(nobody_who_gives_it_by_bittorrent_is_told_with_the_way_out),
		WORLD_TEST(a_holder_that_still_hashes_is_told_from_nobody),
		WORLD_TEST(a_peer_that_stops_under_a_wait_is_exit_1),
		WORLD_TEST(add_sends_an_absolute_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
