#include "control/path.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] ? value : NULL;
}

int lsp_control_state_dir(char **ret_path, struct lsp_error *err)
{
	const char *state = variable("XDG_STATE_HOME"), *home = variable("HOME");
	char *path = NULL;
	/* The XDG base directory specification: a relative path there is to be ignored. */
	if (state && state[0] == '/')
		path = lsp_text_format("%s/lanspread", state);
	else if (home)
		path = lsp_text_format("%s/.local/state/lanspread", home);
	else
		return lsp_error_set(err, "control", LSP_E_NOT_FOUND,
			"neither HOME nor XDG_STATE_HOME is set; say --state DIR or --control "
			"PATH");
	if (!path)
		return lsp_error_no_memory(err, "control");
	*ret_path = path;
	return 0;
}

static int choose(const char *chosen, const char *state_dir, char **ret_path, struct lsp_error *err)
{
	const char *named = chosen ? chosen : variable("LANSPREAD_CONTROL");
	const char *runtime = variable("XDG_RUNTIME_DIR");
	_cleanup_free_ char *usual = NULL;
	char *path = NULL;
	if (named) {
		path = strdup(named);
	} else if (runtime && runtime[0] == '/') {
		path = lsp_text_format("%s/lanspread/control.sock", runtime);
	} else {
		if (!state_dir) {
			int r = lsp_control_state_dir(&usual, err);
			if (r < 0)
				return r;
			state_dir = usual;
		}
		path = lsp_text_format("%s/control.sock", state_dir);
	}
	if (!path)
		return lsp_error_no_memory(err, "control");
	*ret_path = path;
	return 0;
}

int lsp_control_path(
	const char *chosen, const char *state_dir, char **ret_path, struct lsp_error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = choose(chosen, state_dir, &path, err);
	if (r < 0)
		return r;
	if (!path[0])
		return lsp_error_set(
			err, "control", LSP_E_INVALID, "the control socket's path is empty");
	if (strlen(path) >= LSP_CONTROL_PATH_MAX)
		return lsp_error_set(err, "control", LSP_E_TOO_LARGE,
			"%s is too long for a socket (%d bytes at most); say --control PATH", path,
			LSP_CONTROL_PATH_MAX - 1);
	*ret_path = TAKE_PTR(path);
	return 0;
}
