/* Archives of every kind, unpacked: right or refused, within the caps and within the folder. */
#include "base/fs.h"
#include "folder.h"
#include "install/extract.h"
#include "install/tree.h"

#include <dirent.h>
#include <locale.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	uint64_t *bytes = argument;
	(void)err;
	assert(S_ISREG(entry->st->st_mode) || S_ISDIR(entry->st->st_mode) ||
		S_ISLNK(entry->st->st_mode));
	assert((entry->st->st_mode & 07022) == 0 || S_ISLNK(entry->st->st_mode));
	if (S_ISREG(entry->st->st_mode))
		*bytes += (uint64_t)entry->st->st_blocks;
	return 0;
}

static void assert_alone(void)
{
	DIR *dir = opendir(fuzz_folder_path);
	for (struct dirent *entry; (entry = readdir(dir));)
		assert(entry->d_name[0] == '.' || strcmp(entry->d_name, "out") == 0);
	closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("archive", MFD_CLOEXEC), out = -1;
	int dir = fuzz_folder();
	uint64_t blocks = 0;
	setlocale(LC_CTYPE, "C.UTF-8");
	struct lsp_unpack_limits limits = {.bytes = BYTES_MAX,
		.ratio = 1000,
		.ratio_free = BYTES_MAX,
		.entries = 50,
		.depth = 8};
	struct lsp_extract_volume volume = {fd, "archive"};
	struct lsp_extract extract = {.volumes = &volume, .volume_count = 1, .limits = &limits};
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	extract.target_fd = -1;
	(void)!lsp_extract_run(&extract, &stats, &err);
	assert(lsp_fs_make_dirs_below(dir, "out", NULL) == 0);
	assert(lsp_fs_open_dir_below(dir, "out", &out, NULL) == 0);
	extract.target_fd = out;
	err = (struct lsp_error){0};
	if (lsp_extract_run(&extract, &stats, &err) < 0)
		assert(err.message[0]);
	else
		assert(stats.bytes <= BYTES_MAX && stats.entries <= 50);
	assert(lsp_tree_walk(dir, "out", NULL, look, &blocks, NULL) == 0);
	assert(blocks <= 2 * BYTES_MAX);
	assert_alone();
	assert(lsp_fs_remove_tree_below(dir, "out", NULL) == 0);
	return 0;
}
