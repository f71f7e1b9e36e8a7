#include "http/internal.h"

#include "base/log.h"
#include "base/sha256.h"
#include "base/text.h"
#include "wire/json.h"

#include <string.h>

/*
 * The page loads its own files and nothing else, from nowhere else; nobody frames it. Every reply
 * says so: it costs little, and no later route can forget it.
 */
static const struct {
	const char *name, *value;
} common_headers[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
		"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
};

void lsp_http_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (response && MHD_add_response_header(response, name, value) != MHD_YES)
		lsp_log_warning("http", "header %s could not be set", name);
}

struct MHD_Response *lsp_http_response(const char *type, const void *data, size_t size)
{
	/* libmicrohttpd copies for MUST_COPY and does not write through the pointer. */
	struct MHD_Response *response =
		MHD_create_response_from_buffer(size, (void *)data, MHD_RESPMEM_MUST_COPY);
	if (response && type)
		lsp_http_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return response;
}

void lsp_http_common_headers(struct MHD_Response *response)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(common_headers); i++)
		lsp_http_header(response, common_headers[i].name, common_headers[i].value);
	if (!MHD_get_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL))
		lsp_http_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

void lsp_http_reply_shared(struct lsp_http_request *request, struct MHD_Response *response)
{
	request->response = response;
	request->response_shared = true;
	request->status = MHD_HTTP_OK;
}

void lsp_http_reply(
	struct lsp_http_request *request, unsigned status, struct MHD_Response *response)
{
	if (response)
		lsp_http_common_headers(response);
	request->response = response;
	request->failed = !response;
	request->status = status;
	if (request->suspended)
		lsp_http_request_resume(request);
}

void lsp_http_reply_json(struct lsp_http_request *request, unsigned status, json_t *json)
{
	_cleanup_free_ char *text = json ? lsp_json_dump(json, JSON_COMPACT) : NULL;
	json_decref(json);
	struct MHD_Response *response =
		text ? lsp_http_response("application/json", text, strlen(text)) : NULL;
	lsp_http_reply(request, status, response);
}

void lsp_http_reply_error(struct lsp_http_request *request, unsigned status, const char *code,
	const char *where, const char *format, ...)
{
	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	/* What a client sent may be cut in the middle of a character; JSON takes whole ones only.
	 */
	json_t *text = json_string(message);
	while (!text && message[0]) {
		message[strlen(message) - 1] = '\0';
		text = json_string(message);
	}
	lsp_http_reply_json(request, status,
		json_pack("{s:{s:s, s:o?, s:s}}", "error", "code", code, "message", text, "where",
			where));
}

unsigned lsp_http_status_of_code(const char *code)
{
	static const struct {
		const char *code;
		unsigned status;
	} table[] = {
		{"invalid", MHD_HTTP_BAD_REQUEST},
		{"not_found", MHD_HTTP_NOT_FOUND},
		{"exists", MHD_HTTP_CONFLICT},
		{"busy", MHD_HTTP_CONFLICT},
		{"cancelled", MHD_HTTP_CONFLICT},
		{"denied", MHD_HTTP_FORBIDDEN},
		{"too_large", 413 /* Content Too Large: its macro was renamed */},
		{"no_space", MHD_HTTP_INSUFFICIENT_STORAGE},
		{"unsupported", MHD_HTTP_NOT_IMPLEMENTED},
		{"timeout", MHD_HTTP_GATEWAY_TIMEOUT},
		{"protocol", MHD_HTTP_BAD_GATEWAY},
		{"closed", MHD_HTTP_SERVICE_UNAVAILABLE},
		{"no_memory", MHD_HTTP_SERVICE_UNAVAILABLE},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].code, code) == 0)
			return table[i].status;
	}
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void lsp_http_reply_refusal(struct lsp_http_request *request, json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	if (!code) {
		lsp_http_reply_error(request, MHD_HTTP_BAD_GATEWAY, "protocol", "peer",
			"the peer refused and did not say why");
		return;
	}
	if (!json_object_get(error, "where"))
		json_object_set_new(error, "where", json_string("command"));
	lsp_http_reply_json(
		request, lsp_http_status_of_code(code), json_pack("{s:O}", "error", error));
}

void lsp_http_etag(char ret_etag[LSP_HTTP_ETAG_SIZE], const void *data, size_t size)
{
	struct lsp_hash hash;
	lsp_sha256(&hash, data, size);
	ret_etag[0] = '"';
	lsp_text_to_hex(hash.bytes, 10, ret_etag + 1);
	memcpy(ret_etag + 21, "\"", 2);
}

/* Whether the list of an If-None-Match names this etag. Weak ones compare equal (RFC 9110, 13.1.2).
 */
static bool etag_is_listed(const char *list, const char *etag)
{
	size_t length = strlen(etag);
	for (const char *at = list; *at;) {
		at += strspn(at, " \t,");
		if (at[0] == '*')
			return true;
		if (at[0] == 'W' && at[1] == '/')
			at += 2;
		size_t item = strcspn(at, ", \t");
		if (item == length && memcmp(at, etag, length) == 0)
			return true;
		at += item;
	}
	return false;
}

bool lsp_http_reply_not_modified(struct lsp_http_request *request, const char *etag)
{
	const char *list = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	if (!list || !etag_is_listed(list, etag))
		return false;
	struct MHD_Response *response = lsp_http_response(NULL, "", 0);
	lsp_http_header(response, MHD_HTTP_HEADER_ETAG, etag);
	lsp_http_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	lsp_http_reply(request, MHD_HTTP_NOT_MODIFIED, response);
	return true;
}
