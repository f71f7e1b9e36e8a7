/* Nodes that speak the protocol without a swarm: what they claim, ask for and answer. */
#include "engine.h"

#define FLOOD_EVERY (100 * LSP_MILLISECOND)
#define CLAIM_EVERY LSP_SECOND
#define DROPS_MAX 100                        /* of one answer; then it stands still */
#define BOUNCE_AFTER (250 * LSP_MILLISECOND) /* who is silent for 300 ms is not counted on */

static uint64_t drop_size(enum sim_kind kind)
{
	return kind == SIM_DRIPPER ? 1000 : 100;
}

static uint64_t drop_every(enum sim_kind kind)
{
	return kind == SIM_DRIPPER ? LSP_SECOND / 5 : LSP_SECOND;
}

static void bounce_late(struct sim *sim, const struct sim_event *request)
{
	sim_schedule(sim, (struct sim_event){.at = sim->now + BOUNCE_AFTER,
				  .kind = EVENT_ANSWER,
				  .node = request->other,
				  .other = request->node,
				  .id = request->id,
				  .flag = true,
				  .reason = LSP_SWARM_ELSEWHERE,
				  .first = LSP_SWARM_NO_HINT});
}

void sim_hostile_request(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	struct sim_flow flow = {.from = event->node,
		.to = event->other,
		.game = event->game,
		.first = event->first,
		.count = event->count,
		.request = event->id};
	switch (node->kind) {
	case SIM_POISONER:
	case SIM_RELAPSER:
		flow.bad = true;
		sim_start_flow(sim, &flow);
		break;
	case SIM_RESETTER:
		sim_start_flow(sim, &flow);
		break;
	case SIM_CLAIMER:
	case SIM_PRETENDER:
		sim_answer(sim, event->node, event->other, event->id, false, LSP_SWARM_MISSING, 0);
		break;
	case SIM_BOUNCER:
		bounce_late(sim, event);
		break;
	case SIM_TRICKLER:
	case SIM_DRIPPER:
		sim_schedule(sim, (struct sim_event){.at = sim->now + drop_every(node->kind),
					  .kind = EVENT_TRICKLE,
					  .node = event->other,
					  .other = event->node,
					  .id = event->id});
		break;
	default:
		break;
	}
}

void sim_hostile_flood(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	if (!node->here)
		return;
	for (uint32_t i = 0; i < sim->node_count; i++)
		for (uint32_t n = 0; n < 20 && sim->nodes[i].swarm && sim->nodes[i].here; n++)
			sim_schedule(sim, (struct sim_event){.at = sim_message(sim, index, i, 1),
						  .kind = EVENT_REQUEST,
						  .node = i,
						  .other = index,
						  .count = 1,
						  .first = (uint32_t)lsp_random_below(
							  &sim->random, sim->chunk_count[0]),
						  .flag = true,
						  .id = n});
	sim_schedule(
		sim, (struct sim_event){
			     .at = sim->now + FLOOD_EVERY, .kind = EVENT_FLOOD, .node = index});
}

void sim_hostile_trickle(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	enum sim_kind kind = sim->nodes[event->other].kind;
	if (!node->here || !sim->nodes[event->other].here || event->count > DROPS_MAX)
		return;
	lsp_swarm_received(node->swarm, event->id, drop_size(kind), sim->now);
	node->received += drop_size(kind);
	struct sim_event again = *event;
	again.at = sim->now + drop_every(kind);
	again.count++;
	sim_schedule(sim, again);
	sim_wake(sim, event->node);
}

/* What a hostile one says that it has. */
void sim_hostile_claim(struct sim *sim, uint32_t at, uint32_t who)
{
	struct sim_node *node = &sim->nodes[at];
	enum sim_kind kind = sim->nodes[who].kind;
	for (uint32_t game = 0; kind != SIM_FLOODER && game < sim->games; game++) {
		_cleanup_bitmap_ struct lsp_bitmap most = {0};
		bool none = kind == SIM_TAKER || kind == SIM_MUTE;
		uint32_t count = none ? 0 : sim->chunk_count[game] - (kind == SIM_PRETENDER);
		sim_assert(lsp_bitmap_init(&most, sim->chunk_count[game], NULL) == 0, "bitmap");
		for (uint32_t i = 0; i < count; i++)
			lsp_bitmap_set(&most, i);
		sim_assert(lsp_swarm_peer_has(node->swarm, node->peers[who], node->games[game],
				   &most, NULL) == 0,
			"announcement");
	}
}

void sim_hostile_claim_again(struct sim *sim, uint32_t index)
{
	for (uint32_t i = 0; i < sim->node_count && sim->nodes[index].here; i++) {
		if (!sim->nodes[i].swarm || !sim->nodes[i].peers[index])
			continue;
		sim_hostile_claim(sim, i, index);
		sim_wake(sim, i);
	}
	sim_schedule(
		sim, (struct sim_event){
			     .at = sim->now + CLAIM_EVERY, .kind = EVENT_CLAIM, .node = index});
}

void sim_hostile_begin(struct sim *sim, uint32_t index)
{
	enum sim_kind kind = sim->nodes[index].kind;
	if (kind == SIM_FLOODER || kind == SIM_TAKER || kind == SIM_MUTE)
		sim_schedule(sim,
			(struct sim_event){.at = sim->now + 1, .kind = EVENT_FLOOD, .node = index});
	if (kind == SIM_PRETENDER || kind == SIM_RELAPSER)
		sim_schedule(sim,
			(struct sim_event){
				.at = sim->now + CLAIM_EVERY, .kind = EVENT_CLAIM, .node = index});
}
