#include "torrent/engine.h"

#include "torrent/shim.h"

#include <string.h>

#define DOMAIN "torrent"

bool lsp_torrent_is_supported(void)
{
	return lsp_shim_libtorrent() != NULL;
}

static int unsupported(struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
		"this build has no BitTorrent engine: build it with libtorrent-rasterbar");
}

static void drop_call(struct lsp_torrent_call *call)
{
	json_decref(call->arguments);
	lsp_manifest_unref(call->manifest);
	lsp_buffer_done(&call->metainfo);
	lsp_bitmap_done(&call->have);
	memset(call, 0, sizeof *call);
}

int lsp_torrent_call(
	struct lsp_torrent_engine *engine, struct lsp_torrent_call *call, struct lsp_error *err)
{
	drop_call(call);
	return unsupported(err);
}

uint32_t lsp_torrent_health(struct lsp_torrent_engine *engine)
{
	return 0;
}

void lsp_torrent_counters(
	struct lsp_torrent_engine *engine, struct lsp_torrent_counters *ret_counters)
{
	memset(ret_counters, 0, sizeof *ret_counters);
}

int lsp_torrent_engine_start(const struct lsp_torrent_options *options,
	struct lsp_torrent_engine **ret_engine, struct lsp_error *err)
{
	return unsupported(err);
}

void lsp_torrent_engine_free(struct lsp_torrent_engine *engine)
{
}

int lsp_torrent_configuration_check(const json_t *configuration, struct lsp_error *err)
{
	return unsupported(err);
}
