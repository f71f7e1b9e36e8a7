/* A torrent's meta.json: what is accepted is written and read again as the same. */
#include "torrent/record.h"
#include "torrent/selection.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char id[] = "0123456789abcdef0123456789abcdef01234567";
	struct lsp_record record, again;
	_cleanup_buffer_ struct lsp_buffer text = {0};
	_cleanup_free_ const char **urls = NULL;
	_cleanup_free_ int32_t *tiers = NULL;
	size_t count;
	if (lsp_torrent_record_decode(data, size, id, &record, NULL) < 0)
		return 0;
	(void)lsp_selection_priority(record.json, "base/maps.pak");
	if (lsp_torrent_record_flatten(record.trackers, &urls, &tiers, &count, NULL) < 0 ||
		lsp_torrent_record_encode(&record, &text, NULL) < 0 ||
		lsp_torrent_record_decode(text.data, text.size, id, &again, NULL) < 0 ||
		!json_equal(record.json, again.json))
		abort();
	lsp_torrent_record_done(&record);
	lsp_torrent_record_done(&again);
	return 0;
}
