/*
 * The network interfaces of this machine, and which of them matter.
 *
 * A LAN party happens on a wire; a machine also has bridges, containers and VPNs that look like
 * networks. Interfaces are ranked: physical ones first, then bridges, then other virtual ones
 * (veth, tap), then tunnels and VPNs. All usable ones are used; the rank decides whose address is
 * tried first. Usable is what is up, can do multicast, is no loopback and has an address.
 *
 * Reading blocks for a moment (getifaddrs(3), /sys); from every thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct lsp_interface_address {
	char interface[IF_NAMESIZE];
	unsigned index;
	unsigned rank;                   /* lower is better */
	struct sockaddr_storage address; /* port 0; link-local ones with their zone */
	unsigned prefix;                 /* bits of the network */
};

struct lsp_interfaces {
	struct lsp_interface_address *items; /* best first */
	size_t count;
};

/* only: the one interface to look at, NULL: all. -LSP_E_NOT_FOUND when it is not there. */
LSP_MUST_CHECK int lsp_interfaces_read(
	const char *only, struct lsp_interfaces *ret_interfaces, struct lsp_error *err);
void lsp_interfaces_done(struct lsp_interfaces *interfaces);
#define _cleanup_interfaces_ _cleanup_(lsp_interfaces_done)

/* Same addresses on the same interfaces. */
bool lsp_interfaces_equal(const struct lsp_interfaces *a, const struct lsp_interfaces *b);

/*
 * Is this somebody on one of these links? What is announced elsewhere (loopback, a third party's
 * address, the internet) is not to be dialled. *ret_rank is its interface's.
 */
bool lsp_interfaces_reach(const struct lsp_interfaces *interfaces,
	const struct sockaddr_storage *address, unsigned *ret_rank);

/* The rank by what is known of an interface. Pure. */
unsigned lsp_interface_rank(const char *name, bool physical, bool bridge, bool point_to_point);
