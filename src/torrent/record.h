/*
 * A torrent's record: all that is ours about it, and what `<id>.meta.json` holds.
 *
 * A record is a JSON object (docs/torrent.md, "What is stored"), checked as a whole, with its
 * fields beside it for reading: they point into the object and change only with it. Nothing in a
 * record is taken on trust, since a file may have been edited or damaged: whatever
 * lsp_torrent_record_parse accepted can be used.
 *
 * Pure. One owner, one thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LSP_RECORD_VERSION 1
#define LSP_RECORD_SIZE_MAX ((size_t)16 << 20) /* bytes of a file */
#define LSP_RECORD_TEXT_MAX 4096               /* bytes of a text, a path or a URL */
#define LSP_RECORD_LIST_MAX 256                /* trackers, web seeds, tags */
#define LSP_TORRENT_ID_MAX 64                  /* digits */

struct lsp_record {
	json_t *json;       /* owned */
	const char *id;     /* 40 or 64 lower-case hexadecimal digits */
	const char *magnet; /* NULL: it came as a .torrent */
	const char *name;   /* a label; may be NULL, like the next three */
	const char *root;   /* the top folder's name on disk; one path component */
	const char *category;
	const char *game;
	const char *save_path; /* absolute */
	const char *moving_to; /* absolute: its files are on their way there; or NULL */
	uint64_t moving_files; /* how many there were when that began */
	bool moving_back;      /* they came from there, and are on their way back */
	/* Where the disks of the two are mounted (mounts.h), while something is done to the files;
	 * NULL: not known. */
	const char *save_mount, *moving_mount;
	bool removing; /* its files are being deleted, then it is forgotten */
	bool leaving;  /* its move is taken back, then it is forgotten */
	const json_t *tags, *trackers, *web_seeds; /* arrays or NULL */
	bool trackers_set; /* trackers and web_seeds are all there are, not additions */
	bool paused, sequential, allocate, auto_managed, pex, super_seeding;
	bool seed_remove, seed_remove_data;
	bool goal_met;                     /* its seed limits stopped it */
	uint32_t max_download, max_upload; /* bytes a second; 0 none; at most INT32_MAX */
	uint32_t max_connections, max_uploads;
	uint64_t seed_time;        /* seconds; 0: none */
	double seed_ratio;         /* 0: none */
	uint64_t added, completed; /* seconds since 1970; completed 0: not yet */
};

/* Takes over `json` on success. -LSP_E_INVALID names the field and what it wants. */
LSP_MUST_CHECK int lsp_torrent_record_parse(
	json_t *json, struct lsp_record *ret_record, struct lsp_error *err);
/* From a file's bytes, with limits. id: whose it must be. -LSP_E_PROTOCOL: it is none. */
LSP_MUST_CHECK int lsp_torrent_record_decode(const void *data, size_t size, const char *id,
	struct lsp_record *ret_record, struct lsp_error *err);
LSP_MUST_CHECK int lsp_torrent_record_encode(
	const struct lsp_record *record, struct lsp_buffer *buffer, struct lsp_error *err);
void lsp_torrent_record_done(struct lsp_record *record);

/*
 * A new record: id and source (magnet NULL: a .torrent), and of `arguments` what a record has.
 */
LSP_MUST_CHECK int lsp_torrent_record_new(const char *id, const char *magnet,
	const json_t *arguments, uint64_t added, struct lsp_record *ret_record,
	struct lsp_error *err);
/* What was set of it, by the names of an add's arguments: a new reference; NULL: no memory. */
json_t *lsp_torrent_record_settings(const struct lsp_record *record);
/*
 * Takes over from `changes` every field of `keys` (ended by NULL) that it has; null removes one. As
 * before on an error.
 */
LSP_MUST_CHECK int lsp_torrent_record_merge(struct lsp_record *record, const json_t *changes,
	const char *const *keys, struct lsp_error *err);
/* One field; value is taken over, NULL removes it. */
LSP_MUST_CHECK int lsp_torrent_record_set(
	struct lsp_record *record, const char *key, json_t *value, struct lsp_error *err);

/* Without every field of `keys` (ended by NULL) that may be absent. Takes no memory. */
void lsp_torrent_record_clear(struct lsp_record *record, const char *const *keys);

bool lsp_torrent_record_has_tracker(const struct lsp_record *record, const char *url);
/*
 * [url or [url, …]] as flat arrays that the caller frees (the texts are the JSON's): a list within
 * the list is one tier. Both are NULL for no trackers.
 */
LSP_MUST_CHECK int lsp_torrent_record_flatten(const json_t *trackers, const char ***ret_urls,
	int32_t **ret_tiers, size_t *ret_count, struct lsp_error *err);

/* Is it 40 or 64 lower-case hexadecimal digits? */
bool lsp_torrent_id_is_valid(const char *id);
