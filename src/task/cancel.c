/*
 * A request goes over the tree twice. The first pass marks: it writes the reason and then the flag
 * of each token, parents first, and links the tokens it marked into a list through the tokens
 * themselves (a token is marked once in its life, so one link is enough and nothing is allocated).
 * The second pass wakes: descriptors, then callbacks, with no lock held. Both are loops, so a chain
 * of a million tokens costs no stack.
 *
 * Locks: one per token. A thread holds at most two, a parent's and then its child's.
 *
 * Lifetime: a child holds a reference to its parent; the parent's list of children is weak. A dying
 * child takes itself off that list under the parent's lock, so whoever holds that lock may look at
 * every token on the list, and takes a reference only if there is one left to take.
 */
#include "task/cancel.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>

enum callback_state { CALLBACK_WAITS, CALLBACK_RUNS, CALLBACK_RAN };

struct lsp_cancel {
	/* Immutable. */
	struct lsp_cancel *parent; /* a reference, or NULL */

	atomic_uint references;
	atomic_bool cancelled;           /* stored after `reason` was written, and never again */
	struct lsp_cancel_reason reason; /* written once, under lock, before `cancelled` */

	pthread_mutex_t lock; /* guards what follows, and the sibling links of the children */
	pthread_cond_t callback_returned;
	struct lsp_cancel *children;
	struct lsp_cancel_callback *callbacks; /* those that wait */
	struct lsp_cancel_callback *running;
	pthread_t running_thread;
	bool running_unregistered; /* from inside itself: its storage may be gone */
	int fd;                    /* −1: nobody asked for it yet */

	/* Guarded by the parent's lock. */
	struct lsp_cancel *previous_sibling, *next_sibling;

	/* Of the one thread that marked this token. */
	struct lsp_cancel *next_marked;
};

static const char *const kind_names[LSP_CANCEL_KIND_COUNT] = {
	[LSP_CANCEL_NONE] = "none",
	[LSP_CANCEL_USER] = "user",
	[LSP_CANCEL_RPC] = "rpc",
	[LSP_CANCEL_RELOAD] = "reload",
	[LSP_CANCEL_RUN_COMPLETED] = "run_completed",
	[LSP_CANCEL_PEERS_GONE] = "peers_gone",
	[LSP_CANCEL_FATAL] = "fatal",
};

const char *lsp_cancel_kind_name(enum lsp_cancel_kind kind)
{
	return kind_names[kind];
}

/* ---- Making, holding, freeing ------------------------------------------------------------ */

static void adopt(struct lsp_cancel *parent, struct lsp_cancel *child)
{
	pthread_mutex_lock(&parent->lock);
	child->next_sibling = parent->children;
	if (child->next_sibling)
		child->next_sibling->previous_sibling = child;
	parent->children = child;
	if (atomic_load_explicit(&parent->cancelled, memory_order_acquire)) {
		child->reason = parent->reason;
		atomic_store_explicit(&child->cancelled, true, memory_order_release);
	}
	pthread_mutex_unlock(&parent->lock);
}

static void disown(struct lsp_cancel *parent, struct lsp_cancel *child)
{
	pthread_mutex_lock(&parent->lock);
	if (child->next_sibling)
		child->next_sibling->previous_sibling = child->previous_sibling;
	*(child->previous_sibling ? &child->previous_sibling->next_sibling : &parent->children) =
		child->next_sibling;
	pthread_mutex_unlock(&parent->lock);
}

int lsp_cancel_new(struct lsp_cancel *parent, struct lsp_cancel **ret_token, struct lsp_error *err)
{
	struct lsp_cancel *token = calloc(1, sizeof *token);
	if (!token)
		return lsp_error_no_memory(err, "task");
	atomic_init(&token->references, 1);
	token->fd = -1;
	pthread_mutex_init(&token->lock, NULL);
	pthread_cond_init(&token->callback_returned, NULL);
	token->parent = lsp_cancel_ref(parent);
	if (parent)
		adopt(parent, token);
	*ret_token = token;
	return 0;
}

struct lsp_cancel *lsp_cancel_ref(struct lsp_cancel *token)
{
	if (token)
		atomic_fetch_add_explicit(&token->references, 1, memory_order_relaxed);
	return token;
}

/* A reference to a token whose last one may just have gone. */
static bool try_ref(struct lsp_cancel *token)
{
	unsigned count = atomic_load_explicit(&token->references, memory_order_relaxed);
	while (count)
		if (atomic_compare_exchange_weak(&token->references, &count, count + 1))
			return true;
	return false;
}

void lsp_cancel_unref(struct lsp_cancel *token)
{
	while (token && atomic_fetch_sub(&token->references, 1) == 1) {
		struct lsp_cancel *parent = token->parent;
		assert(!token->children && !token->callbacks);
		if (parent)
			disown(parent, token);
		if (token->fd >= 0)
			close(token->fd);
		pthread_cond_destroy(&token->callback_returned);
		pthread_mutex_destroy(&token->lock);
		free(token);
		token = parent;
	}
}

/* ---- Cancelling -------------------------------------------------------------------------- */

/* Writes the reason, then the flag. False when another reason was first. */
static bool mark(struct lsp_cancel *token, const struct lsp_cancel_reason *reason)
{
	pthread_mutex_lock(&token->lock);
	bool first = !atomic_load_explicit(&token->cancelled, memory_order_relaxed);
	if (first) {
		token->reason = *reason;
		atomic_store_explicit(&token->cancelled, true, memory_order_release);
	}
	pthread_mutex_unlock(&token->lock);
	return first;
}

/* Marks the children and appends those that were not cancelled yet; returns the list's new end. */
static struct lsp_cancel *mark_children(struct lsp_cancel *token, struct lsp_cancel *last)
{
	pthread_mutex_lock(&token->lock);
	for (struct lsp_cancel *child = token->children; child; child = child->next_sibling) {
		if (!mark(child, &token->reason) || !try_ref(child))
			continue;
		last->next_marked = child;
		last = child;
	}
	pthread_mutex_unlock(&token->lock);
	return last;
}

static void unlink_callback(struct lsp_cancel *token, struct lsp_cancel_callback *callback)
{
	if (callback->next)
		callback->next->previous = callback->previous;
	*(callback->previous ? &callback->previous->next : &token->callbacks) = callback->next;
}

static void wake(struct lsp_cancel *token)
{
	pthread_mutex_lock(&token->lock);
	if (token->fd >= 0)
		eventfd_write(token->fd, 1);
	struct lsp_cancel_callback *callback;
	while ((callback = token->callbacks)) {
		unlink_callback(token, callback);
		callback->state = CALLBACK_RUNS;
		token->running = callback;
		token->running_thread = pthread_self();
		token->running_unregistered = false;
		pthread_mutex_unlock(&token->lock);
		callback->function(callback->argument);
		pthread_mutex_lock(&token->lock);
		if (!token->running_unregistered)
			callback->state = CALLBACK_RAN;
		token->running = NULL;
		pthread_cond_broadcast(&token->callback_returned);
	}
	pthread_mutex_unlock(&token->lock);
}

bool lsp_cancel_request(struct lsp_cancel *token, enum lsp_cancel_kind kind, const char *text)
{
	assert(kind > LSP_CANCEL_NONE && kind < LSP_CANCEL_KIND_COUNT);
	struct lsp_cancel_reason reason = {.kind = kind};
	if (text) {
		size_t length = strnlen(text, sizeof reason.text - 1);
		memcpy(reason.text, text, length);
	}
	if (!token || !mark(token, &reason))
		return false;
	struct lsp_cancel *last = lsp_cancel_ref(token);
	for (struct lsp_cancel *at = token; at; at = at->next_marked)
		last = mark_children(at, last);
	while (token) {
		struct lsp_cancel *next = token->next_marked;
		wake(token);
		lsp_cancel_unref(token);
		token = next;
	}
	return true;
}

/* ---- Noticing ---------------------------------------------------------------------------- */

bool lsp_cancel_requested(const struct lsp_cancel *token)
{
	return token && atomic_load_explicit(&token->cancelled, memory_order_acquire);
}

enum lsp_cancel_kind lsp_cancel_reason(const struct lsp_cancel *token)
{
	return lsp_cancel_requested(token) ? token->reason.kind : LSP_CANCEL_NONE;
}

void lsp_cancel_get_reason(const struct lsp_cancel *token, struct lsp_cancel_reason *ret_reason)
{
	if (lsp_cancel_requested(token))
		*ret_reason = token->reason;
	else
		*ret_reason = (struct lsp_cancel_reason){0};
}

int lsp_cancel_check(const struct lsp_cancel *token, struct lsp_error *err)
{
	if (!lsp_cancel_requested(token))
		return 0;
	if (token->reason.text[0])
		return lsp_error_set(
			err, "task", LSP_E_CANCELLED, "cancelled: %s", token->reason.text);
	return lsp_error_set(err, "task", LSP_E_CANCELLED, "cancelled (%s)",
		lsp_cancel_kind_name(token->reason.kind));
}

int lsp_cancel_fd(struct lsp_cancel *token, int *ret_fd, struct lsp_error *err)
{
	pthread_mutex_lock(&token->lock);
	int sys_errno = 0;
	if (token->fd < 0) {
		bool cancelled = atomic_load_explicit(&token->cancelled, memory_order_relaxed);
		token->fd = eventfd(cancelled, EFD_CLOEXEC | EFD_NONBLOCK);
		sys_errno = token->fd < 0 ? errno : 0;
	}
	int fd = token->fd;
	pthread_mutex_unlock(&token->lock);
	if (sys_errno)
		return lsp_error_errno(err, "task", sys_errno, "cannot make an eventfd");
	*ret_fd = fd;
	return 0;
}

void lsp_cancel_register(struct lsp_cancel *token, struct lsp_cancel_callback *callback,
	void (*function)(void *argument), void *argument)
{
	*callback = (struct lsp_cancel_callback){
		.function = function,
		.argument = argument,
		.token = lsp_cancel_ref(token),
	};
	if (!token)
		return;
	pthread_mutex_lock(&token->lock);
	bool late = atomic_load_explicit(&token->cancelled, memory_order_relaxed);
	if (late) {
		callback->state = CALLBACK_RAN;
	} else {
		callback->next = token->callbacks;
		if (callback->next)
			callback->next->previous = callback;
		token->callbacks = callback;
	}
	pthread_mutex_unlock(&token->lock);
	if (late)
		function(argument);
}

bool lsp_cancel_unregister(struct lsp_cancel_callback *callback)
{
	struct lsp_cancel *token = callback->token;
	if (!token)
		return false;
	pthread_mutex_lock(&token->lock);
	bool ran = callback->state != CALLBACK_WAITS;
	if (!ran)
		unlink_callback(token, callback);
	else if (token->running == callback && pthread_equal(token->running_thread, pthread_self()))
		token->running_unregistered = true;
	else
		while (token->running == callback)
			pthread_cond_wait(&token->callback_returned, &token->lock);
	callback->token = NULL;
	pthread_mutex_unlock(&token->lock);
	lsp_cancel_unref(token);
	return ran;
}
