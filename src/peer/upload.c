#include "peer/upload.h"

#include "base/log.h"
#include "peer/block.h"
#include "peer/guard.h"
#include "peer/peer.h"
#include "peer/session_private.h"
#include "peer/share.h"

#include <assert.h>
#include <string.h>

/*
 * Bytes of an upload that may wait in its stream; beyond, reading pauses. What is in memory is read
 * in slices just before it is sent, so that it is still in the cache of this core; what the disk
 * must be asked for is read ahead, in whole blocks, and so are the next some.
 */
#define SLICE (64u << 10)
#define QUEUED_MAX (2 * SLICE)
#define QUEUED_FROM_DISK_MAX (2u * LSP_BLOCK_SIZE)
#define BLOCKS_FROM_DISK 8

/* Uploads of files, which no queue bounds: of one peer, of all. */
#define PEER_FILES_MAX 16
#define FILES_MAX 64

struct lsp_upload {
	struct lsp_peer *peer;
	struct lsp_session *session;     /* NULL once the stream has ended */
	struct lsp_responder *responder; /* NULL likewise */
	struct lsp_share *share;         /* a reference */
	struct lsp_share_reader reader;
	lsp_swarm_id id;              /* in the swarm; 0: not there (any more) */
	struct lsp_swarm_aside aside; /* a file's */

	/* What is to be sent: chunks, or a range of one file. */
	uint32_t chunk, count;
	uint32_t file;
	bool by_file;
	uint64_t offset; /* in the chunk or the file */
	uint64_t left;   /* bytes still to be read */

	bool started, reading;
	unsigned from_disk;     /* so many blocks more are left to the disk threads */
	struct lsp_timer again; /* when the swarm will grant more */
	struct lsp_block_waiter waiter;
	struct lsp_block *block; /* being read into; its size: bytes that were sent of it */
	size_t granted;          /* bytes that are being read */
	size_t charged;          /* of these, what counts against the limits already */
	uint64_t handed_on;      /* bytes that count against the limits and are in the stream */
	struct lsp_job job;
};

static void pump(struct lsp_upload *upload);

static const struct lsp_swarm_aside *aside_of(struct lsp_upload *upload)
{
	upload->aside.game = lsp_share_swarm_game(upload->share);
	return &upload->aside;
}

/* What was granted and does not leave. */
static void give_back(struct lsp_upload *upload, uint64_t bytes)
{
	struct lsp_swarm *swarm = upload->peer->swarm;
	if (upload->by_file)
		lsp_swarm_aside_unused(swarm, aside_of(upload), bytes);
	else
		lsp_swarm_game_unused(swarm, lsp_share_swarm_game(upload->share), bytes);
}

static void upload_free(struct lsp_upload *upload)
{
	give_back(upload, upload->charged);
	lsp_swarm_aside_end(upload->peer->swarm, &upload->aside);
	lsp_timer_done(&upload->again);
	lsp_blocks_cancel_wait(upload->peer->blocks, &upload->waiter);
	lsp_block_give(upload->block);
	lsp_share_reader_done(&upload->reader);
	lsp_share_unref(upload->share);
	free(upload);
}

/* Tells the swarm that it is over, once. */
static void leave_swarm(struct lsp_upload *upload, bool complete)
{
	if (!upload->id)
		return;
	lsp_swarm_upload_end(upload->peer->swarm, upload->id, complete, lsp_peer_now(upload->peer));
	upload->id = 0;
	lsp_peer_kick(upload->peer);
}

/* The stream has ended: with the read that may be running, the last to hold the upload. */
static void gone(void *argument)
{
	struct lsp_upload *upload = argument;
	uint64_t unsent = lsp_responder_unsent(upload->responder);
	give_back(upload, LSP_MIN(unsent, upload->handed_on));
	if (upload->by_file) {
		upload->session->file_uploads--;
		upload->peer->file_uploads--;
	}
	upload->responder = NULL;
	upload->session = NULL;
	leave_swarm(upload, upload->left == 0);
	if (!upload->reading)
		upload_free(upload);
}

static void more(void *argument)
{
	pump(argument);
}

static void grant_again(void *argument)
{
	pump(argument);
}

static void block_ready(struct lsp_block_waiter *waiter)
{
	pump(lsp_container_of(waiter, struct lsp_upload, waiter));
}

static int upload_new(struct lsp_session *session, struct lsp_share *share,
	struct lsp_upload **ret_upload, struct lsp_error *err)
{
	struct lsp_upload *upload = calloc(1, sizeof *upload);
	if (!upload)
		return lsp_error_no_memory(err, "peer");
	upload->peer = lsp_session_peer(session);
	upload->session = session;
	upload->share = lsp_share_ref(share);
	upload->waiter.ready = block_ready;
	lsp_share_reader_init(&upload->reader, share);
	int r = lsp_timer_init(&upload->again, upload->peer->core, grant_again, upload, err);
	if (r < 0) {
		upload_free(upload);
		return r;
	}
	*ret_upload = upload;
	return 0;
}

static void own(struct lsp_upload *upload, struct lsp_responder *responder)
{
	upload->responder = responder;
	lsp_responder_own(responder,
		&(struct lsp_responder_owner){.more = more, .gone = gone, .argument = upload});
}

/* ---- Reading ---- */

static uint64_t chunk_left(const struct lsp_upload *upload)
{
	struct lsp_chunk chunk;
	lsp_manifest_chunk(lsp_share_manifest(upload->share), upload->chunk, &chunk);
	return chunk.size - upload->offset;
}

typedef int (*read_function)(const struct lsp_share_reader *reader, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err);

/* The granted bytes from where the upload stands, over chunk borders. */
static int read_chunks(struct lsp_upload *upload, read_function read, struct lsp_error *err)
{
	uint8_t *to = upload->block->data + upload->block->size;
	int r = 0;
	for (size_t done = 0; done < upload->granted && r == 0;) {
		uint64_t left = chunk_left(upload);
		size_t part = LSP_MIN(upload->granted - done, (size_t)left);
		r = read(&upload->reader, upload->chunk, upload->offset, to + done, part, err);
		done += part;
		upload->offset += part;
		if (part == left) {
			upload->chunk++;
			upload->offset = 0;
		}
	}
	return r;
}

static int read_of_file(struct lsp_upload *upload, struct lsp_error *err)
{
	struct lsp_block *block = upload->block;
	if (!upload->reader.source)
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND, "not here any more");
	int r = lsp_source_read(upload->reader.source, upload->file, upload->offset,
		block->data + block->size, upload->granted, err);
	upload->offset += upload->granted;
	return r;
}

/* On a disk thread. */
static void read_block(struct lsp_job *job)
{
	struct lsp_upload *upload = lsp_container_of(job, struct lsp_upload, job);
	job->result = upload->by_file ? read_of_file(upload, &job->error)
				      : read_chunks(upload, lsp_share_read, &job->error);
}

/* False: the disk must be asked (or it failed, which its thread will find out in its turn). */
static bool read_at_once(struct lsp_upload *upload)
{
	uint32_t chunk = upload->chunk;
	uint64_t offset = upload->offset;
	if (read_chunks(upload, lsp_share_read_now, NULL) == 0)
		return true;
	upload->chunk = chunk;
	upload->offset = offset;
	return false;
}

static void release_block(void *argument)
{
	lsp_block_give(argument);
}

static void fail(struct lsp_upload *upload, const struct lsp_error *error)
{
	/* What is still being fetched moves away when it is complete: that is no trouble. */
	bool moved = upload->reader.stage && error->code == LSP_E_NOT_FOUND;
	enum lsp_log_level level = moved ? LSP_LOG_DEBUG : LSP_LOG_WARNING;
	lsp_log(level, "peer", "cannot serve %s to %s: %s", lsp_share_game(upload->share),
		lsp_session_name(upload->session), error->message);
	leave_swarm(upload, false);
	lsp_responder_abort(upload->responder); /* `gone` follows and frees the upload */
}

static void drop_block(struct lsp_upload *upload)
{
	lsp_block_give(TAKE_PTR(upload->block));
}

/* What was read: off it goes. True: there are more to read. */
static bool send_granted(struct lsp_upload *upload)
{
	struct lsp_block *block = upload->block;
	size_t size = upload->granted;
	const uint8_t *data = block->data + block->size;
	block->size += size;
	upload->left -= size;
	upload->handed_on += upload->charged;
	upload->charged = 0;
	lsp_session_count_sent(upload->session, size);
	lsp_share_traffic(upload->share)->sent += size;
	if (upload->id)
		lsp_swarm_upload_sent(
			upload->peer->swarm, upload->id, size, lsp_peer_now(upload->peer));
	if (!upload->left)
		leave_swarm(upload, true);
	lsp_block_keep(block);
	if (block->size == LSP_BLOCK_SIZE || !upload->left)
		drop_block(upload);
	return lsp_responder_bytes(upload->responder, data, size, release_block, block) &&
	       upload->left;
}

static void block_read(struct lsp_job *job)
{
	struct lsp_upload *upload = lsp_container_of(job, struct lsp_upload, job);
	upload->reading = false;
	if (!upload->responder) { /* the stream ended meanwhile */
		upload_free(upload);
		return;
	}
	if (job->result < 0) {
		drop_block(upload);
		fail(upload, &job->error);
		return;
	}
	if (send_granted(upload))
		pump(upload);
}

/* How many bytes the swarm lets go now. */
static uint64_t ask_for_grant(struct lsp_upload *upload, uint64_t want)
{
	struct lsp_swarm *swarm = upload->peer->swarm;
	lsp_time now = lsp_peer_now(upload->peer), again = LSP_TIME_NEVER;
	uint64_t grant;
	if (upload->by_file)
		grant = lsp_swarm_aside_grant(swarm, aside_of(upload), want, now, &again);
	else if (upload->id)
		grant = lsp_swarm_upload_grant(swarm, upload->id, want, now, &again);
	else
		return want;
	if (!grant)
		lsp_timer_start(&upload->again, again);
	upload->charged = (size_t)grant;
	return grant;
}

static void submit_read(struct lsp_upload *upload)
{
	struct lsp_error err = {0};
	upload->job.work = read_block;
	upload->job.done = block_read;
	upload->reading = true;
	if (lsp_pool_submit(upload->peer->disk, upload->peer->core, &upload->job, &err) == 0)
		return;
	upload->reading = false;
	drop_block(upload);
	fail(upload, &err);
}

/* How many bytes may be read now, with the block for them; 0: none. */
static size_t prepare_read(struct lsp_upload *upload, size_t most, size_t queued_max)
{
	if (lsp_responder_queued(upload->responder) + most > queued_max)
		return 0;
	if (upload->block && upload->block->size + most > LSP_BLOCK_SIZE)
		drop_block(upload);
	if (!upload->block)
		upload->block = lsp_blocks_take(upload->peer->blocks, &upload->waiter);
	if (!upload->block)
		return 0; /* block_ready comes */
	upload->granted = (size_t)ask_for_grant(upload, LSP_MIN(upload->left, (uint64_t)most));
	if (!upload->granted)
		drop_block(upload);
	return upload->granted;
}

/* True: bytes are on their way, and it can go on at once. */
static bool pump_slice(struct lsp_upload *upload)
{
	if (!upload->started || upload->reading || !upload->left || !upload->responder)
		return false;
	if (!upload->from_disk && !upload->by_file) {
		if (!prepare_read(upload, SLICE, QUEUED_MAX))
			return false;
		if (read_at_once(upload))
			return send_granted(upload);
		upload->from_disk = BLOCKS_FROM_DISK;
	} else {
		if (!prepare_read(upload, LSP_BLOCK_SIZE, QUEUED_FROM_DISK_MAX))
			return false;
		upload->from_disk -= upload->from_disk > 0;
	}
	submit_read(upload);
	return false;
}

static void pump(struct lsp_upload *upload)
{
	while (pump_slice(upload))
		;
}

/* ---- Chunks, by way of the swarm ---- */

/* The run that is really here: up to the first chunk that is not, and to the limit of bytes. */
static uint32_t clip(const struct lsp_share *share, lsp_swarm_id game, struct lsp_peer *peer,
	uint64_t first, uint64_t wanted, uint64_t *ret_bytes)
{
	const struct lsp_bitmap *have = lsp_swarm_game_have(peer->swarm, game);
	const struct lsp_manifest *manifest = lsp_share_manifest(share);
	uint32_t count = 0;
	uint64_t bytes = 0;
	while (count < wanted && count < LSP_SWARM_RUN_CHUNKS && have &&
		lsp_bitmap_get(have, first + count)) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(manifest, (uint32_t)(first + count), &chunk);
		if (bytes + chunk.size > LSP_MESSAGE_BYTES_MAX)
			break;
		bytes += chunk.size;
		count++;
	}
	*ret_bytes = bytes;
	return count;
}

static void refuse_unknown(struct lsp_responder *responder, const char *what)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "peer", LSP_E_NOT_FOUND, "%s is not here", what);
	lsp_responder_fail(responder, &err);
}

void lsp_upload_chunks(struct lsp_session *session, struct lsp_responder *responder,
	const struct lsp_get_chunks *request)
{
	struct lsp_peer *peer = lsp_session_peer(session);
	struct lsp_share *share = lsp_shares_find(peer->shares, &request->content);
	uint64_t bytes = 0;
	uint32_t count = share ? clip(share, lsp_share_swarm_game(share), peer, request->first,
					 request->count, &bytes)
			       : 0;
	if (!count) {
		refuse_unknown(responder, share ? "that chunk" : "that content");
		return;
	}
	struct lsp_error err = {0};
	struct lsp_upload *upload;
	if (upload_new(session, share, &upload, &err) < 0) {
		lsp_responder_fail(responder, &err);
		return;
	}
	lsp_guards_serve(peer->guards, session, request->gentle);
	upload->chunk = (uint32_t)request->first;
	upload->count = count;
	upload->left = bytes;
	if (lsp_swarm_upload_add(peer->swarm, lsp_session_swarm_peer(session),
		    lsp_share_swarm_game(share), upload->chunk, count, request->insist, upload,
		    lsp_peer_now(peer), &upload->id, &err) < 0) {
		upload_free(upload);
		lsp_responder_fail(responder, &err);
		return;
	}
	own(upload, responder);
	lsp_peer_kick(peer);
}

static void start(struct lsp_upload *upload)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = upload->left;
	response.bytes.count = upload->count;
	upload->started = true;
	lsp_responder_begin_bytes(upload->responder, &response);
	pump(upload);
}

static void bounce(struct lsp_upload *upload, const struct lsp_swarm_action *action)
{
	static const char *const words[] = {
		[LSP_SWARM_ELSEWHERE] = "elsewhere",
		[LSP_SWARM_BUSY] = "queue",
		[LSP_SWARM_PAUSED] = "paused",
	};
	struct lsp_response response = {.type = LSP_RESPONSE_ERROR};
	response.error.code = LSP_E_BUSY;
	snprintf(response.error.bounce, sizeof response.error.bounce, "%s", words[action->bounce]);
	response.error.has_hint = action->hint != LSP_SWARM_NO_HINT;
	response.error.hint = response.error.has_hint ? action->hint : 0;
	snprintf(response.error.message, sizeof response.error.message, "not now");
	upload->id = 0;
	lsp_responder_send(upload->responder, &response);
}

void lsp_upload_act(struct lsp_upload *upload, const struct lsp_swarm_action *action)
{
	if (!upload->responder)
		return;
	switch (action->kind) {
	case LSP_SWARM_UPLOAD_START:
		start(upload);
		break;
	case LSP_SWARM_UPLOAD_BOUNCE:
		bounce(upload, action);
		break;
	default:
		upload->id = 0;
		lsp_responder_abort(upload->responder);
		break;
	}
}

/* ---- Files, for who asks so ---- */

static struct lsp_share *find_share(
	struct lsp_peer *peer, const struct lsp_hash *content, const char *game)
{
	return lsp_hash_is_zero(content) ? lsp_shares_find_game(peer->shares, game)
					 : lsp_shares_find(peer->shares, content);
}

void lsp_upload_file(struct lsp_session *session, struct lsp_responder *responder,
	const struct lsp_hash *content, const char *game, const char *path, uint64_t offset,
	uint64_t length, bool whole)
{
	struct lsp_peer *peer = lsp_session_peer(session);
	struct lsp_share *share = find_share(peer, content, game);
	const struct lsp_manifest *manifest = share ? lsp_share_manifest(share) : NULL;
	const struct lsp_manifest_file *file =
		manifest && lsp_share_has_source(share) ? lsp_manifest_find(manifest, path) : NULL;
	struct lsp_error err = {0};
	if (!file) {
		refuse_unknown(responder, "that file");
		return;
	}
	if (whole)
		length = file->size;
	if (offset > file->size || length > file->size - offset) {
		lsp_error_set(&err, "peer", LSP_E_INVALID, "\"%s\" has only %llu bytes", path,
			(unsigned long long)file->size);
		lsp_responder_fail(responder, &err);
		return;
	}
	struct lsp_upload *upload;
	if (session->file_uploads >= PEER_FILES_MAX || peer->file_uploads >= FILES_MAX) {
		lsp_responder_put_off(responder);
		return;
	}
	if (upload_new(session, share, &upload, &err) < 0) {
		lsp_responder_fail(responder, &err);
		return;
	}
	lsp_guards_serve(peer->guards, session, false);
	upload->by_file = true;
	upload->aside.peer = lsp_session_swarm_peer(session);
	session->file_uploads++;
	peer->file_uploads++;
	upload->file = (uint32_t)(file - manifest->files);
	upload->offset = offset;
	upload->left = length;
	own(upload, responder);
	start(upload);
}
