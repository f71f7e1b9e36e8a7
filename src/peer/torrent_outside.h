/*
 * Calls of the engine about a place that must not be in the games folder: what is there belongs to
 * games, whose files no other torrent writes, and none deletes.
 *
 * The place is looked at on the disk first (torrent_place.h), and so may be one after it; then the
 * call goes to the engine, or is refused.
 *
 * On the core loop.
 */
#pragma once

#include "peer/command.h"
#include "peer/torrent_place.h"
#include "torrent/engine.h"

/* Why no torrent is downloaded, or moved, into the games folder. */
extern const char lsp_torrent_into_games[];

/*
 * Calls the engine unless that place, or another one (NULL: none), is in the games folder: then the
 * call fails with that refusal (a static text). Takes over what `through` holds, also on an error.
 */
LSP_MUST_CHECK int lsp_torrent_call_outside(struct lsp_peer *peer, struct lsp_call *call,
	struct lsp_torrent_place *place, const char *other, const char *refusal,
	struct lsp_torrent_call *through, struct lsp_error *err);
