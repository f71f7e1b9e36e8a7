/*
 * The page's files, inside the program. The table is made by web/build.py from what the page's own
 * build gives; without node it has one small page that says what is missing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct lsp_http_asset {
	const char *path; /* "index.html", "assets/index-0a1b2c.js" */
	const char *type;
	const unsigned char *data;
	size_t size;
	bool hashed; /* its name changes with its content: cached for good */
};

/* Ends with a NULL path; "index.html" is always there. */
extern const struct lsp_http_asset lsp_http_assets[];
