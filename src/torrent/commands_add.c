/* Adding a torrent: from a link, a .torrent or a manifest, with or without what is here already. */
#include "torrent/engine_private.h"

#include "base/random.h"
#include "torrent/sample.h"
#include "wire/json.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

enum have { HAVE_NONE, HAVE_ALL, HAVE_BITMAP, HAVE_CHECK, HAVE_SAMPLE };

/* What an add needs once its source is known, also while a task looks at samples. */
struct adding {
	const struct lsp_shim_functions *shim;
	struct lsp_shim_source *source; /* owned until it is handed to the session */
	char *save_path, *root;         /* copies, for the task */
	uint64_t seed;                  /* which pieces a sample takes */
	enum have have;
};

static void free_adding(void *argument)
{
	struct adding *adding = argument;
	adding->shim->source_free(adding->source);
	free(adding->save_path);
	free(adding->root);
	free(adding);
}

/* ---- The source -------------------------------------------------------------------------- */

static int parse_source(struct lsp_torrent_engine *engine, struct lsp_call *call,
	const char *magnet, struct lsp_shim_source **ret_source, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	int sources =
		(magnet != NULL) + (call->call.metainfo.size > 0) + (call->call.manifest != NULL);
	if (sources != 1)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			sources == 0 ? "magnet is missing, or a .torrent"
				     : "a torrent has one source: a magnet link or a .torrent");
	if (call->call.manifest) {
		int r = lsp_manifest_write_torrent(call->call.manifest, &call->call.metainfo, err);
		if (r < 0)
			return r;
	}
	struct lsp_shim_bytes metainfo = {call->call.metainfo.data, call->call.metainfo.size};
	return shim->parse(magnet, magnet ? NULL : &metainfo, NULL, ret_source, err);
}

static int read_have(const struct lsp_call *call, enum have *ret_have, struct lsp_error *err)
{
	static const char *const words[] = {"none", "all", "bitmap", "check", "sample"};
	const char *word = "none";
	int r = lsp_torrent_call_text(call, "have", false, &word, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(words); i++)
		if (strcmp(words[i], word) == 0) {
			*ret_have = (enum have)i;
			return 0;
		}
	return lsp_error_set(
		err, DOMAIN, LSP_E_INVALID, "have must be none, all, bitmap, check or sample");
}

/* A torrent that is not there yet cannot have pieces, and a bitmap must be there to count. */
static int check_have(const struct lsp_call *call, enum have have, const struct lsp_shim_info *info,
	struct lsp_error *err)
{
	bool needs_metadata = have != HAVE_NONE && have != HAVE_CHECK;
	if (needs_metadata && !(info->flags & LSP_SHIM_HAS_METADATA))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"a magnet link does not say what its pieces are: have needs a .torrent");
	if (have == HAVE_BITMAP && call->call.have.bits != info->pieces)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"the bitmap has %zu pieces, the torrent %u", call->call.have.bits,
			(unsigned)info->pieces);
	return 0;
}

/* ---- Into the session -------------------------------------------------------------------- */

/* Its texts live as long as the arguments do. */
static int peers_of(const struct lsp_torrent_engine *engine, const struct lsp_call *call,
	const struct lsp_shim_source *source, const char ***ret_peers, uint64_t *ret_count,
	struct lsp_error *err)
{
	struct lsp_shim_info info;
	const json_t *peers = json_object_get(call->call.arguments, "peers");
	engine->shim_functions->source_info(source, &info);
	if (!peers && !(info.flags & LSP_SHIM_PRIVATE))
		peers = json_object_get(call->call.arguments, "lan_peers");
	size_t count = json_array_size(peers);
	const char **texts = calloc(count + 1, sizeof *texts);
	if (!texts)
		return lsp_error_no_memory(err, DOMAIN);
	for (size_t i = 0; i < count; i++)
		texts[i] = json_string_value(json_array_get(peers, i));
	*ret_peers = texts;
	*ret_count = count;
	return 0;
}

/* Where it was asked to stand in the queue; told once the session has it. */
static int place_in_queue(
	const struct lsp_call *call, struct lsp_torrent *torrent, struct lsp_error *err)
{
	uint64_t place = 0;
	int r = lsp_torrent_call_number(
		call, "queue_position", INT32_MAX, &place, &torrent->has_place, err);
	torrent->place = (int32_t)place;
	return r;
}

/* One that is stored and was not read yet must not be written over: it is read now, or not added.
 */
static int read_before(struct lsp_torrent_engine *engine, const char *id, struct lsp_error *err)
{
	struct lsp_torrent *ignored;
	if (engine->unlisted || json_object_get(engine->unread, id))
		lsp_restore_all(engine);
	bool is_late = json_object_get(engine->unread, id) || lsp_move_is_stored(engine, id);
	return is_late && !lsp_torrent_by_id(engine, id)
		       ? lsp_torrent_find(engine, id, &ignored, err)
		       : 0;
}

static int new_torrent(struct lsp_torrent_engine *engine, struct lsp_call *call,
	struct adding *adding, struct lsp_torrent **ret_torrent, struct lsp_error *err)
{
	struct lsp_shim_info info;
	struct lsp_record record = {0};
	char id[LSP_TORRENT_ID_MAX + 1];
	const char *magnet = NULL;
	bool transient = false;
	engine->shim_functions->source_info(adding->source, &info);
	lsp_torrent_id_of(&info, id);
	int r = lsp_torrent_call_switch(call, "transient", &transient, err);
	if (r == 0 && !transient)
		r = read_before(engine, id, err);
	if (r < 0)
		return r;
	struct lsp_torrent *same = lsp_torrent_same(engine, &info);
	if (same && same->removing)
		return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"the torrent %s is still being removed: try again", id);
	if (same) {
		call->answer.value = lsp_report_status(engine, same);
		return lsp_error_set(
			err, DOMAIN, LSP_E_EXISTS, "the torrent %s is here already", id);
	}
	r = lsp_torrent_call_text(call, "magnet", false, &magnet, err);
	uint64_t now = lsp_wall(engine->clock) / LSP_SECOND;
	if (r == 0)
		r = lsp_torrent_record_new(id, magnet, call->call.arguments, now, &record, err);
	if (r == 0 && (adding->have == HAVE_ALL || adding->have == HAVE_SAMPLE))
		r = lsp_torrent_record_set(
			&record, "completed", json_integer((json_int_t)now), err);
	if (r == 0)
		r = lsp_torrent_new(engine, &record, adding->source, ret_torrent, err);
	lsp_torrent_record_done(&record);
	if (r < 0)
		return r;
	(*ret_torrent)->transient = transient;
	r = place_in_queue(call, *ret_torrent, err);
	if (r < 0)
		lsp_torrent_drop(engine, *ret_torrent);
	return r;
}

static void store_metainfo(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_buffer *metainfo)
{
	struct lsp_error why = {0};
	if (torrent->transient || !engine->store || metainfo->size == 0)
		return;
	if (lsp_resume_store_write(engine->store, torrent->record.id, LSP_RESUME_METAINFO,
		    metainfo->data, metainfo->size, &why) < 0)
		lsp_session_store_failed(engine, torrent, &why);
}

static int add_now(struct lsp_torrent_engine *engine, struct lsp_call *call, struct adding *adding,
	struct lsp_error *err)
{
	struct lsp_torrent *torrent = NULL;
	_cleanup_free_ const char **peers = NULL;
	struct lsp_shim_add add = {0};
	int r = peers_of(engine, call, adding->source, &peers, &add.peers.count, err);
	if (r == 0)
		r = new_torrent(engine, call, adding, &torrent, err);
	if (r < 0)
		return r;
	add.peers.text = peers;
	if (adding->have == HAVE_ALL || adding->have == HAVE_SAMPLE)
		add.flags |= LSP_SHIM_HAVE_ALL;
	if (adding->have == HAVE_BITMAP) {
		add.have = call->call.have.bytes;
		add.have_bits = call->call.have.bits;
	}
	if (!torrent->transient)
		lsp_session_remember(engine, torrent->record.id);
	store_metainfo(engine, torrent, &call->call.metainfo);
	r = lsp_session_add(engine, torrent, TAKE_PTR(adding->source), &add, err);
	if (r < 0) {
		if (!torrent->transient && engine->store)
			(void)!lsp_session_forget(engine, torrent->record.id, NULL);
		lsp_torrent_drop(engine, torrent);
		return r;
	}
	return lsp_torrent_call_wait_for(
		engine, call, torrent->number, UINT64_C(1) << LSP_SHIM_ALERT_ADDED);
}

/* ---- A sample first ---------------------------------------------------------------------- */

static int sample_work(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err)
{
	struct adding *adding = job->argument;
	return lsp_sample_check(adding->shim, adding->source, adding->save_path, adding->root,
		adding->seed, token, err);
}

static int sample_finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = job->engine;
	if (!engine->shim) {
		int r = lsp_session_open(engine, err);
		if (r < 0)
			return r;
	}
	return add_now(engine, job->call, job->argument, err);
}

static int sample_first(struct lsp_torrent_engine *engine, struct lsp_call *call,
	struct adding *adding, struct lsp_error *err)
{
	const char *path = NULL, *root = NULL;
	int r = lsp_torrent_call_text(call, "save_path", true, &path, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "root", false, &root, err);
	if (r < 0) {
		free_adding(adding);
		return r;
	}
	adding->save_path = strdup(path);
	adding->root = root ? strdup(root) : NULL;
	lsp_random_bytes(&adding->seed, sizeof adding->seed);
	if (!adding->save_path || (root && !adding->root)) {
		free_adding(adding);
		return lsp_error_no_memory(err, DOMAIN);
	}
	return lsp_job_start(
		engine, call, NULL, true, sample_work, sample_finish, adding, free_adding, err);
}

static int check_addresses(const struct lsp_call *call, struct lsp_error *err)
{
	int r = lsp_torrent_call_urls(call, "trackers", true, err);
	if (r == 0)
		r = lsp_torrent_call_urls(call, "web_seeds", false, err);
	if (r == 0)
		r = lsp_torrent_call_peers(call, "peers", err);
	return r < 0 ? r : lsp_torrent_call_peers(call, "lan_peers", err);
}

int lsp_torrent_add_check(const json_t *options, struct lsp_error *err)
{
	static const char id[] = "0000000000000000000000000000000000000000";
	struct lsp_record record = {0};
	struct lsp_torrent place;
	_cleanup_json_ json_t *arguments = json_copy((json_t *)options);
	struct lsp_call call = {.call = {.arguments = arguments}};
	if (!arguments || json_object_set_new(arguments, "save_path", json_string("/")) < 0)
		return lsp_error_no_memory(err, DOMAIN);
	int r = check_addresses(&call, err);
	if (r == 0)
		r = place_in_queue(&call, &place, err);
	if (r == 0)
		r = lsp_torrent_record_new(id, NULL, arguments, 0, &record, err);
	lsp_torrent_record_done(&record);
	return r;
}

LSP_COMMAND(add)
{
	const char *magnet = NULL;
	struct lsp_shim_info info;
	struct adding *adding = calloc(1, sizeof *adding);
	if (!adding)
		return lsp_error_no_memory(err, DOMAIN);
	adding->shim = engine->shim_functions;
	int r = lsp_torrent_call_text(call, "magnet", false, &magnet, err);
	if (r == 0)
		r = check_addresses(call, err);
	if (r == 0)
		r = read_have(call, &adding->have, err);
	if (r == 0)
		r = parse_source(engine, call, magnet, &adding->source, err);
	if (r == 0) {
		engine->shim_functions->source_info(adding->source, &info);
		r = check_have(call, adding->have, &info, err);
	}
	if (r == 0 && adding->have == HAVE_SAMPLE)
		return sample_first(engine, call, adding, err);
	if (r == 0)
		r = add_now(engine, call, adding, err);
	free_adding(adding);
	return r;
}
