/* What is done to one torrent. */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "torrent/selection.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define ALERT(type) (UINT64_C(1) << LSP_SHIM_ALERT_##type)

static int keep_switch(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const char *key, bool on, struct lsp_error *err)
{
	int r = lsp_torrent_record_set(&torrent->record, key, json_boolean(on), err);
	if (r == 0)
		lsp_session_write_record(engine, torrent);
	return r;
}

static int refuse_while_it_moves(const struct lsp_torrent *torrent, struct lsp_error *err)
{
	if (!torrent->move)
		return 0;
	return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
		"its files are on their way to another folder: try again once they are there");
}

/* What was done is saved, and answered with how the torrent is now. */
static int saved_with_status(
	struct lsp_torrent_engine *engine, struct lsp_call *call, struct lsp_torrent *torrent)
{
	lsp_torrent_refresh(engine, torrent);
	lsp_session_save(engine, torrent);
	call->answer.value = lsp_report_status(engine, torrent);
	return 0;
}

LSP_COMMAND(pause)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r < 0)
		return r;
	lsp_torrent_refresh(engine, torrent);
	bool stands = torrent->status.flags & LSP_SHIM_PAUSED;
	r = engine->shim_functions->pause(engine->shim, torrent->number, err);
	if (r == 0)
		r = keep_switch(engine, torrent, "paused", true, err);
	if (r < 0)
		return r;
	lsp_held_forget(engine, torrent);
	if (!stands)
		return lsp_torrent_call_wait_for(engine, call, torrent->number,
			ALERT(PAUSED) | ALERT(REMOVED) | ALERT(TORRENT_ERROR));
	return saved_with_status(engine, call, torrent);
}

/* Who resumes one that has seeded enough wants it to go on: the goals are taken back. */
static int waive_goal(struct lsp_torrent *torrent, struct lsp_error *err)
{
	if (!torrent->record.goal_met)
		return 0;
	static const char *const keys[] = {"goal_met", "seed_ratio", "seed_time", NULL};
	json_t *changes = json_pack("{s:n, s:n, s:n}", keys[0], keys[1], keys[2]);
	if (!changes)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_torrent_record_merge(&torrent->record, changes, keys, err);
	json_decref(changes);
	return r;
}

LSP_COMMAND(resume)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = waive_goal(torrent, err);
	if (r == 0)
		r = keep_switch(engine, torrent, "paused", false, err);
	if (r == 0 && torrent->move) /* once its files are there */
		lsp_held_forget(engine, torrent);
	else if (r == 0)
		r = lsp_torrent_run(engine, torrent, err);
	if (r < 0)
		return r;
	return saved_with_status(engine, call, torrent);
}

LSP_COMMAND(sequential)
{
	struct lsp_torrent *torrent = NULL;
	bool on = true;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0 && !json_object_get(call->call.arguments, "on"))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "on is missing");
	if (r == 0)
		r = lsp_torrent_call_switch(call, "on", &on, err);
	if (r == 0)
		r = keep_switch(engine, torrent, "sequential", on, err);
	if (r == 0)
		r = engine->shim_functions->set_flags(engine->shim, torrent->number,
			on ? LSP_SHIM_SEQUENTIAL : 0, LSP_SHIM_SEQUENTIAL, err);
	return r;
}

/* ---- Limits ------------------------------------------------------------------------------ */

static int limits_for_all(
	struct lsp_torrent_engine *engine, struct lsp_call *call, struct lsp_error *err)
{
	uint64_t download = engine->base_download, upload = engine->base_upload;
	bool given;
	int r = lsp_torrent_call_number(call, "max_download", INT32_MAX, &download, &given, err);
	if (r == 0)
		r = lsp_torrent_call_number(call, "max_upload", INT32_MAX, &upload, &given, err);
	if (r < 0)
		return r;
	engine->base_download = (uint32_t)download;
	engine->base_upload = (uint32_t)upload;
	lsp_torrent_limits_apply(engine, true);
	if (engine->shim && lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_LIMITS, "settings"))
		return lsp_error_set(
			err, DOMAIN, LSP_E_FAILED, "the session did not take the limits");
	call->answer.value = json_pack("{s:I, s:I}", "max_download", (json_int_t)download,
		"max_upload", (json_int_t)upload);
	return 0;
}

LSP_COMMAND(limits)
{
	static const char *const keys[] = {"max_download", "max_upload", NULL};
	struct lsp_torrent *torrent = NULL;
	if (!json_object_get(call->call.arguments, "torrent"))
		return limits_for_all(engine, call, err);
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = lsp_torrent_record_merge(&torrent->record, call->call.arguments, keys, err);
	if (r < 0)
		return r;
	lsp_session_write_record(engine, torrent);
	r = lsp_torrent_limits_of_torrent(engine, torrent, err);
	if (r == 0)
		call->answer.value = json_pack("{s:I, s:I}", "max_download",
			(json_int_t)torrent->record.max_download, "max_upload",
			(json_int_t)torrent->record.max_upload);
	return r;
}

/* ---- Selection and options --------------------------------------------------------------- */

LSP_COMMAND(select)
{
	static const char *const keys[] = {"include", "exclude", "skip_fluff", "priorities", NULL};
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = refuse_while_it_moves(torrent, err);
	if (r == 0)
		r = lsp_torrent_record_merge(&torrent->record, call->call.arguments, keys, err);
	if (r < 0)
		return r;
	torrent->reconciled = NULL;
	lsp_session_write_record(engine, torrent);
	json_t *files = json_array();
	if (torrent->has_metadata) {
		r = lsp_torrent_apply_selection(engine, torrent, err);
		if (r == 0) {
			json_decref(files);
			files = lsp_report_files(engine, torrent, LSP_REPORT_CHOSEN, err);
			r = files ? 0 : -LSP_E_FAILED;
		}
		lsp_torrent_refresh(engine, torrent);
		lsp_session_save(engine, torrent);
	} else {
		torrent->fresh_selection = true; /* once the metadata tell of files */
		r = engine->shim_functions->set_flags(engine->shim, torrent->number,
			LSP_SHIM_SKIP_BY_DEFAULT, LSP_SHIM_SKIP_BY_DEFAULT, err);
	}
	if (r < 0) {
		json_decref(files);
		return r;
	}
	call->answer.value = json_pack("{s:o}", "files", files);
	return 0;
}

LSP_COMMAND(options)
{
	static const char *const keys[] = {"name", "category", "tags", "auto_managed", "pex",
		"super_seeding", "max_connections", "max_uploads", "seed_ratio", "seed_time",
		"seed_remove", "seed_remove_data", NULL};
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent = NULL;
	uint64_t position = 0;
	bool has_position = false;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = lsp_torrent_call_number(
			call, "queue_position", INT32_MAX, &position, &has_position, err);
	if (r == 0)
		r = lsp_torrent_record_merge(&torrent->record, call->call.arguments, keys, err);
	if (r < 0)
		return r;
	lsp_session_write_record(engine, torrent);
	uint32_t mask = LSP_SHIM_SUPER_SEEDING | LSP_SHIM_NO_PEX;
	if (!torrent->record.paused && !torrent->record.goal_met && !torrent->move &&
		!torrent->is_unasked)
		mask |= LSP_SHIM_AUTO_MANAGED;
	uint32_t flags = lsp_torrent_flags(engine, torrent);
	r = shim->set_flags(engine->shim, torrent->number, flags & mask, mask, err);
	if (r == 0)
		r = shim->set_connections(engine->shim, torrent->number,
			(int32_t)torrent->record.max_connections,
			(int32_t)torrent->record.max_uploads, err);
	if (r == 0 && has_position)
		r = shim->set_queue_position(engine->shim, torrent->number, (int32_t)position, err);
	if (r < 0)
		return r;
	return saved_with_status(engine, call, torrent);
}

/* ---- The rest ---------------------------------------------------------------------------- */

LSP_COMMAND(reannounce)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = engine->shim_functions->reannounce(engine->shim, torrent->number, err);
	return r < 0 ? r : engine->shim_functions->look_around(engine->shim, torrent->number, err);
}

LSP_COMMAND(recheck)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0 && !torrent->has_metadata)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"the torrent has no metadata yet: there is nothing to check");
	if (r == 0)
		r = refuse_while_it_moves(torrent, err);
	if (r == 0)
		r = engine->shim_functions->recheck(engine->shim, torrent->number, err);
	if (r == 0)
		lsp_torrent_refresh(engine, torrent);
	return r;
}

LSP_COMMAND(move)
{
	struct lsp_torrent *torrent = NULL;
	const char *path = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "save_path", true, &path, err);
	if (r == 0 && path[0] != '/')
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "save_path must be an absolute path");
	if (r == 0)
		r = refuse_while_it_moves(torrent, err);
	if (r == 0) /* without metadata there are no files */
		r = torrent->has_metadata ? lsp_move_begin(engine, torrent, path, err)
					  : engine->shim_functions->move(
						    engine->shim, torrent->number, path, err);
	if (r < 0)
		return r;
	return lsp_torrent_call_wait_for(
		engine, call, torrent->number, ALERT(MOVED) | ALERT(MOVE_FAILED) | ALERT(REMOVED));
}

LSP_COMMAND(deadline)
{
	struct lsp_torrent *torrent = NULL;
	uint64_t piece = 0, milliseconds = 0;
	bool has_piece = false, has_time = false;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = lsp_torrent_call_number(call, "piece", UINT32_MAX, &piece, &has_piece, err);
	if (r == 0 && !has_piece)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "piece is missing");
	if (r == 0)
		r = lsp_torrent_call_number(
			call, "milliseconds", INT32_MAX, &milliseconds, &has_time, err);
	if (r < 0)
		return r;
	return engine->shim_functions->deadline(engine->shim, torrent->number, (uint32_t)piece,
		has_time ? (int32_t)milliseconds : -1, err);
}

static int offer_peers(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	const json_t *peers, struct lsp_error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(peers); i++)
		r = engine->shim_functions->connect_peer(engine->shim, torrent->number,
			json_string_value(json_array_get(peers, i)), err);
	return r;
}

LSP_COMMAND(add_peers)
{
	json_t *peers = json_object_get(call->call.arguments, "peers");
	bool of_lan = !peers;
	struct lsp_torrent *torrent = NULL;
	if (of_lan)
		peers = json_object_get(call->call.arguments, "lan_peers");
	if (!json_is_array(peers))
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "peers must be a list of \"address:port\"");
	int r = lsp_torrent_call_peers(call, of_lan ? "lan_peers" : "peers", err);
	if (r < 0)
		return r;
	if (json_object_get(call->call.arguments, "torrent")) {
		r = lsp_torrent_call_torrent(engine, call, &torrent, err);
		if (r < 0 || (of_lan && torrent->is_private))
			return r;
		return offer_peers(engine, torrent, peers, err);
	}
	json_decref(engine->lan_peers);
	engine->lan_peers = json_incref(peers);
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		struct lsp_error why = {0};
		if (!torrent->added || torrent->removing || torrent->is_private)
			continue;
		int offered = offer_peers(engine, torrent, peers, &why);
		if (offered < 0 && r == 0) { /* the others get them all the same */
			r = offered;
			*err = why;
		}
	}
	return r;
}
