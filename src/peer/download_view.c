/* What others may know of a download. */
#include "peer/download_private.h"

#include "peer/choice.h"
#include "peer/download_job.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_fetch.h"

#include <string.h>

#include <utlist.h>

static const char *const engine_names[] = {
	[LSP_ENGINE_LAN] = "lan",
	[LSP_ENGINE_SWARM] = "swarm",
};

const char *lsp_engine_name(enum lsp_engine engine)
{
	return engine_names[engine];
}

int lsp_engine_parse(const char *word, enum lsp_engine *ret_engine, struct lsp_error *err)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(engine_names); i++) {
		if (strcmp(word, engine_names[i]) == 0) {
			*ret_engine = (enum lsp_engine)i;
			return 0;
		}
	}
	return lsp_error_set(err, "peer", LSP_E_INVALID,
		"there is no engine \"%.32s\": it is lan or swarm", word);
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	struct lsp_download *download;
	DL_FOREACH(peer->downloads, download)
	{
		if (strcmp(download->game, game) == 0)
			return download;
	}
	return NULL;
}

struct lsp_download *lsp_download_next(const struct lsp_download *download)
{
	return download->next;
}

const char *lsp_download_game(const struct lsp_download *download)
{
	return download->game;
}

enum lsp_engine lsp_download_engine(const struct lsp_download *download)
{
	return download->engine;
}

const char *lsp_download_version(const struct lsp_download *download)
{
	return download->version;
}

bool lsp_download_is_waiting(const struct lsp_download *download)
{
	return download->waiting;
}

bool lsp_download_has_nobody(const struct lsp_download *download)
{
	if (download->waiting || download->phase > PHASE_MANIFEST ||
		download->engine != LSP_ENGINE_LAN || !download->has_content)
		return download->waiting;
	return !lsp_choice_anybody_has(download->peer, download->game, &download->content);
}

bool lsp_download_is_paused(const struct lsp_download *download)
{
	return download->paused;
}

const struct lsp_hash *lsp_download_content(const struct lsp_download *download)
{
	return download->has_content ? &download->content : NULL;
}

static bool status_of(const struct lsp_download *download, struct lsp_swarm_game_status *ret_status)
{
	lsp_swarm_id game = download->share ? lsp_share_swarm_game(download->share) : 0;
	return game && lsp_swarm_game_status(download->peer->swarm, game, ret_status) == 0;
}

bool lsp_download_mends(const struct lsp_download *download)
{
	return download->old && download->has_content && download->stage &&
	       lsp_hash_equal(&download->old->content_id, &download->content);
}

bool lsp_download_take_progress(struct lsp_download *download)
{
	uint64_t done, total;
	if (download->phase != PHASE_OPENING || !download->job) {
		bool any = download->dirty && download->phase == PHASE_FETCHING;
		if (any)
			download->dirty = false;
		return any;
	}
	if (!lsp_download_job_progress(download->job, &done, &total) ||
		done == download->last_looked_at)
		return false;
	download->last_looked_at = done;
	return true;
}

json_t *lsp_download_progress_json(const struct lsp_download *download)
{
	static const char *const phases[] = {
		[PHASE_CHOOSING] = "waiting",
		[PHASE_MANIFEST] = "manifest",
		[PHASE_OPENING] = "preparing",
		[PHASE_FETCHING] = "downloading",
		[PHASE_FLUSHING] = "writing",
		[PHASE_COMMITTING] = "committing",
		[PHASE_SETTLING] = "committing",
		[PHASE_ENDING] = "stopping",
	};
	struct lsp_swarm_game_status status = {0};
	uint64_t total = download->manifest ? download->manifest->total_size : 0;
	uint64_t done = 0;
	if (status_of(download, &status))
		done = status.bytes_have;
	else if (download->phase == PHASE_OPENING && download->job)
		(void)lsp_download_job_progress(download->job, &done, &total);
	else if (download->phase >= PHASE_COMMITTING && download->phase < PHASE_ENDING)
		done = total;
	uint64_t rate = lsp_rate_get(&download->rate, lsp_peer_now(download->peer));
	int sources = (int)status.sources;
	if (download->torrent) {
		rate = lsp_torrent_fetch_rate(download->torrent);
		sources = (int)lsp_torrent_fetch_peers(download->torrent);
	}
	json_t *eta = rate ? json_integer((json_int_t)((total - done) / rate)) : json_null();
	return json_pack("{s:I, s:I, s:I, s:o, s:i, s:s, s:s}", "done", (json_int_t)done, "total",
		(json_int_t)total, "rate", (json_int_t)rate, "eta_s", eta, "sources", sources,
		"phase", phases[download->phase], "engine", engine_names[download->engine]);
}

/* ---- What the library knows meanwhile ---- */

bool lsp_download_content_is_here(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	return local && local->state == LSP_LIBRARY_READY &&
	       lsp_hash_equal(&local->content, content);
}

/* It has asked nobody yet, or nobody has answered, and now the library knows it. */
static bool is_known_meanwhile(const struct lsp_download *download)
{
	return download->phase == PHASE_MANIFEST && download->has_content && !download->job &&
	       lsp_download_content_is_here(download->peer, download->game, &download->content);
}

bool lsp_download_is_committed(const struct lsp_download *download)
{
	return download->restored && !download->check_folder && is_known_meanwhile(download);
}

bool lsp_download_can_be_checked(const struct lsp_download *download)
{
	return download->check_folder && !download->asked_library && is_known_meanwhile(download);
}
