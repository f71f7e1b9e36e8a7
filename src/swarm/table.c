#include "swarm/internal.h"

#include <stdlib.h>

int table_add(struct table *table, void *item, lsp_swarm_id *ret_id, struct lsp_error *err)
{
	if (!table->free_head) {
		if (table->size == table->capacity) {
			uint32_t capacity = table->capacity ? table->capacity * 2 : 16;
			struct slot *slots = realloc(table->slots, capacity * sizeof(*slots));
			if (!slots)
				return lsp_error_no_memory(err, "swarm");
			table->slots = slots;
			table->capacity = capacity;
		}
		table->slots[table->size++] = (struct slot){0};
		table->free_head = table->size;
	}
	uint32_t index = table->free_head - 1;
	struct slot *slot = &table->slots[index];
	table->free_head = slot->next_free;
	slot->item = item;
	slot->generation++;
	*ret_id = (uint64_t)slot->generation << 32 | (index + 1);
	return 0;
}

static struct slot *find(const struct table *table, lsp_swarm_id id)
{
	uint32_t number = (uint32_t)id;
	if (!number || number > table->size)
		return NULL;
	struct slot *slot = &table->slots[number - 1];
	return slot->item && slot->generation == id >> 32 ? slot : NULL;
}

void *table_get(const struct table *table, lsp_swarm_id id)
{
	struct slot *slot = find(table, id);
	return slot ? slot->item : NULL;
}

void table_remove(struct table *table, lsp_swarm_id id)
{
	struct slot *slot = find(table, id);
	if (!slot)
		return;
	slot->item = NULL;
	/* A slot whose generations ran out rests for good. */
	if (slot->generation == UINT32_MAX)
		return;
	slot->next_free = table->free_head;
	table->free_head = (uint32_t)id;
}

void table_done(struct table *table)
{
	free(table->slots);
	*table = (struct table){0};
}

void link_init(struct link *list)
{
	list->next = list->previous = list;
}

void link_append(struct link *list, struct link *link)
{
	link->previous = list->previous;
	link->next = list;
	list->previous->next = link;
	list->previous = link;
}

void link_remove(struct link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = link;
}
