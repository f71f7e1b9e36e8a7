/* Whatever the file says, the order of versions stays an order. Two versions, split at a '|'. */
#include "wire/version.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	_cleanup_version_file_ struct lsp_version_file file = {0};
	struct lsp_version again, a, b;
	if (lsp_version_file_parse(text, size, &file, NULL) == 0) {
		const char *version = file.version.text;
		if (lsp_version_parse(version, strlen(version), &again, NULL) < 0 ||
			lsp_version_compare(&file.version, &again) != 0)
			abort();
	}
	const char *bar = size ? memchr(text, '|', size) : NULL;
	if (!bar || lsp_version_parse(text, (size_t)(bar - text), &a, NULL) < 0 ||
		lsp_version_parse(bar + 1, size - (size_t)(bar - text) - 1, &b, NULL) < 0)
		return 0;
	int order = sign(lsp_version_compare(&a, &b));
	if (order != -sign(lsp_version_compare(&b, &a)) ||
		(order == 0) != (strcmp(a.text, b.text) == 0) ||
		sign(lsp_version_compare_text(a.text, b.text)) != order)
		abort();
	return 0;
}
