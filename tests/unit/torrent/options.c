/* What is said of one torrent, and the effect that it has on real sessions. */
#include "pair.h"

#include "base/text.h"
#include "torrent/sample.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_in_state(struct rig *rig, const char *id, const char *state)
{
	json_t *list = rig_ask(rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id));
	json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	bool is = strcmp(json_string_value(json_object_get(status, "state")), state) == 0;
	json_decref(list);
	return is;
}

static void await_state(struct rig *rig, const char *id, const char *state)
{
	for (;;) {
		size_t seen = rig_count(rig, "torrent_state", NULL, NULL);
		if (is_in_state(rig, id, state))
			return;
		json_decref(rig_await(rig, "torrent_state", NULL, NULL, seen + 1));
	}
}

/* Some of its transfer happens. */
static void get_on(struct rig *rig)
{
	size_t seen = rig_count(rig, "torrent_progress", NULL, NULL);
	json_decref(rig_await(rig, "torrent_progress", NULL, NULL, seen + 1));
}

/* ---- The queue --------------------------------------------------------------------------- */

#define QUEUED 4

/* A magnet link that nobody answers: a download that goes on for ever. */
static void add_magnet(struct rig *rig, unsigned number, json_t *more, char id[65])
{
	char magnet[128];
	snprintf(id, 65, "%040u", number + 1);
	snprintf(magnet, sizeof magnet, "magnet:?xt=urn:btih:%s", id);
	json_t *arguments = json_pack("{s:s, s:s}", "magnet", magnet, "save_path", rig->folder);
	json_object_update(arguments, more);
	json_decref(more);
	json_decref(rig_ask(rig, LSP_TORRENT_ADD, arguments));
}

static void the_place_in_the_queue_decides_who_runs(void **state)
{
	struct rig rig;
	char id[QUEUED][65];
	rig_init(&rig, &(struct rig_options){0});
	rig_configure(&rig, json_pack("{s:i}", "active_downloads", 1));
	for (unsigned i = 0; i < 3; i++)
		add_magnet(&rig, i, json_object(), id[i]);
	await_state(&rig, id[0], "fetching_metadata");
	await_state(&rig, id[1], "queued");
	await_state(&rig, id[2], "queued");
	assert_int_equal(rig_number(&rig, id[2], "queue_position"), 2);
	/* To the front: it runs, and the one that ran waits. */
	json_decref(rig_ask(&rig, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:i}", "torrent", id[2], "queue_position", 0)));
	await_state(&rig, id[2], "fetching_metadata");
	await_state(&rig, id[0], "queued");
	assert_int_equal(rig_number(&rig, id[2], "queue_position"), 0);
	assert_int_equal(rig_number(&rig, id[0], "queue_position"), 1);
	/* The same from the beginning on. */
	add_magnet(&rig, 3, json_pack("{s:i}", "queue_position", 0), id[3]);
	await_state(&rig, id[2], "queued");
	await_state(&rig, id[3], "fetching_metadata");
	assert_int_equal(rig_number(&rig, id[3], "queue_position"), 0);
	/* One that the queue does not manage runs whatever its place is. */
	json_decref(rig_ask(&rig, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:b}", "torrent", id[1], "auto_managed", false)));
	json_decref(rig_ask(&rig, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id[1])));
	await_state(&rig, id[1], "fetching_metadata");
	assert_true(is_in_state(&rig, id[3], "fetching_metadata"));
	rig_refuse(&rig, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:i}", "torrent", id[1], "queue_position", -3), LSP_E_INVALID,
		NULL);
	rig_done(&rig);
}

/* How many of its torrents are in that state. */
static size_t count_in_state(struct rig *rig, const char *state)
{
	json_t *list = rig_ask(rig, LSP_TORRENT_LIST, NULL), *status;
	size_t i, count = 0;
	json_array_foreach (json_object_get(list, "torrents"), i, status)
		count += strcmp(json_string_value(json_object_get(status, "state")), state) == 0;
	json_decref(list);
	return count;
}

static void await_in_state(struct rig *rig, const char *state, size_t wanted)
{
	for (;;) {
		size_t seen = rig_count(rig, "torrent_state", NULL, NULL);
		if (count_in_state(rig, state) == wanted)
			return;
		json_decref(rig_await(rig, "torrent_state", NULL, NULL, seen + 1));
	}
}

static void as_many_are_seeded_at_once_as_may_be(void **state)
{
	struct rig rig;
	rig_init(&rig, &(struct rig_options){0});
	rig_configure(&rig, json_pack("{s:i}", "active_seeds", 1));
	for (unsigned i = 0; i < QUEUED; i++) {
		char name[16];
		struct rig_answer answer;
		snprintf(name, sizeof name, "game%u", i);
		rig_file(rig.folder, name, 100000, i);
		_cleanup_free_ char *path = lsp_text_format("%s/%s", rig.folder, name);
		struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
			.arguments = json_pack("{s:s}", "path", path)};
		rig_call_full(&rig, &create, &answer);
		assert_int_equal(answer.result, 0);
		json_decref(answer.value);
		struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
			.arguments =
				json_pack("{s:s, s:s}", "save_path", rig.folder, "have", "all"),
			.metainfo = answer.bytes};
		rig_call_full(&rig, &add, &answer);
		assert_int_equal(answer.result, 0);
		rig_answer_done(&answer);
	}
	await_in_state(&rig, "queued", QUEUED - 1);
	assert_int_equal(count_in_state(&rig, "seeding"), 1);
	rig_configure(&rig, json_pack("{s:i}", "active_seeds", -1));
	await_in_state(&rig, "seeding", QUEUED);
	rig_done(&rig);
}

/* The library chooses by them over minutes: what is asked is that the session has them. */
static void what_is_configured_is_what_the_session_has(void **state)
{
	static const struct {
		const char *key, *word, *setting;
		int number;
	} wanted[] = {{"choking", "fixed", "choking_algorithm", 0},
		{"choking", "rate_based", "choking_algorithm", 2},
		{"seed_choking", "round_robin", "seed_choking_algorithm", 0},
		{"seed_choking", "fastest_upload", "seed_choking_algorithm", 1},
		{"seed_choking", "anti_leech", "seed_choking_algorithm", 2},
		{"active_checking", NULL, "active_checking", 7},
		{"active_limit", NULL, "active_limit", 77},
		{"unchoke_slots", NULL, "unchoke_slots_limit", 5}};
	struct rig rig;
	rig_init(&rig, &(struct rig_options){0});
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wanted); i++) {
		rig_configure(&rig, wanted[i].word
					    ? json_pack("{s:s}", wanted[i].key, wanted[i].word)
					    : json_pack("{s:i}", wanted[i].key, wanted[i].number));
		json_t *now = rig_ask(&rig, LSP_TORRENT_INSPECT, NULL);
		json_t *settings = json_object_get(now, "settings");
		assert_int_equal(json_integer_value(json_object_get(settings, wanted[i].setting)),
			wanted[i].number);
		json_decref(now);
	}
	rig_done(&rig);
}

/* ---- Samples ----------------------------------------------------------------------------- */

#define SAMPLED (3 << 20) /* bytes: 24 pieces of 128 KiB, or more of shorter ones */

static void flip(const char *folder, const char *path, off_t at)
{
	char byte;
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	int fd = open(whole, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* As who has a copy of the files seeds it: its result. */
static int add_sampled(
	struct rig *rig, const char *folder, const struct lsp_buffer *metainfo, char message[512])
{
	struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s}", "save_path", folder, "have", "sample")};
	struct rig_answer answer;
	assert_ok(lsp_buffer_append(&add.metainfo, metainfo->data, metainfo->size, ERR));
	rig_call_full(rig, &add, &answer);
	snprintf(message, 512, "%s", answer.error.message);
	int result = answer.result;
	rig_answer_done(&answer);
	return result;
}

static void a_sample_finds_what_is_not_the_torrents(void **state)
{
	for (int hybrid = 0; hybrid < 2; hybrid++) {
		struct pair pair;
		char id[65], message[512];
		const char *file = "doom/base/maps.pak";
		pair_init(&pair);
		rig_file(pair.content, file, SAMPLED, 1);
		rig_file(pair.content, "doom/readme.txt", 77, 2);
		_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, hybrid, id);
		struct rig *copy = &pair.leech;
		assert_int_equal(
			add_sampled(copy, pair.target, &metainfo, message), -LSP_E_NOT_FOUND);
		rig_file(pair.target, file, SAMPLED, 1);
		rig_file(pair.target, "doom/readme.txt", 78, 2);
		assert_int_equal(
			add_sampled(copy, pair.target, &metainfo, message), -LSP_E_CORRUPT);
		assert_non_null(strstr(message, "readme.txt"));
		rig_file(pair.target, "doom/readme.txt", 77, 2);
		/* The last piece is always looked at, and the first is. */
		flip(pair.target, "doom/readme.txt", 76);
		assert_int_equal(
			add_sampled(copy, pair.target, &metainfo, message), -LSP_E_CORRUPT);
		assert_non_null(strstr(message, "have=check"));
		flip(pair.target, "doom/readme.txt", 76);
		flip(pair.target, file, 5);
		assert_int_equal(
			add_sampled(copy, pair.target, &metainfo, message), -LSP_E_CORRUPT);
		flip(pair.target, file, 5);
		json_t *list = rig_ask(copy, LSP_TORRENT_LIST, NULL);
		assert_int_equal(json_array_size(json_object_get(list, "torrents")), 0);
		json_decref(list);
		/* What is right is seeded at once. */
		assert_int_equal(add_sampled(copy, pair.target, &metainfo, message), 0);
		json_decref(rig_await(copy, "torrent_state", "state", "seeding", 1));
		assert_int_equal(rig_count(copy, "torrent_state", "state", "checking"), 0);
		assert_int_equal(rig_count(copy, "torrent_completed", NULL, NULL), 0);
		pair_done(&pair);
	}
}

/* One piece of many is found by as many samples as there are: by the seeds of the test's own. */
static void a_sample_finds_one_wrong_piece_with_its_documented_chance(void **state)
{
	enum { TRIES = 200 };
	const struct lsp_shim_functions *shim = lsp_shim_libtorrent();
	struct pair pair;
	char id[65];
	unsigned found = 0;
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 8 << 20, 1);
	_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	struct lsp_shim_bytes bytes = {metainfo.data, metainfo.size};
	struct lsp_shim_source *source = NULL;
	struct lsp_shim_info info;
	assert_ok(shim->parse(NULL, &bytes, NULL, &source, ERR));
	shim->source_info(source, &info);
	flip(pair.content, "doom/base/maps.pak", 5 << 20);
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		int r = lsp_sample_check(
			shim, source, pair.content, NULL, seed, pair.seed.runtime.root, ERR);
		if (r < 0 && r != -LSP_E_CORRUPT)
			fail_msg("%s", ERR->message);
		found += r < 0;
	}
	double chance = (double)LSP_SAMPLE_PIECES / info.pieces;
	assert_true(found > TRIES * chance / 2 && found < TRIES * chance * 3 / 2);
	shim->source_free(source);
	pair_done(&pair);
}

/* ---- Creating ---------------------------------------------------------------------------- */

static void a_create_that_is_cancelled_ends_at_once(void **state)
{
	struct rig rig;
	struct rig_call creating;
	struct rig_answer answer;
	rig_init(&rig, &(struct rig_options){0});
	rig_file(rig.folder, "disk.img", 1, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/disk.img", rig.folder);
	assert_int_equal(truncate(path, (off_t)1 << 40), 0); /* hours of hashing */
	struct lsp_torrent_call call = {.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:s}", "path", path, "job", "disk")};
	rig_begin(&rig, &creating, &call);
	json_t *progress = rig_await(&rig, "torrent_create_progress", "job", "disk", 2);
	assert_int_equal(json_integer_value(json_object_get(progress, "total")), INT64_C(1) << 40);
	json_decref(progress);
	rig_refuse(
		&rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "job", "disc"), LSP_E_NOT_FOUND, NULL);
	json_decref(rig_ask(&rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "job", "disk")));
	rig_end(&creating, &answer);
	assert_int_equal(answer.result, -LSP_E_CANCELLED);
	assert_int_equal(answer.bytes.size, 0);
	rig_answer_done(&answer);
	rig_refuse(
		&rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "job", "disk"), LSP_E_NOT_FOUND, NULL);
	rig_done(&rig);
}

/* ---- While it is seeded ------------------------------------------------------------------ */

/* The only peer of a torrent, once there is one; the caller owns it. */
static json_t *only_peer(struct rig *rig, const char *id)
{
	for (;;) {
		json_t *all = rig_ask(rig, LSP_TORRENT_PEERS, json_pack("{s:s}", "torrent", id));
		json_t *peer = json_incref(json_array_get(json_object_get(all, "peers"), 0));
		json_decref(all);
		if (peer && json_integer_value(json_object_get(peer, "downloaded")) > 0)
			return peer;
		json_decref(peer);
		get_on(rig);
	}
}

static void a_super_seed_does_not_show_all_that_it_has(void **state)
{
	for (int super = 0; super < 2; super++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		rig_file(pair.content, "doom/base/maps.pak", 6 << 20, 1);
		struct lsp_buffer metainfo = seed_doom(&pair, false, id);
		json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
			json_pack("{s:s, s:b}", "torrent", id, "super_seeding", super)));
		json_decref(leech(&pair, metainfo, json_pack("{s:i}", "max_download", 300000)));
		json_t *peer = only_peer(&pair.leech, id);
		double shown = json_number_value(json_object_get(peer, "progress"));
		assert_true(super ? shown < 0.5 : shown > 0.999);
		assert_int_equal(json_is_true(json_object_get(peer, "seed")), !super);
		json_decref(peer);
		pair_done(&pair);
	}
}

static void seeding_ends_by_itself_after_its_time_and_takes_the_files_along(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	lsp_time begun = lsp_now(lsp_clock_system);
	json_decref(leech(&pair, metainfo,
		json_pack("{s:i, s:b, s:b}", "seed_time", 1, "seed_remove", true,
			"seed_remove_data", true)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	json_t *removed = rig_await(&pair.leech, "torrent_removed", "torrent", id, 1);
	assert_true(json_is_true(json_object_get(removed, "data")));
	json_decref(removed);
	assert_true(lsp_now(lsp_clock_system) - begun > LSP_SECOND);
	_cleanup_free_ char *gone = lsp_text_format("%s/doom/base/maps.pak", pair.target);
	assert_int_not_equal(access(gone, F_OK), 0);
	/* Without these it stands still, and its files stay. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:i}", "torrent", id, "seed_time", 1)));
	json_decref(rig_await(&pair.seed, "torrent_state", "state", "completed", 1));
	_cleanup_free_ char *kept = lsp_text_format("%s/doom/base/maps.pak", pair.content);
	assert_int_equal(access(kept, F_OK), 0);
	pair_done(&pair);
}

/* ---- While it is fetched ----------------------------------------------------------------- */

static bool has_piece(struct rig *rig, const char *id, unsigned piece, int64_t *ret_count)
{
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_HAVE, .arguments = json_pack("{s:s}", "torrent", id)};
	struct rig_answer answer;
	rig_call_full(rig, &call, &answer);
	assert_int_equal(answer.result, 0);
	bool has = answer.bytes.data[piece / 8] & (0x80 >> (piece % 8));
	*ret_count = json_integer_value(json_object_get(answer.value, "have"));
	rig_answer_done(&answer);
	return has;
}

static void a_piece_with_a_deadline_comes_before_the_others(void **state)
{
	static const unsigned pieces[] = {37, 71, 101, 120};
	struct pair pair;
	char id[65];
	int64_t count = 0;
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 16 << 20, 1); /* 128 pieces */
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:b, s:i}", "paused", true, "max_download", 1 << 18)));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(pieces); i++)
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_DEADLINE,
			json_pack("{s:s, s:i, s:i}", "torrent", id, "piece", (int)pieces[i],
				"milliseconds", 1)));
	rig_refuse(&pair.leech, LSP_TORRENT_DEADLINE,
		json_pack("{s:s, s:i}", "torrent", id, "piece", 128), LSP_E_INVALID, NULL);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "peers", pair.address)));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(pieces); i++)
		while (!has_piece(&pair.leech, id, pieces[i], &count))
			get_on(&pair.leech);
	/* By chance all four would be here with the 102nd, on the average. */
	assert_in_range(count, LSP_ARRAY_SIZE(pieces), 40);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_download", 0)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	pair_done(&pair);
}

static void storage_is_taken_at_once_where_asked(void **state)
{
	for (int allocate = 0; allocate < 2; allocate++) {
		struct pair pair;
		struct stat st;
		char id[65];
		pair_init(&pair);
		rig_file(pair.content, "doom/base/maps.pak", 8 << 20, 1);
		json_decref(leech(&pair, seed_doom(&pair, false, id),
			json_pack("{s:s, s:i, s:b}", "storage", allocate ? "allocate" : "sparse",
				"max_download", 1 << 17, "sequential", true)));
		_cleanup_free_ char *path = lsp_text_format("%s/doom/base/maps.pak", pair.target);
		while (rig_number(&pair.leech, id, "done") == 0 || stat(path, &st) < 0)
			get_on(&pair.leech);
		bool whole = st.st_blocks * 512 >= 8 << 20;
		assert_int_equal(whole, allocate);
		pair_done(&pair);
	}
}

static void a_recheck_finds_what_changed_and_fetches_it_again(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 2 << 20, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id), json_object()));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	int64_t downloaded = rig_number(&pair.leech, id, "downloaded");
	flip(pair.target, "doom/base/maps.pak", 1 << 20);
	assert_false(rig_same_file(pair.content, pair.target, "doom/base/maps.pak"));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RECHECK, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "peers", pair.address)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 2));
	assert_true(rig_file_arrives(&pair.leech, pair.content, pair.target, "doom/base/maps.pak"));
	/* One piece, and not all of it. */
	assert_in_range(rig_number(&pair.leech, id, "downloaded") - downloaded, 1, 1 << 20);
	pair_done(&pair);
}

static void one_that_is_paused_is_checked_and_stays_paused(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 2 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	lsp_buffer_done(&metainfo);
	struct rig *rig = &pair.seed;
	json_decref(rig_ask(rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id)));
	int64_t done = rig_number(rig, id, "done");
	flip(pair.content, "doom/base/maps.pak", 1 << 20);
	for (int again = 0; again < 2; again++) {
		await_state(rig, id, "paused");
		size_t seen = rig_count(rig, "torrent_state", "state", "paused");
		json_decref(rig_ask(rig, LSP_TORRENT_RECHECK, json_pack("{s:s}", "torrent", id)));
		json_decref(rig_await(rig, "torrent_state", "state", "paused", seen + 1));
		if (again)
			assert_int_equal(rig_number(rig, id, "done"), done);
		else
			assert_in_range(rig_number(rig, id, "done"), 1, done - 1);
		flip(pair.content, "doom/base/maps.pak", 1 << 20);
	}
	/* It goes on when it is told to, and does not stand still once it is checked after that. */
	json_decref(rig_ask(rig, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id)));
	await_state(rig, id, "seeding");
	pair_done(&pair);
}

/* As many as the library's own 24 bits can count: it would take none. */
static void more_connections_than_can_be_counted_are_no_limit(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:b, s:i}", "paused", true, "max_connections", 1 << 24)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:i, s:i}", "torrent", id, "max_connections", 1 << 24,
			"max_uploads", 1 << 24)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	pair_done(&pair);
}

int main(void)
{
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_place_in_the_queue_decides_who_runs),
		cmocka_unit_test(as_many_are_seeded_at_once_as_may_be),
		cmocka_unit_test(what_is_configured_is_what_the_session_has),
		cmocka_unit_test(a_sample_finds_what_is_not_the_torrents),
		cmocka_unit_test(a_sample_finds_one_wrong_piece_with_its_documented_chance),
		cmocka_unit_test(a_create_that_is_cancelled_ends_at_once),
		cmocka_unit_test(a_super_seed_does_not_show_all_that_it_has),
		cmocka_unit_test(seeding_ends_by_itself_after_its_time_and_takes_the_files_along),
		cmocka_unit_test(a_piece_with_a_deadline_comes_before_the_others),
		cmocka_unit_test(storage_is_taken_at_once_where_asked),
		cmocka_unit_test(a_recheck_finds_what_changed_and_fetches_it_again),
		cmocka_unit_test(one_that_is_paused_is_checked_and_stays_paused),
		cmocka_unit_test(more_connections_than_can_be_counted_are_no_limit),
	};
	return cmocka_run_group_tests_name("torrent options", tests, NULL, NULL);
}
