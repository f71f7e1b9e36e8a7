#include "net/interface.h"

#include "base/text.h"
#include "net/address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned lsp_interface_rank(const char *name, bool physical, bool bridge, bool point_to_point)
{
	static const char *const tunnels[] = {"tun", "wg", "ppp", "tailscale", "zt", "utun", "vpn"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(tunnels); i++) {
		if (lsp_text_starts_with(name, tunnels[i]))
			return 30;
	}
	if (point_to_point)
		return 30;
	if (physical)
		return 0;
	return bridge ? 10 : 20;
}

static bool sys_has(const char *name, const char *what)
{
	char path[128];
	snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, what);
	return access(path, F_OK) == 0;
}

static unsigned count_bits(const uint8_t *mask, size_t size)
{
	unsigned bits = 0;
	for (size_t i = 0; i < size; i++)
		bits += (unsigned)__builtin_popcount(mask[i]);
	return bits;
}

static bool fill(const struct ifaddrs *entry, struct lsp_interface_address *ret_item)
{
	struct lsp_interface_address item = {0};
	const unsigned usable = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
	if (!entry->ifa_addr || !entry->ifa_netmask || (entry->ifa_flags & usable) != usable ||
		entry->ifa_flags & IFF_LOOPBACK)
		return false;
	if (entry->ifa_addr->sa_family == AF_INET) {
		memcpy(&item.address, entry->ifa_addr, sizeof(struct sockaddr_in));
		const struct sockaddr_in *mask = (const void *)entry->ifa_netmask;
		item.prefix = count_bits((const uint8_t *)&mask->sin_addr, 4);
	} else if (entry->ifa_addr->sa_family == AF_INET6) {
		memcpy(&item.address, entry->ifa_addr, sizeof(struct sockaddr_in6));
		const struct sockaddr_in6 *mask = (const void *)entry->ifa_netmask;
		item.prefix = count_bits((const uint8_t *)&mask->sin6_addr, 16);
	} else {
		return false;
	}
	snprintf(item.interface, sizeof item.interface, "%s", entry->ifa_name);
	item.index = if_nametoindex(entry->ifa_name);
	item.rank = lsp_interface_rank(entry->ifa_name, sys_has(entry->ifa_name, "device"),
		sys_has(entry->ifa_name, "bridge"), entry->ifa_flags & IFF_POINTOPOINT);
	*ret_item = item;
	return item.index != 0;
}

/* By rank; of one interface IPv4 first, since every switch of a party can do that. */
static int compare(const void *left, const void *right)
{
	const struct lsp_interface_address *a = left, *b = right;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return (int)a->address.ss_family - (int)b->address.ss_family;
}

int lsp_interfaces_read(
	const char *only, struct lsp_interfaces *ret_interfaces, struct lsp_error *err)
{
	struct ifaddrs *list;
	size_t room = 0, count = 0;
	if (only && !if_nametoindex(only))
		return lsp_error_set(err, "net", LSP_E_NOT_FOUND,
			"there is no network interface \"%s\"; `ip link` lists them", only);
	if (getifaddrs(&list) < 0)
		return lsp_error_errno(err, "net", errno, "cannot list the network interfaces");
	for (struct ifaddrs *entry = list; entry; entry = entry->ifa_next)
		room++;
	struct lsp_interface_address *items = calloc(room + 1, sizeof *items);
	for (struct ifaddrs *entry = list; items && entry; entry = entry->ifa_next) {
		if (!only || strcmp(entry->ifa_name, only) == 0)
			count += fill(entry, &items[count]);
	}
	freeifaddrs(list);
	if (!items)
		return lsp_error_no_memory(err, "net");
	qsort(items, count, sizeof *items, compare);
	*ret_interfaces = (struct lsp_interfaces){items, count};
	return 0;
}

void lsp_interfaces_done(struct lsp_interfaces *interfaces)
{
	free(interfaces->items);
	*interfaces = (struct lsp_interfaces){0};
}

bool lsp_interfaces_equal(const struct lsp_interfaces *a, const struct lsp_interfaces *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->items[i].index != b->items[i].index ||
			!lsp_address_equal(&a->items[i].address, &b->items[i].address))
			return false;
	}
	return true;
}

static bool same_network(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool reaches(
	const struct lsp_interface_address *item, const struct sockaddr_storage *address)
{
	if (item->address.ss_family != address->ss_family)
		return false;
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)&item->address,
					 *b = (const void *)address;
		return same_network(
			(const uint8_t *)&a->sin_addr, (const uint8_t *)&b->sin_addr, item->prefix);
	}
	const struct sockaddr_in6 *a = (const void *)&item->address, *b = (const void *)address;
	if (lsp_address_is_link_local(address))
		return b->sin6_scope_id == item->index;
	return !lsp_address_is_link_local(&item->address) &&
	       same_network((const uint8_t *)&a->sin6_addr, (const uint8_t *)&b->sin6_addr,
		       item->prefix);
}

bool lsp_interfaces_reach(const struct lsp_interfaces *interfaces,
	const struct sockaddr_storage *address, unsigned *ret_rank)
{
	if (!lsp_address_is_unicast(address) || lsp_address_is_loopback(address))
		return false;
	for (size_t i = 0; i < interfaces->count; i++) {
		if (reaches(&interfaces->items[i], address)) {
			*ret_rank =
				interfaces->items[i].rank + (address->ss_family == AF_INET ? 0 : 5);
			return true;
		}
	}
	return false;
}
