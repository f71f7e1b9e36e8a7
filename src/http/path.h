/*
 * Paths of requests, and the patterns that they are matched with. Pure; any thread.
 *
 * A path is taken raw from the request line and cut at '/', and each segment is decoded alone: so
 * an encoded slash or "..%2f" never turns into structure. What is no path (a bad escape, a NUL,
 * "..", invalid UTF-8, a slash within a segment, too many segments) is refused: the client sees
 * 404.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LSP_HTTP_MAX_SEGMENTS 6
#define LSP_HTTP_MAX_SEGMENT 256 /* bytes with the NUL, decoded */

struct lsp_http_path {
	size_t count;
	char segments[LSP_HTTP_MAX_SEGMENTS][LSP_HTTP_MAX_SEGMENT];
};

/* "/api/games/quake" has three segments, "/" none. False: refuse it. */
bool lsp_http_path_parse(struct lsp_http_path *ret_path, const char *raw);

/*
 * "/api/games/{id}/install": "{…}" matches any one segment. The values of up to two of them are
 * pointed at in order.
 */
#define LSP_HTTP_MAX_PARAMETERS 2
bool lsp_http_path_match(const struct lsp_http_path *path, const char *pattern,
	const char *ret_parameters[LSP_HTTP_MAX_PARAMETERS]);
