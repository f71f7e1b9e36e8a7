/* Calls: their beginning, their arguments, what they wait for, their end. */
#include "torrent/engine_private.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define PEERS_MAX 1024 /* of one call */

static const struct {
	lsp_torrent_call_handler handler;
	bool needs_session;
} commands[LSP_TORRENT_COMMAND_COUNT] = {
	[LSP_TORRENT_ADD] = {lsp_torrent_command_add, true},
	[LSP_TORRENT_CREATE] = {lsp_torrent_command_create, false},
	[LSP_TORRENT_CANCEL] = {lsp_torrent_command_cancel, false},
	[LSP_TORRENT_REMOVE] = {lsp_torrent_command_remove, false},
	[LSP_TORRENT_PAUSE] = {lsp_torrent_command_pause, false},
	[LSP_TORRENT_RESUME] = {lsp_torrent_command_resume, false},
	[LSP_TORRENT_SEQUENTIAL] = {lsp_torrent_command_sequential, false},
	[LSP_TORRENT_LIMITS] = {lsp_torrent_command_limits, false},
	[LSP_TORRENT_SELECT] = {lsp_torrent_command_select, false},
	[LSP_TORRENT_OPTIONS] = {lsp_torrent_command_options, false},
	[LSP_TORRENT_TRACKERS] = {lsp_torrent_command_trackers, false},
	[LSP_TORRENT_WEB_SEEDS] = {lsp_torrent_command_web_seeds, false},
	[LSP_TORRENT_REANNOUNCE] = {lsp_torrent_command_reannounce, false},
	[LSP_TORRENT_RECHECK] = {lsp_torrent_command_recheck, false},
	[LSP_TORRENT_MOVE] = {lsp_torrent_command_move, false},
	[LSP_TORRENT_DEADLINE] = {lsp_torrent_command_deadline, false},
	[LSP_TORRENT_PEERS] = {lsp_torrent_command_peers, false},
	[LSP_TORRENT_ADD_PEERS] = {lsp_torrent_command_add_peers, false},
	[LSP_TORRENT_INSPECT] = {lsp_torrent_command_inspect, true},
	[LSP_TORRENT_CONFIGURE] = {lsp_torrent_command_configure, false},
	[LSP_TORRENT_LIST] = {lsp_torrent_command_list, false},
	[LSP_TORRENT_FILES] = {lsp_torrent_command_files, false},
	[LSP_TORRENT_HAVE] = {lsp_torrent_command_have, false},
	[LSP_TORRENT_EXPORT] = {lsp_torrent_command_export, false},
	[LSP_TORRENT_RESTART] = {lsp_torrent_command_restart, false},
	[LSP_TORRENT_FORGET] = {lsp_torrent_command_forget, false},
};

void lsp_torrent_call_begin(struct lsp_torrent_engine *engine, struct lsp_call *call)
{
	struct lsp_error err = {0};
	enum lsp_torrent_command command = call->call.command;
	int r = commands[command].needs_session ? lsp_session_require(engine, &err) : 0;
	if (r == 0)
		r = commands[command].handler(engine, call, &err);
	if (r <= 0)
		lsp_torrent_call_end(engine, call, r, &err);
}

/* ---- Waiting ----------------------------------------------------------------------------- */

int lsp_torrent_call_wait_for(
	struct lsp_torrent_engine *engine, struct lsp_call *call, uint64_t number, uint64_t alerts)
{
	call->number = number;
	call->waits = alerts;
	call->deadline = lsp_time_add(lsp_now(engine->clock), LSP_CALL_PATIENCE);
	call->next = engine->waiting;
	engine->waiting = call;
	return 1;
}

/* What this alert means to who waited for it. */
static int outcome(const struct lsp_call *call, const struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert, struct lsp_error *err)
{
	bool removes = call->call.command == LSP_TORRENT_REMOVE;
	int code = alert->code == LSP_SHIM_NO_SPACE ? LSP_E_NO_SPACE : LSP_E_FAILED;
	switch (alert->type) {
	case LSP_SHIM_ALERT_ADDED:
		if (!*alert->error)
			return 0;
		return lsp_error_set(err, DOMAIN, alert->number == 1 ? LSP_E_EXISTS : code,
			"the torrent cannot be added: %s", alert->error);
	case LSP_SHIM_ALERT_DELETE_FAILED:
		return lsp_torrent_undeleted(torrent, alert, err);
	case LSP_SHIM_ALERT_REMOVED:
	case LSP_SHIM_ALERT_DELETED:
		if (!removes)
			return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
				"the torrent was removed before that was done");
		if (!*torrent->store_error)
			return 0;
		return lsp_error_set(err, DOMAIN, LSP_E_IO,
			"the torrent is removed, but not from the disk, which is tried again; "
			"until then it would be back after a restart: %s",
			torrent->store_error);
	case LSP_SHIM_ALERT_MOVE_FAILED:
		return lsp_error_set(err, DOMAIN, alert->number ? (int)alert->number : code,
			"%.100s cannot be moved: %s", alert->text, alert->error);
	case LSP_SHIM_ALERT_TORRENT_ERROR:
	case LSP_SHIM_ALERT_FILE_ERROR:
		return lsp_error_set(
			err, DOMAIN, code, "the torrent has stopped: %s", alert->error);
	default:
		return 0;
	}
}

/* How it is now; what its move left behind is told with it. */
static json_t *status_with_left(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct lsp_call *call)
{
	json_t *status = lsp_report_status(engine, torrent);
	if (status && *call->left)
		json_object_set_new(status, "left", lsp_translate_text(call->left));
	return status;
}

void lsp_calls_on_alert(struct lsp_torrent_engine *engine, const struct lsp_shim_alert *alert)
{
	struct lsp_call *ended = NULL;
	for (struct lsp_call **at = &engine->waiting; *at;) {
		struct lsp_call *call = *at;
		if (call->number == alert->torrent &&
			(call->waits & (UINT64_C(1) << alert->type))) {
			*at = call->next;
			call->next = ended;
			ended = call;
		} else {
			at = &call->next;
		}
	}
	for (struct lsp_call *call = ended, *next; call; call = next) {
		struct lsp_error err = {0};
		struct lsp_torrent *torrent = lsp_torrent_by_number(engine, alert->torrent);
		int r = outcome(call, torrent, alert, &err);
		next = call->next;
		if (r == 0 && call->call.command != LSP_TORRENT_REMOVE)
			call->answer.value = status_with_left(engine, torrent, call);
		lsp_torrent_call_end(engine, call, r, &err);
	}
}

/* Ends those whose time is over by then, with this error. How many. */
static size_t end_waiting(
	struct lsp_torrent_engine *engine, lsp_time now, const struct lsp_error *error)
{
	size_t count = 0;
	struct lsp_call *ended = NULL;
	for (struct lsp_call **at = &engine->waiting; *at;) {
		struct lsp_call *call = *at;
		if (now >= call->deadline) {
			*at = call->next;
			call->next = ended;
			ended = call;
		} else {
			at = &call->next;
		}
	}
	for (struct lsp_call *call = ended, *next; call; call = next) {
		struct lsp_error err = *error;
		next = call->next;
		count++;
		lsp_torrent_call_end(engine, call, -err.code, &err);
	}
	return count;
}

/* Does the library say that it is still at what the call waits for? */
static bool is_at_it(struct lsp_torrent_engine *engine, const struct lsp_call *call)
{
	struct lsp_torrent *torrent = lsp_torrent_by_number(engine, call->number);
	if (!torrent)
		return lsp_moves_work_at(engine, call->number);
	if (torrent->move && lsp_move_is_at_it(torrent->move))
		return true;
	if (torrent->removing) /* it has let go, and tells once the files are gone, or are not */
		return torrent->was_removed;
	lsp_torrent_refresh(engine, torrent);
	return torrent->status.flags & LSP_SHIM_MOVING;
}

size_t lsp_calls_end(struct lsp_torrent_engine *engine, uint64_t number, int result,
	const struct lsp_error *error)
{
	struct lsp_error removed = {0};
	size_t count = 0;
	lsp_error_set(
		&removed, DOMAIN, LSP_E_NOT_FOUND, "the torrent was removed before that was done");
	for (struct lsp_call **at = &engine->waiting; *at;) {
		struct lsp_call *call = *at;
		if (call->number != number) {
			at = &call->next;
			continue;
		}
		*at = call->next;
		count++;
		bool fails = result < 0 || call->call.command != LSP_TORRENT_REMOVE;
		struct lsp_error err = result < 0 ? *error : removed;
		lsp_torrent_call_end(engine, call, fails ? -err.code : 0, &err);
	}
	return count;
}

void lsp_calls_follow(struct lsp_torrent_engine *engine, uint64_t number, uint64_t to)
{
	for (struct lsp_call *call = engine->waiting; call; call = call->next) {
		if (call->number != number)
			continue;
		call->number = to;
		if (call->call.command == LSP_TORRENT_MOVE)
			call->waits |= UINT64_C(1) << LSP_SHIM_ALERT_ADDED;
	}
}

void lsp_calls_tell_left(struct lsp_torrent_engine *engine, uint64_t number, const char *left)
{
	for (struct lsp_call *call = engine->waiting; call; call = call->next)
		if (call->number == number && call->call.command == LSP_TORRENT_MOVE)
			snprintf(call->left, sizeof call->left, "%s", left);
}

void lsp_calls_expire(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_error late = {0};
	for (struct lsp_call *call = engine->waiting; call; call = call->next)
		if (now >= call->deadline && is_at_it(engine, call))
			call->deadline = lsp_time_add(now, LSP_CALL_PATIENCE);
	lsp_error_set(&late, DOMAIN, LSP_E_TIMEOUT,
		"the torrent was told so and has not done it within a minute");
	(void)end_waiting(engine, now, &late);
}

const struct lsp_call *lsp_calls_waiting(
	struct lsp_torrent_engine *engine, uint64_t number, enum lsp_shim_alert_type type)
{
	const struct lsp_call *call = engine->waiting;
	while (call && (call->number != number || !(call->waits & (UINT64_C(1) << type))))
		call = call->next;
	return call;
}

size_t lsp_calls_cancel(struct lsp_torrent_engine *engine, const char *torrent)
{
	struct lsp_error cancelled = {0};
	lsp_error_set(&cancelled, DOMAIN, LSP_E_CANCELLED,
		"this is not waited for any more; what the torrent was told it does all the same");
	for (struct lsp_call *call = engine->waiting; call; call = call->next) {
		struct lsp_torrent *of = lsp_torrent_by_number(engine, call->number);
		if (of && lsp_torrent_is_called(of, torrent))
			call->deadline = 0;
	}
	return end_waiting(engine, 0, &cancelled);
}

void lsp_calls_fail_all(struct lsp_torrent_engine *engine, const struct lsp_error *error)
{
	(void)end_waiting(engine, LSP_TIME_NEVER, error);
	for (struct lsp_call *call = lsp_engine_take_calls(engine), *next; call; call = next) {
		struct lsp_error err = *error;
		next = call->next;
		lsp_torrent_call_end(engine, call, -err.code, &err);
	}
}

/* ---- Arguments --------------------------------------------------------------------------- */

static const json_t *argument(const struct lsp_call *call, const char *key)
{
	const json_t *value = json_object_get(call->call.arguments, key);
	return value && !json_is_null(value) ? value : NULL;
}

int lsp_torrent_call_text(const struct lsp_call *call, const char *key, bool required,
	const char **value, struct lsp_error *err)
{
	const json_t *given = argument(call, key);
	const char *text = json_string_value(given);
	if (!given && !required)
		return 0;
	if (!given)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "%s is missing", key);
	if (!text || strlen(text) != json_string_length(given) ||
		strlen(text) > (size_t)LSP_RECORD_TEXT_MAX * 16)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "%s must be a text", key);
	*value = text;
	return 0;
}

int lsp_torrent_call_switch(
	const struct lsp_call *call, const char *key, bool *value, struct lsp_error *err)
{
	const json_t *given = argument(call, key);
	if (given && !json_is_boolean(given))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "%s must be true or false", key);
	if (given)
		*value = json_is_true(given);
	return 0;
}

int lsp_torrent_call_number(const struct lsp_call *call, const char *key, uint64_t max,
	uint64_t *value, bool *ret_given, struct lsp_error *err)
{
	const json_t *given = argument(call, key);
	json_int_t number = json_integer_value(given);
	if (given && (!json_is_integer(given) || number < 0 || (uint64_t)number > max))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"%s must be a whole number from 0 to %llu", key, (unsigned long long)max);
	*ret_given = given;
	if (given)
		*value = (uint64_t)number;
	return 0;
}

static bool is_url(const json_t *value, bool tracker)
{
	static const char *const schemes[] = {"http://", "https://", "udp://"};
	const char *text = json_string_value(value);
	for (unsigned i = 0; text && i < (tracker ? 3 : 2); i++) {
		size_t size = strlen(schemes[i]);
		if (strncasecmp(text, schemes[i], size) == 0)
			return text[size] && !strpbrk(text, " \t\r\n") &&
			       strlen(text) <= LSP_RECORD_TEXT_MAX &&
			       strlen(text) == json_string_length(value);
	}
	return false;
}

int lsp_torrent_call_urls(
	const struct lsp_call *call, const char *key, bool trackers, struct lsp_error *err)
{
	const json_t *list = argument(call, key);
	size_t count = 0;
	bool fine = !list || json_is_array(list);
	for (size_t i = 0; fine && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		bool tier = trackers && json_is_array(entry);
		size_t size = tier ? json_array_size(entry) : 1;
		for (size_t k = 0; fine && k < size; k++, count++)
			fine = is_url(tier ? json_array_get(entry, k) : entry, trackers);
	}
	if (fine && count <= LSP_RECORD_LIST_MAX)
		return 0;
	return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
		"%s must be a list of at most %d addresses that begin with http://%s https://%s",
		key, LSP_RECORD_LIST_MAX, trackers ? "," : " or", trackers ? " or udp://" : "");
}

/* "10.0.0.2:6881", "[fd00::2]:6881", "[fe80::1%eth0]:6881" */
static bool is_endpoint(const json_t *value)
{
	const char *text = json_string_value(value);
	const char *colon = text ? strrchr(text, ':') : NULL;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 3];
	uint8_t bytes[16];
	uint64_t port = 0;
	size_t size = colon ? (size_t)(colon - text) : 0;
	if (!colon || size >= sizeof host || strlen(text) != json_string_length(value) ||
		strlen(colon + 1) > 5 || lsp_text_to_u64(colon + 1, &port, NULL) < 0 || port == 0 ||
		port > UINT16_MAX)
		return false;
	bool bracketed = size > 2 && text[0] == '[' && text[size - 1] == ']';
	snprintf(host, sizeof host, "%.*s", (int)(bracketed ? size - 2 : size),
		bracketed ? text + 1 : text);
	if (inet_pton(AF_INET, host, bytes) == 1)
		return true;
	host[strcspn(host, "%")] = '\0';
	return inet_pton(AF_INET6, host, bytes) == 1;
}

int lsp_torrent_call_peers(const struct lsp_call *call, const char *key, struct lsp_error *err)
{
	const json_t *list = argument(call, key);
	if (list && (!json_is_array(list) || json_array_size(list) > PEERS_MAX))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"%s must be a list of at most %d \"address:port\"", key, PEERS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!is_endpoint(json_array_get(list, i)))
			return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
				"%s: %.100s is no address and port, such as 10.0.0.2:6881 or "
				"[fd00::2]:6881",
				key, text ? text : "what is no text");
	}
	return 0;
}

int lsp_torrent_call_torrent(struct lsp_torrent_engine *engine, struct lsp_call *call,
	struct lsp_torrent **ret_torrent, struct lsp_error *err)
{
	const char *name = NULL;
	int r = lsp_torrent_call_text(call, "torrent", true, &name, err);
	if (r == 0)
		r = lsp_torrent_find(engine, name, ret_torrent, err);
	if (r == 0 && !(*ret_torrent)->added)
		return lsp_error_set(
			err, DOMAIN, LSP_E_BUSY, "the torrent %.64s is still being added", name);
	return r;
}

/* ---- Jobs -------------------------------------------------------------------------------- */

/*
 * To the worker, which ends it: to the one that runs, or (`anyway`) to the next. What a worker is
 * given before it stops taking calls, it ends.
 */
static bool hand_over(struct lsp_torrent_job *job, bool anyway)
{
	struct lsp_torrent_engine *engine = job->engine;
	pthread_mutex_lock(&engine->lock);
	bool taken = engine->accepting || anyway;
	if (taken) {
		job->next = engine->finished_jobs;
		engine->finished_jobs = job;
	}
	pthread_mutex_unlock(&engine->lock);
	return taken;
}

/* What it came to, where there is a session or it needs none. */
static int result_of(
	struct lsp_torrent_job *job, const struct lsp_error *why, struct lsp_error *err)
{
	*err = job->error;
	if (job->result < 0)
		return job->result;
	if (!why || !job->needs_worker)
		return job->finish(job, err);
	*err = *why;
	return -why->code;
}

/* No worker is there, and none may come for long: who asked is not to wait for that. */
static void answer_here(struct lsp_torrent_job *job)
{
	struct lsp_error err, closed = {0};
	lsp_error_set(&closed, DOMAIN, LSP_E_CLOSED, "the torrent engine is not available");
	int r = result_of(job, &closed, &err);
	lsp_call_answer_and_free(TAKE_PTR(job->call), r, &err);
}

void lsp_jobs_finish(struct lsp_torrent_engine *engine, const struct lsp_error *why)
{
	for (struct lsp_torrent_job *job = lsp_engine_take_jobs(engine), *next; job; job = next) {
		next = job->next;
		struct lsp_torrent_job **at = &engine->running_jobs;
		while (*at != job)
			at = &(*at)->running_next;
		*at = job->running_next;
		struct lsp_error err = {0};
		int r = 1;
		if (job->is_own)
			(void)!job->finish(job, &err);
		else if (job->call)
			r = result_of(job, why, &err);
		if (r <= 0)
			lsp_torrent_call_end(engine, job->call, r, &err);
		lsp_job_free(job);
	}
}

static int run_job(struct lsp_cancel *token, void *argument_, struct lsp_error *err)
{
	struct lsp_torrent_job *job = argument_;
	struct lsp_torrent_engine *engine = job->engine;
	job->result = job->work(job, token, &job->error);
	int r = job->result;
	if (r < 0 && err)
		*err = job->error;
	if (!hand_over(job, false)) {
		if (!job->is_own)
			answer_here(job);
		(void)hand_over(job, true);
	}
	lsp_engine_wake(engine);
	return r == -LSP_E_CANCELLED ? r : 0; /* a call's error is no task's */
}

int lsp_job_start(struct lsp_torrent_engine *engine, struct lsp_call *call, const char *name,
	bool needs_worker,
	int (*work)(struct lsp_torrent_job *, struct lsp_cancel *, struct lsp_error *),
	int (*finish)(struct lsp_torrent_job *, struct lsp_error *), void *argument_,
	void (*free_argument)(void *), struct lsp_error *err)
{
	struct lsp_torrent_job *job = calloc(1, sizeof *job);
	if (!job) {
		free_argument(argument_);
		return lsp_error_no_memory(err, DOMAIN);
	}
	job->engine = engine;
	job->call = call;
	job->is_own = !call;
	job->work = work;
	job->finish = finish;
	job->needs_worker = needs_worker;
	job->argument = argument_;
	job->free_argument = free_argument;
	snprintf(job->name, sizeof job->name, "%s", name ? name : "");
	job->running_next = engine->running_jobs;
	engine->running_jobs = job;
	int r = lsp_tasks_spawn(
		engine->tasks, "torrent-job", LSP_TASK_MAINTENANCE, run_job, job, &job->task, err);
	if (r < 0) {
		engine->running_jobs = job->running_next;
		lsp_job_free(job);
		return r;
	}
	return 1;
}
