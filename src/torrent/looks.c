#include "torrent/looks.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define DOMAIN "torrent"

struct lsp_look_disk {
	UT_hash_handle hh;
	struct lsp_look_disk *previous, *next; /* of the ready ones */
	struct lsp_look_place *ready;          /* in which some wait, and which are not asked */
	size_t places;                         /* on it, and those that are asked as on it */
	size_t running, silent, waiting;
	bool is_ready; /* in that list */
	char name[];
};

struct lsp_look_place {
	UT_hash_handle hh;
	struct lsp_look_place *previous, *next; /* of the disk's ready ones, or of the running */
	struct lsp_look_disk *disk;             /* that it lies on, as was said last */
	struct lsp_look_disk *asked; /* where it lay when it was asked; NULL: it is not */
	struct lsp_look_wait *waiting;
	size_t count; /* of those */
	lsp_time silent_at;
	bool is_silent;
	char path[];
};

/* ---- Places and disks -------------------------------------------------------------------- */

static struct lsp_look_disk *disk_of(struct lsp_looks *looks, const char *name)
{
	struct lsp_look_disk *disk;
	size_t size = strlen(name);
	HASH_FIND(hh, looks->disks, name, size, disk);
	if (disk)
		return disk;
	disk = calloc(1, sizeof *disk + size + 1);
	if (!disk)
		return NULL;
	memcpy(disk->name, name, size + 1);
	HASH_ADD(hh, looks->disks, name[0], size, disk);
	if (disk->hh.tbl)
		return disk;
	free(disk);
	return NULL;
}

static void forget_disk_if_empty(struct lsp_looks *looks, struct lsp_look_disk *disk)
{
	if (disk->places > 0)
		return;
	HASH_DELETE(hh, looks->disks, disk);
	free(disk);
}

/* The disk is in its list where it belongs. */
static void settle_disk(struct lsp_looks *looks, struct lsp_look_disk *disk)
{
	bool is_ready = disk->ready && disk->running < LSP_LOOKS_OF_DISK;
	if (is_ready && !disk->is_ready)
		DL_APPEND2(looks->ready, disk, previous, next);
	else if (!is_ready && disk->is_ready)
		DL_DELETE2(looks->ready, disk, previous, next);
	disk->is_ready = is_ready;
}

/* One fewer is on it, or asked as on it. */
static void leave_disk(struct lsp_looks *looks, struct lsp_look_disk *disk)
{
	disk->places--;
	settle_disk(looks, disk);
	forget_disk_if_empty(looks, disk);
}

/* Nobody waits in it, and it is not asked. */
static void forget_place(struct lsp_looks *looks, struct lsp_look_place *place)
{
	struct lsp_look_disk *disk = place->disk;
	HASH_DELETE(hh, looks->places, place);
	free(place);
	leave_disk(looks, disk);
}

static struct lsp_look_place *add_place(struct lsp_looks *looks, const char *path, const char *name)
{
	size_t size = strlen(path);
	struct lsp_look_disk *disk = disk_of(looks, name);
	if (!disk)
		return NULL;
	struct lsp_look_place *place = calloc(1, sizeof *place + size + 1);
	if (place) {
		memcpy(place->path, path, size + 1);
		HASH_ADD(hh, looks->places, path[0], size, place);
	}
	if (!place || !place->hh.tbl) {
		free(place);
		forget_disk_if_empty(looks, disk);
		return NULL;
	}
	place->disk = disk;
	disk->places++;
	return place;
}

/*
 * Another disk is mounted there by now: who waits waits for that one. What is asked was asked of
 * the one that was there, and counts for it until it answers.
 */
static int move_place(struct lsp_looks *looks, struct lsp_look_place *place, const char *name)
{
	struct lsp_look_disk *old = place->disk, *disk = disk_of(looks, name);
	bool is_ready = place->waiting && !place->asked;
	if (!disk)
		return -LSP_E_NO_MEMORY;
	if (is_ready) {
		DL_DELETE2(old->ready, place, previous, next);
		DL_APPEND2(disk->ready, place, previous, next);
	}
	old->waiting -= place->count;
	disk->waiting += place->count;
	disk->places++;
	place->disk = disk;
	settle_disk(looks, disk);
	leave_disk(looks, old);
	return 0;
}

static struct lsp_look_place *place_of(struct lsp_looks *looks, const char *path, const char *disk)
{
	struct lsp_look_place *place;
	HASH_FIND(hh, looks->places, path, strlen(path), place);
	if (!place)
		return add_place(looks, path, disk ? disk : path);
	bool has_moved = disk && strcmp(place->disk->name, disk) != 0;
	return has_moved && move_place(looks, place, disk) < 0 ? NULL : place;
}

/* ---- Waiting ----------------------------------------------------------------------------- */

int lsp_looks_add(struct lsp_looks *looks, struct lsp_look_wait *wait, const char *path,
	const char *disk, struct lsp_error *err)
{
	struct lsp_look_place *place = place_of(looks, path, disk);
	if (!place)
		return lsp_error_no_memory(err, DOMAIN);
	bool is_first = !place->waiting && !place->asked;
	DL_APPEND2(place->waiting, wait, previous, next);
	wait->place = place;
	place->count++;
	place->disk->waiting++;
	if (is_first) {
		DL_APPEND2(place->disk->ready, place, previous, next);
		settle_disk(looks, place->disk);
	}
	return 0;
}

void lsp_looks_remove(struct lsp_looks *looks, struct lsp_look_wait *wait)
{
	struct lsp_look_place *place = wait->place;
	if (!place)
		return;
	DL_DELETE2(place->waiting, wait, previous, next);
	*wait = (struct lsp_look_wait){0};
	place->count--;
	place->disk->waiting--;
	if (place->waiting || place->asked)
		return;
	DL_DELETE2(place->disk->ready, place, previous, next);
	forget_place(looks, place);
}

/* ---- Asking ------------------------------------------------------------------------------ */

bool lsp_looks_may_begin(const struct lsp_looks *looks)
{
	return looks->ready && looks->count < LSP_LOOKS_MAX;
}

struct lsp_look_wait *lsp_looks_begin(
	struct lsp_looks *looks, lsp_time now, struct lsp_look_place **ret_place)
{
	if (!lsp_looks_may_begin(looks))
		return NULL;
	struct lsp_look_disk *disk = looks->ready;
	struct lsp_look_place *place = disk->ready;
	struct lsp_look_wait *wait = place->waiting;
	DL_DELETE2(disk->ready, place, previous, next);
	DL_DELETE2(place->waiting, wait, previous, next);
	*wait = (struct lsp_look_wait){0};
	DL_APPEND2(looks->running, place, previous, next);
	place->asked = disk;
	place->silent_at = lsp_time_add(now, LSP_LOOKS_PATIENCE);
	place->count--;
	disk->places++;
	disk->running++;
	disk->waiting--;
	looks->count++;
	/* Behind the others. */
	DL_DELETE2(looks->ready, disk, previous, next);
	disk->is_ready = false;
	settle_disk(looks, disk);
	*ret_place = place;
	return wait;
}

bool lsp_looks_end(struct lsp_looks *looks, struct lsp_look_place *place)
{
	struct lsp_look_disk *asked = place->asked;
	bool was_silent = place->is_silent;
	if (was_silent)
		DL_DELETE2(looks->silent, place, previous, next);
	else
		DL_DELETE2(looks->running, place, previous, next);
	place->asked = NULL;
	place->is_silent = false;
	asked->silent -= was_silent;
	asked->running--;
	looks->count--;
	bool speaks = was_silent && asked->silent == 0;
	if (place->waiting) {
		DL_APPEND2(place->disk->ready, place, previous, next);
		settle_disk(looks, place->disk);
	} else {
		forget_place(looks, place);
	}
	leave_disk(looks, asked);
	return speaks;
}

/* ---- Silence ----------------------------------------------------------------------------- */

lsp_time lsp_looks_silent_at(const struct lsp_looks *looks)
{
	return looks->running ? looks->running->silent_at : LSP_TIME_NEVER;
}

bool lsp_looks_take_silent(
	struct lsp_looks *looks, lsp_time now, struct lsp_looks_silence *ret_silence)
{
	while (now >= lsp_looks_silent_at(looks)) {
		struct lsp_look_place *place = looks->running;
		struct lsp_look_disk *disk = place->asked;
		DL_DELETE2(looks->running, place, previous, next);
		DL_APPEND2(looks->silent, place, previous, next);
		place->is_silent = true;
		if (disk->silent++ > 0)
			continue;
		*ret_silence = (struct lsp_looks_silence){
			place->path, disk->name, disk->waiting + disk->running};
		return true;
	}
	return false;
}

void lsp_looks_done(struct lsp_looks *looks)
{
	struct lsp_look_place *place, *next_place;
	struct lsp_look_disk *disk, *next_disk;
	HASH_ITER(hh, looks->places, place, next_place)
	{
		HASH_DELETE(hh, looks->places, place);
		free(place);
	}
	HASH_ITER(hh, looks->disks, disk, next_disk)
	{
		HASH_DELETE(hh, looks->disks, disk);
		free(disk);
	}
	*looks = (struct lsp_looks){0};
}
