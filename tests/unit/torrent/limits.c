/* Limits and order, measured on real transfers. What a user is promised is asserted: two seconds.
 */
#include "pair.h"

#include "base/text.h"

/* Payload that came in so long, from now on; waits on events, which come ten times a second. */
static uint64_t received_in(struct rig *rig, uint64_t span)
{
	struct lsp_torrent_counters before, after;
	lsp_time begun = lsp_now(lsp_clock_system), now;
	size_t seen = rig_count(rig, "torrent_progress", NULL, NULL);
	lsp_torrent_counters(rig->engine, &before);
	do {
		json_decref(rig_await(rig, "torrent_progress", NULL, NULL, ++seen));
		now = lsp_now(lsp_clock_system);
	} while (now - begun < span);
	lsp_torrent_counters(rig->engine, &after);
	return (after.received - before.received) * LSP_SECOND / (now - begun);
}

static void a_limit_holds_within_two_seconds_on_loopback_too(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 64 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	json_decref(rig_ask(
		&pair.leech, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 4 << 20)));
	json_decref(leech(&pair, metainfo, json_object()));
	json_decref(rig_await(&pair.leech, "torrent_state", "state", "downloading", 1));
	json_decref(rig_await(&pair.leech, "torrent_progress", NULL, NULL, 3));
	json_decref(rig_ask(
		&pair.leech, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 1 << 20)));
	received_in(&pair.leech, 2 * LSP_SECOND);
	/* The library gives a fast peer up to two seconds' worth at once. */
	uint64_t rate = received_in(&pair.leech, 6 * LSP_SECOND);
	assert_in_range(rate, 1, (1 << 20) * 15 / 10);
	assert_int_equal(
		lsp_torrent_health(pair.leech.engine) & (1u << LSP_TORRENT_HEALTH_LIMITS), 0);
	/* The same for one torrent, by the seed's side. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_upload", 512 << 10)));
	json_decref(
		rig_ask(&pair.leech, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 0)));
	received_in(&pair.leech, 2 * LSP_SECOND);
	rate = received_in(&pair.leech, 6 * LSP_SECOND);
	assert_in_range(rate, 1, (512 << 10) * 15 / 10);
	/* Taken off, everything comes. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_upload", 0)));
	json_decref(rig_await(&pair.leech, "torrent_completed", NULL, NULL, 1));
	pair_done(&pair);
}

static void expect_limits(struct rig *rig, int download, int upload)
{
	json_t *now = rig_ask(rig, LSP_TORRENT_INSPECT, NULL);
	json_t *settings = json_object_get(now, "settings");
	assert_int_equal(json_integer_value(json_object_get(now, "max_download")), download);
	assert_int_equal(json_integer_value(json_object_get(now, "max_upload")), upload);
	assert_int_equal(
		json_integer_value(json_object_get(settings, "upload_rate_limit")), upload);
	json_decref(now);
}

static void a_limit_outlasts_every_configuration(void **state)
{
	struct rig rig;
	rig_init(&rig, &(struct rig_options){0});
	json_decref(rig_ask(&rig, LSP_TORRENT_LIMITS,
		json_pack("{s:i, s:i}", "max_download", 2 << 20, "max_upload", 1 << 20)));
	expect_limits(&rig, 2 << 20, 1 << 20);
	rig_configure(&rig, json_pack("{s:i}", "max_connections", 77));
	expect_limits(&rig, 2 << 20, 1 << 20);
	/* The lower one of both holds, also by the clock. */
	rig_configure(
		&rig, json_pack("{s:i, s:i}", "max_download", 1 << 19, "max_upload", 4 << 20));
	expect_limits(&rig, 1 << 19, 1 << 20);
	rig_configure(&rig, json_pack("{s:{s:b, s:i, s:i}}", "alternative", "on", true,
				    "max_download", 0, "max_upload", 4096));
	expect_limits(&rig, 2 << 20, 4096);
	json_decref(rig_ask(&rig, LSP_TORRENT_LIMITS,
		json_pack("{s:i, s:i}", "max_download", 0, "max_upload", 0)));
	expect_limits(&rig, 0, 4096);
	rig_done(&rig);
}

static void limits_that_no_session_can_have_are_refused(void **state)
{
	struct rig rig;
	char message[512];
	rig_init(&rig, &(struct rig_options){0});
	rig_refuse(&rig, LSP_TORRENT_LIMITS,
		json_pack("{s:I}", "max_download", (json_int_t)INT32_MAX + 1), LSP_E_INVALID,
		message);
	assert_non_null(strstr(message, "2147483647"));
	rig_refuse(&rig, LSP_TORRENT_CONFIGURE,
		json_pack("{s:{s:i}}", "configuration", "max_download", -1), LSP_E_INVALID, NULL);
	rig_done(&rig);
}

/* Eight times as fast: the watchdog's windows are long. */
static lsp_time fast_monotonic(const struct lsp_clock *clock)
{
	return 8 * lsp_now(lsp_clock_system);
}

static uint64_t real_wall(const struct lsp_clock *clock)
{
	return lsp_wall(lsp_clock_system);
}

static void peers_of_the_lan_are_under_no_limit_where_that_is_set_and_no_fault_is_told(void **state)
{
	const struct lsp_clock clock = {.monotonic = fast_monotonic, .wall = real_wall};
	struct pair pair;
	char id[65];
	rig_init(&pair.seed, &(struct rig_options){0});
	rig_init(&pair.leech, &(struct rig_options){.clock = &clock});
	pair_folders(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 16 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	/* Under the limit it takes 256 seconds; the other side gives it in four, windows enough. */
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_upload", 4 << 20)));
	rig_configure(
		&pair.leech, json_pack("{s:b, s:i}", "limit_lan", false, "max_download", 65536));
	expect_limits(&pair.leech, 65536, 0);
	json_decref(leech(&pair, metainfo, json_object()));
	json_decref(rig_await(&pair.leech, "torrent_completed", NULL, NULL, 1));
	assert_int_equal(rig_count(&pair.leech, "torrent_session_error", NULL, NULL), 0);
	assert_int_equal(lsp_torrent_health(pair.leech.engine), 0);
	pair_done(&pair);
}

static void a_sequential_download_comes_in_order(void **state)
{
	struct pair pair;
	char id[65];
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 16 << 20, 1); /* 128 pieces */
	json_decref(leech(&pair, seed_doom(&pair, false, id),
		json_pack("{s:b, s:i}", "sequential", true, "max_download", 4 << 20)));
	size_t seen = 0;
	int64_t done;
	do {
		json_t *progress = rig_await(&pair.leech, "torrent_progress", NULL, NULL, ++seen);
		done = json_integer_value(json_object_get(progress, "done"));
		json_decref(progress);
	} while (done < 4 << 20);
	struct lsp_torrent_call have = {
		.command = LSP_TORRENT_HAVE, .arguments = json_pack("{s:s}", "torrent", id)};
	struct rig_answer answer;
	rig_call_full(&pair.leech, &have, &answer);
	assert_int_equal(answer.result, 0);
	size_t count = 0, last = 0;
	for (size_t i = 0; i < 128; i++)
		if (answer.bytes.data[i / 8] & (0x80 >> (i % 8))) {
			count++;
			last = i;
		}
	assert_in_range(count, 20, 127);
	/* At random it would lie near the end. */
	assert_true(last < count + 24);
	rig_answer_done(&answer);
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_download", 0)));
	json_decref(rig_await(&pair.leech, "torrent_completed", NULL, NULL, 1));
	pair_done(&pair);
}

int main(void)
{
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_holds_within_two_seconds_on_loopback_too),
		cmocka_unit_test(a_limit_outlasts_every_configuration),
		cmocka_unit_test(limits_that_no_session_can_have_are_refused),
		cmocka_unit_test(
			peers_of_the_lan_are_under_no_limit_where_that_is_set_and_no_fault_is_told),
		cmocka_unit_test(a_sequential_download_comes_in_order),
	};
	return cmocka_run_group_tests_name("torrent limits", tests, NULL, NULL);
}
