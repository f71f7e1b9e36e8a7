/*
 * Following an operation to its end, from events alone. A pure state machine: events go in, a
 * verdict comes out; what to print is the caller's business.
 *
 * An operation is over when a local_games_updated, the authoritative list, no longer has it (only
 * then is its guard released and the list of games tells the new state) and its own events said how
 * it went; the two come in either order, and between the halves of an install neither is there. A
 * reader that fell behind may have missed events (a snapshot with "resync"): then the game's state
 * must tell (cli_wait_reached).
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

struct cli_verb {
	const char *name;   /* the command's, "get" */
	const char *prefix; /* of its events: "download" */
	const char *doing;  /* for people: "downloading" */
	const char *done;   /* "downloaded" */
	bool fetches;       /* a download is part of it, whose failure is its failure */
};

/* The row for a command, NULL for one that does not wait. */
const struct cli_verb *cli_verb_find(const char *name);

enum cli_verdict {
	CLI_GOES_ON,
	CLI_OVER, /* it has ended; `failed`, `finished` say how; neither: more may come */
};

struct cli_wait {
	const struct cli_verb *verb;
	const char *game;
	bool seen; /* it was running, or its events came */
	bool finished;
	bool failed;
	bool waiting;    /* a download without a source */
	bool unread;     /* while waiting: somebody has it, whose peer is still hashing it */
	bool by_torrent; /* while waiting: it is to come by BitTorrent */
	bool ended;      /* the last list of operations did not have it */
	bool resynced;   /* events were missed: the game's state must tell */
	struct lsp_error error;
	char kept[512]; /* a folder with saved files, or empty */
};

void cli_wait_init(struct cli_wait *wait, const struct cli_verb *verb, const char *game);
/* Takes over how the game is, as `list_games` says. NULL: not known. */
void cli_wait_look(struct cli_wait *wait, const json_t *game);
enum cli_verdict cli_wait_take(struct cli_wait *wait, const json_t *event);
/* Whether the event is about this game. */
bool cli_wait_concerns(const struct cli_wait *wait, const json_t *event);
/* Whether a game in this state is what the command wanted. NULL: there is no such game. */
bool cli_wait_reached(const struct cli_wait *wait, const json_t *game);
