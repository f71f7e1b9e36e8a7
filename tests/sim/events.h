/* What happens in a simulation, and when. */
#pragma once

#include "sim.h"

enum event_kind {
	EVENT_RUN,      /* node thinks */
	EVENT_UPLINK,   /* node's uplink is free */
	EVENT_DELIVER,  /* a quantum of a flow is at its receiver */
	EVENT_ACK,      /* … and the sender knows */
	EVENT_VERIFIED, /* a chunk was hashed */
	EVENT_REQUEST,  /* a message arrives: REQUEST … */
	EVENT_CANCEL,
	EVENT_ANSWER, /* a bounce, or a failure */
	EVENT_HAVES,  /* an announcement, to everybody */
	EVENT_JOIN,
	EVENT_LEAVE,
	EVENT_STOP,
	EVENT_GO_ON,
	EVENT_TRICKLE,
	EVENT_FLOOD,
	EVENT_CLAIM, /* a liar announces itself anew */
};

struct sim_event {
	lsp_time at;
	uint64_t sequence;
	enum event_kind kind;
	uint32_t node, other, game, first, count, reason;
	lsp_swarm_id id;
	bool flag;
	struct sim_flow *flow;
};

void sim_schedule(struct sim *sim, struct sim_event event);
/* Takes the first one; there must be one. */
struct sim_event sim_next_event(struct sim *sim);
