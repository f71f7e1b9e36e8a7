#include "peer/torrent_port.h"

#include "net/address.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const json_t *entry, struct sockaddr_storage *ret_address)
{
	const char *text = json_string_value(entry), *colon = text ? strrchr(text, ':') : NULL;
	char host[LSP_ADDRESS_TEXT_MAX];
	if (!colon)
		return false;
	unsigned long port = strtoul(colon + 1, NULL, 10);
	bool brackets = text[0] == '[' && colon - text > 2 && colon[-1] == ']';
	int size = (int)(colon - text) - (brackets ? 2 : 0);
	if (port == 0 || port > UINT16_MAX || size >= (int)sizeof host)
		return false;
	snprintf(host, sizeof host, "%.*s", size, text + brackets);
	return lsp_address_parse(host, (uint16_t)port, ret_address, NULL) == 0;
}

static bool is_unspecified(const struct sockaddr_storage *address)
{
	return !lsp_address_is_unicast(address) && !lsp_address_is_loopback(address);
}

/* Does who is at `peer` find us at `address`? */
static bool is_for(const struct sockaddr_storage *address, const struct sockaddr_storage *peer)
{
	if (lsp_address_is_link_local(peer))
		return !lsp_address_is_link_local(address) && !lsp_address_is_loopback(address);
	return address->ss_family == peer->ss_family &&
	       (is_unspecified(address) ||
		       lsp_address_is_loopback(address) == lsp_address_is_loopback(peer));
}

uint16_t lsp_torrent_port_for(const json_t *listen, const struct sockaddr_storage *peer)
{
	const json_t *entry;
	size_t index;
	json_array_foreach (listen, index, entry) {
		struct sockaddr_storage address;
		if (parse(entry, &address) && is_for(&address, peer))
			return lsp_address_port(&address);
	}
	return 0;
}

uint16_t lsp_torrent_port_shown(const json_t *listen)
{
	uint16_t first = 0;
	const json_t *entry;
	size_t index;
	json_array_foreach (listen, index, entry) {
		struct sockaddr_storage address;
		if (!parse(entry, &address))
			continue;
		if (!lsp_address_is_loopback(&address))
			return lsp_address_port(&address);
		if (!first)
			first = lsp_address_port(&address);
	}
	return first;
}
