/*
 * Redo lists with a right checksum and whatever before it, as a game folder that somebody else made
 * may hold one: nothing outside of the folder is touched.
 */
#include "base/fs.h"
#include "base/sha256.h"
#include "content/redo.h"
#include "folder.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_intent(int dir, const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct lsp_buffer whole = {0};
	struct lsp_hash hash;
	lsp_sha256(&hash, data, size);
	assert(lsp_buffer_append(&whole, data, size, NULL) == 0);
	assert(lsp_buffer_append(&whole, &hash, sizeof hash, NULL) == 0);
	assert(lsp_fs_make_dirs_below(dir, "game/.lanspread/new", NULL) == 0);
	assert(lsp_fs_write_file_below(dir, "game/.lanspread/new/a", "a", 1, 0600, NULL) == 0);
	assert(lsp_fs_write_file_below(dir, "game/b", "b", 1, 0600, NULL) == 0);
	assert(lsp_fs_write_file_below(
		       dir, "game/" LSP_REDO_INTENT, whole.data, whole.size, 0600, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct lsp_buffer outside = {0};
	_cleanup_close_ int game = -1;
	int dir = fuzz_folder();
	assert(lsp_fs_write_file_below(dir, "outside", "safe", 4, 0600, NULL) == 0);
	put_intent(dir, data, size);
	assert(lsp_fs_open_dir_below(dir, "game", &game, NULL) == 0);
	(void)!lsp_redo_recover(game, NULL, NULL);
	assert(lsp_fs_read_file_below(dir, "outside", 16, &outside, NULL) == 0);
	assert(outside.size == 4 && memcmp(outside.data, "safe", 4) == 0);
	assert(lsp_fs_remove_tree_below(dir, "game", NULL) == 0);
	return 0;
}
