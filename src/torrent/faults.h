/*
 * The faults of the engine, of which its health is made: which components are degraded, and why.
 *
 * Some components are one thing (the session), others are as many things as there are torrents or
 * trackers: a cause is a component and a key, and a component is degraded as long as it has a
 * cause. Each cause goes by its own matching success and by nothing else.
 *
 * Pure. One owner, one thread.
 */
#pragma once

#include "torrent/engine.h"

struct lsp_faults {
	json_t *causes[LSP_TORRENT_COMPONENT_COUNT]; /* key → true */
};

LSP_MUST_CHECK int lsp_faults_init(struct lsp_faults *faults, struct lsp_error *err);
void lsp_faults_done(struct lsp_faults *faults);
/* True when the set of degraded components is another than before. */
bool lsp_faults_fail(
	struct lsp_faults *faults, enum lsp_torrent_component component, const char *key);
bool lsp_faults_clear(
	struct lsp_faults *faults, enum lsp_torrent_component component, const char *key);
/* Every cause whose key is `prefix` or begins with it and a space: a torrent is gone. */
bool lsp_faults_clear_prefix(struct lsp_faults *faults, const char *prefix);
uint32_t lsp_faults_degraded(const struct lsp_faults *faults);
bool lsp_faults_has(
	const struct lsp_faults *faults, enum lsp_torrent_component component, const char *key);
