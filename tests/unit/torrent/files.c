/* Files that are moved, and killed while they are: at every single change of the disk. */
#include "torrent/files.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const paths[] = {"doom/base/a.pak", "doom/base/b.pak", "doom/version.ini",
	"doom/maps/deep/e1.map", ".d00d.parts"};
#define COUNT (sizeof paths / sizeof *paths)

struct place {
	const char *parent;
	char root[64], from[80], to[80];
	struct lsp_files files;
};

static struct {
	struct lsp_fs_hooks hooks;
	unsigned calls, last; /* changes of the disk; from `last` on all fail, as after a kill */
	int code;             /* with which */
	bool apart;           /* the two folders are two filesystems */
	unsigned copies;      /* that got their name */
	bool is_dirty;        /* what was written last is not synced */
} disk;

/* A name that is on the disk before the content is, after a power cut stands for half of it. */
static void expect_synced(const struct lsp_fs_event *event)
{
	if (event->call == LSP_FS_WRITE || event->call == LSP_FS_TRUNCATE ||
		event->call == LSP_FS_CLONE)
		disk.is_dirty = true;
	else if (event->call == LSP_FS_SYNC)
		disk.is_dirty = false;
	else if (event->call == LSP_FS_RENAME && strncmp(event->path, ".lanspread-", 11) == 0) {
		assert_false(disk.is_dirty);
		disk.copies++;
	}
}

static int before(const struct lsp_fs_event *event, void *argument)
{
	expect_synced(event);
	bool crosses = event->call == LSP_FS_RENAME && disk.apart &&
		       strncmp(event->path, ".lanspread-", 11) != 0;
	if (++disk.calls > disk.last)
		return disk.code;
	return crosses ? EXDEV : event->call == LSP_FS_CLONE && disk.apart ? EOPNOTSUPP : 0;
}

static void change_disk(bool apart, unsigned last, int code)
{
	disk.hooks = (struct lsp_fs_hooks){.before = before};
	disk.calls = 0;
	disk.last = last;
	disk.code = code;
	disk.apart = apart;
	disk.copies = 0;
	disk.is_dirty = false;
	lsp_fs_set_hooks(&disk.hooks);
}

static void put(const char *folder, const char *path, const char *text)
{
	int fd = -1;
	assert_int_equal(lsp_fs_make_dirs(folder, false, NULL), 0);
	assert_int_equal(lsp_fs_open_dir(folder, &fd, NULL), 0);
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
	if (*parent)
		assert_int_equal(lsp_fs_make_dirs_below(fd, parent, NULL), 0);
	assert_int_equal(lsp_fs_write_file_below(fd, path, text, strlen(text), 0644, NULL), 0);
	close(fd);
}

/* 1: that very text; 0: no such file; −1: another text. */
static int has(const char *folder, const char *path, const char *text)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	_cleanup_buffer_ struct lsp_buffer content = {0};
	int r = lsp_fs_read_file(whole, 1 << 20, &content, NULL);
	if (r == -LSP_E_NOT_FOUND)
		return 0;
	assert_int_equal(r, 0);
	return content.size == strlen(text) && memcmp(content.data, text, content.size) == 0 ? 1
											     : -1;
}

static const char *text_of(size_t index)
{
	static char text[4096];
	memset(text, 'a' + (int)index, sizeof text - 1 - index);
	text[sizeof text - 1 - index] = '\0';
	return text;
}

static void place_init(struct place *place)
{
	memset(place, 0, sizeof *place);
	/* In memory if there is such a place: a move waits for all that a disk has to write. */
	place->parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(place->root, sizeof place->root, "%s/lsp-files-XXXXXX", place->parent);
	assert_non_null(mkdtemp(place->root));
	snprintf(place->from, sizeof place->from, "%s/from", place->root);
	snprintf(place->to, sizeof place->to, "%s/to", place->root);
	strcpy(place->files.mark, "d00d");
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(lsp_files_append(&place->files, paths[i], NULL), 0);
		put(place->from, paths[i], text_of(i));
	}
	/* Of a download that is not complete there are files that were not begun. */
	assert_int_equal(lsp_files_append(&place->files, "doom/not/begun", NULL), 0);
}

static void place_done(struct place *place)
{
	int fd = -1;
	lsp_fs_set_hooks(NULL);
	lsp_files_done(&place->files);
	assert_int_equal(lsp_fs_open_dir(place->parent, &fd, NULL), 0);
	assert_int_equal(
		lsp_fs_remove_tree_below(fd, place->root + strlen(place->parent) + 1, NULL), 0);
	close(fd);
}

static int move_files(struct place *place, bool back, bool undo, struct lsp_files_moved *moved,
	struct lsp_error *err)
{
	struct lsp_files_move move = {.files = &place->files,
		.from = back ? place->to : place->from,
		.to = back ? place->from : place->to,
		.undo = undo};
	return lsp_files_move(&move, NULL, moved, err);
}

/* All are whole in one folder, and of the other not even a folder or a half copy is left. */
static void expect_all_in(const struct place *place, const char *in, const char *other)
{
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(has(in, paths[i], text_of(i)), 1);
		assert_int_equal(has(other, paths[i], text_of(i)), 0);
	}
	const char *const gone[] = {"doom", ".lanspread-d00d"};
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/%s", other, gone[i]);
		assert_int_equal(access(path, F_OK), -1);
	}
	const char *const aside[] = {"doom/.lanspread-d00d", "doom/base/.lanspread-d00d",
		"doom/maps/deep/.lanspread-d00d", ".lanspread-d00d"};
	for (size_t i = 0; i < 4; i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/%s", in, aside[i]);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void expect_nothing_lost(const struct place *place)
{
	for (size_t i = 0; i < COUNT; i++) {
		int old = has(place->from, paths[i], text_of(i));
		int new = has(place->to, paths[i], text_of(i));
		assert_int_not_equal(old, -1);
		assert_int_not_equal(new, -1);
		assert_true(old == 1 || new == 1);
	}
}

/* Killed before its n-th change of the disk, and done again, or taken back. How many there are. */
static unsigned kill_at(unsigned n, bool apart, bool back)
{
	struct place place;
	struct lsp_files_moved moved;
	place_init(&place);
	change_disk(apart, n, EIO);
	int r = move_files(&place, false, false, &moved, NULL);
	unsigned calls = disk.calls;
	change_disk(apart, UINT32_MAX, 0);
	expect_nothing_lost(&place);
	if (r < 0)
		assert_true(calls > n);
	assert_int_equal(move_files(&place, back, false, &moved, NULL), 0);
	assert_int_equal(moved.left.code, 0);
	expect_all_in(&place, back ? place.from : place.to, back ? place.to : place.from);
	place_done(&place);
	return calls;
}

static void a_move_that_is_killed_anywhere_is_finished_or_taken_back(void **state)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		unsigned n = 0;
		while (kill_at(n, kind & 1, kind & 2) > n)
			n++;
		assert_true(n > 2 * COUNT);
	}
}

static void a_move_that_fails_anywhere_can_be_taken_back(void **state)
{
	for (unsigned n = 0;; n++) {
		struct place place;
		struct lsp_files_moved moved;
		struct lsp_error err = {0};
		place_init(&place);
		bool apart = n % 2;
		change_disk(apart, n / 2, ENOSPC);
		/* There is room again for what is taken back, as there is when a start tries. */
		int r = move_files(&place, false, false, &moved, &err);
		bool over = disk.calls <= n / 2;
		change_disk(apart, UINT32_MAX, 0);
		if (r < 0) {
			assert_int_equal(r, -LSP_E_NO_SPACE);
			assert_non_null(strstr(err.message, "No space left"));
			assert_int_equal(move_files(&place, true, false, &moved, NULL), 0);
			expect_all_in(&place, place.from, place.to);
		}
		place_done(&place);
		if (over)
			return;
	}
}

/* A write that fails, once. */
static int refuse_a_write(const struct lsp_fs_event *event, void *argument)
{
	if (event->call == LSP_FS_WRITE && ++disk.calls == disk.last)
		return ENOSPC;
	return event->call == LSP_FS_CLONE ? EOPNOTSUPP
	       : event->call == LSP_FS_RENAME && strncmp(event->path, ".lanspread-", 11) != 0
		       ? EXDEV
		       : 0;
}

static void a_full_disk_leaves_nothing_at_the_new_place(void **state)
{
	for (unsigned n = 1; n <= COUNT; n++) {
		struct place place;
		struct lsp_files_moved moved;
		struct lsp_error err = {0};
		place_init(&place);
		change_disk(true, n, 0);
		disk.hooks.before = refuse_a_write;
		assert_int_equal(move_files(&place, false, true, &moved, &err), -LSP_E_NO_SPACE);
		assert_non_null(strstr(err.message, "No space left"));
		assert_false(moved.is_split);
		expect_all_in(&place, place.from, place.to);
		place_done(&place);
	}
}

static void what_is_anothers_is_never_replaced(void **state)
{
	for (unsigned apart = 0; apart < 2; apart++) {
		struct place place;
		struct lsp_files_moved moved;
		struct lsp_error err = {0};
		place_init(&place);
		put(place.to, paths[3], "somebody's");
		change_disk(apart, UINT32_MAX, 0);
		assert_int_equal(lsp_files_check_free(&place.files, place.from, place.to, &err),
			-LSP_E_EXISTS);
		assert_non_null(strstr(err.message, paths[3]));
		/* It may come after that was looked at. */
		assert_int_equal(move_files(&place, false, true, &moved, &err), -LSP_E_EXISTS);
		assert_non_null(strstr(err.message, paths[3]));
		assert_false(moved.is_split);
		assert_int_equal(has(place.to, paths[3], "somebody's"), 1);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(has(place.from, paths[i], text_of(i)), 1);
		/* Nor one of the same length. */
		lsp_fs_set_hooks(NULL);
		put(place.to, paths[3], text_of(4));
		put(place.from, paths[3], text_of(4));
		char changed[4096];
		snprintf(changed, sizeof changed, "%s", text_of(0));
		changed[4000] = '!';
		put(place.to, paths[0], changed);
		change_disk(apart, UINT32_MAX, 0);
		assert_int_equal(move_files(&place, false, true, &moved, &err), -LSP_E_EXISTS);
		assert_int_equal(has(place.to, paths[0], changed), 1);
		assert_int_equal(has(place.from, paths[0], text_of(0)), 1);
		place_done(&place);
	}
}

static void a_link_that_leads_elsewhere_is_anothers(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	struct lsp_error err = {0};
	place_init(&place);
	assert_int_equal(lsp_files_append(&place.files, "doom/link", NULL), 0);
	put(place.to, "doom/kept", "kept");
	_cleanup_free_ char *old = lsp_text_format("%s/doom/link", place.from);
	_cleanup_free_ char *new = lsp_text_format("%s/doom/link", place.to);
	char text[16] = "";
	assert_int_equal(symlink("base/a.pak", old), 0);
	assert_int_equal(symlink("base/b.pak", new), 0); /* of the same length */
	assert_int_equal(move_files(&place, false, true, &moved, &err), -LSP_E_EXISTS);
	assert_non_null(strstr(err.message, "doom/link"));
	assert_int_equal(readlink(old, text, sizeof text - 1), 10);
	assert_string_equal(text, "base/a.pak");
	/* The same one is what a kill left. */
	assert_int_equal(unlink(new), 0);
	assert_int_equal(symlink("base/a.pak", new), 0);
	assert_int_equal(move_files(&place, false, true, &moved, NULL), 0);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(readlink(new, text, sizeof text - 1), 10);
	assert_string_equal(text, "base/a.pak");
	place_done(&place);
}

static void a_copy_is_on_the_disk_before_it_has_its_name(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	place_init(&place);
	change_disk(true, UINT32_MAX, 0);
	assert_int_equal(move_files(&place, false, true, &moved, NULL), 0);
	assert_int_equal(disk.copies, COUNT);
	expect_all_in(&place, place.to, place.from);
	place_done(&place);
}

static char changed_meanwhile[160];

static int change_a_copied_one(const struct lsp_fs_event *event, void *argument)
{
	int r = before(event, argument);
	if (event->call == LSP_FS_RENAME && disk.copies == 2 && *changed_meanwhile) {
		FILE *file = fopen(changed_meanwhile, "a");
		assert_non_null(file);
		assert_int_equal(fputs("!", file), 1);
		assert_int_equal(fclose(file), 0);
		*changed_meanwhile = '\0';
	}
	return r;
}

static void what_was_changed_after_it_was_copied_stays(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	place_init(&place);
	snprintf(changed_meanwhile, sizeof changed_meanwhile, "%s/%s", place.from, paths[0]);
	change_disk(true, UINT32_MAX, 0);
	disk.hooks.before = change_a_copied_one;
	assert_int_equal(move_files(&place, false, true, &moved, NULL), 0);
	assert_string_equal(changed_meanwhile, "");
	assert_int_equal(moved.left.code, LSP_E_EXISTS);
	assert_non_null(strstr(moved.left.message, paths[0]));
	_cleanup_free_ char *text = lsp_text_format("%s!", text_of(0));
	assert_int_equal(has(place.from, paths[0], text), 1);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(has(place.to, paths[i], text_of(i)), 1);
		if (i > 0)
			assert_int_equal(has(place.from, paths[i], text_of(i)), 0);
	}
	place_done(&place);
}

static void what_is_missing_at_both_places_is_counted(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	size_t count = 0;
	place_init(&place);
	assert_int_equal(lsp_files_count(&place.files, place.from, &count, NULL), 0);
	assert_int_equal(count, COUNT);
	assert_int_equal(lsp_files_count(&place.files, place.to, &count, NULL), 0);
	assert_int_equal(count, 0);
	change_disk(false, 6, EIO);
	assert_true(move_files(&place, false, false, &moved, NULL) < 0);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(
		lsp_files_count_either(&place.files, place.from, place.to, &count, NULL), 0);
	assert_int_equal(count, COUNT);
	place_done(&place);
}

static void the_same_folder_by_another_name_is_no_move(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	place_init(&place);
	assert_int_equal(symlink(place.from, place.to), 0);
	assert_int_equal(lsp_files_check_free(&place.files, place.from, place.to, NULL), 0);
	assert_int_equal(move_files(&place, false, true, &moved, NULL), 0);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(has(place.from, paths[i], text_of(i)), 1);
	place_done(&place);
}

static void holes_stay_holes(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	struct stat st;
	place_init(&place);
	_cleanup_free_ char *old = lsp_text_format("%s/%s", place.from, paths[0]);
	_cleanup_free_ char *new = lsp_text_format("%s/%s", place.to, paths[0]);
	int fd = open(old, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 20 << 20), 1);
	assert_int_equal(ftruncate(fd, 40 << 20), 0);
	close(fd);
	change_disk(true, UINT32_MAX, 0);
	assert_int_equal(move_files(&place, false, true, &moved, NULL), 0);
	assert_int_equal(stat(new, &st), 0);
	assert_int_equal(st.st_size, 40 << 20);
	assert_true(st.st_blocks * 512 < 8 << 20);
	fd = open(new, O_RDONLY | O_CLOEXEC);
	char byte = 0;
	assert_int_equal(pread(fd, &byte, 1, 20 << 20), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	place_done(&place);
}

static void what_is_deleted_leaves_what_is_not_the_torrents(void **state)
{
	struct place place;
	struct lsp_error err = {0};
	place_init(&place);
	put(place.from, "doom/base/mine.cfg", "mine");
	/* One that cannot be deleted is told; the others are. */
	_cleanup_free_ char *stubborn = lsp_text_format("%s/doom/not/begun/dir", place.from);
	assert_int_equal(lsp_fs_make_dirs(stubborn, false, NULL), 0);
	assert_true(lsp_files_delete(&place.files, place.from, &err) < 0);
	assert_non_null(strstr(err.message, "doom/not/begun"));
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(has(place.from, paths[i], text_of(i)), 0);
	assert_int_equal(has(place.from, "doom/base/mine.cfg", "mine"), 1);
	_cleanup_free_ char *maps = lsp_text_format("%s/doom/maps", place.from);
	assert_int_equal(access(maps, F_OK), -1);
	/* Once more: nothing is there, which is fine. */
	assert_int_equal(rmdir(stubborn), 0);
	_cleanup_free_ char *begun = lsp_text_format("%s/doom/not/begun", place.from);
	assert_int_equal(rmdir(begun), 0);
	assert_int_equal(lsp_files_delete(&place.files, place.from, &err), 0);
	place_done(&place);
}

/* Bytes that this process has read. */
static unsigned long long read_so_far(void)
{
	char text[512] = "";
	unsigned long long bytes = 0;
	FILE *file = fopen("/proc/self/io", "re");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	assert_int_equal(sscanf(text, "rchar: %llu", &bytes), 1);
	return bytes;
}

static void put_large(const char *folder, const char *path, char last)
{
	static char text[4 << 20];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 2] = last;
	put(folder, path, text);
}

/* Of large ones, again and again, that would be all that the disk does. */
static void what_was_compared_is_compared_again_only_when_it_has_changed(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	struct lsp_files_known known[COUNT + 1] = {0};
	place_init(&place);
	struct lsp_files_move move = {
		.files = &place.files, .from = place.from, .to = place.to, .known = known};
	put_large(place.from, paths[0], 'a');
	put_large(place.to, paths[0], 'b');
	for (unsigned i = 0; i < 4; i++) {
		unsigned long long before = read_so_far();
		int r = lsp_files_move(&move, NULL, &moved, NULL);
		unsigned long long read = read_so_far() - before;
		assert_int_equal(r, i < 3 ? -LSP_E_EXISTS : 0);
		if (i == 0 || i == 3)
			assert_in_range(read, 8 << 20, 9 << 20);
		else
			assert_in_range(read, 0, 1 << 20);
		if (i == 2)
			put_large(place.to, paths[0], 'a');
	}
	place_done(&place);
}

static void what_a_move_brought_is_deleted_there_and_nothing_of_anothers(void **state)
{
	struct place place;
	struct lsp_error err = {0};
	struct stat st;
	size_t others = 0;
	place_init(&place);
	struct lsp_files_move move = {.files = &place.files, .from = place.from, .to = place.to};
	/* One was copied, one moved, of one another is there, and one is beside them. */
	put(place.to, paths[0], text_of(0));
	put(place.to, paths[1], text_of(1));
	_cleanup_free_ char *moved = lsp_text_format("%s/%s", place.from, paths[1]);
	assert_int_equal(unlink(moved), 0);
	put(place.to, paths[3], "somebody's");
	put(place.to, "doom/base/mine", "mine");
	assert_int_equal(lsp_files_delete_moved(&move, NULL, &others, &err), 0);
	assert_int_equal(others, 1);
	assert_int_equal(has(place.to, paths[0], text_of(0)), 0);
	assert_int_equal(has(place.to, paths[1], text_of(1)), 0);
	assert_int_equal(has(place.to, paths[3], "somebody's"), 1);
	assert_int_equal(has(place.to, "doom/base/mine", "mine"), 1);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(has(place.from, paths[i], text_of(i)), i != 1);
	/* The same folder by another name has nothing that was brought. */
	_cleanup_free_ char *link = lsp_text_format("%s/link", place.root);
	assert_int_equal(symlink(place.from, link), 0);
	move.to = link;
	assert_int_equal(lsp_files_delete_moved(&move, NULL, &others, &err), 0);
	assert_int_equal(has(place.from, paths[0], text_of(0)), 1);
	/* Nor has one that is missing. */
	_cleanup_free_ char *missing = lsp_text_format("%s/missing", place.root);
	move.to = missing;
	assert_int_equal(lsp_files_delete_moved(&move, NULL, &others, &err), 0);
	assert_int_equal(stat(missing, &st), -1);
	place_done(&place);
}

static void a_folder_that_was_there_is_not_made(void **state)
{
	struct place place;
	struct lsp_files_moved moved;
	struct lsp_error err = {0};
	struct stat st;
	place_init(&place);
	struct lsp_files_move move = {
		.files = &place.files, .from = place.from, .to = place.to, .to_is_there = true};
	assert_int_equal(lsp_files_move(&move, NULL, &moved, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "is a disk not mounted?"));
	assert_int_equal(stat(place.to, &st), -1);
	place_done(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_that_is_killed_anywhere_is_finished_or_taken_back),
		cmocka_unit_test(a_move_that_fails_anywhere_can_be_taken_back),
		cmocka_unit_test(a_full_disk_leaves_nothing_at_the_new_place),
		cmocka_unit_test(what_is_anothers_is_never_replaced),
		cmocka_unit_test(a_link_that_leads_elsewhere_is_anothers),
		cmocka_unit_test(a_copy_is_on_the_disk_before_it_has_its_name),
		cmocka_unit_test(what_was_changed_after_it_was_copied_stays),
		cmocka_unit_test(what_is_missing_at_both_places_is_counted),
		cmocka_unit_test(the_same_folder_by_another_name_is_no_move),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(what_is_deleted_leaves_what_is_not_the_torrents),
		cmocka_unit_test(what_was_compared_is_compared_again_only_when_it_has_changed),
		cmocka_unit_test(what_a_move_brought_is_deleted_there_and_nothing_of_anothers),
		cmocka_unit_test(a_folder_that_was_there_is_not_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
