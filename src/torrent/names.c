#include "torrent/engine.h"

#include <string.h>

static const char *const command_names[LSP_TORRENT_COMMAND_COUNT] = {
	[LSP_TORRENT_ADD] = "add",
	[LSP_TORRENT_CREATE] = "create",
	[LSP_TORRENT_CANCEL] = "cancel",
	[LSP_TORRENT_REMOVE] = "remove",
	[LSP_TORRENT_PAUSE] = "pause",
	[LSP_TORRENT_RESUME] = "resume",
	[LSP_TORRENT_SEQUENTIAL] = "sequential",
	[LSP_TORRENT_LIMITS] = "limits",
	[LSP_TORRENT_SELECT] = "select",
	[LSP_TORRENT_OPTIONS] = "options",
	[LSP_TORRENT_TRACKERS] = "trackers",
	[LSP_TORRENT_WEB_SEEDS] = "web_seeds",
	[LSP_TORRENT_REANNOUNCE] = "reannounce",
	[LSP_TORRENT_RECHECK] = "recheck",
	[LSP_TORRENT_MOVE] = "move",
	[LSP_TORRENT_DEADLINE] = "deadline",
	[LSP_TORRENT_PEERS] = "peers",
	[LSP_TORRENT_ADD_PEERS] = "add_peers",
	[LSP_TORRENT_INSPECT] = "inspect",
	[LSP_TORRENT_CONFIGURE] = "configure",
	[LSP_TORRENT_LIST] = "list",
	[LSP_TORRENT_FILES] = "files",
	[LSP_TORRENT_HAVE] = "have",
	[LSP_TORRENT_EXPORT] = "export",
	[LSP_TORRENT_RESTART] = "restart",
	[LSP_TORRENT_FORGET] = "forget",
};

const char *lsp_torrent_command_name(enum lsp_torrent_command command)
{
	return command_names[command];
}

enum lsp_torrent_command lsp_torrent_command_from_name(const char *name)
{
	unsigned i = 0;
	while (i < LSP_TORRENT_COMMAND_COUNT && strcmp(command_names[i], name) != 0)
		i++;
	return (enum lsp_torrent_command)i;
}

const char *lsp_torrent_component_name(enum lsp_torrent_component component)
{
	static const char *const names[LSP_TORRENT_COMPONENT_COUNT] = {
		"session", "resume_store", "tracker", "network", "storage", "limits"};
	return names[component];
}
