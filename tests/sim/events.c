/* The heap of events: by time, then in the order they were made. */
#include "events.h"
#include "sim.h"

#include <stdlib.h>

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

void sim_schedule(struct sim *sim, struct sim_event event)
{
	if (sim->heap_size == sim->heap_capacity) {
		sim->heap_capacity = sim->heap_capacity ? sim->heap_capacity * 2 : 1024;
		sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof(*sim->heap));
		sim_assert(sim->heap != NULL, "no memory");
	}
	event.sequence = sim->sequence++;
	size_t at = sim->heap_size++;
	for (; at && before(&event, &sim->heap[(at - 1) / 2]); at = (at - 1) / 2)
		sim->heap[at] = sim->heap[(at - 1) / 2];
	sim->heap[at] = event;
}

struct sim_event sim_next_event(struct sim *sim)
{
	struct sim_event first = sim->heap[0], last = sim->heap[--sim->heap_size];
	size_t at = 0;
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= sim->heap_size)
			break;
		if (child + 1 < sim->heap_size && before(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!before(&sim->heap[child], &last))
			break;
		sim->heap[at] = sim->heap[child];
		at = child;
	}
	sim->heap[at] = last;
	return first;
}
