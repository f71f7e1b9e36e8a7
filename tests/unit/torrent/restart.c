/* Real engines that end, or are killed, and come back. */
#include "pair.h"

#include "base/fs.h"
#include "base/text.h"
#include "task/child.h"
#include "torrent/configuration.h"

#include <signal.h>
#include <unistd.h>

static struct lsp_torrent_call add_call(
	const struct pair *pair, struct lsp_buffer metainfo, json_t *arguments)
{
	json_object_set_new(arguments, "save_path", json_string(pair->target));
	return (struct lsp_torrent_call){
		.command = LSP_TORRENT_ADD, .arguments = arguments, .metainfo = metainfo};
}

/* The leech, anew on its folder. */
static void leech_again(struct pair *pair)
{
	char folder[128];
	snprintf(folder, sizeof folder, "%s", pair->leech.folder);
	rig_stop(&pair->leech);
	rig_init(&pair->leech, &(struct rig_options){.folder = folder});
}

static json_t *status_of(struct rig *rig, const char *id)
{
	json_t *list = rig_ask(rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id));
	json_t *status = json_incref(json_array_get(json_object_get(list, "torrents"), 0));
	json_decref(list);
	return status;
}

static void a_magnet_keeps_its_metadata_over_a_restart(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 2000000, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	lsp_buffer_done(&metainfo);
	json_decref(leech_magnet(&pair, id,
		json_pack("{s:s, s:s, s:[s], s:b, s:i}", "category", "fps", "game", "doom", "tags",
			"lan", "sequential", true, "max_download", 123456)));
	json_decref(rig_await(&pair.leech, "torrent_metadata", "torrent", id, 1));
	/* Whoever could give them again is gone. */
	rig_stop(&pair.seed);
	leech_again(&pair);
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 1));
	json_t *status = status_of(&pair.leech, id);
	assert_true(json_is_true(json_object_get(status, "has_metadata")));
	assert_string_equal(json_string_value(json_object_get(status, "name")), "doom");
	assert_string_equal(json_string_value(json_object_get(status, "category")), "fps");
	assert_string_equal(json_string_value(json_object_get(status, "game")), "doom");
	assert_true(json_is_true(json_object_get(status, "sequential")));
	assert_int_equal(json_integer_value(json_object_get(status, "max_download")), 123456);
	assert_int_equal(json_integer_value(json_object_get(status, "size")), 2000000);
	json_decref(status);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_FILES, json_pack("{s:s}", "torrent", id)));
	rig_done(&pair.leech);
	rig_remove_tree(pair.seed.folder);
}

/* The only web seed of the leech's torrent. */
static void assert_web_seed(struct pair *pair, const char *id, const char *url)
{
	json_t *value =
		rig_ask(&pair->leech, LSP_TORRENT_WEB_SEEDS, json_pack("{s:s}", "torrent", id));
	const json_t *seeds = json_object_get(value, "web_seeds");
	assert_int_equal(json_array_size(seeds), 1);
	assert_string_equal(json_string_value(json_array_get(seeds, 0)), url);
	json_decref(value);
}

static void a_torrents_own_web_seeds_outlast_a_change_of_its_trackers(void **state)
{
	static const char url[] = "http://127.0.0.1:9/files/";
	struct pair pair;
	struct rig_answer made, added;
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 20000, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/doom", pair.content);
	struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:[s]}", "path", path, "web_seeds", url)};
	rig_call_full(&pair.leech, &create, &made);
	assert_int_equal(made.result, 0);
	json_decref(made.value);
	struct lsp_torrent_call add =
		add_call(&pair, made.bytes, json_pack("{s:b}", "paused", true));
	rig_call_full(&pair.leech, &add, &added);
	assert_int_equal(added.result, 0);
	_cleanup_free_ char *id = strdup(json_string_value(json_object_get(added.value, "id")));
	rig_answer_done(&added);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_TRACKERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "add", "http://127.0.0.1:9/announce")));
	leech_again(&pair);
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 1));
	assert_web_seed(&pair, id, url);
	/* Changed after that, they are what they were changed to. */
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_WEB_SEEDS,
		json_pack("{s:s, s:[s], s:[ss]}", "torrent", id, "remove", url, "add",
			"http://127.0.0.1:9/other/", "http://127.0.0.1:9/other/")));
	leech_again(&pair);
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 1));
	assert_web_seed(&pair, id, "http://127.0.0.1:9/other/");
	pair_done(&pair);
}

static void a_paused_one_stays_paused_and_a_removed_one_stays_gone(void **state)
{
	struct pair pair;
	char doom[65], quake[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	json_decref(
		leech(&pair, seed_doom(&pair, false, doom), json_pack("{s:b}", "paused", true)));
	json_t *added = rig_ask(&pair.leech, LSP_TORRENT_ADD,
		json_pack("{s:s, s:s}", "save_path", pair.target, "magnet",
			"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=quake"));
	snprintf(quake, sizeof quake, "%s", json_string_value(json_object_get(added, "id")));
	assert_string_equal(quake, "0123456789abcdef0123456789abcdef01234567");
	json_decref(added);
	rig_refuse(&pair.leech, LSP_TORRENT_ADD,
		json_pack("{s:s, s:s}", "save_path", pair.target, "magnet",
			"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"),
		LSP_E_EXISTS, NULL);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", quake)));
	leech_again(&pair);
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", doom, 1));
	json_t *status = status_of(&pair.leech, doom);
	assert_string_equal(json_string_value(json_object_get(status, "state")), "paused");
	json_decref(status);
	json_t *list = rig_ask(&pair.leech, LSP_TORRENT_LIST, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "torrents")), 1);
	json_decref(list);
	pair_done(&pair);
}

/* Has the leech come back with this in its record's "exclude", and tell of it. */
static void exclude_by_hand(struct pair *pair, const char *id, json_t *exclude)
{
	char folder[128];
	json_error_t where;
	snprintf(folder, sizeof folder, "%s", pair->leech.folder);
	rig_stop(&pair->leech);
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", pair->leech.resume, id);
	json_t *json = json_load_file(record, 0, &where);
	json_object_set_new(json, "exclude", exclude);
	assert_int_equal(json_dump_file(json, record, 0), 0);
	json_decref(json);
	rig_init(&pair->leech, &(struct rig_options){.folder = folder});
	json_decref(rig_await(&pair->leech, "torrent_selection", "torrent", id, 1));
}

static void assert_priorities(struct rig *rig, const char *id, const char *pak, const char *ogg)
{
	json_t *value = rig_ask(rig, LSP_TORRENT_FILES, json_pack("{s:s}", "torrent", id));
	size_t i;
	json_t *file;
	json_array_foreach (json_object_get(value, "files"), i, file) {
		bool is_pak = strstr(json_string_value(json_object_get(file, "path")), ".pak");
		assert_string_equal(
			json_string_value(json_object_get(file, "priority")), is_pak ? pak : ogg);
	}
	assert_int_equal(i, 2);
	json_decref(value);
}

static bool is_reconciled(struct rig *rig, const char *id)
{
	json_t *status = status_of(rig, id);
	bool is = json_is_string(json_object_get(status, "reconciled"));
	json_decref(status);
	return is;
}

static void the_stored_selection_wins_over_the_resume_data(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/maps.pak", 300000, 1);
	rig_file(pair.content, "doom/music.ogg", 200000, 2);
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:b, s:[s]}", "paused", true, "exclude", "*.ogg")));
	exclude_by_hand(&pair, id, json_pack("[s]", "*.pak"));
	assert_priorities(&pair.leech, id, "skip", "normal");
	assert_int_equal(rig_number(&pair.leech, id, "total"), 200000);
	exclude_by_hand(&pair, id, json_null());
	assert_priorities(&pair.leech, id, "normal", "normal");
	assert_int_equal(rig_number(&pair.leech, id, "total"), 500000);
	/* Who came too late for the event finds it there, until the next selection. */
	assert_true(is_reconciled(&pair.leech, id));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_SELECT,
		json_pack("{s:s, s:n}", "torrent", id, "exclude")));
	assert_false(is_reconciled(&pair.leech, id));
	/* From now on they agree. */
	leech_again(&pair);
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 1));
	assert_int_equal(rig_count(&pair.leech, "torrent_selection", NULL, NULL), 0);
	pair_done(&pair);
}

/* As the library counts it once it has looked at what was stored. */
static void what_comes_back_says_how_far_it_was(void **state)
{
	static const char *const numbers[] = {"done", "total", "size"};
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/maps.pak", 300000, 1);
	rig_file(pair.content, "doom/music.ogg", 200000, 2);
	rig_file(pair.content, "doom/readme", 77, 3);
	json_decref(
		leech(&pair, seed_doom(&pair, true, id), json_pack("{s:[s]}", "exclude", "*.ogg")));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	for (int all = 0; all < 2; all++) {
		json_t *before = status_of(&pair.leech, id);
		assert_true(json_integer_value(json_object_get(before, "done")) >= 300077);
		leech_again(&pair);
		json_t *added = rig_await(&pair.leech, "torrent_added", "torrent", id, 1);
		for (size_t i = 0; i < LSP_ARRAY_SIZE(numbers); i++)
			assert_int_equal(json_integer_value(json_object_get(before, numbers[i])),
				json_integer_value(json_object_get(
					json_object_get(added, "status"), numbers[i])));
		json_decref(added);
		json_decref(before);
		if (all)
			break;
		/* Of what is wanted now a part is missing, and it stands still. */
		json_decref(
			rig_ask(&pair.leech, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id)));
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_SELECT,
			json_pack("{s:s, s:n}", "torrent", id, "exclude")));
		lsp_time limit = fixture_limit();
		while (rig_number(&pair.leech, id, "total") != 500077)
			if (lsp_now(lsp_clock_system) > limit)
				fail_msg("not all of it is wanted");
	}
	pair_done(&pair);
}

/* As a kill before the file got it, while the others had theirs. */
static void take_name(struct rig *rig, const char *id, const char *name)
{
	_cleanup_buffer_ struct lsp_buffer blob = {0};
	_cleanup_free_ char *path = lsp_text_format("%s/%s.fastresume", rig->resume, id);
	_cleanup_free_ char *entry = lsp_text_format("%zu:%s", strlen(name), name);
	size_t size = strlen(entry);
	assert_ok(lsp_fs_read_file(path, 1 << 20, &blob, ERR));
	uint8_t *at = memmem(blob.data, blob.size, entry, size);
	assert_non_null(at);
	memcpy(at, "0:", 2);
	memmove(at + 2, at + size, blob.size - (size_t)(at - blob.data) - size);
	assert_ok(lsp_fs_write_file(path, blob.data, blob.size - size + 2, 0600, ERR));
}

static void a_kill_between_two_files_names_mixes_none(void **state)
{
	struct pair pair;
	char folder[128], id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/maps.pak", 300000, 1);
	rig_file(pair.content, "doom/music.ogg", 200000, 2);
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:b, s:s}", "paused", true, "root", "files")));
	snprintf(folder, sizeof folder, "%s", pair.leech.folder);
	rig_stop(&pair.leech);
	take_name(&pair.leech, id, "files/music.ogg");
	rig_init(&pair.leech, &(struct rig_options){.folder = folder});
	json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 1));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "peers", pair.address)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	_cleanup_free_ char *named = lsp_text_format("%s/files/music.ogg", pair.target);
	_cleanup_free_ char *unnamed = lsp_text_format("%s/doom", pair.target);
	assert_int_equal(access(named, F_OK), 0);
	assert_int_equal(access(unnamed, F_OK), -1);
	pair_done(&pair);
}

static void damage(struct rig *rig, const char *id, const char *suffix)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s%s", rig->resume, id, suffix);
	assert_ok(lsp_fs_write_file(path, "d4:spam", 7, 0600, ERR));
}

static void await_degraded(struct rig *rig, const char *id, const char *why)
{
	_cleanup_free_ char *message = lsp_text_format("torrent %s: %s", id, why);
	json_decref(rig_await(rig, "torrent_session_error", "message", message, 1));
}

static void damaged_files_of_the_store_hurt_nobody_but_themselves(void **state)
{
	struct pair pair;
	char ids[5][65], doom[65];
	static const char *const names[] = {"blob", "record", "half", "foreign", "whole"};
	pair_init(&pair);
	rig_file(pair.content, "doom/a", 300000, 9);
	struct lsp_buffer metainfo = seed_doom(&pair, false, doom);
	lsp_buffer_done(&metainfo);
	/* Five that are whole: seeds of their own. */
	for (unsigned i = 0; i < 5; i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/%s", pair.target, names[i]);
		rig_file(path, "data", 200000, i + 1);
		struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
			.arguments = json_pack("{s:s}", "path", path)};
		struct rig_answer answer;
		rig_call_full(&pair.leech, &create, &answer);
		assert_int_equal(answer.result, 0);
		json_decref(answer.value);
		struct lsp_torrent_call add = add_call(
			&pair, answer.bytes, json_pack("{s:s, s:[s]}", "have", "all", "tags", "t"));
		rig_call_full(&pair.leech, &add, &answer);
		assert_int_equal(answer.result, 0);
		snprintf(ids[i], 65, "%s", json_string_value(json_object_get(answer.value, "id")));
		rig_answer_done(&answer);
	}
	char folder[128];
	snprintf(folder, sizeof folder, "%s", pair.leech.folder);
	rig_stop(&pair.leech);
	damage(&pair.leech, ids[0], ".fastresume");
	damage(&pair.leech, ids[1], ".meta.json");
	_cleanup_free_ char *half = lsp_text_format("%s/%s.fastresume", pair.leech.resume, ids[2]);
	assert_int_equal(unlink(half), 0);
	/* Whole, but of another. */
	_cleanup_buffer_ struct lsp_buffer blob = {0};
	_cleanup_free_ char *whole = lsp_text_format("%s/%s.fastresume", pair.leech.resume, ids[4]);
	_cleanup_free_ char *taken = lsp_text_format("%s/%s.fastresume", pair.leech.resume, ids[3]);
	assert_ok(lsp_fs_read_file(whole, 1 << 20, &blob, ERR));
	assert_ok(lsp_fs_write_file(taken, blob.data, blob.size, 0600, ERR));
	rig_init(&pair.leech, &(struct rig_options){.folder = folder});
	for (unsigned i = 0; i < 5; i++)
		json_decref(rig_await(&pair.leech, "torrent_added", "torrent", ids[i], 1));
	/* Their data are found again: without resume data by a check. */
	json_decref(rig_await(&pair.leech, "torrent_state", "state", "seeding", 5));
	json_decref(rig_await(&pair.leech, "torrent_selection", "torrent", ids[1], 1));
	static const unsigned without[] = {0, 2, 3};
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(without); i++)
		await_degraded(&pair.leech, ids[without[i]],
			"it has no resume data, its files are checked");
	await_degraded(
		&pair.leech, ids[1], "a file of its in the store is damaged and was set aside");
	struct lsp_torrent_counters counters;
	lsp_torrent_counters(pair.leech.engine, &counters);
	assert_int_equal(counters.quarantined, 3);
	assert_int_equal(counters.restored, 5);
	_cleanup_free_ char *aside =
		lsp_text_format("%s/%s.fastresume.damaged", pair.leech.resume, ids[0]);
	assert_int_equal(access(aside, F_OK), 0);
	json_t *status = status_of(&pair.leech, ids[1]);
	assert_true(json_is_null(json_object_get(status, "tags"))); /* its record is lost */
	json_decref(status);
	status = status_of(&pair.leech, ids[0]);
	assert_int_equal(json_array_size(json_object_get(status, "tags")), 1);
	json_decref(status);
	pair_done(&pair);
}

/* ---- A library that loses alerts --------------------------------------------------------- */

#define MANY 12

/* libtorrent with room for hardly any alert: most are lost, of all kinds. */
static int lossy_open(const struct lsp_shim_setting *settings, size_t count,
	void (*notify)(void *argument), void *argument, struct lsp_shim **ret_shim,
	struct lsp_error *err)
{
	struct lsp_shim_setting changed[LSP_CONFIGURATION_SETTINGS_MAX];
	assert_true(count <= LSP_CONFIGURATION_SETTINGS_MAX);
	for (size_t i = 0; i < count; i++) {
		changed[i] = settings[i];
		if (strcmp(settings[i].name, "alert_queue_size") == 0)
			changed[i].number = 1;
	}
	return lsp_shim_libtorrent()->open(changed, count, notify, argument, ret_shim, err);
}

static void begin_of(struct rig *rig, struct rig_call *pending, enum lsp_torrent_command command,
	json_t *arguments)
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	rig_begin(rig, pending, &call);
}

static void end_all(struct rig_call *pending, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rig_answer answer;
		rig_end(&pending[i], &answer);
		if (answer.result < 0)
			fail_msg("%zu: %s", i, answer.error.message);
		rig_answer_done(&answer);
	}
}

/* Seeds of their own, added all at once. */
static void add_many(struct rig *rig, char ids[MANY][65])
{
	struct rig_call pending[MANY];
	struct rig_answer answer;
	for (unsigned i = 0; i < MANY; i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/thing%u", rig->folder, i);
		rig_file(path, "data", 100000, i + 1);
		struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
			.arguments = json_pack("{s:s}", "path", path)};
		rig_call_full(rig, &create, &answer);
		assert_int_equal(answer.result, 0);
		snprintf(ids[i], 65, "%s",
			json_string_value(json_object_get(answer.value, "info_hash_v2")));
		json_decref(answer.value);
		struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
			.metainfo = answer.bytes,
			.arguments =
				json_pack("{s:s, s:s}", "save_path", rig->folder, "have", "all")};
		rig_begin(rig, &pending[i], &add);
	}
	end_all(pending, MANY);
}

static void await_stored(struct rig *rig, const char *id)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s.fastresume", rig->resume, id);
	lsp_time limit = fixture_limit();
	while (access(path, F_OK) != 0) {
		json_decref(rig_ask(rig, LSP_TORRENT_LIST, NULL));
		if (lsp_now(lsp_clock_system) > limit)
			fail_msg("%s is not saved", id);
	}
}

static void await_done(struct rig *rig, const char *id, int64_t bytes)
{
	lsp_time limit = fixture_limit();
	while (rig_number(rig, id, "done") != bytes)
		if (lsp_now(lsp_clock_system) > limit)
			fail_msg("%s has %lld bytes", id, (long long)rig_number(rig, id, "done"));
}

static void nothing_waits_for_ever_where_the_library_loses_alerts(void **state)
{
	struct lsp_shim_functions lossy = *lsp_shim_libtorrent();
	struct lsp_torrent_counters counters;
	struct rig_call pending[MANY];
	struct rig rig;
	char ids[MANY][65], folder[128];
	lossy.open = lossy_open;
	struct rig_options options = {.shim = &lossy};
	rig_init(&rig, &options);
	add_many(&rig, ids);
	for (unsigned i = 0; i < MANY; i++)
		await_stored(&rig, ids[i]);
	for (unsigned i = 0; i < MANY; i++)
		begin_of(&rig, &pending[i], LSP_TORRENT_PAUSE,
			json_pack("{s:s}", "torrent", ids[i]));
	end_all(pending, MANY);
	for (unsigned i = 0; i < MANY / 2; i++)
		begin_of(&rig, &pending[i], LSP_TORRENT_REMOVE,
			json_pack("{s:s}", "torrent", ids[i]));
	end_all(pending, MANY / 2);
	_cleanup_free_ char *place = lsp_text_format("%s/elsewhere", rig.folder);
	for (unsigned i = MANY / 2; i < MANY; i++)
		begin_of(&rig, &pending[i - MANY / 2], LSP_TORRENT_MOVE,
			json_pack("{s:s, s:s}", "torrent", ids[i], "save_path", place));
	end_all(pending, MANY - MANY / 2);
	lsp_torrent_counters(rig.engine, &counters);
	assert_true(counters.alerts_dropped > 0);
	/* All of it is so after a restart. */
	snprintf(folder, sizeof folder, "%s", rig.folder);
	rig_stop(&rig);
	options.folder = folder;
	rig_init(&rig, &options);
	for (unsigned i = MANY / 2; i < MANY; i++) {
		json_decref(rig_await(&rig, "torrent_added", "torrent", ids[i], 1));
		await_done(&rig, ids[i], 100000); /* its resume data are looked at after that */
		json_t *status = status_of(&rig, ids[i]);
		assert_string_equal(json_string_value(json_object_get(status, "state")), "paused");
		assert_string_equal(json_string_value(json_object_get(status, "save_path")), place);
		json_decref(status);
	}
	assert_int_equal(rig_count(&rig, "torrent_added", NULL, NULL), MANY - MANY / 2);
	rig_done(&rig);
}

/* ---- Where it listens -------------------------------------------------------------------- */

static _Atomic unsigned swallowed; /* alerts of where it listens, of which the first are lost */

static void swallow(const struct lsp_shim_alert **alert)
{
	static const struct lsp_shim_alert dropped = {
		.type = LSP_SHIM_ALERT_DROPPED, .number = 1, .text = "", .error = ""};
	if ((*alert)->type == LSP_SHIM_ALERT_LISTENING && swallowed < 2) {
		swallowed++;
		*alert = &dropped;
	}
}

struct hearing {
	void (*each)(void *argument, const struct lsp_shim_alert *alert);
	void *argument;
};

static void hear(void *argument, const struct lsp_shim_alert *alert)
{
	const struct hearing *hearing = argument;
	swallow(&alert);
	hearing->each(hearing->argument, alert);
}

static void hard_of_hearing_pop(struct lsp_shim *shim,
	void (*each)(void *argument, const struct lsp_shim_alert *alert), void *argument)
{
	struct hearing hearing = {each, argument};
	lsp_shim_libtorrent()->pop(shim, hear, &hearing);
}

static void where_it_listens_is_told_again_where_that_was_lost(void **state)
{
	struct lsp_shim_functions shim = *lsp_shim_libtorrent();
	struct rig rig;
	lsp_time limit = fixture_limit();
	bool listens = false;
	swallowed = 0;
	shim.pop = hard_of_hearing_pop;
	rig_init(&rig, &(struct rig_options){.shim = &shim});
	while (!listens) {
		json_t *answer = rig_ask(&rig, LSP_TORRENT_INSPECT, NULL);
		listens = json_array_size(json_object_get(answer, "listen")) > 0;
		json_decref(answer);
		if (!listens && lsp_now(lsp_clock_system) > limit)
			fail_msg("nobody is told where it listens");
	}
	assert_int_equal(swallowed, 2);
	rig_done(&rig);
}

/* ---- Killed ------------------------------------------------------------------------------ */

/* The child: an engine on `folder`, until it is killed. Each line says what is saved. */
static _Noreturn void child_main(const char *folder)
{
	struct rig rig;
	rig_init(&rig, &(struct rig_options){.folder = folder, .save_interval = LSP_SECOND});
	json_decref(rig_await(&rig, "torrent_added", NULL, NULL, 1));
	printf("up\n");
	fflush(stdout);
	for (size_t count = 1;; count++) {
		json_decref(rig_await(&rig, "torrent_progress", NULL, NULL, count));
		struct lsp_torrent_counters counters;
		lsp_torrent_counters(rig.engine, &counters);
		printf("%llu %llu\n", (unsigned long long)counters.resume_saved,
			(unsigned long long)counters.received);
		fflush(stdout);
	}
}

/* Lines of the child until it received so much, and saved twice after that. */
static void await_saved(struct lsp_child *child, unsigned long long wanted)
{
	unsigned long long saved_then = 0;
	for (;;) {
		const char *line;
		unsigned long long saved, received;
		assert_int_equal(lsp_child_read_line(child, NULL, LSP_TIME_NEVER, &line, ERR), 1);
		if (sscanf(line, "%llu %llu", &saved, &received) != 2)
			continue;
		if (received >= wanted && saved_then == 0)
			saved_then = saved;
		if (saved_then && saved >= saved_then + 2)
			return;
	}
}

static void after_sigkill_nothing_that_was_saved_is_checked_or_fetched_again(void **state)
{
	const char *self = *state;
	struct pair pair;
	char id[65], folder[128];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 24 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	json_decref(leech(
		&pair, metainfo, json_pack("{s:b, s:i}", "paused", true, "max_download", 2000000)));
	snprintf(folder, sizeof folder, "%s", pair.leech.folder);
	rig_stop(&pair.leech);
	/* Paused in its record; it comes up running, and finds its peer by what was stored. */
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", pair.leech.resume, id);
	json_error_t where;
	json_t *json = json_load_file(record, 0, &where);
	json_object_set_new(json, "paused", json_false());
	assert_int_equal(json_dump_file(json, record, 0), 0);
	json_decref(json);

	const char *argv[] = {self, folder, NULL};
	struct lsp_child_options options = {.argv = argv, .output = LSP_CHILD_PIPE, .quiet = true};
	struct lsp_child *child = NULL;
	assert_ok(lsp_child_start(pair.seed.runtime.tasks, "leech", &options, &child, ERR));
	await_saved(child, 4 << 20);
	kill(lsp_child_pid(child), SIGKILL);
	assert_code(lsp_child_finish(child, ERR), LSP_E_FAILED);
	lsp_child_free(child);

	rig_init(&pair.leech, &(struct rig_options){.folder = folder});
	json_t *added = rig_await(&pair.leech, "torrent_added", "torrent", id, 1);
	json_decref(rig_await(&pair.leech, "torrent_state", "state", "downloading", 1));
	int64_t done = rig_number(&pair.leech, id, "done");
	assert_true(done >= 3 << 20);
	assert_in_range(
		json_integer_value(json_object_get(json_object_get(added, "status"), "done")),
		3 << 20, done);
	json_decref(added);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_download", 0)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "peers", pair.address)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	assert_true(rig_file_arrives(&pair.leech, pair.content, pair.target, "doom/base/maps.pak"));
	assert_int_equal(rig_count(&pair.leech, "torrent_state", "state", "checking"), 0);
	struct lsp_torrent_counters counters;
	lsp_torrent_counters(pair.leech.engine, &counters);
	/* What was saved did not come again; a block of each piece that was not whole may. */
	assert_true((int64_t)counters.received <= (24 << 20) - done + (1 << 20));
	pair_done(&pair);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		child_main(argv[1]);
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	char self[512] = {0};
	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_magnet_keeps_its_metadata_over_a_restart),
		cmocka_unit_test(a_torrents_own_web_seeds_outlast_a_change_of_its_trackers),
		cmocka_unit_test(a_paused_one_stays_paused_and_a_removed_one_stays_gone),
		cmocka_unit_test(the_stored_selection_wins_over_the_resume_data),
		cmocka_unit_test(what_comes_back_says_how_far_it_was),
		cmocka_unit_test(a_kill_between_two_files_names_mixes_none),
		cmocka_unit_test(damaged_files_of_the_store_hurt_nobody_but_themselves),
		cmocka_unit_test(where_it_listens_is_told_again_where_that_was_lost),
		cmocka_unit_test(nothing_waits_for_ever_where_the_library_loses_alerts),
		cmocka_unit_test_prestate(
			after_sigkill_nothing_that_was_saved_is_checked_or_fetched_again, self),
	};
	return cmocka_run_group_tests_name("torrent restart", tests, NULL, NULL);
}
