/*
 * A game that comes by a torrent whose content is not known yet, between stand-ins for the engine,
 * the pools and the rest of the peer: the engine answers, and jobs run, when the test says so. What
 * never ran is what a kill left undone; the files are real ones.
 */
#pragma once

#include "peer/torrent_late.h"

#include "base/fs.h"
#include "base/text.h"
#include "peer/download.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GAME "quake"
#define ID "0123456789abcdef0123456789abcdef01234567"
#define OTHER "76543210fedcba9876543210fedcba9876543210"

/* What the stand-ins were told, and what they say. */
struct room {
	struct lsp_torrent_call asked; /* the last call that somebody waits for */
	bool is_closed;                /* the engine, which has just failed */
	unsigned told[LSP_TORRENT_COMMAND_COUNT], kept, failed, dropped, answered, aliases, readied;
	bool running;    /* a download of it */
	json_t *options; /* what the game's record was given */
	bool is_full;    /* the disk of the state folder */
	int refusal;     /* of the next download; 0: it begins */
	unsigned downloads;
	enum lsp_engine engine;
	struct lsp_hash wanted; /* what was downloaded last */
	char games[64], failure[1000];
	struct lsp_library_game local;
	bool is_local;
	lsp_manifest_callback manifest_came;
	void *manifest_argument;
	struct lsp_job *jobs[16];
	size_t job_count;
	struct lsp_pool *pool; /* of the last job */
};
extern struct room room;

int room_start(void **state);
int room_end(void **state);

void run_job(void);
/* Of the last call, which must be that one. */
void answer(enum lsp_torrent_command command, struct lsp_torrent_answer with);
/* Events of the engine about it. */
void event(struct lsp_peer *peer, json_t *event);
void state_event(struct lsp_peer *peer, const char *to);
void error_event(struct lsp_peer *peer, const char *code);
/* Of what is not the torrent's own files. */
void error_event_beside(struct lsp_peer *peer, const char *component, const char *code);
/* From the engine's store, in the game's folder. */
void bring_back(struct lsp_peer *peer, const char *to);

struct lsp_torrent_late *late_of(struct lsp_peer *peer);
bool is_busy(struct lsp_peer *peer);
/* Below the game's folder. */
char *path_of(const char *path);
bool is_there(const char *name);
void write_file(const char *name, const char *text);
void write_files(void);
/* The engine's answer. */
void have_all(void);
/* All of it has come, and its pieces are right: its .torrent was asked for. */
void become_whole(struct lsp_peer *peer);
/* What is not in memory any more. */
void be_killed(struct lsp_peer *peer);
struct lsp_torrent_answer exported(void);
