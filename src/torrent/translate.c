#include "torrent/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *lsp_torrent_state_name(enum lsp_torrent_state state)
{
	static const char *const names[LSP_TORRENT_STATE_COUNT] = {"queued", "fetching_metadata",
		"checking", "downloading", "seeding", "completed", "paused", "failed"};
	return names[state];
}

/* Of one that runs. */
static enum lsp_torrent_state running_state(uint32_t state)
{
	switch (state) {
	case LSP_SHIM_STATE_METADATA:
		return LSP_TORRENT_FETCHING_METADATA;
	case LSP_SHIM_STATE_DOWNLOADING:
		return LSP_TORRENT_DOWNLOADING;
	case LSP_SHIM_STATE_FINISHED:
		return LSP_TORRENT_COMPLETED;
	case LSP_SHIM_STATE_SEEDING:
		return LSP_TORRENT_SEEDING;
	case LSP_SHIM_STATE_CHECKING:
		return LSP_TORRENT_CHECKING;
	default: /* its resume data are looked at, which reads no file */
		return LSP_TORRENT_QUEUED;
	}
}

enum lsp_torrent_state lsp_translate_state(const struct lsp_shim_status *status, bool goal_met)
{
	if (status->error && *status->error)
		return LSP_TORRENT_FAILED;
	if (!(status->flags & LSP_SHIM_PAUSED))
		return running_state(status->state);
	if (status->flags & LSP_SHIM_AUTO_MANAGED)
		return LSP_TORRENT_QUEUED;
	return goal_met ? LSP_TORRENT_COMPLETED : LSP_TORRENT_PAUSED;
}

void lsp_translate_sample(
	const struct lsp_shim_status *status, struct lsp_progress_sample *ret_sample)
{
	*ret_sample = (struct lsp_progress_sample){.done = status->done,
		.total = status->wanted,
		.downloaded = status->downloaded,
		.uploaded = status->uploaded,
		.download_rate = status->download_rate,
		.upload_rate = status->upload_rate,
		.peers = status->peers,
		.seeds = status->seeds};
}

int64_t lsp_translate_eta(const struct lsp_progress_sample *sample)
{
	if (sample->done >= sample->total)
		return 0;
	if (sample->download_rate <= 0)
		return -1;
	return (sample->total - sample->done + sample->download_rate - 1) / sample->download_rate;
}

double lsp_translate_ratio(int64_t uploaded, int64_t downloaded, int64_t size)
{
	int64_t against = downloaded > 0 ? downloaded : size;
	return against > 0 ? (double)uploaded / (double)against : 0;
}

json_t *lsp_translate_text(const char *bytes)
{
	json_t *text = json_string(bytes);
	if (text)
		return text;
	char *copy = strdup(bytes);
	if (!copy)
		return NULL;
	for (char *at = copy; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	text = json_string(copy);
	free(copy);
	return text;
}

/* ---- Events ------------------------------------------------------------------------------ */

json_t *lsp_event_progress(const char *id, const struct lsp_progress_sample *sample, int64_t size)
{
	int64_t eta = lsp_translate_eta(sample);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:f, s:I, s:I, s:i, s:i}", "event",
		"torrent_progress", "torrent", id, "done", (json_int_t)sample->done, "total",
		(json_int_t)sample->total, "download_rate", (json_int_t)sample->download_rate,
		"upload_rate", (json_int_t)sample->upload_rate, "eta_s",
		eta < 0 ? json_null() : json_integer(eta), "ratio",
		lsp_translate_ratio(sample->uploaded, sample->downloaded, size), "downloaded",
		(json_int_t)sample->downloaded, "uploaded", (json_int_t)sample->uploaded, "peers",
		(int)sample->peers, "seeds", (int)sample->seeds);
}

json_t *lsp_event_state(
	const char *id, enum lsp_torrent_state state, const struct lsp_shim_status *status)
{
	const char *error = status->error;
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I}", "event", "torrent_state", "torrent", id,
		"state", lsp_torrent_state_name(state), "error",
		error && *error ? lsp_translate_text(error) : json_null(), "done",
		(json_int_t)status->done, "total", (json_int_t)status->wanted);
}

json_t *lsp_event_error(const char *id, const char *code, const char *message)
{
	return json_pack("{s:s, s:s?, s:s, s:o}", "event", "torrent_error", "torrent", id, "code",
		code, "message", lsp_translate_text(message));
}

json_t *lsp_event_error_beside(
	const char *id, enum lsp_torrent_component component, const char *code, const char *message)
{
	json_t *event = lsp_event_error(id, code, message);
	json_object_set_new(event, "component", json_string(lsp_torrent_component_name(component)));
	return event;
}

json_t *lsp_event_selection(const char *id, const char *reason)
{
	return json_pack(
		"{s:s, s:s, s:s}", "event", "torrent_selection", "torrent", id, "reason", reason);
}

json_t *lsp_event_health(uint32_t degraded)
{
	json_t *names = json_array();
	for (unsigned i = 0; names && i < LSP_TORRENT_COMPONENT_COUNT; i++)
		if (degraded & (1u << i))
			json_array_append_new(names, json_string(lsp_torrent_component_name(i)));
	return json_pack("{s:s, s:o}", "event", "torrent_health", "degraded", names);
}

json_t *lsp_event_session_error(enum lsp_torrent_component component, const char *message)
{
	return json_pack("{s:s, s:s, s:o}", "event", "torrent_session_error", "component",
		lsp_torrent_component_name(component), "message", lsp_translate_text(message));
}

json_t *lsp_event_tracker(const char *id, const struct lsp_shim_alert *alert)
{
	const char *status = alert->type == LSP_SHIM_ALERT_TRACKER_REPLY     ? "working"
			     : alert->type == LSP_SHIM_ALERT_TRACKER_WARNING ? "warning"
			     : alert->type == LSP_SHIM_ALERT_TRACKER_ERROR ||
					     alert->type == LSP_SHIM_ALERT_WEB_SEED_ERROR
				     ? "error"
				     : NULL;
	if (!status)
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o}", "event", "torrent_tracker", "torrent",
		id, "url", lsp_translate_text(alert->text), "status", status, "message",
		*alert->error ? lsp_translate_text(alert->error) : json_null(), "peers",
		alert->type == LSP_SHIM_ALERT_TRACKER_REPLY ? json_integer(alert->number)
							    : json_null());
}

json_t *lsp_event_alert_error(const char *id, const struct lsp_shim_alert *alert)
{
	const char *what;
	const char *code = alert->code == LSP_SHIM_NO_SPACE ? lsp_code_name(LSP_E_NO_SPACE)
							    : lsp_code_name(LSP_E_IO);
	switch (alert->type) {
	case LSP_SHIM_ALERT_FILE_ERROR:
	case LSP_SHIM_ALERT_TORRENT_ERROR:
		what = *alert->text ? alert->text : "the torrent has stopped";
		break;
	case LSP_SHIM_ALERT_METADATA_FAILED:
		what = "the metadata that came is not this torrent's";
		code = lsp_code_name(LSP_E_CORRUPT);
		break;
	case LSP_SHIM_ALERT_RESUME_REJECTED:
		what = "the files are not as they were saved, they are checked";
		code = lsp_code_name(LSP_E_CORRUPT);
		break;
	default:
		return NULL;
	}
	char message[1024];
	snprintf(message, sizeof message, "%s: %s", what, alert->error);
	return lsp_event_error(id, code, message);
}

/* ---- Health ------------------------------------------------------------------------------ */

struct effect {
	enum lsp_translate_effect effect;
	enum lsp_torrent_component component;
	const char *key; /* after the id, or alone */
};

static struct effect effect_of(const struct lsp_shim_alert *alert)
{
	switch (alert->type) {
	case LSP_SHIM_ALERT_TRACKER_REPLY:
	case LSP_SHIM_ALERT_TRACKER_WARNING: /* it has answered */
		return (struct effect){
			LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_TRACKER, alert->text};
	case LSP_SHIM_ALERT_TRACKER_ERROR:
		return (struct effect){
			LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_TRACKER, alert->text};
	case LSP_SHIM_ALERT_LISTENING:
		return (struct effect){LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_NETWORK, "listen"};
	case LSP_SHIM_ALERT_LISTEN_FAILED:
		return (struct effect){LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_NETWORK, "listen"};
	case LSP_SHIM_ALERT_PORT_MAPPED:
		return (struct effect){
			LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_NETWORK, "port_map"};
	case LSP_SHIM_ALERT_PORT_MAP_FAILED:
		return (struct effect){LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_NETWORK, "port_map"};
	case LSP_SHIM_ALERT_FILE_ERROR:
	case LSP_SHIM_ALERT_TORRENT_ERROR:
		return (struct effect){LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_STORAGE, ""};
	case LSP_SHIM_ALERT_CHECKED:
	case LSP_SHIM_ALERT_FINISHED:
	case LSP_SHIM_ALERT_MOVED:
		return (struct effect){LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_STORAGE, ""};
	default:
		return (struct effect){LSP_TRANSLATE_NOTHING, LSP_TORRENT_HEALTH_SESSION, ""};
	}
}

enum lsp_translate_effect lsp_translate_health(const struct lsp_shim_alert *alert, const char *id,
	enum lsp_torrent_component *ret_component, char ret_key[LSP_FAULT_KEY_MAX])
{
	struct effect effect = effect_of(alert);
	if (effect.effect == LSP_TRANSLATE_NOTHING)
		return effect.effect;
	*ret_component = effect.component;
	snprintf(ret_key, LSP_FAULT_KEY_MAX, "%s%s%.300s", id ? id : "",
		id && *effect.key ? " " : "", effect.key);
	return effect.effect;
}
