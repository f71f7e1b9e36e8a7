/*
 * lanspread-unpack: takes one archive apart inside a sandbox, for the daemon
 * (src/install/unpack_child.c starts it).
 *
 * Descriptor 3 is the game's folder, 4 the folder to unpack into (none to measure). One frame
 * on stdin says what to do; frames on stdout tell how it goes:
 *
 *     in:   {"mode": "unpack" | "measure" | "run", "volumes": [path below 3], "argv": [text],
 *            "readable": path, "bytes": N, "ratio": N, "ratio_free": N, "entries": N, "depth": N,
 *            "memory": N}
 *     out:  {"progress": {"in": N, "out": N}}                          any number, 20 a second
 *           {"done": {"bytes": N, "entries": N, "skipped": N, "known": bool, "landlock": N}}
 *        or {"error": {"code": N, "message": text}}
 *
 * "run" becomes another program (unrar, unar) in a sandbox that suits it; its exit status is the
 * answer. All that comes from the daemon is trusted; all that is in the archive is not, and nothing
 * of it is read before the sandbox is shut.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "install/extract.h"
#include "install/sandbox.h"
#include "wire/frame.h"
#include "wire/json.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN "unpack"
#define GAME_FD 3
#define TARGET_FD 4
#define VOLUMES_MAX 1100

struct request {
	json_t *json;
	const char *mode;
	struct lsp_unpack_limits limits;
	struct lsp_extract_volume volumes[VOLUMES_MAX];
	size_t volume_count;
};

static int send_frame(json_t *value, struct lsp_error *err)
{
	_cleanup_json_ json_t *owned = value;
	_cleanup_buffer_ struct lsp_buffer out = {0};
	if (!owned)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_frame_append_json(&out, owned, LSP_FRAME_MAX_LOCAL, err);
	for (size_t done = 0; r == 0 && done < out.size;) {
		ssize_t put = write(STDOUT_FILENO, out.data + done, out.size - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return lsp_error_errno(err, DOMAIN, errno, "the daemon is gone");
		done += (size_t)put;
	}
	return r;
}

static int fail(const struct lsp_error *error)
{
	(void)!send_frame(
		json_pack("{s:{s:i,s:s}}", "error", "code", error->code, "message", error->message),
		NULL);
	return 1;
}

/* ---- Request ---- */

static int read_request(struct request *request, struct lsp_error *err)
{
	struct lsp_frame_decoder decoder;
	lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX_LOCAL);
	int r = 0;
	while (r == 0) {
		char data[4096];
		ssize_t got = read(STDIN_FILENO, data, sizeof data);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			r = lsp_error_set(err, DOMAIN, LSP_E_CLOSED, "no request came");
			break;
		}
		size_t used, size;
		const char *payload;
		r = lsp_frame_decoder_feed(
			&decoder, data, (size_t)got, &used, &payload, &size, err);
		if (r == 1) {
			r = lsp_json_parse(
				payload, size, &lsp_json_limits_local, &request->json, err);
			break;
		}
	}
	lsp_frame_decoder_done(&decoder);
	return r;
}

static int parse_request(struct request *request, struct lsp_error *err)
{
	const json_t *json = request->json;
	uint64_t depth = 0;
	int r = lsp_json_get_text(json, "mode", 16, &request->mode, err);
	struct {
		const char *key;
		uint64_t *value;
	} const numbers[] = {{"bytes", &request->limits.bytes}, {"ratio", &request->limits.ratio},
		{"ratio_free", &request->limits.ratio_free}, {"entries", &request->limits.entries},
		{"memory", &request->limits.memory}, {"depth", &depth}};
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(numbers); i++)
		r = lsp_json_get_u64(
			json, numbers[i].key, (uint64_t)INT64_MAX, numbers[i].value, err);
	if (r == 0 && (!request->mode || !request->limits.ratio || depth > 1024))
		r = lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL, "the request is not complete");
	request->limits.depth = (uint32_t)depth;
	return r;
}

static int open_volumes(struct request *request, struct lsp_error *err)
{
	json_t *list = NULL, *item;
	size_t i;
	int r = lsp_json_get_array(request->json, "volumes", VOLUMES_MAX, &list, err);
	json_array_foreach (list, i, item) {
		const char *path = json_string_value(item);
		int fd = -1;
		if (r == 0 && !path)
			r = lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL, "a volume is no text");
		if (r == 0)
			r = lsp_fs_open_below(GAME_FD, path, O_RDONLY, 0, &fd, err);
		if (r < 0)
			return r;
		const char *slash = strrchr(path, '/');
		request->volumes[request->volume_count++] =
			(struct lsp_extract_volume){fd, slash ? slash + 1 : path};
	}
	if (r == 0 && request->volume_count == 0)
		r = lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL, "no archive is named");
	return r;
}

/* ---- The built-in unpacker ---- */

static int progress(
	void *argument, uint64_t in, uint64_t out, uint64_t entries, struct lsp_error *err)
{
	lsp_time *last = argument, now = lsp_now(lsp_clock_system);
	(void)entries;
	if (now - *last < 50 * LSP_MILLISECOND)
		return 0;
	*last = now;
	return send_frame(json_pack("{s:{s:I,s:I}}", "progress", "in", (json_int_t)in, "out",
				  (json_int_t)out),
		err);
}

static int extract(struct request *request, bool measure, struct lsp_error *err)
{
	lsp_time last = 0;
	int landlock = 0;
	struct lsp_unpack_stats stats = {0};
	struct lsp_sandbox sandbox = {.target_fd = measure ? -1 : TARGET_FD,
		.memory = request->limits.memory,
		.file_size = request->limits.bytes};
	int r = open_volumes(request, err);
	close(GAME_FD);
	struct lsp_extract extract = {request->volumes, request->volume_count,
		measure ? -1 : TARGET_FD, &request->limits, progress, &last};
	if (r == 0)
		r = lsp_sandbox_enter(&sandbox, &landlock, err);
	if (r == 0)
		r = lsp_extract_run(&extract, &stats, err);
	if (r == 0)
		r = send_frame(
			json_pack("{s:{s:I,s:I,s:I,s:b,s:i}}", "done", "bytes",
				(json_int_t)stats.bytes, "entries", (json_int_t)stats.entries,
				"skipped", (json_int_t)stats.skipped, "known", stats.known,
				"landlock", landlock),
			err);
	return r;
}

/* ---- Another program ---- */

/*
 * "DEB_HOST_MULTIARCH=x86_64-linux-gnu", after the folder that the C library is in; "" where there
 * is no such folder.
 *
 * GNUstep, on which unar stands, wants to know it. Debian 13's otherwise has a shell run
 * dpkg-architecture and write its answer into /tmp, and dies of a null pointer when it may not.
 */
static void tell_multiarch(char *out, size_t size)
{
	Dl_info library = {0};
	snprintf(out, size, "%s", "");
	if (!dladdr((const void *)(uintptr_t)abort, &library) || !library.dli_fname)
		return;
	const char *name = strstr(library.dli_fname, "/lib/");
	name = name ? name + strlen("/lib/") : "";
	const char *end = strchr(name, '/');
	if (end && strchr(end + 1, '/') == NULL)
		snprintf(out, size, "DEB_HOST_MULTIARCH=%.*s", (int)(end - name), name);
}

static int run(struct request *request, struct lsp_error *err)
{
	const char *argv[32] = {NULL};
	json_t *list = NULL, *item;
	size_t i;
	int landlock;
	struct lsp_sandbox sandbox = {.target_fd = TARGET_FD,
		.foreign = true,
		.memory = request->limits.memory,
		.file_size = request->limits.bytes};
	int r = lsp_json_get_text(request->json, "readable", 4096, &sandbox.readable, err);
	if (r == 0)
		r = lsp_json_get_array(request->json, "argv", 31, &list, err);
	json_array_foreach (list, i, item)
		argv[i] = json_string_value(item);
	if (r == 0 && !argv[0])
		r = lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL, "no program to run");
	if (r == 0 && (fchdir(TARGET_FD) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0))
		r = lsp_error_errno(err, DOMAIN, errno, "cannot prepare for \"%s\"", argv[0]);
	if (r == 0)
		r = lsp_sandbox_enter(&sandbox, &landlock, err);
	if (r < 0)
		return r;
	close(GAME_FD);
	close(TARGET_FD);
	char multiarch[128];
	tell_multiarch(multiarch, sizeof multiarch);
	const char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=.", "TMPDIR=.",
		multiarch[0] ? multiarch : NULL, NULL};
	execve(argv[0], (char *const *)argv, (char *const *)environment);
	return lsp_error_errno(err, DOMAIN, errno, "cannot run \"%s\"", argv[0]);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("lanspread-unpack " LANSPREAD_VERSION) < 0;
	if (argc > 1) {
		fputs("lanspread-unpack is started by lanspread; it takes no arguments\n", stderr);
		return 2;
	}
	setlocale(LC_CTYPE, "C.UTF-8");
	static struct request request;
	struct lsp_error err = {0};
	int r = read_request(&request, &err);
	if (r == 0)
		r = parse_request(&request, &err);
	if (r == 0)
		r = strcmp(request.mode, "run") == 0
			    ? run(&request, &err)
			    : extract(&request, strcmp(request.mode, "measure") == 0, &err);
	/* At once: what is left is the kernel's to free, and leak checkers cannot run in here. */
	_exit(r < 0 ? fail(&err) : 0);
}
