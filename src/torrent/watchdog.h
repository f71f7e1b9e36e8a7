/*
 * The limits watchdog: does a cap hold?
 *
 * libtorrent takes a limit without a word and may not keep it (peers of a local network used to
 * escape it), so two things are looked at: what the settings read back, and what really passed. A
 * struct watches one cap in one direction. After a change there are two seconds of grace; then
 * payload is compared with the cap over windows of six seconds. libtorrent hands a fast peer up to
 * two seconds' worth at once, so that much more may fall into a window, and a tenth on top.
 *
 * Pure: the caller gives time and counts. One owner.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define LSP_WATCHDOG_GRACE (2 * LSP_SECOND)
#define LSP_WATCHDOG_WINDOW (6 * LSP_SECOND)
#define LSP_WATCHDOG_BURST (2 * LSP_SECOND)
#define LSP_WATCHDOG_BLOCKS (256 * 1024) /* bytes: requests that were on their way */

struct lsp_watchdog {
	uint64_t cap; /* bytes a second; 0: none */
	uint64_t first;
	lsp_time since; /* when the window began; 0: no window yet */
	bool stale;     /* the cap does not hold */
};

enum lsp_watchdog_verdict { LSP_WATCHDOG_SAME, LSP_WATCHDOG_STALE, LSP_WATCHDOG_HOLDS };

/* Another cap is in effect from now on. */
void lsp_watchdog_set(struct lsp_watchdog *watchdog, uint64_t cap, lsp_time now);
/*
 * total: payload bytes so far, of all time. STALE at the end of each window that was over (and
 * *ret_rate, bytes a second), HOLDS when one is in order again after that.
 */
enum lsp_watchdog_verdict lsp_watchdog_look(
	struct lsp_watchdog *watchdog, uint64_t total, lsp_time now, uint64_t *ret_rate);
