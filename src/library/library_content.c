/*
 * Content of a game that is ready, read beside the library's thread: with the newest snapshot and a
 * connection to the index of one's own.
 */
#include "library/library_private.h"

#include "base/fs.h"
#include "base/text.h"
#include "content/source.h"
#include "store/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The newest snapshot and what it says about the game. */
struct view {
	const struct lsp_library_snapshot *snapshot;
	const struct lsp_library_game *game;
	char folder_id[LSP_FOLDER_ID_SIZE];
};

static void view_done(struct view *view)
{
	lsp_library_snapshot_unref(view->snapshot);
}

static int look(struct lsp_library *library, const char *id, bool ready, struct view *ret_view,
	struct lsp_error *err)
{
	pthread_mutex_lock(&library->lock);
	ret_view->snapshot = lsp_library_snapshot_ref(library->newest);
	memcpy(ret_view->folder_id, library->folder_id, sizeof ret_view->folder_id);
	pthread_mutex_unlock(&library->lock);
	ret_view->game = lsp_library_find(ret_view->snapshot, id);
	if (!ret_view->game)
		return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
			"there is no game \"%s\" here; `lanspread games` lists them", id);
	if (ready && ret_view->game->state != LSP_LIBRARY_READY)
		return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
			"the content of \"%s\" is not known %s", id,
			ret_view->game->state == LSP_LIBRARY_HASHING ? "yet: it is being hashed"
								     : "here");
	return 0;
}

/* Want of something that others may give back: the manifest is where it was. */
static bool may_pass(int r, const struct lsp_error *why)
{
	return r == -LSP_E_NO_MEMORY || r == -LSP_E_BUSY || why->sys_errno == EMFILE ||
	       why->sys_errno == ENFILE;
}

static int read_manifest(struct lsp_library *library, const struct view *view,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	const struct lsp_library_game *game = view->game;
	struct lsp_error why = {0};
	int r = lsp_library_index_manifest(
		library->state_dir, view->folder_id, game->id, &game->content, &bytes, &why);
	if (r == 0)
		r = lsp_manifest_parse(bytes.data, bytes.size, &game->content, ret_manifest, &why);
	if (r < 0 && !may_pass(r, &why)) {
		/* A snapshot that is older than a change, or a damaged index: hash it again. */
		lsp_library_lost(library, game->id);
		return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
			"the manifest of \"%s\" is lost; it is being hashed again", game->id);
	}
	if (r < 0 && err)
		*err = why;
	return r;
}

int lsp_library_manifest(struct lsp_library *library, const char *id,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	_cleanup_(view_done) struct view view = {0};
	int r = look(library, id, true, &view, err);
	return r < 0 ? r : read_manifest(library, &view, ret_manifest, err);
}

static int open_folder(const struct view *view, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *path =
		lsp_text_format("%s/%s", view->snapshot->games_dir, view->game->id);
	return path ? lsp_fs_open_dir(path, ret_fd, err) : lsp_error_no_memory(err, "library");
}

/*
 * The files as they are, if they are those that were hashed. Times of change are left out: a file
 * whose time of modification was restored is served as what it was hashed as, until it proves
 * wrong.
 */
static int list_files(
	const struct view *view, int dir, struct lsp_listing *ret_listing, struct lsp_error *err)
{
	int r = lsp_listing_read(dir, NULL, ret_listing, err);
	if (r < 0)
		return r;
	struct lsp_fingerprint now;
	lsp_scan_fingerprint(ret_listing, false, &now);
	if (!lsp_fingerprint_same_files(&now, &view->game->fingerprint))
		return lsp_error_set(err, "library", LSP_E_CORRUPT,
			"the files of \"%s\" are not those that were hashed; they are hashed "
			"again, try again when that is done",
			view->game->id);
	for (size_t i = 0; i < ret_listing->count; i++)
		ret_listing->files[i].stamp.ctime_ns = 0;
	return 0;
}

int lsp_library_source(struct lsp_library *library, const char *id, unsigned max_open,
	struct lsp_source **ret_source, struct lsp_error *err)
{
	_cleanup_(view_done) struct view view = {0};
	_cleanup_close_ int dir = -1;
	_cleanup_listing_ struct lsp_listing listing = {0};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	int r = look(library, id, true, &view, err);
	if (r == 0)
		r = open_folder(&view, &dir, err);
	if (r == 0)
		r = list_files(&view, dir, &listing, err);
	if (r == -LSP_E_CORRUPT || r == -LSP_E_NOT_FOUND)
		lsp_library_refresh(library, id, NULL, NULL);
	if (r == 0)
		r = read_manifest(library, &view, &manifest, err);
	return r < 0 ? r : lsp_source_new(dir, manifest, &listing, max_open, ret_source, err);
}

int lsp_library_cover(struct lsp_library *library, const char *id, struct lsp_buffer *ret_cover,
	struct lsp_error *err)
{
	static const char *const names[] = {
		"cover.png", "cover.jpg", "cover.jpeg", "cover.webp", "cover.gif"};
	_cleanup_(view_done) struct view view = {0};
	_cleanup_close_ int dir = -1;
	int r = look(library, id, false, &view, err);
	if (r == 0)
		r = open_folder(&view, &dir, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(names); i++) {
		_cleanup_buffer_ struct lsp_buffer cover = {0};
		r = lsp_fs_read_file_below(dir, names[i], LSP_PICTURE_MAX, &cover, err);
		if (r == -LSP_E_NOT_FOUND)
			continue;
		if (r == 0)
			r = lsp_picture_check(cover.data, cover.size, err);
		if (r < 0)
			return r;
		lsp_buffer_done(ret_cover);
		*ret_cover = cover;
		cover = (struct lsp_buffer){0};
		return 0;
	}
	return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
		"there is no cover in the folder of \"%s\"; put a cover.png or cover.jpg there",
		id);
}
