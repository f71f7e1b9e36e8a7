/*
 * The fast-resume store: what makes a torrent the same one after a restart.
 *
 * For each torrent the folder has `<id>.fastresume` (the library's own resume data, with the
 * metadata in it), `<id>.meta.json` (our record, torrent/record.h) and, for one that came as a
 * .torrent, `<id>.torrent`. Each is replaced atomically: a temporary file, fsync, rename, fsync of
 * the folder. A file whose content is wrong is set aside as `<name>.damaged`, alone; the rest of
 * its torrent and all others go on. One that cannot be read just now (no descriptor is left, no
 * memory, no permission, the disk fails) is no damage, and nothing is done to it.
 *
 * The store knows nothing of sessions: what to do about a missing half its owner decides. Functions
 * block on the disk. One owner, one thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sha256.h"
#include "torrent/record.h"

#include <stdbool.h>

struct lsp_resume_store;

#define LSP_RESUME_BLOB_MAX ((size_t)192 << 20) /* bytes of a file */

enum lsp_resume_part { LSP_RESUME_BLOB, LSP_RESUME_RECORD, LSP_RESUME_METAINFO, LSP_RESUME_PARTS };

struct lsp_resume_entry {
	char id[LSP_TORRENT_ID_MAX + 1];
	struct lsp_record record;   /* json NULL: there is none (any more) */
	struct lsp_buffer blob;     /* empty: there is none */
	struct lsp_buffer metainfo; /* the same */
	bool record_damaged;        /* it was there, and was set aside */
	bool blob_damaged;          /* the same */
	/* Code 0, or why the .torrent cannot be read now; it is wanted where the blob is not there
	 * alone. */
	struct lsp_error metainfo_error;
};

/* Makes the folder (mode 0700) where it is missing. */
LSP_MUST_CHECK int lsp_resume_store_open(
	const char *path, struct lsp_resume_store **ret_store, struct lsp_error *err);
void lsp_resume_store_free(struct lsp_resume_store *store);
LSP_DEFINE_CLEANUP(struct lsp_resume_store *, lsp_resume_store_free);

/*
 * The ids of all that is stored, in the order that they shall be added in: by place in the queue,
 * then by age. The caller frees each and the array.
 */
LSP_MUST_CHECK int lsp_resume_store_list(
	struct lsp_resume_store *store, char ***ret_ids, size_t *ret_count, struct lsp_error *err);
/*
 * Reads one. What is damaged is set aside and said in the log; an error is that record or blob
 * cannot be read now: then nothing was set aside, and it may be tried again.
 */
LSP_MUST_CHECK int lsp_resume_store_load(struct lsp_resume_store *store, const char *id,
	struct lsp_resume_entry *ret_entry, struct lsp_error *err);
void lsp_resume_entry_done(struct lsp_resume_entry *entry);

LSP_MUST_CHECK int lsp_resume_store_write(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const void *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_resume_store_write_record(
	struct lsp_resume_store *store, const struct lsp_record *record, struct lsp_error *err);
/*
 * The same for many, in steps (base/fs.h): all are staged, all settled, all committed, and then the
 * store is synced. A stage that goes no further is in nobody's way.
 */
LSP_MUST_CHECK int lsp_resume_store_stage(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const void *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_resume_store_stage_record(
	struct lsp_resume_store *store, const struct lsp_record *record, struct lsp_error *err);
LSP_MUST_CHECK int lsp_resume_store_settle(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, struct lsp_error *err);
LSP_MUST_CHECK int lsp_resume_store_commit(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, struct lsp_error *err);
LSP_MUST_CHECK int lsp_resume_store_sync(struct lsp_resume_store *store, struct lsp_error *err);
/* All parts. Absent is fine. */
LSP_MUST_CHECK int lsp_resume_store_remove(
	struct lsp_resume_store *store, const char *id, struct lsp_error *err);
/*
 * What resume data say, but for how long the torrent has been active, which libtorrent counts on
 * every second: two of the same digest differ in nothing else. Pure.
 */
LSP_MUST_CHECK int lsp_resume_digest(
	const void *data, size_t size, struct lsp_hash *ret_digest, struct lsp_error *err);
/* Sets a part aside. Trouble is logged. */
void lsp_resume_store_quarantine(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const char *reason);
uint64_t lsp_resume_store_quarantined(const struct lsp_resume_store *store);
