#include "peer/torrent_place.h"

#include "base/log.h"
#include "base/real_path.h"
#include "base/text.h"
#include "peer/local.h"
#include "peer/torrents.h"
#include "wire/metainfo.h"

#include <ctype.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- Where it is ---- */

struct looking {
	struct lsp_job job;
	struct lsp_peer *peer;
	char *path, *name, *games;
	const struct lsp_buffer *metainfo;
	lsp_torrent_place_callback done;
	void *argument;
};

static void looking_free(struct looking *looking)
{
	free(looking->path);
	free(looking->name);
	free(looking->games);
	free(looking);
}

/* What the .torrent calls its folder, or its one file. */
static void read_name(struct looking *looking)
{
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	const struct lsp_buffer *bytes = looking->metainfo;
	if (!looking->name && bytes && bytes->size &&
		lsp_metainfo_parse(bytes->data, bytes->size, &metainfo, NULL) == 0)
		looking->name = strdup(metainfo->name);
}

/* The library leaves out of a name what it does not like: letters and digits are what counts. */
static bool are_alike(const char *one, const char *other)
{
	for (;;) {
		while (*one && !isalnum((unsigned char)*one))
			one++;
		while (*other && *other != '/' && !isalnum((unsigned char)*other))
			other++;
		if (!*one || !*other || *other == '/')
			return !*one && (!*other || *other == '/');
		if (tolower((unsigned char)*one++) != tolower((unsigned char)*other++))
			return false;
	}
}

/* A folder that a stranger named may be the games folder, or one that it lies in: 1; no memory. */
static int is_games_folder(
	const char *path, const char *name, const char *games, struct lsp_error *err)
{
	bool holds = lsp_real_path_is_below(games, path);
	if (!name) /* of a magnet nobody knows yet: it may be any */
		return holds;
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", path, name);
	_cleanup_free_ char *real = whole ? lsp_real_path(whole) : NULL;
	if (!whole || (!real && strlen(whole) < PATH_MAX))
		return lsp_error_no_memory(err, "torrent");
	if (!real) /* too long for anything to be there */
		return holds;
	return lsp_real_path_is_below(real, games) || lsp_real_path_is_below(games, real) ||
	       (holds && are_alike(name, games + strlen(path) + 1));
}

/* 0: outside, 1: inside. */
static int find_out(const char *path, const char *name, const char *games, struct lsp_error *err)
{
	_cleanup_free_ char *real = lsp_real_path(path);
	_cleanup_free_ char *real_games = lsp_real_path(games);
	if ((!real && strlen(path) < PATH_MAX) || (!real_games && strlen(games) < PATH_MAX))
		return lsp_error_no_memory(err, "torrent");
	if (!real || !real_games)
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"\"%.100s...\" is too long for a path", path);
	if (lsp_real_path_is_below(real, real_games))
		return 1;
	return is_games_folder(real, name, real_games, err);
}

static void look(struct lsp_job *job)
{
	struct looking *looking = lsp_container_of(job, struct looking, job);
	read_name(looking);
	job->result = find_out(looking->path, looking->name, looking->games, &job->error);
}

static void looked(struct lsp_job *job)
{
	struct looking *looking = lsp_container_of(job, struct looking, job);
	int r = looking->peer->stopping ? -LSP_E_CANCELLED : job->result;
	looking->done(looking->argument, r, &job->error);
	looking_free(looking);
}

int lsp_torrent_place_look(struct lsp_peer *peer, const struct lsp_torrent_place *place,
	lsp_torrent_place_callback done, void *argument, struct lsp_error *err)
{
	struct looking *looking = calloc(1, sizeof *looking);
	if (!looking)
		return lsp_error_no_memory(err, "peer");
	*looking = (struct looking){.peer = peer,
		.metainfo = place->metainfo,
		.done = done,
		.argument = argument,
		.path = place->path ? strdup(place->path) : NULL,
		.name = place->name ? strdup(place->name) : NULL,
		.games = strdup(lsp_local_games_dir(peer)),
		.job = {.work = look, .done = looked}};
	int r = looking->path && looking->games && (looking->name || !place->name)
			? lsp_pool_submit(peer->disk, peer->core, &looking->job, err)
			: lsp_error_no_memory(err, "peer");
	if (r < 0)
		looking_free(looking);
	return r;
}

/* ---- Of what lies there by now ---- */

struct lsp_torrent_places {
	pthread_mutex_t lock;
	char *games; /* guarded by the lock */
};

int lsp_torrent_places_new(
	const char *games, struct lsp_torrent_places **ret_places, struct lsp_error *err)
{
	struct lsp_torrent_places *places = calloc(1, sizeof *places);
	if (!places || !(places->games = strdup(games))) {
		free(places);
		return lsp_error_no_memory(err, "peer");
	}
	pthread_mutex_init(&places->lock, NULL);
	*ret_places = places;
	return 0;
}

void lsp_torrent_places_free(struct lsp_torrent_places *places)
{
	if (!places)
		return;
	pthread_mutex_destroy(&places->lock);
	free(places->games);
	free(places);
}

#define WHY_HELD                                                                                   \
	"its files are in the games folder now, where it would undo what becomes of the game; "    \
	"`lanspread torrent remove` ends it"

int lsp_torrent_places_hold(
	void *argument, const char *id, const char *path, const char *name, struct lsp_error *err)
{
	struct lsp_torrent_places *places = argument;
	pthread_mutex_lock(&places->lock);
	_cleanup_free_ char *games = strdup(places->games);
	pthread_mutex_unlock(&places->lock);
	int r = games ? find_out(path, name, games, err) : lsp_error_no_memory(err, "peer");
	if (r == 1)
		(void)!lsp_error_set(err, "torrent", LSP_E_INVALID, "%s", WHY_HELD);
	return r == -LSP_E_NO_MEMORY ? r : r != 0;
}

struct arrival {
	struct lsp_peer *peer;
	char id[LSP_SHA256_HEX_SIZE];
};

static void held(void *argument, struct lsp_torrent_answer *answer)
{
	struct arrival *arrival = argument;
	if (answer && answer->result == 0)
		lsp_log_warning("torrent", "torrent %s is held: %s", arrival->id, WHY_HELD);
	else if (answer)
		lsp_log_warning("torrent", "torrent %s cannot be held: %s", arrival->id,
			answer->error.message);
	free(arrival);
}

static void arrived(void *argument, int result, struct lsp_error *error)
{
	struct arrival *arrival = argument;
	struct lsp_error err = {0};
	int r = result == 1 ? lsp_torrents_ask(arrival->peer, LSP_TORRENT_PAUSE, arrival->id, held,
				      arrival, &err)
			    : 0;
	if (r < 0)
		lsp_log_warning(
			"torrent", "torrent %s cannot be held: %s", arrival->id, err.message);
	if (r < 0 || result != 1)
		free(arrival);
}

static void look_again(struct lsp_peer *peer, const json_t *status)
{
	const char *id = json_string_value(json_object_get(status, "id"));
	struct lsp_torrent_place place = {
		.path = json_string_value(json_object_get(status, "save_path")),
		.name = json_string_value(json_object_get(status, "folder")),
	};
	/* A game's own is where its download put it. */
	if (!id || !place.path || json_is_string(json_object_get(status, "game")) ||
		json_is_true(json_object_get(status, "paused")))
		return;
	struct arrival *arrival = malloc(sizeof *arrival);
	if (!arrival)
		return;
	arrival->peer = peer;
	snprintf(arrival->id, sizeof arrival->id, "%s", id);
	if (lsp_torrent_place_look(peer, &place, arrived, arrival, NULL) < 0)
		free(arrival);
}

static void listed(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_peer *peer = argument;
	json_t *status;
	size_t index;
	if (answer)
		json_array_foreach (json_object_get(answer->value, "torrents"), index, status)
			look_again(peer, status);
}

void lsp_torrent_places_move(
	struct lsp_torrent_places *places, struct lsp_peer *peer, const char *games)
{
	char *copy = strdup(games);
	struct lsp_error err = {0};
	if (copy) {
		pthread_mutex_lock(&places->lock);
		free(places->games);
		places->games = copy;
		pthread_mutex_unlock(&places->lock);
	}
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_LIST, .done = listed, .argument = peer};
	if (lsp_torrents_call(peer, &call, &err) < 0)
		lsp_log_warning("torrent", "%s", err.message);
}
