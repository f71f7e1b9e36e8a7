/*
 * GET /metrics: counters in Prometheus' text format (version 0.0.4), made from the peer's status.
 */
#include "http/internal.h"

#include <stdio.h>
#include <string.h>

struct page {
	struct lsp_buffer text;
	int failed;
};

#define line(page, ...)                                                                            \
	do {                                                                                       \
		if (!(page)->failed)                                                               \
			(page)->failed = lsp_buffer_printf(&(page)->text, NULL, __VA_ARGS__);      \
	} while (0)

static void describe(struct page *page, const char *name, const char *type, const char *help)
{
	line(page, "# HELP lanspread_%s %s\n# TYPE lanspread_%s %s\n", name, help, name, type);
}

static void number(struct page *page, const char *name, const char *type, const char *help,
	const json_t *value)
{
	if (!json_is_number(value) && !json_is_boolean(value))
		return;
	describe(page, name, type, help);
	line(page, "lanspread_%s %.0f\n", name, json_is_true(value) ? 1 : json_number_value(value));
}

/* A label's value: backslash, quote and line break are escaped, nothing else needs to be. */
static void label(struct page *page, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			line(page, "\\%c", *text);
		else if (*text == '\n')
			line(page, "\\n");
		else
			line(page, "%c", *text);
	}
}

static void service_lines(struct page *page, json_t *services)
{
	size_t index;
	json_t *service;
	describe(page, "service_up", "gauge", "Whether a service runs.");
	json_array_foreach (services, index, service) {
		const char *name = json_string_value(json_object_get(service, "name"));
		const char *state = json_string_value(json_object_get(service, "state"));
		line(page, "lanspread_service_up{service=\"");
		label(page, name ? name : "");
		line(page, "\"} %d\n", state && strcmp(state, "running") == 0);
	}
	describe(page, "service_restarts_total", "counter", "How often a service was restarted.");
	json_array_foreach (services, index, service) {
		const char *name = json_string_value(json_object_get(service, "name"));
		line(page, "lanspread_service_restarts_total{service=\"");
		label(page, name ? name : "");
		line(page, "\"} %.0f\n", json_number_value(json_object_get(service, "restarts")));
	}
}

static void operation_lines(struct page *page, json_t *operations)
{
	static const char *const kinds[] = {"hashing", "downloading", "installing", "updating",
		"uninstalling", "removing", "verifying", "adding"};
	describe(page, "operations", "gauge", "Operations that run now.");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(kinds); i++) {
		size_t count = 0, index;
		json_t *operation;
		json_array_foreach (operations, index, operation) {
			const char *kind =
				json_string_value(json_object_get(operation, "operation"));
			count += kind && strcmp(kind, kinds[i]) == 0;
		}
		line(page, "lanspread_operations{operation=\"%s\"} %zu\n", kinds[i], count);
	}
}

static void health_lines(struct page *page, json_t *health)
{
	const char *state = json_string_value(json_object_get(health, "state"));
	describe(page, "healthy", "gauge", "1 while nothing is degraded.");
	line(page, "lanspread_healthy %d\n", state && strcmp(state, "ok") == 0);
	size_t index;
	json_t *component;
	describe(page, "degraded", "gauge",
		"1 for every component that does not work as it should.");
	json_array_foreach (json_object_get(health, "degraded"), index, component) {
		const char *name = json_string_value(component);
		line(page, "lanspread_degraded{component=\"");
		label(page, name ? name : "");
		line(page, "\"} 1\n");
	}
}

/* What the torrent engine tells of itself, by the key that its status has for it. */
static const struct {
	const char *key, *name, *type, *help;
} torrent_metrics[] = {
	{"session_open", "session_open", "gauge", "1 while the library's session is open."},
	{"port", "port", "gauge", "The port where it listens, 0: nowhere."},
	{"torrents", "torrents", "gauge", "Torrents that are here."},
	{"downloading", "downloading", "gauge", "Torrents that are downloaded."},
	{"seeding", "seeding", "gauge", "Torrents that are seeded."},
	{"failed", "failed", "gauge", "Torrents that failed."},
	{"peers", "peers", "gauge", "Peers of all torrents that are connected."},
	{"restored", "restored", "gauge", "Torrents that the store gave back."},
	{"sent", "sent_bytes_total", "counter", "Payload sent to peers."},
	{"received", "received_bytes_total", "counter", "Payload received from peers."},
	{"upload_rate", "up_bytes_per_second", "gauge", "Payload sent now."},
	{"download_rate", "down_bytes_per_second", "gauge", "Payload received now."},
	{"read_back", "read_back_bytes_total", "counter", "Read from the disk to be hashed."},
	{"alerts", "alerts_total", "counter", "Alerts that the library told."},
	{"alerts_dropped", "alerts_dropped_total", "counter",
		"How often the library threw alerts away."},
	{"commands", "commands_total", "counter", "Commands that were answered."},
	{"samples", "samples_total", "counter", "Samples of progress that were told."},
	{"samples_coalesced", "samples_coalesced_total", "counter",
		"Samples of progress in whose place a later one was told."},
	{"resume_saved", "resume_saved_total", "counter", "Files of the store that were written."},
	{"resume_failed", "resume_failed_total", "counter",
		"Files of the store that could not be written or deleted."},
	{"quarantined", "quarantined_total", "counter", "Files of the store that were set aside."},
	{"sessions", "sessions_total", "counter", "How often a session was opened."},
};

static void torrent_lines(struct page *page, json_t *torrent)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(torrent_metrics); i++) {
		const json_t *value = json_object_get(torrent, torrent_metrics[i].key);
		char name[64];
		snprintf(name, sizeof name, "torrent_%s", torrent_metrics[i].name);
		number(page, name, torrent_metrics[i].type, torrent_metrics[i].help, value);
	}
	json_t *health = json_object_get(torrent, "health");
	const char *state = json_is_string(health)
				    ? json_string_value(health)
				    : json_string_value(json_object_get(health, "state"));
	if (!state)
		return;
	describe(page, "torrent_healthy", "gauge", "1 while the torrent engine is well.");
	line(page, "lanspread_torrent_healthy %d\n",
		strcmp(state, "ok") == 0 || strcmp(state, "healthy") == 0);
}

static void write_page(struct page *page, json_t *status, const struct lsp_http *http)
{
	number(page, "peers", "gauge", "Peers that are connected.",
		json_object_get(status, "peers"));
	number(page, "games", "gauge", "Games that are known.", json_object_get(status, "games"));
	number(page, "sent_bytes_total", "counter", "Payload sent to peers.",
		json_object_get(status, "sent"));
	number(page, "received_bytes_total", "counter", "Payload received from peers.",
		json_object_get(status, "received"));
	number(page, "up_bytes_per_second", "gauge", "Payload sent now.",
		json_object_get(status, "up_rate"));
	number(page, "down_bytes_per_second", "gauge", "Payload received now.",
		json_object_get(status, "down_rate"));
	number(page, "uptime_seconds", "gauge", "Since the peer was started.",
		json_object_get(status, "uptime_s"));
	operation_lines(page, json_object_get(status, "operations"));
	health_lines(page, json_object_get(status, "health"));
	service_lines(page, json_object_get(status, "services"));
	torrent_lines(page, json_object_get(status, "torrent"));
	describe(page, "http_requests_total", "counter",
		"Requests that the page's server answered.");
	line(page, "lanspread_http_requests_total %zu\n", http->requests_served);
	describe(page, "http_event_clients", "gauge", "Event streams that are open.");
	line(page, "lanspread_http_event_clients %zu\n", lsp_http_events_clients(http->events));
}

static void status_answered(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_request *request = argument;
	struct page page = {0};
	request->call = NULL;
	if (!answer->ok) {
		lsp_http_reply_refusal(request, answer->value);
		return;
	}
	write_page(&page, answer->value, request->http);
	struct MHD_Response *response =
		page.failed ? NULL
			    : lsp_http_response("text/plain; version=0.0.4; charset=utf-8",
				      page.text.data, page.text.size);
	lsp_buffer_done(&page.text);
	lsp_http_reply(request, MHD_HTTP_OK, response);
}

void lsp_http_run_metrics(struct lsp_http_request *request)
{
	lsp_http_request_call(
		request, json_pack("{s:s}", "command", request->route->command), status_answered);
}
