/*
 * What a client may ask of the torrent engine: torrent_<command>, with the arguments of
 * torrent/engine.h and some that are this peer's own. docs/torrent.md tells more.
 */
#include "peer/commands.h"

#define TAKES(...) ((const struct lsp_argument[]){__VA_ARGS__, {0}})
#define TORRENT                                                                                    \
	{                                                                                          \
		"torrent", LSP_ARGUMENT_TEXT, true                                                 \
	}
#define ANY(name)                                                                                  \
	{                                                                                          \
		name, LSP_ARGUMENT_ANY, false                                                      \
	}
#define TEXT(name)                                                                                 \
	{                                                                                          \
		name, LSP_ARGUMENT_TEXT, false                                                     \
	}
#define NUMBER(name)                                                                               \
	{                                                                                          \
		name, LSP_ARGUMENT_NUMBER, false                                                   \
	}
#define SWITCH(name)                                                                               \
	{                                                                                          \
		name, LSP_ARGUMENT_BOOLEAN, false                                                  \
	}
/* Of add and options. */
#define OPTIONS                                                                                    \
	TEXT("name"), TEXT("category"), ANY("tags"), SWITCH("auto_managed"), SWITCH("pex"),        \
		SWITCH("super_seeding"), NUMBER("queue_position"), NUMBER("max_connections"),      \
		NUMBER("max_uploads"), ANY("seed_ratio"), ANY("seed_time"), SWITCH("seed_remove"), \
		SWITCH("seed_remove_data")
#define SELECTION ANY("include"), ANY("exclude"), ANY("skip_fluff"), ANY("priorities")
#define RATES NUMBER("max_download"), NUMBER("max_upload")
#define CHANGES ANY("add"), ANY("remove"), ANY("set")

const struct lsp_command lsp_torrent_commands[] = {
	/* What there is */
	{"torrent_list", lsp_command_torrent_list, TAKES(TEXT("torrent"))},
	{"torrent_files", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_peers", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_have", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_export", lsp_command_torrent, TAKES(TORRENT)},

	/* Coming and going */
	{"torrent_add", lsp_command_torrent_add,
		TAKES(TEXT("source"), {"metainfo", LSP_ARGUMENT_DATA, false}, SWITCH("as_game"),
			TEXT("game"), TEXT("save_path"), TEXT("storage"), SWITCH("sequential"),
			SWITCH("paused"), ANY("trackers"), ANY("web_seeds"), TEXT("have"),
			ANY("peers"), OPTIONS, SELECTION, RATES)},
	{"torrent_create", lsp_command_torrent_create,
		TAKES(TEXT("path"), {"game", LSP_ARGUMENT_GAME, false}, TEXT("name"),
			SWITCH("hybrid"), NUMBER("piece_length"), ANY("trackers"), ANY("web_seeds"),
			SWITCH("private"), TEXT("comment"), TEXT("source"), TEXT("job"))},
	{"torrent_cancel", lsp_command_torrent, TAKES(TEXT("job"), TEXT("torrent"))},
	{"torrent_remove", lsp_command_torrent, TAKES(TORRENT, SWITCH("data"))},

	/* One torrent */
	{"torrent_pause", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_resume", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_sequential", lsp_command_torrent,
		TAKES(TORRENT, {"on", LSP_ARGUMENT_BOOLEAN, true})},
	{"torrent_limits", lsp_command_torrent, TAKES(TEXT("torrent"), RATES)},
	{"torrent_select", lsp_command_torrent, TAKES(TORRENT, SELECTION)},
	{"torrent_options", lsp_command_torrent, TAKES(TORRENT, OPTIONS)},
	{"torrent_trackers", lsp_command_torrent, TAKES(TORRENT, CHANGES)},
	{"torrent_web_seeds", lsp_command_torrent, TAKES(TORRENT, CHANGES)},
	{"torrent_reannounce", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_recheck", lsp_command_torrent, TAKES(TORRENT)},
	{"torrent_move", lsp_command_torrent,
		TAKES(TORRENT, {"save_path", LSP_ARGUMENT_TEXT, true})},
	{"torrent_deadline", lsp_command_torrent,
		TAKES(TORRENT, {"piece", LSP_ARGUMENT_NUMBER, true}, NUMBER("milliseconds"))},
	{"torrent_add_peers", lsp_command_torrent,
		TAKES(TEXT("torrent"), {"peers", LSP_ARGUMENT_ANY, true})},

	/* The engine */
	{"torrent_inspect", lsp_command_torrent, TAKES({0})},
	{"torrent_configure", lsp_command_torrent_configure, TAKES(ANY("configuration"))},
	{"torrent_restart", lsp_command_torrent, TAKES({0})},
	{NULL, NULL, NULL},
};
