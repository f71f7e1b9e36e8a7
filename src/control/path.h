/*
 * Where the control socket is. The daemon and its clients ask the same question, so that they meet
 * without being told: $LANSPREAD_CONTROL, else $XDG_RUNTIME_DIR/lanspread/control.sock, else
 * control.sock in the state folder. Pure but for the environment; from every thread.
 */
#pragma once

#include "base/error.h"

#define LSP_CONTROL_PATH_MAX 108 /* sun_path of unix(7), with its NUL */

/* The state folder: $XDG_STATE_HOME/lanspread, else ~/.local/state/lanspread. The caller frees it.
 */
LSP_MUST_CHECK int lsp_control_state_dir(char **ret_path, struct lsp_error *err);

/*
 * The socket's path: `chosen` (an option) if not NULL, else the place above; state_dir NULL: the
 * usual one. The caller frees it. -LSP_E_TOO_LARGE when no socket can have that long a name.
 */
LSP_MUST_CHECK int lsp_control_path(
	const char *chosen, const char *state_dir, char **ret_path, struct lsp_error *err);
