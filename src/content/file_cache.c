#include "content/file_cache.h"

#include <pthread.h>
#include <stdbool.h>

struct slot {
	int fd; /* −1: free */
	uint32_t file;
	unsigned users;
	bool dropped; /* not to be found; closed by its last user */
	uint64_t used_at;
};

struct lsp_file_cache {
	lsp_file_cache_open open;
	void *argument;
	pthread_mutex_t lock; /* guards the rest */
	uint64_t tick;
	unsigned slot_count;
	struct slot slots[];
};

int lsp_file_cache_new(unsigned max_open, lsp_file_cache_open open, void *argument,
	struct lsp_file_cache **ret_cache, struct lsp_error *err)
{
	struct lsp_file_cache *cache = calloc(1, sizeof *cache + max_open * sizeof *cache->slots);
	if (!cache)
		return lsp_error_no_memory(err, "content");
	cache->open = open;
	cache->argument = argument;
	cache->slot_count = max_open;
	pthread_mutex_init(&cache->lock, NULL);
	for (unsigned i = 0; i < max_open; i++)
		cache->slots[i].fd = -1;
	*ret_cache = cache;
	return 0;
}

void lsp_file_cache_free(struct lsp_file_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < cache->slot_count; i++)
		lsp_cleanup_close(&cache->slots[i].fd);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static struct slot *find(struct lsp_file_cache *cache, uint32_t file)
{
	for (unsigned i = 0; i < cache->slot_count; i++) {
		struct slot *slot = &cache->slots[i];
		if (slot->fd >= 0 && slot->file == file && !slot->dropped)
			return slot;
	}
	return NULL;
}

/* A free slot, or the one unused for longest; NULL when all are in use. */
static struct slot *find_room(struct lsp_file_cache *cache)
{
	struct slot *best = NULL;
	for (unsigned i = 0; i < cache->slot_count; i++) {
		struct slot *slot = &cache->slots[i];
		if (slot->fd < 0)
			return slot;
		if (slot->users == 0 && (!best || slot->used_at < best->used_at))
			best = slot;
	}
	return best;
}

/* Puts an opened descriptor into the cache if there is room. Returns one to close, or −1. */
static int insert(struct lsp_file_cache *cache, uint32_t file, int fd)
{
	pthread_mutex_lock(&cache->lock);
	struct slot *slot = find(cache, file) ? NULL : find_room(cache);
	int old = -1;
	if (slot) {
		old = slot->fd;
		*slot = (struct slot){.fd = fd, .file = file, .users = 1, .used_at = ++cache->tick};
	}
	pthread_mutex_unlock(&cache->lock);
	return old;
}

bool lsp_file_cache_acquire_open(struct lsp_file_cache *cache, uint32_t file, int *ret_fd)
{
	pthread_mutex_lock(&cache->lock);
	struct slot *slot = find(cache, file);
	if (slot) {
		slot->users++;
		slot->used_at = ++cache->tick;
		*ret_fd = slot->fd;
	}
	pthread_mutex_unlock(&cache->lock);
	return slot != NULL;
}

int lsp_file_cache_acquire(
	struct lsp_file_cache *cache, uint32_t file, int *ret_fd, struct lsp_error *err)
{
	int fd = -1;
	if (!lsp_file_cache_acquire_open(cache, file, &fd)) {
		int r = cache->open(cache->argument, file, &fd, err);
		if (r < 0)
			return r;
		int old = insert(cache, file, fd);
		lsp_cleanup_close(&old);
	}
	*ret_fd = fd;
	return 0;
}

/* A descriptor in no slot was opened while there was no room: its user closes it. */
void lsp_file_cache_release(struct lsp_file_cache *cache, uint32_t file, int fd)
{
	bool close_it = true;
	pthread_mutex_lock(&cache->lock);
	for (unsigned i = 0; i < cache->slot_count; i++) {
		struct slot *slot = &cache->slots[i];
		if (slot->fd != fd)
			continue;
		slot->users--;
		close_it = slot->dropped && slot->users == 0;
		if (close_it)
			slot->fd = -1;
		break;
	}
	pthread_mutex_unlock(&cache->lock);
	if (close_it)
		close(fd);
}

static int drop_slot(struct slot *slot)
{
	slot->dropped = true;
	return slot->users ? -1 : TAKE_FD(slot->fd);
}

void lsp_file_cache_drop(struct lsp_file_cache *cache, uint32_t file)
{
	pthread_mutex_lock(&cache->lock);
	struct slot *slot = find(cache, file);
	_cleanup_close_ int fd = slot ? drop_slot(slot) : -1;
	pthread_mutex_unlock(&cache->lock);
}

void lsp_file_cache_drop_all(struct lsp_file_cache *cache)
{
	for (unsigned i = 0; i < cache->slot_count; i++) {
		pthread_mutex_lock(&cache->lock);
		struct slot *slot = &cache->slots[i];
		_cleanup_close_ int fd = slot->fd >= 0 && !slot->dropped ? drop_slot(slot) : -1;
		pthread_mutex_unlock(&cache->lock);
	}
}

unsigned lsp_file_cache_count(struct lsp_file_cache *cache)
{
	unsigned count = 0;
	pthread_mutex_lock(&cache->lock);
	for (unsigned i = 0; i < cache->slot_count; i++)
		count += cache->slots[i].fd >= 0;
	pthread_mutex_unlock(&cache->lock);
	return count;
}
