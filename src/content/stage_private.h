/*
 * Inside a stage; for stage*.c alone.
 *
 * A chunk that is being written has a claim. Its *owner* (a writer or a fill) writes to the file;
 * one more writer may stand behind it as a *second*, collecting in memory. The second that ends
 * first revokes the owner: it waits until no write of the owner's is under way (the owner looks at
 * `revoked` under the lock before each) and then writes itself. So nothing that was verified is
 * ever overwritten by somebody slower.
 */
#pragma once

#include "content/file_cache.h"
#include "content/hasher.h"
#include "content/stage.h"
#include "content/stage_map.h"

#include <pthread.h>
#include <stdatomic.h>

#define LSP_STAGE_FILES "files"
#define LSP_STAGE_MANIFEST "manifest"
#define LSP_STAGE_KEPT "kept"
#define LSP_STAGE_LOCALS_MAX 8

struct lsp_stage_claim {
	struct lsp_stage_claim *next;
	uint32_t chunk;
	bool owned;   /* there is an owner */
	bool second;  /* there is a second */
	bool revoked; /* the owner may not write any more */
	bool writing; /* the owner is in a write, outside the lock */
};

/* A local folder that reuse was told of. */
struct lsp_stage_local {
	int dir_fd;
	const struct lsp_manifest *manifest;
};

struct lsp_stage {
	_Atomic unsigned refs;

	/* immutable once lsp_stage_prepare is done */
	const struct lsp_manifest *manifest;
	int game_fd;
	int stage_fd;
	int files_fd;
	int map_fd; /* −1 before prepare */
	char boot[LSP_BOOT_ID_SIZE + 1];
	struct lsp_file_cache *readers;

	pthread_mutex_t lock;       /* guards everything below */
	pthread_cond_t write_ended; /* and sync ended */
	struct lsp_bitmap done;     /* what counts: staged, or in a kept file */
	struct lsp_bitmap staged;   /* verified in the stage's own files: what the maps say */
	struct lsp_bitmap doubtful;
	struct lsp_bitmap map_dirty; /* bytes of `chunks` to write */
	bool map_writing;            /* a thread is at it */
	uint64_t left_bytes;
	struct lsp_bitmap kept; /* files left where they are */
	struct lsp_file_stamp *kept_stamps;
	struct lsp_bitmap dirty; /* files written since the last sync */
	uint64_t unsynced;
	bool syncing; /* one at a time: a second would believe what the first has not synced yet */
	struct lsp_stage_claim *claims;
	struct lsp_stage_local locals[LSP_STAGE_LOCALS_MAX];
	unsigned local_count;
	bool moving;             /* a commit moves the files to their places */
	struct lsp_error broken; /* code 0: it is not */
};

/* 0, or the error that ended this stage object. */
LSP_MUST_CHECK int lsp_stage_check(struct lsp_stage *stage, struct lsp_error *err);
/* Sets that error (the first one stays); returns its code. */
int lsp_stage_break(struct lsp_stage *stage, const struct lsp_error *why);

/* A staged file for writing and reading, made if need be; never one with other names. */
LSP_MUST_CHECK int lsp_stage_open_file(
	struct lsp_stage *stage, uint32_t file, int *ret_fd, struct lsp_error *err);

/* The chunk counts from now on, here and in `chunks`. */
LSP_MUST_CHECK int lsp_stage_mark(struct lsp_stage *stage, uint32_t chunk, struct lsp_error *err);
/* Bytes went to the file of this chunk. */
void lsp_stage_wrote(struct lsp_stage *stage, uint32_t file, uint64_t bytes);

/* Becomes the owner of a chunk that nobody has; with may_follow, else the second (*ret_owner). */
LSP_MUST_CHECK int lsp_stage_claim_take(struct lsp_stage *stage, uint32_t chunk, bool may_follow,
	bool *ret_owner, struct lsp_error *err);
void lsp_stage_claim_release(struct lsp_stage *stage, uint32_t chunk, bool owner);
/* Around each write of the owner's; false: revoked. */
bool lsp_stage_claim_begin_write(struct lsp_stage *stage, uint32_t chunk);
void lsp_stage_claim_end_write(struct lsp_stage *stage, uint32_t chunk);
/* The second takes over; false: the chunk is verified already. */
bool lsp_stage_claim_revoke(struct lsp_stage *stage, uint32_t chunk);

/* Stage files and their folders to the disk, all of them (commit) or those that changed. */
LSP_MUST_CHECK int lsp_stage_sync_all(struct lsp_stage *stage, struct lsp_error *err);
/* Is this file left in place, and as it was? */
bool lsp_stage_is_kept(struct lsp_stage *stage, uint32_t file);
LSP_MUST_CHECK int lsp_stage_save_kept(struct lsp_stage *stage, struct lsp_error *err);
