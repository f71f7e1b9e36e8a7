/* The table of commands. What they send to the peer is in docs/api.md. */
#include "commands.h"

static const struct cli_option run_options[] = {
	{"games", "DIR", "the games folder (default ~/Games/lanspread)"},
	{"state", "DIR", "keys, settings and caches (default $XDG_STATE_HOME/lanspread)"},
	{"name", "NAME", "what others see (default: the host's name)"},
	{"listen", "[ADDR:]PORT", "UDP (default 47777, a free port if that is taken)"},
	{"interface", "IF", "use this interface alone (default: all usable ones)"},
	{"peer", "HOST:PORT[#ID]", "connect to this peer too; may come several times"},
	{"no-discovery", NULL, "do not look for peers by multicast"},
	{"http", "ADDR:PORT|off",
		"the page (default 127.0.0.1:47777, a free port if that is taken)"},
	{"catalog", "FILE", "the catalogue of games (SQLite)"},
	{"unpacker", "CMD", "unpack archives with this command"},
	{"swarm", "off|lan|internet", "the torrent engine"},
	{"log-level", "error|warning|info|debug", "how much it tells of itself"},
	{NULL},
};

#define NO_WAIT                                                                                    \
	{                                                                                          \
		"no-wait", NULL, "return at once"                                                  \
	}

static const struct cli_option fetch_options[] = {
	{"variant", "CONTENT", "which content, where peers have different ones; a prefix will do"},
	{"engine", "lan|swarm", "how to fetch it"},
	NO_WAIT,
	{NULL},
};

static const struct cli_option wait_options[] = {NO_WAIT, {NULL}};

static const struct cli_option uninstall_options[] = {
	{"purge", NULL, "remove saves and added files too"},
	NO_WAIT,
	{NULL},
};

static const struct cli_option add_options[] = {
	{"id", "ID", "its id, which is its folder's name"},
	{"title", "T", "what people call it"},
	{"version", "V", "20240131 or 1.2.3"},
	{"pack", NULL, "as one archive"},
	NO_WAIT,
	{NULL},
};

static const struct cli_option limits_options[] = {
	{"up", "N", "bytes a second on the wire, such as 1.5M (K, M, G); 0: no limit"},
	{"down", "N", "the same for what comes in"},
	{"game", "ID", "for this game alone"},
	{"pause-uploads", NULL, "send nothing for now"},
	{"resume-uploads", NULL, "send again"},
	{NULL},
};

static const struct cli_option share_options[] = {
	{"magnet", NULL, "print the link alone"},
	{"hybrid", NULL,
		"for clients that know only the first version of BitTorrent (reads it once)"},
	{"tracker", "URL", "tell this tracker of it; may come several times"},
	{NULL},
};

static const struct cli_option torrent_options[] = {
	{"set", "KEY=VALUE",
		"an argument of the command, see docs/torrent.md; may come several times"},
	{"output", "FILE", "create, export: write the .torrent there"},
	{"as-game", NULL, "add: it becomes a game of the library"},
	{"data", NULL, "remove: its files too"},
	{NULL},
};

/* --set takes what else there is: docs/torrent.md has all of it. */
static const struct cli_subcommand torrent_verbs[] = {
	{"list", "[TORRENT]", "what there is"},
	{"add", "LINK|FILE [--as-game]", "download it; --set save_path=DIR says where to"},
	{"create", "PATH", "make a .torrent of a file or folder"},
	{"cancel", "JOB", "end a create"},
	{"files, peers, have", "TORRENT", "its files, who is connected, how many pieces are here"},
	{"export", "TORRENT", "its link, and its .torrent"},
	{"pause, resume", "TORRENT", "hold it, go on with it"},
	{"remove", "TORRENT [--data]", "with its files"},
	{"select", "TORRENT", "--set exclude='*.iso', include, skip_fluff, priorities"},
	{"limits", "[TORRENT]", "--set max_download=RATE, max_upload: 500K, 2M; 0: no limit"},
	{"options", "TORRENT", "--set seed_ratio=2, seed_time, queue_position, tags, ..."},
	{"sequential", "TORRENT on|off", "its pieces in their order, or the rarest first"},
	{"trackers, web_seeds", "TORRENT", "--set add=URL, remove, set"},
	{"reannounce, recheck", "TORRENT", "tell its trackers of it now; read all of it again"},
	{"move", "TORRENT DIR", "its files too"},
	{"deadline", "TORRENT PIECE", "--set milliseconds=N"},
	{"add_peers", "TORRENT", "--set peers=ADDRESS:PORT"},
	{"inspect, configure, restart", "", "the engine: --set KEY=VALUE, null takes one away"},
	{NULL},
};

static const char torrent_details[] =
	"TORRENT is an id or its first six digits or more. A VALUE is JSON or a text; of a list, "
	"one member, and --set comes again for the next.";

static const char config_details[] =
	"Without a KEY it shows all settings and which a flag of this run has fixed. A VALUE of "
	"null takes a setting back to its default.";

static const struct cli_option help_options[] = {
	{"man", NULL, "the manual page instead, as man reads it"},
	{NULL},
};

const struct cli_command cli_commands[] = {
	{"run", "[OPTIONS]", "run a peer in the foreground", cli_run_daemon, run_options, 0, 0,
		true},
	{"status", "", "what this peer is doing", cli_run_status},
	{"games", "", "everybody's games", cli_run_games},
	{"peers", "[forget PEER]", "who is there, or forget the key of one", cli_run_peers, NULL, 0,
		2, .check = cli_check_peers},
	{"tasks", "", "what runs inside the peer", cli_run_tasks},
	{"watch", "", "everything that happens, one JSON event a line", cli_run_watch},
	{"get", "ID [OPTIONS]", "download a game", cli_run_operation, fetch_options, 1, 1, false,
		"download_game_files", {"game"}},
	{"install", "ID [OPTIONS]", "install a game, downloading it first if need be",
		cli_run_operation, fetch_options, 1, 1, false, "install_game", {"game"}},
	{"update", "ID [OPTIONS]", "bring a game to its newest version", cli_run_operation,
		fetch_options, 1, 1, false, "update_game", {"game"}},
	{"uninstall", "ID [OPTIONS]", "remove the installation; saves and the download stay",
		cli_run_operation, uninstall_options, 1, 1, false, "uninstall_game", {"game"}},
	{"remove", "ID [OPTIONS]", "delete the download; the installation stays", cli_run_operation,
		wait_options, 1, 1, false, "remove_game", {"game"}},
	{"verify", "ID [OPTIONS]", "check every byte of the download", cli_run_operation,
		wait_options, 1, 1, false, "verify_game", {"game"}},
	{"pause", "ID", "hold a download", cli_run_pause, NULL, 1, 1, false, "pause", {"game"}},
	{"resume", "ID", "go on with it", cli_run_pause, NULL, 1, 1, false, "resume", {"game"}},
	{"cancel", "ID", "stop what is going on; what was verified is kept", cli_run_cancel, NULL,
		1, 1},
	{"add", "PATH --id ID --version V [--title T] [--pack]",
		"share a folder or archive of your own", cli_run_add, add_options, 1, 1,
		.check = cli_check_add},
	{"play", "ID", "start an installed game", cli_run_play, NULL, 1, 1},
	{"games-dir", "[DIR]", "where the games are, or where they shall be", cli_run_games_dir,
		NULL, 0, 1},
	{"catalog", "import FILE | show", "the catalogue of games", cli_run_catalog, NULL, 1, 2,
		.check = cli_check_catalog},
	{"config", "[KEY [VALUE]]", "show or change settings", cli_run_config, NULL, 0, 2,
		.details = config_details},
	{"limits", "[OPTIONS]", "show or change how much bandwidth is used", cli_run_limits,
		limits_options, .check = cli_check_limits},
	{"identity", "[rotate]", "this peer's id, or a new one", cli_run_identity, NULL, 0, 1,
		.check = cli_check_identity},
	{"share", "ID [--magnet] [--hybrid]", "offer a game to torrent clients too", cli_run_share,
		share_options, 1, 1},
	{"torrent", "COMMAND [ARGUMENT]... [--set KEY=VALUE]...",
		"the torrent engine; 'lanspread help torrent' has its commands", cli_run_torrent,
		torrent_options, 1, 16, .check = cli_check_torrent, .verbs = torrent_verbs,
		.details = torrent_details},
	{"open", "", "open the page in a browser", cli_run_open},
	{"stop", "", "stop the peer", cli_run_stop},
	{"help", "[COMMAND]", "this list, or what a command takes", cli_run_help, help_options, 0,
		1, true},
	{NULL},
};
