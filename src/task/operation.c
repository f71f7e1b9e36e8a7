#include "task/operation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Held by the caller of lsp_operations_new and by every operation. */
struct lsp_operations {
	void (*changed)(void *argument);
	void *argument;

	atomic_uint references;
	pthread_mutex_t lock; /* guards what follows */
	struct lsp_operation *first, *last;
	bool freed; /* the callback's owner is gone */
};

struct lsp_operation {
	/* Immutable. */
	struct lsp_operations *operations;
	char game[LSP_OPERATION_GAME_MAX];
	enum lsp_operation_kind kind;
	struct lsp_cancel *token;

	atomic_uint references;
	struct lsp_task_guard guard;

	/* Guarded by the table's lock. */
	bool listed, waiting, attached;
	struct lsp_operation *previous, *next;
};

static const char *const kind_names[LSP_OPERATION_KIND_COUNT] = {"none", "hashing", "downloading",
	"installing", "updating", "uninstalling", "removing", "verifying", "adding"};
static const char *const busy_words[LSP_OPERATION_KIND_COUNT] = {"idle", "hashed", "downloaded",
	"installed", "updated", "uninstalled", "removed", "verified", "added"};

const char *lsp_operation_kind_name(enum lsp_operation_kind kind)
{
	return kind_names[kind];
}

/* ---- The table --------------------------------------------------------------------------- */

int lsp_operations_new(void (*changed)(void *argument), void *argument,
	struct lsp_operations **ret_operations, struct lsp_error *err)
{
	struct lsp_operations *operations = calloc(1, sizeof *operations);
	if (!operations)
		return lsp_error_no_memory(err, "task");
	operations->changed = changed;
	operations->argument = argument;
	atomic_init(&operations->references, 1);
	pthread_mutex_init(&operations->lock, NULL);
	*ret_operations = operations;
	return 0;
}

static void table_unref(struct lsp_operations *operations)
{
	if (atomic_fetch_sub(&operations->references, 1) != 1)
		return;
	pthread_mutex_destroy(&operations->lock);
	free(operations);
}

void lsp_operations_free(struct lsp_operations *operations)
{
	if (!operations)
		return;
	pthread_mutex_lock(&operations->lock);
	operations->freed = true;
	pthread_mutex_unlock(&operations->lock);
	table_unref(operations);
}

static void tell(struct lsp_operations *operations)
{
	pthread_mutex_lock(&operations->lock);
	bool freed = operations->freed;
	pthread_mutex_unlock(&operations->lock);
	if (operations->changed && !freed)
		operations->changed(operations->argument);
}

static struct lsp_operation *find(struct lsp_operations *operations, const char *game)
{
	struct lsp_operation *at = operations->first;
	while (at && strcmp(at->game, game) != 0)
		at = at->next;
	return at;
}

/* LSP_OPERATION_NONE, or what the game is busy with. */
static enum lsp_operation_kind list_operation(struct lsp_operation *operation)
{
	struct lsp_operations *operations = operation->operations;
	pthread_mutex_lock(&operations->lock);
	struct lsp_operation *other = find(operations, operation->game);
	enum lsp_operation_kind busy = other ? other->kind : LSP_OPERATION_NONE;
	if (!other) {
		operation->listed = true;
		operation->previous = operations->last;
		*(operations->last ? &operations->last->next : &operations->first) = operation;
		operations->last = operation;
	}
	pthread_mutex_unlock(&operations->lock);
	return busy;
}

/* ---- One operation ----------------------------------------------------------------------- */

int lsp_operation_begin(struct lsp_operations *operations, const char *game,
	enum lsp_operation_kind kind, struct lsp_cancel *parent,
	struct lsp_operation **ret_operation, struct lsp_error *err)
{
	size_t length = strnlen(game, LSP_OPERATION_GAME_MAX);
	if (!length || length == LSP_OPERATION_GAME_MAX)
		return lsp_error_set(err, "task", LSP_E_INVALID, "a game id has 1 to %d bytes",
			LSP_OPERATION_GAME_MAX - 1);
	_cleanup_operation_ struct lsp_operation *operation = calloc(1, sizeof *operation);
	if (!operation)
		return lsp_error_no_memory(err, "task");
	atomic_init(&operation->references, 1);
	atomic_fetch_add(&operations->references, 1);
	operation->operations = operations;
	operation->kind = kind;
	memcpy(operation->game, game, length);
	int r = lsp_cancel_new(parent, &operation->token, err);
	if (r < 0)
		return r;
	enum lsp_operation_kind busy = list_operation(operation);
	if (busy)
		return lsp_error_set(err, "task", LSP_E_BUSY,
			"%s is being %s; wait, or `lanspread cancel %s` ends that", game,
			busy_words[busy], game);
	*ret_operation = TAKE_PTR(operation);
	tell(operations);
	return 0;
}

struct lsp_operation *lsp_operation_ref(struct lsp_operation *operation)
{
	if (operation)
		atomic_fetch_add_explicit(&operation->references, 1, memory_order_relaxed);
	return operation;
}

void lsp_operation_unref(struct lsp_operation *operation)
{
	if (!operation || atomic_fetch_sub(&operation->references, 1) != 1)
		return;
	lsp_operation_end(operation);
	lsp_cancel_unref(operation->token);
	table_unref(operation->operations);
	free(operation);
}

bool lsp_operation_end(struct lsp_operation *operation)
{
	struct lsp_operations *operations = operation->operations;
	pthread_mutex_lock(&operations->lock);
	bool listed = operation->listed;
	if (listed) {
		operation->listed = false;
		*(operation->previous ? &operation->previous->next : &operations->first) =
			operation->next;
		*(operation->next ? &operation->next->previous : &operations->last) =
			operation->previous;
	}
	pthread_mutex_unlock(&operations->lock);
	if (listed)
		tell(operations);
	return listed;
}

static void release(struct lsp_task_guard *guard)
{
	struct lsp_operation *operation = lsp_container_of(guard, struct lsp_operation, guard);
	lsp_operation_end(operation);
	lsp_operation_unref(operation);
}

int lsp_operation_attach(
	struct lsp_operation *operation, struct lsp_task *task, struct lsp_error *err)
{
	struct lsp_operations *operations = operation->operations;
	pthread_mutex_lock(&operations->lock);
	bool attached = operation->attached;
	operation->attached = true;
	pthread_mutex_unlock(&operations->lock);
	if (attached)
		return lsp_error_set(err, "task", LSP_E_EXISTS,
			"the operation on %s has a task already", operation->game);
	operation->guard.release = release;
	lsp_operation_ref(operation);
	int r = lsp_task_attach(task, &operation->guard, err);
	if (r < 0) {
		lsp_operation_end(operation);
		lsp_operation_unref(operation);
	}
	return r;
}

const char *lsp_operation_game(const struct lsp_operation *operation)
{
	return operation->game;
}

enum lsp_operation_kind lsp_operation_kind(const struct lsp_operation *operation)
{
	return operation->kind;
}

struct lsp_cancel *lsp_operation_token(struct lsp_operation *operation)
{
	return operation->token;
}

void lsp_operation_set_waiting(struct lsp_operation *operation, bool waiting)
{
	struct lsp_operations *operations = operation->operations;
	pthread_mutex_lock(&operations->lock);
	bool changed = operation->listed && operation->waiting != waiting;
	operation->waiting = waiting;
	pthread_mutex_unlock(&operations->lock);
	if (changed)
		tell(operations);
}

/* ---- Questions --------------------------------------------------------------------------- */

enum lsp_operation_kind lsp_operations_of(struct lsp_operations *operations, const char *game)
{
	pthread_mutex_lock(&operations->lock);
	struct lsp_operation *operation = find(operations, game);
	enum lsp_operation_kind kind = operation ? operation->kind : LSP_OPERATION_NONE;
	pthread_mutex_unlock(&operations->lock);
	return kind;
}

bool lsp_operations_cancel(struct lsp_operations *operations, const char *game,
	enum lsp_cancel_kind kind, const char *text)
{
	pthread_mutex_lock(&operations->lock);
	struct lsp_operation *operation = find(operations, game);
	_cleanup_cancel_ struct lsp_cancel *token =
		lsp_cancel_ref(operation ? operation->token : NULL);
	pthread_mutex_unlock(&operations->lock);
	lsp_cancel_request(token, kind, text);
	return token;
}

size_t lsp_operations_blocking(struct lsp_operations *operations)
{
	size_t count = 0;
	pthread_mutex_lock(&operations->lock);
	for (struct lsp_operation *at = operations->first; at; at = at->next)
		count += !at->waiting && at->kind != LSP_OPERATION_HASHING;
	pthread_mutex_unlock(&operations->lock);
	return count;
}

int lsp_operations_snapshot(struct lsp_operations *operations,
	struct lsp_operation_info **ret_infos, size_t *ret_count, struct lsp_error *err)
{
	size_t count = 0;
	pthread_mutex_lock(&operations->lock);
	for (struct lsp_operation *at = operations->first; at; at = at->next)
		count++;
	struct lsp_operation_info *infos = calloc(count + 1, sizeof *infos), *info = infos;
	for (struct lsp_operation *at = operations->first; infos && at; at = at->next, info++) {
		memcpy(info->game, at->game, sizeof info->game);
		info->kind = at->kind;
		info->waiting = at->waiting;
		info->cancelled = lsp_cancel_requested(at->token);
	}
	pthread_mutex_unlock(&operations->lock);
	if (!infos)
		return lsp_error_no_memory(err, "task");
	*ret_infos = infos;
	*ret_count = count;
	return 0;
}
