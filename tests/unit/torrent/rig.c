#include "rig.h"

#include "base/fs.h"
#include "base/text.h"

#include <fcntl.h>
#include <unistd.h>

static void on_event(void *argument, json_t *event)
{
	struct rig *rig = argument;
	pthread_mutex_lock(&rig->lock);
	json_array_append_new(rig->events, event);
	lsp_waiter_list_wake(&rig->waiting);
	pthread_mutex_unlock(&rig->lock);
}

static void on_runtime_failed(void *argument, const char *component, const struct lsp_error *error)
{
}

void rig_init(struct rig *rig, const struct rig_options *options)
{
	memset(rig, 0, sizeof *rig);
	pthread_mutex_init(&rig->lock, NULL);
	rig->events = json_array();
	if (options->folder) {
		snprintf(rig->folder, sizeof rig->folder, "%s", options->folder);
	} else {
		snprintf(rig->folder, sizeof rig->folder, "/tmp/lanspread-torrent-XXXXXX");
		assert_non_null(mkdtemp(rig->folder));
	}
	snprintf(rig->resume, sizeof rig->resume, "%s/resume", rig->folder);
	rig->clock = options->clock ? options->clock : lsp_clock_system;
	runtime_init(&rig->runtime, options->clock);
	struct lsp_supervisor_events events = {on_runtime_failed, NULL, NULL};
	assert_ok(lsp_supervisor_new(rig->runtime.tasks, &events, &rig->supervisor, ERR));
	json_t *configuration = options->configuration
					? options->configuration
					: json_pack("{s:[s]}", "listen", "127.0.0.1:0");
	struct lsp_torrent_options engine = {.tasks = rig->runtime.tasks,
		.supervisor = rig->supervisor,
		.resume_dir = rig->resume,
		.configuration = configuration,
		.event = on_event,
		.event_argument = rig,
		.save_interval = options->save_interval,
		.restart_delay = options->restart_delay,
		.hold = options->hold,
		.shim = options->shim};
	assert_ok(lsp_torrent_engine_start(&engine, &rig->engine, ERR));
	json_decref(configuration);
}

void rig_stop(struct rig *rig)
{
	lsp_cancel_request(rig->runtime.root, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_tasks_join_all(
		rig->runtime.tasks, lsp_time_add(lsp_now(rig->clock), 60 * LSP_SECOND), NULL, ERR));
	lsp_torrent_engine_free(rig->engine);
	lsp_supervisor_free(rig->supervisor);
	lsp_tasks_free(rig->runtime.tasks);
	lsp_cancel_unref(rig->runtime.root);
	json_decref(rig->events);
	pthread_mutex_destroy(&rig->lock);
}

void rig_done(struct rig *rig)
{
	rig_stop(rig);
	rig_remove_tree(rig->folder);
}

/* ---- Calls ------------------------------------------------------------------------------- */

static void on_done(void *argument, struct lsp_torrent_answer *answer)
{
	struct rig_call *pending = argument;
	pending->answer.result = answer->result;
	pending->answer.error = answer->error;
	pending->answer.value = TAKE_PTR(answer->value);
	pending->answer.bytes = answer->bytes;
	memset(&answer->bytes, 0, sizeof answer->bytes);
	lsp_answer_complete(&pending->completed, 0, NULL);
}

void rig_begin(struct rig *rig, struct rig_call *pending, struct lsp_torrent_call *call)
{
	memset(pending, 0, sizeof *pending);
	lsp_answer_init(&pending->completed);
	call->done = on_done;
	call->argument = pending;
	pending->begun = lsp_torrent_call(rig->engine, call, &pending->error);
	if (pending->begun < 0) {
		pending->answer.result = pending->begun;
		pending->answer.error = pending->error;
		lsp_answer_complete(&pending->completed, 0, NULL);
	}
}

void rig_end(struct rig_call *pending, struct rig_answer *ret_answer)
{
	assert_ok(lsp_answer_wait(&pending->completed, NULL, NULL, fixture_limit(), ERR));
	lsp_answer_done(&pending->completed);
	*ret_answer = pending->answer;
}

void rig_expect_end(struct rig_call *pending, int code, const char *words)
{
	struct rig_answer answer;
	rig_end(pending, &answer);
	assert_int_equal(answer.result, -code);
	if (words && !strstr(answer.error.message, words))
		fail_msg("\"%s\" is not in \"%s\"", words, answer.error.message);
	rig_answer_done(&answer);
}

void rig_answer_done(struct rig_answer *answer)
{
	json_decref(answer->value);
	lsp_buffer_done(&answer->bytes);
}

void rig_call_full(struct rig *rig, struct lsp_torrent_call *call, struct rig_answer *ret_answer)
{
	struct rig_call pending;
	rig_begin(rig, &pending, call);
	rig_end(&pending, ret_answer);
}

json_t *rig_ask(struct rig *rig, enum lsp_torrent_command command, json_t *arguments)
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	struct rig_answer answer;
	rig_call_full(rig, &call, &answer);
	if (answer.result < 0)
		fail_msg("%s: %s", lsp_torrent_command_name(command), answer.error.message);
	lsp_buffer_done(&answer.bytes);
	return answer.value;
}

void rig_refuse(struct rig *rig, enum lsp_torrent_command command, json_t *arguments, int code,
	char message[512])
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	struct rig_answer answer;
	rig_call_full(rig, &call, &answer);
	if (answer.result != -code)
		fail_msg("%s gave %s (%s) instead of %s", lsp_torrent_command_name(command),
			lsp_code_name(-answer.result), answer.error.message, lsp_code_name(code));
	if (message)
		snprintf(message, 512, "%s", answer.error.message);
	rig_answer_done(&answer);
}

/* ---- Events ------------------------------------------------------------------------------ */

static bool is_such(const json_t *event, const char *name, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(event, "event"));
	if (!text || strcmp(text, name) != 0)
		return false;
	if (!key)
		return true;
	text = json_string_value(json_object_get(event, key));
	return text && strcmp(text, value) == 0;
}

/* With the lock held. */
static size_t count_of(
	struct rig *rig, const char *event, const char *key, const char *value, json_t **ret_last)
{
	size_t count = 0, i;
	json_t *each;
	json_array_foreach (rig->events, i, each) {
		if (!is_such(each, event, key, value))
			continue;
		count++;
		if (ret_last)
			*ret_last = each;
	}
	return count;
}

size_t rig_count(struct rig *rig, const char *event, const char *key, const char *value)
{
	pthread_mutex_lock(&rig->lock);
	size_t count = count_of(rig, event, key, value, NULL);
	pthread_mutex_unlock(&rig->lock);
	return count;
}

static void fail_with_events(struct rig *rig, const char *event, const char *value)
{
	size_t i;
	json_t *each;
	pthread_mutex_lock(&rig->lock);
	json_array_foreach (rig->events, i, each) {
		char *text = json_dumps(each, JSON_COMPACT);
		print_message("%.300s\n", text);
		free(text);
	}
	pthread_mutex_unlock(&rig->lock);
	fail_msg("no event %s %s", event, value ? value : "");
}

json_t *rig_await(
	struct rig *rig, const char *event, const char *key, const char *value, size_t count)
{
	struct lsp_waiter waiter;
	json_t *last = NULL;
	lsp_waiter_init(&waiter);
	for (;;) {
		pthread_mutex_lock(&rig->lock);
		bool there = count_of(rig, event, key, value, &last) >= count;
		if (there)
			last = json_deep_copy(last);
		else
			lsp_waiter_list_add(&rig->waiting, &waiter);
		pthread_mutex_unlock(&rig->lock);
		if (there)
			break;
		int r = lsp_waiter_wait(&waiter, NULL, NULL, fixture_limit(), ERR);
		pthread_mutex_lock(&rig->lock);
		lsp_waiter_list_remove(&rig->waiting, &waiter);
		pthread_mutex_unlock(&rig->lock);
		if (r < 0)
			fail_with_events(rig, event, value);
	}
	lsp_waiter_done(&waiter);
	return last;
}

/* ---- Files ------------------------------------------------------------------------------- */

void rig_file(const char *folder, const char *path, size_t size, unsigned seed)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	char *slash = strrchr(whole, '/');
	*slash = '\0';
	assert_ok(lsp_fs_make_dirs(whole, false, ERR));
	*slash = '/';
	uint8_t *data = malloc(size + 8);
	uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (size_t i = 0; i < size; i += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(data + i, &state, 8);
	}
	FILE *file = fopen(whole, "wb"); /* of the longest names too */
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	free(data);
}

bool rig_same_file(const char *a_folder, const char *b_folder, const char *path)
{
	_cleanup_buffer_ struct lsp_buffer a = {0}, b = {0};
	_cleanup_free_ char *a_path = lsp_text_format("%s/%s", a_folder, path);
	_cleanup_free_ char *b_path = lsp_text_format("%s/%s", b_folder, path);
	assert_ok(lsp_fs_read_file(a_path, (size_t)1 << 30, &a, ERR));
	if (lsp_fs_read_file(b_path, (size_t)1 << 30, &b, ERR) < 0)
		return false;
	return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

bool rig_file_arrives(
	struct rig *rig, const char *from_folder, const char *to_folder, const char *path)
{
	lsp_time patience = lsp_now(lsp_clock_system) + 30 * LSP_SECOND;
	bool same = false;
	while (!(same = rig_same_file(from_folder, to_folder, path)) &&
		lsp_now(lsp_clock_system) < patience)
		json_decref(rig_ask(rig, LSP_TORRENT_INSPECT, NULL));
	return same;
}

void rig_remove_tree(const char *path)
{
	int fd = -1;
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = lsp_text_format("%.*s/", (int)(slash - path), path);
	assert_ok(lsp_fs_open_dir(parent, &fd, ERR));
	assert_ok(lsp_fs_remove_tree_below(fd, slash + 1, ERR));
	close(fd);
}

void rig_listen_address(struct rig *rig, char address[64])
{
	json_t *value = rig_ask(rig, LSP_TORRENT_INSPECT, NULL);
	const char *text = json_string_value(json_array_get(json_object_get(value, "listen"), 0));
	snprintf(address, 64, "%s", text ? text : "");
	json_decref(value);
}
