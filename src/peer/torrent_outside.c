#include "peer/torrent_outside.h"

#include "peer/torrents.h"

#include <stdlib.h>
#include <string.h>

const char lsp_torrent_into_games[] =
	"torrents are not downloaded into the games folder, nor may a magnet link name a folder "
	"beside it: --as-game makes a game of one, or take another folder";

/* A call of which somebody looks where its torrent's files are, or would be. */
struct placing {
	struct lsp_peer *peer;
	struct lsp_call *call;
	struct lsp_torrent_call through;
	const char *refusal; /* if that is in the games folder */
	char *other, *name;  /* another place of it, looked at after the first; or NULL */
};

static void placing_free(struct placing *placing)
{
	json_decref(placing->through.arguments);
	lsp_buffer_done(&placing->through.metainfo);
	free(placing->other);
	free(placing->name);
	free(placing);
}

static void placed(void *argument, int result, struct lsp_error *error);

/* 1: it is being looked at. */
static int look_at_other(struct placing *placing, struct lsp_error *err)
{
	_cleanup_free_ char *other = TAKE_PTR(placing->other);
	struct lsp_torrent_place place = {.path = other, .name = placing->name};
	int r = other ? lsp_torrent_place_look(placing->peer, &place, placed, placing, err) : 0;
	return r == 0 && other ? 1 : r;
}

static void placed(void *argument, int result, struct lsp_error *error)
{
	struct placing *placing = argument;
	struct lsp_error err = *error;
	if (result == -LSP_E_CANCELLED) {
		placing_free(placing);
		return;
	}
	if (result == 1)
		result = lsp_error_set(&err, "torrent", LSP_E_INVALID, "%s", placing->refusal);
	if (result == 0 && (result = look_at_other(placing, &err)) == 1)
		return;
	if (result == 0) {
		struct lsp_torrent_call through = placing->through;
		placing->through = (struct lsp_torrent_call){0};
		result = lsp_torrents_call(placing->peer, &through, &err);
	}
	if (result < 0)
		lsp_call_fail(placing->call, &err);
	placing_free(placing);
}

int lsp_torrent_call_outside(struct lsp_peer *peer, struct lsp_call *call,
	struct lsp_torrent_place *place, const char *other, const char *refusal,
	struct lsp_torrent_call *through, struct lsp_error *err)
{
	struct placing *placing = calloc(1, sizeof *placing);
	if (placing)
		*placing = (struct placing){.peer = peer,
			.call = call,
			.refusal = refusal,
			.other = other ? strdup(other) : NULL,
			.name = other && place->name ? strdup(place->name) : NULL};
	if (!placing || (other && (!placing->other || (place->name && !placing->name)))) {
		if (placing)
			placing_free(placing);
		json_decref(through->arguments);
		lsp_buffer_done(&through->metainfo);
		return lsp_error_no_memory(err, "peer");
	}
	placing->through = *through;
	place->metainfo = &placing->through.metainfo;
	int r = lsp_torrent_place_look(peer, place, placed, placing, err);
	if (r < 0)
		placing_free(placing);
	return r;
}
