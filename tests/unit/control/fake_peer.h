/*
 * A double of the public API: what a client of it (control socket, command line) is tested against.
 * A test's handler answers each command; the test publishes events and ends the peer. Every stream
 * starts with the snapshot that was set. All functions may be called from every thread.
 */
#pragma once

#include "lanspread/lanspread.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What a handler made of a command. */
struct fake_answer {
	json_t *result;      /* taken over; NULL: an empty object */
	int code;            /* an enum lanspread_code: refused */
	const char *message; /* static */
	json_t *more;        /* taken over: members beside code and message */
	bool later;          /* the test calls fake_answer_now */
};

typedef void (*fake_handler)(struct lanspread *peer, const json_t *command, uint64_t request,
	struct fake_answer *answer, void *argument);

struct lanspread *fake_new(fake_handler handler, void *argument);
/* local_games_updated, as every stream starts; taken over. */
void fake_set_snapshot(struct lanspread *peer, json_t *event);
/* To every stream; taken over. */
void fake_publish(struct lanspread *peer, json_t *event);
/* The answer that a handler put off. */
void fake_answer_now(struct lanspread *peer, uint64_t request, struct fake_answer answer);
/* Ends every stream after what is in it; later calls answer "closed". */
void fake_stop(struct lanspread *peer);

/* Waits until so many streams are open (or so many commands of that name came); fails after 30 s.
 */
void fake_wait_streams(struct lanspread *peer, unsigned count);
void fake_wait_commands(struct lanspread *peer, const char *name, unsigned count);
/* The last command of that name, a new reference; NULL: none came. */
json_t *fake_last_command(struct lanspread *peer, const char *name);
/* lanspread_send fails with this code from now on; 0: it works again. */
void fake_refuse_send(struct lanspread *peer, int code);
