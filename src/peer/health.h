/*
 * Health: is everything as it should be, and if not, what is not.
 *
 * "ok", "degraded" with the names of what is (services that wait for a restart or were given up, a
 * limit that does not hold, a games folder that cannot be used), "failed" once a Required service
 * has. A change goes out as health_changed.
 *
 * On the core loop.
 */
#pragma once

#include <jansson.h>

struct lsp_peer;

/* {"state", "degraded"}. A new reference. */
json_t *lsp_health_json(struct lsp_peer *peer);
/* Looks, and tells of a change. */
void lsp_health_check(struct lsp_peer *peer);
