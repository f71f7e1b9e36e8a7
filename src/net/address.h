/*
 * Network addresses as this folder passes them around: a struct sockaddr_storage that holds an
 * IPv4 or an IPv6 address with its port. Pure; from every thread; nothing here resolves a name.
 */
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* "[fe80::1%enp0s31f6]:47777" and a NUL. */
#define LSP_ADDRESS_TEXT_MAX 80

/* "192.0.2.1:47777", "[2001:db8::1]:47777", "[fe80::1%eth0]:47777"; "?" for what is neither. */
const char *lsp_address_format(
	const struct sockaddr_storage *address, char out[LSP_ADDRESS_TEXT_MAX]);
/* The same without brackets and port. */
const char *lsp_address_format_host(
	const struct sockaddr_storage *address, char out[LSP_ADDRESS_TEXT_MAX]);

/*
 * A numeric address: "192.0.2.1" or "fe80::1%eth0" (a zone is an interface's name or index).
 * -LSP_E_INVALID for anything else, names included.
 */
LSP_MUST_CHECK int lsp_address_parse(const char *host, uint16_t port,
	struct sockaddr_storage *ret_address, struct lsp_error *err);

uint16_t lsp_address_port(const struct sockaddr_storage *address);
void lsp_address_set_port(struct sockaddr_storage *address, uint16_t port);
/* sizeof of the family's own structure; 0 for another family. */
socklen_t lsp_address_size(const struct sockaddr_storage *address);

/* Family, address, port and (for link-local IPv6) zone. */
bool lsp_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
bool lsp_address_is_loopback(const struct sockaddr_storage *address);
bool lsp_address_is_link_local(const struct sockaddr_storage *address);
/* One host's unicast address: not the unspecified, no multicast, not the broadcast address. */
bool lsp_address_is_unicast(const struct sockaddr_storage *address);
/* ::ffff:192.0.2.1 becomes 192.0.2.1; everything else stays. */
void lsp_address_unmap(struct sockaddr_storage *address);
