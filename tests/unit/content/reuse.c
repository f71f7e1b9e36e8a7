/* Updates and adoption: what is here already is not fetched, and the old game stays until the new
 * is. */
#include "content/redo.h"
#include "content/stage.h"
#include "fixture.h"
#include "wire/merkle.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (128u << 10)

/* `game` holds the old content, `next` is somebody's copy of the new one. */
struct update {
	struct fixture game;
	struct fixture next;
	const struct lsp_manifest *old;
	const struct lsp_manifest *new;
	uint64_t fetched; /* bytes from `next` */
};

static void make_game(int fd, const char *version)
{
	fixture_text(fd, "version.ini", version);
	fixture_file(fd, "data/big.pak", 1, 8 * PIECE + 12345);
	fixture_file(fd, "data/same.pak", 2, 2 * PIECE + 1);
	fixture_file(fd, "small", 3, 4000);
}

static int setup(void **state)
{
	struct update *update = calloc(1, sizeof *update);
	fixture_init(&update->game);
	fixture_init(&update->next);
	make_game(update->game.fd, "1.0\n");
	make_game(update->next.fd, "1.1\n");
	fixture_file(update->game.fd, "data/gone/old.pak", 9, 1000);
	update->old = fixture_hash(update->game.fd, "quake");
	*state = update;
	return 0;
}

static int teardown(void **state)
{
	struct update *update = *state;
	lsp_manifest_unref(update->old);
	lsp_manifest_unref(update->new);
	fixture_done(&update->game);
	fixture_done(&update->next);
	free(update);
	return 0;
}

static void scribble(int dir_fd, const char *path, off_t at, const char *text)
{
	int fd = fixture_open(dir_fd, path);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	close(fd);
}

static struct lsp_stage *open_update(struct update *update)
{
	struct lsp_stage *stage = NULL;
	update->new = fixture_hash(update->next.fd, "quake");
	OK(lsp_stage_open(update->game.fd, update->new, &stage, &why));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	OK(lsp_stage_reuse(stage, update->game.fd, update->old, true, NULL, NULL, NULL, &why));
	return stage;
}

static void read_next(struct update *update, const struct lsp_chunk *c, uint8_t *bytes)
{
	int fd = fixture_open(update->next.fd, update->new->files[c->file].path);
	assert_int_equal(pread(fd, bytes, c->size, (off_t)c->offset), c->size);
	close(fd);
}

/* As a peer would give it: the leaf hashes first, then only what is missing. */
static void fill_chunk(struct update *update, struct lsp_stage *stage, uint32_t chunk)
{
	struct lsp_chunk c;
	struct lsp_hash leaves[256];
	struct lsp_stage_fill *fill = NULL;
	lsp_manifest_chunk(update->new, chunk, &c);
	uint8_t *bytes = malloc(c.size);
	read_next(update, &c, bytes);
	lsp_merkle_hash_leaves(bytes, c.size, leaves);
	OK(lsp_stage_fill_new(stage, chunk, leaves, c.leaf_count, &fill, &why));
	for (uint32_t i = 0; i < c.leaf_count; i++) {
		size_t at = (size_t)i * LSP_LEAF_SIZE;
		size_t size = LSP_MIN((size_t)LSP_LEAF_SIZE, c.size - at);
		if (lsp_bitmap_get(lsp_stage_fill_leaves(fill), i))
			continue;
		OK(lsp_stage_fill_write(fill, i, bytes + at, size, &why));
		update->fetched += size;
	}
	OK(lsp_stage_fill_finish(fill, &why));
	lsp_stage_fill_free(fill);
	free(bytes);
}

static void fetch_rest(struct update *update, struct lsp_stage *stage)
{
	for (uint32_t i = 0; i < update->new->chunk_count; i++) {
		if (!lsp_stage_has(stage, i))
			fill_chunk(update, stage, i);
	}
}

static void an_update_fetches_only_the_leaves_that_changed(void **state)
{
	struct update *update = *state;
	scribble(update->next.fd, "data/big.pak", 3 * PIECE + 20000, "patched");
	scribble(update->next.fd, "data/big.pak", 8 * PIECE + 12000, "end");
	struct lsp_stage *stage = open_update(update);
	fetch_rest(update, stage);
	/* version.ini, one leaf of 16 KiB, and the last leaf, of 12345 bytes. */
	assert_int_equal(update->fetched, 4 + LSP_LEAF_SIZE + 12345);
	fixture_assert_content(update->game.fd, update->old);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
	assert_false(lsp_fs_exists_below(update->game.fd, "data/gone"));
}

static void files_that_stay_are_neither_copied_nor_moved(void **state)
{
	struct update *update = *state;
	struct stat before, after;
	OK(lsp_fs_stat_below(update->game.fd, "data/same.pak", &before, &why));
	struct lsp_stage *stage = open_update(update);
	assert_false(lsp_fs_exists_below(update->game.fd, LSP_STAGE_FOLDER "/files/data/same.pak"));
	assert_true(lsp_stage_space_needed(stage, NULL) < 4096);
	fetch_rest(update, stage);
	assert_int_equal(update->fetched, 4);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	OK(lsp_fs_stat_below(update->game.fd, "data/same.pak", &after, &why));
	assert_int_equal(before.st_ino, after.st_ino);
	fixture_assert_content(update->game.fd, update->new);
}

static void what_fell_over_on_the_disk_is_fetched_and_not_kept(void **state)
{
	struct update *update = *state;
	scribble(update->game.fd, "data/same.pak", 5, "flipped"); /* after `old` was hashed */
	struct lsp_stage *stage = open_update(update);
	assert_true(lsp_stage_has(stage, lsp_manifest_find(update->new, "small")->first_chunk));
	uint32_t first = lsp_manifest_find(update->new, "data/same.pak")->first_chunk;
	assert_false(lsp_stage_has(stage, first));
	assert_true(lsp_stage_has(stage, first + 1));
	fetch_rest(update, stage);
	assert_int_equal(update->fetched, 4 + LSP_LEAF_SIZE);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
}

static void a_kept_file_that_changes_before_the_commit_stops_it(void **state)
{
	struct update *update = *state;
	struct lsp_stage *stage = open_update(update);
	struct lsp_error err = {0};
	fetch_rest(update, stage);
	scribble(update->game.fd, "data/same.pak", 5, "flipped");
	assert_int_equal(lsp_stage_commit(stage, update->old, &err), -LSP_E_CORRUPT);
	lsp_stage_unref(stage);
	/* The next one sees it, and takes what is still right. */
	lsp_manifest_unref(update->new);
	stage = open_update(update);
	fetch_rest(update, stage);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
}

static void kept_files_are_remembered_after_a_kill(void **state)
{
	struct update *update = *state;
	struct lsp_stage *stage = open_update(update);
	uint64_t left, again;
	uint32_t chunks;
	lsp_stage_left(stage, &left, &chunks);
	lsp_stage_unref(stage);
	OK(lsp_stage_open(update->game.fd, update->new, &stage, &why));
	lsp_stage_left(stage, &again, &chunks);
	assert_int_equal(again, left);
	uint8_t read[100];
	OK(lsp_stage_read(
		stage, lsp_manifest_find(update->new, "small")->first_chunk, 0, read, 100, &why));
	lsp_stage_unref(stage);
}

/* Somebody had it in a backup. What was staged of it is gone, and nothing speaks of it any more. */
static void a_file_that_is_put_right_meanwhile_is_kept_and_read_where_it_is(void **state)
{
	struct update *update = *state;
	struct lsp_chunk c;
	uint8_t *bytes = malloc(PIECE), *read = malloc(PIECE);
	struct lsp_bitmap staged = {0};
	scribble(update->game.fd, "data/big.pak", 3 * PIECE, "damage");
	struct lsp_stage *stage = open_update(update);
	const struct lsp_manifest_file *file = lsp_manifest_find(update->new, "data/big.pak");
	uint32_t damaged = file->first_chunk + 3;
	assert_false(lsp_stage_has(stage, damaged));
	OK(lsp_stage_read(stage, file->first_chunk, 0, read, PIECE, &why));
	lsp_manifest_chunk(update->new, damaged, &c);
	read_next(update, &c, bytes);
	int fd = fixture_open(update->game.fd, "data/big.pak");
	assert_int_equal(pwrite(fd, bytes, PIECE, 3 * PIECE), PIECE);
	close(fd);
	OK(lsp_stage_reuse(stage, update->game.fd, update->old, true, NULL, NULL, NULL, &why));
	assert_false(lsp_fs_exists_below(update->game.fd, LSP_STAGE_FOLDER "/files/data/big.pak"));
	OK(lsp_stage_read(stage, damaged, 0, read, PIECE, &why));
	assert_memory_equal(read, bytes, PIECE);
	OK(lsp_bitmap_init(&staged, update->new->chunk_count, &why));
	lsp_stage_staged_copy(stage, &staged);
	assert_false(lsp_bitmap_any(
		&staged, file->first_chunk, (size_t)file->first_chunk + file->chunk_count));
	OK(lsp_stage_sync(stage, &why));
	fetch_rest(update, stage);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
	lsp_bitmap_done(&staged);
	free(bytes);
	free(read);
}

static void count_cut(const struct lsp_fs_event *event, void *argument)
{
	struct stat st;
	const struct stat *staged = ((struct stat **)argument)[0];
	if (event->call == LSP_FS_TRUNCATE && event->offset == 0 && fstat(event->fd, &st) == 0 &&
		st.st_ino == staged->st_ino)
		++*((unsigned **)argument)[1];
}

/* Some filesystems say of every file, or of one that was written just now, that it has none. */
static void what_counts_is_not_cut_off_a_file_that_seems_to_have_no_blocks(void **state)
{
	struct update *update = *state;
	struct stat st;
	unsigned cuts = 0;
	void *counting[] = {&st, &cuts};
	const struct lsp_fs_hooks hooks = {.after = count_cut, .argument = counting};
	uint8_t *zeros = calloc(1, 2 * PIECE);
	zeros[PIECE] = 1;
	fixture_put(update->next.fd, "data/zero.pak", zeros, 2 * PIECE);
	zeros[0] = zeros[PIECE] = 2;
	fixture_put(update->game.fd, "data/zero.pak", zeros, 2 * PIECE);
	lsp_manifest_unref(update->old);
	update->old = fixture_hash(update->game.fd, "quake");
	struct lsp_stage *stage = open_update(update);
	fill_chunk(update, stage, lsp_manifest_find(update->new, "data/zero.pak")->first_chunk);
	int fd = fixture_open(update->game.fd, LSP_STAGE_FOLDER "/files/data/zero.pak");
	bool empty = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * PIECE) == 0 &&
		     fstat(fd, &st) == 0 && st.st_blocks == 0;
	close(fd);
	lsp_fs_set_hooks(&hooks);
	OK(lsp_stage_reuse(stage, update->game.fd, update->old, true, NULL, NULL, NULL, &why));
	lsp_fs_set_hooks(NULL);
	lsp_stage_unref(stage);
	free(zeros);
	if (!empty)
		skip(); /* a filesystem without holes */
	assert_int_equal(cuts, 0);
}

static bool keeps(struct update *update, const char *path)
{
	struct lsp_stage *stage = NULL;
	OK(lsp_stage_open(update->game.fd, update->new, &stage, &why));
	bool has = lsp_stage_has(stage, lsp_manifest_find(update->new, path)->first_chunk);
	lsp_stage_unref(stage);
	return has;
}

/* What somebody wrote before the power went may not be on the disk, whatever its size and times. */
static void after_another_boot_a_kept_file_is_hashed_again(void **state)
{
	struct update *update = *state;
	struct lsp_stage *stage = open_update(update);
	lsp_stage_unref(stage);
	assert_true(keeps(update, "small"));
	assert_true(keeps(update, "data/same.pak"));
	int fd = fixture_open(update->game.fd, LSP_STAGE_FOLDER "/kept");
	assert_int_equal(pwrite(fd, "boot 00000000", 13, 0), 13);
	close(fd);
	struct stat st;
	fd = fixture_open(update->game.fd, "small");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, "lost", 4, 5), 4);
	assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
	close(fd);
	assert_false(keeps(update, "small"));
	assert_false(keeps(update, "data/same.pak"));
	lsp_manifest_unref(update->new);
	stage = open_update(update);
	assert_false(lsp_stage_has(stage, lsp_manifest_find(update->new, "small")->first_chunk));
	assert_true(
		lsp_stage_has(stage, lsp_manifest_find(update->new, "data/same.pak")->first_chunk));
	fetch_rest(update, stage);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
}

static void a_renamed_file_costs_nothing(void **state)
{
	struct update *update = *state;
	OK(lsp_fs_make_dirs_below(update->next.fd, "other", &why));
	OK(lsp_fs_rename_below(
		update->next.fd, "data/big.pak", update->next.fd, "other/name.pak", &why));
	struct lsp_stage *stage = open_update(update);
	fetch_rest(update, stage);
	assert_int_equal(update->fetched, 4);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
}

static void pieces_that_moved_are_found_by_their_hash(void **state)
{
	struct update *update = *state;
	uint8_t *front = fixture_bytes(77, PIECE);
	uint8_t *old = fixture_bytes(1, 8 * PIECE + 12345);
	uint8_t *both = malloc(9 * PIECE + 12345);
	memcpy(both, front, PIECE);
	memcpy(both + PIECE, old, 8 * PIECE + 12345);
	fixture_put(update->next.fd, "data/big.pak", both, 9 * PIECE + 12345);
	struct lsp_stage *stage = open_update(update);
	fetch_rest(update, stage);
	assert_int_equal(update->fetched, 4 + PIECE);
	lsp_stage_unref(stage);
	free(front);
	free(old);
	free(both);
}

static void adopting_a_copy_under_other_names_costs_no_download(void **state)
{
	struct update *update = *state;
	struct fixture copy, empty;
	fixture_init(&copy);
	fixture_init(&empty);
	fixture_file(copy.fd, "QUAKE/BIG.PAK", 1, 8 * PIECE + 12345);
	fixture_file(copy.fd, "QUAKE/SAME.PAK", 2, 2 * PIECE + 1);
	fixture_file(copy.fd, "s", 3, 4000);
	fixture_text(copy.fd, "v", "1.1\n");
	update->new = fixture_hash(update->next.fd, "quake");
	const struct lsp_manifest *other = fixture_hash(copy.fd, "whatever");
	struct lsp_stage *stage = NULL;
	OK(lsp_stage_open(empty.fd, update->new, &stage, &why));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	OK(lsp_stage_reuse(stage, copy.fd, other, false, NULL, NULL, NULL, &why));
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(empty.fd, update->new);
	fixture_assert_content(copy.fd, other);
	lsp_manifest_unref(other);
	fixture_done(&copy);
	fixture_done(&empty);
}

static void a_folder_becomes_a_file_and_a_file_a_folder(void **state)
{
	struct update *update = *state;
	OK(lsp_fs_remove_tree_below(update->next.fd, "small", &why));
	OK(lsp_fs_remove_tree_below(update->next.fd, "data", &why));
	fixture_file(update->next.fd, "small/now/a/folder", 5, 100);
	fixture_file(update->next.fd, "data", 6, 100);
	struct lsp_stage *stage = open_update(update);
	fetch_rest(update, stage);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
}

static bool find_kept(const char *folder, const char *path)
{
	char pattern[256];
	glob_t found;
	snprintf(pattern, sizeof pattern, "%s/local.kept-*/%s", folder, path);
	bool there = glob(pattern, 0, NULL, &found) == 0;
	globfree(&found);
	return there;
}

static void a_file_of_the_users_own_in_the_way_is_kept(void **state)
{
	struct update *update = *state;
	fixture_file(update->next.fd, "notes/read.me", 6, 100);
	fixture_file(update->next.fd, "saves", 7, 100);
	fixture_text(update->game.fd, "saves", "my own");
	fixture_text(update->game.fd, "notes", "mine too");
	struct lsp_stage *stage = open_update(update);
	fetch_rest(update, stage);
	OK(lsp_stage_commit(stage, update->old, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(update->game.fd, update->new);
	assert_true(find_kept(update->game.path, "saves"));
	assert_true(find_kept(update->game.path, "notes"));
}

/* Exits the process, with no clean-up at all, before the n-th call that changes the disk. */
static int die_at(const struct lsp_fs_event *event, void *argument)
{
	int *left = argument;
	if (--*left == 0)
		_exit(77);
	return 0;
}

/* Commits in a child that dies at its n-th change; true if it did. */
static bool commit_and_die(struct lsp_stage *stage, const struct lsp_manifest *old, int n)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct lsp_fs_hooks hooks = {.before = die_at, .argument = &n};
		lsp_fs_set_hooks(&hooks);
		_exit(lsp_stage_commit(stage, old, NULL) < 0 ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	return WEXITSTATUS(status) == 77;
}

/* Old or new, whole; then (if old) the download goes on and fetches nothing. */
static void recover_and_check(struct update *update)
{
	const struct lsp_manifest *found = NULL;
	OK(lsp_redo_recover(update->game.fd, NULL, &why));
	OK(lsp_redo_clean(update->game.fd, &why));
	const struct lsp_manifest *now = fixture_hash(update->game.fd, "quake");
	bool is_new = lsp_hash_equal(&now->content_id, &update->new->content_id);
	assert_true(is_new || lsp_hash_equal(&now->content_id, &update->old->content_id));
	lsp_manifest_unref(now);
	if (is_new) {
		assert_int_equal(lsp_stage_find(update->game.fd, &found, NULL), -LSP_E_NOT_FOUND);
		return;
	}
	struct lsp_stage *stage = NULL;
	uint64_t bytes;
	uint32_t chunks;
	OK(lsp_stage_open(update->game.fd, update->new, &stage, &why));
	lsp_stage_left(stage, &bytes, &chunks);
	assert_int_equal(chunks, 0);
	lsp_stage_unref(stage);
}

static void a_commit_killed_anywhere_leaves_the_old_game_or_the_new_one(void **state)
{
	int n = 0;
	for (bool died = true; died;) {
		void *again = NULL;
		setup(&again);
		struct update *copy = again;
		scribble(copy->next.fd, "data/big.pak", 3 * PIECE, "patched");
		fixture_file(copy->next.fd, "fresh/folder/file", 11, 3000);
		struct lsp_stage *stage = open_update(copy);
		fetch_rest(copy, stage);
		died = commit_and_die(stage, copy->old, ++n);
		lsp_stage_unref(stage);
		recover_and_check(copy);
		teardown(&again);
	}
	print_message("%d kill points\n", n - 1);
	assert_true(n > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_update_fetches_only_the_leaves_that_changed),
		TEST(files_that_stay_are_neither_copied_nor_moved),
		TEST(what_fell_over_on_the_disk_is_fetched_and_not_kept),
		TEST(a_kept_file_that_changes_before_the_commit_stops_it),
		TEST(kept_files_are_remembered_after_a_kill),
		TEST(what_counts_is_not_cut_off_a_file_that_seems_to_have_no_blocks),
		TEST(a_file_that_is_put_right_meanwhile_is_kept_and_read_where_it_is),
		TEST(after_another_boot_a_kept_file_is_hashed_again),
		TEST(a_renamed_file_costs_nothing),
		TEST(pieces_that_moved_are_found_by_their_hash),
		TEST(adopting_a_copy_under_other_names_costs_no_download),
		TEST(a_folder_becomes_a_file_and_a_file_a_folder),
		TEST(a_file_of_the_users_own_in_the_way_is_kept),
		cmocka_unit_test(a_commit_killed_anywhere_leaves_the_old_game_or_the_new_one),
	};
	return cmocka_run_group_tests_name("reuse", tests, NULL, NULL);
}
