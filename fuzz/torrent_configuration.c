/* The torrent engine's configuration: what is accepted can be told to a session, at every time of
 * day. */
#include "torrent/configuration.h"

#include "base/clock.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_settings(const struct lsp_configuration *configuration)
{
	for (size_t i = 0; i < configuration->count; i++) {
		const struct lsp_shim_setting *setting = &configuration->settings[i];
		if (setting->number > INT32_MAX || setting->number < INT32_MIN ||
			(setting->kind == LSP_SHIM_TEXT && !setting->text))
			abort();
		for (size_t k = 0; k < i; k++)
			if (strcmp(configuration->settings[k].name, setting->name) == 0)
				abort(); /* the later one would hide the other */
	}
	for (size_t i = 0; i < configuration->range_count; i++)
		if (!*configuration->ranges[i][0] || !*configuration->ranges[i][1])
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_t *json = NULL;
	_cleanup_configuration_ struct lsp_configuration configuration = {0};
	uint32_t download, upload;
	if (lsp_json_parse((const char *)data, size, &lsp_json_limits_peer, &json, NULL) < 0 ||
		lsp_configuration_parse(json, &configuration, NULL) < 0)
		return 0;
	check_settings(&configuration);
	for (uint64_t hour = 0; hour < UINT64_C(7 * 24); hour++) {
		lsp_configuration_limits(
			&configuration, hour * 3600 * LSP_SECOND, &download, &upload);
		if (download > INT32_MAX || upload > INT32_MAX)
			abort();
	}
	return 0;
}
