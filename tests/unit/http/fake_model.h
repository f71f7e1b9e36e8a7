/* What a fake peer (fake_peer.h) knows: games, operations, peers, settings. One thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct fake_model {
	json_t *games;  /* by id, in the order they came */
	json_t *status; /* status's members */
	json_t *config, *limits;
	json_t *peers, *torrents;
	void (*emit)(void *argument, json_t *event); /* takes the reference */
	void *argument;
};

void fake_model_init(
	struct fake_model *model, void (*emit)(void *argument, json_t *event), void *argument);
void fake_model_done(struct fake_model *model);
void fake_model_put(struct fake_model *model, json_t *game);
void fake_model_fill(struct fake_model *model, size_t count);
void fake_model_change(struct fake_model *model, const char *id, json_t *members);
/* The whole state as a local_games_updated. */
json_t *fake_model_state(struct fake_model *model);
/* {"ok", "result" or "error"} */
json_t *fake_model_run(struct fake_model *model, const char *name, json_t *command);
size_t fake_model_advance(struct fake_model *model, json_int_t bytes);
