/*
 * A magnet link that becomes a game, between stand-ins for the engine, the pools and the downloads:
 * jobs run when the test says so, and what never ran is what a kill left undone.
 */
#include "peer/torrent_add.h"

#include "base/text.h"
#include "peer/choice.h"
#include "peer/download.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_files.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_late.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GAME "quake"

/* ---- Stand-ins ---- */

/* What waits: jobs in their order, and the last call that somebody waits for. */
static struct lsp_job *jobs[16];
static size_t job_count;
static struct lsp_torrent_call asked;
static unsigned started, late, warned, optioned, taken, removed;
static bool known;                    /* a peer here has it */
static bool refuses;                  /* to start a download */
static unsigned changing, taken_back; /* what is recorded of a game */

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	assert_true(job_count < LSP_ARRAY_SIZE(jobs));
	job->result = 0;
	jobs[job_count++] = job;
	return 0;
}

static void run_job(void)
{
	assert_true(job_count > 0);
	struct lsp_job *job = jobs[0];
	memmove(jobs, jobs + 1, --job_count * sizeof jobs[0]);
	job->work(job);
	job->done(job);
}

/* All that was to come does not. */
static void be_killed(struct lsp_peer *peer)
{
	peer->stopping = true;
	for (size_t i = 0; i < job_count; i++)
		jobs[i]->done(jobs[i]);
	job_count = 0;
	if (asked.done)
		asked.done(asked.argument, NULL);
	asked = (struct lsp_torrent_call){0};
	peer->stopping = false;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	asked = (struct lsp_torrent_call){.command = command, .done = done, .argument = argument};
	return 0;
}

/* Of the last call, which must be that one. */
static void answer(enum lsp_torrent_command command, struct lsp_torrent_answer *with)
{
	assert_non_null(asked.done);
	assert_int_equal(asked.command, command);
	struct lsp_torrent_call call = asked;
	asked = (struct lsp_torrent_call){0};
	call.done(call.argument, with);
	json_decref(with->value);
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	fail_msg("no link is added here");
	return -1;
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	removed += command == LSP_TORRENT_REMOVE;
	json_decref(arguments);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	return json_array();
}

const json_t *lsp_torrents_known(const struct lsp_torrents *torrents, const char *id)
{
	return NULL;
}

int lsp_torrent_late_start(struct lsp_peer *peer, const char *game,
	const struct lsp_torrent_late_source *source, struct lsp_error *err)
{
	late++;
	return 0;
}

struct lsp_torrent_late *lsp_torrent_late_find(const struct lsp_peer *peer, const char *game)
{
	return NULL;
}

bool lsp_torrent_late_runs(const struct lsp_torrent_late *of)
{
	return false;
}

const char *lsp_torrent_late_id(const struct lsp_torrent_late *of)
{
	return "";
}

const char *lsp_torrent_late_game(const struct lsp_peer *peer, const char *id)
{
	return NULL;
}

int lsp_torrent_late_go_on(struct lsp_torrent_late *of, struct lsp_error *err)
{
	return 0;
}

void lsp_torrent_games_set_options(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const json_t *options)
{
	if (json_object_size(options))
		optioned++;
}

void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers)
{
}

void lsp_download_pause(struct lsp_download *download, bool paused)
{
}

void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	json_decref(document);
}

void lsp_call_answer_saved(struct lsp_call *call, json_t *result)
{
	json_decref(result);
}

int lsp_torrent_late_take(
	struct lsp_peer *peer, const char *game, const char *id, struct lsp_error *err)
{
	return taken++ ? lsp_error_set(err, "peer", LSP_E_BUSY, "it is being downloaded") : 0;
}

void lsp_torrent_late_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
}

int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err)
{
	assert_int_equal(changing, 1);
	return 0;
}

void lsp_torrent_games_ready(struct lsp_peer *peer, const char *game)
{
}

json_t *lsp_torrent_games_options(const struct lsp_peer *peer, const char *game)
{
	return NULL;
}

bool lsp_torrent_games_content(
	const struct lsp_peer *peer, const char *game, struct lsp_hash *ret_content)
{
	return false;
}

const char *lsp_torrent_games_alias(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, char **ret_path)
{
	return NULL;
}

int lsp_torrent_games_change(
	struct lsp_peer *peer, const char *game, json_t **ret_before, struct lsp_error *err)
{
	changing++;
	return 0;
}

void lsp_torrent_games_changed(struct lsp_peer *peer, const char *game, json_t *before, bool stands)
{
	assert_int_equal(changing, 1);
	changing--;
	taken_back += !stands;
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	return NULL;
}

const struct lsp_hash *lsp_download_content(const struct lsp_download *download)
{
	return NULL;
}

void lsp_download_set_engine(struct lsp_download *download, enum lsp_engine engine)
{
}

int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err)
{
	assert_string_equal(game, GAME);
	if (refuses)
		return lsp_error_set(err, "peer", LSP_E_NO_SPACE, "the disk is full");
	started++;
	return 0;
}

int lsp_choice_make(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	const char *newer_than, struct lsp_hash *ret_content, json_t **ret_variants,
	struct lsp_error *err)
{
	return known ? 0 : -LSP_E_NOT_FOUND;
}

void lsp_choice_remember(struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
}

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return NULL;
}

void lsp_call_answer(struct lsp_call *call, json_t *result)
{
	json_decref(result);
}

void lsp_call_fail(struct lsp_call *call, const struct lsp_error *err)
{
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
	warned++;
}

/* ---- A magnet ---- */

struct world {
	struct lsp_peer peer;
	char folder[64];
	char id[LSP_SHA256_HEX_SIZE];
	struct lsp_buffer torrent;
	char *kept;
};

static int start(void **state)
{
	static struct world world;
	struct lsp_error err = {0};
	struct lsp_manifest_entry entry = {.path = "version.ini", .size = 9, .root = {{1}}};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	world = (struct world){.folder = "/tmp/lanspread-add-XXXXXX"};
	job_count = started = late = warned = optioned = 0;
	asked = (struct lsp_torrent_call){0};
	known = false;
	if (!mkdtemp(world.folder) || lsp_manifest_build(GAME, &entry, 1, &manifest, &err) < 0 ||
		lsp_manifest_write_torrent(manifest, &world.torrent, &err) < 0)
		return -1;
	lsp_hash_to_hex(&manifest->content_id, world.id);
	world.kept = lsp_text_format("%s/torrents/magnets/%s.torrent", world.folder, world.id);
	world.peer.state_dir = world.folder;
	world.peer.torrent_adds = json_object();
	world.peer.torrent_wishes = json_object();
	*state = &world;
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;
	static const char *const folders[] = {"/torrents/magnets", "/torrents", ""};
	char *of_game = lsp_torrent_files_path(&world->peer, world->id);
	unlink(of_game);
	free(of_game);
	unlink(world->kept);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(folders); i++) {
		char *folder = lsp_text_format("%s%s", world->folder, folders[i]);
		rmdir(folder);
		free(folder);
	}
	free(world->kept);
	lsp_buffer_done(&world->torrent);
	json_decref(world->peer.torrent_adds);
	json_decref(world->peer.torrent_wishes);
	return 0;
}

static json_t *magnet_status(struct world *world)
{
	char *folder = lsp_torrent_kept_folder(&world->peer);
	json_t *status = json_pack(
		"{s:s, s:s, s:s}", "category", "as-game", "save_path", folder, "game", "");
	free(folder);
	return status;
}

static struct lsp_torrent_answer with_torrent(struct world *world)
{
	struct lsp_torrent_answer answer = {0};
	struct lsp_error err = {0};
	assert_int_equal(
		lsp_buffer_append(&answer.bytes, world->torrent.data, world->torrent.size, &err),
		0);
	return answer;
}

static bool is_kept(const struct world *world)
{
	return access(world->kept, F_OK) == 0;
}

/* It has its metadata, which the engine gives. */
static void export(struct world *world)
{
	json_t *event = json_pack("{s:o}", "status", magnet_status(world));
	lsp_torrent_add_event(&world->peer, "torrent_added", world->id, event);
	json_decref(event);
	struct lsp_torrent_answer exported = with_torrent(world);
	answer(LSP_TORRENT_EXPORT, &exported);
}

static void one_is_kept_until_its_download_is_on_the_disk(void **state)
{
	struct world *world = *state;
	struct lsp_torrent_answer fine = {0};
	export(world);
	/* It leaves the engine, and its store, once it is written. */
	assert_null(asked.done);
	assert_false(is_kept(world));
	run_job();
	assert_true(is_kept(world));
	answer(LSP_TORRENT_REMOVE, &fine);
	run_job(); /* parsed */
	assert_true(is_kept(world));
	run_job(); /* its torrent is the game's */
	assert_int_equal(started, 1);
	assert_true(is_kept(world)); /* the saves come first */
	run_job();
	assert_false(is_kept(world));
	assert_int_equal(job_count, 0);
	assert_int_equal(warned, 0);
}

static void one_that_was_killed_between_the_two_becomes_a_game_at_the_next_start(void **state)
{
	struct world *world = *state;
	struct lsp_torrent_answer fine = {0}, unknown = {.result = -LSP_E_NOT_FOUND};
	export(world);
	run_job();
	answer(LSP_TORRENT_REMOVE, &fine);
	run_job();
	json_t *options = json_pack("{s:i}", "max_download", 5);
	be_killed(&world->peer);
	assert_int_equal(started, 0);
	json_object_clear(world->peer.torrent_adds);
	lsp_torrent_wish_keep(&world->peer, world->id, options);
	json_decref(options);
	lsp_torrent_kept_restore(&world->peer);
	answer(LSP_TORRENT_LIST, &unknown);
	for (unsigned i = 0; i < 3; i++)
		run_job(); /* read, parsed, kept as the game's */
	assert_int_equal(started, 1);
	assert_int_equal(optioned, 1);
	assert_null(lsp_torrent_wish_options(&world->peer, world->id));
	assert_true(is_kept(world));
	run_job();
	assert_false(is_kept(world));
}

/* Its piece layers come with the data: the engine gives no .torrent of it. */
static void one_that_a_peer_here_has_is_not_lost_either(void **state)
{
	struct world *world = *state;
	struct lsp_torrent_answer fine = {0}, empty = {0}, unknown = {.result = -LSP_E_NOT_FOUND};
	struct lsp_torrent_answer files = {
		.value = json_pack("{s:[{s:s, s:i}]}", "files", "path", "version.ini", "size", 4)};
	json_t *status = magnet_status(world);
	json_object_set_new(status, "game", json_string(GAME));
	json_t *event = json_pack("{s:o}", "status", status);
	known = true;
	free(world->kept);
	world->kept = lsp_text_format(
		"%s/torrents/magnets/%s." GAME ".torrent", world->folder, world->id);
	for (int killed = 0; killed < 2; killed++) {
		lsp_torrent_add_event(&world->peer, "torrent_added", world->id, event);
		answer(LSP_TORRENT_EXPORT, &empty);
		answer(LSP_TORRENT_FILES, &files);
		files.value =
			json_pack("{s:[{s:s, s:i}]}", "files", "path", "version.ini", "size", 4);
		assert_null(asked.done);
		run_job();
		assert_true(is_kept(world));
		answer(LSP_TORRENT_REMOVE, &fine);
		if (killed) { /* before the download was saved */
			be_killed(&world->peer);
			lsp_torrent_kept_restore(&world->peer);
			answer(LSP_TORRENT_LIST, &unknown);
			run_job();
		}
		assert_int_equal(started, 1 + killed * 2);
		assert_true(is_kept(world));
		run_job();
		assert_false(is_kept(world));
	}
	assert_int_equal(warned, 0);
	json_decref(files.value);
	json_decref(event);
}

/* The metadata may be there when it is told that it was added: both events ask for them. */
static void two_events_of_one_begin_one_download(void **state)
{
	struct world *world = *state;
	json_t *status = magnet_status(world);
	json_object_set_new(status, "game", json_string(GAME));
	json_t *event = json_pack("{s:o}", "status", status);
	struct lsp_torrent_call of[2];
	taken = removed = 0;
	for (int i = 0; i < 2; i++) {
		lsp_torrent_add_event(
			&world->peer, i ? "torrent_metadata" : "torrent_added", world->id, event);
		assert_non_null(asked.done);
		of[i] = asked;
		asked = (struct lsp_torrent_call){0};
	}
	for (int i = 0; i < 2; i++) {
		struct lsp_torrent_answer empty = {0};
		asked = of[i];
		answer(LSP_TORRENT_EXPORT, &empty);
		of[i] = asked;
	}
	for (int i = 0; i < 2; i++) {
		struct lsp_torrent_answer files = {.value = json_pack("{s:[{s:s, s:i}]}", "files",
							   "path", "version.ini", "size", 4)};
		asked = of[i];
		answer(LSP_TORRENT_FILES, &files);
	}
	assert_int_equal(taken, 1);
	assert_int_equal(removed, 0);
	assert_int_equal(warned, 0);
	json_decref(event);
}

static void one_that_is_still_in_the_engine_is_left_to_it(void **state)
{
	struct world *world = *state;
	struct lsp_torrent_answer there = {
		.value = json_pack("{s:[o]}", "torrents", magnet_status(world))};
	export(world);
	run_job();
	be_killed(&world->peer); /* before it was removed */
	lsp_torrent_kept_restore(&world->peer);
	answer(LSP_TORRENT_LIST, &there);
	assert_int_equal(job_count, 0);
	assert_true(is_kept(world));
	/* A torrent of another kind is the game's download already. */
	struct lsp_torrent_answer other = {
		.value = json_pack("{s:[{s:s}]}", "torrents", "save_path", "/games/quake")};
	lsp_torrent_kept_restore(&world->peer);
	answer(LSP_TORRENT_LIST, &other);
	run_job();
	assert_false(is_kept(world));
	assert_int_equal(started, 0);
}

static void one_that_the_user_removes_meanwhile_is_not_kept(void **state)
{
	struct world *world = *state;
	export(world);
	lsp_torrent_add_event(&world->peer, "torrent_removed", world->id, NULL);
	run_job();
	assert_null(asked.done);
	run_job();
	assert_false(is_kept(world));
	assert_int_equal(started, 0);
}

/* Else who tries again is told that there is no torrent of the game, or of another one. */
static void what_a_game_was_known_by_stays_where_a_download_does_not_start(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 2; i++) {
		struct lsp_torrent_answer torrent = with_torrent(world);
		refuses = i == 0;
		taken_back = warned = 0;
		assert_int_equal(
			lsp_torrent_add_game(&world->peer, NULL, GAME, &torrent.bytes, NULL, NULL),
			0);
		run_job(); /* parsed */
		run_job(); /* kept */
		assert_int_equal(warned, refuses);
		assert_int_equal(taken_back, refuses);
		assert_int_equal(changing, 0);
	}
}

static void what_is_no_game_is_said_and_not_kept(void **state)
{
	struct world *world = *state;
	struct lsp_torrent_answer fine = {0};
	lsp_buffer_done(&world->torrent);
	struct lsp_error err = {0};
	static const char text[] =
		"d4:infod6:lengthi5e4:name5:a.iso12:piece lengthi16384e6:pieces20:"
		"aaaaaaaaaaaaaaaaaaaaee";
	assert_int_equal(lsp_buffer_append(&world->torrent, text, strlen(text), &err), 0);
	export(world);
	run_job();
	answer(LSP_TORRENT_REMOVE, &fine);
	run_job();
	assert_int_equal(warned, 1);
	run_job();
	assert_false(is_kept(world));
}

static void names_in_the_folder_that_are_none_of_ours_are_passed_over(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"notes.txt", "0123.torrent", "..torrent"};
	char *folder = lsp_text_format("%s/torrents", world->folder);
	mkdir(folder, 0700);
	free(folder);
	folder = lsp_torrent_kept_folder(&world->peer);
	mkdir(folder, 0700);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(names); i++) {
		char *path = lsp_text_format("%s/%s", folder, names[i]);
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		fclose(file);
		free(path);
	}
	lsp_torrent_kept_restore(&world->peer);
	assert_null(asked.done);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(names); i++) {
		char *path = lsp_text_format("%s/%s", folder, names[i]);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
	free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_is_kept_until_its_download_is_on_the_disk, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_was_killed_between_the_two_becomes_a_game_at_the_next_start, start,
			end),
		cmocka_unit_test_setup_teardown(
			one_that_a_peer_here_has_is_not_lost_either, start, end),
		cmocka_unit_test_setup_teardown(two_events_of_one_begin_one_download, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_is_still_in_the_engine_is_left_to_it, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_the_user_removes_meanwhile_is_not_kept, start, end),
		cmocka_unit_test_setup_teardown(
			what_a_game_was_known_by_stays_where_a_download_does_not_start, start, end),
		cmocka_unit_test_setup_teardown(what_is_no_game_is_said_and_not_kept, start, end),
		cmocka_unit_test_setup_teardown(
			names_in_the_folder_that_are_none_of_ours_are_passed_over, start, end),
	};
	return cmocka_run_group_tests_name("torrent add", tests, NULL, NULL);
}
