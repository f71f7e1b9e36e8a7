#include "library/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

/*
 * No IN_MODIFY: a large file being copied would give thousands. Who waits for quiet looks at sizes
 * and times again before believing in it.
 */
#define EVENTS                                                                                     \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |        \
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

struct slot {
	int wd; /* 0: free; watch descriptors begin at 1 */
	uint32_t owner;
};

struct lsp_watch {
	int fd;
	pthread_mutex_t lock; /* all below */
	struct slot *slots;   /* open addressing */
	size_t capacity;
	size_t count;
};

int lsp_watch_new(struct lsp_watch **ret_watch, struct lsp_error *err)
{
	_cleanup_watch_ struct lsp_watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return lsp_error_no_memory(err, "library");
	pthread_mutex_init(&watch->lock, NULL);
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		return lsp_error_errno(err, "library", errno,
			"cannot watch folders (raise the sysctl fs.inotify.max_user_instances)");
	*ret_watch = TAKE_PTR(watch);
	return 0;
}

void lsp_watch_free(struct lsp_watch *watch)
{
	if (!watch)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch->slots);
	free(watch);
}

int lsp_watch_fd(const struct lsp_watch *watch)
{
	return watch->fd;
}

size_t lsp_watch_count(struct lsp_watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	size_t count = watch->count;
	pthread_mutex_unlock(&watch->lock);
	return count;
}

static struct slot *find(struct slot *slots, size_t capacity, int wd)
{
	size_t at = ((uint32_t)wd * UINT32_C(2654435769)) & (capacity - 1);
	while (slots[at].wd && slots[at].wd != wd)
		at = (at + 1) & (capacity - 1);
	return &slots[at];
}

static int resize(struct lsp_watch *watch, size_t capacity, struct lsp_error *err)
{
	struct slot *slots = calloc(capacity, sizeof *slots);
	if (!slots)
		return lsp_error_no_memory(err, "library");
	for (size_t i = 0; i < watch->capacity; i++) {
		if (watch->slots[i].wd)
			*find(slots, capacity, watch->slots[i].wd) = watch->slots[i];
	}
	free(watch->slots);
	watch->slots = slots;
	watch->capacity = capacity;
	return 0;
}

/* Takes a slot out and closes the gap in the chain behind it. */
static void drop(struct lsp_watch *watch, int wd)
{
	if (watch->capacity == 0)
		return;
	struct slot *slot = find(watch->slots, watch->capacity, wd);
	if (!slot->wd)
		return;
	*slot = (struct slot){0};
	watch->count--;
	size_t at = (size_t)(slot - watch->slots);
	for (;;) {
		at = (at + 1) & (watch->capacity - 1);
		struct slot moved = watch->slots[at];
		if (!moved.wd)
			break;
		watch->slots[at] = (struct slot){0};
		*find(watch->slots, watch->capacity, moved.wd) = moved;
	}
}

static int enter(struct lsp_watch *watch, int wd, uint32_t owner, struct lsp_error *err)
{
	if (watch->count * 2 >= watch->capacity) {
		int r = resize(watch, watch->capacity ? watch->capacity * 2 : 256, err);
		if (r < 0)
			return r;
	}
	struct slot *slot = find(watch->slots, watch->capacity, wd);
	if (!slot->wd)
		watch->count++;
	*slot = (struct slot){wd, owner};
	return 0;
}

int lsp_watch_folder(struct lsp_watch *watch, uint32_t owner, int dir_fd, struct lsp_error *err)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", dir_fd);
	int wd = inotify_add_watch(watch->fd, path, EVENTS);
	if (wd < 0)
		return lsp_error_errno(err, "library", errno, "cannot watch a folder%s",
			errno == ENOSPC ? " more (raise the sysctl fs.inotify.max_user_watches)"
					: "");
	pthread_mutex_lock(&watch->lock);
	int r = enter(watch, wd, owner, err);
	pthread_mutex_unlock(&watch->lock);
	return r;
}

/* The slots go when the kernel says that it has ended them; until then they have no owner. */
void lsp_watch_forget(struct lsp_watch *watch, uint32_t owner)
{
	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->capacity; i++) {
		struct slot *slot = &watch->slots[i];
		if (!slot->wd || !slot->owner || (owner && slot->owner != owner))
			continue;
		slot->owner = 0;
		(void)inotify_rm_watch(watch->fd, slot->wd);
	}
	pthread_mutex_unlock(&watch->lock);
}

/* The owner of a watch, 0 if it has none; one that has ended is dropped. */
static uint32_t owner_of(struct lsp_watch *watch, const struct inotify_event *event)
{
	uint32_t owner = 0;
	pthread_mutex_lock(&watch->lock);
	if (watch->capacity > 0) {
		struct slot *slot = find(watch->slots, watch->capacity, event->wd);
		owner = slot->wd ? slot->owner : 0;
		if (event->mask & IN_IGNORED)
			drop(watch, event->wd);
	}
	pthread_mutex_unlock(&watch->lock);
	return owner;
}

bool lsp_watch_read(struct lsp_watch *watch,
	void (*event)(void *argument, uint32_t owner, const char *name), void *argument)
{
	_Alignas(struct inotify_event) char buffer[16384];
	bool lost = false;
	for (;;) {
		ssize_t got = read(watch->fd, buffer, sizeof buffer);
		if (got <= 0)
			return lost;
		for (ssize_t at = 0; at < got;) {
			const struct inotify_event *one = (const void *)(buffer + at);
			at += (ssize_t)(sizeof *one + one->len);
			uint32_t owner = one->mask & IN_Q_OVERFLOW ? 0 : owner_of(watch, one);
			lost = lost || one->mask & IN_Q_OVERFLOW;
			if (owner)
				event(argument, owner, one->len ? one->name : "");
		}
	}
}
