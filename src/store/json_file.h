/*
 * Small JSON documents on disk: what cannot be rebuilt (pins, choices, settings).
 *
 * A document is an object. Saving is atomic (base/fs.h: old content or new, whatever happens).
 * Loading one that cannot be understood never loses it and never stops the start: the file is
 * renamed to <name>.damaged, said in the log, and the document begins empty.
 *
 * struct lsp_json_map is the most common kind, a table from text to text: "pins" (which key an
 * address had), "choices" (which variant of a game the user chose). Threads: one owner at a time;
 * save and load block on the disk.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#define LSP_JSON_FILE_MAX ((size_t)16 << 20) /* bytes of a document */

/* An empty object when there is no file. The caller owns *ret_object. -LSP_E_IO and the like. */
LSP_MUST_CHECK int lsp_json_file_load(const char *path, json_t **ret_object, struct lsp_error *err);
/* The same, but -LSP_E_PROTOCOL names line and column of what is wrong, and the file stays. */
LSP_MUST_CHECK int lsp_json_file_read(const char *path, json_t **ret_object, struct lsp_error *err);
/* Indented, keys sorted, with a final newline; mode 0600. */
LSP_MUST_CHECK int lsp_json_file_save(
	const char *path, const json_t *object, struct lsp_error *err);

struct lsp_json_map;

LSP_MUST_CHECK int lsp_json_map_open(
	const char *path, struct lsp_json_map **ret_map, struct lsp_error *err);
void lsp_json_map_free(struct lsp_json_map *map);
LSP_DEFINE_CLEANUP(struct lsp_json_map *, lsp_json_map_free);
#define _cleanup_json_map_ _cleanup_(lsp_json_map_free_pointer)

/* NULL if there is none; valid until the map changes. */
const char *lsp_json_map_get(const struct lsp_json_map *map, const char *key);
/* In memory and on disk, or not at all. value NULL: removes it; absent is fine. */
LSP_MUST_CHECK int lsp_json_map_set(
	struct lsp_json_map *map, const char *key, const char *value, struct lsp_error *err);
/* Calls for each pair; the map must not change meanwhile. */
void lsp_json_map_each(const struct lsp_json_map *map,
	void (*each)(const char *key, const char *value, void *argument), void *argument);
