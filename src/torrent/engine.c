/*
 * The face: what other threads touch. Calls go into a queue under the lock; the worker takes all of
 * them at once. Whether there is a worker to take them is `accepting`, which the worker itself
 * turns on and off under the same lock, so that no call is left behind between the two.
 */
#include "torrent/engine_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define NAME "torrent"

bool lsp_torrent_is_supported(void)
{
	return lsp_shim_libtorrent() != NULL;
}

void lsp_engine_emit(struct lsp_torrent_engine *engine, json_t *event)
{
	if (event && engine->event)
		engine->event(engine->event_argument, event);
	else
		json_decref(event);
}

void lsp_engine_wake(struct lsp_torrent_engine *engine)
{
	uint64_t one = 1;
	ssize_t ignored = write(engine->wake_fd, &one, sizeof one);
	(void)ignored; /* a full counter is a wake too */
}

/* ---- Calls ------------------------------------------------------------------------------- */

static void drop_call(struct lsp_torrent_call *call)
{
	json_decref(call->arguments);
	lsp_manifest_unref(call->manifest);
	lsp_buffer_done(&call->metainfo);
	lsp_bitmap_done(&call->have);
	memset(call, 0, sizeof *call);
}

void lsp_call_answer_and_free(struct lsp_call *call, int result, const struct lsp_error *err)
{
	call->answer.result = result;
	if (result < 0)
		call->answer.error = *err;
	if (call->call.done)
		call->call.done(call->call.argument, &call->answer);
	json_decref(call->answer.value);
	lsp_buffer_done(&call->answer.bytes);
	drop_call(&call->call);
	free(call);
}

void lsp_torrent_call_end(
	struct lsp_torrent_engine *engine, struct lsp_call *call, int result, struct lsp_error *err)
{
	engine->tally.commands++;
	lsp_call_answer_and_free(call, result, err);
}

static void append(struct lsp_torrent_engine *engine, struct lsp_call *call)
{
	*engine->calls_end = call;
	engine->calls_end = &call->next;
	engine->call_count++;
}

/* Takes it back, if nobody has taken it yet. */
static bool withdraw(struct lsp_torrent_engine *engine, struct lsp_call *call)
{
	pthread_mutex_lock(&engine->lock);
	struct lsp_call **at = &engine->calls;
	while (*at && *at != call)
		at = &(*at)->next;
	bool found = *at;
	if (found) {
		*at = call->next;
		engine->call_count--;
		engine->calls_end = &engine->calls;
		while (*engine->calls_end)
			engine->calls_end = &(*engine->calls_end)->next;
	}
	pthread_mutex_unlock(&engine->lock);
	return found;
}

/* What the supervisor says of us. */
static enum lsp_supervised_state supervised_state(struct lsp_torrent_engine *engine)
{
	_cleanup_free_ struct lsp_supervised_info *infos = NULL;
	size_t count = 0;
	struct lsp_error err = {0};
	if (lsp_supervisor_snapshot(engine->supervisor, &infos, &count, &err) < 0)
		return LSP_SUPERVISED_RESTARTING;
	for (size_t i = 0; i < count; i++)
		if (strcmp(infos[i].name, NAME) == 0)
			return infos[i].state;
	return LSP_SUPERVISED_STOPPED;
}

static int unavailable(struct lsp_error *err, const char *why)
{
	return lsp_error_set(
		err, DOMAIN, LSP_E_CLOSED, "the torrent engine is not available: %s", why);
}

/* No worker takes calls: one that was given up is started afresh by this one. */
static int call_a_worker(
	struct lsp_torrent_engine *engine, struct lsp_call *call, struct lsp_error *err)
{
	enum lsp_supervised_state state = supervised_state(engine);
	bool afresh =
		call->call.command == LSP_TORRENT_RESTART && state == LSP_SUPERVISED_RESTARTING;
	if (state == LSP_SUPERVISED_RESTARTING && !afresh)
		return unavailable(err, "it failed and tries again soon");
	if (state == LSP_SUPERVISED_STOPPED || state == LSP_SUPERVISED_FAILED)
		return unavailable(err, "it has stopped");
	pthread_mutex_lock(&engine->lock);
	append(engine, call);
	pthread_mutex_unlock(&engine->lock);
	int r = state == LSP_SUPERVISED_RUNNING
			? -LSP_E_EXISTS /* on its way up, or down: then it answers what is queued */
			: lsp_supervisor_restart(engine->supervisor, NAME, err);
	if (r == 0 || r == -LSP_E_EXISTS) {
		lsp_engine_wake(engine);
		return 0;
	}
	if (!withdraw(engine, call))
		return 0; /* it was answered meanwhile */
	return unavailable(err, "it cannot be started");
}

int lsp_torrent_call(
	struct lsp_torrent_engine *engine, struct lsp_torrent_call *call, struct lsp_error *err)
{
	struct lsp_call *queued = calloc(1, sizeof *queued);
	if (!queued || (unsigned)call->command >= LSP_TORRENT_COMMAND_COUNT) {
		free(queued);
		bool known = (unsigned)call->command < LSP_TORRENT_COMMAND_COUNT;
		drop_call(call);
		return known ? lsp_error_no_memory(err, DOMAIN)
			     : lsp_error_set(
				       err, DOMAIN, LSP_E_INVALID, "there is no such command");
	}
	queued->call = *call;
	memset(call, 0, sizeof *call);
	pthread_mutex_lock(&engine->lock);
	bool full = engine->call_count >= LSP_TORRENT_CALLS_MAX;
	bool queued_now = engine->accepting && !full;
	if (queued_now)
		append(engine, queued);
	pthread_mutex_unlock(&engine->lock);
	int r = 0;
	if (queued_now)
		lsp_engine_wake(engine);
	else if (full)
		r = lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"the torrent engine has %d calls to answer first", LSP_TORRENT_CALLS_MAX);
	else
		r = call_a_worker(engine, queued, err);
	if (r < 0) {
		drop_call(&queued->call);
		free(queued);
	}
	return r;
}

struct lsp_call *lsp_engine_take_calls(struct lsp_torrent_engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct lsp_call *calls = engine->calls;
	engine->calls = NULL;
	engine->calls_end = &engine->calls;
	engine->call_count = 0;
	pthread_mutex_unlock(&engine->lock);
	return calls;
}

struct lsp_torrent_job *lsp_engine_take_jobs(struct lsp_torrent_engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	struct lsp_torrent_job *jobs = engine->finished_jobs;
	engine->finished_jobs = NULL;
	pthread_mutex_unlock(&engine->lock);
	return jobs;
}

void lsp_job_free(struct lsp_torrent_job *job)
{
	if (job->free_argument)
		job->free_argument(job->argument);
	lsp_task_unref(job->task);
	free(job);
}

/* ---- Health ------------------------------------------------------------------------------ */

void lsp_engine_publish(struct lsp_torrent_engine *engine)
{
	uint32_t degraded = lsp_faults_degraded(&engine->faults);
	pthread_mutex_lock(&engine->lock);
	bool changed = degraded != engine->degraded;
	engine->degraded = degraded;
	engine->counters = engine->tally;
	pthread_mutex_unlock(&engine->lock);
	if (changed)
		lsp_engine_emit(engine, lsp_event_health(degraded));
}

void lsp_engine_fail(struct lsp_torrent_engine *engine, enum lsp_torrent_component component,
	const char *key, const char *message)
{
	bool known = lsp_faults_has(&engine->faults, component, key);
	lsp_faults_fail(&engine->faults, component, key);
	if (!known && message) {
		lsp_log_warning(DOMAIN, "%s: %s", lsp_torrent_component_name(component), message);
		lsp_engine_emit(engine, lsp_event_session_error(component, message));
	}
	lsp_engine_publish(engine);
}

void lsp_engine_clear(
	struct lsp_torrent_engine *engine, enum lsp_torrent_component component, const char *key)
{
	if (lsp_faults_clear(&engine->faults, component, key))
		lsp_engine_publish(engine);
}

uint32_t lsp_torrent_health(struct lsp_torrent_engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	uint32_t degraded = engine->degraded;
	pthread_mutex_unlock(&engine->lock);
	return degraded;
}

void lsp_torrent_counters(
	struct lsp_torrent_engine *engine, struct lsp_torrent_counters *ret_counters)
{
	pthread_mutex_lock(&engine->lock);
	*ret_counters = engine->counters;
	pthread_mutex_unlock(&engine->lock);
}

/* ---- Life -------------------------------------------------------------------------------- */

int lsp_torrent_configuration_check(const json_t *configuration, struct lsp_error *err)
{
	_cleanup_configuration_ struct lsp_configuration parsed = {0};
	return lsp_configuration_parse(configuration, &parsed, err);
}

static int build(struct lsp_torrent_engine *engine, const struct lsp_torrent_options *options,
	struct lsp_error *err)
{
	engine->tasks = options->tasks;
	engine->supervisor = options->supervisor;
	engine->clock = lsp_tasks_clock(options->tasks);
	engine->event = options->event;
	engine->event_argument = options->event_argument;
	engine->hold = options->hold;
	engine->hold_argument = options->hold_argument;
	engine->save_interval = options->save_interval ? options->save_interval : 45 * LSP_SECOND;
	engine->shutdown_deadline =
		options->shutdown_deadline ? options->shutdown_deadline : 1500 * LSP_MILLISECOND;
	engine->next_number = 1;
	engine->next_ask = LSP_TIME_NEVER;
	lsp_random_init(&engine->random);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->wake_fd < 0)
		return lsp_error_errno(err, DOMAIN, errno, "no eventfd");
	engine->listening = json_object();
	engine->lan_peers = json_array();
	engine->leftovers = json_object();
	engine->unread = json_object();
	engine->resume_dir = strdup(options->resume_dir);
	engine->kept = json_object();
	if (!engine->listening || !engine->lan_peers || !engine->leftovers || !engine->kept ||
		!engine->unread || !engine->resume_dir)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_faults_init(&engine->faults, err);
	if (r == 0)
		r = lsp_configuration_parse(options->configuration, &engine->configuration, err);
	/* A store that cannot be opened degrades the engine and does not stop it. */
	struct lsp_error store_error = {0};
	if (r == 0 && lsp_resume_store_open(options->resume_dir, &engine->store, &store_error) < 0)
		lsp_engine_fail(
			engine, LSP_TORRENT_HEALTH_RESUME_STORE, "folder", store_error.message);
	return r;
}

int lsp_torrent_engine_start(const struct lsp_torrent_options *options,
	struct lsp_torrent_engine **ret_engine, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim =
		options->shim ? options->shim : lsp_shim_libtorrent();
	if (!shim)
		return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
			"this build has no BitTorrent engine: build it with libtorrent-rasterbar");
	struct lsp_torrent_engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return lsp_error_no_memory(err, DOMAIN);
	pthread_mutex_init(&engine->lock, NULL);
	engine->calls_end = &engine->calls;
	engine->wake_fd = -1;
	engine->shim_functions = shim;
	struct lsp_policy policy = {.kind = LSP_POLICY_RESTART,
		.delay = options->restart_delay ? options->restart_delay : LSP_SECOND,
		.factor = 2,
		.ceiling = 30 * LSP_SECOND,
		.jitter = 0.3,
		/* The first failure and five tries after it. Their waits are 1, 2, 4, 8 and 16 s:
		 * the ceiling is for who would try more often. */
		.give_up = 1 + 5};
	int r = build(engine, options, err);
	if (r == 0) {
		engine->accepting = true; /* the first run begins as soon as its thread does */
		r = lsp_supervisor_run(
			engine->supervisor, NAME, &policy, lsp_torrent_worker, engine, err);
	}
	if (r < 0) {
		lsp_torrent_engine_free(engine);
		return r;
	}
	*ret_engine = engine;
	return 0;
}

void lsp_torrent_engine_free(struct lsp_torrent_engine *engine)
{
	if (!engine)
		return;
	struct lsp_error err = {0};
	unavailable(&err, "it has stopped");
	for (struct lsp_call *call = lsp_engine_take_calls(engine), *next; call; call = next) {
		next = call->next;
		lsp_torrent_call_end(engine, call, -LSP_E_CLOSED, &err);
	}
	for (struct lsp_torrent_job *job = lsp_engine_take_jobs(engine), *next; job; job = next) {
		next = job->next;
		if (job->call)
			lsp_torrent_call_end(engine, job->call, -LSP_E_CLOSED, &err);
		lsp_job_free(job);
	}
	lsp_resume_store_free(engine->store);
	lsp_configuration_done(&engine->configuration);
	lsp_faults_done(&engine->faults);
	json_decref(engine->listening);
	json_decref(engine->lan_peers);
	json_decref(engine->leftovers);
	json_decref(engine->kept);
	json_decref(engine->unread);
	lsp_moves_free(engine);
	lsp_looks_done(&engine->looks);
	free(engine->resume_dir);
	if (engine->wake_fd >= 0)
		close(engine->wake_fd);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}
