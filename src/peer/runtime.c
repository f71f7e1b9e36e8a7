#include "peer/runtime.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "install/archive.h"
#include "install/record.h"
#include "library/library.h"
#include "net/identity.h"
#include "peer/announce.h"
#include "peer/connect.h"
#include "peer/covers.h"
#include "peer/damage.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/guard.h"
#include "peer/health.h"
#include "peer/limits.h"
#include "peer/local.h"
#include "peer/operations.h"
#include "peer/runtime_private.h"
#include "peer/session.h"
#include "peer/share.h"
#include "peer/swarm_driver.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_late.h"
#include "peer/torrents.h"
#include "task/answer.h"
#include "task/wait.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TICK (100 * LSP_MILLISECOND)
#define BLOCKS_MAX 512 /* 128 MiB on their way between disk and network */
#define DISK_THREADS 4
#define DISK_QUEUE 4096
#define PREPARE_THREADS 4
#define PREPARE_QUEUE 4096

struct lsp_peer *lsp_runtime_peer(struct lsp_runtime *runtime)
{
	return &runtime->peer;
}

struct lsp_supervisor *lsp_runtime_supervisor(struct lsp_runtime *runtime)
{
	return runtime->supervisor;
}

struct lsp_config *lsp_runtime_config(struct lsp_runtime *runtime)
{
	return runtime->config;
}

const char *lsp_runtime_http_url(struct lsp_runtime *runtime)
{
	return atomic_load(&runtime->http_url);
}

void lsp_runtime_set_http_url(struct lsp_runtime *runtime, const char *url)
{
	free(atomic_exchange(&runtime->http_url, strdup(url)));
}

void lsp_runtime_stop(struct lsp_runtime *runtime, enum lsp_cancel_kind kind, const char *text)
{
	lsp_cancel_request(runtime->peer.root, kind, text);
}

void lsp_runtime_fail_quic(struct lsp_runtime *runtime, const char *why)
{
	lsp_connect_fail(runtime->peer.connect, why);
}

/* ---- The beat of the core loop ---- */

static void beat(void *argument)
{
	struct lsp_runtime *runtime = argument;
	struct lsp_peer *peer = &runtime->peer;
	lsp_time now = lsp_peer_now(peer);
	lsp_timer_start(&peer->tick, now + TICK);
	lsp_download_tick(peer);
	lsp_covers_tick(peer);
	lsp_announce_flush(peer->announce);
	lsp_games_flush(peer);
	lsp_limits_tick(peer->limits);
	lsp_guards_tick(peer->guards);
	if (now < runtime->next_second)
		return;
	runtime->next_second = now + LSP_SECOND;
	uint32_t changed = 0;
	struct lsp_error err = {0};
	if (lsp_config_poll(runtime->config, &changed, &err) < 0)
		lsp_peer_warn(peer, "%s", err.message);
	lsp_runtime_settings_changed(runtime, changed);
	lsp_torrents_tick(peer->torrents);
	lsp_local_tick(peer, now);
	lsp_health_check(peer);
}

void lsp_runtime_settings_changed(struct lsp_runtime *runtime, uint32_t changed)
{
	struct lsp_peer *peer = &runtime->peer;
	const uint32_t limits = 1u << LSP_SETTING_LIMIT_UP | 1u << LSP_SETTING_LIMIT_DOWN |
				1u << LSP_SETTING_PAUSE_UPLOADS | 1u << LSP_SETTING_PING_GUARD;
	if (changed & limits)
		lsp_limits_apply(peer->limits);
	if (changed & 1u << LSP_SETTING_LOG_LEVEL) {
		enum lsp_log_level level;
		if (lsp_log_level_parse(lsp_config_text(runtime->config, LSP_SETTING_LOG_LEVEL),
			    &level, NULL) == 0)
			lsp_log_set_level(level);
	}
	if (changed & 1u << LSP_SETTING_RESCAN_INTERVAL)
		lsp_library_set_rescan_interval(runtime->library,
			lsp_config_number(runtime->config, LSP_SETTING_RESCAN_INTERVAL) *
				LSP_SECOND);
	if (changed & 1u << LSP_SETTING_NAME)
		lsp_runtime_take_name(runtime);
	const uint32_t torrents = 1u << LSP_SETTING_SWARM | 1u << LSP_SETTING_TORRENT_LIMIT_UP |
				  1u << LSP_SETTING_TORRENT_LIMIT_DOWN;
	if (changed & (limits | torrents))
		lsp_torrents_apply(peer->torrents);
}

/* ---- Services ---- */

static void tell_failed(void *argument)
{
	struct lsp_runtime *runtime = argument;
	lsp_events_publish_final(
		runtime->peer.events, json_pack("{s:s, s:s, s:o}", "event", "runtime_failed",
					      "component", runtime->failed_component, "error",
					      lsp_error_to_json(&runtime->failed_error)));
}

static void note_failed(
	struct lsp_runtime *runtime, const char *component, const struct lsp_error *error)
{
	snprintf(runtime->failed_component, sizeof runtime->failed_component, "%s", component);
	runtime->failed_error = *error;
	lsp_log_error("peer", "%s failed, the peer stops: %s", component, error->message);
}

/* A Required service failed; the root token is cancelled after this returns. */
static void runtime_failed(void *argument, const char *component, const struct lsp_error *error)
{
	struct lsp_runtime *runtime = argument;
	note_failed(runtime, component, error);
	if (lsp_loop_is_current(runtime->peer.core))
		tell_failed(runtime);
	else
		(void)!lsp_loop_post(runtime->peer.core, tell_failed, runtime, NULL);
}

/*
 * The core loop is the channel of all commands. That it ends after a shutdown is quiet; before one
 * it is a failure of the runtime. In its thread, as its last act: events can still be told.
 */
static void core_ended(struct lsp_task_guard *guard)
{
	struct lsp_runtime *runtime =
		(void *)((char *)guard - offsetof(struct lsp_runtime, core_guard));
	struct lsp_error err = {0};
	if (lsp_cancel_requested(runtime->peer.root))
		return;
	lsp_error_set(&err, "peer", LSP_E_FAILED, "the core loop ended though nobody asked it to");
	atomic_store(&runtime->core_gone, true);
	note_failed(runtime, "core", &err);
	tell_failed(runtime);
	lsp_cancel_request(runtime->peer.root, LSP_CANCEL_FATAL, err.message);
}

static void ping_beat(void *argument)
{
	struct lsp_runtime *runtime = argument;
	lsp_timer_start(&runtime->liveness_timer, lsp_peer_now(&runtime->peer) + LSP_SECOND / 2);
	lsp_sessions_tick(&runtime->peer);
}

static int start_liveness(void *argument, struct lsp_error *err)
{
	ping_beat(argument);
	return 0;
}

static void stop_liveness(void *argument)
{
	struct lsp_runtime *runtime = argument;
	lsp_timer_stop(&runtime->liveness_timer);
}

static int start_services(void *argument, struct lsp_error *err)
{
	static const struct lsp_policy restart = {
		.kind = LSP_POLICY_RESTART, .delay = 5 * LSP_SECOND};
	static const struct lsp_supervised_hooks liveness = {start_liveness, stop_liveness};
	struct lsp_runtime *runtime = argument;
	struct lsp_peer *peer = &runtime->peer;
	int r = lsp_connect_start(peer->connect, runtime->supervisor, err);
	if (r == 0)
		r = lsp_supervisor_add(runtime->supervisor, peer->core, "liveness", &restart,
			&liveness, runtime, &runtime->liveness, err);
	if (r < 0)
		return r;
	if (!lsp_connect_endpoint(peer->connect)) {
		if (err)
			*err = runtime->failed_error;
		return -runtime->failed_error.code;
	}
	lsp_limits_apply(peer->limits);
	lsp_local_take_snapshot(peer->local);
	lsp_torrents_apply(peer->torrents);
	lsp_download_restore(peer);
	lsp_torrent_kept_restore(peer);
	beat(runtime);
	return 0;
}

/* ---- What the core loop owns ---- */

int lsp_runtime_build_core(void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	struct lsp_peer *peer = &runtime->peer;
	uint64_t seed;
	lsp_random_bytes(&seed, sizeof seed);
	peer->unread = json_object();
	int r = peer->unread ? lsp_task_attach(lsp_task_current(), &runtime->core_guard, err)
			     : lsp_error_no_memory(err, "peer");
	if (r == 0)
		r = lsp_events_new(lsp_games_snapshot, peer, &peer->events, err);
	if (r == 0)
		r = lsp_calls_new(peer, &peer->calls, err);
	if (r == 0)
		r = lsp_database_new(&peer->database, err);
	if (r == 0)
		r = lsp_swarm_new(seed, lsp_peer_now(peer), &peer->swarm, err);
	if (r == 0)
		r = lsp_shares_new(peer->swarm, &peer->shares, err);
	if (r == 0)
		r = lsp_blocks_new(BLOCKS_MAX, &peer->blocks, err);
	if (r == 0)
		r = lsp_games_new(peer, &peer->games, err);
	if (r == 0)
		r = lsp_announce_new(peer, &peer->announce, err);
	if (r == 0)
		r = lsp_limits_new(peer, &peer->limits, err);
	if (r == 0)
		r = lsp_torrents_new(peer, &peer->torrents, err);
	if (r == 0)
		peer->torrent_wishes = lsp_peer_load_json(peer, "as-game.json");
	if (r == 0)
		r = lsp_torrent_games_new(peer, &peer->torrent_games, err);
	if (r == 0)
		r = lsp_guards_new(peer, &peer->guards, err);
	if (r == 0)
		r = lsp_timer_init(&peer->tick, peer->core, beat, runtime, err);
	if (r == 0)
		r = lsp_timer_init(&runtime->liveness_timer, peer->core, ping_beat, runtime, err);
	if (r == 0)
		r = lsp_swarm_driver_init(peer, err);
	if (r == 0)
		peer->choices = lsp_peer_load_json(peer, "choices.json");
	if (r == 0)
		r = lsp_damage_new(peer, &peer->damage, err);
	if (r == 0)
		peer->torrent_adds = json_object();
	if (r == 0)
		peer->torrent_leaving = json_object();
	return r;
}

/* After the loop has ended: nobody else is left. */
void lsp_runtime_free_core(struct lsp_runtime *runtime)
{
	struct lsp_peer *peer = &runtime->peer;
	lsp_torrents_free(peer->torrents);
	lsp_torrent_fetch_free_all(peer);
	lsp_torrent_late_free_all(peer);
	lsp_torrent_games_free(peer->torrent_games);
	json_decref(peer->torrent_adds);
	json_decref(peer->torrent_wishes);
	json_decref(peer->torrent_leaving);
	lsp_download_free_all(peer);
	lsp_calls_free(peer->calls);
	lsp_shares_free(peer->shares);
	lsp_swarm_free(peer->swarm);
	lsp_connect_free(peer->connect);
	lsp_local_free(peer->local);
	lsp_announce_free(peer->announce);
	lsp_damage_free(peer->damage);
	lsp_games_free(peer->games);
	lsp_limits_free(peer->limits);
	lsp_guards_free(peer->guards);
	lsp_database_free(peer->database);
	lsp_blocks_free(peer->blocks);
	lsp_events_free(peer->events);
	json_decref(peer->choices);
	json_decref(peer->health);
	json_decref(peer->unread);
}

/* ---- Start
 * -----------------------------------------------------------------------------------------------------
 */

static int start_threads(struct lsp_runtime *runtime, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	struct lsp_supervisor_events events = {
		.runtime_failed = runtime_failed, .argument = runtime};
	int r = lsp_cancel_new(NULL, &peer->root, err);
	if (r == 0)
		r = lsp_tasks_new(peer->root, peer->clock, &peer->tasks, err);
	if (r == 0)
		r = lsp_loop_start(peer->tasks, "core", &peer->core, err);
	if (r == 0)
		r = lsp_pool_new(peer->tasks, "disk", DISK_THREADS, DISK_QUEUE, &peer->disk, err);
	if (r == 0)
		r = lsp_pool_new(peer->tasks, "prepare", PREPARE_THREADS, PREPARE_QUEUE,
			&peer->prepare, err);
	if (r == 0)
		r = lsp_pool_new(peer->tasks, "state", 1, 100000, &peer->state_pool, err);
	if (r == 0)
		r = lsp_pool_new(peer->tasks, "hash", 1, 100000, &runtime->hash, err);
	if (r == 0)
		r = lsp_operations_new(
			lsp_runtime_operations_changed, peer, &peer->operations, err);
	if (r == 0)
		r = lsp_supervisor_new(peer->tasks, &events, &runtime->supervisor, err);
	return r;
}

static void installed_version(int game_fd, char ret_version[LSP_VERSION_TEXT_MAX + 1])
{
	if (lsp_record_read_version(game_fd, LSP_RECORD_PATH, ret_version, NULL) < 0)
		*ret_version = '\0';
}

static int open_library(struct lsp_runtime *runtime, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	struct lsp_library_options options = {
		.games_dir = lsp_config_text(runtime->config, LSP_SETTING_GAMES_DIR),
		.state_dir = peer->state_dir,
		.holder = peer->name,
		.clock = peer->clock,
		.pool = runtime->hash,
		.loop = peer->core,
		.tasks = peer->tasks,
		.rescan_interval = lsp_config_number(runtime->config, LSP_SETTING_RESCAN_INTERVAL) *
				   LSP_SECOND,
		.installed_version = installed_version,
		.changed = lsp_local_library_changed,
		.argument = peer,
	};
	int r = lsp_library_new(&options, &runtime->library, err);
	if (r == 0)
		r = lsp_local_new(peer, runtime->library, runtime->catalog, &peer->local, err);
	return r;
}

/*
 * The service "library-monitor". When it fails it stays off, but downloads and installs still need
 * the library: a plain task serves them, and finds what changed at its rescans.
 */
static int monitor_library(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	int r = lsp_library_run(token, runtime->library, err);
	if (r < 0 && lsp_tasks_spawn(runtime->peer.tasks, "library", LSP_TASK_BACKGROUND,
			     lsp_library_serve, runtime->library, NULL, NULL) < 0)
		lsp_library_end(runtime->library);
	return r;
}

/* Who starts the peer may have had enough of it meanwhile (SIGTERM): the first scan ends then. */
struct start_watch {
	int stop_fd;
	struct lsp_cancel *scan;
};

static int watch_start(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct start_watch *watch = argument;
	struct pollfd fd = {.fd = watch->stop_fd, .events = POLLIN};
	if (lsp_wait_poll(&fd, 1, token, NULL, LSP_TIME_NEVER, NULL) > 0)
		lsp_cancel_request(watch->scan, LSP_CANCEL_USER, "the start is given up");
	return 0;
}

static int scan_until_stopped(struct lsp_runtime *runtime, int stop_fd, struct lsp_error *err)
{
	_cleanup_cancel_ struct lsp_cancel *scan = NULL;
	_cleanup_task_ struct lsp_task *watcher = NULL;
	struct start_watch watch = {.stop_fd = stop_fd};
	struct pollfd fd = {.fd = stop_fd, .events = POLLIN};
	int r = lsp_cancel_new(runtime->peer.root, &scan, err);
	if (r < 0)
		return r;
	watch.scan = scan;
	if (poll(&fd, 1, 0) > 0)
		lsp_cancel_request(scan, LSP_CANCEL_USER, "the start is given up");
	r = lsp_tasks_spawn(runtime->peer.tasks, "start watch", LSP_TASK_MAINTENANCE, watch_start,
		&watch, &watcher, err);
	if (r < 0)
		return r;
	r = lsp_library_scan(runtime->library, scan, err);
	lsp_task_abort(watcher, LSP_CANCEL_RUN_COMPLETED, NULL);
	(void)!lsp_task_wait(watcher, NULL, NULL, LSP_TIME_NEVER, NULL);
	return r;
}

/* The quick first scan: attempted; a failure is said and stops nothing. */
static void first_scan(struct lsp_runtime *runtime, const struct lanspread_options *options)
{
	struct lsp_error err = {0};
	const struct lsp_library_snapshot *snapshot = lsp_library_snapshot(runtime->library);
	lsp_operations_recover(&runtime->peer, snapshot->games_dir);
	lsp_library_snapshot_unref(snapshot);
	int r = options->stop_fd_set ? scan_until_stopped(runtime, options->stop_fd, &err)
				     : lsp_library_scan(runtime->library, runtime->peer.root, &err);
	if (r == -LSP_E_CANCELLED)
		lsp_log_info("library", "the first scan is cut short: %s", err.message);
	else if (r < 0)
		lsp_log_warning("library", "the first scan failed: %s", err.message);
}

static int take_first_snapshot(void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	lsp_local_take_snapshot(runtime->peer.local);
	return 0;
}

static int open_connect(void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	return lsp_connect_new(
		&runtime->peer, &runtime->connect_options, &runtime->peer.connect, err);
}

static int call_core(struct lsp_runtime *runtime, lsp_loop_function function, struct lsp_error *err)
{
	return lsp_loop_call(runtime->peer.core, function, runtime, NULL, LSP_TIME_NEVER, err);
}

static int start(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	static const struct lsp_policy best_effort = {.kind = LSP_POLICY_BEST_EFFORT};
	int r = lsp_runtime_open_state(runtime, options, err);
	if (r == 0)
		r = start_threads(runtime, err);
	if (r == 0)
		r = lsp_runtime_set_unpacker(runtime, options, err);
	if (r == 0)
		r = call_core(runtime, lsp_runtime_build_core, err);
	if (r == 0)
		r = open_library(runtime, err);
	if (r == 0)
		r = call_core(runtime, take_first_snapshot, err);
	if (r == 0)
		r = call_core(runtime, open_connect, err);
	if (r < 0)
		return r;
	first_scan(runtime, options);
	r = call_core(runtime, start_services, err);
	if (r == 0)
		r = lsp_supervisor_run(runtime->supervisor, "library-monitor", &best_effort,
			monitor_library, runtime, err);
	if (r == 0)
		r = lsp_runtime_start_discovery(runtime, options, err);
	if (r == 0)
		r = lsp_tasks_spawn(runtime->peer.tasks, "runtime", LSP_TASK_BACKGROUND,
			lsp_runtime_task, runtime, NULL, err);
	return r;
}

int lsp_runtime_start(const struct lanspread_options *options, struct lsp_runtime **ret_runtime,
	struct lsp_error *err)
{
	struct lsp_runtime *runtime = calloc(1, sizeof *runtime);
	if (!runtime)
		return lsp_error_no_memory(err, "peer");
	runtime->peer.clock = lsp_clock_system;
	runtime->peer.runtime = runtime;
	runtime->peer.started = lsp_now(lsp_clock_system);
	runtime->core_guard.release = core_ended;
	lsp_answer_init(&runtime->stopped);
	lsp_random_bytes(&runtime->peer.instance, sizeof runtime->peer.instance);
	int r = start(runtime, options, err);
	if (r < 0) {
		lsp_runtime_unwind(runtime);
		return r;
	}
	*ret_runtime = runtime;
	return 0;
}
