#include "peer/download_record.h"

#include "peer/download_private.h"
#include "peer/peer.h"

#include <string.h>

#include <utlist.h>

#define FILE_NAME "downloads.json"

static const char *const purpose_names[] = {
	[LSP_DOWNLOAD_ONLY] = "download",
	[LSP_DOWNLOAD_THEN_INSTALL] = "install",
	[LSP_DOWNLOAD_THEN_UPDATE] = "update",
};

json_t *lsp_download_record_to_json(const struct lsp_download_record *record)
{
	char hex[LSP_SHA256_HEX_SIZE] = "";
	if (record->has_content)
		lsp_hash_to_hex(&record->content, hex);
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:b}", "purpose",
		purpose_names[record->purpose], "paused", record->paused, "content", hex, "engine",
		lsp_engine_name(record->engine), "newer_than", record->newer_than, "check_folder",
		record->check_folder);
}

/* "" where there is no such text. */
static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text ? text : "";
}

void lsp_download_record_from_json(const json_t *json, struct lsp_download_record *ret_record)
{
	struct lsp_download_record record = {0};
	const char *purpose = text_of(json, "purpose");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(purpose_names); i++) {
		if (strcmp(purpose, purpose_names[i]) == 0)
			record.purpose = (enum lsp_download_purpose)i;
	}
	(void)!lsp_engine_parse(text_of(json, "engine"), &record.engine, NULL);
	record.has_content =
		lsp_hash_from_hex(text_of(json, "content"), &record.content, NULL) == 0;
	record.paused = json_is_true(json_object_get(json, "paused"));
	record.check_folder = json_is_true(json_object_get(json, "check_folder"));
	snprintf(record.newer_than, sizeof record.newer_than, "%s", text_of(json, "newer_than"));
	*ret_record = record;
}

static struct lsp_download_record record_of(const struct lsp_download *download)
{
	struct lsp_download_record record = {
		.purpose = download->purpose,
		.engine = download->engine,
		.has_content = download->has_content,
		.paused = download->paused,
		.check_folder = download->check_folder,
		.content = download->content,
	};
	snprintf(record.newer_than, sizeof record.newer_than, "%s", download->newer_than);
	return record;
}

void lsp_download_records_save(struct lsp_peer *peer)
{
	json_t *records = json_object();
	struct lsp_download *download;
	DL_FOREACH(peer->downloads, download)
	{
		if (download->failed || download->cancelled)
			continue;
		struct lsp_download_record record = record_of(download);
		json_object_set_new(records, download->game, lsp_download_record_to_json(&record));
	}
	lsp_peer_save_json(peer, FILE_NAME, records);
}

void lsp_download_records_load(
	struct lsp_peer *peer, void (*restore)(struct lsp_peer *peer, const char *game,
				       const struct lsp_download_record *record))
{
	json_t *records = lsp_peer_load_json(peer, FILE_NAME), *json;
	const char *game;
	json_object_foreach (records, game, json) {
		struct lsp_download_record record;
		lsp_download_record_from_json(json, &record);
		restore(peer, game, &record);
	}
	if (json_object_size(records))
		lsp_download_records_save(peer);
	json_decref(records);
}
