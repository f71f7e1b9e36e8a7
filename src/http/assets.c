#include "http/assets.h"

#include "http/internal.h"

#include <string.h>

static const struct lsp_http_asset *find_asset(const char *folder, const char *name)
{
	size_t length = strlen(folder);
	for (const struct lsp_http_asset *asset = lsp_http_assets; asset->path; asset++) {
		if (strncmp(asset->path, folder, length) == 0 &&
			strcmp(asset->path + length, name) == 0)
			return asset;
	}
	return NULL;
}

static void send_asset(
	struct lsp_http_request *request, const struct lsp_http_asset *asset, bool sets_cookie)
{
	char etag[LSP_HTTP_ETAG_SIZE];
	lsp_http_etag(etag, asset->data, asset->size);
	if (!sets_cookie && lsp_http_reply_not_modified(request, etag))
		return;
	/* Static data: nothing is copied. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		asset->size, (void *)asset->data, MHD_RESPMEM_PERSISTENT);
	lsp_http_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
	lsp_http_header(response, MHD_HTTP_HEADER_ETAG, etag);
	lsp_http_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
		asset->hashed ? "public, max-age=31536000, immutable" : "no-cache");
	if (sets_cookie) {
		char cookie[160];
		snprintf(cookie, sizeof cookie,
			"%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000",
			request->http->cookie_name, request->http->token);
		lsp_http_header(response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
	}
	lsp_http_reply(request, MHD_HTTP_OK, response);
}

void lsp_http_run_asset(struct lsp_http_request *request)
{
	bool below = request->path.count == 2;
	const struct lsp_http_asset *asset =
		below ? find_asset("assets/", request->path.segments[1])
		      : find_asset("", request->path.segments[0]);
	if (asset)
		send_asset(request, asset, false);
	else
		lsp_http_reply_error(
			request, MHD_HTTP_NOT_FOUND, "not_found", "path", "there is no such file");
}

/* For a person who came without the start link. No file, no script: it must always work. */
static const char locked_page[] =
	"<!doctype html><html lang='en'><meta charset='utf-8'><title>lanspread</title>"
	"<meta name='viewport' content='width=device-width'>"
	"<h1>This page needs its start link</h1>"
	"<p>Run <code>lanspread open</code> on the machine that it belongs to, or open the link "
	"that "
	"<code>lanspread run</code> printed. The link has a token that this browser then "
	"keeps.</p>";

static void send_locked_page(struct lsp_http_request *request)
{
	struct MHD_Response *response =
		lsp_http_response("text/html; charset=utf-8", locked_page, sizeof locked_page - 1);
	lsp_http_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"lanspread\"");
	lsp_http_reply(request, MHD_HTTP_UNAUTHORIZED, response);
}

/*
 * The page itself. The start link is answered with the page and not with a redirect: a redirect
 * that began on another site would arrive without the SameSite=Strict cookie that it just got.
 */
void lsp_http_run_page(struct lsp_http_request *request)
{
	const struct lsp_http *http = request->http;
	const char *given =
		MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "token");
	const char *cookie = MHD_lookup_connection_value(
		request->connection, MHD_COOKIE_KIND, http->cookie_name);
	if (lsp_http_token_matches(http->token, given))
		send_asset(request, find_asset("", "index.html"), true);
	else if (!given && lsp_http_token_matches(http->token, cookie))
		send_asset(request, find_asset("", "index.html"), false);
	else
		send_locked_page(request);
}
