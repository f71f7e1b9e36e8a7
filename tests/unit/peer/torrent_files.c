/* Which .torrent files go, and when. */
#include "peer/torrent_files.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "peer/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WANTED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct lsp_peer peer;
static char state_dir[64];
static struct lsp_job *job; /* the last that was submitted */

int lsp_pool_submit(struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *submitted,
	struct lsp_error *err)
{
	submitted->result = 0;
	job = submitted;
	return 0;
}

static int start(void **state)
{
	strcpy(state_dir, "/tmp/lanspread-files-XXXXXX");
	peer.state_dir = state_dir;
	job = NULL;
	return mkdtemp(state_dir) ? 0 : -1;
}

static int end(void **state)
{
	_cleanup_close_ int fd = -1;
	return lsp_fs_open_dir("/tmp", &fd, NULL) < 0
		       ? -1
		       : lsp_fs_remove_tree_below(fd, state_dir + strlen("/tmp/"), NULL);
}

static void put(const char *name)
{
	_cleanup_free_ char *folder = lsp_text_format("%s/torrents/magnets", state_dir);
	_cleanup_free_ char *path = lsp_text_format("%s/torrents/%s", state_dir, name);
	assert_int_equal(lsp_fs_make_dirs(folder, true, NULL), 0);
	assert_int_equal(lsp_fs_write_file(path, "x", 1, 0600, NULL), 0);
}

static bool has(const char *name)
{
	_cleanup_free_ char *path = lsp_text_format("%s/torrents/%s", state_dir, name);
	return access(path, F_OK) == 0;
}

static bool is_wanted(struct lsp_peer *of, const char *id)
{
	assert_ptr_equal(of, &peer);
	return strcmp(id, WANTED) == 0;
}

static void a_start_deletes_what_nothing_refers_to(void **state)
{
	lsp_torrent_files_sweep(&peer, is_wanted); /* no folder is fine */
	static const char *const kept[] = {WANTED ".torrent", "notes.torrent", OTHER ".txt",
		"magnets/" OTHER ".torrent", OTHER "bb.torrent"};
	static const char *const gone[] = {OTHER ".torrent", "." WANTED ".torrent.tmp"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(kept); i++)
		put(kept[i]);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(gone); i++)
		put(gone[i]);
	lsp_torrent_files_sweep(&peer, is_wanted);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(kept); i++)
		assert_true(has(kept[i]));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(gone); i++)
		assert_false(has(gone[i]));
}

static unsigned syncs;

static void count_syncs(const struct lsp_fs_event *event, void *argument)
{
	syncs += event->call == LSP_FS_SYNC;
}

static void one_goes_in_its_turn_and_for_good(void **state)
{
	const struct lsp_fs_hooks hooks = {.after = count_syncs};
	put(OTHER ".torrent");
	lsp_torrent_files_drop(&peer, OTHER);
	assert_true(has(OTHER ".torrent"));
	syncs = 0;
	lsp_fs_set_hooks(&hooks);
	job->work(job);
	lsp_fs_set_hooks(NULL);
	assert_false(has(OTHER ".torrent"));
	assert_int_equal(syncs, 1);
	job->done(job);
	/* One that is gone is fine. */
	lsp_torrent_files_drop(&peer, OTHER);
	job->work(job);
	assert_int_equal(job->result, -LSP_E_NOT_FOUND);
	job->done(job);
	/* What is no id leads nowhere: a file may have been edited. */
	job = NULL;
	lsp_torrent_files_drop(&peer, "../swarm");
	lsp_torrent_files_drop(&peer, "");
	assert_null(job);
}

/* The older one, which the disk has, refers to it. */
static void none_goes_while_a_record_could_not_be_saved(void **state)
{
	put(OTHER ".torrent");
	peer.unsubmitted = 1;
	lsp_torrent_files_drop(&peer, OTHER);
	assert_null(job);
	peer.unsubmitted = 0;
	lsp_torrent_files_drop(&peer, OTHER);
	peer.unsaved = 1; /* as the save before it says */
	job->work(job);
	job->done(job);
	assert_true(has(OTHER ".torrent"));
	peer.unsaved = 0;
	lsp_torrent_files_drop(&peer, OTHER);
	job->work(job);
	job->done(job);
	assert_false(has(OTHER ".torrent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_start_deletes_what_nothing_refers_to, start, end),
		cmocka_unit_test_setup_teardown(one_goes_in_its_turn_and_for_good, start, end),
		cmocka_unit_test_setup_teardown(
			none_goes_while_a_record_could_not_be_saved, start, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
