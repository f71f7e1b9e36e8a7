/*
 * The catalogue: what is known about games, whether or not anybody here has them.
 *
 * It has three layers; the later ones win, game by game: the entries that are compiled in (only
 * when no file was asked for), a catalogue file of the user's (`--catalog FILE`, an SQLite database
 * with a table `games`; read, never written), and the state folder's own (catalog.db), which takes
 * imports, what `add` puts in, and the titles of games that were fetched from others.
 *
 * Reading is by snapshot: an immutable, counted list of entries, sorted by id, without covers.
 * lsp_catalog_snapshot gives the newest one and may be called from every thread. Covers are read
 * from the disk when asked for, from every thread too (lsp_catalog_cover; blocks).
 *
 * Writing (put, remove, import) blocks on the disk and is for one thread at a time: a second writer
 * is refused with -LSP_E_BUSY. A write is one transaction; it shows in the next snapshot, whole.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_CATALOG_ENTRIES_MAX 100000
#define LSP_CATALOG_TEXT_MAX 65536                /* bytes of a readme */
#define LSP_CATALOG_SHORT_MAX 1000                /* bytes of any other text */
#define LSP_CATALOG_IMPORT_MAX ((size_t)64 << 20) /* bytes of a file to import */

/* Texts are UTF-8 or NULL when not known. The id passes lsp_game_id_check. */
struct lsp_catalog_entry {
	const char *id;
	const char *title;
	const char *key;
	const char *release; /* a year or a date, as it was written */
	const char *publisher;
	const char *genre;
	const char *version; /* the newest known */
	const char *readme_de;
	const char *readme_en;
	const char *readme_fr;
	uint64_t size;        /* bytes; 0: not known */
	uint32_t max_players; /* 0: not known */
	bool master_required; /* it needs a master server */
	bool has_content;
	struct lsp_hash content; /* the pin: the content id that this game shall have */
	bool has_cover;
};

struct lsp_catalog_snapshot {
	size_t count;
	const struct lsp_catalog_entry *const *entries; /* by id, strcmp order */
};

const struct lsp_catalog_snapshot *lsp_catalog_snapshot_ref(
	const struct lsp_catalog_snapshot *snapshot);
void lsp_catalog_snapshot_unref(const struct lsp_catalog_snapshot *snapshot);
LSP_DEFINE_CLEANUP(const struct lsp_catalog_snapshot *, lsp_catalog_snapshot_unref);
#define _cleanup_catalog_snapshot_ _cleanup_(lsp_catalog_snapshot_unref_pointer)

/* NULL if there is none. O(log n). */
const struct lsp_catalog_entry *lsp_catalog_find(
	const struct lsp_catalog_snapshot *snapshot, const char *id);

struct lsp_catalog;

/*
 * state_folder exists and is locked. file: the user's catalogue or NULL for the built-in one. A
 * file that is missing, unreadable, no database, without a table `games`, or whose columns hold
 * what they must not is an error that names the file, and the row and column. Columns it has beyond
 * ours are passed over; of ours only `id` and `title` must be there.
 */
LSP_MUST_CHECK int lsp_catalog_open(const char *state_folder, const char *file,
	struct lsp_catalog **ret_catalog, struct lsp_error *err);
void lsp_catalog_close(struct lsp_catalog *catalog);
LSP_DEFINE_CLEANUP(struct lsp_catalog *, lsp_catalog_close);
#define _cleanup_catalog_ _cleanup_(lsp_catalog_close_pointer)

/* The newest; never NULL. The caller unrefs it. */
const struct lsp_catalog_snapshot *lsp_catalog_snapshot(struct lsp_catalog *catalog);

/* The cover's bytes, checked. -LSP_E_NOT_FOUND when there is none. */
LSP_MUST_CHECK int lsp_catalog_cover(struct lsp_catalog *catalog, const char *id,
	struct lsp_buffer *ret_cover, struct lsp_error *err);

/* What a put does about the cover. */
struct lsp_catalog_cover_change {
	bool change; /* false: the cover stays as it is */
	const void *data;
	size_t size; /* 0: no cover any more */
};

/* Adds or replaces one entry of the state folder's own layer. cover: NULL for no change. */
LSP_MUST_CHECK int lsp_catalog_put(struct lsp_catalog *catalog,
	const struct lsp_catalog_entry *entry, const struct lsp_catalog_cover_change *cover,
	struct lsp_error *err);
/* Removes it from that layer; what lies below shows again. Absent is fine. */
LSP_MUST_CHECK int lsp_catalog_remove(
	struct lsp_catalog *catalog, const char *id, struct lsp_error *err);

struct lsp_catalog_import_result {
	size_t added;
	size_t changed;
	size_t unchanged;
	char ignored[200]; /* names of columns that mean nothing here, with commas; may be cut */
};

/*
 * Merges a file into the state folder's layer, all of it or nothing. CSV (with a header row) or
 * JSON (an array of objects, or {"games":[…]}), told by its first character. `id` is required, and
 * `title` for a game that is new; a column that is absent, and an empty field, leave what is known
 * as it is. `cover` is the name of a picture beside the file or below its folder, or (JSON) a
 * data: address. An error names the line and the column (or the key).
 */
LSP_MUST_CHECK int lsp_catalog_import(struct lsp_catalog *catalog, const char *file,
	struct lsp_catalog_import_result *ret_result, struct lsp_error *err);

/* The entries compiled in, by id. Static. */
extern const struct lsp_catalog_entry lsp_catalog_builtin[];
extern const size_t lsp_catalog_builtin_count;
