/* What a client may ask: every command with its arguments and its handler. docs/api.md tells more.
 */
#include "peer/commands.h"

/* An array that ends with an empty row. */
#define TAKES(...) ((const struct lsp_argument[]){__VA_ARGS__, {0}})
#define GAME                                                                                       \
	{                                                                                          \
		"game", LSP_ARGUMENT_GAME, true                                                    \
	}
#define VARIANT                                                                                    \
	{                                                                                          \
		"variant", LSP_ARGUMENT_HASH, false                                                \
	}
#define ENGINE                                                                                     \
	{                                                                                          \
		"engine", LSP_ARGUMENT_TEXT, false                                                 \
	}

const struct lsp_command lsp_commands[] = {
	/* Games: commands_games.c */
	{"list_games", lsp_command_list_games, TAKES({0})},
	{"get_game", lsp_command_get_game, TAKES(GAME, VARIANT)},
	{"download_game_files", lsp_command_download, TAKES(GAME, VARIANT, ENGINE)},
	{"install_game", lsp_command_install, TAKES(GAME, VARIANT, ENGINE)},
	{"update_game", lsp_command_update, TAKES(GAME, VARIANT, ENGINE)},
	{"uninstall_game", lsp_command_uninstall,
		TAKES(GAME, {"purge", LSP_ARGUMENT_BOOLEAN, false})},
	{"remove_game", lsp_command_remove, TAKES(GAME)},
	{"verify_game", lsp_command_verify, TAKES(GAME)},
	{"cancel", lsp_command_cancel, TAKES(GAME)},
	{"pause", lsp_command_pause, TAKES(GAME)},
	{"resume", lsp_command_resume, TAKES(GAME)},
	{"chunk_map", lsp_command_chunk_map, TAKES(GAME)},
	{"play_info", lsp_command_play_info, TAKES(GAME)},
	{"folder_info", lsp_command_folder_info, TAKES(GAME)},
	{"get_cover", lsp_command_get_cover, TAKES(GAME)},
	{"holders", lsp_command_holders, TAKES(GAME)},

	/* The library: commands_library.c */
	{"set_game_dir", lsp_command_set_game_dir, TAKES({"path", LSP_ARGUMENT_TEXT, true})},
	{"check_game_dir", lsp_command_check_game_dir, TAKES({"path", LSP_ARGUMENT_TEXT, true})},
	{"add_game", lsp_command_add_game,
		TAKES({"path", LSP_ARGUMENT_TEXT, true}, GAME, {"title", LSP_ARGUMENT_TEXT, false},
			{"version", LSP_ARGUMENT_TEXT, true},
			{"pack", LSP_ARGUMENT_BOOLEAN, false})},
	{"catalog_show", lsp_command_catalog_show, TAKES({"game", LSP_ARGUMENT_GAME, false})},
	{"catalog_import", lsp_command_catalog_import, TAKES({"path", LSP_ARGUMENT_TEXT, true})},

	/* The peer itself: commands_peer.c */
	{"peers", lsp_command_peers, TAKES({0})},
	{"peers_forget", lsp_command_peers_forget, TAKES({"peer", LSP_ARGUMENT_HASH, true})},
	{"status", lsp_command_status, TAKES({0})},
	{"tasks", lsp_command_tasks, TAKES({0})},
	{"set_limits", lsp_command_set_limits,
		TAKES({"up", LSP_ARGUMENT_NUMBER, false}, {"down", LSP_ARGUMENT_NUMBER, false},
			{"game", LSP_ARGUMENT_GAME, false},
			{"pause_uploads", LSP_ARGUMENT_BOOLEAN, false})},
	{"get_limits", lsp_command_get_limits, TAKES({0})},
	{"config_get", lsp_command_config_get, TAKES({"key", LSP_ARGUMENT_TEXT, false})},
	{"config_set", lsp_command_config_set,
		TAKES({"key", LSP_ARGUMENT_TEXT, true}, {"value", LSP_ARGUMENT_ANY, false})},
	{"identity", lsp_command_identity, TAKES({0})},
	{"identity_rotate", lsp_command_identity_rotate, TAKES({0})},
	{"share", lsp_command_share,
		TAKES(GAME, {"hybrid", LSP_ARGUMENT_BOOLEAN, false},
			{"trackers", LSP_ARGUMENT_ANY, false})},
	{"shutdown", lsp_command_shutdown, TAKES({0})},
	{NULL, NULL, NULL},
};
