#include "store/json_file.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

int lsp_json_file_read(const char *path, json_t **ret_object, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	int r = lsp_fs_read_file(path, LSP_JSON_FILE_MAX, &content, err);
	if (r == -LSP_E_NOT_FOUND) {
		json_t *empty = json_object();
		if (!empty)
			return lsp_error_no_memory(err, "store");
		*ret_object = empty;
		lsp_error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	json_error_t where;
	json_t *value = lsp_json_load(
		(const char *)content.data, content.size, JSON_REJECT_DUPLICATES, &where);
	if (!value && json_error_code(&where) == json_error_out_of_memory)
		return lsp_error_no_memory(err, "store"); /* the file is not to blame */
	if (!value)
		return lsp_error_set(err, "store", LSP_E_PROTOCOL, "%s, line %d, column %d: %s",
			path, where.line, where.column, where.text);
	if (!json_is_object(value)) {
		json_decref(value);
		return lsp_error_set(err, "store", LSP_E_PROTOCOL,
			"%s, line 1: it must be an object, {…}", path);
	}
	*ret_object = value;
	return 0;
}

static int set_aside(const char *path, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_cleanup_free_ char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	_cleanup_free_ char *target = lsp_text_format("%s.damaged", name);
	if (!folder || !target)
		return lsp_error_no_memory(err, "store");
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir(*folder ? folder : "/", &dir, err);
	return r < 0 ? r : lsp_fs_rename_below(dir, name, dir, target, err);
}

int lsp_json_file_load(const char *path, json_t **ret_object, struct lsp_error *err)
{
	struct lsp_error detail = {0};
	int r = lsp_json_file_read(path, ret_object, &detail);
	if (r == -LSP_E_PROTOCOL || r == -LSP_E_TOO_LARGE) {
		lsp_log_warning("store", "%s; it is kept as %s.damaged and an empty one begun",
			detail.message, path);
		r = set_aside(path, err);
		return r < 0 ? r : lsp_json_file_read(path, ret_object, err);
	}
	if (r < 0 && err)
		*err = detail;
	return r;
}

int lsp_json_file_save(const char *path, const json_t *object, struct lsp_error *err)
{
	_cleanup_free_ char *text = lsp_json_dump(object, JSON_INDENT(2) | JSON_SORT_KEYS);
	_cleanup_free_ char *line = NULL;
	int size = text ? asprintf(&line, "%s\n", text) : -1;
	if (size < 0) {
		line = NULL; /* asprintf leaves it undefined */
		return lsp_error_no_memory(err, "store");
	}
	return lsp_fs_write_file(path, line, (size_t)size, 0600, err);
}
