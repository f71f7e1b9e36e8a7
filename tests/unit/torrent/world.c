#include "world.h"

lsp_time (*world_time)(const struct lsp_clock *clock);
int (*world_hold)(
	void *argument, const char *id, const char *path, const char *name, struct lsp_error *err);

void world_init(struct world *world, const char *folder)
{
	struct rig_options options = {.clock = &world->clock.clock,
		.shim = &fake_shim,
		.folder = folder,
		.hold = world_hold};
	lsp_fake_clock_init(&world->clock);
	if (world_time)
		world->clock.clock.monotonic = world_time;
	fake_reset();
	rig_init(&world->rig, &options);
}

void world_done(struct world *world)
{
	rig_done(&world->rig);
}

int world_try_add(struct world *world, const char *id, json_t *arguments, json_t **ret_status)
{
	char text[200];
	struct lsp_torrent_call call = {.command = LSP_TORRENT_ADD, .arguments = arguments};
	struct rig_answer answer;
	if (!json_object_get(arguments, "save_path"))
		json_object_set_new(arguments, "save_path", json_string("/tmp/fake"));
	snprintf(text, sizeof text, "torrent:%s:a:b", id);
	assert_ok(lsp_buffer_append(&call.metainfo, text, strlen(text), ERR));
	rig_call_full(&world->rig, &call, &answer);
	*ret_status = answer.value;
	return answer.result;
}

json_t *world_add(struct world *world, const char *id)
{
	json_t *status = NULL;
	assert_int_equal(world_try_add(world, id, json_object(), &status), 0);
	return status;
}

void world_advance(struct world *world, uint64_t span)
{
	lsp_fake_clock_advance(&world->clock, span);
}

uint32_t world_health(struct world *world)
{
	return lsp_torrent_health(world->rig.engine);
}

void world_settle(struct world *world)
{
	json_decref(rig_ask(&world->rig, LSP_TORRENT_LIST, NULL));
	json_decref(rig_ask(&world->rig, LSP_TORRENT_LIST, NULL));
}

struct lsp_supervised_info world_supervised(struct world *world)
{
	_cleanup_free_ struct lsp_supervised_info *infos = NULL;
	size_t count;
	assert_ok(lsp_supervisor_snapshot(world->rig.supervisor, &infos, &count, ERR));
	assert_int_equal(count, 1);
	return infos[0];
}

void world_await_opens(struct world *world, int count)
{
	for (unsigned i = 0; fake_opens() < count; i++) {
		if (world_supervised(world).state == LSP_SUPERVISED_RESTARTING)
			world_advance(world, 100 * LSP_MILLISECOND);
		sched_yield();
		if (i > 50000000)
			fail_msg("the engine was not started again");
	}
}

void world_await_state(struct world *world, enum lsp_supervised_state state)
{
	for (unsigned i = 0; world_supervised(world).state != state; i++) {
		sched_yield();
		if (i > 50000000)
			fail_msg("the engine is %s",
				lsp_supervised_state_name(world_supervised(world).state));
	}
}

struct lsp_torrent_counters world_counters(struct world *world)
{
	struct lsp_torrent_counters counters;
	lsp_torrent_counters(world->rig.engine, &counters);
	return counters;
}
