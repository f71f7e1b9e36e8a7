#include "peer/torrent_kept.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/peer.h"
#include "peer/torrent_add.h"
#include "peer/torrent_files.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/metainfo.h"
#include "wire/path.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER LSP_TORRENT_FILES_FOLDER "/magnets"
#define SUFFIX ".torrent"

char *lsp_torrent_kept_folder(const struct lsp_peer *peer)
{
	return lsp_text_format("%s/" FOLDER, peer->state_dir);
}

char *lsp_torrent_kept_name(const char *id, const char *game)
{
	return lsp_text_format("%s%s%s" SUFFIX, id, *game ? "." : "", game);
}

void lsp_torrent_kept_id(const char *name, char ret_id[LSP_SHA256_HEX_SIZE])
{
	snprintf(ret_id, LSP_SHA256_HEX_SIZE, "%.*s", (int)strspn(name, "0123456789abcdef"), name);
}

static char *path_of(const struct lsp_peer *peer, const char *name)
{
	return lsp_text_format("%s/" FOLDER "/%s", peer->state_dir, name);
}

int lsp_torrent_kept_write(const struct lsp_peer *peer, const char *name,
	const struct lsp_buffer *metainfo, struct lsp_error *err)
{
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer), *path = path_of(peer, name);
	int r = folder && path ? lsp_fs_make_dirs(folder, true, err)
			       : lsp_error_no_memory(err, "peer");
	return r < 0 ? r : lsp_fs_write_file(path, metainfo->data, metainfo->size, 0600, err);
}

void lsp_torrent_kept_drop(struct lsp_peer *peer, const char *name)
{
	lsp_torrent_file_drop(peer, FOLDER, name);
}

void lsp_torrent_kept_over(struct lsp_peer *peer, const char *kept)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_torrent_kept_id(kept, id);
	lsp_torrent_kept_drop(peer, kept);
	lsp_torrent_wish_drop(peer, id);
}

/* ---- After a restart ---- */

/* One that was found. */
struct finding {
	struct lsp_job job;
	struct lsp_peer *peer;
	char *name;
	char id[LSP_SHA256_HEX_SIZE];
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_buffer bytes;
};

static void finding_free(struct finding *finding)
{
	lsp_buffer_done(&finding->bytes);
	free(finding->name);
	free(finding);
}

/* "<id>[.<game>].torrent"; false for another. */
static bool read_name(struct finding *finding)
{
	const char *name = finding->name;
	size_t id = strspn(name, "0123456789abcdef"), size = strlen(name);
	if (!lsp_text_ends_with(name, SUFFIX) || (id != 40 && id != 64) || name[id] != '.')
		return false;
	memcpy(finding->id, name, id);
	if (size == id + strlen(SUFFIX))
		return true;
	size_t game = size - id - 1 - strlen(SUFFIX);
	if (game > LSP_GAME_ID_MAX || lsp_game_id_check(name + id + 1, game, NULL) < 0)
		return false;
	memcpy(finding->game, name + id + 1, game);
	return true;
}

static void read_it(struct lsp_job *job)
{
	struct finding *finding = lsp_container_of(job, struct finding, job);
	_cleanup_free_ char *path = path_of(finding->peer, finding->name);
	job->result = path ? lsp_fs_read_file(path, LSP_METAINFO_MAX, &finding->bytes, &job->error)
			   : lsp_error_no_memory(&job->error, "peer");
}

static void it_is_read(struct lsp_job *job)
{
	struct finding *finding = lsp_container_of(job, struct finding, job);
	struct lsp_peer *peer = finding->peer;
	int r = job->result;
	if (!peer->stopping && r == 0)
		r = lsp_torrent_add_kept(
			peer, finding->game, finding->name, &finding->bytes, &job->error);
	if (!peer->stopping && r < 0)
		lsp_peer_warn(peer, "the torrent %s does not become a game: %s", finding->id,
			job->error.message);
	finding_free(finding);
}

/*
 * A magnet that is still there is exported once more, and a torrent that is no magnet is the game's
 * already. Where the engine does not say, the next start asks again.
 */
static void asked(void *argument, struct lsp_torrent_answer *answer)
{
	struct finding *finding = argument;
	struct lsp_error err = {0};
	const json_t *found =
		answer ? json_array_get(json_object_get(answer->value, "torrents"), 0) : NULL;
	if (answer && answer->result == -LSP_E_NOT_FOUND) {
		finding->job.work = read_it;
		finding->job.done = it_is_read;
		if (lsp_pool_submit(
			    finding->peer->disk, finding->peer->core, &finding->job, &err) == 0)
			return;
	} else if (found && !lsp_torrent_add_is_magnet(finding->peer, found)) {
		lsp_torrent_kept_drop(finding->peer, finding->name);
	}
	finding_free(finding);
}

/* Takes over the name. */
static void ask(struct lsp_peer *peer, char *name)
{
	struct finding *finding = calloc(1, sizeof *finding);
	struct lsp_error err = {0};
	if (!finding) {
		free(name);
		return;
	}
	finding->peer = peer;
	finding->name = name;
	if (!read_name(finding)) {
		finding_free(finding);
	} else if (lsp_torrents_ask(peer, LSP_TORRENT_LIST, finding->id, asked, finding, &err) <
		   0) {
		lsp_log_warning("torrent", "%s", err.message);
		finding_free(finding);
	}
}

void lsp_torrent_kept_restore(struct lsp_peer *peer)
{
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		char *name = entry->d_name[0] == '.' ? NULL : strdup(entry->d_name);
		if (name)
			ask(peer, name);
	}
	if (dir)
		closedir(dir);
}
