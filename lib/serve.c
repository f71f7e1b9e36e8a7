/*
 * Where the library's parts meet: the control socket and the page are clients of the public API, so
 * src/peer/ knows nothing of them; their start is part of that API, so they cannot know the peer.
 */
#include "base/cleanup.h"
#include "control/path.h"
#include "control/server.h"
#include "lanspread/lanspread.h"
#include "peer/handle.h"
#include "task/registry.h"

#ifdef HAVE_HTTP
#include "base/text.h"
#include "http/http.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int to_public(int r, const struct lsp_error *inner, struct lanspread_error *err)
{
	if (r < 0 && err) {
		*err = (struct lanspread_error){.code = inner->code, .sys_errno = inner->sys_errno};
		snprintf(err->message, sizeof err->message, "%s",
			r == -LSP_E_CLOSED ? "the peer has stopped" : inner->message);
	}
	return r;
}

static int serve_control(struct lanspread *peer, const char *chosen, struct lsp_error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = lsp_control_path(chosen, lsp_handle_state_dir(peer), &path, err);
	if (r < 0)
		return r;
	struct lsp_control_options options = {.path = path};
	return lsp_control_start(peer, lsp_handle_tasks(peer), &options, err);
}

int lanspread_serve_control(struct lanspread *peer, const char *path, struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	return to_public(serve_control(peer, path, &inner), &inner, err);
}

#ifdef HAVE_HTTP

/* The page lives as long as the peer, and tells its last event: this task waits and frees it. */
static int hold_page(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	_cleanup_(lsp_http_free_pointer) struct lsp_http *http = argument;
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	lsp_http_join(http);
	return 0;
}

static int serve_http(
	struct lanspread *peer, const char *listen, char **ret_url, struct lsp_error *err)
{
	_cleanup_free_ char *url = NULL, *token_file = NULL;
	_cleanup_(lsp_http_free_pointer) struct lsp_http *http = NULL;
	token_file = lsp_text_format("%s/page.token", lsp_handle_state_dir(peer));
	if (!token_file)
		return lsp_error_no_memory(err, "lib");
	struct lsp_http_options options = {.listen = listen, .token_file = token_file};
	int r = lsp_http_start(peer, lsp_handle_tasks(peer), &options, &http, err);
	if (r < 0)
		return r;
	url = strdup(lsp_http_url(http));
	if (!url)
		return lsp_error_no_memory(err, "lib");
	lsp_handle_set_http_url(peer, lsp_http_address(http));
	r = lsp_tasks_spawn(lsp_handle_tasks(peer), "page holder", LSP_TASK_BACKGROUND, hold_page,
		http, NULL, err);
	if (r < 0)
		return r;
	TAKE_PTR(http);
	*ret_url = TAKE_PTR(url);
	return 0;
}

#else

static int serve_http(
	struct lanspread *peer, const char *listen, char **ret_url, struct lsp_error *err)
{
	return lsp_error_set(err, "lib", LSP_E_UNSUPPORTED, "this build has no page");
}

#endif

int lanspread_serve_http(
	struct lanspread *peer, const char *listen, char **ret_url, struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	char *url = NULL;
	int r = to_public(serve_http(peer, listen, &url, &inner), &inner, err);
	if (r < 0)
		return r;
	if (ret_url)
		*ret_url = url;
	else
		free(url);
	return 0;
}
