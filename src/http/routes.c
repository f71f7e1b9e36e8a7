/*
 * Every path of the API, and the command behind it. docs/api.yaml describes each of them;
 * tests/unit/http holds the two together.
 */
#include "http/internal.h"

#define GAME "/api/games/{id}"
#define TORRENT "/api/torrents/{id}"
#define COMMAND(method, pattern, command, ...)                                                     \
	{                                                                                          \
		method, pattern, lsp_http_run_command, command, {__VA_ARGS__}, false, false, 0     \
	}

const struct lsp_http_route lsp_http_routes[] = {
	/* The page */
	{"GET", "/", lsp_http_run_page, NULL, {NULL}, true, false, 0},
	{"GET", "/assets/{file}", lsp_http_run_asset, NULL, {NULL}, true, false, 0},
	{"GET", "/icon.svg", lsp_http_run_asset, NULL, {NULL}, true, false, 0},
	{"GET", "/manifest.webmanifest", lsp_http_run_asset, NULL, {NULL}, true, false, 0},

	/* Games */
	{"GET", "/api/games", lsp_http_run_games, "list_games", {NULL}, false, false, 0},
	COMMAND("POST", "/api/games", "add_game"),
	COMMAND("GET", GAME, "get_game", "game"),
	COMMAND("DELETE", GAME, "remove_game", "game"),
	COMMAND("GET", GAME "/chunks", "chunk_map", "game"),
	COMMAND("GET", GAME "/holders", "holders", "game"),
	COMMAND("POST", GAME "/download", "download_game_files", "game"),
	COMMAND("POST", GAME "/install", "install_game", "game"),
	COMMAND("POST", GAME "/update", "update_game", "game"),
	COMMAND("POST", GAME "/uninstall", "uninstall_game", "game"),
	COMMAND("POST", GAME "/verify", "verify_game", "game"),
	COMMAND("POST", GAME "/cancel", "cancel", "game"),
	COMMAND("POST", GAME "/pause", "pause", "game"),
	COMMAND("POST", GAME "/resume", "resume", "game"),
	COMMAND("POST", GAME "/share", "share", "game"),
	{"POST", GAME "/play", lsp_http_run_play, "play_info", {"game"}, false, true, 0},
	{"POST", GAME "/open-folder", lsp_http_run_play, "folder_info", {"game"}, false, true, 0},
	{"GET", "/api/covers/{id}", lsp_http_run_cover, "get_cover", {NULL}, false, false, 0},

	/* The party */
	COMMAND("GET", "/api/peers", "peers"),
	COMMAND("DELETE", "/api/peers/{id}", "peers_forget", "peer"),

	/* The peer itself */
	COMMAND("GET", "/api/status", "status"),
	COMMAND("GET", "/api/tasks", "tasks"),
	COMMAND("GET", "/api/config", "config_get"),
	COMMAND("PUT", "/api/config/{key}", "config_set", "key"),
	COMMAND("GET", "/api/limits", "get_limits"),
	COMMAND("PUT", "/api/limits", "set_limits"),
	COMMAND("PUT", "/api/games-dir", "set_game_dir"),
	COMMAND("POST", "/api/games-dir/check", "check_game_dir"),
	{"GET", "/api/events", lsp_http_run_events, NULL, {NULL}, false, false, 0},
	{"GET", "/metrics", lsp_http_run_metrics, "status", {NULL}, false, false, 0},

	/* The torrent engine */
	COMMAND("GET", "/api/torrents", "torrent_list"),
	{"POST", "/api/torrents", lsp_http_run_command, "torrent_add", {NULL}, false, false,
		LSP_HTTP_MAX_TORRENT_BODY},
	COMMAND("GET", TORRENT, "torrent_list", "torrent"),
	COMMAND("DELETE", TORRENT, "torrent_remove", "torrent"),
	COMMAND("GET", TORRENT "/files", "torrent_files", "torrent"),
	COMMAND("GET", TORRENT "/peers", "torrent_peers", "torrent"),
	COMMAND("GET", TORRENT "/trackers", "torrent_trackers", "torrent"),
	COMMAND("GET", TORRENT "/have", "torrent_have", "torrent"),
	COMMAND("GET", TORRENT "/export", "torrent_export", "torrent"),
	COMMAND("POST", TORRENT "/pause", "torrent_pause", "torrent"),
	COMMAND("POST", TORRENT "/resume", "torrent_resume", "torrent"),
	COMMAND("POST", TORRENT "/recheck", "torrent_recheck", "torrent"),
	COMMAND("POST", TORRENT "/reannounce", "torrent_reannounce", "torrent"),
	COMMAND("POST", TORRENT "/move", "torrent_move", "torrent"),
	COMMAND("PUT", TORRENT "/sequential", "torrent_sequential", "torrent"),
	COMMAND("PUT", TORRENT "/limits", "torrent_limits", "torrent"),
	COMMAND("PUT", TORRENT "/selection", "torrent_select", "torrent"),
	COMMAND("PUT", TORRENT "/options", "torrent_options", "torrent"),
	COMMAND("PUT", TORRENT "/trackers", "torrent_trackers", "torrent"),
	COMMAND("GET", "/api/torrent-engine", "torrent_inspect"),
	COMMAND("POST", "/api/torrent-engine/restart", "torrent_restart"),
	COMMAND("PUT", "/api/torrent-engine/limits", "torrent_limits"),
	COMMAND("PUT", "/api/torrent-engine/configuration", "torrent_configure"),
	{NULL, NULL, NULL, NULL, {NULL}, false, false, 0},
};
