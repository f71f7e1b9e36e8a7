/* A download on disk: what counts, what survives, what is never overwritten. */
#include "content/stage.h"

#include "content/redo.h"
#include "content/stage_map.h"
#include "fixture.h"
#include "task/cancel.h"
#include "wire/merkle.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define PIECE (128u << 10)

/* A game to download (`from`) and a folder to download it into (`to`). */
struct party {
	struct fixture from;
	struct fixture to;
	const struct lsp_manifest *manifest;
};

static void make_game(int fd, const char *version)
{
	fixture_text(fd, "version.ini", version);
	fixture_file(fd, "data/big.pak", 1, 5 * PIECE + 12345);
	fixture_file(fd, "data/exact.pak", 2, 2 * PIECE);
	fixture_file(fd, "data/maps/Ägypten.map", 3, 40000);
	fixture_text(fd, "empty", "");
	fixture_text(fd, "start.sh", "#!/bin/sh\n");
	int script = fixture_open(fd, "start.sh");
	OK(lsp_fs_chmod(script, 0755, "start.sh", &why));
	close(script);
}

static int setup(void **state)
{
	struct party *party = calloc(1, sizeof *party);
	fixture_init(&party->from);
	fixture_init(&party->to);
	make_game(party->from.fd, "20240101\n");
	party->manifest = fixture_hash(party->from.fd, "quake");
	*state = party;
	return 0;
}

static int teardown(void **state)
{
	struct party *party = *state;
	lsp_manifest_unref(party->manifest);
	fixture_done(&party->from);
	fixture_done(&party->to);
	free(party);
	return 0;
}

static struct lsp_stage *open_stage(struct party *party)
{
	struct lsp_stage *stage = NULL;
	OK(lsp_stage_open(party->to.fd, party->manifest, &stage, &why));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	return stage;
}

static uint8_t *chunk_bytes(struct party *party, uint32_t chunk, struct lsp_chunk *c)
{
	lsp_manifest_chunk(party->manifest, chunk, c);
	uint8_t *bytes = malloc(c->size);
	int fd = fixture_open(party->from.fd, party->manifest->files[c->file].path);
	assert_int_equal(pread(fd, bytes, c->size, (off_t)c->offset), c->size);
	close(fd);
	return bytes;
}

/* In pieces of an awkward size. */
static int write_bytes(
	struct lsp_stage_writer *writer, const uint8_t *bytes, size_t size, struct lsp_error *err)
{
	int r = 0;
	for (size_t at = 0; at < size && r == 0; at += 10007)
		r = lsp_stage_writer_write(
			writer, bytes + at, LSP_MIN((size_t)10007, size - at), err);
	return r;
}

static void fetch(struct party *party, struct lsp_stage *stage, uint32_t chunk)
{
	struct lsp_chunk c;
	uint8_t *bytes = chunk_bytes(party, chunk, &c);
	struct lsp_stage_writer *writer = NULL;
	OK(lsp_stage_writer_new(stage, chunk, &writer, &why));
	OK(write_bytes(writer, bytes, c.size, &why));
	OK(lsp_stage_writer_finish(writer, &why));
	lsp_stage_writer_free(writer);
	free(bytes);
}

static void fetch_rest(struct party *party, struct lsp_stage *stage)
{
	for (uint32_t i = 0; i < party->manifest->chunk_count; i++) {
		if (!lsp_stage_has(stage, i))
			fetch(party, stage, i);
	}
}

static uint32_t chunks_left(struct lsp_stage *stage)
{
	uint64_t bytes;
	uint32_t chunks;
	lsp_stage_left(stage, &bytes, &chunks);
	return chunks;
}

/* ---- The way of a download ---- */

static void a_whole_download_becomes_the_game_and_leaves_no_stage(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	uint64_t bytes;
	uint32_t chunks;
	lsp_stage_left(stage, &bytes, &chunks);
	assert_int_equal(bytes, party->manifest->total_size);
	fetch_rest(party, stage);
	assert_false(lsp_fs_exists_below(party->to.fd, "version.ini"));
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
	assert_false(lsp_fs_exists_below(party->to.fd, LSP_STAGE_FOLDER));
	assert_false(lsp_fs_exists_below(party->to.fd, ".lanspread/executable"));
	const struct lsp_manifest *found = NULL;
	assert_int_equal(lsp_stage_find(party->to.fd, &found, NULL), -LSP_E_NOT_FOUND);
}

/* As exFAT and NTFS do: every file of the stage shows the same mode. */
static void a_disk_without_modes_keeps_the_content_id_by_a_list(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch_rest(party, stage);
	static const char *const files[] = {"version.ini", "data/big.pak", "data/exact.pak",
		"data/maps/Ägypten.map", "empty", "start.sh"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(files); i++) {
		char path[128];
		snprintf(path, sizeof path, LSP_STAGE_FOLDER "/files/%s", files[i]);
		int fd = fixture_open(party->to.fd, path);
		OK(lsp_fs_chmod(fd, 0755, path, &why));
		close(fd);
	}
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	assert_true(lsp_fs_exists_below(party->to.fd, ".lanspread/executable"));
	fixture_assert_content(party->to.fd, party->manifest);
}

static void an_incomplete_download_does_not_commit(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 0);
	struct lsp_error err = {0};
	assert_int_equal(lsp_stage_commit(stage, NULL, &err), -LSP_E_INVALID);
	lsp_stage_unref(stage);
}

static void what_was_verified_counts_after_a_kill_without_reading_it(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 1);
	fetch(party, stage, party->manifest->chunk_count - 1);
	lsp_stage_unref(stage); /* no sync, no goodbye: as after SIGKILL */
	const struct lsp_manifest *found = NULL;
	OK(lsp_stage_find(party->to.fd, &found, &why));
	assert_memory_equal(&found->content_id, &party->manifest->content_id, 32);
	lsp_manifest_unref(found);
	stage = NULL;
	OK(lsp_stage_open(party->to.fd, party->manifest, &stage, &why));
	assert_int_equal(chunks_left(stage), party->manifest->chunk_count - 2);
	assert_true(lsp_stage_has(stage, 1));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	fetch_rest(party, stage);
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
}

/* Rewrites `chunks` as if the machine had been started anew since. */
static void pretend_another_boot(struct party *party, struct lsp_stage *stage)
{
	struct lsp_bitmap map = {0};
	int stage_fd, fd;
	OK(lsp_bitmap_init(&map, party->manifest->chunk_count, &why));
	lsp_stage_chunks_copy(stage, &map);
	OK(lsp_fs_open_dir_below(party->to.fd, LSP_STAGE_FOLDER, &stage_fd, &why));
	OK(lsp_stage_map_create(stage_fd, &party->manifest->content_id,
		"00000000-0000-0000-0000-000000000000", &map, &fd, &why));
	close(fd);
	close(stage_fd);
	lsp_bitmap_done(&map);
}

static void after_a_power_cut_synced_chunks_count_and_the_rest_is_hashed_first(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 0);
	OK(lsp_stage_sync(stage, &why));
	assert_int_equal(lsp_stage_unsynced(stage), 0);
	fetch(party, stage, 1);
	fetch(party, stage, 2);
	pretend_another_boot(party, stage);
	lsp_stage_unref(stage);
	int fd = fixture_open(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak");
	assert_int_equal(pwrite(fd, "lost", 4, 2 * PIECE + 5), 4); /* in chunk 2 */
	close(fd);

	OK(lsp_stage_open(party->to.fd, party->manifest, &stage, &why));
	assert_true(lsp_stage_has(stage, 0));
	assert_false(lsp_stage_has(stage, 1));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	assert_true(lsp_stage_has(stage, 1));
	assert_false(lsp_stage_has(stage, 2));
	lsp_stage_unref(stage);
}

static void count_sync(const struct lsp_fs_event *event, void *argument)
{
	struct stat st, *big = argument; /* whose st_nlink counts */
	if (event->call == LSP_FS_SYNC && fstat(event->fd, &st) == 0)
		big->st_nlink += st.st_ino == big->st_ino;
}

static void assert_sync_is_of_big(struct party *party, struct lsp_stage *stage)
{
	struct stat big;
	const struct lsp_fs_hooks hooks = {.after = count_sync, .argument = &big};
	OK(lsp_fs_stat_below(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak", &big, &why));
	big.st_nlink = 0;
	lsp_fs_set_hooks(&hooks);
	OK(lsp_stage_sync(stage, &why));
	lsp_fs_set_hooks(NULL);
	assert_int_equal(big.st_nlink, 1);
}

/* Whether it counts by the map, or because it was hashed. */
static void what_was_written_before_a_kill_is_synced_before_it_is_called_so(void **state)
{
	struct party *party = *state;
	for (uint32_t damaged = 0; damaged < 2; damaged++) {
		struct lsp_stage *stage = open_stage(party);
		fetch(party, stage, damaged);
		lsp_stage_unref(stage); /* as after SIGKILL */
		int fd = fixture_open(party->to.fd, LSP_STAGE_FOLDER "/chunks");
		assert_true(!damaged || pwrite(fd, "\xff", 1, 128) == 1);
		close(fd);
		stage = open_stage(party);
		assert_true(lsp_stage_has(stage, damaged));
		fetch(party, stage, party->manifest->chunk_count - 1 - damaged);
		assert_sync_is_of_big(party, stage);
		lsp_stage_unref(stage);
	}
}

static void what_a_fill_finds_in_its_place_is_synced_before_it_is_called_so(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_stage_writer *writer = NULL;
	struct lsp_stage_fill *fill = NULL;
	struct lsp_hash leaves[PIECE / LSP_LEAF_SIZE];
	struct lsp_chunk c;
	uint8_t *bytes = chunk_bytes(party, 0, &c);
	OK(lsp_stage_writer_new(stage, 0, &writer, &why));
	OK(write_bytes(writer, bytes, c.size, &why));
	lsp_stage_writer_free(writer);
	lsp_stage_unref(stage); /* killed with all of it written */
	stage = open_stage(party);
	lsp_merkle_hash_leaves(bytes, c.size, leaves);
	OK(lsp_stage_fill_new(stage, 0, leaves, c.leaf_count, &fill, &why));
	OK(lsp_stage_fill_finish(fill, &why));
	lsp_stage_fill_free(fill);
	assert_sync_is_of_big(party, stage);
	lsp_stage_unref(stage);
	free(bytes);
}

static void a_damaged_map_means_that_everything_is_hashed(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 0);
	fetch(party, stage, 3);
	lsp_stage_unref(stage);
	int fd = fixture_open(party->to.fd, LSP_STAGE_FOLDER "/chunks");
	uint8_t byte = 0xff; /* one bit pattern without its complement */
	assert_int_equal(pwrite(fd, &byte, 1, 128), 1);
	close(fd);
	OK(lsp_stage_open(party->to.fd, party->manifest, &stage, &why));
	assert_false(lsp_stage_has(stage, 0));
	OK(lsp_stage_prepare(stage, NULL, NULL, NULL, &why));
	assert_true(lsp_stage_has(stage, 0));
	assert_true(lsp_stage_has(stage, 3));
	assert_int_equal(chunks_left(stage), party->manifest->chunk_count - 2);
	lsp_stage_unref(stage);
}

static void a_map_without_its_files_counts_for_nothing(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 0);
	lsp_stage_unref(stage);
	OK(lsp_fs_remove_tree_below(party->to.fd, LSP_STAGE_FOLDER "/files", &why));
	stage = open_stage(party);
	assert_int_equal(chunks_left(stage), party->manifest->chunk_count);
	lsp_stage_unref(stage);
}

static void another_content_replaces_what_lay_in_the_stage(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	fetch(party, stage, 0);
	lsp_stage_unref(stage);
	fixture_text(party->from.fd, "version.ini", "20240202\n");
	lsp_manifest_unref(party->manifest);
	party->manifest = fixture_hash(party->from.fd, "quake");
	stage = open_stage(party);
	assert_int_equal(chunks_left(stage), party->manifest->chunk_count);
	fetch_rest(party, stage);
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
}

/* ---- Writers
 * ------------------------------------------------------------------------------------------------
 */

static void wrong_bytes_never_count(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_chunk c;
	struct lsp_error err = {0};
	uint8_t *bytes = chunk_bytes(party, 0, &c);
	struct lsp_stage_writer *writer = NULL;
	bytes[c.size - 1] ^= 1;
	OK(lsp_stage_writer_new(stage, 0, &writer, &why));
	OK(write_bytes(writer, bytes, c.size, &why));
	assert_int_equal(lsp_stage_writer_finish(writer, &err), -LSP_E_CORRUPT);
	lsp_stage_writer_free(writer);
	assert_false(lsp_stage_has(stage, 0));
	uint8_t byte;
	assert_int_equal(lsp_stage_read(stage, 0, 0, &byte, 1, &err), -LSP_E_NOT_FOUND);
	fetch(party, stage, 0);
	assert_true(lsp_stage_has(stage, 0));
	free(bytes);
	lsp_stage_unref(stage);
}

static void too_many_and_too_few_bytes_are_refused(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_chunk c;
	struct lsp_error err = {0};
	uint8_t *bytes = chunk_bytes(party, 0, &c);
	struct lsp_stage_writer *writer = NULL;
	OK(lsp_stage_writer_new(stage, 0, &writer, &why));
	OK(lsp_stage_writer_write(writer, bytes, c.size - 1, &why));
	assert_int_equal(lsp_stage_writer_write(writer, bytes, 2, &err), -LSP_E_PROTOCOL);
	lsp_stage_writer_free(writer);
	writer = NULL;
	OK(lsp_stage_writer_new(stage, 0, &writer, &why));
	OK(lsp_stage_writer_write(writer, bytes, c.size - 1, &why));
	assert_int_equal(lsp_stage_writer_finish(writer, &err), -LSP_E_PROTOCOL);
	lsp_stage_writer_free(writer);
	free(bytes);
	lsp_stage_unref(stage);
}

static void the_second_writer_of_a_chunk_may_win_and_the_first_then_writes_nothing(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_chunk c;
	struct lsp_error err = {0};
	uint8_t *bytes = chunk_bytes(party, 1, &c);
	uint8_t *garbage = calloc(1, c.size);
	struct lsp_stage_writer *first = NULL, *second = NULL, *third = NULL;
	OK(lsp_stage_writer_new(stage, 1, &first, &why));
	OK(lsp_stage_writer_write(first, garbage, 5000, &why));
	OK(lsp_stage_writer_new(stage, 1, &second, &why));
	assert_int_equal(lsp_stage_writer_new(stage, 1, &third, &err), -LSP_E_BUSY);
	OK(write_bytes(second, bytes, c.size, &why));
	OK(lsp_stage_writer_finish(second, &why));
	assert_true(lsp_stage_has(stage, 1));
	assert_int_equal(lsp_stage_writer_write(first, garbage, 5000, &err), -LSP_E_EXISTS);
	lsp_stage_writer_free(first);
	lsp_stage_writer_free(second);
	assert_int_equal(lsp_stage_writer_new(stage, 1, &third, &err), -LSP_E_EXISTS);
	uint8_t *read = malloc(c.size);
	OK(lsp_stage_read(stage, 1, 0, read, c.size, &why));
	assert_memory_equal(read, bytes, c.size);
	free(read);
	free(garbage);
	free(bytes);
	lsp_stage_unref(stage);
}

static void the_second_writer_is_told_when_the_first_was_quicker(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_chunk c;
	struct lsp_error err = {0};
	uint8_t *bytes = chunk_bytes(party, 1, &c);
	struct lsp_stage_writer *first = NULL, *second = NULL;
	OK(lsp_stage_writer_new(stage, 1, &first, &why));
	OK(lsp_stage_writer_new(stage, 1, &second, &why));
	OK(write_bytes(second, bytes, c.size, &why));
	OK(write_bytes(first, bytes, c.size, &why));
	OK(lsp_stage_writer_finish(first, &why));
	assert_int_equal(lsp_stage_writer_finish(second, &err), -LSP_E_EXISTS);
	lsp_stage_writer_free(first);
	lsp_stage_writer_free(second);
	free(bytes);
	lsp_stage_unref(stage);
}

struct worker {
	struct party *party;
	struct lsp_stage *stage;
	uint32_t from, step;
	pthread_t thread;
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	for (uint32_t i = worker->from; i < worker->party->manifest->chunk_count; i += worker->step)
		fetch(worker->party, worker->stage, i);
	return NULL;
}

static void threads_write_different_chunks_at_once_and_every_bit_reaches_the_disk(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct worker workers[4];
	for (uint32_t i = 0; i < 4; i++) {
		workers[i] = (struct worker){party, stage, i, 4, 0};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++)
		pthread_join(workers[i].thread, NULL);
	assert_int_equal(chunks_left(stage), 0);
	lsp_stage_unref(stage);
	OK(lsp_stage_open(party->to.fd, party->manifest, &stage, &why));
	assert_int_equal(chunks_left(stage), 0);
	lsp_stage_unref(stage);
}

static void verified_chunks_are_read_while_the_download_goes_on(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	for (uint32_t i = 0; i < party->manifest->chunk_count; i++) {
		struct lsp_chunk c;
		fetch(party, stage, i);
		uint8_t *bytes = chunk_bytes(party, i, &c);
		uint8_t *read = malloc(c.size);
		struct lsp_error err = {0};
		OK(lsp_stage_read(stage, i, 1, read, c.size - 1, &why));
		assert_memory_equal(read, bytes + 1, c.size - 1);
		memset(read, 0, c.size);
		int r = lsp_stage_read_now(stage, i, 1, read, c.size - 1, &err);
		assert_true(r == 0 || r == -LSP_E_BUSY); /* as the filesystem can */
		if (r == 0)
			assert_memory_equal(read, bytes + 1, c.size - 1);
		assert_int_equal(lsp_stage_read(stage, i, 1, read, c.size, &err), -LSP_E_INVALID);
		free(read);
		free(bytes);
	}
	lsp_stage_unref(stage);
}

/* ---- Fills
 * ----------------------------------------------------------------------------------------------------
 */

static void a_fill_takes_single_leaves_and_refuses_wrong_ones(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	struct lsp_chunk c;
	uint8_t *bytes = chunk_bytes(party, 5, &c); /* the short last piece of the big file */
	struct lsp_hash leaves[8] = {0};
	lsp_merkle_hash_leaves(bytes, c.size, leaves);
	struct lsp_stage_fill *fill = NULL;
	struct lsp_hash good = leaves[0];
	leaves[0].bytes[3] ^= 1;
	assert_int_equal(
		lsp_stage_fill_new(stage, 5, leaves, c.leaf_count, &fill, &err), -LSP_E_CORRUPT);
	leaves[0] = good;
	assert_int_equal(lsp_stage_fill_new(stage, 5, leaves, c.leaf_count + 1, &fill, &err),
		-LSP_E_CORRUPT);
	OK(lsp_stage_fill_new(stage, 5, leaves, c.leaf_count, &fill, &why));
	assert_int_equal(lsp_stage_fill_leaves(fill)->set, 0);
	assert_int_equal(lsp_stage_fill_finish(fill, &err), -LSP_E_PROTOCOL);
	for (uint32_t i = 0; i < c.leaf_count; i++) {
		size_t at = (size_t)i * LSP_LEAF_SIZE;
		size_t size = LSP_MIN((size_t)LSP_LEAF_SIZE, c.size - at);
		bytes[at] ^= 1;
		assert_int_equal(
			lsp_stage_fill_write(fill, i, bytes + at, size, &err), -LSP_E_CORRUPT);
		bytes[at] ^= 1;
		assert_int_equal(
			lsp_stage_fill_write(fill, i, bytes + at, size - 1, &err), -LSP_E_PROTOCOL);
		OK(lsp_stage_fill_write(fill, i, bytes + at, size, &why));
	}
	OK(lsp_stage_fill_finish(fill, &why));
	lsp_stage_fill_free(fill);
	assert_true(lsp_stage_has(stage, 5));
	free(bytes);
	lsp_stage_unref(stage);
}

/* ---- Trouble with the disk ---- */

struct trouble {
	int countdown; /* of calls of that kind; the one that makes it 0 fails, and all after */
	enum lsp_fs_call call;
	int sys_errno;
	int failures;
};

static int fail_call(const struct lsp_fs_event *event, void *argument)
{
	struct trouble *trouble = argument;
	if (event->call != trouble->call || --trouble->countdown > 0)
		return 0;
	trouble->failures++;
	return trouble->sys_errno;
}

static void no_space_keeps_what_is_there_and_goes_on_once_there_is_some(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	struct lsp_chunk c;
	uint8_t *bytes = chunk_bytes(party, 1, &c);
	fetch(party, stage, 0);
	struct trouble trouble = {.call = LSP_FS_WRITE, .sys_errno = ENOSPC, .countdown = 3};
	const struct lsp_fs_hooks hooks = {.before = fail_call, .argument = &trouble};
	lsp_fs_set_hooks(&hooks);
	struct lsp_stage_writer *writer = NULL;
	assert_int_equal(lsp_stage_writer_new(stage, 1, &writer, &err), 0);
	assert_int_equal(write_bytes(writer, bytes, c.size, &err), -LSP_E_NO_SPACE);
	lsp_fs_set_hooks(NULL);
	assert_non_null(strstr(err.message, "big.pak"));
	lsp_stage_writer_free(writer);
	assert_true(lsp_stage_has(stage, 0));
	fetch_rest(party, stage);
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
	free(bytes);
}

static void no_space_at_any_write_costs_only_that_chunk(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	int failures = 0;
	for (int n = 1; chunks_left(stage); n++) {
		struct trouble trouble = {
			.call = LSP_FS_WRITE, .sys_errno = ENOSPC, .countdown = n};
		const struct lsp_fs_hooks hooks = {.before = fail_call, .argument = &trouble};
		uint32_t chunk = 0;
		while (lsp_stage_has(stage, chunk))
			chunk++;
		struct lsp_chunk c;
		uint8_t *bytes = chunk_bytes(party, chunk, &c);
		struct lsp_stage_writer *writer = NULL;
		OK(lsp_stage_writer_new(stage, chunk, &writer, &why));
		lsp_fs_set_hooks(&hooks);
		int r = write_bytes(writer, bytes, c.size, &err);
		if (r == 0)
			r = lsp_stage_writer_finish(writer, &err);
		lsp_fs_set_hooks(NULL);
		assert_true(r == 0 || r == -LSP_E_NO_SPACE);
		failures += r < 0;
		lsp_stage_writer_free(writer);
		free(bytes);
	}
	assert_true(failures > 10);
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
}

static void a_failed_sync_ends_the_stage_and_is_not_tried_again(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	fetch(party, stage, 0);
	OK(lsp_stage_sync(stage, &why));
	fetch(party, stage, 1);
	struct trouble trouble = {.call = LSP_FS_SYNC, .sys_errno = EIO, .countdown = 1};
	const struct lsp_fs_hooks hooks = {.before = fail_call, .argument = &trouble};
	lsp_fs_set_hooks(&hooks);
	assert_int_equal(lsp_stage_sync(stage, &err), -LSP_E_IO);
	assert_int_equal(lsp_stage_sync(stage, &err), -LSP_E_IO);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(trouble.failures, 1);
	struct lsp_stage_writer *writer = NULL;
	assert_int_equal(lsp_stage_writer_new(stage, 2, &writer, &err), -LSP_E_IO);
	lsp_stage_unref(stage);
	stage = open_stage(party);
	assert_true(lsp_stage_has(stage, 0));
	lsp_stage_unref(stage);
}

static void a_failure_at_any_call_of_a_commit_leaves_the_download_whole(void **state)
{
	struct party *party = *state;
	static const enum lsp_fs_call calls[] = {
		LSP_FS_RENAME, LSP_FS_MKDIR, LSP_FS_OPEN, LSP_FS_WRITE};
	struct lsp_stage *stage = open_stage(party);
	fetch_rest(party, stage);
	for (size_t k = 0; k < LSP_ARRAY_SIZE(calls); k++) {
		/* One failure, and then a disk that works again: the undo must bring all back. */
		for (int n = 1; n < 4; n++) {
			struct lsp_error err = {0};
			struct trouble trouble = {
				.call = calls[k], .sys_errno = ENOSPC, .countdown = n};
			const struct lsp_fs_hooks hooks = {
				.before = fail_call, .argument = &trouble};
			lsp_fs_set_hooks(&hooks);
			int r = lsp_stage_commit(stage, NULL, &err);
			lsp_fs_set_hooks(NULL);
			if (r == 0) {
				/* The failure hit the cleaning, or there was none. */
				lsp_stage_unref(stage);
				fixture_assert_content(party->to.fd, party->manifest);
				OK(lsp_fs_remove_tree_below(party->to.fd, "data", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, ".lanspread", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "version.ini", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "empty", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "start.sh", &why));
				stage = open_stage(party);
				fetch_rest(party, stage);
				continue;
			}
			/* All failed from the n-th on: the undo could not work either. */
			lsp_stage_unref(stage);
			OK(lsp_redo_recover(party->to.fd, NULL, &why));
			if (lsp_fs_exists_below(party->to.fd, "version.ini"))
				fixture_assert_content(party->to.fd, party->manifest);
			else
				assert_true(lsp_fs_exists_below(
					party->to.fd, LSP_STAGE_FOLDER "/files/version.ini"));
			OK(lsp_redo_clean(party->to.fd, &why));
			if (lsp_fs_exists_below(party->to.fd, "version.ini")) {
				OK(lsp_fs_remove_tree_below(party->to.fd, "data", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "version.ini", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "empty", &why));
				OK(lsp_fs_remove_tree_below(party->to.fd, "start.sh", &why));
			}
			stage = open_stage(party);
			fetch_rest(party, stage);
		}
	}
	OK(lsp_stage_commit(stage, NULL, &why));
	lsp_stage_unref(stage);
	fixture_assert_content(party->to.fd, party->manifest);
}

static void links_in_the_stage_are_not_followed(void **state)
{
	struct party *party = *state;
	struct fixture outside;
	fixture_init(&outside);
	fixture_text(outside.fd, "victim", "precious");
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	char target[128];
	snprintf(target, sizeof target, "%s/victim", outside.path);
	OK(lsp_fs_unlink_below(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak", &why));
	OK(lsp_fs_symlink_below(
		party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak", target, &why));
	struct lsp_stage_writer *writer = NULL;
	assert_int_equal(lsp_stage_writer_new(stage, 0, &writer, &err), -LSP_E_DENIED);
	OK(lsp_fs_unlink_below(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak", &why));
	char place[160];
	snprintf(place, sizeof place, "%s/" LSP_STAGE_FOLDER "/files/data/big.pak", party->to.path);
	assert_int_equal(link(target, place), 0);
	assert_int_equal(lsp_stage_writer_new(stage, 0, &writer, &err), -LSP_E_DENIED);
	assert_int_equal(unlink(place), 0);
	assert_int_equal(mkfifo(place, 0600), 0);
	assert_true(lsp_stage_writer_new(stage, 0, &writer, &err) < 0);
	struct lsp_buffer text = {0};
	OK(lsp_fs_read_file_below(outside.fd, "victim", 100, &text, &why));
	assert_string_equal((char *)text.data, "precious");
	lsp_buffer_done(&text);
	lsp_stage_unref(stage);
	fixture_done(&outside);
}

static void what_another_engine_wrote_counts_once_its_hash_is_right(void **state)
{
	struct party *party = *state;
	struct lsp_stage *stage = open_stage(party);
	struct lsp_error err = {0};
	const struct lsp_manifest_file *big = lsp_manifest_find(party->manifest, "data/big.pak");
	const struct lsp_manifest_file *script = lsp_manifest_find(party->manifest, "start.sh");
	uint32_t chunk = big->first_chunk;
	assert_int_equal(lsp_stage_take_written(stage, chunk, &err), -LSP_E_CORRUPT);
	assert_false(lsp_stage_has(stage, chunk));
	/* A small file that the stage has not made itself. */
	fixture_text(party->to.fd, LSP_STAGE_FOLDER "/files/start.sh", "#!/bin/sh\n");
	OK(lsp_stage_take_written(stage, script->first_chunk, &why));
	assert_true(lsp_stage_has(stage, script->first_chunk));
	struct stat st;
	OK(lsp_fs_stat_below(party->to.fd, LSP_STAGE_FOLDER "/files/start.sh", &st, &why));
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_int_equal(lsp_stage_take_written(stage, script->first_chunk, &err), -LSP_E_EXISTS);
	assert_int_equal(lsp_stage_take_written(stage, UINT32_MAX, &err), -LSP_E_INVALID);
	uint8_t *bytes = fixture_bytes(1, 5 * PIECE + 12345);
	int fd = fixture_open(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak");
	assert_int_equal(pwrite(fd, bytes, PIECE, 0), PIECE);
	close(fd);
	free(bytes);
	OK(lsp_stage_take_written(stage, chunk, &why));
	assert_true(lsp_stage_unsynced(stage) >= PIECE);
	lsp_stage_unref(stage);
	stage = open_stage(party); /* as after a kill: it is in the map */
	assert_true(lsp_stage_has(stage, chunk));
	assert_true(lsp_stage_has(stage, script->first_chunk));
	lsp_stage_unref(stage);
}

static void what_a_killed_engine_wrote_is_found_and_holes_are_not_read(void **state)
{
	struct party *party = *state;
	const struct lsp_manifest_file *big = lsp_manifest_find(party->manifest, "data/big.pak");
	struct lsp_stage *stage = open_stage(party);
	uint8_t *bytes = fixture_bytes(1, 5 * PIECE + 12345);
	int fd = fixture_open(party->to.fd, LSP_STAGE_FOLDER "/files/data/big.pak");
	assert_int_equal(pwrite(fd, bytes + 2 * PIECE, PIECE, 2 * PIECE), PIECE);
	assert_int_equal(pwrite(fd, bytes + 3 * PIECE, PIECE / 2, 3 * PIECE), PIECE / 2);
	close(fd);
	free(bytes);
	OK(lsp_stage_take_all_written(stage, NULL, &why));
	for (uint32_t i = 0; i < big->chunk_count; i++)
		assert_int_equal(lsp_stage_has(stage, big->first_chunk + i), i == 2);
	lsp_stage_unref(stage);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_whole_download_becomes_the_game_and_leaves_no_stage),
		TEST(a_disk_without_modes_keeps_the_content_id_by_a_list),
		TEST(an_incomplete_download_does_not_commit),
		TEST(what_was_verified_counts_after_a_kill_without_reading_it),
		TEST(after_a_power_cut_synced_chunks_count_and_the_rest_is_hashed_first),
		TEST(what_was_written_before_a_kill_is_synced_before_it_is_called_so),
		TEST(what_a_fill_finds_in_its_place_is_synced_before_it_is_called_so),
		TEST(a_damaged_map_means_that_everything_is_hashed),
		TEST(a_map_without_its_files_counts_for_nothing),
		TEST(another_content_replaces_what_lay_in_the_stage),
		TEST(wrong_bytes_never_count),
		TEST(too_many_and_too_few_bytes_are_refused),
		TEST(the_second_writer_of_a_chunk_may_win_and_the_first_then_writes_nothing),
		TEST(the_second_writer_is_told_when_the_first_was_quicker),
		TEST(threads_write_different_chunks_at_once_and_every_bit_reaches_the_disk),
		TEST(verified_chunks_are_read_while_the_download_goes_on),
		TEST(a_fill_takes_single_leaves_and_refuses_wrong_ones),
		TEST(no_space_keeps_what_is_there_and_goes_on_once_there_is_some),
		TEST(no_space_at_any_write_costs_only_that_chunk),
		TEST(a_failed_sync_ends_the_stage_and_is_not_tried_again),
		TEST(a_failure_at_any_call_of_a_commit_leaves_the_download_whole),
		TEST(links_in_the_stage_are_not_followed),
		TEST(what_another_engine_wrote_counts_once_its_hash_is_right),
		TEST(what_a_killed_engine_wrote_is_found_and_holes_are_not_read),
	};
	return cmocka_run_group_tests_name("stage", tests, NULL, NULL);
}
