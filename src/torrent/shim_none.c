/* A build without libtorrent. */
#include "torrent/shim.h"

const struct lsp_shim_functions *lsp_shim_libtorrent(void)
{
	return NULL;
}
