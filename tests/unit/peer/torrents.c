/*
 * What the engine is told, between stand-ins for it and for the rest of the peer: an engine that
 * takes calls and answers, or is just failing, as the test says.
 */
#include "peer/torrents.h"

#include "net/address.h"
#include "peer/events.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/session.h"
#include "peer/torrent_add.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrent_place.h"
#include "peer/torrent_port.h"
#include "store/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Stand-ins ---- */

static struct {
	const char *mode;
	uint64_t limits[LSP_SETTING_COUNT];
	bool pause;
} settings;
static bool fails;    /* the engine refuses calls, as one that is about to begin anew */
static int answers;   /* what it answers those with that it takes */
static bool is_wrong; /* what it is configured with at its start */
static bool is_open;
static unsigned told[LSP_TORRENT_COMMAND_COUNT];
static json_int_t max_upload, max_download;
static char mode[16], games[32]; /* as the engine knows them */
static const char *games_now;
static lsp_torrent_event_function tell; /* the engine's */
static void *tell_argument;
static unsigned finals; /* events that are dropped from no reader's queue */

const char *lsp_config_text(const struct lsp_config *config, enum lsp_setting_id id)
{
	return settings.mode;
}

uint64_t lsp_config_number(const struct lsp_config *config, enum lsp_setting_id id)
{
	return settings.limits[id];
}

bool lsp_config_switch(const struct lsp_config *config, enum lsp_setting_id id)
{
	return settings.pause;
}

struct lsp_config *lsp_runtime_config(struct lsp_runtime *runtime)
{
	return NULL;
}

struct lsp_supervisor *lsp_runtime_supervisor(struct lsp_runtime *runtime)
{
	return NULL;
}

int lsp_torrent_engine_start(const struct lsp_torrent_options *options,
	struct lsp_torrent_engine **ret_engine, struct lsp_error *err)
{
	static int engine;
	if (is_wrong)
		return lsp_error_set(err, "torrent", LSP_E_INVALID, "dht must be true or false");
	*ret_engine = (struct lsp_torrent_engine *)&engine;
	tell = options->event;
	tell_argument = options->event_argument;
	return 0;
}

void lsp_torrent_engine_free(struct lsp_torrent_engine *engine)
{
}

int lsp_torrent_call(
	struct lsp_torrent_engine *engine, struct lsp_torrent_call *call, struct lsp_error *err)
{
	struct lsp_torrent_call taken = *call;
	struct lsp_torrent_answer answer = {.result = answers};
	const char *said = json_string_value(
		json_object_get(json_object_get(taken.arguments, "configuration"), "mode"));
	told[taken.command]++;
	*call = (struct lsp_torrent_call){0};
	if (taken.command == LSP_TORRENT_LIMITS) {
		max_upload = json_integer_value(json_object_get(taken.arguments, "max_upload"));
		max_download = json_integer_value(json_object_get(taken.arguments, "max_download"));
	} else if (said) {
		snprintf(mode, sizeof mode, "%s", said);
	}
	json_decref(taken.arguments);
	if (fails)
		return lsp_error_set(err, "torrent", LSP_E_CLOSED, "it failed");
	if (answers < 0)
		lsp_error_set(&answer.error, "torrent", -answers, "it broke");
	taken.done(taken.argument, &answer);
	return 0;
}

void lsp_torrent_counters(
	struct lsp_torrent_engine *engine, struct lsp_torrent_counters *ret_counters)
{
	*ret_counters = (struct lsp_torrent_counters){.session_open = is_open, .sessions = 1};
}

uint32_t lsp_torrent_health(struct lsp_torrent_engine *engine)
{
	return 0;
}

const char *lsp_torrent_component_name(enum lsp_torrent_component component)
{
	return "";
}

int lsp_torrent_configuration_check(const json_t *configuration, struct lsp_error *err)
{
	return 0;
}

int lsp_loop_post_node(struct lsp_loop *loop, struct lsp_post *post,
	void (*function)(void *argument), void *argument, struct lsp_error *err)
{
	function(argument);
	return 0;
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	json_decref(event);
}

void lsp_events_publish_final(struct lsp_events *events, json_t *event)
{
	finals++;
	json_decref(event);
}

json_t *lsp_peer_load_json(struct lsp_peer *peer, const char *name)
{
	return json_object();
}

void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	json_decref(document);
}

static char warning[400];

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(warning, sizeof warning, format, arguments);
	va_end(arguments);
}

bool lsp_session_is_established(const struct lsp_session *session)
{
	return false;
}

struct lsp_session *lsp_session_next(const struct lsp_session *session)
{
	return NULL;
}

bool lsp_session_torrent_address(const struct lsp_session *session, char *ret_address)
{
	return false;
}

void lsp_sessions_tell_torrent_port(struct lsp_peer *peer)
{
}

void lsp_torrent_add_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
}

void lsp_torrent_fetch_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
}

void lsp_torrent_fetch_tick(struct lsp_peer *peer)
{
}

bool lsp_torrent_late_leaves(const struct lsp_peer *peer, const char *id)
{
	return false;
}

void lsp_torrent_games_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
}

void lsp_torrent_games_mode_changed(struct lsp_peer *peer)
{
}

int lsp_torrent_places_new(
	const char *of, struct lsp_torrent_places **ret_places, struct lsp_error *err)
{
	static int places;
	snprintf(games, sizeof games, "%s", of);
	*ret_places = (struct lsp_torrent_places *)&places;
	return 0;
}

void lsp_torrent_places_free(struct lsp_torrent_places *places)
{
}

int lsp_torrent_places_hold(
	void *argument, const char *id, const char *path, const char *name, struct lsp_error *err)
{
	return 0;
}

void lsp_torrent_places_move(
	struct lsp_torrent_places *places, struct lsp_peer *peer, const char *of)
{
	snprintf(games, sizeof games, "%s", of);
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return games_now;
}

void lsp_torrent_late_tick(struct lsp_peer *peer)
{
}

uint16_t lsp_torrent_port_for(const json_t *listen, const struct sockaddr_storage *peer)
{
	return 0;
}

uint16_t lsp_torrent_port_shown(const json_t *listen)
{
	return 0;
}

/* ---- The tests ---- */

static int start(void **state)
{
	static struct lsp_peer peer;
	static struct lsp_fake_clock clock;
	static char state_dir[] = "/nowhere";
	struct lsp_error err = {0};
	memset(&settings, 0, sizeof settings);
	memset(told, 0, sizeof told);
	fails = false;
	answers = 0;
	is_open = true;
	settings.mode = "lan";
	games_now = "/games";
	games[0] = '\0';
	lsp_fake_clock_init(&clock);
	peer = (struct lsp_peer){.clock = &clock.clock, .state_dir = state_dir};
	*state = &peer;
	return lsp_torrents_new(&peer, &peer.torrents, &err);
}

static int end(void **state)
{
	lsp_torrents_free(((struct lsp_peer *)*state)->torrents);
	return 0;
}

static void the_lowest_of_all_limits_is_told(void **state)
{
	struct lsp_peer *peer = *state;
	settings.limits[LSP_SETTING_LIMIT_UP] = 2000;
	settings.limits[LSP_SETTING_TORRENT_LIMIT_DOWN] = 700;
	lsp_torrents_apply(peer->torrents);
	assert_int_equal(max_upload, 2000);
	assert_int_equal(max_download, 700);
	settings.limits[LSP_SETTING_TORRENT_LIMIT_UP] = 500;
	settings.limits[LSP_SETTING_LIMIT_DOWN] = UINT64_C(1) << 40;
	lsp_torrents_apply(peer->torrents);
	assert_int_equal(max_upload, 500);
	assert_int_equal(max_download, 700);
	settings.limits[LSP_SETTING_TORRENT_LIMIT_DOWN] = 0;
	settings.pause = true;
	lsp_torrents_apply(peer->torrents);
	assert_int_equal(max_upload, 1);
	assert_int_equal(max_download, INT32_MAX);
	/* What it knows it is not told again. */
	unsigned before = told[LSP_TORRENT_LIMITS];
	lsp_torrents_apply(peer->torrents);
	lsp_torrents_tick(peer->torrents);
	assert_int_equal(told[LSP_TORRENT_LIMITS], before);
}

/* Refused at once, or answered so by an engine that broke with the call in its hands. */
static void a_setting_that_a_failing_engine_does_not_hear_is_told_again(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrents_apply(peer->torrents);
	for (int refused = 0; refused < 2; refused++) {
		fails = refused;
		answers = refused ? 0 : -LSP_E_CLOSED;
		is_open = false;
		settings.mode = refused ? "off" : "internet";
		settings.limits[LSP_SETTING_LIMIT_UP] += 1000;
		lsp_torrents_apply(peer->torrents);
		/* Not before it is back: one that was given up is not started by this. */
		unsigned limits = told[LSP_TORRENT_LIMITS], modes = told[LSP_TORRENT_CONFIGURE];
		lsp_torrents_tick(peer->torrents);
		assert_int_equal(told[LSP_TORRENT_LIMITS], limits);
		assert_int_equal(told[LSP_TORRENT_CONFIGURE], modes);
		fails = false;
		answers = 0;
		is_open = true;
		max_upload = 0;
		mode[0] = '\0';
		lsp_torrents_tick(peer->torrents);
		assert_int_equal(max_upload, settings.limits[LSP_SETTING_LIMIT_UP]);
		assert_string_equal(mode, settings.mode);
		lsp_torrents_tick(peer->torrents);
		assert_int_equal(told[LSP_TORRENT_LIMITS], limits + 1);
		assert_int_equal(told[LSP_TORRENT_CONFIGURE], modes + 1);
	}
}

static void where_the_games_are_is_known_from_the_start_of_the_engine_on(void **state)
{
	struct lsp_peer *peer = *state;
	games_now = "/before";
	lsp_torrents_games_moved(peer->torrents);
	assert_string_equal(games, "");
	lsp_torrents_apply(peer->torrents);
	assert_string_equal(games, "/before");
	games_now = "/after";
	lsp_torrents_games_moved(peer->torrents);
	assert_string_equal(games, "/after");
}

static void what_is_told_once_reaches_a_reader_that_fell_behind(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrents_apply(peer->torrents);
	static const char *const names[] = {"torrent_progress", "torrent_selection"};
	for (unsigned i = 0; i < 2; i++) {
		finals = 0;
		tell(tell_argument, json_pack("{s:s, s:s}", "event", names[i], "torrent", "d00d"));
		assert_int_equal(finals, i);
	}
}

/* And one that does not start says how it will, and knows by then where the games are. */
static void a_configuration_that_is_wrong_names_the_command_that_mends_it(void **state)
{
	struct lsp_peer *peer = *state;
	is_wrong = true;
	lsp_torrents_apply(peer->torrents);
	is_wrong = false;
	assert_false(lsp_torrents_are_running(peer->torrents));
	assert_non_null(strstr(warning, "dht must be"));
	assert_non_null(strstr(warning, "`lanspread torrent configure`"));
	assert_string_equal(games, "/games");
	games_now = "/after";
	lsp_torrents_games_moved(peer->torrents);
	lsp_torrents_apply(peer->torrents);
	assert_true(lsp_torrents_are_running(peer->torrents));
	assert_string_equal(games, "/after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_lowest_of_all_limits_is_told, start, end),
		cmocka_unit_test_setup_teardown(
			a_setting_that_a_failing_engine_does_not_hear_is_told_again, start, end),
		cmocka_unit_test_setup_teardown(
			where_the_games_are_is_known_from_the_start_of_the_engine_on, start, end),
		cmocka_unit_test_setup_teardown(
			what_is_told_once_reaches_a_reader_that_fell_behind, start, end),
		cmocka_unit_test_setup_teardown(
			a_configuration_that_is_wrong_names_the_command_that_mends_it, start, end),
	};
	return cmocka_run_group_tests_name("torrents", tests, NULL, NULL);
}
