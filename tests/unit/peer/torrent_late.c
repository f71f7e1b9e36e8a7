/*
 * A game that comes by a torrent whose content is not known yet, between stand-ins for the engine,
 * the pools and the rest of the peer: the engine answers, and jobs run, when the test says so. What
 * never ran is what a kill left undone; the files are real ones.
 */
#include "peer/torrent_late.h"

#include "base/fs.h"
#include "base/text.h"
#include "content/stage.h"
#include "peer/command.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GAME "quake"
#define ID "0123456789abcdef0123456789abcdef01234567"
#define OTHER "76543210fedcba9876543210fedcba9876543210"

/* ---- Stand-ins ---- */

/* The last call that somebody waits for, and what was told beside it. */
static struct lsp_torrent_call asked;
static unsigned told[LSP_TORRENT_COMMAND_COUNT], failed, dropped, answered, aliases;
static bool running; /* a download of it */
static unsigned downloads;
static enum lsp_engine engine;
static struct lsp_hash wanted; /* what was downloaded last */
static char games[64], failure[1000];
static struct lsp_library_game local;
static bool is_local;
static lsp_manifest_callback manifest_came;
static void *manifest_argument;

static struct lsp_job *jobs[16];
static size_t job_count;

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	assert_true(job_count < LSP_ARRAY_SIZE(jobs));
	job->result = 0;
	job->error = (struct lsp_error){0};
	jobs[job_count++] = job;
	return 0;
}

static void run_job(void)
{
	assert_true(job_count > 0);
	struct lsp_job *job = jobs[0];
	memmove(jobs, jobs + 1, --job_count * sizeof jobs[0]);
	job->work(job);
	job->done(job);
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	asked = *call;
	json_decref(call->arguments);
	lsp_buffer_done(&call->metainfo);
	return 0;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	asked = (struct lsp_torrent_call){.command = command, .done = done, .argument = argument};
	return 0;
}

/* Of the last call, which must be that one. */
static void answer(enum lsp_torrent_command command, struct lsp_torrent_answer with)
{
	assert_non_null(asked.done);
	assert_int_equal(asked.command, command);
	struct lsp_torrent_call call = asked;
	asked = (struct lsp_torrent_call){0};
	call.done(call.argument, &with);
	json_decref(with.value);
	lsp_buffer_done(&with.bytes);
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	told[command]++;
	json_decref(arguments);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	return json_array();
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	failed += strcmp(name, "download_failed") == 0;
	json_decref(event);
}

json_t *lsp_error_to_json(const struct lsp_error *error)
{
	snprintf(failure, sizeof failure, "%s", error->message);
	return json_null();
}

void lsp_games_publish_local(struct lsp_peer *peer)
{
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
}

void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	json_decref(document);
}

void lsp_call_answer_saved(struct lsp_call *call, json_t *result)
{
	answered++;
	json_decref(result);
}

void lsp_call_fail(struct lsp_call *call, const struct lsp_error *err)
{
	snprintf(failure, sizeof failure, "%s", err->message);
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return games;
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	return running ? (struct lsp_download *)&running : NULL;
}

const struct lsp_hash *lsp_download_content(const struct lsp_download *download)
{
	return &wanted;
}

bool lsp_torrent_games_has(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id)
{
	return aliases > 0;
}

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return is_local ? &local : NULL;
}

int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err)
{
	downloads++;
	wanted = *options->content;
	engine = options->engine;
	running = true;
	return 0;
}

void lsp_download_set_engine(struct lsp_download *download, enum lsp_engine to)
{
	engine = to;
}

int lsp_manifest_query(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	lsp_manifest_callback callback, void *argument, struct lsp_manifest_query **ret_query,
	struct lsp_error *err)
{
	manifest_came = callback;
	manifest_argument = argument;
	return 0;
}

void lsp_manifest_query_free(struct lsp_manifest_query *query)
{
}

void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers)
{
}

static unsigned readied;

void lsp_torrent_games_ready(struct lsp_peer *peer, const char *game)
{
	readied++;
}

void lsp_torrent_games_set_options(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const json_t *options)
{
}

int lsp_torrent_games_keep(const struct lsp_peer *peer, const char *id,
	const struct lsp_buffer *metainfo, struct lsp_error *err)
{
	return 0;
}

void lsp_torrent_kept_id(const char *name, char ret_id[LSP_SHA256_HEX_SIZE])
{
	ret_id[0] = '\0';
}

void lsp_torrent_kept_drop(struct lsp_peer *peer, const char *name)
{
	dropped++;
}

int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err)
{
	aliases++;
	return 0;
}

/* ---- A peer, and one late game ---- */

static int start(void **state)
{
	static struct lsp_peer peer;
	struct lsp_error err = {0};
	memset(told, 0, sizeof told);
	failed = dropped = answered = aliases = downloads = 0;
	running = is_local = false;
	job_count = 0;
	asked = (struct lsp_torrent_call){0};
	snprintf(games, sizeof games, "/tmp/lanspread-late-XXXXXX");
	peer = (struct lsp_peer){.torrent_wishes = json_object(), .torrent_leaving = json_object()};
	*state = &peer;
	return mkdtemp(games) ? lsp_operations_new(NULL, NULL, &peer.operations, &err) : -1;
}

static int end(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	int fd;
	lsp_torrent_late_free_all(peer);
	lsp_operations_free(peer->operations);
	json_decref(peer->torrent_wishes);
	json_decref(peer->torrent_leaving);
	for (size_t i = 0; i < job_count; i++)
		jobs[i] = NULL;
	if (lsp_fs_open_dir("/tmp", &fd, &err) < 0)
		return -1;
	int r = lsp_fs_remove_tree_below(fd, games + strlen("/tmp/"), &err);
	close(fd);
	return r;
}

static void event(struct lsp_peer *peer, json_t *event)
{
	lsp_torrent_late_event(peer, json_string_value(json_object_get(event, "event")), ID, event);
	json_decref(event);
}

static void state_event(struct lsp_peer *peer, const char *to)
{
	event(peer, json_pack("{s:s, s:s, s:n}", "event", "torrent_state", "state", to, "error"));
}

static void error_event(struct lsp_peer *peer, const char *code)
{
	event(peer, json_pack("{s:s, s:s, s:s}", "event", "torrent_error", "code", code, "message",
			    "a file: no"));
}

/* Of what is not the torrent's own files. */
static void error_event_beside(struct lsp_peer *peer, const char *component, const char *code)
{
	event(peer, json_pack("{s:s, s:s, s:s, s:s}", "event", "torrent_error", "component",
			    component, "code", code, "message", "a file: no"));
}

/* From the engine's store, in the game's folder. */
static void bring_back(struct lsp_peer *peer, const char *to)
{
	char *path = lsp_text_format("%s/" GAME "/.lanspread/torrent", games);
	event(peer, json_pack("{s:s, s:{s:s, s:s}}", "event", "torrent_added", "status",
			    "save_path", path, "state", to));
	free(path);
}

static struct lsp_torrent_late *late_of(struct lsp_peer *peer)
{
	return lsp_torrent_late_find(peer, GAME);
}

static bool is_busy(struct lsp_peer *peer)
{
	return lsp_operations_of(peer->operations, GAME) != LSP_OPERATION_NONE;
}

static char *path_of(const char *path)
{
	return lsp_text_format("%s/" GAME "/%s", games, path);
}

static bool is_there(const char *name)
{
	char *path = path_of(name);
	bool there = access(path, F_OK) == 0;
	free(path);
	return there;
}

static void write_file(const char *name, const char *text)
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

static void write_files(void)
{
	write_file(".lanspread/torrent/files/version.ini", "1.0\n");
	write_file(".lanspread/torrent/files/data", "all of it");
}

/* All of it has come, and its pieces are right: its .torrent was asked for. */
static void become_whole(struct lsp_peer *peer)
{
	write_files();
	bring_back(peer, "seeding");
	answer(LSP_TORRENT_HAVE, (struct lsp_torrent_answer){
					 .value = json_pack("{s:i, s:i}", "pieces", 3, "have", 3)});
}

/* What is not in memory any more. */
static void be_killed(struct lsp_peer *peer)
{
	lsp_torrent_late_free_all(peer);
	lsp_operations_free(peer->operations);
	asked = (struct lsp_torrent_call){0};
	job_count = 0;
	memset(told, 0, sizeof told);
	assert_int_equal(lsp_operations_new(NULL, NULL, &peer->operations, NULL), 0);
}

static struct lsp_torrent_answer exported(void)
{
	struct lsp_torrent_answer answer = {0};
	assert_int_equal(lsp_buffer_append(&answer.bytes, "d4:infodee", 10, NULL), 0);
	return answer;
}

/* ---- Beginning, and standing still ---- */

static int take(struct lsp_peer *peer)
{
	struct lsp_error err = {0};
	return lsp_torrent_late_take(peer, GAME, ID, &err);
}

static void one_that_is_cancelled_while_it_moves_rests_once_it_has_moved(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(take(peer), 0);
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	assert_int_equal(failed, 0);
	assert_true(is_busy(peer));
	answer(LSP_TORRENT_MOVE, (struct lsp_torrent_answer){0});
	assert_int_equal(told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(failed, 1);
	assert_false(is_busy(peer));
	assert_false(lsp_torrent_late_cancel(late_of(peer)));
}

static void one_that_cannot_be_moved_is_gone_and_fails_once(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_answer refused = {.result = -LSP_E_NO_SPACE};
	lsp_error_set(&refused.error, "torrent", LSP_E_NO_SPACE, "the disk is full");
	assert_int_equal(take(peer), 0);
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	answer(LSP_TORRENT_MOVE, refused);
	lsp_torrent_late_tick(peer);
	assert_int_equal(failed, 1);
	assert_int_equal(told[LSP_TORRENT_REMOVE], 1);
	assert_null(late_of(peer));
}

static int start_one(struct lsp_peer *peer, const char *id, struct lsp_call *call)
{
	struct lsp_error err = {0};
	struct lsp_buffer metainfo = {0};
	struct lsp_torrent_late_source source = {
		.metainfo = &metainfo, .id = id, .call = call, .kept = call ? NULL : "kept"};
	int r = lsp_torrent_late_start(peer, GAME, &source, &err);
	snprintf(failure, sizeof failure, "%s", err.message);
	return r;
}

static struct lsp_torrent_answer with_id(void)
{
	return (struct lsp_torrent_answer){.value = json_pack("{s:s}", "id", ID)};
}

static void what_a_magnet_brought_is_kept_until_the_engine_has_stored_it(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(start_one(peer, ID, NULL), 0);
	assert_int_equal(dropped, 0);
	answer(LSP_TORRENT_ADD, with_id());
	assert_int_equal(dropped, 1);
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
}

static void who_adds_one_is_answered_when_the_engine_has_it(void **state)
{
	struct lsp_peer *peer = *state;
	int caller = 0;
	struct lsp_torrent_answer refused = with_id();
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	assert_int_equal(answered, 0);
	answer(LSP_TORRENT_ADD, with_id());
	assert_int_equal(answered, 1);
	lsp_torrent_late_free_all(peer);
	refused.result = -LSP_E_EXISTS;
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	answer(LSP_TORRENT_ADD, refused);
	assert_int_equal(answered, 1);
	assert_non_null(strstr(failure, "torrent remove"));
	assert_int_equal(failed, 0); /* who waits has been told */
	assert_null(late_of(peer));
}

static void one_that_rests_goes_on_by_the_same_torrent_only(void **state)
{
	struct lsp_peer *peer = *state;
	int caller = 0;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	assert_int_equal(start_one(peer, OTHER, (struct lsp_call *)&caller), -LSP_E_EXISTS);
	assert_non_null(strstr(failure, "lanspread get " GAME));
	assert_false(is_busy(peer));
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	assert_int_equal(told[LSP_TORRENT_RESUME], 1);
	assert_int_equal(answered, 1);
	assert_true(is_busy(peer));
}

static void one_that_was_killed_goes_on_with_all_of_its_files(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
	assert_int_equal(told[LSP_TORRENT_SELECT], 1);
	assert_true(is_busy(peer));
}

static void one_that_rested_does_so_after_a_restart(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	be_killed(peer);
	bring_back(peer, "downloading"); /* before the pause was stored */
	assert_false(is_busy(peer));
	assert_int_equal(told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(failed, 1);
}

static void another_version_that_was_put_there_takes_nothing_from_one_that_rests(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	be_killed(peer);
	is_local = true;
	memset(local.content.bytes, 7, sizeof local.content.bytes);
	local.state = LSP_LIBRARY_READY;
	bring_back(peer, "paused");
	assert_non_null(late_of(peer));
	assert_null(asked.done);
	assert_int_equal(told[LSP_TORRENT_REMOVE], 0);
}

static void one_whose_files_are_a_download_already_goes_with_what_it_has(void **state)
{
	struct lsp_peer *peer = *state;
	running = true;
	aliases = 1;
	readied = 0;
	bring_back(peer, "downloading");
	assert_null(late_of(peer));
	assert_true(lsp_torrent_late_leaves(peer, ID));
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	assert_false(lsp_torrent_late_leaves(peer, ID));
	assert_int_equal(readied, 1); /* what is called the same may be seeded now */
}

static void one_whose_torrent_is_removed_by_somebody_ends(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(take(peer), 0);
	assert_null(lsp_torrent_late_game(peer, OTHER));
	event(peer, json_pack("{s:s}", "event", "torrent_removed"));
	assert_int_equal(failed, 0); /* it is not over before the answer to its move */
	answer(LSP_TORRENT_MOVE, (struct lsp_torrent_answer){0});
	assert_int_equal(failed, 1);
	assert_null(late_of(peer));
	assert_false(is_busy(peer));
}

static void a_failure_is_told_once_and_what_a_new_session_mends_is_none(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	error_event(peer, "closed");
	error_event(peer, "corrupt");
	assert_true(is_busy(peer));
	error_event(peer, "no_space");
	state_event(peer, "failed");
	assert_int_equal(failed, 1);
	assert_false(is_busy(peer));
	assert_non_null(strstr(failure, "no space to download " GAME));
	assert_int_equal(told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	assert_true(is_busy(peer));
	assert_int_equal(failed, 1);
}

static void what_fails_beside_the_torrent_does_not_end_the_download(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	error_event_beside(peer, "resume_store", "no_space");
	error_event_beside(peer, "resume_store", "io");
	error_event_beside(peer, "storage", "io");
	lsp_torrent_late_tick(peer);
	assert_true(is_busy(peer));
	assert_int_equal(failed, 0);
	assert_int_equal(told[LSP_TORRENT_PAUSE], 0);
	/* A failure of its own files afterwards does. */
	error_event(peer, "no_space");
	assert_int_equal(failed, 1);
	assert_false(is_busy(peer));
}

/* ---- Becoming a game ---- */

static void one_that_is_whole_becomes_a_download_of_its_content(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job(); /* hashed */
	run_job(); /* another stage is gone */
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_false(lsp_torrent_late_cancel(late_of(peer))); /* too late */
	run_job();                                            /* promised */
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job(); /* placed */
	assert_true(is_there(".lanspread/stage/files/data"));
	assert_false(is_there(".lanspread/torrent"));
	assert_int_equal(downloads, 1);
	assert_int_equal(engine, LSP_ENGINE_SWARM);
	assert_int_equal(aliases, 1);
	assert_int_equal(told[LSP_TORRENT_FORGET], 0); /* the saves come first */
	run_job();
	assert_int_equal(told[LSP_TORRENT_FORGET], 1);
	assert_null(late_of(peer));
	assert_int_equal(failed, 0);
}

static void a_cancel_while_it_is_hashed_leaves_it_to_the_engine(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	run_job();
	assert_int_equal(failed, 1);
	assert_false(is_busy(peer));
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_int_equal(told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(told[LSP_TORRENT_REMOVE], 0);
	/* And it goes on from there. */
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	lsp_torrent_late_tick(peer);
	assert_int_equal(asked.command, LSP_TORRENT_HAVE);
}

static void a_session_that_breaks_is_waited_for(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_answer closed = {.result = -LSP_E_CLOSED, .error.code = LSP_E_CLOSED};
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, closed);
	assert_int_equal(asked.command, LSP_TORRENT_HAVE);
	answer(LSP_TORRENT_HAVE, closed);
	assert_true(is_busy(peer));
	bring_back(peer, "seeding");
	lsp_torrent_late_tick(peer);
	assert_int_equal(asked.command, LSP_TORRENT_HAVE);
	assert_int_equal(failed, 0);
}

static void what_no_game_may_have_fails_and_stays_with_the_engine(void **state)
{
	struct lsp_peer *peer = *state;
	write_file(".lanspread/torrent/files/aux.txt", "no");
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	assert_int_equal(failed, 1);
	assert_non_null(strstr(failure, "aux"));
	assert_int_equal(told[LSP_TORRENT_REMOVE], 0);
	assert_non_null(late_of(peer));
}

static void a_game_that_came_meanwhile_is_not_overwritten(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	local = (struct lsp_library_game){.state = LSP_LIBRARY_READY};
	is_local = true;
	run_job();
	assert_int_equal(failed, 1);
	assert_non_null(strstr(failure, "another content"));
	assert_int_equal(told[LSP_TORRENT_REMOVE], 0);
}

/* Until the promise is kept, or is not, nothing is lost whenever the program is killed. */
static void a_kill_before_the_files_were_moved_leaves_a_torrent_that_has_them(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	be_killed(peer);
	bring_back(peer, "seeding");
	assert_int_equal(told[LSP_TORRENT_PAUSE], 1); /* until it is known where its files are */
	run_job();
	assert_int_equal(told[LSP_TORRENT_RESUME], 1);
	assert_int_equal(asked.command, LSP_TORRENT_HAVE);
	assert_int_equal(downloads, 0);
}

static void a_kill_after_that_leaves_a_download(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	jobs[0]->work(jobs[0]);
	struct lsp_hash content = {0};
	be_killed(peer);
	write_file(".lanspread/torrent/files/empty", ""); /* as the engine does at its start */
	bring_back(peer, "downloading");
	run_job();
	assert_int_equal(downloads, 1);
	assert_false(lsp_hash_equal(&wanted, &content));
	assert_int_equal(aliases, 1);
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	assert_null(late_of(peer));
	run_job();
}

static void a_stage_that_cannot_be_made_is_tried_again(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	struct lsp_job *job = jobs[0];
	job_count = 0;
	job->result = lsp_error_set(&job->error, "content", LSP_E_NO_SPACE, "the disk is full");
	job->done(job);
	assert_int_equal(failed, 1);
	assert_false(is_busy(peer));
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_int_equal(told[LSP_TORRENT_FORGET], 0);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	run_job();
	assert_int_equal(downloads, 1);
	assert_true(is_there(".lanspread/stage/files/data"));
	run_job();
}

static void one_goes_on_by_the_lan_with_what_it_has(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_manifest_entry entry = {.path = "version.ini", .size = 9, .root = {{1}}};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	assert_int_equal(lsp_manifest_build(GAME, &entry, 1, &manifest, &err), 0);
	write_files();
	bring_back(peer, "downloading");
	struct lsp_torrent_late *late = late_of(peer);
	assert_int_equal(lsp_torrent_late_go_on_by_lan(late, &manifest->content_id, &err), 0);
	manifest_came(manifest_argument, manifest, NULL);
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
	assert_int_equal(downloads, 1);
	assert_int_equal(engine, LSP_ENGINE_LAN);
	assert_int_equal(aliases, 0);
	assert_true(is_there(".lanspread/stage/files/version.ini"));
	run_job();
}

static void one_that_is_cancelled_while_its_manifest_is_asked_for_rests(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_manifest_entry entry = {.path = "version.ini", .size = 9, .root = {{1}}};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	assert_int_equal(lsp_manifest_build(GAME, &entry, 1, &manifest, &err), 0);
	bring_back(peer, "downloading");
	struct lsp_torrent_late *late = late_of(peer);
	assert_int_equal(lsp_torrent_late_go_on_by_lan(late, &manifest->content_id, &err), 0);
	assert_true(lsp_torrent_late_cancel(late));
	manifest_came(manifest_argument, manifest, NULL);
	assert_int_equal(job_count, 0);
	assert_int_equal(downloads, 0);
	assert_int_equal(failed, 1);
	assert_non_null(strstr(failure, "cancelled"));
	assert_false(is_busy(peer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_cancelled_while_it_moves_rests_once_it_has_moved),
		TEST(one_that_cannot_be_moved_is_gone_and_fails_once),
		TEST(what_a_magnet_brought_is_kept_until_the_engine_has_stored_it),
		TEST(who_adds_one_is_answered_when_the_engine_has_it),
		TEST(one_that_rests_goes_on_by_the_same_torrent_only),
		TEST(one_that_was_killed_goes_on_with_all_of_its_files),
		TEST(another_version_that_was_put_there_takes_nothing_from_one_that_rests),
		TEST(one_that_rested_does_so_after_a_restart),
		TEST(one_whose_files_are_a_download_already_goes_with_what_it_has),
		TEST(one_whose_torrent_is_removed_by_somebody_ends),
		TEST(a_failure_is_told_once_and_what_a_new_session_mends_is_none),
		TEST(what_fails_beside_the_torrent_does_not_end_the_download),
		TEST(one_that_is_whole_becomes_a_download_of_its_content),
		TEST(a_cancel_while_it_is_hashed_leaves_it_to_the_engine),
		TEST(a_session_that_breaks_is_waited_for),
		TEST(what_no_game_may_have_fails_and_stays_with_the_engine),
		TEST(a_game_that_came_meanwhile_is_not_overwritten),
		TEST(a_kill_before_the_files_were_moved_leaves_a_torrent_that_has_them),
		TEST(a_kill_after_that_leaves_a_download),
		TEST(a_stage_that_cannot_be_made_is_tried_again),
		TEST(one_goes_on_by_the_lan_with_what_it_has),
		TEST(one_that_is_cancelled_while_its_manifest_is_asked_for_rests),
	};
	return cmocka_run_group_tests_name("torrent late", tests, NULL, NULL);
}
