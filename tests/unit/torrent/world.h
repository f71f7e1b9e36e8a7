/*
 * An engine over a shim that is none (fake_shim.h), on a clock that the test owns: what the tests
 * of the worker share.
 */
#pragma once

#include "fake_shim.h"
#include "rig.h"

#define DOOM "d00d000000000000000000000000000000000000000000000000000000000000"
#define QUAKE "9a4e000000000000000000000000000000000000000000000000000000000000"

struct world {
	struct lsp_fake_clock clock;
	struct rig rig;
};

/* What the clock says from the next world_init on, in place of its own; NULL: its own. */
extern lsp_time (*world_time)(const struct lsp_clock *clock);
/* The engine's, from the next world_init on; NULL: none. */
extern int (*world_hold)(
	void *argument, const char *id, const char *path, const char *name, struct lsp_error *err);
/* folder NULL: a new one. */
void world_init(struct world *world, const char *folder);
void world_done(struct world *world);
/* Adds a torrent of the files fake/a and fake/b below /tmp/fake (or its save_path); its status. */
json_t *world_add(struct world *world, const char *id);
/* The same with arguments (taken over); the result. *ret_status may be NULL. */
int world_try_add(struct world *world, const char *id, json_t *arguments, json_t **ret_status);
void world_advance(struct world *world, uint64_t span);
uint32_t world_health(struct world *world);
struct lsp_torrent_counters world_counters(struct world *world);
/* Calls are answered before the tick of the same wake: after the second, all is done. */
void world_settle(struct world *world);

struct lsp_supervised_info world_supervised(struct world *world);
/*
 * Until that many opens were tried. Time goes on only while the next start is waited for: a session
 * that is just being opened must not seem to have run for long, which would end the row of
 * failures.
 */
void world_await_opens(struct world *world, int count);
void world_await_state(struct world *world, enum lsp_supervised_state state);
