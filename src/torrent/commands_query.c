/* What is asked of torrents and of the engine, and the lists that can be changed and asked alike.
 */
#include "torrent/engine_private.h"

#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

struct bytes_of_call {
	struct lsp_buffer *buffer;
	struct lsp_error *err;
	int result;
};

static void take_bytes(void *argument, const void *data, size_t size)
{
	struct bytes_of_call *taking = argument;
	if (taking->result == 0)
		taking->result = lsp_buffer_append(taking->buffer, data, size, taking->err);
}

/* ---- Torrents ---------------------------------------------------------------------------- */

/* Who would remove one whose move cannot be finished is told where its files are; or NULL. */
static json_t *stored_move(const struct lsp_torrent_engine *engine, const struct lsp_call *call)
{
	const char *name = NULL;
	if (lsp_torrent_call_text(call, "torrent", true, &name, NULL) < 0)
		return NULL;
	const struct lsp_move *move = lsp_move_called(engine, name);
	return move ? lsp_move_json(move) : NULL;
}

/* Of what was restored, of which no update has come yet, the session knows more than we do. */
static bool is_any_unknown(const struct lsp_torrent_engine *engine)
{
	const struct lsp_torrent *torrent = engine->by_number;
	while (torrent && (torrent->status_at || !torrent->added || torrent->removing))
		torrent = torrent->by_number.next;
	return torrent;
}

LSP_COMMAND(list)
{
	struct lsp_torrent *torrent = NULL;
	json_t *list = json_array();
	if (!list)
		return lsp_error_no_memory(err, DOMAIN);
	if (json_object_get(call->call.arguments, "torrent")) {
		int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
		if (r < 0) {
			json_decref(list);
			call->answer.value = stored_move(engine, call);
			return r;
		}
		lsp_torrent_refresh(engine, torrent);
		json_array_append_new(list, lsp_report_status(engine, torrent));
	} else {
		if (is_any_unknown(engine))
			lsp_torrents_refresh(engine);
		for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
			if (!torrent->removing)
				json_array_append_new(list, lsp_report_status(engine, torrent));
	}
	call->answer.value = json_pack("{s:o}", "torrents", list);
	return 0;
}

LSP_COMMAND(files)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r < 0)
		return r;
	json_t *files = torrent->has_metadata
				? lsp_report_files(engine, torrent, LSP_REPORT_STATE, err)
				: json_array();
	if (!files)
		return err && err->code ? -err->code : -LSP_E_FAILED;
	call->answer.value = json_pack("{s:o}", "files", files);
	return 0;
}

LSP_COMMAND(have)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent = NULL;
	struct bytes_of_call taking = {.buffer = &call->answer.bytes, .err = err};
	uint64_t bits = 0, count = 0;
	uint32_t piece_length = 0;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = shim->have(engine->shim, torrent->number, take_bytes, &taking, &bits,
			&piece_length, err);
	if (r == 0)
		r = taking.result;
	if (r < 0)
		return r;
	for (size_t i = 0; i < call->answer.bytes.size; i++)
		count += (uint64_t)__builtin_popcount(call->answer.bytes.data[i]);
	call->answer.value = json_pack("{s:I, s:I, s:I}", "piece_length", (json_int_t)piece_length,
		"pieces", (json_int_t)bits, "have", (json_int_t)count);
	return 0;
}

LSP_COMMAND(export)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent = NULL;
	_cleanup_buffer_ struct lsp_buffer magnet = {0};
	struct bytes_of_call bytes = {.buffer = &call->answer.bytes, .err = err};
	struct bytes_of_call link = {.buffer = &magnet, .err = err};
	struct lsp_shim_source *source = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r == 0)
		r = shim->source(engine->shim, torrent->number, &source, err);
	if (r == 0)
		r = shim->source_magnet(source, take_bytes, &link, err);
	if (r == 0)
		r = shim->source_metainfo(source, take_bytes, &bytes, err);
	shim->source_free(source);
	if (r == 0)
		r = link.result < 0 ? link.result : bytes.result;
	if (r == 0)
		r = lsp_buffer_append(&magnet, "", 1, err);
	if (r == 0)
		call->answer.value = json_pack("{s:o, s:o}", "magnet",
			lsp_translate_text((const char *)magnet.data), "name",
			lsp_translate_text(torrent->title ? torrent->title : ""));
	return r;
}

static void add_peer(void *argument, const struct lsp_shim_peer *peer)
{
	json_array_append_new(argument,
		json_pack("{s:s, s:o, s:f, s:i, s:i, s:I, s:I, s:b, s:b, s:b, s:b, s:b, s:b, s:s}",
			"address", peer->address, "client", lsp_translate_text(peer->client),
			"progress", peer->progress_ppm / 1e6, "download_rate",
			(int)peer->download_rate, "upload_rate", (int)peer->upload_rate,
			"downloaded", (json_int_t)peer->downloaded, "uploaded",
			(json_int_t)peer->uploaded, "encrypted",
			(peer->flags & LSP_SHIM_PEER_ENCRYPTED) != 0, "utp",
			(peer->flags & LSP_SHIM_PEER_UTP) != 0, "incoming",
			(peer->flags & LSP_SHIM_PEER_INCOMING) != 0, "seed",
			(peer->flags & LSP_SHIM_PEER_SEED) != 0, "choked",
			(peer->flags & LSP_SHIM_PEER_CHOKED) != 0, "unchoked",
			(peer->flags & LSP_SHIM_PEER_UNCHOKED) != 0, "source", peer->source));
}

LSP_COMMAND(peers)
{
	struct lsp_torrent *torrent = NULL;
	int r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	if (r < 0)
		return r;
	json_t *peers = json_array();
	r = engine->shim_functions->peers(engine->shim, torrent->number, add_peer, peers, err);
	call->answer.value = json_pack("{s:o}", "peers", peers);
	return r;
}

/* ---- Trackers and web seeds -------------------------------------------------------------- */

static void add_tracker(void *argument, const struct lsp_shim_tracker *tracker)
{
	const char *status = tracker->updating       ? "updating"
			     : tracker->failures > 0 ? "error"
			     : tracker->verified     ? "working"
						     : "waiting";
	json_array_append_new(argument,
		json_pack("{s:o, s:i, s:s, s:o, s:o, s:o}", "url", lsp_translate_text(tracker->url),
			"tier", (int)tracker->tier, "status", status, "message",
			*tracker->message ? lsp_translate_text(tracker->message) : json_null(),
			"seeds", tracker->seeds < 0 ? json_null() : json_integer(tracker->seeds),
			"peers", tracker->peers < 0 ? json_null() : json_integer(tracker->peers)));
}

/* What a call does with a torrent's list of URLs; each is NULL where it is absent. */
struct list_change {
	const json_t *add, *remove;
	json_t *set;
	bool any;
};

static int read_lists(struct lsp_torrent_engine *engine, struct lsp_call *call, bool trackers,
	struct lsp_torrent **ret_torrent, struct list_change *ret_change, struct lsp_error *err)
{
	static const char *const keys[] = {"add", "remove", "set"};
	json_t *lists[3];
	int r = lsp_torrent_call_torrent(engine, call, ret_torrent, err);
	if (r == 0)
		r = lsp_torrent_call_urls(call, "add", trackers, err);
	if (r == 0)
		r = lsp_torrent_call_urls(call, "set", trackers, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(keys); i++) {
		lists[i] = json_object_get(call->call.arguments, keys[i]);
		if (lists[i] && !json_is_array(lists[i])) /* null, or what is to be removed */
			return lsp_error_set(
				err, DOMAIN, LSP_E_INVALID, "%s must be a list of URLs", keys[i]);
	}
	*ret_change = (struct list_change){.add = lists[0],
		.remove = lists[1],
		.set = lists[2],
		.any = lists[0] || lists[1] || lists[2]};
	return 0;
}

static bool has_url(const json_t *list, const char *url)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *other = json_string_value(
			json_is_object(entry) ? json_object_get(entry, "url") : entry);
		if (other && strcmp(other, url) == 0)
			return true;
	}
	return false;
}

static bool is_in_tiers(const json_t *tiers, const char *url)
{
	for (size_t i = 0; i < json_array_size(tiers); i++)
		if (has_url(json_array_get(tiers, i), url))
			return true;
	return false;
}

/* What of an entry, an URL or a tier of them, is not there yet: the caller owns it. */
static json_t *new_tier(const json_t *now, const json_t *tiers, json_t *entry)
{
	json_t *tier = json_array();
	for (size_t i = 0; i < (json_is_array(entry) ? json_array_size(entry) : 1); i++) {
		json_t *url = json_is_array(entry) ? json_array_get(entry, i) : entry;
		const char *text = json_string_value(url);
		if (!has_url(now, text) && !is_in_tiers(tiers, text) && !has_url(tier, text))
			json_array_append(tier, url);
	}
	return tier;
}

/* The tiers of what there is, without those of `remove`, and with `add` behind. */
static json_t *edited(const json_t *now, const struct list_change *change)
{
	const json_t *add = change->add, *remove = change->remove;
	if (change->set)
		return json_deep_copy(change->set);
	json_t *tiers = json_array();
	for (size_t i = 0; i < json_array_size(now); i++) {
		const json_t *tracker = json_array_get(now, i);
		json_t *url = json_object_get(tracker, "url");
		size_t tier = (size_t)json_integer_value(json_object_get(tracker, "tier"));
		while (json_array_size(tiers) <= tier && json_array_size(tiers) < 256)
			json_array_append_new(tiers, json_array());
		if (!has_url(remove, json_string_value(url)))
			json_array_append(json_array_get(tiers, tier), url);
	}
	for (size_t i = 0; i < json_array_size(add); i++)
		json_array_append_new(tiers, new_tier(now, tiers, json_array_get(add, i)));
	for (size_t i = json_array_size(tiers); i > 0; i--)
		if (json_array_size(json_array_get(tiers, i - 1)) == 0)
			json_array_remove(tiers, i - 1);
	return tiers;
}

static int set_trackers(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const json_t *tiers, struct lsp_error *err)
{
	_cleanup_free_ const char **urls = NULL;
	_cleanup_free_ int32_t *numbers = NULL;
	size_t count = 0;
	int r = lsp_torrent_record_flatten(tiers, &urls, &numbers, &count, err);
	struct lsp_shim_texts texts = {.text = urls, .tier = numbers, .count = count};
	return r < 0 ? r
		     : engine->shim_functions->set_trackers(
			       engine->shim, torrent->number, &texts, err);
}

static void add_text(void *argument, const char *text)
{
	json_array_append_new(argument, lsp_translate_text(text));
}

/*
 * From now on the record's lists stand for all there are, in place of those that the source has: of
 * web seeds too. Takes over `tiers`.
 */
static int keep_trackers(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	json_t *tiers, struct lsp_error *err)
{
	static const char *const keys[] = {"trackers", "trackers_set", "web_seeds", NULL};
	_cleanup_json_ json_t *changes = json_pack("{s:o, s:b}", keys[0], tiers, keys[1], 1);
	json_t *seeds = torrent->record.trackers_set ? NULL : json_array();
	int r = 0;
	if (seeds) {
		r = engine->shim_functions->web_seeds(
			engine->shim, torrent->number, add_text, seeds, err);
		json_object_set_new(changes, keys[2], seeds);
	}
	if (r == 0)
		r = changes ? lsp_torrent_record_merge(&torrent->record, changes, keys, err)
			    : lsp_error_no_memory(err, DOMAIN);
	if (r == 0)
		lsp_session_write_record(engine, torrent);
	return r;
}

/* One that is not asked any more cannot answer: what it did not do is no fault any longer. */
static void forgive(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	const json_t *before, const json_t *now)
{
	for (size_t i = 0; i < json_array_size(before); i++) {
		enum lsp_torrent_component component;
		char key[LSP_FAULT_KEY_MAX];
		struct lsp_shim_alert answered = {.type = LSP_SHIM_ALERT_TRACKER_REPLY,
			.text = json_string_value(
				json_object_get(json_array_get(before, i), "url"))};
		if (has_url(now, answered.text))
			continue;
		(void)lsp_translate_health(&answered, torrent->record.id, &component, key);
		lsp_engine_clear(engine, component, key);
	}
}

LSP_COMMAND(trackers)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent = NULL;
	struct list_change change = {0};
	_cleanup_json_ json_t *now = json_array();
	int r = read_lists(engine, call, true, &torrent, &change, err);
	if (r == 0)
		r = shim->trackers(engine->shim, torrent->number, add_tracker, now, err);
	if (r == 0 && change.any) {
		_cleanup_json_ json_t *before = json_copy(now);
		r = keep_trackers(engine, torrent, edited(now, &change), err);
		if (r == 0)
			r = set_trackers(engine, torrent, torrent->record.trackers, err);
		lsp_session_save(engine, torrent);
		json_array_clear(now);
		if (r == 0)
			r = shim->trackers(engine->shim, torrent->number, add_tracker, now, err);
		if (r == 0)
			forgive(engine, torrent, before, now);
	}
	if (r == 0)
		call->answer.value = json_pack("{s:O}", "trackers", now);
	return r;
}

static int change_web_seeds(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	const json_t *from, const json_t *wanted, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(from); i++) {
		const char *url = json_string_value(json_array_get(from, i));
		if (!has_url(wanted, url))
			r = shim->remove_web_seed(engine->shim, torrent->number, url, err);
	}
	for (size_t i = 0; r == 0 && i < json_array_size(wanted); i++) {
		const char *url = json_string_value(json_array_get(wanted, i));
		if (!has_url(from, url))
			r = shim->add_web_seed(engine->shim, torrent->number, url, err);
	}
	return r;
}

static json_t *edited_web_seeds(const json_t *now, const struct list_change *change)
{
	const json_t *add = change->add;
	if (change->set)
		return json_deep_copy(change->set);
	json_t *result = json_array();
	for (size_t i = 0; i < json_array_size(now); i++)
		if (!has_url(change->remove, json_string_value(json_array_get(now, i))))
			json_array_append(result, json_array_get(now, i));
	for (size_t i = 0; i < json_array_size(add); i++) {
		const char *url = json_string_value(json_array_get(add, i));
		if (!has_url(now, url) && !has_url(result, url))
			json_array_append(result, json_array_get(add, i));
	}
	return result;
}

LSP_COMMAND(web_seeds)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent = NULL;
	struct list_change change = {0};
	_cleanup_json_ json_t *now = json_array();
	int r = read_lists(engine, call, false, &torrent, &change, err);
	if (r == 0)
		r = shim->web_seeds(engine->shim, torrent->number, add_text, now, err);
	if (r == 0 && change.any) {
		r = lsp_torrent_record_set(
			&torrent->record, "web_seeds", edited_web_seeds(now, &change), err);
		if (r == 0)
			lsp_session_write_record(engine, torrent);
		if (r == 0)
			r = change_web_seeds(engine, torrent, now, torrent->record.web_seeds, err);
		lsp_session_save(engine, torrent);
		json_array_clear(now);
		if (r == 0)
			r = shim->web_seeds(engine->shim, torrent->number, add_text, now, err);
	}
	if (r == 0)
		call->answer.value = json_pack("{s:O}", "web_seeds", now);
	return r;
}

/* ---- The engine -------------------------------------------------------------------------- */

static json_t *all_settings(struct lsp_torrent_engine *engine)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	json_t *settings = json_object();
	const char *name;
	for (size_t i = 0; (name = shim->setting_name(i)); i++) {
		struct lsp_shim_setting setting = {0};
		if (!*name || shim->setting(engine->shim, name, &setting, NULL) < 0)
			continue;
		bool secret = strcmp(name, "proxy_password") == 0 && *setting.text;
		json_object_set_new(settings, name,
			secret                            ? json_string("(set)")
			: setting.kind == LSP_SHIM_TEXT   ? lsp_translate_text(setting.text)
			: setting.kind == LSP_SHIM_SWITCH ? json_boolean(setting.number != 0)
							  : json_integer(setting.number));
	}
	return settings;
}

/* What was set, without what nobody else needs to know. */
static json_t *shown_configuration(const struct lsp_torrent_engine *engine)
{
	json_t *shown = json_deep_copy(engine->configuration.json);
	json_t *proxy = json_object_get(shown, "proxy");
	if (json_object_get(proxy, "password"))
		json_object_set_new(proxy, "password", json_string("(set)"));
	return shown;
}

static json_t *listen_addresses(const struct lsp_torrent_engine *engine)
{
	json_t *list = json_array();
	const char *address;
	json_t *value;
	json_object_foreach (engine->listening, address, value)
		json_array_append_new(list, json_string(address));
	return list;
}

/* The session says where it listens soon after it was opened, and what it counted once asked. */
static bool has_told(const struct lsp_torrent_engine *engine)
{
	return engine->counts_told &&
	       (json_object_size(engine->listening) > 0 || !*engine->listen_wanted ||
		       lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_NETWORK, "listen"));
}

LSP_COMMAND(inspect)
{
	lsp_time deadline = lsp_time_add(lsp_now(engine->clock), LSP_SECOND);
	lsp_alerts_drain(engine); /* what waits already wakes nobody */
	engine->counts_told = false;
	engine->shim_functions->post_counts(engine->shim);
	while (!has_told(engine) && lsp_now(engine->clock) < deadline &&
		lsp_session_await(engine, deadline))
		;
	call->answer.value = json_pack("{s:o, s:o, s:o, s:s, s:I, s:I, s:I}", "settings",
		all_settings(engine), "configuration", shown_configuration(engine), "listen",
		listen_addresses(engine), "version", engine->shim_functions->version(),
		"max_download", (json_int_t)engine->effective_download, "max_upload",
		(json_int_t)engine->effective_upload, "read_back",
		(json_int_t)engine->tally.read_back);
	return 0;
}

/* What was turned on is in effect when it told of what there is, not minutes later. */
static void look_around_if_new(
	struct lsp_torrent_engine *engine, const struct lsp_configuration *before)
{
	const struct lsp_configuration *now = &engine->configuration;
	bool dht = lsp_configuration_is_on(now, "enable_dht") &&
		   !lsp_configuration_is_on(before, "enable_dht");
	bool lsd = lsp_configuration_is_on(now, "enable_lsd") &&
		   !lsp_configuration_is_on(before, "enable_lsd");
	if (engine->shim && (dht || lsd))
		lsp_session_look_around(engine);
	if (dht)
		engine->next_look = lsp_time_add(lsp_now(engine->clock), LSP_LOOK_AGAIN);
}

LSP_COMMAND(configure)
{
	struct lsp_configuration configuration = {0};
	const json_t *wanted = json_object_get(call->call.arguments, "configuration");
	if (!wanted)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "configuration is missing");
	int r = lsp_configuration_parse(wanted, &configuration, err);
	if (r < 0)
		return r;
	struct lsp_configuration before = engine->configuration;
	engine->configuration = configuration;
	if (engine->shim)
		r = lsp_session_configure(engine, err);
	if (r < 0) {
		/* Back to what worked. */
		engine->configuration = before;
		if (lsp_session_configure(engine, NULL) < 0)
			lsp_engine_fail(engine, LSP_TORRENT_HEALTH_LIMITS, "settings",
				"the settings in effect are not those that were asked for");
		lsp_configuration_done(&configuration);
		return r;
	}
	look_around_if_new(engine, &before);
	bool pex_changed = before.pex != engine->configuration.pex;
	lsp_configuration_done(&before);
	lsp_torrent_limits_apply(engine, true);
	lsp_session_hasten_saves(engine);
	for (struct lsp_torrent *torrent = engine->by_number; torrent && pex_changed;
		torrent = torrent->by_number.next)
		if (torrent->added)
			(void)!engine->shim_functions->set_flags(engine->shim, torrent->number,
				lsp_torrent_flags(engine, torrent) & LSP_SHIM_NO_PEX,
				LSP_SHIM_NO_PEX, NULL);
	call->answer.value = json_pack("{s:o}", "configuration", shown_configuration(engine));
	return 0;
}

LSP_COMMAND(restart)
{
	lsp_time now = lsp_now(engine->clock);
	struct lsp_error closed = {0};
	lsp_error_set(&closed, DOMAIN, LSP_E_CLOSED, "the torrent engine was restarted");
	/* Those that wait would wait for a session that is gone. */
	struct lsp_call *waiting = engine->waiting;
	engine->waiting = NULL;
	for (struct lsp_call *next; waiting; waiting = next) {
		struct lsp_error why = closed;
		next = waiting->next;
		lsp_torrent_call_end(engine, waiting, -LSP_E_CLOSED, &why);
	}
	lsp_session_close(engine, lsp_time_add(now, engine->shutdown_deadline));
	return lsp_session_require(engine, err);
}
