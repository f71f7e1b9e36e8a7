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
static char warning[256];

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
	return false;
}

void lsp_swarm_set_limits(struct lsp_swarm *swarm, const struct lsp_swarm_limits *limits)
{
}

void lsp_swarm_set_game_limits(
	struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t down, uint64_t up)
{
}

struct lsp_endpoint *lsp_connect_endpoint(const struct lsp_connect *connect)
{
	return (struct lsp_endpoint *)&stats; /* only its address is looked at */
}

void lsp_endpoint_set_send_limit(struct lsp_endpoint *endpoint, uint64_t bytes_per_second)
{
}

void lsp_endpoint_get_stats(
	const struct lsp_endpoint *endpoint, struct lsp_endpoint_stats *ret_stats)
{
	*ret_stats = stats;
}

void lsp_guards_switch(struct lsp_guards *guards, bool on)
{
}

void lsp_peer_kick(struct lsp_peer *peer)
{
}

struct lsp_share *lsp_shares_next(const struct lsp_shares *shares, struct lsp_share *share)
{
	return NULL;
}

const char *lsp_share_game(const struct lsp_share *share)
{
	return "";
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
	warnings = 0;
	limit_up = up;
	limit_down = down;
	lsp_fake_clock_init(&watched->clock);
	watched->peer.clock = &watched->clock.clock;
	assert_int_equal(lsp_limits_new(&watched->peer, &watched->limits, NULL), 0);
	lsp_limits_apply(watched->limits);
}

/* Seconds in which so much goes over the wire, with the ticks of the loop. */
static void pass(struct watched *watched, unsigned seconds, uint64_t sent, uint64_t received)
{
	for (unsigned i = 0; i < 10 * seconds; i++) {
		stats.sent_wire += sent / 10;
		stats.received_wire += received / 10;
		lsp_fake_clock_advance(&watched->clock, 100 * LSP_MILLISECOND);
		lsp_limits_tick(watched->limits);
	}
}

#define MB UINT64_C(1000000)

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_that_does_not_hold_is_warned_of_once_until_it_held_again),
		cmocka_unit_test(the_download_limit_is_watched_too),
		cmocka_unit_test(what_still_comes_after_a_change_is_no_breach),
	};
	return cmocka_run_group_tests_name("peer/limits", tests, NULL, NULL);
}
