/* What the rest of the library may ask of a public handle, beyond lanspread.h. */
#pragma once

#include <lanspread/lanspread.h>

/* Tasks that serve this peer join its registry and end with it. */
struct lsp_tasks *lsp_handle_tasks(struct lanspread *handle);
/* For tests: what is below the handle. */
struct lsp_runtime *lsp_handle_runtime(struct lanspread *handle);
/* For the default place of the control socket. */
const char *lsp_handle_state_dir(struct lanspread *handle);
/* For `status`: where the page is, without the token. */
void lsp_handle_set_http_url(struct lanspread *handle, const char *url);
