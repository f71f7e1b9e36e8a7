/* A path that is accepted leads down, has a key, and a label is always clean and within its size.
 */
#include "wire/path.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *path, size_t size)
{
	_cleanup_free_ char *key = NULL, *copy = strndup(path, size);
	if (lsp_path_check(path, size, NULL) < 0)
		return;
	if (!copy || strlen(copy) != size || size == 0 || copy[0] == '/' ||
		strncmp(copy, "../", 3) == 0 || strstr(copy, "/../") || strchr(copy, '\\') ||
		lsp_path_is_private(copy))
		abort();
	if (lsp_path_key(path, size, &key, NULL) < 0 || lsp_path_compare(copy, copy) != 0)
		abort();
}

static void check_label(const char *text, size_t size)
{
	char label[LSP_LABEL_MAX + 1], again[LSP_LABEL_MAX + 1];
	lsp_label_clean(text, size, label, LSP_LABEL_MAX);
	if (strlen(label) > LSP_LABEL_MAX)
		abort();
	lsp_label_clean(label, strlen(label), again, LSP_LABEL_MAX);
	if (strcmp(label, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	check_path(text, size);
	check_label(text, size);
	if (lsp_game_id_check(text, size, NULL) == 0 &&
		(size > LSP_GAME_ID_MAX || lsp_path_check_name(text, size, NULL) < 0))
		abort();
	return 0;
}
