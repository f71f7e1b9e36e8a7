#include "http/security.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* Cuts the port off; "[::1]:80" gives "::1". False for what no Host header is. */
static bool host_part(const char *host, char *out, size_t size)
{
	size_t length;
	const char *rest;
	if (host[0] == '[') {
		host++;
		length = strcspn(host, "]");
		if (host[length] != ']')
			return false;
		rest = host + length + 1;
	} else {
		length = strcspn(host, ":");
		rest = host + length;
	}
	if (length == 0 || length >= size)
		return false;
	if (*rest && (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1)))
		return false;
	memcpy(out, host, length);
	out[length] = '\0';
	return true;
}

static bool parse_literal(const char *text, bool *ret_loopback)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		*ret_loopback = lsp_http_address_is_loopback((struct sockaddr *)&v4);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		*ret_loopback = lsp_http_address_is_loopback((struct sockaddr *)&v6);
	else
		return false;
	return true;
}

/* The machine's name, alone or with ".local" or another domain's first label equal to it. */
static bool is_machine_name(const char *name, const char *host_name)
{
	if (!host_name || !host_name[0])
		return false;
	size_t length = strcspn(host_name, ".");
	if (strcasecmp(name, host_name) == 0)
		return true;
	return strncasecmp(name, host_name, length) == 0 &&
	       (!name[length] || strcasecmp(name + length, ".local") == 0);
}

bool lsp_http_host_is_ours(const struct lsp_http_names *names, const char *host)
{
	char name[256];
	bool loopback;
	if (!host || !host_part(host, name, sizeof name))
		return false;
	if (strcasecmp(name, "localhost") == 0)
		return true;
	/* A rebinding attack needs a name of its own: an address cannot be rebound. */
	if (parse_literal(name, &loopback))
		return loopback || !names->loopback;
	return !names->loopback && is_machine_name(name, names->host_name);
}

bool lsp_http_origin_is_ours(const char *origin, const char *host)
{
	static const char scheme[] = "http://";
	if (!origin)
		return true;
	return host && strncasecmp(origin, scheme, sizeof scheme - 1) == 0 &&
	       strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

bool lsp_http_fetch_site_is_ours(const char *site)
{
	return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

bool lsp_http_token_matches(const char *token, const char *given)
{
	size_t length = strlen(token);
	if (!given || strlen(given) != length)
		return false;
	unsigned char difference = 0;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(token[i] ^ given[i]);
	return difference == 0;
}

enum lsp_http_content lsp_http_content_kind(const char *type)
{
	static const char *const forms[] = {
		"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"};
	if (!type)
		return LSP_HTTP_FORM;
	size_t length = strcspn(type, "; \t");
	if (length == 16 && strncasecmp(type, "application/json", length) == 0)
		return LSP_HTTP_JSON;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strlen(forms[i]) == length && strncasecmp(type, forms[i], length) == 0)
			return LSP_HTTP_FORM;
	}
	return LSP_HTTP_OTHER_CONTENT;
}

bool lsp_http_address_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		return IN6_IS_ADDR_LOOPBACK(v6) ||
		       (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
	}
	return false;
}
