/*
 * The runtime of a peer: what starts in which order, who watches whom, and how it all ends.
 *
 * Start (on the caller's thread, lanspread_start): the state folder and its lock, the settings, the
 * identity, the catalogue; then the core loop and the pools; then the library with its first quick
 * scan, which may fail (that is said, and the peer starts without); then QUIC; then discovery,
 * behind the back of the caller. A failure on the way takes down what stands, in reverse.
 *
 * Services: quic (Required), discovery and liveness (Restart after 5 s), library-monitor
 * (BestEffort). A Required one that fails is told to every client (runtime_failed) and cancels the
 * root token; the core loop, goodbyes and event streams end after that, in this order.
 *
 * Stop: the root token is cancelled, from anywhere. The task "runtime" sees it and has the core
 * loop refuse new commands, say goodbye to every peer, stop the operations and end the services; it
 * waits until nothing runs on the loop any more, sends the last events, closes the streams, joins
 * every task by one deadline, and leaves the exit status behind. Two seconds, whatever was going
 * on; a task that is still there then is named in the exit message.
 */
#pragma once

#include "peer/peer.h"

#include <lanspread/lanspread.h>

#define LSP_RUNTIME_STOP_DEADLINE (1800 * LSP_MILLISECOND)

struct lsp_runtime;

/* Copies what it needs of the options. Blocks until the peer serves. */
LSP_MUST_CHECK int lsp_runtime_start(const struct lanspread_options *options,
	struct lsp_runtime **ret_runtime, struct lsp_error *err);
/* Waits for the end without a limit, and frees. The root token must be cancelled. */
void lsp_runtime_free(struct lsp_runtime *runtime);

struct lsp_peer *lsp_runtime_peer(struct lsp_runtime *runtime);
/* Asks it to stop, from every thread; the first reason counts. */
void lsp_runtime_stop(struct lsp_runtime *runtime, enum lsp_cancel_kind kind, const char *text);
/* 0 with the exit status once it has stopped; -LSP_E_TIMEOUT. deadline: the machine's clock. */
LSP_MUST_CHECK int lsp_runtime_wait(struct lsp_runtime *runtime, lsp_time deadline,
	struct lanspread_exit *ret_exit, struct lsp_error *err);
/* Services for status. */
struct lsp_supervisor *lsp_runtime_supervisor(struct lsp_runtime *runtime);
/* The settings. On the core loop. */
struct lsp_config *lsp_runtime_config(struct lsp_runtime *runtime);
/* Where its page is, without the token; NULL: none. Set once by lanspread_serve_http. */
const char *lsp_runtime_http_url(struct lsp_runtime *runtime);
void lsp_runtime_set_http_url(struct lsp_runtime *runtime, const char *url);
/* A fault for tests: the QUIC service fails now. On the core loop. */
void lsp_runtime_fail_quic(struct lsp_runtime *runtime, const char *why);
/* Settings changed: bit 1 << id of each. On the core loop. */
void lsp_runtime_settings_changed(struct lsp_runtime *runtime, uint32_t changed);
