/* Two real engines on loopback: one has a torrent, the other wants it. */
#pragma once

#include "rig.h"

/* One that has the files, and one that wants them. */
struct pair {
	struct rig seed, leech;
	char content[160], target[160]; /* folders */
	char address[64];               /* of the seed */
};

void pair_init(struct pair *pair);
/* Where they keep their files, of two rigs that the test made itself. */
void pair_folders(struct pair *pair);
void pair_done(struct pair *pair);
/* Creates a torrent of content/doom, seeds it in place; its bytes (the caller's) and its id. */
struct lsp_buffer seed_doom(struct pair *pair, bool hybrid, char id[65]);
/* Adds it to the leech, with `more` arguments; both are taken over. Its status. */
json_t *leech(struct pair *pair, struct lsp_buffer metainfo, json_t *more);
/* The same by its magnet link. */
json_t *leech_magnet(struct pair *pair, const char *id, json_t *more);
/* That number of a torrent's status, now. */
int64_t rig_number(struct rig *rig, const char *id, const char *key);
/* Configures it, on loopback and a free port where that says nothing else; taken over. */
void rig_configure(struct rig *rig, json_t *configuration);
