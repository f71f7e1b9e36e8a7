/*
 * Connecting: the endpoint, the dialer and discovery, put together.
 *
 * connect.c runs the QUIC endpoint as the service "quic", drives the dialer with what discovery and
 * the user know, and turns handshakes into sessions. It also keeps what is known of peers by hand:
 * --peer addresses, resolved by the discovery child so that a slow resolver blocks nothing.
 *
 * On the core loop.
 */
#pragma once

#include "base/sha256.h"
#include "net/endpoint.h"

struct lsp_connect;
struct lsp_peer;
struct lsp_session;
struct lsp_supervisor;

struct lsp_connect_options {
	struct lsp_identity *identity;
	const char *listen;       /* "[ADDRESS:]PORT"; NULL: 47777, a free port if taken */
	const char *interface;    /* NULL: all */
	const char *const *peers; /* --peer, NULL-terminated; NULL: none */
};

LSP_MUST_CHECK int lsp_connect_new(struct lsp_peer *peer, const struct lsp_connect_options *options,
	struct lsp_connect **ret_connect, struct lsp_error *err);
void lsp_connect_free(struct lsp_connect *connect);

/* The service: binds the sockets and starts to take and make connections. */
LSP_MUST_CHECK int lsp_connect_start(
	struct lsp_connect *connect, struct lsp_supervisor *supervisor, struct lsp_error *err);
/* Goodbye to all; nothing new. */
void lsp_connect_goodbye(struct lsp_connect *connect, const char *why);
/* Takes the endpoint down; `done` comes when its handles are closed. */
void lsp_connect_stop(struct lsp_connect *connect, void (*done)(void *argument), void *argument);
/* For tests: the endpoint fails. */
void lsp_connect_fail(struct lsp_connect *connect, const char *why);

struct lsp_endpoint *lsp_connect_endpoint(const struct lsp_connect *connect); /* NULL: stopped */
/* The one address that it listens on; NULL: all. */
const struct sockaddr_storage *lsp_connect_listen(const struct lsp_connect *connect);
/* The one interface that it uses; NULL: all. */
const char *lsp_connect_interface(const struct lsp_connect *connect);
uint16_t lsp_connect_port(const struct lsp_connect *connect);
bool lsp_connect_port_was_taken(const struct lsp_connect *connect);

/* From discovery, posted to the loop. */
void lsp_connect_found(struct lsp_connect *connect, const struct lsp_hash *id,
	const struct sockaddr_storage *address, unsigned rank);
void lsp_connect_lost(struct lsp_connect *connect, const struct lsp_hash *id);
/* A --peer host was resolved. */
void lsp_connect_resolved(struct lsp_connect *connect, const char *host, uint16_t port,
	const struct sockaddr_storage *address);
/* The --peer hosts that are names: "host" and port of each, from i = 0 until NULL. */
const char *lsp_connect_unresolved(
	const struct lsp_connect *connect, size_t index, uint16_t *ret_port);

/* From sessions. */
void lsp_connect_session_up(struct lsp_connect *connect, struct lsp_session *session);
void lsp_connect_session_down(struct lsp_connect *connect, struct lsp_session *session,
	enum lsp_close_reason reason, bool was_up);
/* Another address of a peer than a link-local one; false: none is known. */
bool lsp_connect_global_address(const struct lsp_connect *connect, const struct lsp_hash *id,
	struct sockaddr_storage *ret_address);
/*
 * The user removed a peer: its connection ends and nothing of it is kept but an address that the
 * user gave, where whoever answers is trusted anew. True: it was known.
 */
bool lsp_connect_forget(struct lsp_connect *connect, const struct lsp_hash *id);
/* The ids of those whom we dial, by index from 0 on; NULL after the last. */
const struct lsp_hash *lsp_connect_known(const struct lsp_connect *connect, size_t index);
