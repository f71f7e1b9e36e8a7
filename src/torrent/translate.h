/*
 * From what the library says to what the program says.
 *
 * The state of a torrent in our words, the samples of progress, the events in JSON, and which alert
 * is a fault of which component, or the success that ends it. Texts from outside (names, trackers'
 * messages) are made valid UTF-8 here.
 *
 * Pure; each function may be called from every thread. A json_t that is returned is the caller's,
 * NULL when there is no memory.
 */
#pragma once

#include "torrent/coalesce.h"
#include "torrent/engine.h"
#include "torrent/shim.h"

enum lsp_torrent_state {
	LSP_TORRENT_QUEUED,
	LSP_TORRENT_FETCHING_METADATA,
	LSP_TORRENT_CHECKING,
	LSP_TORRENT_DOWNLOADING,
	LSP_TORRENT_SEEDING,
	LSP_TORRENT_COMPLETED,
	LSP_TORRENT_PAUSED,
	LSP_TORRENT_FAILED,
	LSP_TORRENT_STATE_COUNT
};

/* "queued", "fetching_metadata", "checking", … "failed". */
const char *lsp_torrent_state_name(enum lsp_torrent_state state);
/* goal_met: its seed limits stopped it. status->error decides over all else. */
enum lsp_torrent_state lsp_translate_state(const struct lsp_shim_status *status, bool goal_met);

void lsp_translate_sample(
	const struct lsp_shim_status *status, struct lsp_progress_sample *ret_sample);
/* Seconds until all is here at this rate; −1: nobody knows. */
int64_t lsp_translate_eta(const struct lsp_progress_sample *sample);
/* Uploaded by downloaded; by size where nothing was downloaded (a seed of one's own). */
double lsp_translate_ratio(int64_t uploaded, int64_t downloaded, int64_t size);

/* A JSON text of bytes that may be no UTF-8: what is not becomes "?". */
json_t *lsp_translate_text(const char *bytes);

json_t *lsp_event_progress(const char *id, const struct lsp_progress_sample *sample, int64_t size);
json_t *lsp_event_state(
	const char *id, enum lsp_torrent_state state, const struct lsp_shim_status *status);
json_t *lsp_event_error(const char *id, const char *code, const char *message);
/* The same of what failed beside the torrent, which goes on. */
json_t *lsp_event_error_beside(const char *id, enum lsp_torrent_component component,
	const char *code, const char *message);
json_t *lsp_event_selection(const char *id, const char *reason);
json_t *lsp_event_health(uint32_t degraded);
json_t *lsp_event_session_error(enum lsp_torrent_component component, const char *message);
/* Of TRACKER_REPLY, _WARNING, _ERROR and WEB_SEED_ERROR; NULL for any other. */
json_t *lsp_event_tracker(const char *id, const struct lsp_shim_alert *alert);
/* Of FILE_ERROR, TORRENT_ERROR, METADATA_FAILED, RESUME_REJECTED; NULL for any other. */
json_t *lsp_event_alert_error(const char *id, const struct lsp_shim_alert *alert);

enum lsp_translate_effect { LSP_TRANSLATE_NOTHING, LSP_TRANSLATE_FAULT, LSP_TRANSLATE_SUCCESS };

#define LSP_FAULT_KEY_MAX 400

/*
 * What the alert says of the health: the component, and the key of the cause, whose first word is
 * `id` where the alert is about a torrent.
 */
enum lsp_translate_effect lsp_translate_health(const struct lsp_shim_alert *alert, const char *id,
	enum lsp_torrent_component *ret_component, char ret_key[LSP_FAULT_KEY_MAX]);
