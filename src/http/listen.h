/*
 * The listening socket: from "ADDRESS:PORT" to a descriptor and the names it goes by. Blocks on
 * nothing (addresses are literals; "localhost" is the one name). Any thread.
 */
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

union lsp_http_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

/*
 * "ADDRESS:PORT", "[ADDRESS]:PORT", "localhost:PORT", "PORT" (on 127.0.0.1); NULL is
 * 127.0.0.1:47777. Port 0 is any free one.
 */
LSP_MUST_CHECK int lsp_http_address_parse(
	const char *text, union lsp_http_address *ret_address, struct lsp_error *err);

/*
 * Binds and listens, non-blocking. If the port is taken: a free one where any_port is set, else an
 * error that says so. *address becomes what it really is.
 */
LSP_MUST_CHECK int lsp_http_listen(
	union lsp_http_address *address, bool any_port, int *ret_fd, struct lsp_error *err);

/* "127.0.0.1:47777", "[::1]:47777"; a wildcard address as the loopback one, which reaches it. */
void lsp_http_address_text(const union lsp_http_address *address, char *out, size_t size);
unsigned lsp_http_address_port(const union lsp_http_address *address);
