/*
 * A torrent of two files that is to be moved or removed, and the store and the files as a kill
 * leaves them; over a shim that is none.
 */
#pragma once

#include "world.h"

struct scene {
	struct world world;
	char old[160], new[160], record[256];
};

/* A torrent whose files fake/a and fake/b are in `old`. */
void scene_init(struct scene *scene);
/* Is it in that folder? */
bool scene_has(const char *folder, const char *file);
/* What is stored; the caller owns it. */
json_t *scene_record(const struct scene *scene);
/* The engine ends, its record says `changes` (taken over; NULL: none), and another starts. */
void scene_start_again(struct scene *scene, json_t *changes);
/* What a record says of a move to `new` of so many files. */
json_t *scene_moving(const struct scene *scene, int files);
/* `a` is in `new`. */
void scene_put_one_there(const struct scene *scene);
void scene_expect_moved(struct scene *scene);
/* Up to where the library is told. */
void scene_begin_move(struct scene *scene, struct rig_call *ret_move);
void scene_end_move(const struct scene *scene, struct rig_call *move);
