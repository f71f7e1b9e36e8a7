#include "net/discovery.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "task/child.h"
#include "wire/json.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SIZE 4096

/* ---- One line ---- */

static int take_id(const json_t *object, struct lsp_hash *ret_id, struct lsp_error *err)
{
	const char *hex = NULL;
	int r = lsp_json_get_text(object, "id", 64, &hex, err);
	if (r == 0 && !hex)
		r = lsp_error_set(err, "net", LSP_E_PROTOCOL, "an \"id\" is missing");
	return r < 0 ? r : lsp_hash_from_hex(hex, ret_id, err);
}

static int take_address(
	const json_t *object, struct lsp_discovery_event *event, struct lsp_error *err)
{
	const char *address = NULL;
	uint64_t port = 0;
	int r = lsp_json_get_text(object, "address", LSP_ADDRESS_TEXT_MAX, &address, err);
	if (r == 0)
		r = lsp_json_get_u64(object, "port", 65535, &port, err);
	if (r == 0 && (!address || !port))
		r = lsp_error_set(
			err, "net", LSP_E_PROTOCOL, "an \"address\" or a \"port\" is missing");
	event->port = (uint16_t)port;
	return r < 0 ? r : lsp_address_parse(address, event->port, &event->address, err);
}

static int take_text(
	const json_t *object, const char *key, char *out, size_t size, struct lsp_error *err)
{
	const char *text = NULL;
	int r = lsp_json_get_text(object, key, 1024, &text, err);
	if (r == 0 && text)
		lsp_label_clean(text, strlen(text), out, size - 1);
	return r;
}

static int take_event(
	const json_t *object, struct lsp_discovery_event *event, struct lsp_error *err)
{
	const char *type = NULL;
	int r = lsp_json_get_text(object, "event", 32, &type, err);
	if (r < 0)
		return r;
	if (type && strcmp(type, "ready") == 0) {
		event->type = LSP_DISCOVERY_READY;
		return 0;
	}
	if (type && strcmp(type, "found") == 0) {
		event->type = LSP_DISCOVERY_FOUND;
		r = take_id(object, &event->id, err);
		if (r == 0)
			r = take_text(object, "name", event->name, sizeof event->name, err);
		return r < 0 ? r : take_address(object, event, err);
	}
	if (type && strcmp(type, "lost") == 0) {
		event->type = LSP_DISCOVERY_LOST;
		return take_id(object, &event->id, err);
	}
	if (type && strcmp(type, "resolved") == 0) {
		event->type = LSP_DISCOVERY_RESOLVED;
		r = take_text(object, "host", event->host, sizeof event->host, err);
		return r < 0 ? r : take_address(object, event, err);
	}
	if (type && strcmp(type, "error") == 0) {
		event->type = LSP_DISCOVERY_ERROR;
		return take_text(object, "message", event->message, sizeof event->message, err);
	}
	return lsp_error_set(err, "net", LSP_E_PROTOCOL, "no event that is known");
}

int lsp_discovery_parse(
	const char *line, size_t size, struct lsp_discovery_event *ret_event, struct lsp_error *err)
{
	_cleanup_json_ json_t *object = NULL;
	struct lsp_discovery_event event = {0};
	if (size > LINE_MAX_SIZE)
		return lsp_error_set(err, "net", LSP_E_PROTOCOL, "a line that is too long");
	int r = lsp_json_parse(line, size, &lsp_json_limits_peer, &object, err);
	if (r == 0 && !json_is_object(object))
		r = lsp_error_set(err, "net", LSP_E_PROTOCOL, "a line that is no object");
	if (r == 0)
		r = take_event(object, &event, err);
	if (r == 0)
		*ret_event = event;
	return r < 0 ? -LSP_E_PROTOCOL : 0;
}

/* ---- The child ---- */

struct run {
	const struct lsp_discovery_options *options;
	struct lsp_interfaces interfaces;
	lsp_time interfaces_read;
	lsp_time second; /* the one that is counted */
	unsigned found;
	bool flooded;
};

/* At most so many a second: a flood of fakes must not keep the loop busy. */
static bool may_pass(struct run *run, lsp_time now)
{
	if (now >= run->second + LSP_SECOND) {
		run->second = now;
		run->found = 0;
	}
	if (run->found++ < LSP_DISCOVERY_FOUND_PER_SECOND)
		return true;
	if (!run->flooded)
		lsp_log_warning("discovery", "the network is flooded with announcements: most are "
					     "passed over");
	run->flooded = true;
	return false;
}

/* What we announced ourselves, come back. Our id elsewhere is a clone's, or forged. */
static bool is_ours(const struct run *run, const struct lsp_discovery_event *event)
{
	if (!lsp_hash_equal(&event->id, &run->options->id))
		return false;
	for (size_t i = 0; i < run->interfaces.count; i++) {
		struct sockaddr_storage own = run->interfaces.items[i].address;
		lsp_address_set_port(&own, run->options->port);
		if (lsp_address_equal(&own, &event->address))
			return true;
	}
	return false;
}

static void take_found(struct run *run, const struct lsp_discovery_event *event)
{
	lsp_time now = lsp_now(lsp_clock_system);
	unsigned rank;
	char text[LSP_ADDRESS_TEXT_MAX];
	if (!may_pass(run, now))
		return;
	if (!run->interfaces.items || now > run->interfaces_read + 5 * LSP_SECOND) {
		lsp_interfaces_done(&run->interfaces);
		(void)!lsp_interfaces_read(run->options->interface, &run->interfaces, NULL);
		run->interfaces_read = now;
	}
	if (is_ours(run, event))
		return;
	if (lsp_interfaces_reach(&run->interfaces, &event->address, &rank))
		run->options->found(run->options->argument, &event->id, &event->address, rank);
	else
		lsp_log_debug("discovery", "%s is announced at %s, which is on no link of ours",
			event->name, lsp_address_format(&event->address, text));
}

static void take_line(struct run *run, const char *line)
{
	const struct lsp_discovery_options *o = run->options;
	struct lsp_discovery_event event;
	struct lsp_error err = {0};
	if (lsp_discovery_parse(line, strlen(line), &event, &err) < 0) {
		lsp_log_debug("discovery", "a line is passed over: %s", err.message);
		return;
	}
	switch (event.type) {
	case LSP_DISCOVERY_READY:
		lsp_log_debug("discovery", "announced as %s", o->name);
		break;
	case LSP_DISCOVERY_FOUND:
		take_found(run, &event);
		break;
	case LSP_DISCOVERY_LOST:
		o->lost(o->argument, &event.id);
		break;
	case LSP_DISCOVERY_RESOLVED:
		o->resolved(o->argument, event.host, event.port, &event.address);
		break;
	case LSP_DISCOVERY_ERROR:
		lsp_log_warning("discovery", "%s", event.message);
		break;
	}
}

static int start_child(const struct lsp_discovery_options *o, struct lsp_cancel *token,
	struct lsp_child **ret_child, struct lsp_error *err)
{
	char id[LSP_SHA256_HEX_SIZE], port[8];
	size_t hosts = 0, n = 0;
	while (o->hosts && o->hosts[hosts])
		hosts++;
	_cleanup_free_ const char **argv = calloc(hosts * 2 + 16, sizeof *argv);
	if (!argv)
		return lsp_error_no_memory(err, "net");
	lsp_hash_to_hex(&o->id, id);
	snprintf(port, sizeof port, "%u", o->port);
	argv[n++] = o->helper;
	argv[n++] = "--id";
	argv[n++] = id;
	argv[n++] = "--port";
	argv[n++] = port;
	argv[n++] = "--name";
	argv[n++] = o->name;
	if (o->interface) {
		argv[n++] = "--interface";
		argv[n++] = o->interface;
	}
	if (!o->announce)
		argv[n++] = "--quiet";
	for (size_t i = 0; i < hosts; i++) {
		argv[n++] = "--resolve";
		argv[n++] = o->hosts[i];
	}
	struct lsp_child_options options = {
		.argv = argv,
		.input = LSP_CHILD_PIPE,
		.output = LSP_CHILD_PIPE,
		.quiet = true, /* avahi complains of every link that goes down */
		.token = token,
	};
	return lsp_child_start(o->tasks, "discover child", &options, ret_child, err);
}

int lsp_discovery_run(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct run run = {.options = argument};
	_cleanup_child_ struct lsp_child *child = NULL;
	const char *line;
	int r = start_child(run.options, token, &child, err);
	while (r >= 0) {
		r = lsp_child_read_line(child, token, LSP_TIME_NEVER, &line, err);
		if (r <= 0)
			break;
		take_line(&run, line);
	}
	lsp_interfaces_done(&run.interfaces);
	if (child && lsp_cancel_requested(token)) {
		/* It says goodbye to the network, for which it has the grace time. */
		(void)!lsp_child_finish(child, NULL);
		return 0;
	}
	if (r < 0)
		return lsp_cancel_requested(token) ? 0 : r;
	r = lsp_child_finish(child, err);
	return r < 0 ? r
		     : lsp_error_set(
			       err, "net", LSP_E_FAILED, "lanspread-discover ended by itself");
}
