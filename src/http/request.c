/*
 * A request, from its first line to its reply. libmicrohttpd calls us once when the headers are
 * there, then with pieces of the body, then at its end, and again after each resume. What is wrong
 * with the headers is said at once, before a body is read.
 */
#include "http/internal.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *header_of(const struct lsp_http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static bool is_read(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static bool method_matches(const struct lsp_http_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* ---- Checks: each replies and gives false when it refuses ---- */

static bool check_site(struct lsp_http_request *request)
{
	const char *host = header_of(request, "Host");
	if (!lsp_http_host_is_ours(&request->http->names, host)) {
		lsp_http_reply_error(request, MHD_HTTP_FORBIDDEN, "denied", "header.Host",
			"this is not the server that \"%.100s\" names", host ? host : "");
		return false;
	}
	if (!lsp_http_origin_is_ours(header_of(request, "Origin"), host)) {
		lsp_http_reply_error(request, MHD_HTTP_FORBIDDEN, "denied", "header.Origin",
			"requests from other sites are refused");
		return false;
	}
	return true;
}

static bool find_route(struct lsp_http_request *request, const char *method, const char *url)
{
	const char *allowed = NULL;
	if (lsp_http_path_parse(&request->path, url)) {
		for (const struct lsp_http_route *route = lsp_http_routes; route->method; route++) {
			if (!lsp_http_path_match(
				    &request->path, route->pattern, request->parameters))
				continue;
			if (method_matches(route, method)) {
				request->route = route;
				return true;
			}
			allowed = route->method;
		}
	}
	if (!allowed) {
		lsp_http_reply_error(request, MHD_HTTP_NOT_FOUND, "not_found", "path",
			"there is nothing at this path");
		return false;
	}
	lsp_http_reply_error(request, MHD_HTTP_METHOD_NOT_ALLOWED, "invalid", "method",
		"this path takes %s, not %.16s", allowed, method);
	lsp_http_header(request->response, MHD_HTTP_HEADER_ALLOW, allowed);
	return false;
}

static const char *bearer_token(const struct lsp_http_request *request)
{
	static const char scheme[] = "Bearer ";
	const char *value = header_of(request, "Authorization");
	if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
		return NULL;
	return value + sizeof scheme - 1;
}

static bool has_token(const struct lsp_http_request *request)
{
	const struct lsp_http *http = request->http;
	const char *cookie = MHD_lookup_connection_value(
		request->connection, MHD_COOKIE_KIND, http->cookie_name);
	return lsp_http_token_matches(http->token, cookie) ||
	       lsp_http_token_matches(http->token, bearer_token(request));
}

static bool check_access(struct lsp_http_request *request)
{
	const struct lsp_http_route *route = request->route;
	if (route->is_public)
		return true;
	if (!lsp_http_fetch_site_is_ours(header_of(request, "Sec-Fetch-Site"))) {
		lsp_http_reply_error(request, MHD_HTTP_FORBIDDEN, "denied", "header.Sec-Fetch-Site",
			"requests from other sites are refused");
		return false;
	}
	if (!has_token(request)) {
		lsp_http_reply_error(request, MHD_HTTP_UNAUTHORIZED, "denied", "header.Cookie",
			"open the page by its start link: \"lanspread open\"");
		return false;
	}
	if (route->loopback_only) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(
			request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		if (!info || !lsp_http_address_is_loopback(info->client_addr)) {
			lsp_http_reply_error(request, MHD_HTTP_FORBIDDEN, "denied", "address",
				"this is for the machine that the peer runs on alone");
			return false;
		}
	}
	return true;
}

static size_t body_limit(const struct lsp_http_request *request)
{
	size_t own = request->route->max_body;
	return own ? own : LSP_HTTP_MAX_BODY;
}

static bool refuse_body_size(struct lsp_http_request *request)
{
	lsp_http_reply_error(request, lsp_http_status_of_code("too_large"), "too_large", "body",
		"a body may have %zu bytes here", body_limit(request));
	return false;
}

static bool check_body_headers(struct lsp_http_request *request)
{
	switch (lsp_http_content_kind(header_of(request, "Content-Type"))) {
	case LSP_HTTP_JSON:
		break;
	case LSP_HTTP_FORM:
		lsp_http_reply_error(request, MHD_HTTP_FORBIDDEN, "denied", "header.Content-Type",
			"a body must be application/json, which no form can send");
		return false;
	case LSP_HTTP_OTHER_CONTENT:
		lsp_http_reply_error(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "invalid",
			"header.Content-Type", "a body must be application/json");
		return false;
	}
	const char *length = header_of(request, "Content-Length");
	if (length && strtoull(length, NULL, 10) > body_limit(request))
		return refuse_body_size(request);
	return true;
}

static size_t depth_of(const json_t *value, size_t limit)
{
	size_t deepest = 0;
	if (limit == 0)
		return 1;
	if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++)
			deepest = LSP_MAX(deepest, depth_of(json_array_get(value, i), limit - 1));
	} else if (json_is_object(value)) {
		const char *key;
		json_t *member;
		json_object_foreach ((json_t *)value, key, member)
			deepest = LSP_MAX(deepest, depth_of(member, limit - 1));
	}
	return deepest + 1;
}

static bool parse_body(struct lsp_http_request *request)
{
	json_error_t detail = {0};
	if (request->body_too_large)
		return refuse_body_size(request);
	if (request->body.size == 0) {
		request->document = json_object();
		return true;
	}
	request->document = lsp_json_load((const char *)request->body.data, request->body.size,
		JSON_REJECT_DUPLICATES, &detail);
	if (!request->document) {
		char where[64];
		snprintf(where, sizeof where, "body:%d:%d", detail.line, detail.column);
		lsp_http_reply_error(
			request, MHD_HTTP_BAD_REQUEST, "invalid", where, "%s", detail.text);
		return false;
	}
	if (!json_is_object(request->document) ||
		depth_of(request->document, LSP_HTTP_MAX_DEPTH) > LSP_HTTP_MAX_DEPTH) {
		lsp_http_reply_error(request, MHD_HTTP_BAD_REQUEST, "invalid", "body",
			"a body is one JSON object, at most %d deep", LSP_HTTP_MAX_DEPTH);
		return false;
	}
	return true;
}

/* ---- The way of a request ---- */

void lsp_http_request_suspend(struct lsp_http_request *request)
{
	request->suspended = true;
	MHD_suspend_connection(request->connection);
}

void lsp_http_request_resume(struct lsp_http_request *request)
{
	request->suspended = false;
	MHD_resume_connection(request->connection);
}

static void drop_response(struct lsp_http_request *request)
{
	if (request->response && !request->response_shared)
		MHD_destroy_response(request->response);
	request->response = NULL;
}

static enum MHD_Result send_reply(struct lsp_http_request *request)
{
	if (!request->response)
		return MHD_NO;
	enum MHD_Result result =
		MHD_queue_response(request->connection, request->status, request->response);
	drop_response(request);
	request->http->requests_served++;
	return result;
}

static struct lsp_http_request *request_new(
	struct lsp_http *http, struct MHD_Connection *connection)
{
	struct lsp_http_request *request = calloc(1, sizeof *request);
	if (!request)
		return NULL;
	request->http = http;
	request->connection = connection;
	return request;
}

static enum MHD_Result begin(struct lsp_http_request *request, const char *method, const char *url)
{
	if (check_site(request) && find_route(request, method, url) && check_access(request) &&
		(is_read(method) || check_body_headers(request)))
		return MHD_YES;
	return send_reply(request);
}

static void take_body(struct lsp_http_request *request, const char *data, size_t size)
{
	if (request->body_too_large || request->body.size + size > body_limit(request) ||
		lsp_buffer_append(&request->body, data, size, NULL) < 0) {
		request->body_too_large = true;
		lsp_buffer_done(&request->body);
	}
}

static enum MHD_Result run(struct lsp_http_request *request, const char *method)
{
	bool replied = request->response || request->failed;
	if (!replied && (is_read(method) || request->document || parse_body(request)))
		request->route->run(request);
	return request->suspended ? MHD_YES : send_reply(request);
}

enum MHD_Result lsp_http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
	void **connection_state)
{
	struct lsp_http_request *request = *connection_state;
	if (!request) {
		request = request_new(cls, connection);
		*connection_state = request;
		return request ? begin(request, method, url) : MHD_NO;
	}
	if (*upload_data_size) {
		if (!is_read(method))
			take_body(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	return run(request, method);
}

void lsp_http_on_completed(void *cls, struct MHD_Connection *connection, void **connection_state,
	enum MHD_RequestTerminationCode code)
{
	struct lsp_http_request *request = *connection_state;
	if (!request)
		return;
	*connection_state = NULL;
	lsp_http_call_abandon(request->call);
	lsp_http_games_forget(request->http->games, request);
	drop_response(request);
	json_decref(request->document);
	lsp_buffer_done(&request->body);
	free(request);
}
