/* JSON documents in the state folder: what cannot be rebuilt from anything else. */
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/events.h"
#include "peer/peer.h"
#include "store/json_file.h"
#include "wire/json.h"
#include "wire/path.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One save on its way. A newer one of the same file waits behind it in the pool's order. */
struct save {
	struct lsp_job job;
	struct lsp_peer *peer;
	uint32_t bit;
	char *path;
	char *text;
};

/* In `unsaved`; 0: it refers to no other file. */
static uint32_t bit_of(const char *name)
{
	static const char *const names[] = {"swarm.json", "as-game.json", "downloads.json"};
	unsigned i = 0;
	while (i < LSP_ARRAY_SIZE(names) && strcmp(names[i], name) != 0)
		i++;
	return i < LSP_ARRAY_SIZE(names) ? UINT32_C(1) << i : 0;
}

json_t *lsp_peer_load_json(struct lsp_peer *peer, const char *name)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", peer->state_dir, name);
	struct lsp_error err = {0};
	json_t *document = NULL;
	int r = path ? lsp_json_file_load(path, &document, &err)
		     : lsp_error_no_memory(&err, "peer");
	if (r == 0)
		return document;
	lsp_log_warning("peer",
		"%s cannot be read now: it stays as it is, and nothing is saved in it until the "
		"next start: %s",
		name, err.message);
	json_object_set_new(peer->unread, name, json_true());
	return json_object();
}

static void save_free(struct save *save)
{
	free(save->path);
	free(save->text);
	free(save);
}

static void write_document(struct lsp_job *job)
{
	struct save *save = lsp_container_of(job, struct save, job);
	job->result =
		lsp_fs_write_file(save->path, save->text, strlen(save->text), 0600, &job->error);
	save->peer->unsaved &= ~save->bit;
	if (job->result < 0)
		save->peer->unsaved |= save->bit;
}

static void written(struct lsp_job *job)
{
	struct save *save = lsp_container_of(job, struct save, job);
	if (job->result < 0)
		lsp_log_error("peer", "%s", job->error.message);
	save_free(save);
}

void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	struct lsp_error err = {0};
	if (json_object_get(peer->unread, name)) {
		json_decref(document);
		return;
	}
	struct save *save = calloc(1, sizeof *save);
	if (save) {
		save->peer = peer;
		save->bit = bit_of(name);
		save->path = lsp_text_format("%s/%s", peer->state_dir, name);
		save->text =
			document ? lsp_json_dump(document, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
	}
	json_decref(document);
	int r = save && save->path && save->text ? 0 : lsp_error_no_memory(&err, "peer");
	if (r == 0) {
		save->job.work = write_document;
		save->job.done = written;
		r = lsp_pool_submit(peer->state_pool, peer->core, &save->job, &err);
	}
	peer->unsubmitted &= ~bit_of(name);
	if (r < 0) {
		peer->unsubmitted |= bit_of(name);
		lsp_log_error("peer", "cannot save %s: %s", name, err.message);
		if (save)
			save_free(save);
	}
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
	char message[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	lsp_log_warning("peer", "%s", message);
	char clean[sizeof message + 3];
	lsp_label_clean(message, strlen(message), clean, sizeof message - 1);
	lsp_events_publish(
		peer->events, json_pack("{s:s, s:s}", "event", "warning", "message", clean));
}
