/* The engine: see sim.h. Aborts with a text when something that must hold does not. */
#include "sim.h"
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_DELAY LSP_MILLISECOND
#define PAIR(a, b) ((uint64_t)(a) << 32 | (b))

/* What upload_add remembers: the asker's request. They live as long as the simulation. */
struct ask {
	struct ask *next;
	uint32_t from;
	lsp_swarm_id request;
};

void sim_assert(bool condition, const char *format, ...)
{
	if (condition)
		return;
	va_list arguments;
	va_start(arguments, format);
	fputs("FAILED: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

static void *must_alloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	sim_assert(memory != NULL, "no memory");
	return memory;
}

/* ---- Set-up ---------------------------------------------------------------------------------- */

void sim_init(struct sim *sim, uint64_t seed, uint32_t node_count)
{
	*sim = (struct sim){.now = LSP_SECOND,
		.node_count = node_count,
		.check = true,
		.run_delay = 100 * LSP_MICROSECOND,
		.quantum = 16 << 10};
	lsp_random_seed(&sim->random, seed);
	sim->nodes = must_alloc(node_count, sizeof(*sim->nodes));
}

static void add_game(struct sim *sim, uint32_t chunks)
{
	uint32_t game = sim->games++;
	sim->chunk_count[game] = chunks;
	sim->sizes[game] = must_alloc(chunks, sizeof(uint32_t));
}

void sim_game(struct sim *sim, uint64_t bytes)
{
	uint64_t piece = 128 << 10;
	while (piece < bytes / 1024 && piece < 4 << 20)
		piece *= 2;
	add_game(sim, (uint32_t)((bytes + piece - 1) / piece));
	uint32_t game = sim->games - 1;
	for (uint32_t i = 0; i < sim->chunk_count[game]; i++)
		sim->sizes[game][i] = (uint32_t)LSP_MIN(piece, bytes - i * piece);
	sim->bytes[game] = bytes;
}

void sim_game_files(struct sim *sim, uint32_t files, uint32_t size)
{
	add_game(sim, files);
	for (uint32_t i = 0; i < files; i++)
		sim->sizes[sim->games - 1][i] = size;
	sim->bytes[sim->games - 1] = (uint64_t)files * size;
}

void sim_node(struct sim *sim, uint32_t index, enum sim_kind kind, double up, double down,
	uint64_t delay, double share)
{
	struct sim_node *node = &sim->nodes[index];
	*node = (struct sim_node){.kind = kind, .up = up, .down = down, .delay = delay};
	node->peers = must_alloc(sim->node_count, sizeof(*node->peers));
	node->run_at = LSP_TIME_NEVER;
	if (kind != SIM_HONEST)
		return;
	sim_assert(lsp_swarm_new(lsp_random_next(&sim->random), sim->now, &node->swarm, NULL) == 0,
		"lsp_swarm_new");
	struct lsp_swarm_limits limits = {.overhead = SIM_OVERHEAD};
	lsp_swarm_set_limits(node->swarm, &limits);
	for (uint32_t game = 0; game < sim->games; game++) {
		struct lsp_bitmap have;
		sim_assert(lsp_bitmap_init(&have, sim->chunk_count[game], NULL) == 0, "bitmap");
		for (uint32_t i = 0; i < sim->chunk_count[game]; i++)
			if (lsp_random_unit(&sim->random) < share)
				lsp_bitmap_set(&have, i);
		sim_assert(lsp_swarm_game_add(node->swarm, sim->chunk_count[game], sim->sizes[game],
				   &have, (void *)(uintptr_t)game, &node->games[game], NULL) == 0,
			"lsp_swarm_game_add");
		lsp_bitmap_done(&have);
		if (share < 1)
			lsp_swarm_game_want(node->swarm, node->games[game], true);
	}
}

static void flow_release(struct sim_flow *flow)
{
	if (!--flow->references)
		free(flow);
}

void sim_done(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++)
		if (sim->nodes[i].here)
			sim_leave(sim, i);
	while (sim->heap_size) {
		struct sim_event event = sim_next_event(sim);
		if (event.flow)
			flow_release(event.flow);
	}
	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct sim_node *node = &sim->nodes[i];
		lsp_swarm_free(node->swarm);
		free(node->peers);
	}
	for (uint32_t game = 0; game < sim->games; game++)
		free(sim->sizes[game]);
	for (struct ask *ask = sim->asks, *next; ask; ask = next) {
		next = ask->next;
		free(ask);
	}
	free(sim->nodes);
	free(sim->heap);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

void sim_wake(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	lsp_time at = sim->now + sim->run_delay;
	if (!node->swarm || node->run_at <= at)
		return;
	node->run_at = at;
	sim_schedule(sim, (struct sim_event){.at = at, .kind = EVENT_RUN, .node = index});
}

static uint64_t path_delay(const struct sim *sim, uint32_t a, uint32_t b)
{
	return sim->nodes[a].delay + sim->nodes[b].delay;
}

/* A message takes its bytes off the uplink and arrives after the path's delay. */
lsp_time sim_message(struct sim *sim, uint32_t from, uint32_t to, uint32_t copies)
{
	struct sim_node *node = &sim->nodes[from];
	node->up_free = LSP_MAX(node->up_free, sim->now) +
			(uint64_t)(copies * SIM_MESSAGE / node->up * 1e9);
	sim->messages += copies;
	return sim->now + path_delay(sim, from, to) + 50 * LSP_MICROSECOND;
}

static void uplink(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	if (node->sending || !node->flows || !node->here)
		return;
	node->sending = true;
	sim_schedule(sim, (struct sim_event){.at = LSP_MAX(sim->now, node->up_free),
				  .kind = EVENT_UPLINK,
				  .node = index});
}

static void flow_end(struct sim *sim, struct sim_flow *flow, bool complete)
{
	struct sim_node *from = &sim->nodes[flow->from];
	if (flow->over)
		return;
	flow->over = true;
	for (struct sim_flow **at = &from->flows; *at; at = &(*at)->next)
		if (*at == flow) {
			*at = flow->next;
			break;
		}
	if (from->swarm)
		lsp_swarm_upload_end(from->swarm, flow->upload, complete, sim->now);
	sim_wake(sim, flow->from);
	flow_release(flow);
}

static void flow_send(struct sim *sim, struct sim_flow *flow, uint64_t bytes)
{
	struct sim_node *from = &sim->nodes[flow->from], *to = &sim->nodes[flow->to];
	lsp_time gone = sim->now + (uint64_t)(bytes * SIM_OVERHEAD / from->up * 1e9);
	lsp_time there = LSP_MAX(gone + path_delay(sim, flow->from, flow->to), to->down_free) +
			 (uint64_t)(bytes * SIM_OVERHEAD / to->down * 1e9);
	to->down_free = there;
	from->up_free = gone;
	from->sent += bytes;
	flow->sent += bytes;
	flow->flying += bytes;
	flow->references++;
	if (from->swarm)
		lsp_swarm_upload_sent(from->swarm, flow->upload, bytes, sim->now);
	sim_schedule(sim,
		(struct sim_event){.at = there, .kind = EVENT_DELIVER, .flow = flow, .id = bytes});
}

/* The uplink takes a quantum of the next flow whose window is open. */
static void on_uplink(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	node->sending = false;
	if (!node->here || !node->flows)
		return;
	if (node->up_free > sim->now)
		return uplink(sim, index); /* a message went first */
	struct sim_flow **at = &node->flows;
	lsp_time again = LSP_TIME_NEVER;
	for (; *at; at = &(*at)->next) {
		struct sim_flow *flow = *at;
		uint64_t want = LSP_MIN(sim->quantum, flow->bytes - flow->sent);
		lsp_time later = LSP_TIME_NEVER;
		if (!want || flow->flying >= SIM_WINDOW)
			continue;
		if (node->swarm)
			want = lsp_swarm_upload_grant(
				node->swarm, flow->upload, want, sim->now, &later);
		again = LSP_MIN(again, later);
		if (!want)
			continue;
		/* To the end of the list: in turn. */
		*at = flow->next;
		flow->next = NULL;
		while (*at)
			at = &(*at)->next;
		*at = flow;
		flow_send(sim, flow, want);
		return uplink(sim, index);
	}
	if (again != LSP_TIME_NEVER) {
		node->sending = true;
		sim_schedule(sim, (struct sim_event){.at = LSP_MAX(again, sim->now + 1),
					  .kind = EVENT_UPLINK,
					  .node = index});
	}
}

void sim_answer(struct sim *sim, uint32_t from, uint32_t to, lsp_swarm_id request, bool bounced,
	uint32_t reason, uint32_t hint)
{
	sim_schedule(sim, (struct sim_event){.at = sim_message(sim, from, to, 1),
				  .kind = EVENT_ANSWER,
				  .node = to,
				  .other = from,
				  .id = request,
				  .flag = bounced,
				  .reason = reason,
				  .first = hint});
}

/* ---- The receiver ---------------------------------------------------------------------------- */

static void note_done(struct sim *sim, uint32_t index, uint32_t game)
{
	struct sim_node *node = &sim->nodes[index];
	struct lsp_swarm_game_status status;
	sim_assert(lsp_swarm_game_status(node->swarm, node->games[game], &status) == 0, "status");
	if (status.state == LSP_SWARM_COMPLETE && !node->done[game]) {
		node->done[game] = sim->now;
		sim->unfinished--;
	}
	if (sim->on_chunk && !game)
		sim->on_chunk(sim, index, status.chunks_have);
}

static void on_deliver(struct sim *sim, struct sim_flow *flow, uint64_t bytes)
{
	struct sim_node *to = &sim->nodes[flow->to];
	if (to->here && !to->stopped && to->kind != SIM_MUTE) {
		flow->delivered += bytes;
		to->received += bytes;
		if (to->swarm)
			lsp_swarm_received(to->swarm, flow->request, bytes, sim->now);
		while (to->swarm && flow->done < flow->count) {
			uint32_t chunk = flow->first + flow->done;
			uint64_t end = flow->done_bytes + sim->sizes[flow->game][chunk];
			if (flow->delivered < end)
				break;
			flow->done_bytes = end;
			flow->done++;
			sim_schedule(sim, (struct sim_event){.at = sim->now + VERIFY_DELAY,
						  .kind = EVENT_VERIFIED,
						  .node = flow->to,
						  .game = flow->game,
						  .first = chunk,
						  .id = flow->request,
						  .flag = flow->bad});
		}
		sim_wake(sim, flow->to);
		flow->references++;
		sim_schedule(sim,
			(struct sim_event){.at = sim->now + path_delay(sim, flow->from, flow->to),
				.kind = EVENT_ACK,
				.flow = flow,
				.id = bytes});
	}
	flow_release(flow);
}

static void on_ack(struct sim *sim, struct sim_flow *flow, uint64_t bytes)
{
	flow->flying -= bytes;
	if (!flow->over) {
		if (flow->sent >= flow->fails_at) {
			sim_answer(sim, flow->from, flow->to, flow->request, false,
				LSP_SWARM_BROKEN, 0);
			flow_end(sim, flow, false);
		} else if (flow->sent == flow->bytes && !flow->flying) {
			flow_end(sim, flow, true);
		} else {
			uplink(sim, flow->from);
		}
	}
	flow_release(flow);
}

static void on_verified(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	if (!node->here || !node->swarm)
		return;
	const struct lsp_bitmap *have = lsp_swarm_game_have(node->swarm, node->games[event->game]);
	size_t before_it = have->set;
	if (event->flag)
		lsp_swarm_rejected(node->swarm, event->id, event->first, sim->now);
	else
		lsp_swarm_verified(node->swarm, event->id, event->first, sim->now);
	if (have->set > before_it) {
		node->kept += sim->sizes[event->game][event->first];
		note_done(sim, event->node, event->game);
	}
	sim_wake(sim, event->node);
}

/* ---- The sender ------------------------------------------------------------------------------ */

void sim_start_flow(struct sim *sim, const struct sim_flow *like)
{
	struct sim_flow *flow = must_alloc(1, sizeof(*flow));
	*flow = *like;
	flow->references = 1;
	flow->fails_at = UINT64_MAX;
	struct sim_node *from = &sim->nodes[flow->from];
	for (uint32_t i = 0; i < flow->count; i++)
		flow->bytes += sim->sizes[flow->game][flow->first + i];
	if (from->kind == SIM_RESETTER ||
		(from->fail > 0 && lsp_random_unit(&sim->random) < from->fail))
		flow->fails_at = flow->bytes / 2;
	flow->next = from->flows;
	from->flows = flow;
	uplink(sim, flow->from);
}

static void on_request(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	if (!node->here || !sim->nodes[event->other].here || node->stopped)
		return;
	if (!node->swarm)
		return sim_hostile_request(sim, event);
	struct ask *ask = must_alloc(1, sizeof(*ask));
	*ask = (struct ask){sim->asks, event->other, event->id};
	sim->asks = ask;
	lsp_swarm_id upload;
	int status = lsp_swarm_upload_add(node->swarm, node->peers[event->other],
		node->games[event->game], event->first, event->count, event->flag, ask, sim->now,
		&upload, NULL);
	if (status < 0) {
		bool busy = status == -LSP_E_BUSY;
		sim_answer(sim, event->node, event->other, event->id, busy,
			busy ? (uint32_t)LSP_SWARM_BUSY : (uint32_t)LSP_SWARM_MISSING,
			LSP_SWARM_NO_HINT);
	}
	sim_wake(sim, event->node);
}

static void on_cancel(struct sim *sim, const struct sim_event *event)
{
	for (struct sim_flow *flow = sim->nodes[event->node].flows; flow; flow = flow->next)
		if (flow->to == event->other && flow->request == event->id)
			return flow_end(sim, flow, false);
	/* One that still waits in the queue is sent in vain: the worst case. */
}

static void on_answer(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	if (!node->here || !node->swarm)
		return;
	if (event->flag)
		lsp_swarm_bounced(node->swarm, event->id, event->reason, event->first, sim->now);
	else
		lsp_swarm_failed(node->swarm, event->id, event->reason, sim->now);
	sim_wake(sim, event->node);
}

static void on_haves(struct sim *sim, const struct sim_event *event)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct sim_node *node = &sim->nodes[i];
		if (!node->here || !node->swarm || !node->peers[event->node])
			continue;
		(void)!lsp_swarm_peer_gained(node->swarm, node->peers[event->node],
			node->games[event->game], event->first, event->count, NULL);
		sim_wake(sim, i);
	}
}

/* ---- A node thinks --------------------------------------------------------------------------- */

static void upload_action(
	struct sim *sim, uint32_t index, const struct lsp_swarm_action *action, uint32_t game)
{
	struct ask *ask = action->upload_owner;
	if (action->kind == LSP_SWARM_UPLOAD_START) {
		struct sim_flow flow = {.from = index,
			.to = ask->from,
			.game = game,
			.first = action->first,
			.count = action->count,
			.upload = action->request,
			.request = ask->request};
		sim_start_flow(sim, &flow);
	} else if (action->kind == LSP_SWARM_UPLOAD_BOUNCE) {
		sim_answer(sim, index, ask->from, ask->request, true, action->bounce, action->hint);
	} else {
		for (struct sim_flow *flow = sim->nodes[index].flows; flow; flow = flow->next)
			if (flow->upload == action->request) {
				flow_end(sim, flow, false);
				break;
			}
	}
}

static void act(struct sim *sim, uint32_t index, const struct lsp_swarm_action *action)
{
	struct sim_node *node = &sim->nodes[index];
	uint32_t game = (uint32_t)(uintptr_t)action->game_owner;
	uint32_t peer = (uint32_t)(uintptr_t)action->peer_owner;
	struct sim_event event = {.node = peer,
		.other = index,
		.game = game,
		.first = action->first,
		.count = action->count,
		.id = action->request};
	switch (action->kind) {
	case LSP_SWARM_REQUEST:
	case LSP_SWARM_CANCEL:
		event.kind = action->kind == LSP_SWARM_REQUEST ? EVENT_REQUEST : EVENT_CANCEL;
		event.flag = action->insist;
		event.at = sim_message(sim, index, peer, 1);
		sim_schedule(sim, event);
		break;
	case LSP_SWARM_ANNOUNCE:
		event.kind = EVENT_HAVES;
		event.node = index;
		event.at = sim_message(sim, index, index, 0);
		sim_schedule(sim, event);
		break;
	case LSP_SWARM_UPLOAD_START:
	case LSP_SWARM_UPLOAD_BOUNCE:
	case LSP_SWARM_UPLOAD_STOP:
		upload_action(sim, index, action, game);
		break;
	case LSP_SWARM_DROPPED:
		node->dropped_honest += sim->nodes[peer].kind == SIM_HONEST;
		node->dropped_hostile += sim->nodes[peer].kind != SIM_HONEST;
		break;
	case LSP_SWARM_STATE:
		node->states_failed += action->state == LSP_SWARM_FAILED;
		node->states_waiting += action->state == LSP_SWARM_WAITING;
		break;
	case LSP_SWARM_WITHDRAW:
		break;
	}
}

static void on_run(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	struct lsp_swarm_action action;
	char text[128];
	node->run_at = LSP_TIME_NEVER;
	if (!node->here || node->stopped)
		return;
	lsp_swarm_run(node->swarm, sim->now);
	if (sim->check && !lsp_random_below(&sim->random, 2000))
		sim_assert(lsp_swarm_check(node->swarm, text), "node %u: %s", index, text);
	bool announced = false;
	while (lsp_swarm_next_action(node->swarm, &action)) {
		announced |= action.kind == LSP_SWARM_ANNOUNCE;
		act(sim, index, &action);
	}
	if (announced) /* one message a peer holds all the runs */
		(void)sim_message(sim, index, index, sim->node_count);
	lsp_time deadline = lsp_swarm_deadline(node->swarm);
	if (deadline == LSP_TIME_NEVER)
		return;
	deadline = LSP_MAX(deadline, sim->now + sim->run_delay);
	if (deadline < node->run_at) {
		node->run_at = deadline;
		sim_schedule(
			sim, (struct sim_event){.at = deadline, .kind = EVENT_RUN, .node = index});
	}
	uplink(sim, index);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void meet(struct sim *sim, uint32_t at, uint32_t who)
{
	struct sim_node *node = &sim->nodes[at], *other = &sim->nodes[who];
	if (!node->swarm)
		return;
	sim_assert(lsp_swarm_peer_add(node->swarm, who + 1, (void *)(uintptr_t)who,
			   &node->peers[who], NULL) == 0,
		"lsp_swarm_peer_add");
	lsp_swarm_peer_rtt(node->swarm, node->peers[who], 2 * path_delay(sim, at, who));
	for (uint32_t game = 0; other->swarm && game < sim->games; game++)
		sim_assert(
			lsp_swarm_peer_has(node->swarm, node->peers[who], node->games[game],
				lsp_swarm_game_have(other->swarm, other->games[game]), NULL) == 0,
			"announcement");
	if (!other->swarm)
		sim_hostile_claim(sim, at, who);
	sim_wake(sim, at);
}

static uint32_t missing_games(const struct sim *sim, const struct sim_node *node)
{
	uint32_t count = 0;
	for (uint32_t game = 0; node->swarm && game < sim->games; game++)
		count += !lsp_bitmap_full(lsp_swarm_game_have(node->swarm, node->games[game]));
	return count;
}

void sim_join(struct sim *sim, uint32_t index)
{
	struct sim_node *node = &sim->nodes[index];
	node->here = true;
	node->joined = sim->now;
	sim->unfinished += missing_games(sim, node);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (i == index || !sim->nodes[i].here)
			continue;
		meet(sim, i, index);
		meet(sim, index, i);
	}
	if (!node->swarm)
		sim_hostile_begin(sim, index);
	sim_wake(sim, index);
}

void sim_leave(struct sim *sim, uint32_t index)
{
	struct sim_node *gone = &sim->nodes[index];
	gone->here = false;
	sim->unfinished -= missing_games(sim, gone);
	while (gone->flows)
		flow_end(sim, gone->flows, false);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct sim_node *node = &sim->nodes[i];
		if (node->peers && node->peers[index]) {
			lsp_swarm_peer_remove(node->swarm, node->peers[index]);
			node->peers[index] = 0;
		}
		if (gone->peers[i]) {
			lsp_swarm_peer_remove(gone->swarm, gone->peers[i]);
			gone->peers[i] = 0;
		}
		for (struct sim_flow *flow = node->flows, *next; flow; flow = next) {
			next = flow->next;
			if (flow->to == index)
				flow_end(sim, flow, false);
		}
		sim_wake(sim, i);
	}
}

static void later(struct sim *sim, enum event_kind kind, uint32_t node, lsp_time at)
{
	sim_schedule(sim, (struct sim_event){.at = at, .kind = kind, .node = node});
}

void sim_join_at(struct sim *sim, uint32_t node, lsp_time at)
{
	later(sim, EVENT_JOIN, node, at);
}

void sim_leave_at(struct sim *sim, uint32_t node, lsp_time at)
{
	later(sim, EVENT_LEAVE, node, at);
}

void sim_stop_at(struct sim *sim, uint32_t node, lsp_time at, lsp_time again)
{
	later(sim, EVENT_STOP, node, at);
	later(sim, EVENT_GO_ON, node, again);
}

/* ---- The run --------------------------------------------------------------------------------- */

static void handle(struct sim *sim, struct sim_event *event)
{
	switch (event->kind) {
	case EVENT_RUN:
		if (sim->nodes[event->node].run_at == event->at)
			on_run(sim, event->node);
		break;
	case EVENT_UPLINK:
		on_uplink(sim, event->node);
		break;
	case EVENT_DELIVER:
		on_deliver(sim, event->flow, event->id);
		break;
	case EVENT_ACK:
		on_ack(sim, event->flow, event->id);
		break;
	case EVENT_VERIFIED:
		on_verified(sim, event);
		break;
	case EVENT_REQUEST:
		on_request(sim, event);
		break;
	case EVENT_CANCEL:
		on_cancel(sim, event);
		break;
	case EVENT_ANSWER:
		on_answer(sim, event);
		break;
	case EVENT_HAVES:
		on_haves(sim, event);
		break;
	case EVENT_JOIN:
		sim_join(sim, event->node);
		break;
	case EVENT_LEAVE:
		sim_leave(sim, event->node);
		break;
	case EVENT_STOP:
		sim->nodes[event->node].stopped = true;
		break;
	case EVENT_GO_ON:
		sim->nodes[event->node].stopped = false;
		sim_wake(sim, event->node);
		break;
	case EVENT_TRICKLE:
		sim_hostile_trickle(sim, event);
		break;
	case EVENT_FLOOD:
		sim_hostile_flood(sim, event->node);
		break;
	case EVENT_CLAIM:
		sim_hostile_claim_again(sim, event->node);
		break;
	}
}

static bool step(struct sim *sim, lsp_time limit)
{
	if (!sim->heap_size || sim->heap[0].at > limit)
		return false;
	struct sim_event event = sim_next_event(sim);
	sim->now = event.at;
	sim->events++;
	handle(sim, &event);
	return true;
}

bool sim_run(struct sim *sim, lsp_time limit)
{
	while (sim->unfinished && step(sim, limit))
		;
	return !sim->unfinished;
}

void sim_run_to(struct sim *sim, lsp_time until)
{
	while (step(sim, until))
		;
	sim->now = until;
}

double sim_last_done(const struct sim *sim, uint32_t game)
{
	lsp_time last = LSP_SECOND;
	for (uint32_t i = 0; i < sim->node_count; i++)
		if (sim->nodes[i].here && sim->nodes[i].done[game])
			last = LSP_MAX(last, sim->nodes[i].done[game]);
	return (double)(last - LSP_SECOND) / 1e9;
}

double sim_waste(const struct sim *sim)
{
	uint64_t received = 0, kept = 0;
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = &sim->nodes[i];
		received += node->swarm ? node->received : 0;
		kept += node->kept;
	}
	return received ? (double)(received - kept) / received : 0;
}
