/* From a folder to a manifest: what is read, what is vouched for, what is refused. */
#include "content/hasher.h"

#include "fixture.h"
#include "task/cancel.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (128u << 10)

struct folder {
	struct fixture fixture;
	int stored, looked_up;
	const struct lsp_manifest *known; /* what the cache knows */
	struct lsp_listing listing;
};

static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof *folder);
	fixture_init(&folder->fixture);
	int fd = folder->fixture.fd;
	fixture_text(fd, "version.ini", "20240101");
	fixture_file(fd, "data/big.pak", 1, 3 * PIECE + 100);
	fixture_file(fd, "data/maps/a", 2, 5000);
	fixture_text(fd, "empty", "");
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;
	lsp_manifest_unref(folder->known);
	lsp_listing_done(&folder->listing);
	fixture_done(&folder->fixture);
	free(folder);
	return 0;
}

static int run(struct folder *folder, const struct lsp_hasher_options *options,
	struct lsp_hashed *hashed, struct lsp_error *err)
{
	return lsp_hasher_run(folder->fixture.fd, "quake", options, NULL, hashed, err);
}

static const struct lsp_hasher_options later = {.clock = &fixture_clock};

/* The bytes of LSP's known-answer tree, whose hash libtorrent computed
 * (tests/unit/wire/manifest.c). */
static void put_known(int fd, const char *path, unsigned seed, uint32_t size)
{
	uint8_t *bytes = malloc(size + 1);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((i * 7) ^ ((i >> 8) * 13) ^ seed);
	fixture_put(fd, path, bytes, size);
	free(bytes);
}

static void a_folder_has_the_info_hash_that_libtorrent_computes(void **state)
{
	struct fixture known;
	fixture_init(&known);
	static const struct {
		const char *path;
		uint32_t size;
	} files[] = {{"version.ini", 9}, {"empty", 0}, {"one", 1}, {"leaf-1", 16383},
		{"leaf", 16384}, {"leaf+1", 16385}, {"piece-1", PIECE - 1}, {"piece", PIECE},
		{"piece+1", PIECE + 1}, {"pieces2", 2 * PIECE}, {"data/big.pak", 5 * PIECE + 777},
		{"data/a.b", 20000}, {"data/a/b", 40000}, {"Ägypten/maß.map", 49152},
		{"run.sh", 33}};
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(files); i++)
		put_known(known.fd, files[i].path, i + 1, files[i].size);
	int fd = fixture_open(known.fd, "run.sh");
	OK(lsp_fs_chmod(fd, 0755, "run.sh", &why));
	close(fd);
	fixture_file(known.fd, "local/save", 1, 10);
	fixture_file(known.fd, "local.kept-2024-01-01/save", 1, 10);
	fixture_file(known.fd, ".lanspread/stage/x", 1, 10);
	_cleanup_manifest_ const struct lsp_manifest *manifest = fixture_hash(known.fd, "quake");
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest->content_id, hex);
	assert_string_equal(
		hex, "eb1ea97d9af2f21f25b956af616650d9edb2fc9d79cd5b6e68415131fe94fc3f");
	fixture_done(&known);
}

/* ---- The cache ---- */

static int lookup(void *argument, const char *path, const struct lsp_file_stamp *stamp,
	uint32_t piece_length, struct lsp_hash *ret_root, struct lsp_hash *ret_layer)
{
	struct folder *folder = argument;
	folder->looked_up++;
	if (!folder->known || folder->known->piece_length != piece_length)
		return 0;
	const struct lsp_manifest_file *file = lsp_manifest_find(folder->known, path);
	for (size_t i = 0; file && i < folder->listing.count; i++) {
		if (strcmp(folder->listing.files[i].path, path) != 0 ||
			!lsp_file_stamp_equal(&folder->listing.files[i].stamp, stamp))
			continue;
		*ret_root = file->root;
		if (file->chunk_count > 1)
			memcpy(ret_layer, file->layer, file->chunk_count * sizeof *ret_layer);
		return 1;
	}
	return 0;
}

static void store(void *argument, const char *path, const struct lsp_file_stamp *stamp,
	uint32_t piece_length, const struct lsp_hash *root, const struct lsp_hash *layer,
	size_t layer_count)
{
	struct folder *folder = argument;
	folder->stored++;
	assert_int_equal(layer_count, strcmp(path, "data/big.pak") == 0 ? 4 : 0);
}

static void learn(struct folder *folder, struct lsp_hashed *hashed)
{
	lsp_manifest_unref(folder->known);
	lsp_listing_done(&folder->listing);
	folder->known = lsp_manifest_ref(hashed->manifest);
	folder->listing = hashed->listing;
	hashed->listing = (struct lsp_listing){0};
}

static void what_the_cache_vouches_for_is_not_read(void **state)
{
	struct folder *folder = *state;
	struct lsp_hash_cache_hooks hooks = {lookup, store, folder};
	struct lsp_hasher_options options = {.cache = &hooks, .clock = &fixture_clock};
	struct lsp_hashed first = {0}, second = {0}, third = {0};
	OK(run(folder, &options, &first, &why));
	assert_int_equal(folder->stored, 3); /* the empty one needs no cache */
	assert_int_equal(first.bytes_read, first.manifest->total_size);
	assert_int_equal(first.settles_at, 0);
	learn(folder, &first);
	OK(run(folder, &options, &second, &why));
	assert_int_equal(second.bytes_read, 0);
	assert_memory_equal(&second.manifest->content_id, &first.manifest->content_id, 32);
	fixture_file(folder->fixture.fd, "data/maps/a", 3, 5000);
	OK(run(folder, &options, &third, &why));
	assert_int_equal(third.bytes_read, 5000);
	lsp_hashed_done(&first);
	lsp_hashed_done(&second);
	lsp_hashed_done(&third);
}

static void files_younger_than_two_seconds_are_not_vouched_for(void **state)
{
	struct folder *folder = *state;
	struct lsp_hash_cache_hooks hooks = {lookup, store, folder};
	struct lsp_hasher_options options = {
		.cache = &hooks}; /* the machine's clock: just written */
	struct lsp_hashed hashed = {0};
	OK(run(folder, &options, &hashed, &why));
	assert_int_equal(folder->stored, 0);
	assert_true(hashed.settles_at > 0);
	lsp_hashed_done(&hashed);
}

static uint64_t years_before(const struct lsp_clock *clock)
{
	return lsp_wall(lsp_clock_system) - UINT64_C(10) * 365 * 86400 * LSP_SECOND;
}

static void a_clock_ten_years_behind_does_not_make_all_files_young(void **state)
{
	struct folder *folder = *state;
	static const struct lsp_clock behind = {.wall = years_before};
	struct lsp_hash_cache_hooks hooks = {lookup, store, folder};
	struct lsp_hasher_options options = {.cache = &hooks, .clock = &behind};
	struct lsp_hashed hashed = {0};
	OK(run(folder, &options, &hashed, &why));
	assert_int_equal(hashed.settles_at, 0);
	assert_int_equal(folder->stored, 3);
	lsp_hashed_done(&hashed);
}

/* ---- Progress, cancel, change ---- */

struct watch {
	struct folder *folder;
	struct lsp_cancel *token;
	uint64_t last, total;
	int calls;
	int change_until; /* rewrites a file at each call below this */
};

static void watch_progress(void *argument, uint64_t done, uint64_t total)
{
	struct watch *watch = argument;
	assert_true(done >= watch->last || watch->change_until);
	watch->last = done;
	watch->total = total;
	watch->calls++;
	if (watch->token)
		lsp_cancel_request(watch->token, LSP_CANCEL_USER, "enough");
	if (watch->calls <= watch->change_until)
		fixture_file(watch->folder->fixture.fd, "zz", (uint64_t)watch->calls,
			100 + (size_t)watch->calls);
}

static void progress_ends_at_the_total(void **state)
{
	struct folder *folder = *state;
	struct watch watch = {.folder = folder};
	fixture_file(folder->fixture.fd, "huge", 4, 5u << 20);
	struct lsp_hasher_options options = {
		.clock = &fixture_clock, .progress = watch_progress, .progress_argument = &watch};
	struct lsp_hashed hashed = {0};
	OK(run(folder, &options, &hashed, &why));
	assert_int_equal(watch.last, hashed.manifest->total_size);
	assert_int_equal(watch.total, hashed.manifest->total_size);
	assert_true(watch.calls >= 5 && watch.calls <= 7);
	lsp_hashed_done(&hashed);
}

static void cancel_ends_it_within_a_mebibyte(void **state)
{
	struct folder *folder = *state;
	struct watch watch = {.folder = folder};
	fixture_file(folder->fixture.fd, "huge", 4, 8u << 20);
	OK(lsp_cancel_new(NULL, &watch.token, &why));
	struct lsp_hasher_options options = {
		.clock = &fixture_clock, .progress = watch_progress, .progress_argument = &watch};
	struct lsp_hashed hashed = {0};
	struct lsp_error err = {0};
	assert_int_equal(
		lsp_hasher_run(folder->fixture.fd, "quake", &options, watch.token, &hashed, &err),
		-LSP_E_CANCELLED);
	assert_int_equal(watch.calls, 1);
	lsp_cancel_unref(watch.token);
}

static void a_file_that_changes_meanwhile_is_hashed_again_but_not_for_ever(void **state)
{
	struct folder *folder = *state;
	struct watch watch = {.folder = folder, .change_until = 1};
	fixture_file(
		folder->fixture.fd, "huge", 4, 3u << 20); /* so that there is progress before zz */
	fixture_file(folder->fixture.fd, "zz", 5, 100);
	struct lsp_hasher_options options = {
		.clock = &fixture_clock, .progress = watch_progress, .progress_argument = &watch};
	struct lsp_hashed hashed = {0};
	OK(run(folder, &options, &hashed, &why));
	fixture_assert_content(folder->fixture.fd, hashed.manifest);
	lsp_hashed_done(&hashed);
	struct watch restless = {.folder = folder, .change_until = 1000};
	options.progress_argument = &restless;
	struct lsp_error err = {0};
	assert_int_equal(run(folder, &options, &hashed, &err), -LSP_E_BUSY);
	assert_non_null(strstr(err.message, "zz"));
}

/* ---- What is refused ---- */

static void assert_refused(struct folder *folder, int code, const char *says)
{
	struct lsp_hashed hashed = {0};
	struct lsp_error err = {0};
	assert_int_equal(run(folder, &later, &hashed, &err), -code);
	if (!strstr(err.message, says))
		fail_msg("%s", err.message);
}

static void symlinks_and_special_files_are_refused_and_never_block(void **state)
{
	struct folder *folder = *state;
	int fd = folder->fixture.fd;
	OK(lsp_fs_symlink_below(fd, "data/link", "/etc/passwd", &why));
	assert_refused(folder, LSP_E_UNSUPPORTED, "data/link");
	OK(lsp_fs_unlink_below(fd, "data/link", &why));
	assert_int_equal(mkfifoat(fd, "data/fifo", 0600), 0);
	assert_refused(folder, LSP_E_UNSUPPORTED, "data/fifo");
	OK(lsp_fs_unlink_below(fd, "data/fifo", &why));
	OK(lsp_fs_symlink_below(fd, "local", "/tmp", &why)); /* ours: not looked at */
	struct lsp_hashed hashed = {0};
	OK(run(folder, &later, &hashed, &why));
	lsp_hashed_done(&hashed);
}

static void names_that_no_manifest_may_have_are_refused_by_name(void **state)
{
	struct folder *folder = *state;
	static const char *const bad[] = {
		"a:b", "trailing.", "data/AUX", "Local", "A\xcc\x88", "x\xff"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		fixture_text(folder->fixture.fd, bad[i], "x");
		const char *slash = strrchr(bad[i], '/');
		const char *name = slash ? slash + 1 : bad[i];
		assert_refused(folder, LSP_E_INVALID, strchr(name, '\xff') ? "UTF-8" : name);
		OK(lsp_fs_unlink_below(folder->fixture.fd, bad[i], &why));
	}
	fixture_text(folder->fixture.fd, "EMPTY", "");
	assert_refused(folder, LSP_E_INVALID, "case");
}

static int refuse_list(const char *path, void *argument)
{
	return strcmp(path, ".lanspread/executable") == 0 ? *(const int *)argument : 0;
}

/* By its modes the folder would be another content. */
static void a_list_of_executables_that_cannot_be_read_is_not_passed_over(void **state)
{
	struct folder *folder = *state;
	static const int errors[] = {EIO, EMFILE, EACCES};
	fixture_text(folder->fixture.fd, ".lanspread/executable", "data/big.pak\n");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(errors); i++) {
		struct lsp_hashed hashed = {0};
		struct lsp_error err = {0};
		const struct lsp_fs_hooks hooks = {
			.before_read = refuse_list, .argument = (void *)(uintptr_t)&errors[i]};
		lsp_fs_set_hooks(&hooks);
		int r = run(folder, &later, &hashed, &err);
		lsp_fs_set_hooks(NULL);
		assert_true(r < 0);
		assert_int_equal(err.sys_errno, errors[i]);
		assert_non_null(strstr(err.message, ".lanspread/executable"));
	}
	OK(lsp_fs_remove_tree_below(folder->fixture.fd, ".lanspread", &why));
	fixture_text(folder->fixture.fd, ".lanspread", "no folder, so no list");
	lsp_manifest_unref(fixture_hash(folder->fixture.fd, "quake"));
}

static void an_empty_folder_is_no_game(void **state)
{
	struct folder *folder = *state;
	struct fixture empty;
	fixture_init(&empty);
	OK(lsp_fs_make_dirs_below(empty.fd, "a/b", &why));
	fixture_file(empty.fd, "local/x", 1, 5);
	struct lsp_hashed hashed = {0};
	assert_int_equal(
		lsp_hasher_run(empty.fd, "x", NULL, NULL, &hashed, NULL), -LSP_E_NOT_FOUND);
	fixture_done(&empty);
	(void)folder;
}

static void a_chunk_is_checked_in_place(void **state)
{
	struct folder *folder = *state;
	_cleanup_manifest_ const struct lsp_manifest *manifest =
		fixture_hash(folder->fixture.fd, "quake");
	uint32_t first = lsp_manifest_find(manifest, "data/big.pak")->first_chunk;
	struct lsp_chunk chunk;
	int fd = fixture_open(folder->fixture.fd, "data/big.pak");
	for (uint32_t i = 0; i < 4; i++) {
		lsp_manifest_chunk(manifest, first + i, &chunk);
		OK(lsp_hasher_check_chunk(fd, &chunk, &why));
	}
	assert_int_equal(pwrite(fd, "!", 1, 3 * PIECE + 99), 1);
	assert_int_equal(lsp_hasher_check_chunk(fd, &chunk, NULL), -LSP_E_CORRUPT);
	assert_int_equal(ftruncate(fd, 3 * PIECE), 0);
	assert_int_equal(lsp_hasher_check_chunk(fd, &chunk, NULL), -LSP_E_CORRUPT);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_has_the_info_hash_that_libtorrent_computes),
		TEST(what_the_cache_vouches_for_is_not_read),
		TEST(files_younger_than_two_seconds_are_not_vouched_for),
		TEST(a_clock_ten_years_behind_does_not_make_all_files_young),
		TEST(progress_ends_at_the_total),
		TEST(cancel_ends_it_within_a_mebibyte),
		TEST(a_file_that_changes_meanwhile_is_hashed_again_but_not_for_ever),
		TEST(symlinks_and_special_files_are_refused_and_never_block),
		TEST(names_that_no_manifest_may_have_are_refused_by_name),
		TEST(a_list_of_executables_that_cannot_be_read_is_not_passed_over),
		TEST(an_empty_folder_is_no_game),
		TEST(a_chunk_is_checked_in_place),
	};
	return cmocka_run_group_tests_name("hasher", tests, NULL, NULL);
}
