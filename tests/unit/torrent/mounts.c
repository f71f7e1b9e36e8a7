#include "torrent/mounts.h"

#include "../store/fixture.h"

static void it_is_known_whether_a_disk_is_mounted(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *of_proc = lsp_mount_of("/proc/self"), *of_root = lsp_mount_of("/");
	_cleanup_free_ char *of_folder = lsp_mount_of(fixture->folder), *of_none = NULL;
	assert_string_equal(of_proc, "/proc");
	assert_string_equal(of_root, "/");
	assert_ok(lsp_mount_check(of_proc, &err));
	assert_ok(lsp_mount_check(of_root, &err));
	assert_ok(lsp_mount_check(of_folder, &err));
	assert_ok(lsp_mount_check(NULL, &err));
	/* Of what is not there yet: where it would be. */
	const char *missing = in_folder(fixture, "some/where");
	of_none = lsp_mount_of(missing);
	assert_string_equal(of_none, of_folder);
	assert_fails(lsp_mount_check(missing, &err), LSP_E_NOT_FOUND, "mount it");
	assert_fails(lsp_mount_check(fixture->folder, &err), LSP_E_NOT_FOUND, "mount it");
}

/* ---- The table ----------------------------------------------------------------------------- */

static const char *table(struct fixture *fixture, const char *text)
{
	put_text(fixture, "mounts", text);
	return in_folder(fixture, "mounts");
}

static void what_is_mounted_above_a_place_is_told_by_its_name_alone(void **state)
{
	static const char text[] = "disk / ext4 rw 0 0\n"
				   "nas:/games /mnt/the\\040nas nfs4 rw 0 0\n"
				   "nas:/more /mnt/nas\\0432 nfs4 rw 0 0\n"
				   "proc /mnt proc rw 0 0\n"
				   "auto /mnt autofs rw 0 0\n";
	struct lsp_mounts mounts = {0};
	assert_ok(lsp_mounts_read(table(*state, text), &mounts, &err));
	assert_string_equal(lsp_mounts_above(&mounts, "/mnt/the nas/a/b"), "/mnt/the nas");
	assert_string_equal(lsp_mounts_above(&mounts, "/mnt/the nas"), "/mnt/the nas");
	assert_string_equal(lsp_mounts_above(&mounts, "/mnt/the nasty"), "/mnt");
	assert_string_equal(lsp_mounts_above(&mounts, "/mnt/nas#2/a"), "/mnt/nas#2");
	assert_string_equal(lsp_mounts_above(&mounts, "/home"), "/");
	lsp_mounts_done(&mounts);
	assert_null(lsp_mounts_above(&mounts, "/home"));
}

static void the_kernels_own_table_is_read(void **state)
{
	struct lsp_mounts mounts = {0};
	assert_ok(lsp_mounts_read(LSP_MOUNTS_TABLE, &mounts, &err));
	assert_string_equal(lsp_mounts_above(&mounts, "/proc/self"), "/proc");
	lsp_mounts_done(&mounts);
}

static void a_line_may_be_of_any_length(void **state)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	struct lsp_mounts mounts = {0};
	for (int i = 0; i < 20000; i++)
		assert_ok(lsp_buffer_append(&text, "/lower:", 7, &err));
	assert_ok(lsp_buffer_printf(&text, &err, " /mnt overlay rw 0 0\n%c", '\0'));
	assert_ok(lsp_mounts_read(table(*state, (const char *)text.data), &mounts, &err));
	assert_int_equal(mounts.count, 1);
	assert_string_equal(mounts.points[0], "/mnt");
	lsp_mounts_done(&mounts);
}

/* Half of it would call a dead disk that of the folder above. */
static void a_table_that_is_cut_short_is_none(void **state)
{
	struct lsp_mounts mounts = {0};
	assert_fails(
		lsp_mounts_read(table(*state, "disk / ext4 rw 0 0\nnas:/a /mn"), &mounts, &err),
		LSP_E_CORRUPT, "in the middle of a line");
	/* Which can be opened, and not read. */
	assert_fails(lsp_mounts_read("/proc/self/mem", &mounts, &err), LSP_E_IO, "/proc/self/mem");
	assert_fails(
		lsp_mounts_read(in_folder(*state, "none"), &mounts, &err), LSP_E_NOT_FOUND, "none");
	assert_int_equal(mounts.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(it_is_known_whether_a_disk_is_mounted),
		FIXTURE_TEST(what_is_mounted_above_a_place_is_told_by_its_name_alone),
		FIXTURE_TEST(the_kernels_own_table_is_read),
		FIXTURE_TEST(a_line_may_be_of_any_length),
		FIXTURE_TEST(a_table_that_is_cut_short_is_none),
	};
	return cmocka_run_group_tests_name("torrent mounts", tests, NULL, NULL);
}
