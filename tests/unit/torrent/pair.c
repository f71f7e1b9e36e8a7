#include "pair.h"

void pair_init(struct pair *pair)
{
	rig_init(&pair->seed, &(struct rig_options){0});
	rig_init(&pair->leech, &(struct rig_options){0});
	pair_folders(pair);
}

void pair_folders(struct pair *pair)
{
	snprintf(pair->content, sizeof pair->content, "%s/games", pair->seed.folder);
	snprintf(pair->target, sizeof pair->target, "%s/downloads", pair->leech.folder);
}

void pair_done(struct pair *pair)
{
	rig_done(&pair->leech);
	rig_done(&pair->seed);
}

struct lsp_buffer seed_doom(struct pair *pair, bool hybrid, char id[65])
{
	char path[200];
	snprintf(path, sizeof path, "%s/doom", pair->content);
	struct lsp_torrent_call create = {.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:b}", "path", path, "hybrid", hybrid)};
	struct rig_answer answer;
	rig_call_full(&pair->seed, &create, &answer);
	if (answer.result < 0)
		fail_msg("create: %s", answer.error.message);
	struct lsp_buffer metainfo = {0};
	assert_ok(lsp_buffer_append(&metainfo, answer.bytes.data, answer.bytes.size, ERR));
	struct lsp_torrent_call add = {.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s}", "save_path", pair->content, "have", "all"),
		.metainfo = answer.bytes};
	json_decref(answer.value);
	rig_call_full(&pair->seed, &add, &answer);
	if (answer.result < 0)
		fail_msg("add: %s", answer.error.message);
	snprintf(id, 65, "%s", json_string_value(json_object_get(answer.value, "id")));
	rig_answer_done(&answer);
	json_decref(rig_await(&pair->seed, "torrent_state", "state", "seeding", 1));
	rig_listen_address(&pair->seed, pair->address);
	return metainfo;
}

json_t *leech(struct pair *pair, struct lsp_buffer metainfo, json_t *more)
{
	json_t *arguments =
		json_pack("{s:s, s:[s]}", "save_path", pair->target, "peers", pair->address);
	json_object_update(arguments, more);
	json_decref(more);
	struct lsp_torrent_call add = {
		.command = LSP_TORRENT_ADD, .arguments = arguments, .metainfo = metainfo};
	struct rig_answer answer;
	rig_call_full(&pair->leech, &add, &answer);
	if (answer.result < 0)
		fail_msg("add: %s", answer.error.message);
	return answer.value;
}

json_t *leech_magnet(struct pair *pair, const char *id, json_t *more)
{
	json_t *exported =
		rig_ask(&pair->seed, LSP_TORRENT_EXPORT, json_pack("{s:s}", "torrent", id));
	json_object_set(more, "magnet", json_object_get(exported, "magnet"));
	json_decref(exported);
	return leech(pair, (struct lsp_buffer){0}, more);
}

int64_t rig_number(struct rig *rig, const char *id, const char *key)
{
	json_t *list = rig_ask(rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id));
	json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	int64_t number = json_integer_value(json_object_get(status, key));
	json_decref(list);
	return number;
}

void rig_configure(struct rig *rig, json_t *configuration)
{
	if (!json_object_get(configuration, "listen"))
		json_object_set_new(configuration, "listen", json_pack("[s]", "127.0.0.1:0"));
	json_decref(rig_ask(
		rig, LSP_TORRENT_CONFIGURE, json_pack("{s:o}", "configuration", configuration)));
}
