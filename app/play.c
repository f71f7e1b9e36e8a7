/* play: the peer says what to start, the person's own session starts it. share: a torrent's link.
 */
#include "commands.h"

#include "base/cleanup.h"
#include "start.h"
#include "wire/json.h"

#include <string.h>

#define ARGV_MAX 64

/* Texts of a JSON array into argv, which they outlive. False when there is none or a non-text. */
static bool fill_argv(const json_t *array, const char *argv[ARGV_MAX + 1])
{
	size_t count = json_array_size(array);
	if (count == 0 || count > ARGV_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(array, i));
		if (!text)
			return false;
		argv[i] = text;
	}
	argv[count] = NULL;
	return true;
}

int cli_run_play(struct cli *cli, const struct cli_arguments *arguments)
{
	json_t *command = cli_command_new("play_info");
	_cleanup_json_ json_t *result = NULL;
	const char *argv[ARGV_MAX + 1];
	struct lsp_error err = {0};
	cli_set(command, "game", arguments->positional[0]);
	int code = cli_call_or_fail(cli, command, &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json)
		cli_print_json(cli, result);
	const char *cwd = cli_text(result, "cwd");
	if (strcmp(cli_text(result, "kind"), "folder") == 0) {
		if (cli_open_in_desktop(cwd, &err) == 0 || err.code != LSP_E_UNSUPPORTED)
			return err.code ? cli_fail(cli, &err) : CLI_DONE;
		lsp_error_set(&err, "app", LSP_E_UNSUPPORTED,
			"%s does not say how it is started; it is in %s", arguments->positional[0],
			cwd);
		return cli_fail(cli, &err);
	}
	if (!fill_argv(json_object_get(result, "argv"), argv)) {
		lsp_error_set(&err, "app", LSP_E_PROTOCOL, "the peer did not say what to start");
		return cli_fail(cli, &err);
	}
	fflush(cli->out);
	if (cli_become(argv, cwd[0] ? cwd : NULL, &err) < 0)
		return cli_fail(cli, &err);
	return CLI_DONE;
}
