/*
 * Discovery: who else is on this LAN, by multicast DNS (RFC 6762, RFC 6763).
 *
 * The multicast part runs in a child process, `lanspread-discover`, since a forged answer can abort
 * the library that it uses: then this service fails, and whoever supervises it starts it again.
 * What comes out of the child is one JSON object a line, and is not believed: ids, ports and
 * addresses are checked, an address that is on none of our links is dropped, and there are limits
 * on how much one moment may bring.
 *
 *     {"event":"ready"}
 *     {"event":"found","id":"<64 hex>","name":"…","address":"192.0.2.7","port":47777}
 *     {"event":"lost","id":"<64 hex>"}
 *     {"event":"resolved","host":"…","port":47777,"address":"192.0.2.7"}
 *     {"event":"error","message":"…"}
 *
 * lsp_discovery_run blocks in its own task until its token is cancelled (at once) or the child ends
 * (an error). The callbacks come in that task.
 */
#pragma once

#include "base/sha256.h"
#include "net/interface.h"
#include "task/cancel.h"

#include <stdint.h>
#include <sys/socket.h>

struct lsp_tasks;

#define LSP_DISCOVERY_SERVICE "_lanspread._udp"
#define LSP_DISCOVERY_FOUND_PER_SECOND 200 /* more are dropped: somebody floods */

enum lsp_discovery_event_type {
	LSP_DISCOVERY_READY,
	LSP_DISCOVERY_FOUND,
	LSP_DISCOVERY_LOST,
	LSP_DISCOVERY_RESOLVED,
	LSP_DISCOVERY_ERROR,
};

struct lsp_discovery_event {
	enum lsp_discovery_event_type type;
	struct lsp_hash id;
	char name[64];
	char host[256];
	uint16_t port;
	struct sockaddr_storage address;
	char message[256];
};

/* One line of the child's. -LSP_E_PROTOCOL for one that breaks a rule; nothing is filled in then.
 */
LSP_MUST_CHECK int lsp_discovery_parse(const char *line, size_t size,
	struct lsp_discovery_event *ret_event, struct lsp_error *err);

struct lsp_discovery_options {
	struct lsp_tasks *tasks;
	const char *helper; /* path of lanspread-discover */
	struct lsp_hash id; /* our peer id */
	const char *name;
	uint16_t port;
	const char *interface; /* NULL: all usable ones */
	bool announce;         /* false: only resolve the hosts */
	const char *const
		*hosts; /* "HOST PORT" each, to be resolved; NULL-terminated; NULL: none */
	void (*found)(void *argument, const struct lsp_hash *id,
		const struct sockaddr_storage *address, unsigned rank);
	void (*lost)(void *argument, const struct lsp_hash *id);
	void (*resolved)(void *argument, const char *host, uint16_t port,
		const struct sockaddr_storage *address);
	void *argument;
};

/* A task function: argument is a struct lsp_discovery_options, which stays. */
LSP_MUST_CHECK int lsp_discovery_run(
	struct lsp_cancel *token, void *argument, struct lsp_error *err);
