/*
 * An engine to test: tasks, a supervisor, a folder of its own, calls that are waited for and events
 * that are kept. Nothing here sleeps: who waits is woken by the completion or the event, and fails
 * after a minute.
 */
#pragma once

#include "../task/fixture.h"

#include "task/supervisor.h"
#include "torrent/engine.h"
#include "torrent/shim.h"

#include <jansson.h>

struct rig {
	struct runtime runtime;
	struct lsp_supervisor *supervisor;
	struct lsp_torrent_engine *engine;
	const struct lsp_clock *clock; /* of the tasks */
	char folder[128];              /* removed at the end */
	char resume[160];

	pthread_mutex_t lock; /* guards the next two */
	json_t *events;       /* array of all that came */
	struct lsp_waiter_list waiting;
};

/* What a rig is made with. */
struct rig_options {
	const struct lsp_clock *clock;         /* NULL: the machine's */
	const struct lsp_shim_functions *shim; /* NULL: libtorrent */
	json_t *configuration;                 /* taken over; NULL: loopback, a free port */
	const char *folder;                    /* NULL: a new one */
	uint64_t save_interval, restart_delay;
	int (*hold)(void *argument, const char *id, const char *path, const char *name,
		struct lsp_error *err);
};

void rig_init(struct rig *rig, const struct rig_options *options);
/* Stops the engine and leaves the folder: for rig_init on the same one. */
void rig_stop(struct rig *rig);
/* Stops it and removes the folder. */
void rig_done(struct rig *rig);

struct rig_answer {
	int result;
	struct lsp_error error;
	json_t *value;
	struct lsp_buffer bytes;
};
void rig_answer_done(struct rig_answer *answer);

/* Begins a call; its answer comes to `gate`. What it holds is taken over. */
struct rig_call {
	struct lsp_answer completed;
	struct rig_answer answer;
	int begun;              /* what lsp_torrent_call gave */
	struct lsp_error error; /* of that */
};
void rig_begin(struct rig *rig, struct rig_call *pending, struct lsp_torrent_call *call);
void rig_end(struct rig_call *pending, struct rig_answer *ret_answer);
/* It ends with that code (0: none); words, unless NULL, are in its message. */
void rig_expect_end(struct rig_call *pending, int code, const char *words);

/* Asks and waits. arguments are taken over. */
void rig_call_full(struct rig *rig, struct lsp_torrent_call *call, struct rig_answer *ret_answer);
/* The same; the value (which the caller owns), and it must succeed. */
json_t *rig_ask(struct rig *rig, enum lsp_torrent_command command, json_t *arguments);
/* It must fail with this code; the message goes to `message` (may be NULL). */
void rig_refuse(struct rig *rig, enum lsp_torrent_command command, json_t *arguments, int code,
	char message[512]);

/* How many events of that name (and, if given, of which key has that text) came so far. */
size_t rig_count(struct rig *rig, const char *event, const char *key, const char *value);
/* Waits until there are `count` of them; the last of them, which the caller owns. */
json_t *rig_await(
	struct rig *rig, const char *event, const char *key, const char *value, size_t count);

/* Makes a file with bytes that follow from the seed; folders too. */
void rig_file(const char *folder, const char *path, size_t size, unsigned seed);
/* Are the two files the same? */
bool rig_same_file(const char *a_folder, const char *b_folder, const char *path);
/*
 * Do they become so? The session says that a torrent is complete when its last blocks are hashed,
 * and may write them behind that. Asks the session again and again meanwhile.
 */
bool rig_file_arrives(
	struct rig *rig, const char *from_folder, const char *to_folder, const char *path);
void rig_remove_tree(const char *path);
/* Until `address`, where the engine listens, "127.0.0.1:port" or "" after a minute. */
void rig_listen_address(struct rig *rig, char address[64]);
