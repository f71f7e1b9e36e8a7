/*
 * The ping guard at work: bulk leaves no queue on a line that a game shares with it.
 *
 * It is engaged where somebody minds. A machine sees by the kernel's counters that another program
 * of its own sends or receives tens of datagrams a second (net/others.h): then what it sends is
 * paced on every path, and what it asks for is asked for as `gentle`, which makes the other side
 * pace that path too. So a gamer's uplink is guarded by the gamer's machine, and the downlink by
 * those who send to it. Where nobody plays, the swarm runs without it: many machines that send to
 * each other on full lines would each take the others' queues for their own.
 *
 * Each session has two controllers (swarm/ping_guard.h). The one for what we send is fed with the
 * connection's round trips and with the bytes that were acknowledged; what it allows is the
 * connection's send limit, so packets are paced where they leave, above the stream writes. The one
 * for what we fetch is the second line, for senders that do not guard: its target is higher, it is
 * fed with the smoothed round trip (the peer's delay of acknowledgements taken out; a receiver has
 * few samples), and it paces our requests.
 *
 * Others are looked for while bulk moves, once a second while nothing does, and at the moment when
 * the first request is sent or comes: so the first byte of a download is guarded already.
 *
 * Looks at the paths come every 5 ms while bulk moves on an engaged path, and not at all otherwise.
 * When they end, every path is let go: what is asked for next is not held to a rate of before.
 * While an engaged path has bytes to send they do not end, also when nothing gets through for a
 * while or the line is a slow one: what goes on by itself then is guarded. A look that is late
 * itself tells nothing about the line and is passed over. Paths over loopback have no line. The
 * setting ping_guard switches it all off.
 *
 * On the core loop.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "swarm/ping_guard.h"

#include <stdbool.h>

struct lsp_guards;
struct lsp_peer;
struct lsp_session;

/* A session's part. Zero-initialised is ready. */
struct lsp_guard {
	struct lsp_ping_guard up, down;
	uint64_t acked, received;    /* wire bytes at the last look */
	uint64_t stream_received;    /* streams' bytes at the last look */
	uint64_t up_rate, down_rate; /* as they were set; 0: none */
	bool up_engaged, down_engaged;
	bool up_kept, down_kept; /* let go, but what was learned still holds */
	bool gentle;             /* its last request asked us to be gentle */
	lsp_time gentle_until;   /* it did, of late or with what is still on its way */
};

LSP_MUST_CHECK int lsp_guards_new(
	struct lsp_peer *peer, struct lsp_guards **ret_guards, struct lsp_error *err);
/* No more looks. On the loop, before it ends; then the rest is freed, from anywhere. */
void lsp_guards_stop(struct lsp_guards *guards);
void lsp_guards_free(struct lsp_guards *guards);
/* Off: every path is free again. */
void lsp_guards_switch(struct lsp_guards *guards, bool on);
/* Before bulk is asked for there; true: the request is to be `gentle`. */
bool lsp_guards_ask(struct lsp_guards *guards, struct lsp_session *session);
/* Before bulk is served there; gentle: the request said so. */
void lsp_guards_serve(struct lsp_guards *guards, struct lsp_session *session, bool gentle);
/* Every 100 ms: is somebody there, and does bulk move? */
void lsp_guards_tick(struct lsp_guards *guards);
