/* Drives the swarm's state machine on the core loop; lsp_peer_kick (peer.h) is its door. */
#pragma once

#include "base/error.h"

struct lsp_peer;

/* Prepares peer->swarm_timer; peer->swarm and peer->core must be there. On the core loop. */
LSP_MUST_CHECK int lsp_swarm_driver_init(struct lsp_peer *peer, struct lsp_error *err);
