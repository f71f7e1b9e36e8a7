/* What a client may ask: every command with its arguments and its handler. docs/api.md tells more.
 */
#include "peer/commands.h"

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
	{"list_games", lsp_command_list_games, {{0}}},
	{"get_game", lsp_command_get_game, {GAME, VARIANT}},
	{"download_game_files", lsp_command_download, {GAME, VARIANT, ENGINE}},
	{"install_game", lsp_command_install, {GAME, VARIANT, ENGINE}},
	{"update_game", lsp_command_update, {GAME, VARIANT, ENGINE}},
	{"uninstall_game", lsp_command_uninstall, {GAME, {"purge", LSP_ARGUMENT_BOOLEAN, false}}},
	{"remove_game", lsp_command_remove, {GAME}},
	{"verify_game", lsp_command_verify, {GAME}},
	{"cancel", lsp_command_cancel, {GAME}},
	{"pause", lsp_command_pause, {GAME}},
	{"resume", lsp_command_resume, {GAME}},
	{"chunk_map", lsp_command_chunk_map, {GAME}},
	{"play_info", lsp_command_play_info, {GAME}},
	{"get_cover", lsp_command_get_cover, {GAME}},

	/* The library: commands_library.c */
	{"set_game_dir", lsp_command_set_game_dir, {{"path", LSP_ARGUMENT_TEXT, true}}},
	{"check_game_dir", lsp_command_check_game_dir, {{"path", LSP_ARGUMENT_TEXT, true}}},
	{"add_game", lsp_command_add_game,
		{{"path", LSP_ARGUMENT_TEXT, true}, GAME, {"title", LSP_ARGUMENT_TEXT, false},
			{"version", LSP_ARGUMENT_TEXT, true},
			{"pack", LSP_ARGUMENT_BOOLEAN, false}}},
	{"catalog_show", lsp_command_catalog_show, {{"game", LSP_ARGUMENT_GAME, false}}},
	{"catalog_import", lsp_command_catalog_import, {{"path", LSP_ARGUMENT_TEXT, true}}},

	/* The peer itself: commands_peer.c */
	{"peers", lsp_command_peers, {{0}}},
	{"peers_forget", lsp_command_peers_forget, {{"peer", LSP_ARGUMENT_HASH, true}}},
	{"status", lsp_command_status, {{0}}},
	{"tasks", lsp_command_tasks, {{0}}},
	{"set_limits", lsp_command_set_limits,
		{{"up", LSP_ARGUMENT_NUMBER, false}, {"down", LSP_ARGUMENT_NUMBER, false},
			{"game", LSP_ARGUMENT_GAME, false},
			{"pause_uploads", LSP_ARGUMENT_BOOLEAN, false}}},
	{"get_limits", lsp_command_get_limits, {{0}}},
	{"config_get", lsp_command_config_get, {{"key", LSP_ARGUMENT_TEXT, false}}},
	{"config_set", lsp_command_config_set,
		{{"key", LSP_ARGUMENT_TEXT, true}, {"value", LSP_ARGUMENT_ANY, false}}},
	{"identity", lsp_command_identity, {{0}}},
	{"identity_rotate", lsp_command_identity_rotate, {{0}}},
	{"shutdown", lsp_command_shutdown, {{0}}},
	{NULL, NULL, {{0}}},
};
