#include "peer/serve_disk.h"

#include "base/buffer.h"
#include "base/log.h"
#include "peer/exchange.h"
#include "peer/guard.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/session_private.h"
#include "wire/merkle.h"

#include <stdatomic.h>
#include <string.h>

/* Bytes of answers in memory, of all peers and of one; one answer alone may be larger. */
#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define PEER_ANSWER_BYTES_MAX ((size_t)96 << 20)
#define PEER_ANSWERS_MAX 64

#define RECHECK_PAUSE (60 * LSP_SECOND) /* before the next look at the same content */

/* One answer in the making. */
struct answer {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_session *session;     /* NULL: its stream has ended */
	struct lsp_responder *responder; /* NULL likewise */
	atomic_bool unwanted;            /* likewise, for the disk thread */
	size_t size;                     /* what it will take in memory, at most */
	bool limited;                    /* its bytes count against the game's limits */
	size_t charged;                  /* so many do, and may be given back */
	struct lsp_swarm_aside aside;    /* likewise */
	int (*make)(struct answer *answer, struct lsp_error *err);
	struct lsp_share *share;
	struct lsp_share_reader reader;
	const struct lsp_manifest *manifest;
	uint32_t first, count;
	struct lsp_block_run *runs;
	size_t run_count;
	char game[LSP_GAME_ID_MAX + 1];
	char media[LSP_WORD_MAX + 1];
	struct lsp_buffer bytes;
	bool working;
	bool given; /* to its stream, to be sent */
};

static const struct lsp_swarm_aside *aside_of(struct answer *answer)
{
	answer->aside.game = lsp_share_swarm_game(answer->share);
	return &answer->aside;
}

/* So many bytes of it leave, or have left: what more was charged is given back. */
static void settle(struct answer *answer, size_t leaving)
{
	size_t unused = answer->charged - LSP_MIN(leaving, answer->charged);
	if (unused)
		lsp_swarm_aside_unused(answer->peer->swarm, aside_of(answer), unused);
	answer->charged -= unused;
}

static void answer_free(struct answer *answer)
{
	answer->peer->answer_bytes -= answer->size;
	settle(answer, 0);
	lsp_swarm_aside_end(answer->peer->swarm, &answer->aside);
	lsp_share_reader_done(&answer->reader);
	lsp_share_unref(answer->share);
	lsp_manifest_unref(answer->manifest);
	lsp_buffer_done(&answer->bytes);
	free(answer->runs);
	free(answer);
}

static void gone(void *argument)
{
	struct answer *answer = argument;
	if (answer->given) {
		uint64_t unsent = lsp_responder_unsent(answer->responder);
		settle(answer, answer->charged - (size_t)LSP_MIN(unsent, answer->charged));
		answer->charged = 0;
	}
	answer->session->answers--;
	answer->session->answer_bytes -= answer->size;
	answer->session = NULL;
	answer->responder = NULL;
	atomic_store(&answer->unwanted, true);
	if (!answer->working)
		answer_free(answer);
}

static void work(struct lsp_job *job)
{
	struct answer *answer = lsp_container_of(job, struct answer, job);
	job->result = answer->make(answer, &job->error);
}

static void nothing(void *argument)
{
}

static void done(struct lsp_job *job)
{
	struct answer *answer = lsp_container_of(job, struct answer, job);
	answer->working = false;
	if (!answer->responder) {
		answer_free(answer);
		return;
	}
	if (job->result < 0) {
		settle(answer, 0);
		lsp_responder_fail(answer->responder, &job->error);
		return; /* `gone` frees it */
	}
	if (answer->limited) {
		settle(answer, answer->bytes.size);
		lsp_session_count_sent(answer->session, answer->bytes.size);
		lsp_share_traffic(answer->share)->sent += answer->bytes.size;
	}
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = answer->bytes.size;
	memcpy(response.bytes.media, answer->media, sizeof answer->media);
	answer->given = true;
	lsp_responder_begin_bytes(answer->responder, &response);
	if (answer->bytes.size)
		(void)lsp_responder_bytes(answer->responder, answer->bytes.data, answer->bytes.size,
			nothing, NULL); /* the bytes live until `gone` */
}

static bool has_room(const struct lsp_session *session, size_t size)
{
	size_t all = session->peer->answer_bytes, its = session->answer_bytes;
	return session->answers < PEER_ANSWERS_MAX && (!all || all + size <= ANSWER_BYTES_MAX) &&
	       (!its || its + size <= PEER_ANSWER_BYTES_MAX);
}

static bool admit(struct answer *answer)
{
	struct lsp_peer *peer = answer->peer;
	if (answer->limited) {
		if (!lsp_swarm_aside_admit(
			    peer->swarm, aside_of(answer), answer->size, lsp_peer_now(peer)))
			return false;
		answer->charged = answer->size;
	}
	return true;
}

/* Takes over wanted->runs. */
static void start(struct lsp_session *session, struct lsp_responder *responder,
	struct lsp_share *share, const struct answer *wanted)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_error err = {0};
	if (!has_room(session, wanted->size)) {
		free(wanted->runs);
		lsp_responder_put_off(responder);
		return;
	}
	struct answer *answer = malloc(sizeof *answer);
	if (!answer) {
		free(wanted->runs);
		lsp_error_no_memory(&err, "peer");
		lsp_responder_fail(responder, &err);
		return;
	}
	*answer = *wanted;
	answer->peer = peer;
	answer->aside.peer = lsp_session_swarm_peer(session);
	peer->answer_bytes += answer->size;
	if (share) {
		answer->share = lsp_share_ref(share);
		answer->manifest = lsp_manifest_ref(lsp_share_manifest(share));
		lsp_share_reader_init(&answer->reader, share);
	}
	answer->job.work = work;
	answer->job.done = done;
	if (!admit(answer)) {
		answer_free(answer);
		lsp_responder_put_off(responder);
		return;
	}
	if (lsp_pool_submit(peer->disk, peer->core, &answer->job, &err) < 0) {
		answer_free(answer);
		lsp_responder_fail(responder, &err);
		return;
	}
	answer->working = true;
	answer->session = session;
	answer->responder = responder;
	session->answers++;
	session->answer_bytes += answer->size;
	lsp_responder_own(
		responder, &(struct lsp_responder_owner){.gone = gone, .argument = answer});
}

/* The share with that content; answers the request itself when there is none. */
static struct lsp_share *find(struct lsp_session *session, struct lsp_responder *responder,
	const struct lsp_hash *content)
{
	struct lsp_share *share = lsp_shares_find(session->peer->shares, content);
	if (!share) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "peer", LSP_E_NOT_FOUND, "that content is not here");
		lsp_responder_fail(responder, &err);
	}
	return share;
}

/* ---- Manifests ---- */

static int make_manifest(struct answer *answer, struct lsp_error *err)
{
	return lsp_manifest_serialize(answer->manifest, &answer->bytes, err);
}

void lsp_serve_manifest(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_share *share = find(session, responder, &request->get_content.content);
	if (!share)
		return;
	const struct lsp_manifest *manifest = lsp_share_manifest(share);
	size_t size = manifest->info_size + (size_t)manifest->chunk_count * LSP_SHA256_SIZE;
	start(session, responder, share, &(struct answer){.make = make_manifest, .size = size});
}

/* ---- Leaves and their hashes ---- */

/* The whole of a chunk, and what its leaves hash to. */
static int read_chunk(
	struct answer *answer, uint32_t index, struct lsp_buffer *ret_bytes, struct lsp_error *err)
{
	struct lsp_chunk chunk;
	lsp_manifest_chunk(answer->manifest, index, &chunk);
	lsp_buffer_reset(ret_bytes);
	int r = lsp_buffer_reserve(ret_bytes, chunk.size, err);
	if (r == 0)
		r = lsp_share_read(&answer->reader, index, 0, ret_bytes->data, chunk.size, err);
	if (r == 0)
		ret_bytes->size = chunk.size;
	return r;
}

static int make_hashes(struct answer *answer, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	struct lsp_buffer *hashes = &answer->bytes;
	for (uint32_t i = 0; i < answer->count; i++) {
		if (atomic_load(&answer->unwanted))
			return lsp_error_set(err, "peer", LSP_E_CANCELLED, "nobody waits for it");
		int r = read_chunk(answer, answer->first + i, &bytes, err);
		size_t size = (size_t)lsp_merkle_leaf_count(bytes.size) * LSP_SHA256_SIZE;
		if (r == 0)
			r = lsp_buffer_reserve(hashes, size, err);
		if (r < 0)
			return r;
		lsp_merkle_hash_leaves(
			bytes.data, bytes.size, (struct lsp_hash *)(hashes->data + hashes->size));
		hashes->size += size;
	}
	return 0;
}

static void refuse_range(struct lsp_responder *responder)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "peer", LSP_E_INVALID, "the content has no such chunks");
	lsp_responder_fail(responder, &err);
}

void lsp_serve_hashes(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	const struct lsp_get_hashes *get = &request->get_hashes;
	struct lsp_share *share = find(session, responder, &get->content);
	if (!share)
		return;
	const struct lsp_manifest *manifest = lsp_share_manifest(share);
	uint64_t leaves = manifest->piece_length / LSP_LEAF_SIZE;
	if (get->first >= manifest->chunk_count ||
		get->count > manifest->chunk_count - get->first) {
		refuse_range(responder);
		return;
	}
	uint64_t size = get->count * leaves * LSP_SHA256_SIZE;
	if (size > LSP_MESSAGE_HASHES_MAX ||
		(get->count > 1 && get->count * manifest->piece_length > LSP_MESSAGE_BYTES_MAX)) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "peer", LSP_E_TOO_LARGE, "too many hashes for one request");
		lsp_responder_fail(responder, &err);
		return;
	}
	start(session, responder, share,
		&(struct answer){.make = make_hashes,
			.size = (size_t)size + manifest->piece_length, /* it reads a chunk */
			.first = (uint32_t)get->first,
			.count = (uint32_t)get->count});
}

static int make_blocks(struct answer *answer, struct lsp_error *err)
{
	for (size_t i = 0; i < answer->run_count; i++) {
		const struct lsp_block_run *run = &answer->runs[i];
		struct lsp_chunk chunk;
		if (atomic_load(&answer->unwanted))
			return lsp_error_set(err, "peer", LSP_E_CANCELLED, "nobody waits for it");
		lsp_manifest_chunk(answer->manifest, run->chunk, &chunk);
		uint64_t begin = (uint64_t)run->first * LSP_LEAF_SIZE;
		uint64_t end = begin + (uint64_t)run->count * LSP_LEAF_SIZE;
		size_t size = (size_t)(LSP_MIN(end, (uint64_t)chunk.size) - begin);
		int r = lsp_buffer_reserve(&answer->bytes, size, err);
		if (r == 0)
			r = lsp_share_read(&answer->reader, run->chunk, begin,
				answer->bytes.data + answer->bytes.size, size, err);
		if (r < 0)
			return r;
		answer->bytes.size += size;
	}
	return 0;
}

static bool runs_fit(
	const struct lsp_manifest *manifest, const struct lsp_get_blocks *get, size_t *ret_leaves)
{
	size_t leaves = 0;
	for (size_t i = 0; i < get->run_count; i++) {
		const struct lsp_block_run *run = &get->runs[i];
		struct lsp_chunk chunk;
		if (run->chunk >= manifest->chunk_count)
			return false;
		lsp_manifest_chunk(manifest, run->chunk, &chunk);
		if (run->first >= chunk.leaf_count || run->count > chunk.leaf_count - run->first)
			return false;
		leaves += run->count;
	}
	*ret_leaves = leaves;
	return true;
}

void lsp_serve_blocks(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_get_blocks *get = &request->get_blocks;
	struct lsp_share *share = find(session, responder, &get->content);
	if (!share)
		return;
	lsp_guards_serve(lsp_session_peer(session)->guards, session, get->gentle);
	size_t leaves;
	if (!runs_fit(lsp_share_manifest(share), get, &leaves)) {
		refuse_range(responder);
		return;
	}
	start(session, responder, share,
		&(struct answer){.make = make_blocks,
			.size = leaves * LSP_LEAF_SIZE,
			.limited = true,
			.runs = TAKE_PTR(get->runs),
			.run_count = get->run_count});
	get->run_count = 0;
}

/* ---- Covers
 * ------------------------------------------------------------------------------------------------
 */

static int make_cover(struct answer *answer, struct lsp_error *err)
{
	return lsp_local_read_cover(answer->peer, answer->game, &answer->bytes, answer->media,
		sizeof answer->media, err);
}

void lsp_serve_cover(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct answer wanted = {.make = make_cover, .size = LSP_MESSAGE_COVER_MAX};
	snprintf(wanted.game, sizeof wanted.game, "%s", request->get_game.id);
	start(session, responder, NULL, &wanted);
}

/* ---- A second look ---- */

struct recheck {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_share *share;
	struct lsp_source *source;
	uint32_t chunk;
	struct lsp_bitmap wrong;
};

static void recheck_work(struct lsp_job *job)
{
	struct recheck *recheck = lsp_container_of(job, struct recheck, job);
	job->result = lsp_source_recheck(
		recheck->source, recheck->chunk, recheck->peer->root, &recheck->wrong, &job->error);
}

static void recheck_free(struct recheck *recheck)
{
	lsp_bitmap_done(&recheck->wrong);
	lsp_source_unref(recheck->source);
	lsp_share_unref(recheck->share);
	free(recheck);
}

static void recheck_done(struct lsp_job *job)
{
	struct recheck *recheck = lsp_container_of(job, struct recheck, job);
	struct lsp_peer *peer = recheck->peer;
	lsp_swarm_id game = lsp_share_swarm_game(recheck->share);
	size_t count = recheck->wrong.set;
	if (job->result < 0)
		lsp_log_warning("peer", "cannot look at %s again: %s",
			lsp_share_game(recheck->share), job->error.message);
	if (game && count) {
		for (size_t i = lsp_bitmap_next_set(&recheck->wrong, 0); i < recheck->wrong.bits;
			i = lsp_bitmap_next_set(&recheck->wrong, i + 1))
			lsp_swarm_game_lost(peer->swarm, game, (uint32_t)i, 1);
		lsp_peer_warn(peer,
			"%zu chunks of %s are damaged on this disk and are not served any more: "
			"run `lanspread verify %s`",
			count, lsp_share_game(recheck->share), lsp_share_game(recheck->share));
		lsp_local_recheck(peer, lsp_share_game(recheck->share), NULL, NULL);
		lsp_peer_kick(peer);
	}
	lsp_share_end_recheck(recheck->share, lsp_peer_now(peer) + RECHECK_PAUSE);
	recheck_free(recheck);
}

bool lsp_serve_recheck(struct lsp_peer *peer, struct lsp_share *share, uint32_t chunk)
{
	struct lsp_source *source = lsp_share_source(share);
	struct lsp_error err = {0};
	if (!source)
		return false; /* a download: what is staged was verified, the copy on its way not */
	struct recheck *recheck = calloc(1, sizeof *recheck);
	if (!recheck || !lsp_share_begin_recheck(share, lsp_peer_now(peer))) {
		free(recheck);
		return false;
	}
	recheck->peer = peer;
	recheck->share = lsp_share_ref(share);
	recheck->source = lsp_source_ref(source);
	recheck->chunk = chunk;
	recheck->job.work = recheck_work;
	recheck->job.done = recheck_done;
	int r = lsp_bitmap_init(&recheck->wrong, lsp_share_manifest(share)->chunk_count, &err);
	if (r == 0)
		r = lsp_pool_submit(peer->prepare, peer->core, &recheck->job, &err);
	if (r < 0) {
		lsp_share_end_recheck(share, 0);
		recheck_free(recheck);
	}
	return r == 0;
}
