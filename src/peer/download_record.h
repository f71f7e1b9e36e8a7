/*
 * What is kept of the downloads for the next start: downloads.json in the state folder.
 *
 * One record a game, of those that neither failed nor were cancelled: what it is for, the content
 * once one is chosen, the engine, whether it is paused, of an update what it leaves behind, and
 * whether the library said that the content is there when it was asked for: then what the library
 * says of it is not believed at the next start either, and the folder is looked at. No bytes and no
 * chunks: what was verified is told by the stage in the game's folder. A record is written when one
 * of these changes, by a disk job, and goes with the end of the download; after a kill between the
 * two it is older than the folder, and download.c sees to that.
 *
 * Somebody may have edited the file. A word that is not known is read as the usual one: a download
 * for itself, of whatever content the rules choose, from the peers.
 *
 * All on the core loop.
 */
#pragma once

#include "peer/download.h"
#include "wire/version.h"

struct lsp_download_record {
	enum lsp_download_purpose purpose;
	enum lsp_engine engine;
	bool has_content, paused;
	bool check_folder; /* see struct lsp_download */
	struct lsp_hash content;
	char newer_than[LSP_VERSION_TEXT_MAX + 1]; /* an update's old version, else "" */
};

/* A new reference; NULL: no memory. */
json_t *lsp_download_record_to_json(const struct lsp_download_record *record);
void lsp_download_record_from_json(const json_t *json, struct lsp_download_record *ret_record);

/* Those of all downloads of the peer, as they are now. */
void lsp_download_records_save(struct lsp_peer *peer);
/* Hands on what was saved, record by record. The names of the games are not checked. */
void lsp_download_records_load(
	struct lsp_peer *peer, void (*restore)(struct lsp_peer *peer, const char *game,
				       const struct lsp_download_record *record));
