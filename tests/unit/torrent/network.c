/* What is configured, and the effect that it has on who talks to whom: real sessions on loopback.
 */
#include "pair.h"

#include "base/text.h"
#include "torrent/configuration.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- Several of them --------------------------------------------------------------------- */

/* Some of its transfer happens. */
static void get_on(struct rig *rig)
{
	size_t seen = rig_count(rig, "torrent_progress", NULL, NULL);
	json_decref(rig_await(rig, "torrent_progress", NULL, NULL, seen + 1));
}

/* The peer of a torrent at that address: a new reference, NULL where there is none. */
static json_t *peer_at(struct rig *rig, const char *id, const char *address, size_t *ret_count)
{
	json_t *all = rig_ask(rig, LSP_TORRENT_PEERS, json_pack("{s:s}", "torrent", id));
	json_t *peers = json_object_get(all, "peers"), *peer, *found = NULL;
	size_t i;
	json_array_foreach (peers, i, peer)
		if (strcmp(json_string_value(json_object_get(peer, "address")), address) == 0)
			found = json_incref(peer);
	if (ret_count)
		*ret_count = json_array_size(peers);
	json_decref(all);
	return found;
}

static bool is_connected(struct rig *rig, const char *id, const char *address)
{
	json_t *peer = peer_at(rig, id, address, NULL);
	json_decref(peer);
	return peer != NULL;
}

/* Adds a torrent to any rig; nothing of `metainfo` is taken. */
static void add(struct rig *rig, const struct lsp_buffer *metainfo, json_t *arguments)
{
	struct lsp_torrent_call call = {.command = LSP_TORRENT_ADD, .arguments = arguments};
	struct rig_answer answer;
	assert_ok(lsp_buffer_append(&call.metainfo, metainfo->data, metainfo->size, ERR));
	rig_call_full(rig, &call, &answer);
	if (answer.result < 0)
		fail_msg("add: %s", answer.error.message);
	rig_answer_done(&answer);
}

/* Another one that has what the seed of the pair has. */
static void also_seeds(struct rig *rig, const struct pair *pair, const struct lsp_buffer *metainfo,
	char address[64])
{
	add(rig, metainfo, json_pack("{s:s, s:s}", "save_path", pair->content, "have", "all"));
	json_decref(rig_await(rig, "torrent_state", "state", "seeding", 1));
	rig_listen_address(rig, address);
}

static uint64_t sent_by(struct rig *rig)
{
	struct lsp_torrent_counters counters;
	lsp_torrent_counters(rig->engine, &counters);
	return counters.sent;
}

/* ---- Encryption -------------------------------------------------------------------------- */

/* The same once something came from it, never NULL. */
static json_t *giving_peer_at(struct rig *rig, const char *id, const char *address)
{
	for (;;) {
		json_t *peer = peer_at(rig, id, address, NULL);
		if (json_integer_value(json_object_get(peer, "downloaded")) > 0)
			return peer;
		json_decref(peer);
		get_on(rig);
	}
}

static bool is_encrypted(struct rig *rig, const char *id, const char *address)
{
	json_t *peer = giving_peer_at(rig, id, address);
	bool encrypted = json_is_true(json_object_get(peer, "encrypted"));
	json_decref(peer);
	return encrypted;
}

static void who_requires_encryption_talks_to_nobody_without(void **state)
{
	struct pair pair;
	struct rig other;
	char id[65], address[64];
	pair_init(&pair);
	rig_init(&other, &(struct rig_options){0});
	rig_configure(&pair.seed, json_pack("{s:s}", "encryption", "off"));
	rig_configure(&pair.leech, json_pack("{s:s}", "encryption", "required"));
	rig_file(pair.content, "doom/base/maps.pak", 2 << 20, 1);
	_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	also_seeds(&other, &pair, &metainfo, address); /* encryption: allowed */
	add(&pair.leech, &metainfo,
		json_pack("{s:s, s:[s, s], s:i}", "save_path", pair.target, "peers", pair.address,
			address, "max_download", 65536));
	assert_true(is_encrypted(&pair.leech, id, address));
	json_decref(rig_ask(&pair.leech, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_download", 0)));
	json_decref(rig_await(&pair.leech, "torrent_completed", "torrent", id, 1));
	assert_false(is_connected(&pair.leech, id, pair.address));
	assert_int_equal(sent_by(&pair.seed), 0);
	rig_done(&other);
	pair_done(&pair);
}

static void encryption_preferred_reaches_those_who_require_it_and_those_who_have_none(void **state)
{
	static const char *const policies[] = {"required", "off"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(policies); i++) {
		struct pair pair;
		char id[65];
		pair_init(&pair);
		rig_configure(&pair.seed, json_pack("{s:s}", "encryption", policies[i]));
		rig_configure(&pair.leech, json_pack("{s:s}", "encryption", "preferred"));
		rig_file(pair.content, "doom/base/maps.pak", 1 << 20, 1);
		json_decref(leech(&pair, seed_doom(&pair, false, id),
			json_pack("{s:i}", "max_download", 32768)));
		assert_int_equal(is_encrypted(&pair.leech, id, pair.address), i == 0);
		pair_done(&pair);
	}
}

static void data_go_by_tcp_unless_utp_is_on(void **state)
{
	for (int utp = 0; utp < 2; utp++) {
		struct pair pair;
		char id[65];
		json_t *peer;
		pair_init(&pair);
		rig_configure(&pair.seed, json_pack("{s:b}", "utp", utp));
		rig_configure(&pair.leech, json_pack("{s:b}", "utp", utp));
		rig_file(pair.content, "doom/base/maps.pak", 1 << 20, 1);
		json_decref(leech(&pair, seed_doom(&pair, false, id),
			json_pack("{s:i}", "max_download", 32768)));
		do {
			get_on(&pair.leech);
			peer = peer_at(&pair.leech, id, pair.address, NULL);
		} while (!peer);
		assert_int_equal(json_is_true(json_object_get(peer, "utp")), utp);
		json_decref(peer);
		pair_done(&pair);
	}
}

/* ---- Peer exchange ----------------------------------------------------------------------- */

#define TORRENTS 3

/* 0: as usual; 1: without peer exchange; 2: private. Its bytes and its id. */
static struct lsp_buffer create_one(struct pair *pair, int number, char id[65])
{
	char path[220];
	snprintf(path, sizeof path, "%s/game%d", pair->content, number);
	rig_file(path, "data.bin", 8 << 20, (unsigned)number);
	struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:b}", "path", path, "private", number == 2)};
	struct rig_answer answer;
	rig_call_full(&pair->seed, &create, &answer);
	assert_int_equal(answer.result, 0);
	snprintf(id, 65, "%s", json_string_value(json_object_get(answer.value, "info_hash_v2")));
	json_decref(answer.value);
	return answer.bytes;
}

/* The third knows the second alone, which knows the first. */
static void add_third(
	struct rig *third, const struct lsp_buffer *metainfo, const char *second, int number)
{
	add(third, metainfo,
		json_pack("{s:s, s:[s], s:i, s:b}", "save_path", third->folder, "peers", second,
			"max_download", 32768, "pex", number != 1));
}

static void peers_tell_of_each_other_but_not_where_that_is_off_or_private(void **state)
{
	struct pair pair;
	struct rig third;
	struct lsp_buffer metainfo[TORRENTS];
	char id[TORRENTS][65], second_address[64], third_address[64];
	size_t count;
	pair_init(&pair);
	rig_init(&third, &(struct rig_options){0});
	for (int i = 0; i < TORRENTS; i++) {
		metainfo[i] = create_one(&pair, i, id[i]);
		add(&pair.seed, &metainfo[i],
			json_pack("{s:s, s:s, s:b}", "save_path", pair.content, "have", "all",
				"pex", i != 1));
	}
	rig_listen_address(&pair.seed, pair.address);
	for (int i = 0; i < TORRENTS; i++)
		add(&pair.leech, &metainfo[i],
			json_pack("{s:s, s:[s], s:i, s:b}", "save_path", pair.target, "peers",
				pair.address, "max_download", 32768, "pex", i != 1));
	rig_listen_address(&pair.leech, second_address);
	/* Of whom it is not yet connected to it would tell a minute later. */
	for (int i = 0; i < TORRENTS; i++)
		json_decref(giving_peer_at(&pair.leech, id[i], pair.address));
	/* With the other two it has had its time by when it happens with this one. */
	for (int i = 1; i < TORRENTS; i++)
		add_third(&third, &metainfo[i], second_address, i);
	for (int i = 1; i < TORRENTS; i++)
		json_decref(giving_peer_at(&third, id[i], second_address));
	add_third(&third, &metainfo[0], second_address, 0);
	rig_listen_address(&third, third_address);
	/* The second tells both, each dials the other, and one connection is kept: whose is chance,
	 * and only who dialled has the other's listening port for its address. */
	json_t *peer;
	while (!(peer = peer_at(&third, id[0], pair.address, NULL)) &&
		!(peer = peer_at(&pair.seed, id[0], third_address, NULL)))
		get_on(&third);
	assert_string_equal(json_string_value(json_object_get(peer, "source")), "pex");
	json_decref(peer);
	for (int i = 1; i < TORRENTS; i++) {
		assert_false(is_connected(&third, id[i], pair.address));
		json_decref(peer_at(&pair.seed, id[i], "", &count));
		assert_int_equal(count, 1);
	}
	json_t *list = rig_ask(&third, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id[2]));
	assert_true(json_is_true(
		json_object_get(json_array_get(json_object_get(list, "torrents"), 0), "private")));
	json_decref(list);
	for (int i = 0; i < TORRENTS; i++)
		lsp_buffer_done(&metainfo[i]);
	rig_done(&third);
	pair_done(&pair);
}

/* ---- Who may connect --------------------------------------------------------------------- */

/* Somebody who waits to be dialled, and says nothing. */
static int listen_at(const char *host, char address[64])
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(inet_pton(AF_INET, host, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	snprintf(address, 64, "%s:%u", host, (unsigned)ntohs(at.sin_port));
	return fd;
}

static bool was_dialled(int fd)
{
	int connection = accept(fd, NULL, NULL);
	if (connection >= 0)
		close(connection);
	return connection >= 0;
}

static void offer(struct rig *rig, const char *id, const char *one, const char *other)
{
	json_decref(rig_ask(rig, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s, s]}", "torrent", id, "peers", one, other)));
}

/* Of two who are offered together the one is dialled, the other is not: not later, either. */
static void an_address_that_is_filtered_is_not_dialled(void **state)
{
	struct pair pair;
	char id[65], blocked[64], open[64];
	pair_init(&pair);
	int blocked_fd = listen_at("127.0.0.2", blocked), open_fd = listen_at("127.0.0.3", open);
	rig_configure(&pair.leech, json_pack("{s:[s]}", "ip_filter", "127.0.0.2"));
	rig_file(pair.content, "doom/base/maps.pak", 16 << 20, 1);
	_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	add(&pair.leech, &metainfo,
		json_pack("{s:s, s:[s, s, s], s:i}", "save_path", pair.target, "peers", blocked,
			open, pair.address, "max_download", 65536));
	offer(&pair.leech, id, blocked, open);
	while (!was_dialled(open_fd))
		get_on(&pair.leech);
	/* It dials thirty in a second. */
	lsp_time begun = lsp_now(lsp_clock_system);
	while (lsp_now(lsp_clock_system) - begun < 2 * LSP_SECOND)
		get_on(&pair.leech);
	assert_false(was_dialled(blocked_fd));
	rig_configure(&pair.leech, json_object());
	while (!was_dialled(blocked_fd)) {
		offer(&pair.leech, id, blocked, open);
		get_on(&pair.leech);
	}
	close(blocked_fd);
	close(open_fd);
	pair_done(&pair);
}

static void an_address_that_is_filtered_is_not_connected_until_the_filter_is_lifted(void **state)
{
	struct pair pair;
	struct rig other;
	char id[65], address[64];
	pair_init(&pair);
	rig_init(&other, &(struct rig_options){0});
	rig_configure(&other, json_pack("{s:[s]}", "listen", "127.0.0.2:0"));
	rig_configure(&pair.leech, json_pack("{s:[s]}", "ip_filter", "127.0.0.2-127.0.0.9"));
	rig_file(pair.content, "doom/base/maps.pak", 16 << 20, 1);
	_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	also_seeds(&other, &pair, &metainfo, address);
	add(&pair.leech, &metainfo,
		json_pack("{s:s, s:[s, s], s:i}", "save_path", pair.target, "peers", address,
			pair.address, "max_download", 65536));
	while (!is_connected(&pair.leech, id, pair.address))
		get_on(&pair.leech);
	get_on(&pair.leech);
	assert_false(is_connected(&pair.leech, id, address));
	rig_configure(&pair.leech, json_object());
	do {
		json_decref(rig_ask(&pair.leech, LSP_TORRENT_ADD_PEERS,
			json_pack("{s:s, s:[s]}", "torrent", id, "peers", address)));
		get_on(&pair.leech);
	} while (!is_connected(&pair.leech, id, address));
	/* And one that is connected is let go. */
	rig_configure(&pair.leech, json_pack("{s:[s]}", "ip_filter", "127.0.0.2"));
	while (is_connected(&pair.leech, id, address))
		get_on(&pair.leech);
	rig_done(&other);
	pair_done(&pair);
}

/* Of three who want it at once of one that may have so many, the most that it had; then it may have
 * more, and a fourth comes. */
static size_t connect_some(bool by_torrent, int limit)
{
	struct pair pair;
	struct rig more[4];
	char id[65];
	size_t count, most = 0;
	pair_init(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 4 << 20, 1);
	if (!by_torrent)
		rig_configure(&pair.seed, json_pack("{s:i}", "max_connections", limit));
	_cleanup_buffer_ struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	if (by_torrent)
		json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
			json_pack("{s:s, s:i}", "torrent", id, "max_connections", limit)));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(more); i++) {
		if (i == 3 && by_torrent)
			json_decref(rig_ask(&pair.seed, LSP_TORRENT_OPTIONS,
				json_pack("{s:s, s:i}", "torrent", id, "max_connections", 0)));
		else if (i == 3)
			rig_configure(&pair.seed, json_object());
		rig_init(&more[i], &(struct rig_options){0});
		add(&more[i], &metainfo,
			json_pack("{s:s, s:[s], s:i}", "save_path", more[i].folder, "peers",
				pair.address, "max_download", 32768));
		for (int k = 0; i == 2 && k < 3; k++) {
			get_on(&pair.seed);
			json_decref(peer_at(&pair.seed, id, "", &count));
			most = LSP_MAX(most, count);
		}
	}
	do {
		get_on(&pair.seed);
		json_decref(peer_at(&pair.seed, id, "", &count));
	} while (count < 3);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(more); i++)
		rig_done(&more[i]);
	pair_done(&pair);
	return most;
}

static void no_more_connect_than_may(void **state)
{
	assert_in_range(connect_some(true, 2), 1, 2);
	assert_in_range(connect_some(false, 2), 1, 2);
}

/* ---- Limits by the clock ----------------------------------------------------------------- */

/* The machine's, and as much later as the test says. */
static _Atomic uint64_t wall_shift;

static lsp_time real_monotonic(const struct lsp_clock *clock)
{
	return lsp_now(lsp_clock_system);
}

static uint64_t shifted_wall(const struct lsp_clock *clock)
{
	return lsp_wall(lsp_clock_system) + wall_shift;
}

/* "HH:MM" so many minutes from now. */
static void time_of_day(int minutes, char text[6])
{
	time_t then = (time_t)(lsp_wall(lsp_clock_system) / LSP_SECOND) + (time_t)minutes * 60;
	struct tm local;
	assert_non_null(localtime_r(&then, &local));
	assert_int_equal(strftime(text, 6, "%H:%M", &local), 5);
}

static int64_t session_cap(struct rig *rig)
{
	json_t *all = rig_ask(rig, LSP_TORRENT_INSPECT, NULL);
	int64_t cap = json_integer_value(
		json_object_get(json_object_get(all, "settings"), "download_rate_limit"));
	json_decref(all);
	return cap;
}

static void other_limits_come_and_go_by_the_clock(void **state)
{
	const struct lsp_clock clock = {.monotonic = real_monotonic, .wall = shifted_wall};
	struct pair pair;
	char id[65], from[6], to[6];
	wall_shift = 0;
	rig_init(&pair.seed, &(struct rig_options){0});
	rig_init(&pair.leech, &(struct rig_options){.clock = &clock});
	pair_folders(&pair);
	time_of_day(60, from);
	time_of_day(120, to);
	rig_configure(
		&pair.leech, json_pack("{s:i, s:{s:i, s:s, s:s}}", "max_download", 1 << 20,
				     "alternative", "max_download", 65536, "from", from, "to", to));
	rig_file(pair.content, "doom/base/maps.pak", 64 << 20, 1);
	json_decref(leech(&pair, seed_doom(&pair, false, id), json_object()));
	get_on(&pair.leech);
	assert_int_equal(session_cap(&pair.leech), 1 << 20);
	/* An hour and a half later, while it runs. */
	wall_shift = 5400 * LSP_SECOND;
	while (session_cap(&pair.leech) != 65536)
		get_on(&pair.leech);
	/* And three hours later it is over. */
	wall_shift = 10800 * LSP_SECOND;
	while (session_cap(&pair.leech) != 1 << 20)
		get_on(&pair.leech);
	/* By hand, at any time. */
	rig_configure(&pair.leech, json_pack("{s:i, s:{s:b, s:i}}", "max_download", 1 << 20,
					   "alternative", "on", true, "max_download", 131072));
	assert_int_equal(session_cap(&pair.leech), 131072);
	pair_done(&pair);
}

/* ---- Limits that do not hold ------------------------------------------------------------- */

/* libtorrent, but for a cap that it says to have and does not keep. */
static _Atomic bool cap_is_lost;
static _Atomic int64_t told_cap;

/* Four times as fast: the watchdog's windows are long. */
static lsp_time fast_monotonic(const struct lsp_clock *clock)
{
	return 4 * lsp_now(lsp_clock_system);
}

static uint64_t real_wall(const struct lsp_clock *clock)
{
	return lsp_wall(lsp_clock_system);
}

static int forgetful_apply(struct lsp_shim *shim, const struct lsp_shim_setting *settings,
	size_t count, struct lsp_error *err)
{
	struct lsp_shim_setting changed[LSP_CONFIGURATION_SETTINGS_MAX];
	assert_true(count <= LSP_CONFIGURATION_SETTINGS_MAX);
	for (size_t i = 0; i < count; i++) {
		changed[i] = settings[i];
		if (strcmp(settings[i].name, "download_rate_limit") != 0)
			continue;
		told_cap = settings[i].number;
		if (cap_is_lost)
			changed[i].number = 0;
	}
	return lsp_shim_libtorrent()->apply(shim, changed, count, err);
}

static int untrue_setting(struct lsp_shim *shim, const char *name,
	struct lsp_shim_setting *ret_setting, struct lsp_error *err)
{
	int r = lsp_shim_libtorrent()->setting(shim, name, ret_setting, err);
	if (r == 0 && cap_is_lost && strcmp(name, "download_rate_limit") == 0)
		ret_setting->number = told_cap;
	return r;
}

static bool limits_are_degraded(struct rig *rig)
{
	return lsp_torrent_health(rig->engine) & (1u << LSP_TORRENT_HEALTH_LIMITS);
}

static void a_cap_that_does_not_hold_is_told_and_forgotten_once_it_does(void **state)
{
	const struct lsp_clock clock = {.monotonic = fast_monotonic, .wall = real_wall};
	struct lsp_shim_functions forgetful = *lsp_shim_libtorrent();
	struct pair pair;
	char id[65];
	forgetful.apply = forgetful_apply;
	forgetful.setting = untrue_setting;
	cap_is_lost = true;
	rig_init(&pair.seed, &(struct rig_options){0});
	rig_init(&pair.leech, &(struct rig_options){.clock = &clock, .shim = &forgetful});
	pair_folders(&pair);
	rig_file(pair.content, "doom/base/maps.pak", 96 << 20, 1);
	struct lsp_buffer metainfo = seed_doom(&pair, false, id);
	json_decref(rig_ask(&pair.seed, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", id, "max_upload", 6 << 20)));
	json_decref(rig_ask(
		&pair.leech, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 1 << 18)));
	json_decref(leech(&pair, metainfo, json_object()));
	json_t *told = rig_await(&pair.leech, "torrent_session_error", "component", "limits", 1);
	assert_non_null(strstr(json_string_value(json_object_get(told, "message")), "262144"));
	json_decref(told);
	while (!limits_are_degraded(&pair.leech))
		get_on(&pair.leech);
	cap_is_lost = false;
	json_decref(rig_ask(
		&pair.leech, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 1 << 18)));
	while (limits_are_degraded(&pair.leech))
		get_on(&pair.leech);
	pair_done(&pair);
}

int main(void)
{
	if (!lsp_torrent_is_supported()) {
		print_message("skipped: this build has no libtorrent\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_requires_encryption_talks_to_nobody_without),
		cmocka_unit_test(
			encryption_preferred_reaches_those_who_require_it_and_those_who_have_none),
		cmocka_unit_test(data_go_by_tcp_unless_utp_is_on),
		cmocka_unit_test(peers_tell_of_each_other_but_not_where_that_is_off_or_private),
		cmocka_unit_test(an_address_that_is_filtered_is_not_dialled),
		cmocka_unit_test(
			an_address_that_is_filtered_is_not_connected_until_the_filter_is_lifted),
		cmocka_unit_test(no_more_connect_than_may),
		cmocka_unit_test(other_limits_come_and_go_by_the_clock),
		cmocka_unit_test(a_cap_that_does_not_hold_is_told_and_forgotten_once_it_does),
	};
	return cmocka_run_group_tests_name("torrent network", tests, NULL, NULL);
}
