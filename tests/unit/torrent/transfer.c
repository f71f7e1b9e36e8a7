/* Real engines, on loopback: what is transferred, and what is done with torrents. */
#include "pair.h"

#include "base/fs.h"
#include "base/text.h"
#include "content/hasher.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void two_sessions_transfer_a_torrent(void **state)
{
	for (int hybrid = 0; hybrid < 2; hybrid++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		rig_file(pair.content, "doom/base/maps.pak", 3000001, 1);
		rig_file(pair.content, "doom/readme.txt", 77, 2);
		rig_file(pair.content, "doom/copying.txt", 77, 4); /* its padding is as long */
		rig_file(pair.content, "doom/empty", 0, 3);
		json_decref(leech(&pair, seed_doom(&pair, hybrid, id), json_object()));
		json_t *done = rig_await(&pair.leech, "torrent_completed", NULL, NULL, 1);
		assert_string_equal(json_string_value(json_object_get(done, "torrent")), id);
		json_decref(done);
		assert_true(rig_file_arrives(
			&pair.leech, pair.content, pair.target, "doom/base/maps.pak"));
		assert_true(rig_file_arrives(
			&pair.leech, pair.content, pair.target, "doom/readme.txt"));
		/* The last sample is one of the whole. */
		json_t *progress = rig_await(&pair.leech, "torrent_progress", NULL, NULL, 1);
		assert_int_equal(json_integer_value(json_object_get(progress, "done")),
			json_integer_value(json_object_get(progress, "total")));
		json_decref(progress);
		assert_int_equal(lsp_torrent_health(pair.leech.engine), 0);
		pair_done(&pair);
	}
}

/* Is there such a file? */
static bool there(const char *folder, const char *path)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	return access(whole, F_OK) == 0;
}

/* Of 241 to 255 bytes: the library would cut them, and find no such file. */
static void files_of_the_longest_names_keep_them(void **state)
{
	char x[246], y[256];
	memset(x, 'x', sizeof x - 1);
	memset(y, 'y', sizeof y - 1);
	x[sizeof x - 1] = y[sizeof y - 1] = '\0';
	_cleanup_free_ char *folder = lsp_text_format("doom/%s.folder/%.250s.pak", x, y);
	_cleanup_free_ char *moved = lsp_text_format("files/%s.folder/%.250s.pak", x, y);
	_cleanup_free_ char *one = lsp_text_format("doom/%.240s1", y);
	_cleanup_free_ char *two = lsp_text_format("doom/%.240s2", y);
	_cleanup_free_ char *accents =
		lsp_text_format("doom/%.234s\xc3\xa9\xe2\x82\xac.x.y.pak", y);
	const char *const paths[] = {folder, one, two, accents, "doom/readme.txt"};
	for (int hybrid = 0; hybrid < 2; hybrid++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		for (unsigned i = 0; i < LSP_ARRAY_SIZE(paths); i++)
			rig_file(pair.content, paths[i], 30000 + i, i);
		struct lsp_buffer metainfo = seed_doom(&pair, hybrid, id);
		json_decref(leech(&pair, metainfo, json_object()));
		json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
		for (unsigned i = 0; i < LSP_ARRAY_SIZE(paths); i++)
			assert_true(
				rig_file_arrives(&pair.leech, pair.content, pair.target, paths[i]));
		json_t *files =
			rig_ask(&pair.leech, LSP_TORRENT_FILES, json_pack("{s:s}", "torrent", id));
		size_t found = 0, index;
		json_t *file;
		json_array_foreach (json_object_get(files, "files"), index, file)
			for (unsigned i = 0; i < LSP_ARRAY_SIZE(paths); i++)
				found += strcmp(json_string_value(json_object_get(file, "path")),
						 paths[i] + strlen("doom/")) == 0;
		json_decref(files);
		assert_int_equal(found, LSP_ARRAY_SIZE(paths));
		/* They go along, and come back with a restart. */
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_MOVE,
			json_pack("{s:s, s:s}", "torrent", id, "save_path", pair.leech.folder)));
		for (unsigned i = 0; i < LSP_ARRAY_SIZE(paths); i++)
			assert_true(rig_same_file(pair.content, pair.leech.folder, paths[i]));
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_RESTART, NULL));
		json_decref(rig_await(&pair.leech, "torrent_added", "torrent", id, 2));
		json_decref(
			rig_ask(&pair.leech, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id)));
		assert_int_equal(
			rig_number(&pair.leech, id, "done"), rig_number(&pair.leech, id, "total"));
		assert_int_equal(rig_count(&pair.leech, "torrent_error", NULL, NULL), 0);
		assert_int_equal(lsp_torrent_health(pair.leech.engine), 0);
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_REMOVE,
			json_pack("{s:s, s:b}", "torrent", id, "data", 1)));
		assert_false(there(pair.leech.folder, "doom"));
		/* And by a magnet link, into a stage. */
		json_decref(leech_magnet(&pair, id, json_pack("{s:s}", "root", "files")));
		json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 2));
		assert_true(there(pair.target, moved));
		pair_done(&pair);
	}
}

static void a_magnet_link_brings_only_what_is_selected_from_the_first_byte_on(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 2000000, 1);
	rig_file(pair.content, "doom/base/music.ogg", 1500000, 2);
	rig_file(pair.content, "doom/visit us.url", 100, 3);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	lsp_buffer_done(&metainfo);
	json_decref(leech_magnet(&pair, id,
		json_pack("{s:[s], s:b, s:s}", "exclude", "*.ogg", "skip_fluff", true, "root",
			"files")));
	json_decref(rig_await(&pair.leech, "torrent_metadata", "torrent", id, 1));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	assert_true(there(pair.target, "files/base/maps.pak"));
	assert_false(there(pair.target, "files/base/music.ogg"));
	assert_false(there(pair.target, "files/visit us.url"));
	assert_false(there(pair.target, "doom"));
	/* v2 pieces belong to one file: not a block of the others came. */
	assert_in_range(rig_number(&pair.leech, id, "downloaded"), 2000000, 2000000 + 16384);
	/* Then more is wanted. */
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_SELECT,
		json_pack("{s:s, s:n, s:{s:s}}", "torrent", id, "exclude", "priorities",
			"base/music.ogg", "high")));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 2));
	assert_true(there(pair.target, "files/base/music.ogg"));
	json_t *files = rig_ask(&pair.leech, LSP_TORRENT_FILES, json_pack("{s:s}", "torrent", id));
	json_t *list = json_object_get(files, "files");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *file = json_array_get(list, i);
		bool fluff = strstr(json_string_value(json_object_get(file, "path")), "visit");
		assert_int_equal(json_integer_value(json_object_get(file, "done")),
			fluff ? 0 : json_integer_value(json_object_get(file, "size")));
		if (fluff)
			assert_string_equal(
				json_string_value(json_object_get(file, "priority")), "skip");
	}
	json_decref(files);
	pair_done(&pair);
}

static void pieces_that_are_here_already_are_not_fetched_again(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 4 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	/* The first half of the file, as another engine left it: 16 of 32 pieces of 128 KiB. */
	rig_file(pair.target, "doom/base/maps.pak", 2 << 20, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/doom/base/maps.pak", pair.target);
	assert_int_equal(truncate(path, 4 << 20), 0);
	json_t *arguments = json_pack("{s:s, s:[s], s:s}", "save_path", pair.target, "peers",
		pair.address, "have", "bitmap");
	struct lsp_torrent_call add = {
		.command = LSP_TORRENT_ADD, .arguments = arguments, .metainfo = metainfo};
	assert_ok(lsp_bitmap_init(&add.have, 32, ERR));
	for (size_t i = 0; i < 16; i++)
		lsp_bitmap_set(&add.have, i);
	struct rig_answer answer;
	rig_call_full(&pair.leech, &add, &answer);
	assert_int_equal(answer.result, 0);
	rig_answer_done(&answer);
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	assert_true(rig_file_arrives(&pair.leech, pair.content, pair.target, "doom/base/maps.pak"));
	assert_int_equal(rig_number(&pair.leech, id, "downloaded"), 2 << 20);
	assert_int_equal(rig_count(&pair.leech, "torrent_state", "state", "checking"), 0);
	struct lsp_torrent_call have = {
		.command = LSP_TORRENT_HAVE, .arguments = json_pack("{s:s}", "torrent", id)};
	rig_call_full(&pair.leech, &have, &answer);
	assert_int_equal(answer.result, 0);
	assert_int_equal(json_integer_value(json_object_get(answer.value, "have")), 32);
	assert_int_equal(answer.bytes.size, 4);
	assert_memory_equal(answer.bytes.data, "\xff\xff\xff\xff", 4);
	rig_answer_done(&answer);
	pair_done(&pair);
}

static void a_library_game_is_seeded_in_place_under_its_content_id(void **state)
{
	struct pair pair;
	struct lsp_hashed hashed = {0};
	struct lsp_hasher_options options = {0};
	char id[65];
	int fd = -1;
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 1000001, 1);
	rig_file(pair.content, "doom/version.ini", 9, 2);
	_cleanup_free_ char *path = lsp_text_format("%s/doom", pair.content);
	assert_ok(lsp_fs_open_dir(path, &fd, ERR));
	assert_ok(lsp_hasher_run(fd, "doom", &options, NULL, &hashed, ERR));
	close(fd);
	lsp_hash_to_hex(&hashed.manifest->content_id, id);
	struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s, s:b, s:s}", "save_path", pair.content, "have",
			"all", "transient", true, "game", "doom"),
		.manifest = lsp_manifest_ref(hashed.manifest)};
	struct rig_answer answer;
	rig_call_full(&pair.seed, &add, &answer);
	assert_int_equal(answer.result, 0);
	assert_string_equal(json_string_value(json_object_get(answer.value, "id")), id);
	assert_string_equal(json_string_value(json_object_get(answer.value, "game")), "doom");
	rig_answer_done(&answer);
	rig_listen_address(&pair.seed, pair.address);
	json_decref(leech_magnet(&pair, id, json_object()));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	assert_true(rig_file_arrives(&pair.leech, pair.content, pair.target, "doom/base/maps.pak"));
	/* Nothing was checked, nothing is stored, and it is no download that was completed. */
	assert_int_equal(rig_count(&pair.seed, "torrent_state", "state", "checking"), 0);
	assert_int_equal(rig_count(&pair.seed, "torrent_completed", NULL, NULL), 0);
	_cleanup_free_ char *stored = lsp_text_format("%s.meta.json", id);
	assert_false(there(pair.seed.resume, stored));
	/* And a .torrent of it, made without a hash, is the same torrent. */
	struct lsp_torrent_call create = {
		.command = LSP_TORRENT_CREATE, .manifest = lsp_manifest_ref(hashed.manifest)};
	rig_call_full(&pair.seed, &create, &answer);
	assert_int_equal(answer.result, 0);
	assert_string_equal(json_string_value(json_object_get(answer.value, "info_hash_v2")), id);
	rig_answer_done(&answer);
	lsp_hashed_done(&hashed);
	pair_done(&pair);
}

static void remove_waits_until_the_files_are_gone(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id), json_object()));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	/* Without its data. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", id)));
	assert_true(there(pair.content, "doom/base/maps.pak"));
	/* And with them. A prefix is a name. */
	id[10] = '\0';
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_REMOVE,
		json_pack("{s:s, s:b}", "torrent", id, "data", true)));
	assert_false(there(pair.target, "doom/base/maps.pak"));
	json_decref(rig_await(&pair.leech, "torrent_removed", NULL, NULL, 1));
	rig_refuse(&pair.leech, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id),
		LSP_E_NOT_FOUND, NULL);
	json_t *list = rig_ask(&pair.leech, LSP_TORRENT_LIST, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "torrents")), 0);
	json_decref(list);
	pair_done(&pair);
}

static void pause_resume_and_move_end_when_they_are_done(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id), json_pack("{s:b}", "paused", true)));
	json_t *status = rig_ask(&pair.leech, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id));
	assert_string_equal(json_string_value(json_object_get(status, "state")), "paused");
	json_decref(status);
	assert_int_equal(rig_number(&pair.leech, id, "done"), 0);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", id, "peers", pair.address)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	_cleanup_free_ char *elsewhere = lsp_text_format("%s/elsewhere", pair.leech.folder);
	status = rig_ask(&pair.leech, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", id, "save_path", elsewhere));
	assert_string_equal(json_string_value(json_object_get(status, "save_path")), elsewhere);
	json_decref(status);
	assert_true(rig_same_file(pair.content, elsewhere, "doom/base/maps.pak"));
	assert_false(there(pair.target, "doom/base/maps.pak"));
	status = rig_ask(&pair.leech, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id));
	assert_string_equal(json_string_value(json_object_get(status, "state")), "paused");
	json_decref(status);
	pair_done(&pair);
}

static void seeding_ends_by_itself_at_its_ratio(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 3000000, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:f}", "torrent", id, "seed_ratio", 0.9)));
	json_decref(leech(&pair, metainfo, json_object()));
	json_decref(rig_await(&pair.seed, "torrent_state", "state", "completed", 1));
	/* Who resumes it wants it to go on. */
	json_t *status = rig_ask(&pair.seed, LSP_TORRENT_RESUME, json_pack("{s:s}", "torrent", id));
	assert_string_equal(json_string_value(json_object_get(status, "state")), "seeding");
	json_decref(status);
	/* And one that shall go when it has seeded enough goes. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
		json_pack(
			"{s:s, s:f, s:b}", "torrent", id, "seed_ratio", 0.9, "seed_remove", true)));
	json_decref(rig_await(&pair.seed, "torrent_removed", "torrent", id, 1));
	assert_true(there(pair.content, "doom/base/maps.pak"));
	pair_done(&pair);
}

static void what_has_reached_its_ratio_goes_with_its_data_where_asked(void **state)
{
	for (int data = 0; data < 2; data++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		rig_file(pair.content, "doom/base/maps.pak", 3000000, 1);
		struct lsp_buffer metainfo = seed_doom(&pair, false, id);
		json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
			json_pack("{s:s, s:f, s:b, s:b}", "torrent", id, "seed_ratio", 0.9,
				"seed_remove", true, "seed_remove_data", data)));
		json_decref(leech(&pair, metainfo, json_object()));
		json_t *removed = rig_await(&pair.seed, "torrent_removed", "torrent", id, 1);
		assert_int_equal(json_is_true(json_object_get(removed, "data")), data);
		assert_int_equal(there(pair.content, "doom/base/maps.pak"), !data);
		json_decref(removed);
		/* Not before: what had come is at least nine tenths. */
		struct lsp_torrent_counters counters;
		lsp_torrent_counters(pair.seed.engine, &counters);
		assert_true(counters.sent >= 2700000);
		pair_done(&pair);
	}
}

static void trackers_web_seeds_and_peers_can_be_asked_and_changed(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 300000, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:[s]}", "trackers", "http://127.0.0.1:9/announce")));
	json_decref(rig_await(&pair.leech, "torrent_tracker", "status", "error", 1));
	json_t *value = rig_ask(&pair.leech, LSP_TORRENT_TRACKERS,
		json_pack("{s:s, s:[s], s:[s]}", "torrent", id, "add", "http://127.0.0.1:9/other",
			"remove", "http://127.0.0.1:9/announce"));
	json_t *trackers = json_object_get(value, "trackers");
	assert_int_equal(json_array_size(trackers), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(trackers, 0), "url")),
		"http://127.0.0.1:9/other");
	json_decref(value);
	/* A tier comes as one, without what is there; what is taken away can be no fault. */
	json_decref(
		rig_await(&pair.leech, "torrent_tracker", "url", "http://127.0.0.1:9/other", 1));
	assert_true(lsp_torrent_health(pair.leech.engine) & (1u << LSP_TORRENT_HEALTH_TRACKER));
	value = rig_ask(&pair.leech, LSP_TORRENT_TRACKERS,
		json_pack("{s:s, s:[[sss]]}", "torrent", id, "add", "http://127.0.0.1:9/a",
			"http://127.0.0.1:9/other", "http://127.0.0.1:9/b"));
	trackers = json_object_get(value, "trackers");
	assert_int_equal(json_array_size(trackers), 3);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(trackers, 1), "tier")), 1);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(trackers, 2), "tier")), 1);
	json_decref(value);
	json_decref(rig_ask(
		&pair.leech, LSP_TORRENT_TRACKERS, json_pack("{s:s, s:[]}", "torrent", id, "set")));
	assert_false(lsp_torrent_health(pair.leech.engine) & (1u << LSP_TORRENT_HEALTH_TRACKER));
	value = rig_ask(&pair.leech, LSP_TORRENT_WEB_SEEDS,
		json_pack("{s:s, s:[s]}", "torrent", id, "add", "http://127.0.0.1:9/files/"));
	assert_int_equal(json_array_size(json_object_get(value, "web_seeds")), 1);
	json_decref(value);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_PEERS, json_pack("{s:s}", "torrent", id)));
	json_decref(
		rig_ask(&pair.leech, LSP_TORRENT_REANNOUNCE, json_pack("{s:s}", "torrent", id)));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_DEADLINE,
		json_pack("{s:s, s:i, s:i}", "torrent", id, "piece", 0, "milliseconds", 100)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_RECHECK, json_pack("{s:s}", "torrent", id)));
	/* That it is "checking" is told only where it takes long enough to be seen. */
	json_decref(rig_await(&pair.leech, "torrent_state", "state", "seeding", 2));
	assert_int_equal(rig_count(&pair.leech, "torrent_completed", NULL, NULL), 1);
	pair_done(&pair);
}

/* ---- A tracker that answers -------------------------------------------------------------- */

struct tracker {
	pthread_t thread;
	int listener;
	char url[64];
	struct lsp_answer stopped; /* somebody left */
};

/* Answers until `event=stopped` came. */
static void *serve_tracker(void *argument)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 27\r\n\r\n"
				     "d8:intervali1800e5:peers0:e";
	struct tracker *tracker = argument;
	bool stopped = false;
	while (!stopped) {
		char request[4096] = "";
		size_t size = 0;
		ssize_t got = 1;
		int fd = accept4(tracker->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		while (got > 0 && size < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
			got = read(fd, request + size, sizeof request - 1 - size);
			size += got > 0 ? (size_t)got : 0;
			request[size] = '\0';
		}
		stopped = strstr(request, "event=stopped");
		ssize_t ignored = write(fd, answer, sizeof answer - 1);
		(void)ignored;
		close(fd);
	}
	lsp_answer_complete(&tracker->stopped, 0, NULL);
	return NULL;
}

static void tracker_start(struct tracker *tracker)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	tracker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(tracker->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(tracker->listener, 16), 0);
	assert_int_equal(getsockname(tracker->listener, (struct sockaddr *)&address, &size), 0);
	snprintf(tracker->url, sizeof tracker->url, "http://127.0.0.1:%u/announce",
		(unsigned)ntohs(address.sin_port));
	lsp_answer_init(&tracker->stopped);
	assert_int_equal(pthread_create(&tracker->thread, NULL, serve_tracker, tracker), 0);
}

static void tracker_stop(struct tracker *tracker)
{
	shutdown(tracker->listener, SHUT_RDWR);
	pthread_join(tracker->thread, NULL);
	close(tracker->listener);
	lsp_answer_done(&tracker->stopped);
}

/*
 * The library tells of a torrent's last announces after it told that the torrent is gone. It has
 * the torrent until all of the files are deleted: of many that takes long enough.
 */
static void what_is_told_of_a_removed_torrent_is_passed_over(void **state)
{
	for (int data = 0; data < 2; data++) {
		struct pair pair;
		struct tracker tracker;
		char id[65], path[64];
		tracker_start(&tracker);
		pair_init(&pair);
		for (unsigned i = 0; i < 1500; i++) {
			snprintf(path, sizeof path, "doom/base/%u.map", i);
			rig_file(pair.content, path, 8, i);
		}
		json_decref(leech(&pair, seed_doom(&pair, false, id),
			json_pack("{s:s, s:s, s:b, s:[s]}", "save_path", pair.content, "have",
				"all", "transient", true, "trackers", tracker.url)));
		json_decref(rig_await(&pair.leech, "torrent_tracker", "status", "working", 1));
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_REMOVE,
			json_pack("{s:s, s:b}", "torrent", id, "data", data)));
		assert_ok(lsp_answer_wait(&tracker.stopped, NULL, NULL, fixture_limit(), ERR));
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_INSPECT, NULL));
		assert_int_equal(rig_count(&pair.leech, "torrent_tracker", "status", "error"), 0);
		assert_int_equal(lsp_torrent_health(pair.leech.engine), 0);
		assert_int_equal(there(pair.content, "doom/base/0.map"), !data);
		pair_done(&pair);
		tracker_stop(&tracker);
	}
}

int main(void)
{
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_sessions_transfer_a_torrent),
		cmocka_unit_test(files_of_the_longest_names_keep_them),
		cmocka_unit_test(a_magnet_link_brings_only_what_is_selected_from_the_first_byte_on),
		cmocka_unit_test(pieces_that_are_here_already_are_not_fetched_again),
		cmocka_unit_test(a_library_game_is_seeded_in_place_under_its_content_id),
		cmocka_unit_test(remove_waits_until_the_files_are_gone),
		cmocka_unit_test(pause_resume_and_move_end_when_they_are_done),
		cmocka_unit_test(seeding_ends_by_itself_at_its_ratio),
		cmocka_unit_test(what_has_reached_its_ratio_goes_with_its_data_where_asked),
		cmocka_unit_test(trackers_web_seeds_and_peers_can_be_asked_and_changed),
		cmocka_unit_test(what_is_told_of_a_removed_torrent_is_passed_over),
	};
	return cmocka_run_group_tests_name("torrent transfer", tests, NULL, NULL);
}
