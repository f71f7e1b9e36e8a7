/* What becomes of a document of the state folder that cannot be read. */
#include "base/fs.h"
#include "base/text.h"
#include "peer/events.h"
#include "peer/peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "swarm.json"

static struct lsp_peer peer;
static char state_dir[64];
static unsigned saves;
static int fault;               /* of reading; 0: none */
static int writing, submitting; /* the same */

/* At once, where the real one waits for its thread. */
int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	if (submitting)
		return lsp_error_no_memory(err, "task");
	saves++;
	job->work(job);
	assert_true(job->result == 0 || writing);
	job->done(job);
	return 0;
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	json_decref(event);
}

static int fail_to_read(const char *path, void *argument)
{
	return lsp_text_ends_with(path, NAME) ? fault : 0;
}

static int fail_to_write(const struct lsp_fs_event *event, void *argument)
{
	return event->call == LSP_FS_RENAME ? writing : 0;
}

static int start(void **state)
{
	static const struct lsp_fs_hooks hooks = {
		.before_read = fail_to_read, .before = fail_to_write};
	strcpy(state_dir, "/tmp/lanspread-state-XXXXXX");
	peer = (struct lsp_peer){.state_dir = state_dir, .unread = json_object()};
	saves = 0;
	fault = 0;
	lsp_fs_set_hooks(&hooks);
	return mkdtemp(state_dir) ? 0 : -1;
}

static int end(void **state)
{
	_cleanup_close_ int fd = -1;
	lsp_fs_set_hooks(NULL);
	json_decref(peer.unread);
	return lsp_fs_open_dir("/tmp", &fd, NULL) < 0
		       ? -1
		       : lsp_fs_remove_tree_below(fd, state_dir + strlen("/tmp/"), NULL);
}

static void assert_loads(const char *key)
{
	json_t *document = lsp_peer_load_json(&peer, NAME);
	assert_int_equal(json_object_size(document), key != NULL);
	assert_true(!key || json_object_get(document, key));
	json_decref(document);
}

static void one_that_cannot_be_read_now_is_not_overwritten(void **state)
{
	static const int faults[] = {EIO, EMFILE, EACCES};
	lsp_peer_save_json(&peer, NAME, json_pack("{s:i}", "before", 1));
	assert_loads("before");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(faults); i++) {
		fault = faults[i];
		assert_loads(NULL);
		fault = 0;
		assert_int_equal(json_object_size(peer.unread), 1);
		lsp_peer_save_json(&peer, NAME, json_pack("{s:i}", "after", 1));
		assert_int_equal(saves, 1);
		json_object_clear(peer.unread); /* the next start */
		assert_loads("before");
	}
	/* Another is saved as ever. */
	fault = EIO;
	assert_loads(NULL);
	lsp_peer_save_json(&peer, "choices.json", json_object());
	assert_int_equal(saves, 2);
}

static void one_that_is_absent_or_damaged_is_begun_anew(void **state)
{
	_cleanup_free_ char *path = lsp_text_format("%s/" NAME, state_dir);
	assert_loads(NULL);
	assert_int_equal(lsp_fs_write_file(path, "{", 1, 0600, NULL), 0);
	assert_loads(NULL);
	assert_int_equal(json_object_size(peer.unread), 0);
	lsp_peer_save_json(&peer, NAME, json_pack("{s:i}", "after", 1));
	assert_loads("after");
	_cleanup_free_ char *damaged = lsp_text_format("%s.damaged", path);
	assert_int_equal(access(damaged, F_OK), 0);
}

/* What the older one refers to must not go meanwhile. */
static void that_one_is_not_saved_is_known_until_it_is(void **state)
{
	lsp_peer_save_json(&peer, NAME, json_object());
	assert_false(peer.unsaved || peer.unsubmitted);
	writing = EIO;
	lsp_peer_save_json(&peer, NAME, json_object());
	assert_true(peer.unsaved);
	writing = 0;
	lsp_peer_save_json(&peer, "downloads.json", json_object()); /* another */
	assert_true(peer.unsaved);
	lsp_peer_save_json(&peer, NAME, json_object());
	assert_false(peer.unsaved);
	submitting = 1;
	lsp_peer_save_json(&peer, NAME, json_object());
	assert_true(peer.unsubmitted);
	submitting = 0;
	lsp_peer_save_json(&peer, NAME, json_object());
	assert_false(peer.unsubmitted);
	/* One that refers to nothing keeps nothing. */
	writing = EIO;
	lsp_peer_save_json(&peer, "choices.json", json_object());
	assert_false(peer.unsaved);
	writing = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			that_one_is_not_saved_is_known_until_it_is, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_cannot_be_read_now_is_not_overwritten, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_is_absent_or_damaged_is_begun_anew, start, end),
	};
	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
