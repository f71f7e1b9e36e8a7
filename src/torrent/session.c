/*
 * The session's life: open with everything that is stored (restore.c), save while it runs, save all
 * and close.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "base/text.h"
#include "task/wait.h"
#include "torrent/selection.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define SLICE (200 * LSP_MILLISECOND) /* of the time of the end */
/* For the library's threads to end. What lasts longer waits for a name server that says nothing. */
#define CLOSE_AT_LEAST (250 * LSP_MILLISECOND)
#define CLOSE_AT_MOST LSP_SECOND

/* ---- Adding ------------------------------------------------------------------------------ */

/* The texts of a JSON array, which must be texts; the caller frees the array alone. */
static const char **texts_of(const json_t *list, uint64_t *ret_count)
{
	size_t count = json_array_size(list);
	const char **texts = calloc(count + 1, sizeof *texts);
	for (size_t i = 0; texts && i < count; i++)
		texts[i] = json_string_value(json_array_get(list, i));
	*ret_count = texts ? count : 0;
	return texts;
}

/* What every way of adding has in common: the record's fields. */
static void fill_add(const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	struct lsp_shim_add *add)
{
	const struct lsp_record *record = &torrent->record;
	add->torrent = torrent->number;
	add->save_path = record->save_path;
	add->root = record->root;
	add->name = record->name;
	add->flags |= lsp_torrent_flags(engine, torrent);
	add->max_download = (int32_t)record->max_download;
	add->max_upload = (int32_t)record->max_upload;
	add->max_connections = (int32_t)record->max_connections;
	add->max_uploads = (int32_t)record->max_uploads;
	add->replace_trackers = record->trackers_set;
}

/* Nanoseconds between two saves of one torrent. */
static uint64_t save_interval(const struct lsp_torrent_engine *engine)
{
	uint64_t wanted = engine->configuration.save_interval;
	return wanted ? wanted : engine->save_interval;
}

/* What is known of it until the session has looked at it, which takes a while with hundreds. */
static int note_stored_progress(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source, const struct lsp_shim_add *add, struct lsp_error *err)
{
	struct lsp_shim_progress progress = {0};
	int r = engine->shim_functions->source_progress(
		source, add->priorities, add->priority_count, &progress, err);
	if (r < 0)
		return r;
	torrent->status.done = add->flags & LSP_SHIM_CHECK ? 0 : progress.done;
	torrent->status.wanted = progress.wanted;
	torrent->status.downloaded = progress.downloaded;
	torrent->status.uploaded = progress.uploaded;
	return 0;
}

int lsp_session_add(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source, const struct lsp_shim_add *options, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	const struct lsp_record *record = &torrent->record;
	struct lsp_shim_add add = *options;
	_cleanup_free_ uint8_t *priorities = NULL;
	_cleanup_free_ const char **urls = NULL, **seeds = NULL, **peers = NULL;
	_cleanup_free_ int32_t *tiers = NULL;
	size_t count = 0, priority_count = 0;
	bool everything = lsp_selection_is_everything(record->json);
	if (torrent->stored)
		lsp_held_begin(engine, torrent);
	fill_add(engine, torrent, &add);
	int r = lsp_torrent_record_flatten(record->trackers, &urls, &tiers, &count, err);
	if (r == 0 && torrent->has_metadata && !everything && !add.priorities)
		r = lsp_torrent_priorities(
			engine, torrent, source, &priorities, &priority_count, err);
	if (priorities) {
		add.priorities = priorities;
		add.priority_count = priority_count;
	}
	if (r == 0 && torrent->stored)
		r = note_stored_progress(engine, torrent, source, &add, err);
	if (r < 0) {
		shim->source_free(source);
		return r;
	}
	/* Nothing is written before the metadata came and what it means was said. */
	torrent->fresh_selection = !torrent->has_metadata && (!everything || record->root);
	if (torrent->fresh_selection)
		add.flags |= LSP_SHIM_SKIP_BY_DEFAULT;
	seeds = texts_of(record->web_seeds, &add.web_seeds.count);
	add.web_seeds.text = seeds;
	/* A private torrent's peers come from its tracker alone (BEP 27). */
	if (add.peers.count == 0 && !torrent->is_private) {
		peers = texts_of(engine->lan_peers, &add.peers.count);
		add.peers.text = peers;
	}
	/* Resume data have the trackers already. */
	if (!torrent->restored || record->trackers_set)
		add.trackers = (struct lsp_shim_texts){.text = urls, .tier = tiers, .count = count};
	else
		add.web_seeds.count = 0;
	lsp_time now = lsp_now(engine->clock);
	torrent->next_save = lsp_time_add(
		now, lsp_random_below(&engine->random, save_interval(engine)) + LSP_SECOND);
	engine->next_tick = now;
	return shim->add(engine->shim, source, &add, err);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static void on_notify(void *argument)
{
	lsp_engine_wake(argument);
}

/* What is configured beside the plain settings. */
static int configure_rest(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	const struct lsp_configuration *configuration = &engine->configuration;
	int r = shim->set_ip_filter(engine->shim, (const char *const(*)[2])configuration->ranges,
		configuration->range_count, err);
	if (r == 0)
		r = shim->limit_lan(engine->shim, configuration->limit_lan, err);
	for (size_t i = 0; r == 0 && i < json_array_size(configuration->dht_nodes); i++) {
		char host[LSP_CONFIGURATION_HOST_MAX + 1];
		uint16_t port = lsp_configuration_node(
			json_string_value(json_array_get(configuration->dht_nodes, i)), host);
		r = shim->add_dht_node(engine->shim, host, port, err);
	}
	return r;
}

/* The library tells where it listens when that changes, and then only: what it told stays true. */
static void note_listen(struct lsp_torrent_engine *engine)
{
	const struct lsp_configuration *configuration = &engine->configuration;
	const char *wanted = "";
	for (size_t i = 0; i < configuration->count; i++)
		if (strcmp(configuration->settings[i].name, "listen_interfaces") == 0)
			wanted = configuration->settings[i].text;
	if (strcmp(engine->listen_wanted, wanted) != 0) {
		json_object_clear(engine->listening);
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_NETWORK, "listen");
	}
	if (!lsp_configuration_maps_ports(configuration))
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_NETWORK, "port_map");
	snprintf(engine->listen_wanted, sizeof engine->listen_wanted, "%s", wanted);
}

void lsp_session_look_around(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		if (torrent->added && !torrent->removing)
			(void)!engine->shim_functions->look_around(
				engine->shim, torrent->number, NULL);
}

void lsp_session_look_if_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	if (!engine->next_look || now < engine->next_look)
		return;
	engine->next_look = 0;
	lsp_session_look_around(engine);
}

int lsp_session_configure(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	note_listen(engine);
	int r = engine->shim_functions->apply(
		engine->shim, engine->configuration.settings, engine->configuration.count, err);
	if (r == 0)
		r = configure_rest(engine, err);
	if (r == 0)
		lsp_torrent_limits_apply(engine, true);
	return r;
}

static void close_library(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	uint64_t wait = lsp_time_left(lsp_now(engine->clock), deadline);
	wait = LSP_MAX(LSP_MIN(wait, (uint64_t)CLOSE_AT_MOST), (uint64_t)CLOSE_AT_LEAST);
	engine->shim_functions->close(
		TAKE_PTR(engine->shim), (uint32_t)(wait / (uint64_t)LSP_MILLISECOND));
}

int lsp_session_open(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	if (engine->shim)
		return 0;
	int r = engine->shim_functions->open(engine->configuration.settings,
		engine->configuration.count, on_notify, engine, &engine->shim, err);
	if (r < 0)
		return r;
	note_listen(engine);
	r = configure_rest(engine, err);
	if (r < 0) {
		close_library(engine, lsp_now(engine->clock));
		return r;
	}
	engine->tally.sessions++;
	engine->tally.session_open = true;
	engine->counted_read_back = 0;
	engine->is_brisk = engine->listen_lost = false;
	engine->next_listen = 0;
	engine->next_tick = engine->next_second = lsp_now(engine->clock);
	lsp_torrent_limits_apply(engine, true);
	lsp_engine_clear(engine, LSP_TORRENT_HEALTH_SESSION, "session");
	lsp_restore_all(engine);
	lsp_engine_publish(engine);
	return 0;
}

int lsp_session_require(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	struct lsp_error why = {0};
	if (lsp_session_open(engine, &why) == 0)
		return 0;
	engine->broken = true;
	engine->broken_error = why;
	return lsp_error_set(err, DOMAIN, LSP_E_CLOSED,
		"the torrent engine is not available: %.300s", why.message);
}

/* ---- Saving ------------------------------------------------------------------------------ */

void lsp_session_tell_folder(struct lsp_torrent_engine *engine, const char *failure)
{
	if (failure)
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "folder", failure);
	else if (!engine->unlisted)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "folder");
}

void lsp_session_store_failed(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_error *error)
{
	engine->tally.resume_failed++;
	torrent->next_save = lsp_time_add(lsp_now(engine->clock), LSP_STORE_PATIENCE);
	if (!lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id))
		lsp_engine_emit(engine,
			lsp_event_error_beside(torrent->record.id, LSP_TORRENT_HEALTH_RESUME_STORE,
				lsp_code_name(error->code), error->message));
	lsp_engine_fail(
		engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id, error->message);
}

static void leftover_key(const char *id, char key[LSP_FAULT_KEY_MAX])
{
	/* Not as those of a torrent begin, which go with it. */
	snprintf(key, LSP_FAULT_KEY_MAX, "removed %s", id);
}

int lsp_session_forget(struct lsp_torrent_engine *engine, const char *id, struct lsp_error *err)
{
	char key[LSP_FAULT_KEY_MAX], message[600];
	struct lsp_error why = {0};
	if (lsp_resume_store_remove(engine->store, id, &why) == 0) {
		lsp_session_remember(engine, id);
		lsp_session_tell_folder(engine, NULL);
		return 0;
	}
	engine->tally.resume_failed++;
	engine->next_leftover = lsp_time_add(lsp_now(engine->clock), LSP_STORE_PATIENCE);
	json_object_set_new(engine->leftovers, id, json_true());
	leftover_key(id, key);
	snprintf(message, sizeof message, "torrent %s is removed, but not from the disk: %.300s",
		id, why.message);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key, message);
	if (err)
		*err = why;
	return -why.code;
}

void lsp_session_remember(struct lsp_torrent_engine *engine, const char *id)
{
	char key[LSP_FAULT_KEY_MAX];
	json_object_del(engine->kept, id);
	leftover_key(id, key); /* the id may be the list's own, and go with it */
	if (json_object_del(engine->leftovers, id) == 0)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key);
}

static void forget_leftovers(struct lsp_torrent_engine *engine)
{
	const char *id;
	json_t *value;
	void *next;
	json_object_foreach_safe(engine->leftovers, next, id, value)
	{
		(void)!lsp_session_forget(engine, id, NULL);
	}
}

void lsp_session_forget_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	if (json_object_size(engine->leftovers) && now >= engine->next_leftover)
		forget_leftovers(engine);
}

static void on_stored(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	engine->tally.resume_saved++;
	lsp_session_tell_folder(engine, NULL);
	if (!torrent->blob_dirty && !torrent->record_dirty)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id);
}

void lsp_session_write_record(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	torrent->record_dirty = true;
	if (torrent->transient || torrent->record.game)
		lsp_engine_emit(engine, json_pack("{s:s, s:s, s:o}", "event", "torrent_settings",
						"torrent", torrent->record.id, "settings",
						lsp_torrent_record_settings(&torrent->record)));
	if (torrent->transient || !engine->store)
		return;
	bool closes = engine->save_deadline;
	int r = closes ? lsp_resume_store_stage_record(engine->store, &torrent->record, &err)
		       : lsp_resume_store_write_record(engine->store, &torrent->record, &err);
	if (r < 0) {
		lsp_session_store_failed(engine, torrent, &err);
		return;
	}
	torrent->record_dirty = false;
	if (closes)
		torrent->staged |= 1u << LSP_RESUME_RECORD;
	else
		on_stored(engine, torrent);
}

/* It closes, and its time is over: what was stored before stands. */
static bool is_too_late(const struct lsp_torrent_engine *engine)
{
	return engine->save_deadline && lsp_now(engine->clock) >= engine->save_deadline;
}

static void ask_to_save(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, bool if_modified)
{
	struct lsp_error err = {0};
	lsp_time now = lsp_now(engine->clock);
	torrent->next_save = lsp_time_add(now, save_interval(engine));
	if (engine->shim_functions->save_resume(
		    engine->shim, torrent->number, if_modified && !torrent->blob_dirty, &err) < 0)
		return;
	torrent->saving = true;
	engine->saves_outstanding++;
}

void lsp_session_save(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (torrent->transient || !torrent->added || torrent->removing || !engine->store)
		return;
	if (torrent->saving)
		torrent->save_again = true;
	else /* at the end only what changed: every torrent pauses then */
		ask_to_save(engine, torrent, engine->save_deadline != 0);
}

void lsp_session_save_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		if (torrent->transient || !torrent->added || torrent->removing ||
			now < torrent->next_save || !engine->store)
			continue;
		if (torrent->record_dirty)
			lsp_session_write_record(engine, torrent);
		if (!torrent->saving)
			ask_to_save(engine, torrent, true);
	}
}

void lsp_session_save_lost(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (!torrent->saving || is_too_late(engine))
		return;
	/* The library thinks that it has told: it would say that nothing has changed since. */
	torrent->blob_dirty = true;
	torrent->saving = false;
	engine->saves_outstanding--;
	ask_to_save(engine, torrent, false);
}

void lsp_session_hasten_saves(struct lsp_torrent_engine *engine)
{
	lsp_time latest = lsp_time_add(lsp_now(engine->clock), save_interval(engine));
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		if (torrent->next_save > latest)
			torrent->next_save = latest;
}

/* The place in the queue is stored with the record, which libtorrent's resume data do not have. */
static void note_queue(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	const json_t *stored = json_object_get(torrent->record.json, "queue");
	json_int_t before = stored ? json_integer_value(stored) : -1;
	if (torrent->status_at == 0 || torrent->status.queue_position == before)
		return;
	json_t *place = torrent->status.queue_position >= 0
				? json_integer(torrent->status.queue_position)
				: NULL;
	if (lsp_torrent_record_set(&torrent->record, "queue", place, NULL) == 0)
		torrent->record_dirty = true;
}

/*
 * Has anything changed but the time for which it has been active? For that alone libtorrent 2.0.8
 * calls every torrent modified, each second: hundreds at rest would be written every interval.
 */
static bool says_the_same(const struct lsp_torrent *torrent, const struct lsp_hash *digest)
{
	static const struct lsp_hash unknown;
	return torrent->has_blob && !torrent->blob_dirty &&
	       memcmp(digest, &unknown, sizeof unknown) != 0 &&
	       memcmp(digest, &torrent->digest, sizeof *digest) == 0;
}

static int put_blob(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_bytes *data, struct lsp_error *err)
{
	struct lsp_resume_store *store = engine->store;
	const char *id = torrent->record.id;
	return engine->save_deadline ? lsp_resume_store_stage(store, id, LSP_RESUME_BLOB,
					       data->data, data->size, err)
				     : lsp_resume_store_write(store, id, LSP_RESUME_BLOB,
					       data->data, data->size, err);
}

static void write_blob(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	struct lsp_error err = {0};
	struct lsp_hash digest = {0};
	lsp_time now = lsp_now(engine->clock);
	if (torrent->removing && !torrent->keep_stored)
		return; /* its files go */
	(void)!lsp_resume_digest(alert->data.data, alert->data.size, &digest, NULL);
	bool same = says_the_same(torrent, &digest), closes = engine->save_deadline;
	if (is_too_late(engine)) {
		torrent->blob_dirty |= !same;
		return;
	}
	note_queue(engine, torrent);
	bool rests = same && !closes && now < lsp_time_add(torrent->stored_at, LSP_ACTIVE_INTERVAL);
	if (!rests && put_blob(engine, torrent, &alert->data, &err) < 0) {
		torrent->blob_dirty = true;
		lsp_session_store_failed(engine, torrent, &err);
		return;
	}
	if (!rests) {
		torrent->blob_dirty = false;
		torrent->digest = digest;
		torrent->stored_at = now;
	}
	if (closes) {
		torrent->staged |= 1u << LSP_RESUME_BLOB;
		torrent->nothing_new = same;
	} else if (!rests) {
		torrent->has_blob = true;
		on_stored(engine, torrent);
	}
	if (torrent->record_dirty)
		lsp_session_write_record(engine, torrent);
}

void lsp_session_on_saved(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	if (torrent->saving && engine->saves_outstanding > 0)
		engine->saves_outstanding--;
	torrent->saving = false;
	if (alert->type == LSP_SHIM_ALERT_RESUME_DATA) {
		write_blob(engine, torrent, alert);
	} else if (alert->number == 0 && !torrent->removing) {
		struct lsp_error err = {0};
		lsp_error_set(&err, DOMAIN, LSP_E_FAILED, "no resume data: %.300s", alert->error);
		torrent->blob_dirty = true;
		lsp_session_store_failed(engine, torrent, &err);
	}
	if (torrent->save_again && !torrent->removing && !is_too_late(engine)) {
		torrent->save_again = false;
		ask_to_save(engine, torrent, engine->save_deadline != 0);
	}
}

/* ---- Closing ----------------------------------------------------------------------------- */

bool lsp_session_await(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct pollfd fd = {.fd = engine->wake_fd, .events = POLLIN};
	uint64_t count;
	int r = lsp_wait_poll(&fd, 1, NULL, engine->clock, deadline, NULL);
	if (r > 0) {
		r = (int)read(engine->wake_fd, &count, sizeof count);
		engine->wake_taken = true;
	}
	lsp_alerts_drain(engine);
	return r >= 0 || lsp_now(engine->clock) < deadline;
}

/* One step for what of a torrent is in `from`; what it succeeds with is in the result. */
static unsigned step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, unsigned from,
	int (*take)(
		struct lsp_resume_store *, const char *, enum lsp_resume_part, struct lsp_error *))
{
	unsigned done = 0;
	for (unsigned part = 0; part < LSP_RESUME_PARTS; part++) {
		struct lsp_error err = {0};
		if (!(from & (1u << part)))
			continue;
		if (take(engine->store, torrent->record.id, part, &err) == 0)
			done |= 1u << part;
		else
			lsp_session_store_failed(engine, torrent, &err);
	}
	return done;
}

/* What is staged of it: 0 all that there is, 1 something new, 2 nothing that would be missed. */
static unsigned rank(const struct lsp_torrent *torrent)
{
	bool is_record = torrent->staged & (1u << LSP_RESUME_RECORD);
	return torrent->has_blob ? 1 + (torrent->nothing_new && !is_record) : 0;
}

/* All that reaches the disk until then, by rank. */
static void settle_staged(struct lsp_torrent_engine *engine, lsp_time until)
{
	struct lsp_torrent *torrent;
	for (unsigned now = 0; now < 3; now++)
		for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
			if (!torrent->staged || rank(torrent) != now)
				continue;
			if (lsp_now(engine->clock) >= until)
				return;
			torrent->settled |=
				step(engine, torrent, torrent->staged, lsp_resume_store_settle);
			torrent->staged = 0;
		}
}

static void commit_settled(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		if (!torrent->settled || is_too_late(engine))
			continue;
		unsigned done = step(engine, torrent, torrent->settled, lsp_resume_store_commit);
		torrent->settled = 0;
		torrent->has_blob |= (done & (1u << LSP_RESUME_BLOB)) != 0;
		for (; done; done &= done - 1)
			on_stored(engine, torrent);
	}
}

static size_t count_staged(const struct lsp_torrent_engine *engine)
{
	const struct lsp_torrent *torrent;
	size_t count = 0;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		count += torrent->staged || torrent->settled;
	return count;
}

/*
 * The disk is waited for about once for all that came by now, not twice for each file: hundreds of
 * torrents must get done in the time of the end. On a slow one they go in slices, so that what has
 * reached the disk has its name too when the time is over.
 */
static void commit_staged(struct lsp_torrent_engine *engine)
{
	struct lsp_error err = {0};
	size_t before = count_staged(engine), left = before, now_left;
	lsp_time last = engine->save_deadline - LSP_MIN(engine->save_deadline, SLICE / 2);
	while (left > 0) {
		lsp_time slice = lsp_time_add(lsp_now(engine->clock), SLICE);
		settle_staged(engine, LSP_MIN(slice, last));
		commit_settled(engine);
		now_left = count_staged(engine);
		if (now_left == left)
			break;
		left = now_left;
	}
	if (left < before && lsp_resume_store_sync(engine->store, &err) < 0)
		lsp_session_tell_folder(engine, err.message);
}

/* The end's save of each: of those first that the store has no pieces of, for they are hashed. */
static void ask_all(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent;
	for (unsigned has_blob = 0; has_blob < 2; has_blob++)
		for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
			if (torrent->transient || !torrent->added || torrent->removing ||
				!engine->store || torrent->has_blob != has_blob)
				continue;
			if (torrent->record_dirty && !is_too_late(engine))
				lsp_session_write_record(engine, torrent);
			if (torrent->saving)
				torrent->save_again = true;
			else
				ask_to_save(engine, torrent, true);
		}
}

/* Of which the library had something to tell, as far as it said, that the store does not have. */
static size_t count_unsaved(const struct lsp_torrent_engine *engine)
{
	const struct lsp_torrent *torrent;
	size_t count = 0;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		count += !torrent->transient && engine->store &&
			 (torrent->saving || torrent->blob_dirty ||
				 ((torrent->staged || torrent->settled) && rank(torrent) < 2));
	return count;
}

static void save_all(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct lsp_error err = {0};
	engine->save_deadline = deadline;
	if (engine->shim_functions->halt(engine->shim, &err) < 0)
		lsp_log_warning(DOMAIN, "%s", err.message);
	ask_all(engine);
	/* What waits already wakes nobody. */
	lsp_alerts_drain(engine);
	commit_staged(engine);
	while (engine->saves_outstanding > 0) {
		bool in_time = lsp_session_await(engine, deadline);
		commit_staged(engine);
		if (!in_time || lsp_now(engine->clock) >= deadline)
			break;
	}
	size_t unsaved = count_unsaved(engine);
	engine->save_deadline = 0;
	if (unsaved > 0)
		lsp_log_warning(DOMAIN,
			"%zu torrents were not saved in time: what came for them since they last "
			"were is fetched again",
			unsaved);
}

/* Its files are still being deleted, or moved before that: its record has the next session end it.
 */
static bool outlasts(const struct lsp_torrent *torrent)
{
	return torrent->remove_waits || lsp_move_returns(torrent) ||
	       (torrent->move && lsp_move_deletes(torrent->move)) ||
	       (torrent->record.removing && !torrent->record_dirty);
}

void lsp_session_close(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct lsp_torrent *torrent, *next;
	if (engine->shim && !engine->broken)
		save_all(engine, deadline);
	close_library(engine, deadline);
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		/* One that was on its way out does not come back. */
		if (torrent->removing && torrent->keep_stored)
			json_object_set_new(engine->kept, torrent->record.id, json_true());
		else if (torrent->removing && !torrent->transient && engine->store &&
			 !outlasts(torrent))
			(void)!lsp_session_forget(engine, torrent->record.id, NULL);
		if (torrent->transient)
			lsp_engine_emit(
				engine, json_pack("{s:s, s:s, s:b, s:b}", "event",
						"torrent_removed", "torrent", torrent->record.id,
						"data", 0, "session_closed", 1));
		lsp_torrent_drop(engine, torrent);
	}
	forget_leftovers(engine);
	json_object_clear(engine->listening);
	lsp_faults_clear(&engine->faults, LSP_TORRENT_HEALTH_NETWORK, "listen");
	lsp_faults_clear(&engine->faults, LSP_TORRENT_HEALTH_NETWORK, "port_map");
	engine->saves_outstanding = 0;
	engine->tally.session_open = false;
	engine->tally.torrents = engine->tally.downloading = engine->tally.seeding = 0;
	engine->tally.peers = engine->tally.upload_rate = engine->tally.download_rate = 0;
}
