#include "peer/torrent_files.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/peer.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".torrent"
#define HALF ".torrent.tmp" /* of a name behind a dot: base/fs.h */

/* Ids come from files that may have been edited: nothing but digits leads to a path. */
static bool is_id(const char *text, size_t size)
{
	return (size == 40 || size == 64) && strspn(text, "0123456789abcdef") >= size;
}

char *lsp_torrent_files_path(const struct lsp_peer *peer, const char *id)
{
	return is_id(id, strlen(id)) ? lsp_text_format("%s/" LSP_TORRENT_FILES_FOLDER "/%s" SUFFIX,
					       peer->state_dir, id)
				     : NULL;
}

int lsp_torrent_files_keep(const struct lsp_peer *peer, const char *id,
	const struct lsp_buffer *metainfo, struct lsp_error *err)
{
	if (!is_id(id, strlen(id)))
		return lsp_error_set(err, "peer", LSP_E_INVALID, "\"%s\" is no torrent's id", id);
	_cleanup_free_ char *folder =
		lsp_text_format("%s/" LSP_TORRENT_FILES_FOLDER, peer->state_dir);
	_cleanup_free_ char *path = lsp_torrent_files_path(peer, id);
	int r = folder && path ? lsp_fs_make_dirs(folder, true, err)
			       : lsp_error_no_memory(err, "peer");
	return r < 0 ? r : lsp_fs_write_file(path, metainfo->data, metainfo->size, 0600, err);
}

struct dropping {
	struct lsp_job job;
	const struct lsp_peer *peer;
	char *folder, *name;
};

static void dropping_free(struct dropping *dropping)
{
	free(dropping->folder);
	free(dropping->name);
	free(dropping);
}

static void drop(struct lsp_job *job)
{
	struct dropping *dropping = lsp_container_of(job, struct dropping, job);
	_cleanup_close_ int folder = -1;
	if (dropping->peer->unsaved)
		return; /* the next start finds it */
	job->result = lsp_fs_open_dir(dropping->folder, &folder, &job->error);
	if (job->result == 0)
		job->result = lsp_fs_unlink_below(folder, dropping->name, &job->error);
	if (job->result == 0)
		job->result = lsp_fs_sync_dir_below(folder, ".", &job->error);
}

static void dropped(struct lsp_job *job)
{
	struct dropping *dropping = lsp_container_of(job, struct dropping, job);
	if (job->result < 0 && job->result != -LSP_E_NOT_FOUND)
		lsp_log_warning("torrent", "%s", job->error.message);
	dropping_free(dropping);
}

void lsp_torrent_file_drop(struct lsp_peer *peer, const char *folder, const char *name)
{
	struct lsp_error err = {0};
	struct dropping *dropping = peer->unsubmitted ? NULL : calloc(1, sizeof *dropping);
	if (!dropping)
		return; /* the next start finds it */
	dropping->peer = peer;
	dropping->folder = lsp_text_format("%s/%s", peer->state_dir, folder);
	dropping->name = strdup(name);
	dropping->job.work = drop;
	dropping->job.done = dropped;
	/* One thread, in order: behind the saves. */
	if (!dropping->folder || !dropping->name ||
		lsp_pool_submit(peer->state_pool, peer->core, &dropping->job, &err) < 0)
		dropping_free(dropping);
}

void lsp_torrent_files_drop(struct lsp_peer *peer, const char *id)
{
	_cleanup_free_ char *name = is_id(id, strlen(id)) ? lsp_text_format("%s" SUFFIX, id) : NULL;
	if (name)
		lsp_torrent_file_drop(peer, LSP_TORRENT_FILES_FOLDER, name);
}

/* Is it one of ours that nobody wants, whole or half? */
static bool is_left(struct lsp_peer *peer, const char *name,
	bool (*is_wanted)(struct lsp_peer *peer, const char *id))
{
	bool is_half = name[0] == '.' && lsp_text_ends_with(name, HALF);
	const char *at = name + is_half;
	if (!is_half && !lsp_text_ends_with(name, SUFFIX))
		return false;
	size_t size = strlen(at) - strlen(is_half ? HALF : SUFFIX);
	_cleanup_free_ char *id = is_id(at, size) ? strndup(at, size) : NULL;
	return id && (is_half || !is_wanted(peer, id));
}

void lsp_torrent_files_sweep(
	struct lsp_peer *peer, bool (*is_wanted)(struct lsp_peer *peer, const char *id))
{
	_cleanup_free_ char *folder =
		lsp_text_format("%s/" LSP_TORRENT_FILES_FOLDER, peer->state_dir);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;
	struct lsp_error err = {0};
	while (dir && (entry = readdir(dir)))
		if (is_left(peer, entry->d_name, is_wanted) &&
			lsp_fs_unlink_below(dirfd(dir), entry->d_name, &err) < 0)
			lsp_log_warning("torrent", "%s", err.message);
	if (dir)
		closedir(dir);
}
