#include "net/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const struct sockaddr_in *v4(const struct sockaddr_storage *address)
{
	return (const struct sockaddr_in *)address;
}

static const struct sockaddr_in6 *v6(const struct sockaddr_storage *address)
{
	return (const struct sockaddr_in6 *)address;
}

const char *lsp_address_format_host(
	const struct sockaddr_storage *address, char out[LSP_ADDRESS_TEXT_MAX])
{
	char zone[IF_NAMESIZE];
	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4(address)->sin_addr, out, LSP_ADDRESS_TEXT_MAX);
		return out;
	}
	if (address->ss_family != AF_INET6) {
		snprintf(out, LSP_ADDRESS_TEXT_MAX, "?");
		return out;
	}
	inet_ntop(AF_INET6, &v6(address)->sin6_addr, out, LSP_ADDRESS_TEXT_MAX);
	uint32_t scope = v6(address)->sin6_scope_id;
	size_t used = strlen(out);
	if (!scope)
		return out;
	if (if_indextoname(scope, zone))
		snprintf(out + used, LSP_ADDRESS_TEXT_MAX - used, "%%%s", zone);
	else
		snprintf(out + used, LSP_ADDRESS_TEXT_MAX - used, "%%%u", scope);
	return out;
}

const char *lsp_address_format(
	const struct sockaddr_storage *address, char out[LSP_ADDRESS_TEXT_MAX])
{
	char host[LSP_ADDRESS_TEXT_MAX];
	lsp_address_format_host(address, host);
	if (address->ss_family == AF_INET6)
		snprintf(out, LSP_ADDRESS_TEXT_MAX, "[%.*s]:%u", LSP_ADDRESS_TEXT_MAX - 10, host,
			lsp_address_port(address));
	else if (address->ss_family == AF_INET)
		snprintf(out, LSP_ADDRESS_TEXT_MAX, "%.*s:%u", LSP_ADDRESS_TEXT_MAX - 8, host,
			lsp_address_port(address));
	else
		snprintf(out, LSP_ADDRESS_TEXT_MAX, "?");
	return out;
}

static bool parse_v6(const char *host, struct sockaddr_in6 *ret_address)
{
	char text[INET6_ADDRSTRLEN];
	const char *zone = strchr(host, '%');
	size_t length = zone ? (size_t)(zone - host) : strlen(host);
	if (length >= sizeof text)
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	if (inet_pton(AF_INET6, text, &ret_address->sin6_addr) != 1)
		return false;
	ret_address->sin6_family = AF_INET6;
	if (!zone)
		return true;
	uint64_t index;
	ret_address->sin6_scope_id = if_nametoindex(zone + 1);
	if (!ret_address->sin6_scope_id && lsp_text_to_u64(zone + 1, &index, NULL) == 0 &&
		index <= UINT32_MAX)
		ret_address->sin6_scope_id = (uint32_t)index;
	return ret_address->sin6_scope_id != 0;
}

int lsp_address_parse(const char *host, uint16_t port, struct sockaddr_storage *ret_address,
	struct lsp_error *err)
{
	struct sockaddr_storage address = {0};
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&address)->sin_addr) == 1)
		address.ss_family = AF_INET;
	else if (!parse_v6(host, (struct sockaddr_in6 *)&address))
		return lsp_error_set(
			err, "net", LSP_E_INVALID, "'%.80s' is no IPv4 or IPv6 address", host);
	lsp_address_set_port(&address, port);
	*ret_address = address;
	return 0;
}

uint16_t lsp_address_port(const struct sockaddr_storage *address)
{
	return ntohs(
		address->ss_family == AF_INET6 ? v6(address)->sin6_port : v4(address)->sin_port);
}

void lsp_address_set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)address)->sin_port = htons(port);
}

socklen_t lsp_address_size(const struct sockaddr_storage *address)
{
	switch (address->ss_family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	default:
		return 0;
	}
}

bool lsp_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return v4(a)->sin_port == v4(b)->sin_port &&
		       v4(a)->sin_addr.s_addr == v4(b)->sin_addr.s_addr;
	return a->ss_family == AF_INET6 && v6(a)->sin6_port == v6(b)->sin6_port &&
	       v6(a)->sin6_scope_id == v6(b)->sin6_scope_id &&
	       memcmp(&v6(a)->sin6_addr, &v6(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool lsp_address_is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return (ntohl(v4(address)->sin_addr.s_addr) >> 24) == 127;
	if (address->ss_family != AF_INET6)
		return false;
	const struct in6_addr *in6 = &v6(address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

bool lsp_address_is_link_local(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return (ntohl(v4(address)->sin_addr.s_addr) >> 16) == 0xa9fe;
	return address->ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6(address)->sin6_addr);
}

bool lsp_address_is_unicast(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		uint32_t host = ntohl(v4(address)->sin_addr.s_addr);
		return (host >> 24) != 0 && (host >> 28) < 0xe;
	}
	return address->ss_family == AF_INET6 &&
	       !IN6_IS_ADDR_UNSPECIFIED(&v6(address)->sin6_addr) &&
	       !IN6_IS_ADDR_MULTICAST(&v6(address)->sin6_addr);
}

void lsp_address_unmap(struct sockaddr_storage *address)
{
	if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6(address)->sin6_addr))
		return;
	struct sockaddr_in plain = {.sin_family = AF_INET, .sin_port = v6(address)->sin6_port};
	memcpy(&plain.sin_addr, &v6(address)->sin6_addr.s6_addr[12], 4);
	memset(address, 0, sizeof *address);
	memcpy(address, &plain, sizeof plain);
}
