/* Lines of lanspread-discover, which handles what strangers multicast: nothing crashes the daemon.
 */
#include "net/discovery.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lsp_discovery_event event = {0};
	struct lsp_error err = {0};
	if (lsp_discovery_parse((const char *)data, size, &event, &err) == 0) {
		bool placed =
			event.type == LSP_DISCOVERY_FOUND || event.type == LSP_DISCOVERY_RESOLVED;
		if (placed && (!event.port || !event.address.ss_family))
			abort();
	}
	return 0;
}
