#include "fixture.h"

#include "content/source.h"
#include "task/loop.h"
#include "task/pool.h"
#include "task/registry.h"

static void a_game_is_published_as_hashing_at_once_and_ready_when_it_was_quiet(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	wall_is_now(shelf);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	const struct lsp_library_game *game = see(shelf, "quake");
	assert_non_null(game);
	assert_int_equal(game->availability, LSP_AVAILABILITY_DOWNLOADED);
	assert_int_equal(game->state, LSP_LIBRARY_HASHING);
	assert_string_equal(game->version, "20240131");
	assert_non_null(game->progress);
	assert_int_equal(game->progress->total, game->size);
	run_for(shelf, LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING);
	run_for(shelf, 2 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	game = see(shelf, "quake");
	assert_false(lsp_hash_is_zero(&game->content));
	assert_int_equal(game->chunk_count, 2);
	assert_null(game->progress);
	shelf_close(shelf);
}

static void old_files_are_hashed_without_waiting_at_the_start(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	lsp_fake_clock_advance(&shelf->clock, 10 * LSP_SECOND);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void a_clock_that_is_ten_years_off_changes_nothing(void **state)
{
	static const int64_t years[] = {-10, 10};
	for (size_t i = 0; i < 2; i++) {
		struct shelf *shelf = shelf_begin(state);
		put_game(shelf, "quake");
		shelf->clock.wall_now += (uint64_t)(years[i] * 31557600 * (int64_t)LSP_SECOND);
		assert_ok(shelf_open(shelf, &err));
		assert_ok(lsp_library_scan(shelf->library, NULL, &err));
		run_for(shelf, 5 * LSP_SECOND);
		assert_state(shelf, "quake", LSP_LIBRARY_READY);
		shelf_close(shelf);
	}
}

static void after_a_restart_it_is_ready_without_hashing(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	shelf_close(shelf);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	assert_state(shelf, "quake", LSP_LIBRARY_READY); /* before any step: nothing was read */
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	const struct lsp_manifest *manifest = NULL;
	assert_ok(lsp_library_manifest(shelf->library, "quake", &manifest, &err));
	assert_true(lsp_hash_equal(&manifest->content_id, &content));
	lsp_manifest_unref(manifest);
	shelf_close(shelf);
}

static void a_file_written_in_place_while_it_was_off_is_found_soon_after_the_start(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 1000 * LSP_SECOND); /* a rescan has seen the folders at rest */
	struct lsp_hash content = see(shelf, "quake")->content;
	shelf_close(shelf);
	FILE *file = fopen(in_games(shelf, "quake/data/pak0.pak"), "r+e");
	assert_non_null(file);
	assert_int_equal(fputs("QUAKE and more", file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	assert_state(shelf, "quake", LSP_LIBRARY_READY); /* assumed */
	struct lsp_source *source = NULL;                /* but nothing of it is served */
	assert_fails(lsp_library_source(shelf->library, "quake", 4, &source, &err), LSP_E_CORRUPT,
		"not those");
	run_for(shelf, 10 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

static void a_games_folder_that_moved_keeps_its_hashes(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	shelf_close(shelf);
	char moved[120];
	snprintf(moved, sizeof moved, "%s/moved", shelf->fixture->folder);
	assert_int_equal(rename(shelf->games, moved), 0);
	strcpy(shelf->games, moved);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void availability_follows_what_is_there(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "downloaded");
	put_game(shelf, "installed");
	put_file(shelf, "installed/local/start.sh", "x");
	put_file(shelf, "local-only/local/start.sh", "x");
	put_file(shelf, "nothing-yet/data", "x");
	put_file(shelf, "not-a-game.txt", "x");
	put_file(shelf, ".hidden/version.ini", "1\n");
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	assert_int_equal(see(shelf, "downloaded")->availability, LSP_AVAILABILITY_DOWNLOADED);
	assert_int_equal(see(shelf, "installed")->availability, LSP_AVAILABILITY_INSTALLED);
	assert_int_equal(see(shelf, "local-only")->availability, LSP_AVAILABILITY_LOCAL_ONLY);
	assert_int_equal(see(shelf, "local-only")->state, LSP_LIBRARY_NOT_SHARED);
	assert_int_equal(see(shelf, "nothing-yet")->availability, LSP_AVAILABILITY_NONE);
	assert_int_equal(shelf->snapshot->count, 4);
	assert_string_equal(lsp_availability_name(LSP_AVAILABILITY_LOCAL_ONLY), "local_only");
	shelf_close(shelf);
}

static void names_in_unicode_are_games(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "Größenwahn 2");
	put_game(shelf, "ゲーム");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "Größenwahn 2", LSP_LIBRARY_READY);
	assert_state(shelf, "ゲーム", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void of_names_that_differ_only_by_case_the_first_is_shared(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "Quake");
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "Quake", LSP_LIBRARY_READY);
	assert_state(shelf, "quake", LSP_LIBRARY_NOT_SHARED);
	assert_non_null(strstr(see(shelf, "quake")->problem, "upper and lower case"));
	assert_int_equal(rename(in_games(shelf, "Quake"), in_games(shelf, "doom")), 0);
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_null(see(shelf, "Quake"));
	shelf_close(shelf);
}

static void a_linked_game_is_one_like_the_others(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	const char *elsewhere = in_folder(shelf->fixture, "other-disk");
	assert_int_equal(rename(in_games(shelf, "quake"), elsewhere), 0);
	assert_int_equal(symlink(elsewhere, in_games(shelf, "quake")), 0);
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	put_text(shelf->fixture, "other-disk/more", "x");
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 3);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	/* The disk is unplugged and comes back: nothing is hashed anew. */
	struct lsp_hash content = see(shelf, "quake")->content;
	assert_int_equal(rename(elsewhere, in_folder(shelf->fixture, "unplugged")), 0);
	unsigned done = 0;
	lsp_library_refresh(shelf->library, NULL, count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(done, 1);
	assert_null(see(shelf, "quake"));
	assert_int_equal(rename(in_folder(shelf->fixture, "unplugged"), elsewhere), 0);
	lsp_library_refresh(shelf->library, NULL, count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

struct diff {
	char text[200];
};

static void note_change(
	void *argument, const struct lsp_library_game *before, const struct lsp_library_game *after)
{
	struct diff *diff = argument;
	size_t used = strlen(diff->text);
	snprintf(diff->text + used, sizeof diff->text - used, "%s%s ",
		before && after ? "~"
		: after         ? "+"
				: "-",
		after ? after->id : before->id);
}

static void a_diff_names_what_came_went_and_changed(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "a");
	put_game(shelf, "b");
	put_game(shelf, "c");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	const struct lsp_library_snapshot *before = lsp_library_snapshot(shelf->library);
	put_file(shelf, "b/more", "x");
	put_game(shelf, "d");
	assert_int_equal(rename(in_games(shelf, "a"), in_folder(shelf->fixture, "gone")), 0);
	run_for(shelf, LSP_SECOND);
	see(shelf, "a");
	struct diff diff = {""};
	lsp_library_diff(before, shelf->snapshot, note_change, &diff);
	assert_string_equal(diff.text, "-a ~b +d ");
	diff.text[0] = '\0';
	lsp_library_diff(shelf->snapshot, shelf->snapshot, note_change, &diff);
	assert_string_equal(diff.text, "");
	lsp_library_diff(NULL, before, note_change, &diff);
	assert_string_equal(diff.text, "+a +b +c ");
	assert_true(shelf->snapshot->generation > before->generation);
	lsp_library_snapshot_unref(before);
	shelf_close(shelf);
}

static void nothing_new_is_no_new_snapshot(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "a");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	unsigned before = shelf->changes;
	run_for(shelf, 2000 * LSP_SECOND); /* several rescans */
	assert_int_equal(shelf->changes, before);
	shelf_close(shelf);
}

/* ---- Operations ---------------------------------------------------------------------------- */

static void a_held_game_stays_as_it_was_until_it_is_released(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	assert_ok(lsp_library_hold(shelf->library, "new", &err));
	assert_int_equal(unlink(in_games(shelf, "quake/version.ini")), 0);
	put_game(shelf, "new");
	run_for(shelf, 700 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	assert_null(see(shelf, "new"));
	unsigned done = 0;
	lsp_library_release(shelf->library, "quake", NULL, count_done, &done);
	lsp_library_release(shelf->library, "new", NULL, count_done, &done);
	assert_int_equal(done, 0);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(done, 2);
	assert_state(shelf, "quake", LSP_LIBRARY_NOT_SHARED);
	assert_non_null(see(shelf, "new"));
	shelf_close(shelf);
}

static void two_holds_are_let_go_by_the_second_release(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	assert_int_equal(unlink(in_games(shelf, "quake/version.ini")), 0);
	unsigned done = 0;
	lsp_library_release(shelf->library, "quake", NULL, count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(done, 1);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	lsp_library_release(shelf->library, "quake", NULL, count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_NOT_SHARED);
	shelf_close(shelf);
}

/* The manifest of a game that is ready somewhere. */
static const struct lsp_manifest *manifest_of(struct shelf *shelf, const char *id)
{
	const struct lsp_manifest *manifest = NULL;
	assert_ok(lsp_library_manifest(shelf->library, id, &manifest, &err));
	return manifest;
}

static void what_an_operation_verified_is_not_hashed_again(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	const struct lsp_manifest *manifest = manifest_of(shelf, "quake");
	assert_int_equal(rename(in_games(shelf, "quake"), in_folder(shelf->fixture, "away")), 0);
	run_for(shelf, 5 * LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	assert_int_equal(rename(in_folder(shelf->fixture, "away"), in_games(shelf, "quake")), 0);
	wall_is_now(shelf); /* as young as can be: hashing would have to wait */
	unsigned done = 0;
	lsp_library_release(shelf->library, "quake", manifest, count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(done, 1);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	const struct lsp_manifest *again = manifest_of(shelf, "quake");
	assert_true(lsp_hash_equal(&again->content_id, &manifest->content_id));
	lsp_manifest_unref(again);
	lsp_manifest_unref(manifest);
	shelf_close(shelf);
}

static void a_manifest_of_other_files_is_not_believed(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	const struct lsp_manifest *manifest = manifest_of(shelf, "quake");
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	put_file(shelf, "quake/data/pak0.pak", "longer than before");
	lsp_library_release(shelf->library, "quake", manifest, NULL, NULL);
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING);
	run_for(shelf, 5 * LSP_SECOND);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &manifest->content_id));
	lsp_manifest_unref(manifest);
	shelf_close(shelf);
}

static void a_refresh_of_what_is_not_there_is_answered(void **state)
{
	struct shelf *shelf = shelf_start(state);
	unsigned done = 0;
	lsp_library_refresh(shelf->library, "never", count_done, &done);
	lsp_library_refresh(shelf->library, "../never", count_done, &done);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(done, 2);
	assert_null(see(shelf, "never"));
	shelf_close(shelf);
}

static void who_still_waits_is_answered_when_it_stops(void **state)
{
	struct shelf *shelf = shelf_start(state);
	unsigned done = 0;
	lsp_library_refresh(shelf->library, "quake", count_done, &done);
	shelf_close(shelf);
	assert_int_equal(done, 1);
}

static void once_it_has_stopped_every_request_is_answered_at_once(void **state)
{
	struct shelf *shelf = shelf_start(state);
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	struct lsp_error err = {0};
	unsigned done = 0;
	lsp_library_refresh(shelf->library, "quake", count_done, &done);
	assert_int_equal(lsp_cancel_new(NULL, &token, &err), 0);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_int_equal(lsp_library_run(token, shelf->library, &err), 0);
	assert_int_equal(done, 1);
	assert_int_equal(lsp_library_hold(shelf->library, "quake", &err), 0);
	lsp_library_release(shelf->library, "quake", NULL, count_done, &done);
	lsp_library_recheck(shelf->library, "quake", count_done, &done);
	assert_int_equal(done, 3);
	shelf_close(shelf);
	assert_int_equal(done, 3);
}

struct dir_answer {
	unsigned count;
	int result;
	char message[512];
};

static void dir_done(void *argument, int result, const struct lsp_error *err)
{
	struct dir_answer *answer = argument;
	answer->count++;
	answer->result = result;
	snprintf(answer->message, sizeof answer->message, "%s", err->message);
}

static void another_games_folder_can_be_taken_and_the_old_one_again(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	char other[120];
	snprintf(other, sizeof other, "%s/other", shelf->fixture->folder);
	struct dir_answer answer = {0};
	lsp_library_set_games_dir(shelf->library, other, dir_done, &answer);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.result, 0);
	assert_null(see(shelf, "quake"));
	assert_string_equal(shelf->snapshot->games_dir, other);
	struct lsp_games_dir *free_again = NULL;
	assert_ok(lsp_games_dir_open(shelf->games, "other", NULL, &free_again, &err));
	lsp_library_set_games_dir(shelf->library, shelf->games, dir_done, &answer);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(answer.result, -LSP_E_BUSY);
	assert_string_equal(shelf->snapshot->games_dir, other);
	lsp_games_dir_close(free_again);
	lsp_library_set_games_dir(shelf->library, shelf->games, dir_done, &answer);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(answer.result, 0);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	lsp_library_set_games_dir(shelf->library, shelf->games, dir_done, &answer);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(answer.count, 4);
	assert_int_equal(answer.result, 0);
	shelf_close(shelf);
}

static void a_second_library_on_the_same_games_folder_is_refused(void **state)
{
	struct shelf *shelf = shelf_start(state);
	assert_int_equal(mkdir(in_folder(shelf->fixture, "state2"), 0700), 0);
	struct lsp_library_options options = {.games_dir = shelf->games,
		.state_dir = in_folder(shelf->fixture, "state2"),
		.holder = "second"};
	struct lsp_library *second = NULL;
	assert_fails(lsp_library_new(&options, &second, &err), LSP_E_BUSY, "(test)");
	shelf_close(shelf);
}

/* ---- Content ------------------------------------------------------------------------------- */

static void a_source_serves_what_was_hashed_and_nothing_else(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	struct lsp_source *source = NULL;
	assert_fails(lsp_library_source(shelf->library, "quake", 4, &source, &err), LSP_E_NOT_FOUND,
		"no game");
	run_for(shelf, LSP_MILLISECOND);
	assert_fails(lsp_library_source(shelf->library, "quake", 4, &source, &err), LSP_E_NOT_FOUND,
		"being hashed");
	run_for(shelf, 5 * LSP_SECOND);
	assert_ok(lsp_library_source(shelf->library, "quake", 4, &source, &err));
	char text[6] = "";
	assert_ok(lsp_source_read(source, 0, 0, text, 5, &err));
	assert_string_equal(text, "quake");
	lsp_source_unref(source);
	put_file(shelf, "quake/data/pak0.pak", "QUAKE, but longer");
	assert_fails(lsp_library_source(shelf->library, "quake", 4, &source, &err), LSP_E_CORRUPT,
		"not those that were hashed");
	shelf_close(shelf);
}

static void a_cover_is_taken_from_the_folder_and_checked(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_game(shelf, "doom");
	put_game(shelf, "bare");
	put_file(shelf, "quake/cover.jpg", "\xff\xd8\xff and so on");
	put_file(shelf, "doom/cover.png", "<svg onload=alert(1)>");
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	_cleanup_buffer_ struct lsp_buffer cover = {0};
	assert_ok(lsp_library_cover(shelf->library, "quake", &cover, &err));
	assert_int_equal(cover.data[0], 0xff);
	assert_fails(lsp_library_cover(shelf->library, "doom", &cover, &err), LSP_E_INVALID, "PNG");
	assert_fails(
		lsp_library_cover(shelf->library, "bare", &cover, &err), LSP_E_NOT_FOUND, "cover");
	assert_fails(lsp_library_cover(shelf->library, "no", &cover, &err), LSP_E_NOT_FOUND, "no");
	shelf_close(shelf);
}

/* Other bytes of the same length, and the time of modification as it was. */
static void damage_behind_its_time(struct shelf *shelf, const char *path)
{
	const char *file = in_games(shelf, path);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	put_file(shelf, path, "QuAKE");
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, in_games(shelf, path), times, 0), 0);
}

static void a_recheck_reads_every_byte_and_finds_what_times_hide(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	unsigned done = 0;
	lsp_library_recheck(shelf->library, "quake", count_done, &done);
	run_for(shelf, LSP_SECOND);
	assert_int_equal(done, 1);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	damage_behind_its_time(shelf, "quake/data/pak0.pak");
	run_for(shelf, 10 * LSP_SECOND);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content)); /* still believed */
	lsp_library_recheck(shelf->library, "quake", NULL, NULL);
	run_for(shelf, 10 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

static void a_recheck_that_is_stopped_leaves_the_game_as_it_was(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	damage_behind_its_time(shelf, "quake/data/pak0.pak");
	unsigned done = 0;
	lsp_library_stop_recheck(shelf->library, "quake"); /* nothing to stop */
	lsp_library_stop_recheck(shelf->library, "never");
	lsp_library_recheck(shelf->library, "quake", count_done, &done);
	lsp_library_stop_recheck(shelf->library, "quake");
	run_for(shelf, LSP_SECOND);
	assert_int_equal(done, 1);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	/* Damage was seen: that recheck is not for whoever verifies beside it to stop. */
	lsp_library_recheck(shelf->library, "quake", NULL, NULL);
	lsp_library_recheck(shelf->library, "quake", count_done, &done);
	lsp_library_stop_recheck(shelf->library, "quake");
	run_for(shelf, LSP_SECOND);
	assert_int_equal(done, 2);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

static void times_of_change_alone_are_doubted_and_hashed_again_in_a_while(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	const char *pak = in_games(shelf, "quake/data/pak0.pak");
	struct stat st, now;
	assert_int_equal(stat(pak, &st), 0);
	do {
		damage_behind_its_time(shelf, "quake/data/pak0.pak");
		assert_int_equal(stat(pak, &now), 0);
	} while (now.st_ctim.tv_nsec == st.st_ctim.tv_nsec &&
		 now.st_ctim.tv_sec == st.st_ctim.tv_sec);
	run_for(shelf, 30 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	run_for(shelf, 40 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

/* ---- As a service -------------------------------------------------------------------------- */

static void a_problem_that_was_put_right_while_it_was_off_is_gone(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_file(shelf, "quake/zz-bad/aux", "no name for Windows: found only when it is hashed");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_NOT_SHARED);
	assert_non_null(strstr(see(shelf, "quake")->problem, "aux"));
	shelf_close(shelf);
	char from[1100];
	snprintf(from, sizeof from, "%s", in_games(shelf, "quake/zz-bad/aux"));
	assert_int_equal(rename(from, in_games(shelf, "quake/zz-bad/fine")), 0);
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(see(shelf, "quake")->problem, "");
	shelf_close(shelf);
}

static void a_game_is_held_while_it_is_hashed_and_looked_at_after(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	assert_ok(lsp_library_hold(shelf->library, "quake", &err));
	run_for(shelf, 10 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING); /* as it was when it was held */
	lsp_library_release(shelf->library, "quake", NULL, NULL, NULL);
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct lsp_library *library;
	unsigned count;
};

static void gate_changed(void *argument)
{
	struct gate *gate = argument;
	pthread_mutex_lock(&gate->lock);
	gate->count++;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

/* Waits for snapshots until the game is in that state. */
static void wait_for(struct gate *gate, const char *id, enum lsp_library_state state)
{
	pthread_mutex_lock(&gate->lock);
	for (;;) {
		const struct lsp_library_snapshot *snapshot = lsp_library_snapshot(gate->library);
		const struct lsp_library_game *game = lsp_library_find(snapshot, id);
		bool there = game && game->state == state;
		lsp_library_snapshot_unref(snapshot);
		if (there)
			break;
		pthread_cond_wait(&gate->changed, &gate->lock);
	}
	pthread_mutex_unlock(&gate->lock);
}

static void it_runs_as_a_service_with_a_pool_and_stops_when_asked(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0};
	struct lsp_cancel *root = NULL;
	struct lsp_tasks *tasks = NULL;
	struct lsp_loop *loop = NULL;
	struct lsp_pool *pool = NULL;
	char id[20];
	for (int i = 0; i < 100; i++) { /* enough for the helper of the scan */
		snprintf(id, sizeof id, "game-%d", i);
		put_game(shelf, id);
	}
	assert_ok(lsp_cancel_new(NULL, &root, &err));
	assert_ok(lsp_tasks_new(root, NULL, &tasks, &err));
	assert_ok(lsp_loop_start(tasks, "core", &loop, &err));
	assert_ok(lsp_pool_new(tasks, "hash", 2, 64, &pool, &err));
	struct lsp_library_options options = {.games_dir = shelf->games,
		.state_dir = shelf->fixture->folder,
		.holder = "test",
		.pool = pool,
		.loop = loop,
		.tasks = tasks,
		.settle = LSP_MILLISECOND,
		.changed = gate_changed,
		.argument = &gate};
	assert_ok(lsp_library_new(&options, &gate.library, &err));
	assert_ok(lsp_library_scan(gate.library, root, &err));
	struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		tasks, "library", LSP_TASK_BACKGROUND, lsp_library_run, gate.library, &task, &err));
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "game-%d", i);
		wait_for(&gate, id, LSP_LIBRARY_READY);
	}
	put_game(shelf, "by-hand"); /* nobody tells it: the event does */
	wait_for(&gate, "by-hand", LSP_LIBRARY_READY);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_task_wait(task, NULL, NULL, LSP_TIME_NEVER, &err));
	lsp_task_unref(task);
	lsp_library_free(gate.library);
	lsp_pool_free(pool);
	assert_ok(lsp_loop_stop(loop, LSP_TIME_NEVER, &err));
	lsp_loop_unref(loop);
	assert_ok(lsp_tasks_join_all(tasks, LSP_TIME_NEVER, NULL, &err));
	lsp_tasks_free(tasks);
	lsp_cancel_unref(root);
}

static void dir_refused(void *argument, int result, const struct lsp_error *err)
{
	assert_int_equal(result, -LSP_E_CLOSED);
	count_done(argument);
}

static void who_waits_is_answered_when_the_service_stops(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	unsigned done = 0;
	struct lsp_cancel *token;
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(lsp_cancel_new(NULL, &token, NULL), 0);
	lsp_library_recheck(shelf->library, "quake", count_done, &done);
	lsp_library_refresh(shelf->library, NULL, count_done, &done);
	lsp_library_set_games_dir(shelf->library, "/nowhere", dir_refused, &done);
	lsp_cancel_request(token, LSP_CANCEL_RUN_COMPLETED, NULL);
	assert_ok(lsp_library_run(token, shelf->library, &err));
	assert_int_equal(done, 3);
	/* And nobody who comes late waits. */
	lsp_library_release(shelf->library, "quake", NULL, count_done, &done);
	lsp_library_set_games_dir(shelf->library, "/nowhere", dir_refused, &done);
	assert_int_equal(done, 5);
	lsp_cancel_unref(token);
	shelf_close(shelf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_game_is_published_as_hashing_at_once_and_ready_when_it_was_quiet),
		FIXTURE_TEST(old_files_are_hashed_without_waiting_at_the_start),
		FIXTURE_TEST(a_clock_that_is_ten_years_off_changes_nothing),
		FIXTURE_TEST(after_a_restart_it_is_ready_without_hashing),
		FIXTURE_TEST(
			a_file_written_in_place_while_it_was_off_is_found_soon_after_the_start),
		FIXTURE_TEST(a_games_folder_that_moved_keeps_its_hashes),
		FIXTURE_TEST(availability_follows_what_is_there),
		FIXTURE_TEST(names_in_unicode_are_games),
		FIXTURE_TEST(of_names_that_differ_only_by_case_the_first_is_shared),
		FIXTURE_TEST(a_linked_game_is_one_like_the_others),
		FIXTURE_TEST(a_diff_names_what_came_went_and_changed),
		FIXTURE_TEST(nothing_new_is_no_new_snapshot),
		FIXTURE_TEST(a_held_game_stays_as_it_was_until_it_is_released),
		FIXTURE_TEST(two_holds_are_let_go_by_the_second_release),
		FIXTURE_TEST(what_an_operation_verified_is_not_hashed_again),
		FIXTURE_TEST(a_manifest_of_other_files_is_not_believed),
		FIXTURE_TEST(a_refresh_of_what_is_not_there_is_answered),
		FIXTURE_TEST(who_still_waits_is_answered_when_it_stops),
		FIXTURE_TEST(once_it_has_stopped_every_request_is_answered_at_once),
		FIXTURE_TEST(another_games_folder_can_be_taken_and_the_old_one_again),
		FIXTURE_TEST(a_second_library_on_the_same_games_folder_is_refused),
		FIXTURE_TEST(a_source_serves_what_was_hashed_and_nothing_else),
		FIXTURE_TEST(a_cover_is_taken_from_the_folder_and_checked),
		FIXTURE_TEST(a_recheck_reads_every_byte_and_finds_what_times_hide),
		FIXTURE_TEST(a_recheck_that_is_stopped_leaves_the_game_as_it_was),
		FIXTURE_TEST(who_waits_is_answered_when_the_service_stops),
		FIXTURE_TEST(times_of_change_alone_are_doubted_and_hashed_again_in_a_while),
		FIXTURE_TEST(a_problem_that_was_put_right_while_it_was_off_is_gone),
		FIXTURE_TEST(a_game_is_held_while_it_is_hashed_and_looked_at_after),
		FIXTURE_TEST(it_runs_as_a_service_with_a_pool_and_stops_when_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
