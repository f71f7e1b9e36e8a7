#include "wait.h"

#include "cli.h"

#include <string.h>

static const struct cli_verb verbs[] = {
	{"get", "download", "downloading", "downloaded", true},
	{"install", "install", "installing", "installed", true},
	{"update", "update", "updating", "updated", true},
	{"uninstall", "uninstall", "uninstalling", "uninstalled", false},
	{"remove", "remove", "removing", "removed", false},
	{"verify", "verify", "verifying", "verified", false},
	{"add", "add", "adding", "added", false},
};

const struct cli_verb *cli_verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

void cli_wait_init(struct cli_wait *wait, const struct cli_verb *verb, const char *game)
{
	*wait = (struct cli_wait){.verb = verb, .game = game};
}

bool cli_wait_concerns(const struct cli_wait *wait, const json_t *event)
{
	return strcmp(cli_text(event, "game"), wait->game) == 0;
}

/* "download_begin" of "download" → "begin"; NULL for another operation's event. */
static const char *suffix_of(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(name, prefix, length) == 0 && name[length] == '_' ? name + length + 1 : NULL;
}

static void take_failure(struct cli_wait *wait, const json_t *event)
{
	const json_t *error = json_object_get(event, "error");
	const char *message =
		json_is_string(error) ? json_string_value(error) : cli_text(error, "message");
	wait->failed = true;
	lsp_error_set(&wait->error, "peer", lsp_control_code(cli_text(error, "code")), "%s",
		message[0] ? message : "it failed, and the peer did not say why");
}

/* An event of the operation itself or, where that fetches, of its download. */
static enum cli_verdict take_own(
	struct cli_wait *wait, const char *suffix, bool part, const json_t *event)
{
	wait->seen = true;
	if (strcmp(suffix, "failed") == 0) {
		take_failure(wait, event);
	} else if (strcmp(suffix, "finished") == 0) {
		wait->finished = wait->finished || !part;
		snprintf(wait->kept, sizeof wait->kept, "%s", cli_text(event, "kept"));
	} else if (strcmp(suffix, "all_peers_gone") == 0) {
		wait->waiting = true;
		wait->unread = false;
		wait->by_torrent = strcmp(cli_text(event, "engine"), "swarm") == 0;
	} else {
		wait->ended = false;
		wait->waiting = false;
	}
	return wait->ended ? CLI_OVER : CLI_GOES_ON;
}

/* Ours, or a part of it; a game that is being hashed is busy with something else. */
static bool is_part(const struct cli_wait *wait, const char *operation)
{
	if (strcmp(operation, wait->verb->doing) == 0)
		return true;
	return wait->verb->fetches &&
	       (strcmp(operation, "downloading") == 0 || strcmp(operation, "installing") == 0);
}

static bool is_running(const struct cli_wait *wait, const json_t *event)
{
	const json_t *operation;
	size_t i;
	json_array_foreach (json_object_get(event, "operations"), i, operation)
		if (cli_wait_concerns(wait, operation) &&
			is_part(wait, cli_text(operation, "operation")))
			return true;
	return false;
}

void cli_wait_look(struct cli_wait *wait, const json_t *game)
{
	wait->waiting = json_is_true(json_object_get(game, "waiting"));
	wait->by_torrent =
		strcmp(cli_text(json_object_get(game, "progress"), "engine"), "swarm") == 0;
	wait->unread = strcmp(cli_text(game, "availability"), "remote") == 0 &&
		       !json_is_string(json_object_get(game, "content"));
}

static enum cli_verdict take_snapshot(struct cli_wait *wait, const json_t *event)
{
	const json_t *game;
	size_t i;
	if (is_running(wait, event)) {
		wait->seen = true;
		wait->ended = false;
		json_array_foreach (json_object_get(event, "games"), i, game)
			if (strcmp(cli_text(game, "id"), wait->game) == 0)
				cli_wait_look(wait, game);
		return CLI_GOES_ON;
	}
	wait->resynced = wait->resynced || json_is_true(json_object_get(event, "resync"));
	wait->ended = wait->seen || wait->resynced;
	return wait->ended ? CLI_OVER : CLI_GOES_ON;
}

enum cli_verdict cli_wait_take(struct cli_wait *wait, const json_t *event)
{
	const char *name = cli_text(event, "event");
	if (strcmp(name, "local_games_updated") == 0)
		return take_snapshot(wait, event);
	if (!cli_wait_concerns(wait, event))
		return CLI_GOES_ON;
	const char *suffix = suffix_of(name, wait->verb->prefix);
	if (suffix)
		return take_own(wait, suffix, false, event);
	if (!wait->verb->fetches)
		return CLI_GOES_ON;
	suffix = suffix_of(name, "download");
	if (!suffix)
		suffix = suffix_of(name, "install");
	return suffix ? take_own(wait, suffix, true, event) : CLI_GOES_ON;
}

bool cli_wait_reached(const struct cli_wait *wait, const json_t *game)
{
	const char *verb = wait->verb->name, *availability = cli_text(game, "availability");
	bool installed = strcmp(availability, "installed") == 0;
	bool downloaded = installed || strcmp(availability, "downloaded") == 0;
	if (strcmp(verb, "get") == 0 || strcmp(verb, "add") == 0)
		return downloaded;
	if (strcmp(verb, "install") == 0)
		return installed;
	if (strcmp(verb, "update") == 0)
		return downloaded && strcmp(cli_text(game, "local_version"),
					     cli_text(game, "latest_version")) == 0;
	if (strcmp(verb, "uninstall") == 0)
		return !installed && strcmp(availability, "local_only") != 0;
	if (strcmp(verb, "remove") == 0)
		return !downloaded;
	return downloaded && !cli_text(game, "problem")[0]; /* verify */
}
