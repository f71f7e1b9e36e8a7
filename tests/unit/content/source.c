/* Serving: what was announced, or a clean failure. */
#include "content/source.h"

#include "content/file_cache.h"
#include "fixture.h"
#include "wire/merkle.h"

#include <sys/stat.h>
#include <unistd.h>

#define PIECE (128u << 10)

struct shelf {
	struct fixture fixture;
	struct lsp_hashed hashed;
	struct lsp_source *source;
};

static int setup(void **state)
{
	struct shelf *shelf = calloc(1, sizeof *shelf);
	fixture_init(&shelf->fixture);
	fixture_file(shelf->fixture.fd, "big", 1, 3 * PIECE + 100);
	for (unsigned i = 0; i < 20; i++) {
		char path[16];
		snprintf(path, sizeof path, "small%02u", i);
		fixture_file(shelf->fixture.fd, path, 10 + i, 3000);
	}
	const struct lsp_hasher_options options = {.clock = &fixture_clock};
	OK(lsp_hasher_run(shelf->fixture.fd, "quake", &options, NULL, &shelf->hashed, &why));
	OK(lsp_source_new(shelf->fixture.fd, shelf->hashed.manifest, &shelf->hashed.listing, 4,
		&shelf->source, &why));
	*state = shelf;
	return 0;
}

static int teardown(void **state)
{
	struct shelf *shelf = *state;
	lsp_source_unref(shelf->source);
	lsp_hashed_done(&shelf->hashed);
	fixture_done(&shelf->fixture);
	free(shelf);
	return 0;
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void every_chunk_is_read_and_few_descriptors_stay_open(void **state)
{
	struct shelf *shelf = *state;
	int before = open_descriptors();
	for (uint32_t i = 0; i < shelf->hashed.manifest->chunk_count; i++) {
		struct lsp_chunk c;
		struct lsp_hash leaves[8];
		lsp_manifest_chunk(shelf->hashed.manifest, i, &c);
		uint8_t *bytes = malloc(c.size);
		OK(lsp_source_read_chunk(shelf->source, i, 0, bytes, c.size, &why));
		lsp_merkle_hash_leaves(bytes, c.size, leaves);
		assert_true(lsp_merkle_check_leaves(&c, leaves));
		OK(lsp_source_leaves(shelf->source, i, leaves, &why));
		assert_int_equal(lsp_source_read_chunk(shelf->source, i, 1, bytes, c.size, NULL),
			-LSP_E_INVALID);
		free(bytes);
	}
	assert_int_equal(open_descriptors(), before + 4);
	lsp_source_close_files(shelf->source);
	assert_int_equal(open_descriptors(), before);
}

/* Does the filesystem tell what is in memory? A file that was just written is. */
static bool tells_what_is_in_memory(int dir_fd)
{
	uint8_t byte;
	int fd = openat(dir_fd, "big", O_RDONLY);
	int r = lsp_fs_read_cached(fd, &byte, 1, 0, NULL);
	close(fd);
	return r == 0;
}

/* Another time of modification: no longer what was announced. */
static void touch(int dir_fd)
{
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(utimensat(dir_fd, "big", times, 0), 0);
}

static void at_once_only_what_is_open_and_unchanged_is_read(void **state)
{
	struct shelf *shelf = *state;
	uint8_t waited[1000], at_once[1000];
	bool able = tells_what_is_in_memory(shelf->fixture.fd);
	assert_int_equal(
		lsp_source_read_chunk_now(shelf->source, 1, 50, at_once, sizeof at_once, NULL),
		-LSP_E_BUSY); /* not open yet */
	OK(lsp_source_read_chunk(shelf->source, 1, 50, waited, sizeof waited, &why));
	int r = lsp_source_read_chunk_now(shelf->source, 1, 50, at_once, sizeof at_once, NULL);
	assert_int_equal(r, able ? 0 : -LSP_E_BUSY);
	if (able)
		assert_memory_equal(waited, at_once, sizeof waited);
	assert_int_equal(lsp_source_read_chunk_now(shelf->source, 1, PIECE, at_once, 1, NULL),
		-LSP_E_INVALID);
	touch(shelf->fixture.fd);
	r = lsp_source_read_chunk_now(shelf->source, 1, 50, at_once, sizeof at_once, NULL);
	assert_int_equal(r, able ? -LSP_E_CORRUPT : -LSP_E_BUSY);
	lsp_source_close_files(shelf->source);
	assert_int_equal(
		lsp_source_read_chunk_now(shelf->source, 1, 50, at_once, sizeof at_once, NULL),
		-LSP_E_BUSY);
}

static void a_changed_file_fails_cleanly_opened_or_not(void **state)
{
	struct shelf *shelf = *state;
	uint8_t byte;
	OK(lsp_source_read(shelf->source, 0, 5, &byte, 1, &why));
	fixture_file(shelf->fixture.fd, "small00", 99, 3000); /* replaced, never opened */
	assert_int_equal(lsp_source_read(shelf->source, 1, 0, &byte, 1, NULL), -LSP_E_CORRUPT);
	int fd = fixture_open(shelf->fixture.fd, "big"); /* written to, while open */
	assert_int_equal(pwrite(fd, "!", 1, 0), 1);
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	assert_int_equal(lsp_source_read(shelf->source, 0, 5, &byte, 1, NULL), -LSP_E_CORRUPT);
	OK(lsp_fs_unlink_below(shelf->fixture.fd, "small01", &why));
	assert_int_equal(lsp_source_read(shelf->source, 2, 0, &byte, 1, NULL), -LSP_E_NOT_FOUND);
	OK(lsp_source_read(shelf->source, 3, 0, &byte, 1, &why));
}

static void what_is_open_is_served_on_while_an_update_replaces_the_file(void **state)
{
	struct shelf *shelf = *state;
	uint8_t *expected = fixture_bytes(1, 3 * PIECE + 100);
	uint8_t *bytes = malloc(PIECE);
	uint8_t byte;
	OK(lsp_source_read(shelf->source, 0, 0, &byte, 1, &why));
	fixture_text(shelf->fixture.fd, "new", "other content");
	OK(lsp_fs_rename_below(shelf->fixture.fd, "new", shelf->fixture.fd, "big", &why));
	OK(lsp_source_read(shelf->source, 0, PIECE, bytes, PIECE, &why));
	assert_memory_equal(bytes, expected + PIECE, PIECE);
	free(bytes);
	free(expected);
}

static void a_rejected_chunk_is_found_and_withdrawn_and_only_that(void **state)
{
	struct shelf *shelf = *state;
	const struct lsp_manifest *manifest = shelf->hashed.manifest;
	struct lsp_bitmap wrong = {0};
	OK(lsp_bitmap_init(&wrong, manifest->chunk_count, &why));
	OK(lsp_source_recheck(shelf->source, 0, NULL, &wrong, &why)); /* a liar: nothing is wrong */
	assert_int_equal(wrong.set, 0);
	/* A bit flips on the disk: size and times stay. */
	struct stat st;
	OK(lsp_fs_stat_below(shelf->fixture.fd, "big", &st, &why));
	int fd = fixture_open(shelf->fixture.fd, "big");
	assert_int_equal(pwrite(fd, "!", 1, PIECE + 7), 1);
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	OK(lsp_source_recheck(shelf->source, 1, NULL, &wrong, &why));
	assert_int_equal(wrong.set, 1);
	assert_true(lsp_bitmap_get(&wrong, 1));
	assert_false(lsp_source_has(shelf->source, 1));
	assert_true(lsp_source_has(shelf->source, 0));
	uint8_t byte;
	assert_int_equal(
		lsp_source_read_chunk(shelf->source, 1, 0, &byte, 1, NULL), -LSP_E_NOT_FOUND);
	OK(lsp_source_read_chunk(shelf->source, 0, 0, &byte, 1, &why));
	lsp_bitmap_done(&wrong);
}

static void all_chunks_of_a_file_that_is_gone_are_withdrawn(void **state)
{
	struct shelf *shelf = *state;
	struct lsp_bitmap wrong = {0};
	OK(lsp_bitmap_init(&wrong, shelf->hashed.manifest->chunk_count, &why));
	OK(lsp_fs_unlink_below(shelf->fixture.fd, "big", &why));
	assert_int_equal(mkfifoat(shelf->fixture.fd, "big", 0600), 0);
	OK(lsp_source_recheck(shelf->source, 2, NULL, &wrong, &why));
	assert_int_equal(wrong.set, 4);
	assert_int_equal(lsp_source_recheck(shelf->source, 99, NULL, &wrong, NULL), -LSP_E_INVALID);
	lsp_bitmap_done(&wrong);
}

static void a_folder_that_is_not_the_manifests_is_no_source(void **state)
{
	struct shelf *shelf = *state;
	struct lsp_source *source = NULL;
	struct lsp_listing listing = shelf->hashed.listing;
	listing.count--;
	assert_int_equal(lsp_source_new(shelf->fixture.fd, shelf->hashed.manifest, &listing, 4,
				 &source, NULL),
		-LSP_E_INVALID);
}

/* ---- The descriptor cache ---- */

static int open_null(void *argument, uint32_t file, int *ret_fd, struct lsp_error *err)
{
	++*(int *)argument;
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? lsp_error_set(err, "test", LSP_E_IO, "no /dev/null") : 0;
}

static void the_cache_closes_the_one_unused_for_longest_and_none_in_use(void **state)
{
	struct lsp_file_cache *cache = NULL;
	int opened = 0, a, b, c, again;
	OK(lsp_file_cache_new(2, open_null, &opened, &cache, &why));
	OK(lsp_file_cache_acquire(cache, 1, &a, &why));
	OK(lsp_file_cache_acquire(cache, 2, &b, &why));
	OK(lsp_file_cache_acquire(cache, 3, &c, &why)); /* no room: for this use only */
	assert_int_equal(lsp_file_cache_count(cache), 2);
	lsp_file_cache_release(cache, 3, c);
	lsp_file_cache_release(cache, 1, a);
	lsp_file_cache_release(cache, 2, b);
	OK(lsp_file_cache_acquire(cache, 1, &again, &why));
	assert_int_equal(opened, 3);
	assert_int_equal(again, a);
	lsp_file_cache_release(cache, 1, again);
	OK(lsp_file_cache_acquire(cache, 4, &c, &why)); /* in place of 2 */
	lsp_file_cache_drop(cache, 4);
	assert_true(fcntl(c, F_GETFD) >= 0); /* in use */
	lsp_file_cache_release(cache, 4, c);
	assert_int_equal(lsp_file_cache_count(cache), 1);
	lsp_file_cache_free(cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_chunk_is_read_and_few_descriptors_stay_open),
		TEST(at_once_only_what_is_open_and_unchanged_is_read),
		TEST(a_changed_file_fails_cleanly_opened_or_not),
		TEST(what_is_open_is_served_on_while_an_update_replaces_the_file),
		TEST(a_rejected_chunk_is_found_and_withdrawn_and_only_that),
		TEST(all_chunks_of_a_file_that_is_gone_are_withdrawn),
		TEST(a_folder_that_is_not_the_manifests_is_no_source),
		cmocka_unit_test(the_cache_closes_the_one_unused_for_longest_and_none_in_use),
	};
	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
