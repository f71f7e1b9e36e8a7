/*
 * A games folder and a library over it whose clock and steps are the test's. Hashing runs inside
 * the steps, so that a test sees every state in between; nothing here waits.
 */
#pragma once

#include "../store/fixture.h"

#include "library/library.h"
#include "task/cancel.h"

#include <time.h>

struct shelf {
	struct fixture *fixture;
	struct lsp_fake_clock clock;
	struct lsp_library *library;
	const struct lsp_library_snapshot *snapshot; /* the newest that was asked for */
	unsigned changes;                            /* how often we were told of one */
	char games[100];
};

#define SHELF_FUNCTION static __attribute__((unused))

SHELF_FUNCTION void shelf_changed(void *argument)
{
	((struct shelf *)argument)->changes++;
}

/* Files get the machine's times, so that is where the fake wall clock begins. */
SHELF_FUNCTION void wall_is_now(struct shelf *shelf)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	shelf->clock.wall_now = (uint64_t)now.tv_sec * LSP_SECOND + (uint64_t)now.tv_nsec;
}

SHELF_FUNCTION int shelf_open(struct shelf *shelf, struct lsp_error *err)
{
	struct lsp_library_options options = {.games_dir = shelf->games,
		.state_dir = shelf->fixture->folder,
		.holder = "test",
		.clock = &shelf->clock.clock,
		.changed = shelf_changed,
		.argument = shelf};
	return lsp_library_new(&options, &shelf->library, err);
}

SHELF_FUNCTION struct shelf *shelf_begin(void **state)
{
	static struct shelf shelf;
	shelf = (struct shelf){.fixture = *state};
	snprintf(shelf.games, sizeof shelf.games, "%s/games", shelf.fixture->folder);
	lsp_fake_clock_init(&shelf.clock);
	wall_is_now(&shelf);
	if (mkdir(shelf.games, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	return &shelf;
}

/* Opened, after the first scan. */
SHELF_FUNCTION struct shelf *shelf_start(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	return shelf;
}

SHELF_FUNCTION void shelf_close(struct shelf *shelf)
{
	lsp_library_snapshot_unref(shelf->snapshot);
	shelf->snapshot = NULL;
	lsp_library_free(shelf->library);
	shelf->library = NULL;
}

/* The path of something in the games folder; valid until the next but one call. */
SHELF_FUNCTION const char *in_games(struct shelf *shelf, const char *path)
{
	static char full[2][1100];
	static unsigned next;
	char *out = full[next++ % 2];
	snprintf(out, sizeof full[0], "%s/%s", shelf->games, path);
	return out;
}

/* A file below the games folder, folders and all. */
SHELF_FUNCTION void put_file(struct shelf *shelf, const char *path, const char *content)
{
	char full[1100];
	snprintf(full, sizeof full, "%s/%s", shelf->games, path);
	for (char *slash = full + strlen(shelf->games) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			fail_msg("mkdir %s", full);
		*slash = '/';
	}
	put_text(shelf->fixture, full + strlen(shelf->fixture->folder) + 1, content);
}

SHELF_FUNCTION void put_game(struct shelf *shelf, const char *id)
{
	char path[300];
	snprintf(path, sizeof path, "%s/version.ini", id);
	put_file(shelf, path, "20240131\n");
	snprintf(path, sizeof path, "%s/data/pak0.pak", id);
	put_file(shelf, path, id);
}

/* Steps at the times the library asks for, until that much has passed. */
SHELF_FUNCTION void run_for(struct shelf *shelf, uint64_t nanoseconds)
{
	lsp_time end = lsp_now(&shelf->clock.clock) + nanoseconds;
	for (;;) {
		lsp_time next = lsp_library_step(shelf->library, NULL);
		lsp_time now = lsp_now(&shelf->clock.clock);
		if (next >= end) {
			lsp_fake_clock_advance(&shelf->clock, end - now);
			lsp_library_step(shelf->library, NULL);
			return;
		}
		if (next > now)
			lsp_fake_clock_advance(&shelf->clock, next - now);
	}
}

/* What the newest snapshot says of a game; NULL if it is not in it. */
SHELF_FUNCTION const struct lsp_library_game *see(struct shelf *shelf, const char *id)
{
	lsp_library_snapshot_unref(shelf->snapshot);
	shelf->snapshot = lsp_library_snapshot(shelf->library);
	return lsp_library_find(shelf->snapshot, id);
}

SHELF_FUNCTION void assert_state(struct shelf *shelf, const char *id, enum lsp_library_state state)
{
	const struct lsp_library_game *game = see(shelf, id);
	if (!game)
		fail_msg("\"%s\" is not in the library", id);
	else if (game->state != state)
		fail_msg(
			"\"%s\" is in state %d, not %d: %s", id, game->state, state, game->problem);
}

SHELF_FUNCTION void count_done(void *argument)
{
	++*(unsigned *)argument;
}
