#include "peer/play.h"

#include "base/fs.h"
#include "base/text.h"
#include "install/play.h"
#include "peer/command.h"
#include "peer/local.h"
#include "peer/peer.h"

#include <stdlib.h>
#include <string.h>

/* A question about a game on its way to the disk and back. */
struct question {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char *folder;
	char game[LSP_GAME_ID_MAX + 1];
	json_t *(*answer)(struct question *question);
	struct lsp_play play;
};

static void question_free(struct question *question)
{
	lsp_play_done(&question->play);
	free(question->folder);
	free(question);
}

static void answered(struct lsp_job *job)
{
	struct question *question = lsp_container_of(job, struct question, job);
	if (job->result < 0)
		lsp_call_fail(question->call, &job->error);
	else
		lsp_call_answer(question->call, question->answer(question));
	question_free(question);
}

static int ask(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	void (*work)(struct lsp_job *job), json_t *(*answer)(struct question *question),
	struct lsp_error *err)
{
	struct question *question = calloc(1, sizeof *question);
	if (!question)
		return lsp_error_no_memory(err, "peer");
	question->peer = peer;
	question->call = call;
	question->answer = answer;
	question->job.work = work;
	question->job.done = answered;
	snprintf(question->game, sizeof question->game, "%s", game);
	question->folder = lsp_text_format("%s/%s", lsp_local_games_dir(peer), game);
	int r = question->folder ? lsp_pool_submit(peer->disk, peer->core, &question->job, err)
				 : lsp_error_no_memory(err, "peer");
	if (r < 0)
		question_free(question);
	return r;
}

/* ---- Play
 * ------------------------------------------------------------------------------------------------
 */

static void find_play(struct lsp_job *job)
{
	struct question *question = lsp_container_of(job, struct question, job);
	_cleanup_close_ int dir = -1;
	job->result = lsp_fs_open_dir(question->folder, &dir, &job->error);
	if (job->result == 0)
		job->result = lsp_play_find(dir, NULL, &question->play, &job->error);
}

static json_t *play_json(struct question *question)
{
	json_t *argv = json_array();
	for (char **word = question->play.argv; *word; word++)
		json_array_append_new(argv, json_string(*word));
	return json_pack("{s:o, s:s, s:s}", "argv", argv, "cwd", question->play.cwd, "kind",
		question->play.folder ? "folder" : "program");
}

int lsp_play_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (!local || (local->availability != LSP_AVAILABILITY_INSTALLED &&
			      local->availability != LSP_AVAILABILITY_LOCAL_ONLY))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"%s is not installed: `lanspread install %s` does that", game, game);
	return ask(peer, call, game, find_play, play_json, err);
}

/* ---- Its folder ---- */

static void find_folder(struct lsp_job *job)
{
	struct question *question = lsp_container_of(job, struct question, job);
	_cleanup_close_ int dir = -1;
	job->result = lsp_fs_open_dir(question->folder, &dir, &job->error);
	if (job->result == 0)
		job->result =
			lsp_play_find_folder(question->folder, NULL, &question->play, &job->error);
}

int lsp_folder_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err)
{
	if (!lsp_local_find(peer, game))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"%s has no folder here: `lanspread get %s` makes one", game, game);
	return ask(peer, call, game, find_folder, play_json, err);
}
