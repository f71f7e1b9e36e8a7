/* Names of archive entries: what comes out is relative, has no "..", no control character, no root.
 */
#include "install/extract_name.h"
#include "install/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *raw = strndup((const char *)data, size), *path = NULL;
	assert(raw);
	if (lsp_extract_clean_name(raw, 64, &path, NULL) == 0) {
		assert(*path != '/' && strcmp(path, "..") != 0);
		assert(strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
		assert(!strstr(path, "//"));
		for (const char *at = path; *at; at++)
			assert((unsigned char)*at >= 0x20 && *at != 0x7f);
		free(path);
	}
	/* A link that may stay has no ".." behind a name and starts nowhere else. */
	if (lsp_tree_link_stays_inside("a/b", raw))
		assert(*raw != '/' && strncmp(raw, "../../", 6) != 0);
	free(raw);
	return 0;
}
