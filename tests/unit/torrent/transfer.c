/* Real sessions, on loopback. */
#include "rig.h"

#include "base/fs.h"
#include "base/text.h"

#include <unistd.h>

/* One that has the files, and one that wants them. */
struct pair {
	struct rig seed, leech;
	char content[160], target[160]; /* folders */
	char address[64];               /* of the seed */
};

static void pair_init(struct pair *pair)
{
	rig_init(&pair->seed, &(struct rig_options){0});
	rig_init(&pair->leech, &(struct rig_options){0});
	snprintf(pair->content, sizeof pair->content, "%s/games", pair->seed.folder);
	snprintf(pair->target, sizeof pair->target, "%s/downloads", pair->leech.folder);
}

static void pair_done(struct pair *pair)
{
	rig_done(&pair->leech);
	rig_done(&pair->seed);
}

/* Creates a torrent of content/doom, seeds it in place; its bytes and its id. */
static struct lsp_buffer seed_doom(struct pair *pair, bool hybrid, char id[65])
{
	char path[200];
	snprintf(path, sizeof path, "%s/doom", pair->content);
	struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:b}", "path", path, "hybrid", hybrid)};
	struct rig_answer answer;
	rig_call_full(&pair->seed, &create, &answer);
	if (answer.result < 0)
		fail_msg("create: %s", answer.error.message);
	struct lsp_buffer metainfo = {0};
	assert_ok(lsp_buffer_append(&metainfo, answer.bytes.data, answer.bytes.size, ERR));
	struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s}", "save_path", pair->content, "have", "all"),
		.metainfo = answer.bytes};
	json_decref(answer.value);
	rig_call_full(&pair->seed, &add, &answer);
	if (answer.result < 0)
		fail_msg("add: %s", answer.error.message);
	snprintf(id, 65, "%s", json_string_value(json_object_get(answer.value, "id")));
	rig_answer_done(&answer);
	json_decref(rig_await(&pair->seed, "torrent_state", "state", "seeding", 1));
	rig_listen_address(&pair->seed, pair->address);
	return metainfo;
}

static json_t *leech(struct pair *pair, struct lsp_buffer metainfo, json_t *more)
{
	json_t *arguments =
		json_pack("{s:s, s:[s]}", "save_path", pair->target, "peers", pair->address);
	json_object_update(arguments, more);
	json_decref(more);
	struct lsp_torrent_call add = {
		.command = LSP_TORRENT_ADD, .arguments = arguments, .metainfo = metainfo};
	struct rig_answer answer;
	rig_call_full(&pair->leech, &add, &answer);
	if (answer.result < 0)
		fail_msg("add: %s", answer.error.message);
	return answer.value;
}

static void two_sessions_transfer_a_torrent(void **state)
{
	for (int hybrid = 0; hybrid < 2; hybrid++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		rig_file(pair.content, "doom/base/maps.pak", 3000001, 1);
		rig_file(pair.content, "doom/readme.txt", 77, 2);
		rig_file(pair.content, "doom/empty", 0, 3);
		json_decref(leech(&pair, seed_doom(&pair, hybrid, id), json_object()));
		json_t *done = rig_await(&pair.leech, "torrent_completed", NULL, NULL, 1);
		assert_string_equal(json_string_value(json_object_get(done, "torrent")), id);
		json_decref(done);
		assert_true(rig_same_file(pair.content, pair.target, "doom/base/maps.pak"));
		assert_true(rig_same_file(pair.content, pair.target, "doom/readme.txt"));
		/* The last sample is one of the whole. */
		json_t *progress = rig_await(&pair.leech, "torrent_progress", NULL, NULL, 1);
		assert_int_equal(json_integer_value(json_object_get(progress, "done")),
			json_integer_value(json_object_get(progress, "total")));
		json_decref(progress);
		assert_int_equal(lsp_torrent_health(pair.leech.engine), 0);
		pair_done(&pair);
	}
}

int main(void)
{
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_sessions_transfer_a_torrent),
	};
	return cmocka_run_group_tests_name("torrent transfer", tests, NULL, NULL);
}
