/*
 * May a torrent become a game? That is looked at before a byte of it is fetched: one whose content
 * is known late would fail at its end.
 *
 * It needs a version.ini that can be one, names that a game may have, no two of which are the same
 * where case does not count, and no symbolic link; and its id must be free. Pure, but for the last.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>

struct lsp_metainfo;
struct lsp_peer;

/* -LSP_E_INVALID says which file no game may have. From any thread. */
LSP_MUST_CHECK int lsp_torrent_check_metainfo(
	const struct lsp_metainfo *metainfo, const char *game, struct lsp_error *err);
/* The same of what LSP_TORRENT_FILES lists, which says nothing of links. */
LSP_MUST_CHECK int lsp_torrent_check_listed(
	const char *game, const json_t *files, struct lsp_error *err);
/* -LSP_E_EXISTS: there is a game of that id here. On the core loop. */
LSP_MUST_CHECK int lsp_torrent_check_id_free(
	const struct lsp_peer *peer, const char *game, struct lsp_error *err);
