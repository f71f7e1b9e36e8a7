/*
 * The watchdog of the limits alone, with stand-ins for the endpoint, the settings and the swarm: a
 * real endpoint holds its limits, so a limit that does not hold is only to be had so.
 */
#include "peer/limits.h"

#include "peer/connect.h"
#include "peer/guard.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/share.h"
#include "store/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lsp_endpoint_stats stats;
static uint64_t limit_up, limit_down;
static unsigned warnings;
static struct lsp_swarm_limits swarm_limits;
static uint64_t send_limit;
static bool pause_uploads, guard_is_wanted, guard_is_on;
static char warning[256];

/* The only share, of "quake", and what the swarm was told of it. */
static struct lsp_share_traffic traffic;
static struct lsp_manifest manifest;
static uint64_t game_up, game_down;
static bool shared;
#define SHARE ((struct lsp_share *)&traffic) /* only its address is looked at */

struct lsp_config *lsp_runtime_config(struct lsp_runtime *runtime)
{
	return NULL;
}

uint64_t lsp_config_number(const struct lsp_config *config, enum lsp_setting_id id)
{
	return id == LSP_SETTING_LIMIT_UP ? limit_up : limit_down;
}

bool lsp_config_switch(const struct lsp_config *config, enum lsp_setting_id id)
{
	return id == LSP_SETTING_PING_GUARD ? guard_is_wanted : pause_uploads;
}

void lsp_swarm_set_limits(struct lsp_swarm *swarm, const struct lsp_swarm_limits *limits)
{
	swarm_limits = *limits;
}

void lsp_swarm_set_game_limits(
	struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t down, uint64_t up)
{
	game_up = up;
	game_down = down;
}

struct lsp_endpoint *lsp_connect_endpoint(const struct lsp_connect *connect)
{
	return (struct lsp_endpoint *)&stats; /* only its address is looked at */
}

void lsp_endpoint_set_send_limit(struct lsp_endpoint *endpoint, uint64_t bytes_per_second)
{
	send_limit = bytes_per_second;
}

void lsp_endpoint_get_stats(
	const struct lsp_endpoint *endpoint, struct lsp_endpoint_stats *ret_stats)
{
	*ret_stats = stats;
}

void lsp_guards_switch(struct lsp_guards *guards, bool on)
{
	guard_is_on = on;
}

void lsp_peer_kick(struct lsp_peer *peer)
{
}

struct lsp_share *lsp_shares_next(const struct lsp_shares *shares, struct lsp_share *share)
{
	return share || !shared ? NULL : SHARE;
}

const char *lsp_share_game(const struct lsp_share *share)
{
	return "quake";
}

const struct lsp_manifest *lsp_share_manifest(const struct lsp_share *share)
{
	return &manifest;
}

struct lsp_share_traffic *lsp_share_traffic(struct lsp_share *share)
{
	return &traffic;
}

lsp_swarm_id lsp_share_swarm_game(const struct lsp_share *share)
{
	return 0;
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(warning, sizeof warning, format, arguments);
	va_end(arguments);
	warnings++;
}

struct watched {
	struct lsp_fake_clock clock;
	struct lsp_peer peer;
	struct lsp_limits *limits;
};

static void watched_init(struct watched *watched, uint64_t up, uint64_t down)
{
	memset(watched, 0, sizeof *watched);
	memset(&stats, 0, sizeof stats);
	memset(&traffic, 0, sizeof traffic);
	manifest.piece_length = 128 << 10;
	shared = true;
	warnings = 0;
	game_up = game_down = 0;
	limit_up = up;
	limit_down = down;
	lsp_fake_clock_init(&watched->clock);
	watched->peer.clock = &watched->clock.clock;
	assert_int_equal(lsp_limits_new(&watched->peer, &watched->limits, NULL), 0);
	lsp_limits_apply(watched->limits);
}

/* Seconds in which so much goes over the wire, payload of the game, with the ticks of the loop. */
static void pass(struct watched *watched, unsigned seconds, uint64_t sent, uint64_t received)
{
	for (unsigned i = 0; i < 10 * seconds; i++) {
		stats.sent_wire += sent / 10;
		stats.received_wire += received / 10;
		traffic.sent += sent / 10;
		traffic.received += received / 10;
		lsp_fake_clock_advance(&watched->clock, 100 * LSP_MILLISECOND);
		lsp_limits_tick(watched->limits);
	}
}

#define MB UINT64_C(1000000)

static void what_is_set_reaches_whoever_keeps_to_it(void **state)
{
	struct watched watched;
	for (int on = 0; on < 2; on++) {
		pause_uploads = guard_is_wanted = on;
		watched_init(&watched, on * 2 * MB, on * MB);
		assert_int_equal(send_limit, on * 2 * MB);
		assert_int_equal(swarm_limits.up, on * 2 * MB);
		assert_int_equal(swarm_limits.down, on * MB);
		assert_true(swarm_limits.overhead > 1);
		assert_int_equal(swarm_limits.pause_uploads, on);
		assert_int_equal(guard_is_on, on);
		lsp_limits_free(watched.limits);
	}
	pause_uploads = guard_is_wanted = false;
}

/* What was over by then counted against another limit. */
static void a_limit_that_is_set_anew_begins_anew(void **state)
{
	struct watched watched;
	watched_init(&watched, MB, 0);
	pass(&watched, 10, 2 * MB, 0);
	assert_int_equal(warnings, 1);
	lsp_limits_apply(watched.limits);
	pass(&watched, 4, MB * 1165 / 1000, 0); /* 30 kB over, of 64 KiB that are no breach */
	assert_false(lsp_limits_are_stale(watched.limits));
	lsp_limits_free(watched.limits);
}

static void a_limit_that_does_not_hold_is_warned_of_once_until_it_held_again(void **state)
{
	struct watched watched;
	watched_init(&watched, MB, 0);
	pass(&watched, 10, MB, 50 * MB); /* down is not limited */
	assert_int_equal(warnings, 0);
	pass(&watched, 10, 2 * MB, 0);
	assert_int_equal(warnings, 1);
	assert_string_equal(warning, "the upload limit does not hold: more is sent than it allows");
	assert_true(lsp_limits_are_stale(watched.limits));
	pass(&watched, 4, MB, 0);
	assert_false(lsp_limits_are_stale(watched.limits));
	pass(&watched, 4, 2 * MB, 0);
	assert_int_equal(warnings, 2);
	lsp_limits_free(watched.limits);
}

/* Health is well again, and what still moves too fast is warned of anew. */
static void a_limit_that_did_not_hold_is_forgotten_when_it_is_lifted_or_another(void **state)
{
	struct watched watched;
	for (uint64_t another = 0; another <= MB / 2; another += MB / 2) {
		watched_init(&watched, MB, MB);
		pass(&watched, 10, 2 * MB, 2 * MB);
		assert_int_equal(warnings, 2);
		lsp_limits_apply(watched.limits); /* of something else */
		assert_true(lsp_limits_are_stale(watched.limits));
		limit_up = another;
		lsp_limits_apply(watched.limits);
		assert_true(lsp_limits_are_stale(watched.limits)); /* down, still */
		limit_down = another;
		lsp_limits_apply(watched.limits);
		assert_false(lsp_limits_are_stale(watched.limits));
		pass(&watched, 10, 2 * MB, 2 * MB);
		assert_int_equal(warnings, another ? 4 : 2);
		lsp_limits_free(watched.limits);
	}
}

static void a_game_limit_that_did_not_hold_is_forgotten_when_it_is_another(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, 0);
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", MB, MB, NULL), 0);
	pass(&watched, 10, 2 * MB, MB / 2);
	assert_true(lsp_limits_are_stale(watched.limits));
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", MB, MB / 2, NULL), 0);
	assert_true(lsp_limits_are_stale(watched.limits));
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", 3 * MB, MB / 2, NULL), 0);
	assert_false(lsp_limits_are_stale(watched.limits));
	lsp_limits_free(watched.limits);
}

static void the_download_limit_is_watched_too(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, MB);
	pass(&watched, 10, 50 * MB, MB);
	assert_int_equal(warnings, 0);
	pass(&watched, 4, 0, 2 * MB);
	assert_int_equal(warnings, 1);
	assert_string_equal(
		warning, "the download limit does not hold: more is received than it allows");
	lsp_limits_free(watched.limits);
}

static void what_still_comes_after_a_change_is_no_breach(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, 0);
	pass(&watched, 10, 0, 100 * MB);
	limit_down = MB;
	lsp_limits_apply(watched.limits);
	pass(&watched, 2, 0, 50 * MB); /* it was asked for before */
	pass(&watched, 10, 0, MB);
	assert_int_equal(warnings, 0);
	assert_false(lsp_limits_are_stale(watched.limits));
	pass(&watched, 4, 0, 2 * MB);
	assert_int_equal(warnings, 1);
	lsp_limits_free(watched.limits);
}

/* What one game's limit is compared with is that game's, and it is named. */
static void the_limits_of_one_game_are_watched(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, 0);
	assert_int_equal(lsp_limits_set_game(watched.limits, "doom", 1, 1, NULL), 0);
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", MB, 0, NULL), 0);
	assert_int_equal(game_up, MB);
	pass(&watched, 10, MB, 50 * MB); /* of payload: 7 % over on the wire, which is tolerated */
	assert_int_equal(warnings, 0);
	pass(&watched, 10, 2 * MB, 0);
	assert_int_equal(warnings, 1);
	assert_string_equal(
		warning, "the upload limit of quake does not hold: more is sent than it allows");
	assert_true(lsp_limits_are_stale(watched.limits));
	pass(&watched, 4, MB / 2, 0);
	assert_false(lsp_limits_are_stale(watched.limits));
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", 0, MB, NULL), 0);
	pass(&watched, 6, 50 * MB, 2 * MB);
	assert_int_equal(warnings, 2);
	assert_string_equal(warning,
		"the download limit of quake does not hold: more is received than it allows");
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", 0, 0, NULL), 0);
	assert_false(lsp_limits_are_stale(watched.limits));
	assert_int_equal(game_down, 0);
	lsp_limits_free(watched.limits);
}

static void a_small_breach_that_lasts_is_found(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, MB / 10);
	pass(&watched, 60, 0, MB / 10);
	assert_int_equal(warnings, 0);
	pass(&watched, 30, 0, MB / 10 * 13 / 10);
	assert_int_equal(warnings, 1);
	lsp_limits_free(watched.limits);
}

/* Chunks of 4 MiB at 0.5 MB/s: one comes at once, then nothing for eight seconds. */
static void a_chunk_that_comes_at_once_is_no_breach(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, MB / 2);
	manifest.piece_length = 4 << 20;
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", 0, MB / 2, NULL), 0);
	for (int i = 0; i < 10; i++) {
		pass(&watched, 1, 0, 4 << 20);
		pass(&watched, 8, 0, 0);
	}
	assert_int_equal(warnings, 0);
	for (int i = 0; i < 10; i++) {
		pass(&watched, 1, 0, 4 << 20);
		pass(&watched, 4, 0, 0);
	}
	assert_true(warnings >= 2); /* of all, and of the game */
	lsp_limits_free(watched.limits);
}

static void a_share_that_goes_is_no_breach_and_one_that_comes_is_limited(void **state)
{
	struct watched watched;
	watched_init(&watched, 0, 0);
	assert_int_equal(lsp_limits_set_game(watched.limits, "quake", MB, 2 * MB, NULL), 0);
	pass(&watched, 6, MB, 2 * MB);
	shared = false;
	pass(&watched, 6, 0, 0);
	memset(&traffic, 0, sizeof traffic);
	game_up = game_down = 0;
	shared = true;
	lsp_limits_take_share(watched.limits, SHARE);
	assert_int_equal(game_up, MB);
	assert_int_equal(game_down, 2 * MB);
	pass(&watched, 6, MB, 2 * MB);
	assert_int_equal(warnings, 0);
	lsp_limits_free(watched.limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_reaches_whoever_keeps_to_it),
		cmocka_unit_test(a_limit_that_is_set_anew_begins_anew),
		cmocka_unit_test(a_limit_that_does_not_hold_is_warned_of_once_until_it_held_again),
		cmocka_unit_test(a_limit_that_did_not_hold_is_forgotten_when_it_is_lifted_or_another),
		cmocka_unit_test(a_game_limit_that_did_not_hold_is_forgotten_when_it_is_another),
		cmocka_unit_test(the_download_limit_is_watched_too),
		cmocka_unit_test(what_still_comes_after_a_change_is_no_breach),
		cmocka_unit_test(the_limits_of_one_game_are_watched),
		cmocka_unit_test(a_small_breach_that_lasts_is_found),
		cmocka_unit_test(a_chunk_that_comes_at_once_is_no_breach),
		cmocka_unit_test(a_share_that_goes_is_no_breach_and_one_that_comes_is_limited),
	};
	return cmocka_run_group_tests_name("peer/limits", tests, NULL, NULL);
}
