#include "torrent/faults.h"

#include <string.h>

int lsp_faults_init(struct lsp_faults *faults, struct lsp_error *err)
{
	for (unsigned i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		faults->causes[i] = json_object();
		if (!faults->causes[i])
			return lsp_error_no_memory(err, "torrent");
	}
	return 0;
}

void lsp_faults_done(struct lsp_faults *faults)
{
	for (unsigned i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++)
		json_decref(faults->causes[i]);
	memset(faults, 0, sizeof *faults);
}

uint32_t lsp_faults_degraded(const struct lsp_faults *faults)
{
	uint32_t set = 0;
	for (unsigned i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++)
		if (json_object_size(faults->causes[i]) > 0)
			set |= 1u << i;
	return set;
}

bool lsp_faults_fail(
	struct lsp_faults *faults, enum lsp_torrent_component component, const char *key)
{
	uint32_t before = lsp_faults_degraded(faults);
	/* A key that is no UTF-8 still degrades: under a name of its own. */
	if (json_object_set_new(faults->causes[component], key, json_true()) < 0)
		json_object_set_new(faults->causes[component], "other", json_true());
	return lsp_faults_degraded(faults) != before;
}

bool lsp_faults_clear(
	struct lsp_faults *faults, enum lsp_torrent_component component, const char *key)
{
	return json_object_del(faults->causes[component], key) == 0 &&
	       json_object_size(faults->causes[component]) == 0;
}

bool lsp_faults_clear_prefix(struct lsp_faults *faults, const char *prefix)
{
	uint32_t before = lsp_faults_degraded(faults);
	size_t size = strlen(prefix);
	for (unsigned i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		const char *key;
		json_t *value;
		void *next;
		json_object_foreach_safe(faults->causes[i], next, key, value)
		{
			if (strncmp(key, prefix, size) == 0 &&
				(key[size] == '\0' || key[size] == ' '))
				json_object_del(faults->causes[i], key);
		}
	}
	return lsp_faults_degraded(faults) != before;
}

bool lsp_faults_has(
	const struct lsp_faults *faults, enum lsp_torrent_component component, const char *key)
{
	return json_object_get(faults->causes[component], key);
}
