#include "content/executable.h"

#include "base/fs.h"

#include <errno.h>
#include <string.h>

#define LIST_MAX ((size_t)64 << 20)

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One path a line, the last one ended too. */
static int index_lines(struct lsp_executables *list, struct lsp_error *err)
{
	size_t lines = 0;
	char *text = (char *)list->text.data;
	for (size_t i = 0; i < list->text.size; i++)
		lines += text[i] == '\n';
	list->paths = calloc(lines + 1, sizeof *list->paths);
	if (!list->paths)
		return lsp_error_no_memory(err, "content");
	for (char *line = text; list->count < lines;) {
		char *end = strchrnul(line, '\n');
		if (!*end)
			break;
		*end = '\0';
		list->paths[list->count++] = line;
		line = end + 1;
	}
	if (list->count)
		qsort(list->paths, list->count, sizeof *list->paths, compare);
	return 0;
}

int lsp_executables_load(int game_fd, struct lsp_executables *ret_list, struct lsp_error *err)
{
	_cleanup_executables_ struct lsp_executables list = {0};
	struct lsp_error why = {0};
	int r = lsp_fs_read_file_below(game_fd, LSP_EXECUTABLE_LIST, LIST_MAX, &list.text, &why);
	/* Behind a file or a link there is none of ours. */
	if (r == -LSP_E_NOT_FOUND || why.sys_errno == ENOTDIR || why.sys_errno == ELOOP)
		return 0;
	if (r < 0 && err)
		*err = why;
	if (r == 0)
		r = index_lines(&list, err);
	if (r < 0)
		return r;
	list.listed = true;
	*ret_list = list;
	list = (struct lsp_executables){0};
	return 0;
}

void lsp_executables_done(struct lsp_executables *list)
{
	lsp_buffer_done(&list->text);
	free(list->paths);
	*list = (struct lsp_executables){0};
}

bool lsp_executables_has(const struct lsp_executables *list, const char *path, mode_t mode)
{
	if (!list->listed)
		return mode & S_IXUSR;
	return list->count &&
	       bsearch(&path, list->paths, list->count, sizeof *list->paths, compare);
}

int lsp_executables_write(int game_fd, const struct lsp_manifest *manifest, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &manifest->files[i];
		int r = file->executable ? lsp_buffer_printf(&text, err, "%s\n", file->path) : 0;
		if (r < 0)
			return r;
	}
	return lsp_fs_write_file_below(
		game_fd, LSP_EXECUTABLE_LIST, text.data, text.size, 0644, err);
}
