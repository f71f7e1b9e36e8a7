#include "torrent_late_room.h"

#include "peer/command.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/torrent_files.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"

struct room room;

/* ---- Stand-ins ---- */

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	assert_true(room.job_count < LSP_ARRAY_SIZE(room.jobs));
	job->result = 0;
	job->error = (struct lsp_error){0};
	room.jobs[room.job_count++] = job;
	room.pool = pool;
	return 0;
}

void run_job(void)
{
	assert_true(room.job_count > 0);
	struct lsp_job *job = room.jobs[0];
	memmove(room.jobs, room.jobs + 1, --room.job_count * sizeof room.jobs[0]);
	job->work(job);
	job->done(job);
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	json_decref(call->arguments);
	lsp_buffer_done(&call->metainfo);
	if (room.is_closed)
		return lsp_error_set(err, "torrent", LSP_E_CLOSED, "the engine is not available");
	if (call->done)
		room.asked = *call;
	else
		room.told[call->command]++;
	return 0;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	room.asked =
		(struct lsp_torrent_call){.command = command, .done = done, .argument = argument};
	return 0;
}

/* Of the last call, which must be that one. */
void answer(enum lsp_torrent_command command, struct lsp_torrent_answer with)
{
	assert_non_null(room.asked.done);
	assert_int_equal(room.asked.command, command);
	struct lsp_torrent_call call = room.asked;
	room.asked = (struct lsp_torrent_call){0};
	call.done(call.argument, &with);
	json_decref(with.value);
	lsp_buffer_done(&with.bytes);
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	room.told[command]++;
	json_decref(arguments);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	return json_array();
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	room.failed += strcmp(name, "download_failed") == 0;
	json_decref(event);
}

json_t *lsp_error_to_json(const struct lsp_error *error)
{
	snprintf(room.failure, sizeof room.failure, "%s", error->message);
	return json_null();
}

void lsp_games_publish_local(struct lsp_peer *peer)
{
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
}

/* At once, where the real one waits for its thread; a full disk keeps nothing. */
void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	char *path = lsp_text_format("%s/%s", peer->state_dir, name);
	if (!room.is_full)
		assert_int_equal(json_dump_file(document, path, 0), 0);
	json_decref(document);
	free(path);
}

void lsp_call_answer_saved(struct lsp_call *call, json_t *result)
{
	room.answered++;
	json_decref(result);
}

void lsp_call_fail(struct lsp_call *call, const struct lsp_error *err)
{
	snprintf(room.failure, sizeof room.failure, "%s", err->message);
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return room.games;
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	return room.running ? (struct lsp_download *)&room.running : NULL;
}

const struct lsp_hash *lsp_download_content(const struct lsp_download *download)
{
	return &room.wanted;
}

bool lsp_torrent_games_has(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id)
{
	return room.aliases > 0;
}

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return room.is_local ? &room.local : NULL;
}

int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err)
{
	int r = room.refusal;
	room.refusal = 0;
	if (r < 0)
		return lsp_error_set(err, "peer", (enum lsp_code) - r, "not now");
	room.downloads++;
	room.wanted = *options->content;
	room.engine = options->engine;
	room.running = true;
	return 0;
}

void lsp_download_set_engine(struct lsp_download *download, enum lsp_engine to)
{
	room.engine = to;
}

int lsp_manifest_query(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	lsp_manifest_callback callback, void *argument, struct lsp_manifest_query **ret_query,
	struct lsp_error *err)
{
	room.manifest_came = callback;
	room.manifest_argument = argument;
	return 0;
}

void lsp_manifest_query_free(struct lsp_manifest_query *query)
{
}

void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers)
{
}

void lsp_torrent_games_ready(struct lsp_peer *peer, const char *game)
{
	room.readied++;
}

void lsp_torrent_games_set_options(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const json_t *options)
{
	json_decref(room.options);
	room.options = json_deep_copy(options);
}

/* Behind what deletes it, and before what refers to it. */
int lsp_torrent_files_keep(const struct lsp_peer *peer, const char *id,
	const struct lsp_buffer *metainfo, struct lsp_error *err)
{
	assert_ptr_equal(room.pool, peer->state_pool);
	assert_null(lsp_torrent_wish_promise(peer, id));
	room.kept++;
	return 0;
}

void lsp_torrent_kept_id(const char *name, char ret_id[LSP_SHA256_HEX_SIZE])
{
	ret_id[0] = '\0';
}

void lsp_torrent_kept_drop(struct lsp_peer *peer, const char *name)
{
	room.dropped++;
}

int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err)
{
	room.aliases++;
	return 0;
}

/* ---- A peer, and one late game ---- */

int room_start(void **state)
{
	static struct lsp_peer peer;
	static int state_pool; /* only its address is looked at */
	struct lsp_error err = {0};
	memset(room.told, 0, sizeof room.told);
	room.kept = room.failed = room.dropped = room.answered = room.aliases = room.downloads = 0;
	room.running = room.is_local = room.is_full = room.is_closed = false;
	room.refusal = 0;
	room.job_count = 0;
	room.asked = (struct lsp_torrent_call){0};
	snprintf(room.games, sizeof room.games, "/tmp/lanspread-late-XXXXXX");
	peer = (struct lsp_peer){.torrent_wishes = json_object(),
		.torrent_leaving = json_object(),
		.state_pool = (struct lsp_pool *)&state_pool,
		.state_dir = room.games};
	*state = &peer;
	return mkdtemp(room.games) ? lsp_operations_new(NULL, NULL, &peer.operations, &err) : -1;
}

int room_end(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	int fd;
	lsp_torrent_late_free_all(peer);
	lsp_operations_free(peer->operations);
	json_decref(TAKE_PTR(room.options));
	json_decref(peer->torrent_wishes);
	json_decref(peer->torrent_leaving);
	for (size_t i = 0; i < room.job_count; i++)
		room.jobs[i] = NULL;
	if (lsp_fs_open_dir("/tmp", &fd, &err) < 0)
		return -1;
	int r = lsp_fs_remove_tree_below(fd, room.games + strlen("/tmp/"), &err);
	close(fd);
	return r;
}

void event(struct lsp_peer *peer, json_t *event)
{
	lsp_torrent_late_event(peer, json_string_value(json_object_get(event, "event")), ID, event);
	json_decref(event);
}

void state_event(struct lsp_peer *peer, const char *to)
{
	event(peer, json_pack("{s:s, s:s, s:n}", "event", "torrent_state", "state", to, "error"));
}

void error_event(struct lsp_peer *peer, const char *code)
{
	event(peer, json_pack("{s:s, s:s, s:s}", "event", "torrent_error", "code", code, "message",
			    "a file: no"));
}

/* Of what is not the torrent's own files. */
void error_event_beside(struct lsp_peer *peer, const char *component, const char *code)
{
	event(peer, json_pack("{s:s, s:s, s:s, s:s}", "event", "torrent_error", "component",
			    component, "code", code, "message", "a file: no"));
}

/* From the engine's store, in the game's folder. */
void bring_back(struct lsp_peer *peer, const char *to)
{
	char *path = lsp_text_format("%s/" GAME "/.lanspread/torrent", room.games);
	event(peer, json_pack("{s:s, s:{s:s, s:s}}", "event", "torrent_added", "status",
			    "save_path", path, "state", to));
	free(path);
}

struct lsp_torrent_late *late_of(struct lsp_peer *peer)
{
	return lsp_torrent_late_find(peer, GAME);
}

bool is_busy(struct lsp_peer *peer)
{
	return lsp_operations_of(peer->operations, GAME) != LSP_OPERATION_NONE;
}

char *path_of(const char *path)
{
	return lsp_text_format("%s/" GAME "/%s", room.games, path);
}

bool is_there(const char *name)
{
	char *path = path_of(name);
	bool there = access(path, F_OK) == 0;
	free(path);
	return there;
}

void write_file(const char *name, const char *text)
{
	struct lsp_error err = {0};
	char *path = path_of(name);
	char *folder = strdup(path);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(lsp_fs_make_dirs(folder, false, &err), 0);
	assert_int_equal(lsp_fs_write_file(path, text, strlen(text), 0644, &err), 0);
	free(folder);
	free(path);
}

void write_files(void)
{
	write_file(".lanspread/torrent/files/version.ini", "1.0\n");
	write_file(".lanspread/torrent/files/data", "all of it");
}

void have_all(void)
{
	answer(LSP_TORRENT_HAVE, (struct lsp_torrent_answer){
					 .value = json_pack("{s:i, s:i}", "pieces", 3, "have", 3)});
}

/* All of it has come, and its pieces are right: its .torrent was asked for. */
void become_whole(struct lsp_peer *peer)
{
	write_files();
	bring_back(peer, "seeding");
	have_all();
}

/* What is not in memory any more. */
void be_killed(struct lsp_peer *peer)
{
	lsp_torrent_late_free_all(peer);
	lsp_operations_free(peer->operations);
	room.asked = (struct lsp_torrent_call){0};
	room.job_count = 0;
	memset(room.told, 0, sizeof room.told);
	assert_int_equal(lsp_operations_new(NULL, NULL, &peer->operations, NULL), 0);
}

struct lsp_torrent_answer exported(void)
{
	struct lsp_torrent_answer answer = {0};
	assert_int_equal(lsp_buffer_append(&answer.bytes, "d4:infodee", 10, NULL), 0);
	return answer;
}
