/* The first steps of a start: the state folder, the settings with the flags above them, who we are.
 */
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "library/games_dir.h"
#include "net/identity.h"
#include "peer/runtime_private.h"
#include "wire/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef LANSPREAD_HELPER_DIR
#define LANSPREAD_HELPER_DIR "/usr/libexec/lanspread"
#endif

/* $XDG_STATE_HOME/lanspread, else ~/.local/state/lanspread (XDG Base Directory Specification). */
static char *default_state_dir(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (base && base[0] == '/')
		return lsp_text_format("%s/lanspread", base);
	return lsp_text_format("%s/.local/state/lanspread", home && *home ? home : "/root");
}

static int open_folder(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	_cleanup_free_ char *wanted =
		options->state_dir ? strdup(options->state_dir) : default_state_dir();
	if (!wanted)
		return lsp_error_no_memory(err, "peer");
	int r = lsp_fs_make_dirs(wanted, true, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "no state folder (--state DIR chooses one)");
	peer->state_dir = realpath(wanted, NULL);
	if (!peer->state_dir)
		return lsp_error_errno(
			err, "peer", errno, "cannot open the state folder \"%s\"", wanted);
	return 0;
}

void lsp_runtime_take_name(struct lsp_runtime *runtime)
{
	struct lsp_peer *peer = &runtime->peer;
	char host[HOST_NAME_MAX + 1] = "";
	const char *name = lsp_config_text(runtime->config, LSP_SETTING_NAME);
	gethostname(host, sizeof host - 1);
	if (!*name)
		name = *host ? host : "lanspread";
	lsp_label_clean(name, strlen(name), peer->name, sizeof peer->name - 1);
}

static int fix(
	struct lsp_config *config, enum lsp_setting_id id, const char *flag, struct lsp_error *err)
{
	return flag ? lsp_config_fix(config, id, flag, err) : 0;
}

/* A folder that was given relative to where the program runs. */
static int fix_games_dir(struct lsp_config *config, const char *flag, struct lsp_error *err)
{
	char here[PATH_MAX];
	if (!flag || !*flag || *flag == '/' || *flag == '~')
		return fix(config, LSP_SETTING_GAMES_DIR, flag, err);
	if (!getcwd(here, sizeof here))
		return lsp_error_errno(err, "peer", errno, "cannot tell the current folder");
	_cleanup_free_ char *absolute = lsp_text_format("%s/%s", here, flag);
	return absolute ? fix(config, LSP_SETTING_GAMES_DIR, absolute, err)
			: lsp_error_no_memory(err, "peer");
}

/* What the flags say stands above the file. */
static int fix_settings(
	struct lsp_runtime *runtime, const struct lanspread_options *o, struct lsp_error *err)
{
	struct lsp_config *config = runtime->config;
	int r = fix(config, LSP_SETTING_NAME, o->name, err);
	if (r == 0)
		r = fix_games_dir(config, o->games_dir, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_LISTEN_ADDRESS, o->listen, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_INTERFACE, o->interface_name, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_SWARM, o->swarm, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_UNPACKER, o->unpacker_command, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_HTTP, o->http, err);
	if (r == 0)
		r = fix(config, LSP_SETTING_DISCOVERY, o->no_discovery ? "false" : NULL, err);
	if (r == 0 && o->log_level_set)
		r = fix(config, LSP_SETTING_LOG_LEVEL,
			lsp_log_level_name((enum lsp_log_level)o->log_level), err);
	return r;
}

static int apply_settings(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	struct lsp_config *config = runtime->config;
	const char *listen = lsp_config_text(config, LSP_SETTING_LISTEN_ADDRESS);
	const char *interface = lsp_config_text(config, LSP_SETTING_INTERFACE);
	bool default_listen =
		strcmp(listen, lsp_settings[LSP_SETTING_LISTEN_ADDRESS].fallback) == 0 &&
		!lsp_config_is_fixed(config, LSP_SETTING_LISTEN_ADDRESS);
	enum lsp_log_level level;
	if (lsp_log_level_parse(lsp_config_text(config, LSP_SETTING_LOG_LEVEL), &level, NULL) == 0)
		lsp_log_set_level(level);
	lsp_runtime_take_name(runtime);
	runtime->discovery = lsp_config_switch(config, LSP_SETTING_DISCOVERY);
	runtime->listen = default_listen ? NULL : strdup(listen);
	runtime->interface = *interface ? strdup(interface) : NULL;
	if ((!default_listen && !runtime->listen) || (*interface && !runtime->interface))
		return lsp_error_no_memory(err, "peer");
	runtime->connect_options = (struct lsp_connect_options){
		.identity = runtime->identity,
		.listen = runtime->listen,
		.interface = runtime->interface,
		.peers = options->peers,
	};
	return 0;
}

static void sink(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	struct lanspread_options *options = argument;
	options->log_sink(
		(enum lanspread_log_level)level, component, message, options->log_argument);
}

static void set_sink(const struct lanspread_options *options)
{
	/* Logging is the process's, so the sink is too: it outlives this peer. */
	static struct lanspread_options kept;
	if (!options->log_sink)
		return;
	kept.log_sink = options->log_sink;
	kept.log_argument = options->log_argument;
	lsp_log_set_sink(sink, &kept);
}

int lsp_runtime_open_state(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	set_sink(options);
	int r = open_folder(runtime, options, err);
	if (r == 0)
		r = lsp_folder_lock_take(peer->state_dir, "lock", "state folder",
			options->name ? options->name : "lanspread", &runtime->lock, err);
	if (r == 0)
		r = lsp_config_open(peer->state_dir, &runtime->config, err);
	if (r == 0)
		r = fix_settings(runtime, options, err);
	if (r == 0)
		r = lsp_games_dir_check_name(
			lsp_config_text(runtime->config, LSP_SETTING_GAMES_DIR), peer->state_dir,
			err);
	if (r == 0)
		r = lsp_identity_open(peer->state_dir, &runtime->identity, err);
	if (r == 0)
		r = apply_settings(runtime, options, err);
	if (r == 0)
		r = lsp_catalog_open(
			peer->state_dir, options->catalog_file, &runtime->catalog, err);
	if (r == 0)
		peer->id = *lsp_identity_peer_id(runtime->identity);
	return r;
}

/* Where the helper programs are: as told, else beside this program (a build tree), else installed.
 */
static char *find_helper(const struct lanspread_options *options, const char *name)
{
	char self[PATH_MAX];
	if (options->helper_dir)
		return lsp_text_format("%s/%s", options->helper_dir, name);
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash = length > 0 ? (self[length] = '\0', strrchr(self, '/')) : NULL;
	if (slash) {
		*slash = '\0';
		char *beside = lsp_text_format("%s/%s", self, name);
		if (beside && access(beside, X_OK) == 0)
			return beside;
		free(beside);
	}
	return lsp_text_format("%s/%s", LANSPREAD_HELPER_DIR, name);
}

int lsp_runtime_set_unpacker(
	struct lsp_runtime *runtime, const struct lanspread_options *options, struct lsp_error *err)
{
	const char *command = lsp_config_text(runtime->config, LSP_SETTING_UNPACKER);
	runtime->unpack_helper = find_helper(options, "lanspread-unpack");
	runtime->discover_helper = find_helper(options, "lanspread-discover");
	runtime->unpacker_command = *command ? strdup(command) : NULL;
	if (!runtime->unpack_helper || !runtime->discover_helper ||
		(*command && !runtime->unpacker_command))
		return lsp_error_no_memory(err, "peer");
	if (options->unpack)
		lsp_unpacker_init_callback(
			&runtime->unpacker, options->unpack, options->unpack_argument);
	else if (runtime->unpacker_command)
		lsp_unpacker_init_command(
			&runtime->unpacker, runtime->peer.tasks, runtime->unpacker_command);
	else
		lsp_unpacker_init_builtin(
			&runtime->unpacker, runtime->peer.tasks, runtime->unpack_helper);
	runtime->peer.unpacker = &runtime->unpacker;
	return 0;
}
