/* The handlers of command_table.c. Each keeps the contract of peer/command.h. */
#pragma once

#include "peer/command.h"

#define LSP_COMMAND_HANDLER(name)                                                                  \
	int lsp_command_##name(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)

LSP_COMMAND_HANDLER(list_games);
LSP_COMMAND_HANDLER(get_game);
LSP_COMMAND_HANDLER(download);
LSP_COMMAND_HANDLER(install);
LSP_COMMAND_HANDLER(update);
LSP_COMMAND_HANDLER(uninstall);
LSP_COMMAND_HANDLER(remove);
LSP_COMMAND_HANDLER(verify);
LSP_COMMAND_HANDLER(cancel);
LSP_COMMAND_HANDLER(pause);
LSP_COMMAND_HANDLER(resume);
LSP_COMMAND_HANDLER(chunk_map);
LSP_COMMAND_HANDLER(play_info);
LSP_COMMAND_HANDLER(folder_info);
LSP_COMMAND_HANDLER(get_cover);
LSP_COMMAND_HANDLER(holders);

LSP_COMMAND_HANDLER(set_game_dir);
LSP_COMMAND_HANDLER(check_game_dir);
LSP_COMMAND_HANDLER(add_game);
LSP_COMMAND_HANDLER(catalog_show);
LSP_COMMAND_HANDLER(catalog_import);

LSP_COMMAND_HANDLER(peers);
LSP_COMMAND_HANDLER(peers_forget);
LSP_COMMAND_HANDLER(status);
LSP_COMMAND_HANDLER(tasks);
LSP_COMMAND_HANDLER(set_limits);
LSP_COMMAND_HANDLER(get_limits);
LSP_COMMAND_HANDLER(config_get);
LSP_COMMAND_HANDLER(config_set);
LSP_COMMAND_HANDLER(identity);
LSP_COMMAND_HANDLER(identity_rotate);
LSP_COMMAND_HANDLER(shutdown);

/* torrent_share.c */
LSP_COMMAND_HANDLER(share);
/* torrent_commands.c: passed through to the engine, and those that are more than that. */
LSP_COMMAND_HANDLER(torrent);
LSP_COMMAND_HANDLER(torrent_list);
LSP_COMMAND_HANDLER(torrent_add);
LSP_COMMAND_HANDLER(torrent_create);
LSP_COMMAND_HANDLER(torrent_configure);
