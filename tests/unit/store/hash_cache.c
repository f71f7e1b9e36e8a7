#include "fixture.h"

#include "store/hash_cache.h"

static const char folder_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static struct lsp_library_index *open_index(struct fixture *fixture)
{
	struct lsp_library_index *index = NULL;
	assert_ok(lsp_library_index_open(fixture->folder, &index, &err));
	assert_ok(lsp_library_index_use(index, folder_a, &err));
	return index;
}

static struct lsp_file_hash make_file(const char *path, uint64_t size, uint8_t root)
{
	struct lsp_file_hash file = {
		.path = path, .size = size, .mtime_ns = 1000, .ctime_ns = 2000, .used = true};
	memset(file.root.bytes, root, sizeof file.root.bytes);
	return file;
}

static void a_file_is_found_only_by_the_same_path_size_and_times(void **state)
{
	_cleanup_file_hashes_ struct lsp_file_hashes hashes = {0};
	assert_null(lsp_file_hashes_find(&hashes, "a", 1, 1000, 2000));
	struct lsp_file_hash file = make_file("data/a", 5, 1);
	assert_ok(lsp_file_hashes_add(&hashes, &file, &err));
	assert_non_null(lsp_file_hashes_find(&hashes, "data/a", 5, 1000, 2000));
	assert_null(lsp_file_hashes_find(&hashes, "data/b", 5, 1000, 2000));
	assert_null(lsp_file_hashes_find(&hashes, "data/a", 6, 1000, 2000));
	assert_null(lsp_file_hashes_find(&hashes, "data/a", 5, 1001, 2000));
	assert_null(lsp_file_hashes_find(&hashes, "data/a", 5, 1000, 2001));
}

static void a_time_of_change_that_means_nothing_is_not_compared(void **state)
{
	_cleanup_file_hashes_ struct lsp_file_hashes hashes = {0};
	struct lsp_file_hash file = make_file("a", 5, 1);
	assert_ok(lsp_file_hashes_add(&hashes, &file, &err));
	assert_non_null(lsp_file_hashes_find(&hashes, "a", 5, 1000, 0));
	file.ctime_ns = 0;
	assert_ok(lsp_file_hashes_add(&hashes, &file, &err));
	assert_int_equal(hashes.count, 1);
	assert_non_null(lsp_file_hashes_find(&hashes, "a", 5, 1000, 2001));
}

static void times_ten_years_off_are_kept_exactly(void **state)
{
	struct lsp_library_index *index = open_index(*state);
	struct lsp_file_hashes hashes = {0};
	struct lsp_file_hash file = make_file("a", 5, 1);
	file.mtime_ns = -INT64_C(315360000000000000);
	file.ctime_ns = INT64_C(4102444800000000001);
	assert_ok(lsp_file_hashes_add(&hashes, &file, &err));
	assert_ok(lsp_hash_cache_store(index, "quake", &hashes, true, &err));
	lsp_file_hashes_done(&hashes);
	assert_ok(lsp_hash_cache_load(index, "quake", &hashes, &err));
	assert_non_null(lsp_file_hashes_find(&hashes, "a", 5, file.mtime_ns, file.ctime_ns));
	lsp_file_hashes_done(&hashes);
	lsp_library_index_close(index);
}

static void twenty_thousand_files_with_layers_survive_a_restart(void **state)
{
	struct lsp_library_index *index = open_index(*state);
	struct lsp_file_hashes hashes = {0};
	struct lsp_hash layer[3];
	memset(layer, 7, sizeof layer);
	for (int i = 0; i < 20000; i++) {
		char path[40];
		snprintf(path, sizeof path, "dir-%d/fäil-%d", i % 100, i);
		struct lsp_file_hash file = make_file(path, 3 * 131072 - 1, (uint8_t)i);
		file.piece_length = 131072;
		file.layer_count = 3;
		file.layer = layer;
		assert_ok(lsp_file_hashes_add(&hashes, &file, &err));
	}
	assert_ok(lsp_hash_cache_store(index, "quake", &hashes, true, &err));
	lsp_file_hashes_done(&hashes);
	lsp_library_index_close(index);
	index = open_index(*state);
	assert_ok(lsp_hash_cache_load(index, "quake", &hashes, &err));
	assert_int_equal(hashes.count, 20000);
	const struct lsp_file_hash *file =
		lsp_file_hashes_find(&hashes, "dir-99/fäil-19999", 3 * 131072 - 1, 1000, 2000);
	assert_non_null(file);
	assert_int_equal(file->layer_count, 3);
	assert_memory_equal(file->layer, layer, sizeof layer);
	assert_int_equal(file->root.bytes[0], (uint8_t)19999);
	lsp_file_hashes_done(&hashes);
	lsp_library_index_close(index);
}

static void files_that_are_gone_are_dropped_at_the_next_store(void **state)
{
	struct lsp_library_index *index = open_index(*state);
	struct lsp_file_hashes hashes = {0};
	struct lsp_file_hash kept = make_file("kept", 5, 1), gone = make_file("gone", 5, 2);
	assert_ok(lsp_file_hashes_add(&hashes, &kept, &err));
	assert_ok(lsp_file_hashes_add(&hashes, &gone, &err));
	assert_ok(lsp_hash_cache_store(index, "quake", &hashes, true, &err));
	lsp_file_hashes_done(&hashes);
	assert_ok(lsp_hash_cache_load(index, "quake", &hashes, &err));
	assert_non_null(lsp_file_hashes_find(&hashes, "kept", 5, 1000, 2000));
	assert_ok(lsp_hash_cache_store(index, "quake", &hashes, false, &err));
	assert_ok(lsp_hash_cache_store(index, "quake", &hashes, true, &err));
	lsp_file_hashes_done(&hashes);
	assert_ok(lsp_hash_cache_load(index, "quake", &hashes, &err));
	assert_int_equal(hashes.count, 1);
	lsp_file_hashes_done(&hashes);
	lsp_library_index_close(index);
}

static void a_game_without_files_has_an_empty_table(void **state)
{
	struct lsp_library_index *index = open_index(*state);
	_cleanup_file_hashes_ struct lsp_file_hashes hashes = {0};
	assert_ok(lsp_hash_cache_load(index, "never", &hashes, &err));
	assert_int_equal(hashes.count, 0);
	lsp_library_index_close(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_file_is_found_only_by_the_same_path_size_and_times),
		FIXTURE_TEST(a_time_of_change_that_means_nothing_is_not_compared),
		FIXTURE_TEST(times_ten_years_off_are_kept_exactly),
		FIXTURE_TEST(twenty_thousand_files_with_layers_survive_a_restart),
		FIXTURE_TEST(files_that_are_gone_are_dropped_at_the_next_store),
		FIXTURE_TEST(a_game_without_files_has_an_empty_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
