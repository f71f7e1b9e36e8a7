#include "torrent/watchdog.h"

void lsp_watchdog_set(struct lsp_watchdog *watchdog, uint64_t cap, lsp_time now)
{
	watchdog->cap = cap;
	watchdog->first = UINT64_MAX; /* taken when the grace is over */
	watchdog->since = lsp_time_add(now, LSP_WATCHDOG_GRACE);
	if (cap == 0)
		watchdog->stale = false;
}

enum lsp_watchdog_verdict lsp_watchdog_look(
	struct lsp_watchdog *watchdog, uint64_t total, lsp_time now, uint64_t *ret_rate)
{
	if (watchdog->cap == 0 || now < watchdog->since)
		return LSP_WATCHDOG_SAME;
	if (watchdog->first == UINT64_MAX || total < watchdog->first) {
		watchdog->first = total;
		watchdog->since = now;
		return LSP_WATCHDOG_SAME;
	}
	uint64_t span = now - watchdog->since;
	if (span < LSP_WATCHDOG_WINDOW)
		return LSP_WATCHDOG_SAME;
	double seconds = (double)span / 1e9;
	double passed = (double)(total - watchdog->first);
	double most = seconds + LSP_WATCHDOG_BURST / 1e9;
	double allowed = (double)watchdog->cap * most * 1.1 + LSP_WATCHDOG_BLOCKS;
	bool was_stale = watchdog->stale;
	watchdog->stale = passed > allowed;
	watchdog->first = total;
	watchdog->since = now;
	*ret_rate = (uint64_t)(passed / seconds);
	if (watchdog->stale)
		return LSP_WATCHDOG_STALE;
	return was_stale ? LSP_WATCHDOG_HOLDS : LSP_WATCHDOG_SAME;
}
