/* What passes is within the limits, and survives being written and read again. */
#include "wire/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lsp_json_limits limits = {
		.size = 65536, .values = 4096, .containers = 1024, .depth = 16};
	_cleanup_json_ json_t *value = NULL, *again = NULL;
	_cleanup_buffer_ struct lsp_buffer text = {0};
	if (lsp_json_parse((const char *)data, size, &limits, &value, NULL) < 0)
		return 0;
	if (lsp_json_append(value, &text, NULL) < 0 || memchr(text.data, '\0', text.size))
		abort();
	const struct lsp_json_limits wide = {
		.size = SIZE_MAX, .values = 4096, .containers = 1024, .depth = 16};
	if (lsp_json_parse((const char *)text.data, text.size, &wide, &again, NULL) < 0 ||
		!json_equal(value, again))
		abort();
	return 0;
}
