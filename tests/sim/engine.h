/* What the engine and its hostile nodes share: answers under way, and how to send one. */
#pragma once

#include "events.h"
#include "sim.h"

/* One answer under way. Owned by the sender's list; freed when over and nothing of it flies. */
struct sim_flow {
	struct sim_flow *next;
	uint32_t from, to, game, first, count;
	lsp_swarm_id upload, request;
	uint64_t bytes, sent, delivered, flying, fails_at;
	uint32_t done; /* chunks that are complete at the receiver */
	uint64_t done_bytes;
	bool bad, over, queued;
	uint32_t references;
};

/* ---- sim.c ----------------------------------------------------------------------------------- */

/* Lets a node think soon, if it is one that thinks. */
void sim_wake(struct sim *sim, uint32_t node);
/* Takes `copies` messages off the uplink; when they arrive. */
lsp_time sim_message(struct sim *sim, uint32_t from, uint32_t to, uint32_t copies);
/* Says that a request failed, or is bounced. reason: the enum of that. */
void sim_answer(struct sim *sim, uint32_t from, uint32_t to, lsp_swarm_id request, bool bounced,
	uint32_t reason, uint32_t hint);
/* Begins an answer that has the parties and the chunks of `like`. */
void sim_start_flow(struct sim *sim, const struct sim_flow *like);

/* ---- hostile.c ------------------------------------------------------------------------------- */

void sim_hostile_begin(struct sim *sim, uint32_t node); /* it has joined */
void sim_hostile_request(struct sim *sim, const struct sim_event *event);
void sim_hostile_flood(struct sim *sim, uint32_t node);
void sim_hostile_trickle(struct sim *sim, const struct sim_event *event);
/* Tells the node `at` what the hostile one says that it has. */
void sim_hostile_claim(struct sim *sim, uint32_t at, uint32_t who);
void sim_hostile_claim_again(struct sim *sim, uint32_t node);
