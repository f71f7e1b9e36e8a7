/*
 * The file: "lanspread intent 1\n", the purpose and NUL, then for each step its letter, its first
 * path and NUL, its second path and NUL (empty where the kind has none), then the SHA-256 of all
 * that.
 */
#include "content/redo.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/sha256.h"

#include <errno.h>
#include <string.h>

#define DOMAIN "content"
static const char magic[] = "lanspread intent 1\n";
/* What lsp_fs_write_file leaves when it is cut short. */
static const char intent_temporary[] = LSP_REDO_PRIVATE "/.intent.tmp";

enum kind { ASIDE = 'A', PLACE = 'P', MAKE = 'M', DROP = 'D', BARRIER = 'B' };

struct step {
	enum kind kind;
	char *from; /* the only path of MAKE and DROP */
	char *to;
	bool done; /* this run changed something: what undo looks at */
};

struct lsp_redo {
	char *purpose;
	struct step *steps;
	size_t count, capacity;
	char **touched; /* folders that changed since the last sync */
	size_t touched_count, touched_capacity;
};

int lsp_redo_new(const char *purpose, struct lsp_redo **ret_redo, struct lsp_error *err)
{
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = calloc(1, sizeof *redo);
	if (redo)
		redo->purpose = strdup(purpose);
	if (!redo || !redo->purpose)
		return lsp_error_no_memory(err, DOMAIN);
	*ret_redo = TAKE_PTR(redo);
	return 0;
}

static void forget_touched(struct lsp_redo *redo)
{
	for (size_t i = 0; i < redo->touched_count; i++)
		free(redo->touched[i]);
	redo->touched_count = 0;
}

void lsp_redo_free(struct lsp_redo *redo)
{
	if (!redo)
		return;
	for (size_t i = 0; i < redo->count; i++) {
		free(redo->steps[i].from);
		free(redo->steps[i].to);
	}
	forget_touched(redo);
	free(redo->touched);
	free(redo->steps);
	free(redo->purpose);
	free(redo);
}

size_t lsp_redo_count(const struct lsp_redo *redo)
{
	return redo->count;
}

/* ---- Building ---- */

static int append(struct lsp_redo *redo, enum kind kind, const char *from, const char *to,
	struct lsp_error *err)
{
	if (redo->count == redo->capacity) {
		size_t capacity = redo->capacity ? redo->capacity * 2 : 16;
		struct step *steps = reallocarray(redo->steps, capacity, sizeof *steps);
		if (!steps)
			return lsp_error_no_memory(err, DOMAIN);
		redo->steps = steps;
		redo->capacity = capacity;
	}
	_cleanup_free_ char *a = strdup(from);
	_cleanup_free_ char *b = strdup(to);
	if (!a || !b)
		return lsp_error_no_memory(err, DOMAIN);
	redo->steps[redo->count++] =
		(struct step){.kind = kind, .from = TAKE_PTR(a), .to = TAKE_PTR(b)};
	return 0;
}

int lsp_redo_aside(struct lsp_redo *redo, const char *path, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer to = {0};
	int r = lsp_buffer_printf(&to, err, LSP_REDO_OLD "/%s", path);
	if (r == 0)
		r = lsp_buffer_append(&to, "", 1, err);
	return r < 0 ? r : append(redo, ASIDE, path, (const char *)to.data, err);
}

int lsp_redo_aside_to(
	struct lsp_redo *redo, const char *path, const char *to, struct lsp_error *err)
{
	return append(redo, ASIDE, path, to, err);
}

int lsp_redo_place(struct lsp_redo *redo, const char *from, const char *to, struct lsp_error *err)
{
	return append(redo, PLACE, from, to, err);
}

int lsp_redo_make_folder(struct lsp_redo *redo, const char *path, struct lsp_error *err)
{
	return append(redo, MAKE, path, "", err);
}

int lsp_redo_drop_folder(struct lsp_redo *redo, const char *path, struct lsp_error *err)
{
	return append(redo, DROP, path, "", err);
}

int lsp_redo_barrier(struct lsp_redo *redo, struct lsp_error *err)
{
	return append(redo, BARRIER, "", "", err);
}

int lsp_redo_append(struct lsp_redo *redo, const struct lsp_redo *more, struct lsp_error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < more->count; i++)
		r = append(redo, more->steps[i].kind, more->steps[i].from, more->steps[i].to, err);
	return r;
}

/* ---- The file ---- */

static int encode(const struct lsp_redo *redo, struct lsp_buffer *out, struct lsp_error *err)
{
	int r = lsp_buffer_append(out, magic, sizeof magic - 1, err);
	if (r == 0)
		r = lsp_buffer_append(out, redo->purpose, strlen(redo->purpose) + 1, err);
	for (size_t i = 0; r == 0 && i < redo->count; i++) {
		const struct step *step = &redo->steps[i];
		char letter = (char)step->kind;
		r = lsp_buffer_append(out, &letter, 1, err);
		if (r == 0)
			r = lsp_buffer_append(out, step->from, strlen(step->from) + 1, err);
		if (r == 0)
			r = lsp_buffer_append(out, step->to, strlen(step->to) + 1, err);
	}
	if (r < 0)
		return r;
	struct lsp_hash hash;
	lsp_sha256(&hash, out->data, out->size);
	r = lsp_buffer_append(out, &hash, sizeof hash, err);
	if (r == 0 && out->size > LSP_REDO_INTENT_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
			"too many files change at once (%zu)", redo->count);
	return r;
}

/* The text at *at up to its NUL, and *at behind it; NULL when there is no NUL before the end. */
static const char *take_text(const char **at, const char *end)
{
	const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));
	if (!nul)
		return NULL;
	*at = nul + 1;
	return text;
}

static int torn(struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL, "the intent file is torn");
}

static int decode(
	const struct lsp_buffer *content, struct lsp_redo **ret_redo, struct lsp_error *err)
{
	struct lsp_hash hash;
	size_t head = sizeof magic - 1;
	if (content->size < head + 1 + sizeof hash || memcmp(content->data, magic, head) != 0)
		return torn(err);
	size_t size = content->size - sizeof hash;
	lsp_sha256(&hash, content->data, size);
	if (memcmp(&hash, content->data + size, sizeof hash) != 0)
		return torn(err);
	const char *at = (const char *)content->data + head;
	const char *end = (const char *)content->data + size;
	const char *purpose = take_text(&at, end);
	if (!purpose)
		return torn(err);
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = NULL;
	int r = lsp_redo_new(purpose, &redo, err);
	while (r == 0 && at < end) {
		char letter = *at++;
		const char *from = take_text(&at, end);
		const char *to = from ? take_text(&at, end) : NULL;
		if (!to || !letter || !strchr("APMDB", letter))
			return torn(err);
		r = append(redo, (enum kind)letter, from, to, err);
	}
	if (r < 0)
		return r;
	*ret_redo = TAKE_PTR(redo);
	return 0;
}

/* ---- Syncing what was touched ---- */

int lsp_redo_sync_folder(int game_fd, const char *path, struct lsp_error *err)
{
	struct lsp_error local = {0};
	int r = lsp_fs_sync_dir_below(game_fd, path, &local);
	if (r == 0 || r == -LSP_E_NOT_FOUND || local.sys_errno == EINVAL ||
		local.sys_errno == EOPNOTSUPP)
		return 0;
	if (err)
		*err = local;
	return r;
}

static int touch(struct lsp_redo *redo, const char *path, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 1;
	const char *parent = slash ? path : ".";
	/* Steps come folder by folder: looking at the last few finds most repetitions. */
	for (size_t back = 1; back <= 4 && back <= redo->touched_count; back++) {
		const char *old = redo->touched[redo->touched_count - back];
		if (strncmp(old, parent, length) == 0 && !old[length])
			return 0;
	}
	if (redo->touched_count == redo->touched_capacity) {
		size_t capacity = redo->touched_capacity ? redo->touched_capacity * 2 : 16;
		char **touched = reallocarray(redo->touched, capacity, sizeof *touched);
		if (!touched)
			return lsp_error_no_memory(err, DOMAIN);
		redo->touched = touched;
		redo->touched_capacity = capacity;
	}
	char *copy = strndup(parent, length);
	if (!copy)
		return lsp_error_no_memory(err, DOMAIN);
	redo->touched[redo->touched_count++] = copy;
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sync_touched(struct lsp_redo *redo, int game_fd, struct lsp_error *err)
{
	int r = 0;
	if (redo->touched_count)
		qsort(redo->touched, redo->touched_count, sizeof *redo->touched, compare_texts);
	for (size_t i = 0; r == 0 && i < redo->touched_count; i++)
		if (i == 0 || strcmp(redo->touched[i], redo->touched[i - 1]) != 0)
			r = lsp_redo_sync_folder(game_fd, redo->touched[i], err);
	forget_touched(redo);
	return r;
}

/* ---- Executing ---- */

/* 1: it is there; 0: it is not, nor is it looked for behind a file or a link; else: who knows. */
static int look(int game_fd, const char *path, struct lsp_error *err)
{
	struct stat st;
	struct lsp_error why = {0};
	int r = lsp_fs_stat_below(game_fd, path, &st, &why);
	if (r == 0)
		return 1;
	if (r == -LSP_E_NOT_FOUND || why.sys_errno == ENOTDIR || why.sys_errno == ELOOP)
		return 0;
	if (err)
		*err = why;
	return r;
}

/* The folders above a place under `.lanspread/`; each new one's name has to reach the disk too. */
static int make_parents(struct lsp_redo *redo, int game_fd, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *parent = strdup(path);
	if (!parent)
		return lsp_error_no_memory(err, DOMAIN);
	char *slash = strrchr(parent, '/');
	if (!slash)
		return 0;
	*slash = '\0';
	int r = look(game_fd, parent, err);
	if (r != 0)
		return LSP_MIN(r, 0);
	r = lsp_fs_make_dirs_below(game_fd, parent, err);
	for (; r == 0 && slash; slash = strrchr(parent, '/')) {
		*slash = '\0';
		r = touch(redo, parent, err);
	}
	return r;
}

static int move(struct lsp_redo *redo, struct step *step, int game_fd, struct lsp_error *err)
{
	int r = step->kind == ASIDE ? make_parents(redo, game_fd, step->to, err) : 0;
	if (r == 0)
		r = touch(redo, step->from, err);
	if (r == 0)
		r = touch(redo, step->to, err);
	if (r == 0)
		r = lsp_fs_rename_below(game_fd, step->from, game_fd, step->to, err);
	step->done = r == 0;
	return r;
}

/* ASIDE and PLACE. `again`: this is a recovery, and the step may have been done before. */
static int execute_move(
	struct lsp_redo *redo, struct step *step, int game_fd, bool again, struct lsp_error *err)
{
	int from = look(game_fd, step->from, err),
	    to = from < 0 ? from : look(game_fd, step->to, err);
	if (to < 0)
		return to;
	if (from && !to)
		return move(redo, step, game_fd, err);
	if (!again)
		return lsp_error_set(err, DOMAIN, from ? LSP_E_EXISTS : LSP_E_NOT_FOUND,
			from ? "\"%s\" is in the way: move it out of the game's folder and try "
			       "again"
			     : "\"%s\" went away meanwhile: try again",
			from ? step->to : step->from);
	if (step->kind == ASIDE)
		return 0; /* done; or the user removed it meanwhile */
	if (from) /* the user put something there meanwhile: a file gives way, a folder does not */
		return move(redo, step, game_fd, err);
	if (!to)
		return lsp_error_set(err, DOMAIN, LSP_E_CORRUPT,
			"\"%s\" was lost, as was \"%s\": get the game again", step->from, step->to);
	return 0;
}

static int execute_folder(
	struct lsp_redo *redo, struct step *step, int game_fd, struct lsp_error *err)
{
	int is_there = step->kind == MAKE ? look(game_fd, step->from, err) : 0;
	if (is_there != 0)
		return LSP_MIN(is_there, 0);
	int r = touch(redo, step->from, err);
	if (r < 0)
		return r;
	if (step->kind == MAKE) {
		r = lsp_fs_make_dirs_below(game_fd, step->from, err);
		step->done = r == 0;
		return r;
	}
	struct lsp_error local = {0};
	r = lsp_fs_rmdir_below(game_fd, step->from, &local);
	step->done = r == 0;
	if (r == 0 || r == -LSP_E_NOT_FOUND || local.sys_errno == ENOTEMPTY || r == -LSP_E_EXISTS ||
		local.sys_errno == ENOTDIR)
		return 0;
	if (err)
		*err = local;
	return r;
}

static int execute(struct lsp_redo *redo, int game_fd, bool again, struct lsp_error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < redo->count; i++) {
		struct step *step = &redo->steps[i];
		if (i && step->kind != redo->steps[i - 1].kind)
			r = sync_touched(redo, game_fd, err);
		if (r < 0 || step->kind == BARRIER)
			continue;
		r = step->kind == ASIDE || step->kind == PLACE
			    ? execute_move(redo, step, game_fd, again, err)
			    : execute_folder(redo, step, game_fd, err);
	}
	return r < 0 ? r : sync_touched(redo, game_fd, err);
}

static int remove_intent(int game_fd, struct lsp_error *err)
{
	int r = lsp_fs_unlink_below(game_fd, LSP_REDO_INTENT, err);
	return r < 0 ? r : lsp_redo_sync_folder(game_fd, LSP_REDO_PRIVATE, err);
}

/* Backwards over what was done; the first failure ends it, and the intent stays for a recovery. */
static int undo(struct lsp_redo *redo, int game_fd)
{
	struct lsp_error ignored;
	int r = 0;
	for (size_t i = redo->count; r == 0 && i-- > 0;) {
		struct step *step = &redo->steps[i];
		if (!step->done)
			continue;
		if (step->kind == MAKE)
			(void)!lsp_fs_rmdir_below(game_fd, step->from, NULL);
		else if (step->kind == DROP)
			r = lsp_fs_make_dirs_below(game_fd, step->from, &ignored);
		else
			r = lsp_fs_rename_below(game_fd, step->to, game_fd, step->from, &ignored);
		if (r == 0 && (touch(redo, step->from, NULL) < 0 ||
				      (*step->to && touch(redo, step->to, NULL) < 0)))
			r = -LSP_E_NO_MEMORY;
	}
	if (r < 0)
		return r;
	/*
	 * If a sync failed before, this one may lie; but the renames are undone in memory, and to
	 * leave the intent would redo the list later, over what the user did in between.
	 */
	(void)!sync_touched(redo, game_fd, NULL);
	return lsp_fs_unlink_below(game_fd, LSP_REDO_INTENT, NULL);
}

static int write_intent(struct lsp_redo *redo, int game_fd, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	int r = encode(redo, &content, err);
	if (r == 0)
		r = lsp_fs_make_dirs_below(game_fd, LSP_REDO_PRIVATE, err);
	if (r == 0)
		r = lsp_fs_remove_tree_below(game_fd, LSP_REDO_OLD, err);
	if (r == 0)
		r = lsp_fs_make_dirs_below(game_fd, LSP_REDO_OLD, err);
	if (r == 0)
		r = lsp_redo_sync_folder(game_fd, ".", err);
	if (r == 0)
		r = lsp_redo_sync_folder(game_fd, LSP_REDO_PRIVATE, err);
	if (r == 0)
		r = lsp_fs_write_file_below(
			game_fd, LSP_REDO_INTENT, content.data, content.size, 0644, err);
	return r;
}

static int pending(struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
		"an interrupted change of this game has to be completed first, which the next "
		"start "
		"does: `lanspread stop`, then run it again");
}

int lsp_redo_commit(struct lsp_redo *redo, int game_fd, bool *ret_pending, struct lsp_error *err)
{
	if (ret_pending)
		*ret_pending = false;
	int r = look(game_fd, LSP_REDO_INTENT, err);
	if (r != 0) {
		if (ret_pending)
			*ret_pending = true;
		return r < 0 ? r : pending(err);
	}
	r = write_intent(redo, game_fd, err);
	if (r == 0)
		r = execute(redo, game_fd, false, err);
	if (r < 0) {
		bool stuck = lsp_redo_pending(game_fd) && undo(redo, game_fd) < 0;
		if (ret_pending)
			*ret_pending = stuck;
		/* Best effort: the undone state is what both memory and, soon, the disk hold. */
		(void)!lsp_redo_sync_folder(game_fd, LSP_REDO_PRIVATE, NULL);
		return r;
	}
	/*
	 * Done. An intent that cannot be removed now, or may come back after a power cut, is done
	 * again then, as nothing, as long as what was set aside is still there.
	 */
	if (remove_intent(game_fd, NULL) < 0 && ret_pending)
		*ret_pending = true;
	return 0;
}

bool lsp_redo_pending(int game_fd)
{
	return look(game_fd, LSP_REDO_INTENT, NULL) != 0;
}

int lsp_redo_recover(int game_fd, bool *ret_forward, struct lsp_error *err)
{
	if (ret_forward)
		*ret_forward = false;
	int r = look(game_fd, LSP_REDO_INTENT, err);
	if (r <= 0)
		return r;
	_cleanup_buffer_ struct lsp_buffer content = {0};
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = NULL;
	struct lsp_error local = {0};
	r = lsp_fs_read_file_below(game_fd, LSP_REDO_INTENT, LSP_REDO_INTENT_MAX, &content, &local);
	if (r == 0)
		r = decode(&content, &redo, &local);
	if (r == -LSP_E_PROTOCOL || r == -LSP_E_TOO_LARGE)
		return remove_intent(game_fd, err);
	if (r == 0)
		r = execute(redo, game_fd, true, &local);
	if (r == 0)
		r = remove_intent(game_fd, &local);
	if (r < 0 && redo)
		r = lsp_error_prefix(&local, r, "completing an interrupted %s", redo->purpose);
	if (r < 0 && err)
		*err = local;
	if (r == 0 && ret_forward)
		*ret_forward = true;
	return r;
}

int lsp_redo_clean(int game_fd, struct lsp_error *err)
{
	int r = look(game_fd, LSP_REDO_INTENT, err);
	if (r != 0)
		return r < 0 ? r : pending(err);
	r = lsp_fs_remove_tree_below(game_fd, intent_temporary, err);
	return r < 0 ? r : lsp_fs_remove_tree_below(game_fd, LSP_REDO_OLD, err);
}
