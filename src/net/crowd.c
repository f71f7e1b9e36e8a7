/*
 * Who gives way when a table is full. Were it first come, first served, one machine with many keys
 * would keep everybody else out for as long as it likes. So room is taken from the address that
 * takes up the most of it, for a newcomer whose address takes up less; addresses are proven here,
 * by a Retry or by the handshake. A machine alone at its address, as on any LAN, always gets in.
 *
 * What has to look at every connection happens only when a table is full.
 */
#include "net/endpoint_private.h"

#include <string.h>

#define SLOTS 2048 /* for addresses: more than there can be connections */

/* How many are at each address, of which a keyed hash is kept. */
struct tally {
	uint64_t prints[SLOTS];
	uint16_t counts[SLOTS];
};

static uint16_t *count_of(struct tally *tally, const struct lsp_endpoint *endpoint,
	const struct sockaddr_storage *address)
{
	const uint64_t *key = endpoint->cids.key;
	uint64_t words[2] = {0};
	if (address->ss_family == AF_INET)
		memcpy(words, &((const struct sockaddr_in *)address)->sin_addr, 4);
	else
		memcpy(words, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	unsigned __int128 product =
		(unsigned __int128)(words[0] ^ key[0]) * (words[1] ^ key[1] ^ 1);
	uint64_t print = (uint64_t)product ^ (uint64_t)(product >> 64);
	size_t at = print % SLOTS;
	for (int i = 0; i < SLOTS && tally->counts[at] && tally->prints[at] != print; i++)
		at = (at + 1) % SLOTS;
	tally->prints[at] = print;
	return &tally->counts[at];
}

static bool counts(const struct lsp_connection *connection, enum lsp_connection_state state)
{
	return connection->state == state && (state == LSP_CONNECTION_UP || !connection->outgoing);
}

struct lsp_connection *lsp_endpoint_crowded(struct lsp_endpoint *endpoint,
	const struct sockaddr_storage *newcomer, enum lsp_connection_state state)
{
	struct tally tally = {0};
	struct lsp_connection *connection, *found = NULL;
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		if (counts(connection, state))
			++*count_of(&tally, endpoint, &connection->remote);
	}
	unsigned most = *count_of(&tally, endpoint, newcomer) + 1u;
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		if (!counts(connection, state) || connection->outgoing)
			continue;
		unsigned count = *count_of(&tally, endpoint, &connection->remote);
		/* Of handshakes the oldest goes, which is stuck; else the youngest. */
		bool later = state == LSP_CONNECTION_UP && found && count == most;
		if (count > most || later)
			found = connection;
		most = LSP_MAX(most, count);
	}
	return found;
}

bool lsp_endpoint_make_room(struct lsp_endpoint *endpoint, const struct sockaddr_storage *newcomer,
	enum lsp_connection_state state)
{
	struct lsp_connection *connection = lsp_endpoint_crowded(endpoint, newcomer, state);
	if (connection)
		lsp_connection_end(connection, LSP_CLOSE_BUSY, false,
			"there are many connections from your address, and no room for others");
	return connection != NULL;
}
