#include "fake_start.h"

#include <stdio.h>
#include <string.h>

struct fake_start fake_start;

static int fail(struct lanspread_error *err, int code, const char *message)
{
	*err = (struct lanspread_error){.code = code};
	snprintf(err->message, sizeof err->message, "%s", message);
	return -code;
}

int lanspread_start(const struct lanspread_options *options, struct lanspread **ret_peer,
	struct lanspread_error *err)
{
	fake_start.options = *options;
	memset(fake_start.peers, 0, sizeof fake_start.peers);
	for (int i = 0; options->peers && options->peers[i]; i++)
		fake_start.peers[i] = options->peers[i];
	if (!fake_start.peer)
		return fail(err, fake_start.code, fake_start.message);
	*ret_peer = fake_start.peer;
	return 0;
}

int lanspread_serve_control(struct lanspread *peer, const char *path, struct lanspread_error *err)
{
	fake_start.control = path;
	return 0;
}

int lanspread_serve_http(
	struct lanspread *peer, const char *listen, char **ret_url, struct lanspread_error *err)
{
	snprintf(fake_start.http_listen, sizeof fake_start.http_listen, "%s", listen ? listen : "");
	if (!fake_start.http_url)
		return fail(err, LANSPREAD_E_UNSUPPORTED, "built without the page");
	*ret_url = strdup(fake_start.http_url);
	return 0;
}

void lanspread_shutdown(struct lanspread *peer)
{
	fake_start.shutdowns++;
	fake_stop(peer);
}

int lanspread_wait_stopped(struct lanspread *peer, int timeout_ms, struct lanspread_exit *ret_exit,
	struct lanspread_error *err)
{
	if (fake_start.stop_code)
		return fail(err, fake_start.stop_code, "still running: disk, hash");
	*ret_exit = fake_start.how;
	return 0;
}
