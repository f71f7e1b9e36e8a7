/*
 * Discovery as a service of the runtime: runs net/discovery.h in its task and brings what it finds
 * to the core loop.
 */
#include "net/discovery.h"

#include "base/text.h"
#include "peer/runtime_private.h"

#include <stdlib.h>
#include <string.h>

/* One thing that was found; its finder waits until the loop has it, so that a flood waits too. */
struct finding {
	struct lsp_peer *peer;
	enum lsp_discovery_event_type type;
	struct lsp_hash id;
	struct sockaddr_storage address;
	unsigned rank;
	uint16_t port;
	char host[256];
};

static int arrive(void *argument, struct lsp_error *err)
{
	const struct finding *finding = argument;
	struct lsp_connect *connect = finding->peer->connect;
	if (!finding->peer->stopping) {
		if (finding->type == LSP_DISCOVERY_FOUND)
			lsp_connect_found(connect, &finding->id, &finding->address, finding->rank);
		else if (finding->type == LSP_DISCOVERY_LOST)
			lsp_connect_lost(connect, &finding->id);
		else
			lsp_connect_resolved(
				connect, finding->host, finding->port, &finding->address);
	}
	return 0;
}

static void bring(struct lsp_peer *peer, struct finding *finding)
{
	finding->peer = peer;
	(void)!lsp_loop_call(peer->core, arrive, finding, peer->root, LSP_TIME_NEVER, NULL);
}

static void found(void *argument, const struct lsp_hash *id, const struct sockaddr_storage *address,
	unsigned rank)
{
	bring(argument,
		&(struct finding){
			.type = LSP_DISCOVERY_FOUND, .id = *id, .address = *address, .rank = rank});
}

static void lost(void *argument, const struct lsp_hash *id)
{
	bring(argument, &(struct finding){.type = LSP_DISCOVERY_LOST, .id = *id});
}

static void resolved(
	void *argument, const char *host, uint16_t port, const struct sockaddr_storage *address)
{
	struct finding finding = {
		.type = LSP_DISCOVERY_RESOLVED, .port = port, .address = *address};
	snprintf(finding.host, sizeof finding.host, "%s", host);
	bring(argument, &finding);
}

/* Hosts that were given by name, as the child wants them. */
static int list_hosts(struct lsp_runtime *runtime, struct lsp_error *err)
{
	uint16_t port;
	size_t count = 0;
	while (lsp_connect_unresolved(runtime->peer.connect, count, &port))
		count++;
	runtime->hosts = calloc(count + 1, sizeof *runtime->hosts);
	for (size_t i = 0; runtime->hosts && i < count; i++) {
		const char *host = lsp_connect_unresolved(runtime->peer.connect, i, &port);
		runtime->hosts[i] = lsp_text_format("%s %u", host, port);
		if (!runtime->hosts[i])
			return lsp_error_no_memory(err, "peer");
	}
	return runtime->hosts ? 0 : lsp_error_no_memory(err, "peer");
}

int lsp_runtime_start_discovery(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	static const struct lsp_policy restart = {
		.kind = LSP_POLICY_RESTART, .delay = 5 * LSP_SECOND};
	struct lsp_peer *peer = &runtime->peer;
	int r = list_hosts(runtime, err);
	if (r < 0)
		return r;
	if (!runtime->discovery && !runtime->hosts[0])
		return 0;
	/* peer->name changes with the setting; each Hello bears that one. */
	memcpy(runtime->discovery_name, peer->name, sizeof runtime->discovery_name);
	runtime->discovery_options = (struct lsp_discovery_options){
		.tasks = peer->tasks,
		.helper = runtime->discover_helper,
		.id = peer->id,
		.name = runtime->discovery_name,
		.port = lsp_connect_port(peer->connect),
		.interface = runtime->interface,
		.announce = runtime->discovery,
		.hosts = (const char *const *)runtime->hosts,
		.found = found,
		.lost = lost,
		.resolved = resolved,
		.argument = peer,
	};
	return lsp_supervisor_run(runtime->supervisor, "discovery", &restart, lsp_discovery_run,
		&runtime->discovery_options, err);
}
