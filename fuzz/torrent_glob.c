/* A pattern and a path, split at a line feed: whatever they are, matching ends, and agrees with the
 * check. */
#include "torrent/glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char pattern[512], path[5000];
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	if (!line || (size_t)(line - data) >= sizeof pattern || size >= sizeof path)
		return 0;
	memcpy(pattern, data, (size_t)(line - data));
	pattern[line - data] = '\0';
	memcpy(path, line + 1, size - (size_t)(line - data) - 1);
	path[size - (size_t)(line - data) - 1] = '\0';
	bool matches = lsp_glob_matches(pattern, path);
	if (matches && lsp_glob_check(pattern, NULL) < 0)
		abort();
	return 0;
}
