/* A first check that base/ holds together; the files of its parts stand beside it. */
#include "base/bitmap.h"
#include "base/fs.h"
#include "base/sha256.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void sha256_gives_the_published_vector(void **state)
{
	struct lsp_hash hash;
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_sha256(&hash, "abc", 3);
	lsp_hash_to_hex(&hash, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void bitmap_finds_the_next_clear_bit_across_bytes(void **state)
{
	struct lsp_bitmap map;
	assert_int_equal(lsp_bitmap_init(&map, 19, NULL), 0);
	lsp_bitmap_fill(&map);
	assert_true(lsp_bitmap_full(&map));
	assert_int_equal(lsp_bitmap_next_clear(&map, 0), 19);
	assert_true(lsp_bitmap_clear(&map, 17));
	assert_int_equal(lsp_bitmap_next_clear(&map, 3), 17);
	lsp_bitmap_done(&map);
}

static void a_path_below_cannot_leave_by_dotdot_or_symlink(void **state)
{
	char root[] = "/tmp/lanspread-unit-XXXXXX";
	assert_non_null(mkdtemp(root));
	int dir, fd = -1;
	struct lsp_error err = {0};
	assert_int_equal(lsp_fs_open_dir(root, &dir, &err), 0);
	assert_true(lsp_fs_open_below(dir, "../x", O_RDWR | O_CREAT, 0600, &fd, &err) < 0);
	assert_int_equal(lsp_fs_symlink_below(dir, "link", "/etc", &err), 0);
	assert_true(lsp_fs_open_below(dir, "link/passwd", O_RDONLY, 0, &fd, &err) < 0);
	assert_int_equal(lsp_fs_make_dirs_below(dir, "a/b/c", &err), 0);
	assert_int_equal(lsp_fs_write_file_below(dir, "a/b/f", "hello", 5, 0644, &err), 0);
	struct lsp_buffer text = {0};
	assert_int_equal(lsp_fs_read_file_below(dir, "a/b/f", 100, &text, &err), 0);
	assert_string_equal((char *)text.data, "hello");
	lsp_buffer_done(&text);
	assert_int_equal(lsp_fs_open_below(dir, "a/b/f", O_RDWR, 0, &fd, &err), 0);
	struct stat st;
	assert_int_equal(lsp_fs_set_mtime(fd, INT64_C(-1500000000), "f", &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_mtim.tv_sec == -2 && st.st_mtim.tv_nsec == 500000000);
	lsp_fs_write_back(fd, 0, 5);
	assert_int_equal(lsp_fs_sync_all(fd, "f", &err), 0);
	close(fd);
	assert_int_equal(lsp_fs_remove_tree_below(dir, "a", &err), 0);
	assert_int_equal(lsp_fs_remove_tree_below(dir, "link", &err), 0);
	close(dir);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_vector),
		cmocka_unit_test(bitmap_finds_the_next_clear_bit_across_bytes),
		cmocka_unit_test(a_path_below_cannot_leave_by_dotdot_or_symlink),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
