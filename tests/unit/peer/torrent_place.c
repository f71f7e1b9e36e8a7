/* What counts as the games folder, by whatever name it goes; over real folders. */
#include "peer/torrent_place.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/local.h"
#include "peer/torrents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef01234567"

/* ---- Stand-ins ---- */

static char folder[64], games[96];
static struct lsp_job *jobs[4];
static size_t job_count;
static struct lsp_torrent_call asked, pausing;
static unsigned paused, told_held;

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	assert_true(job_count < LSP_ARRAY_SIZE(jobs));
	jobs[job_count++] = job;
	return 0;
}

static void run_jobs(void)
{
	for (size_t i = 0; i < job_count; i++) {
		jobs[i]->work(jobs[i]);
		jobs[i]->done(jobs[i]);
	}
	job_count = 0;
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	asked = *call;
	return 0;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	assert_int_equal(command, LSP_TORRENT_PAUSE);
	paused++;
	pausing = (struct lsp_torrent_call){.done = done, .argument = argument};
	return 0;
}

static void count_line(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	told_held += strstr(message, "is held") != NULL;
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return games;
}

/* ---- A games folder, "games" in a folder of its own ---- */

static int start(void **state)
{
	static struct lsp_peer peer;
	struct lsp_error err = {0};
	snprintf(folder, sizeof folder, "/tmp/lanspread-place-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(games, sizeof games, "%s/games", folder);
	peer = (struct lsp_peer){0};
	paused = 0;
	*state = &peer;
	return lsp_fs_make_dirs(games, false, &err);
}

static int end(void **state)
{
	struct lsp_error err = {0};
	int fd;
	if (lsp_fs_open_dir("/tmp", &fd, &err) < 0)
		return -1;
	int r = lsp_fs_remove_tree_below(fd, folder + strlen("/tmp/"), &err);
	close(fd);
	return r;
}

static char *path_of(const char *path)
{
	return lsp_text_format("%s%s", folder, path);
}

static void take_result(void *argument, int result, struct lsp_error *error)
{
	*(int *)argument = result;
}

/* path: below the folder. */
static int look(struct lsp_peer *peer, const char *path, const char *name,
	const struct lsp_buffer *metainfo)
{
	int result = -1;
	char *whole = path_of(path);
	struct lsp_torrent_place place = {.path = whole, .name = name, .metainfo = metainfo};
	assert_int_equal(lsp_torrent_place_look(peer, &place, take_result, &result, NULL), 0);
	free(whole); /* it was copied */
	run_jobs();
	return result;
}

static int holds(struct lsp_torrent_places *places, const char *path, const char *name)
{
	char *whole = path_of(path);
	struct lsp_error err = {0};
	int held = lsp_torrent_places_hold(places, ID, whole, name, &err);
	free(whole);
	assert_int_equal(held > 0, *err.message != '\0');
	return held;
}

static void link_to_games(const char *path)
{
	char *whole = path_of(path);
	assert_int_equal(symlink(games, whole), 0);
	free(whole);
}

/* ---- Tests ---- */

static void the_games_folder_is_found_by_every_path_to_it(void **state)
{
	struct lsp_peer *peer = *state;
	link_to_games("/link");
	static const char *const inside[] = {"/games", "/games/", "/games/new", "//games/./x",
		"/nowhere/../games", "/link", "/link/new", "/games/a/../../games"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(inside); i++)
		if (look(peer, inside[i], "doom", NULL) != 1)
			fail_msg("%s", inside[i]);
	static const char *const outside[] = {"", "/games-2", "/game", "/games/../else"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(outside); i++)
		if (look(peer, outside[i], "doom", NULL) != 0)
			fail_msg("%s", outside[i]);
}

static void what_a_torrent_is_called_may_be_the_games_folder(void **state)
{
	struct lsp_peer *peer = *state;
	static const char *const alike[] = {
		"games", "GAMES", "/games", "ga\xe2\x80\xaemes", "x/../games"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(alike); i++)
		if (look(peer, "", alike[i], NULL) != 1)
			fail_msg("%s", alike[i]);
	assert_int_equal(look(peer, "", "game", NULL), 0);
	assert_int_equal(look(peer, "", "games2", NULL), 0);
	assert_int_equal(look(peer, "/else", "games", NULL), 0);
	link_to_games("/link");
	assert_int_equal(look(peer, "", "link", NULL), 1);
}

static void a_torrent_says_what_it_is_called_and_a_magnet_may_be_called_anything(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_buffer metainfo = {0};
	static const char *const infos[] = {"4:name5:games", "4:name5:other"};
	for (int i = 0; i < 2; i++) {
		char *text = lsp_text_format("d4:infod6:lengthi5e%s12:piece lengthi16384e6:"
					     "pieces20:01234567890123456789ee",
			infos[i]);
		assert_int_equal(lsp_buffer_append(&metainfo, text, strlen(text), NULL), 0);
		assert_int_equal(look(peer, "", NULL, &metainfo), i == 0);
		lsp_buffer_done(&metainfo);
		free(text);
	}
	assert_int_equal(look(peer, "", NULL, NULL), 1);
	assert_int_equal(look(peer, "/else", NULL, NULL), 0);
}

static void what_cannot_be_told_is_an_error_and_an_end_is_told_as_that(void **state)
{
	struct lsp_peer *peer = *state;
	char *path = malloc(9002);
	memset(path, 'x', 9001);
	path[0] = '/';
	path[9001] = '\0';
	assert_int_equal(look(peer, path, "doom", NULL), -LSP_E_INVALID);
	peer->stopping = true;
	assert_int_equal(look(peer, "/games", "doom", NULL), -LSP_E_CANCELLED);
	/* Nor is it added as if nothing were wrong. */
	struct lsp_torrent_places *places;
	assert_int_equal(lsp_torrent_places_new(games, &places, NULL), 0);
	assert_true(holds(places, path, "doom"));
	lsp_torrent_places_free(places);
	free(path);
}

static json_t *status_of(const char *path, const char *game)
{
	char *whole = path_of(path);
	json_t *status = json_pack("{s:s, s:s, s:s, s:s?, s:b}", "id", ID, "save_path", whole,
		"folder", "doom", "game", game, "paused", 0);
	free(whole);
	return status;
}

static void what_is_restored_is_held_by_where_the_games_are_then(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_places *places;
	assert_int_equal(lsp_torrent_places_new(games, &places, NULL), 0);
	assert_true(holds(places, "/games", "doom"));
	assert_true(holds(places, "", NULL));
	assert_false(holds(places, "", "doom"));
	/* They move: what is there is looked at, and what comes from then on too. */
	snprintf(games, sizeof games, "%s/library", folder);
	lsp_log_set_sink(count_line, NULL);
	lsp_torrent_places_move(places, peer, games);
	assert_int_equal(asked.command, LSP_TORRENT_LIST);
	struct lsp_torrent_answer answer = {
		.value = json_pack("{s:[o, o, o]}", "torrents", status_of("/library", NULL),
			status_of("/games", NULL), status_of("/library", "doom"))};
	asked.done(asked.argument, &answer);
	json_decref(answer.value);
	run_jobs();
	assert_int_equal(paused, 1);
	assert_int_equal(told_held, 0); /* it is not yet */
	pausing.done(pausing.argument, &(struct lsp_torrent_answer){0});
	assert_int_equal(told_held, 1);
	lsp_log_set_sink(NULL, NULL);
	assert_false(holds(places, "/games", "doom"));
	assert_true(holds(places, "/library", "doom"));
	lsp_torrent_places_free(places);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_games_folder_is_found_by_every_path_to_it),
		TEST(what_a_torrent_is_called_may_be_the_games_folder),
		TEST(a_torrent_says_what_it_is_called_and_a_magnet_may_be_called_anything),
		TEST(what_cannot_be_told_is_an_error_and_an_end_is_told_as_that),
		TEST(what_is_restored_is_held_by_where_the_games_are_then),
	};
	return cmocka_run_group_tests_name("torrent place", tests, NULL, NULL);
}
