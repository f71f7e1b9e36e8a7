/* Discovery as a service of the runtime. */
#include "peer/runtime_private.h"

int lsp_runtime_start_discovery(struct lsp_runtime *runtime,
	const struct lanspread_options *options, struct lsp_error *err)
{
	return 0;
}
