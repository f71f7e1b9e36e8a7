/*
 * Who may talk to the page.
 *
 * The server runs on the person's own machine, next to a browser that also shows strangers' pages.
 * Those can send requests here, and by DNS rebinding they can even make them look like ours; other
 * users of the machine can connect too. Hence, for every request:
 *
 *   Host     must be one of our names. A rebound name is a foreign one: 403.
 *   Origin   if there is one, must be that Host; and so must Sec-Fetch-Site say: 403.
 *   Token    256 random bits from the start link, then in a cookie (HttpOnly, SameSite=Strict; its
 *            name carries the port, since cookies do not keep ports apart), or as a bearer token
 *            for programs: 401.
 *   Body     of a request that changes something is JSON, which no form can send: 403 for what a
 *            form can, 415 for other types.
 *
 * Pure functions; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

#define LSP_HTTP_TOKEN_HEX_SIZE 65 /* 64 hexadecimal digits and a NUL */

/* Where a server listens, as far as names are concerned. */
struct lsp_http_names {
	bool loopback;         /* it is bound to loopback */
	const char *host_name; /* the machine's, for a server on other addresses; may be NULL */
};

/* Whether `host` (a Host header; NULL: absent) names this server. Any port is allowed: a tunnel. */
bool lsp_http_host_is_ours(const struct lsp_http_names *names, const char *host);

/* Whether `origin` (NULL: absent, fine) is a page served under `host`. */
bool lsp_http_origin_is_ours(const char *origin, const char *host);
/* The same of Sec-Fetch-Site: absent, same-origin and none (typed by the person) are fine. */
bool lsp_http_fetch_site_is_ours(const char *site);

/* In constant time. given may be NULL. */
bool lsp_http_token_matches(const char *token, const char *given);

enum lsp_http_content { LSP_HTTP_JSON, LSP_HTTP_FORM, LSP_HTTP_OTHER_CONTENT };
/* What a Content-Type says; NULL and the three types that a form can send are FORM. */
enum lsp_http_content lsp_http_content_kind(const char *type);

bool lsp_http_address_is_loopback(const struct sockaddr *address);
