/* A torrent of any maker parses or is refused; a manifest made of it is that of its files. */
#include "wire/metainfo.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	if (lsp_metainfo_parse(data, size, &metainfo, NULL) < 0)
		return 0;
	if (metainfo->file_count == 0)
		abort();
	if (lsp_metainfo_manifest(metainfo, "fuzz", &manifest, NULL) == 0 &&
		(manifest->file_count != metainfo->file_count ||
			!lsp_metainfo_is(metainfo, manifest)))
		abort();
	return 0;
}
