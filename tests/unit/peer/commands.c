/* The commands and what docs/api.md and docs/torrent.md say of them, and what a peer really
 * answers. */
#include "other.h"

#include "peer/command.h"

#include <ctype.h>

#define TORRENT_PREFIX "torrent_"

static char *docs, *torrent_docs;

static char *read_page(const char *path)
{
	struct lsp_buffer text = {0};
	assert_int_equal(lsp_fs_read_file(path, 1 << 20, &text, NULL), 0);
	assert_int_equal(lsp_buffer_append(&text, "", 1, NULL), 0);
	return (char *)text.data;
}

static int read_docs(void **state)
{
	docs = read_page(DOCS "/api.md");
	torrent_docs = read_page(DOCS "/torrent.md");
	return 0;
}

static int free_docs(void **state)
{
	free(docs);
	free(torrent_docs);
	return 0;
}

/* The row of a page's table of commands that begins with this one, alone or in a list; or NULL. */
static char *find_row(char *page, const char *command)
{
	_cleanup_free_ char *quoted = lsp_text_format("`%s`", command);
	char *line = strstr(page, "| command |");
	assert_non_null(line);
	for (; line && *line == '|'; line = strchr(line, '\n') + 1) {
		char *cell = strchr(line + 1, '|');
		char *found = strstr(line, quoted);
		if (found && found < cell)
			return strndup(cell + 1, (size_t)(strchr(line, '\n') - cell - 1));
	}
	return NULL;
}

/* Drops what stands in brackets: remarks, and what is inside of objects. */
static void drop_nested(char *text, const char *open, const char *close)
{
	char *out = text;
	int depth = 0;
	for (; *text; text++) {
		depth += strchr(open, *text) != NULL;
		if (!depth)
			*out++ = *text;
		depth -= depth && strchr(close, *text);
	}
	*out = '\0';
}

/* Compares "game, variant?" with the arguments of a command. */
static void compare_arguments(const struct lsp_command *command, char *cell)
{
	const struct lsp_argument *argument = command->arguments;
	char *place = NULL;
	drop_nested(cell, "(", ")");
	for (char *name = strtok_r(cell, ", ", &place); name; name = strtok_r(NULL, ", ", &place)) {
		bool required = name[strlen(name) - 1] != '?';
		if (!required)
			name[strlen(name) - 1] = '\0';
		if (!argument || !argument->name || strcmp(argument->name, name) != 0 ||
			argument->required != required)
			fail_msg("%s: docs/api.md has the argument %s otherwise", command->name,
				name);
		argument++;
	}
	if (argument && argument->name)
		fail_msg("%s: docs/api.md lacks the argument %s", command->name, argument->name);
}

static void every_command_is_documented_with_its_arguments(void **state)
{
	for (const struct lsp_command *command = lsp_commands; command->name; command++) {
		_cleanup_free_ char *row = find_row(docs, command->name);
		if (!row)
			fail_msg("docs/api.md lacks %s", command->name);
		*strchr(row, '|') = '\0';
		compare_arguments(command, row);
	}
}

/* Each name in the first cells of a page's table of commands is one, with the prefix before it. */
static void compare_names(char *page, const char *prefix, const struct lsp_command *commands)
{
	char *line = strchr(strchr(strstr(page, "| command |"), '\n') + 1, '\n') + 1;
	for (; *line == '|'; line = strchr(line, '\n') + 1) {
		char *end = strchr(line + 1, '|');
		for (char *name = strchr(line, '`'); name && name < end;) {
			char *stop = strchr(++name, '`');
			_cleanup_free_ char *whole =
				lsp_text_format("%s%.*s", prefix, (int)(stop - name), name);
			const struct lsp_command *command = commands;
			while (command->name && strcmp(command->name, whole) != 0)
				command++;
			if (!command->name)
				fail_msg("docs/ have the command %s, which is none", whole);
			name = strchr(stop + 1, '`');
		}
	}
}

static void every_documented_command_exists(void **state)
{
	compare_names(docs, "", lsp_commands);
	compare_names(torrent_docs, TORRENT_PREFIX, lsp_torrent_commands);
}

/* Is it in the text as a whole word? */
static bool has_word(const char *text, const char *word)
{
	size_t size = strlen(word);
	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
		if (begins && !isalnum((unsigned char)at[size]) && at[size] != '_')
			return true;
	}
	return false;
}

/* What `options` takes stands with `add`. */
static void every_torrent_command_is_documented_with_its_arguments(void **state)
{
	_cleanup_free_ char *add = find_row(torrent_docs, "add");
	assert_non_null(add);
	for (const struct lsp_command *command = lsp_torrent_commands; command->name; command++) {
		const char *name = command->name + strlen(TORRENT_PREFIX);
		_cleanup_free_ char *row = find_row(torrent_docs, name);
		if (!row)
			fail_msg("docs/torrent.md lacks %s", name);
		const struct lsp_argument *argument = command->arguments;
		for (; argument->name; argument++) {
			bool with_add =
				strcmp(name, "options") == 0 && has_word(add, argument->name);
			if (!with_add && !has_word(row, argument->name))
				fail_msg("docs/torrent.md, %s: lacks the argument %s", name,
					argument->name);
		}
	}
}

/* Is each `name` in this piece of the docs a member of the object? */
static void compare_members(const char *what, char *text, json_t *object)
{
	unsigned count = 0;
	for (char *name = strchr(text, '`'); name; name = strchr(name, '`')) {
		char *end = strchr(++name, '`');
		assert_non_null(end);
		*end = '\0';
		if (!json_object_get(object, name))
			fail_msg("%s: no member \"%s\", which docs/api.md has", what, name);
		name = end + 1;
		count++;
	}
	if (count != json_object_size(object))
		fail_msg("%s has %zu members, docs/api.md says %u: %s", what,
			json_object_size(object), count, json_dumps(object, JSON_COMPACT));
}

/* "**Name**: `a`, `b` (…)" */
static void compare_object(const char *name, json_t *object)
{
	_cleanup_free_ char *title = lsp_text_format("\n**%s**: ", name);
	char *begin = strstr(docs, title);
	assert_non_null(begin);
	begin += strlen(title);
	_cleanup_free_ char *text = strndup(begin, (size_t)(strstr(begin, "\n\n") - begin));
	drop_nested(text, "(", ")");
	compare_members(name, text, object);
}

/* The keys of `{"a": …, "b"}` in the result cell of a command's row. */
static void compare_result(const char *command, json_t *result)
{
	_cleanup_free_ char *row = find_row(docs, command);
	char *begin = strstr(strchr(row, '|'), "`{");
	if (!begin)
		return; /* it names an object */
	_cleanup_free_ char *text =
		strndup(begin + 2, (size_t)(strchr(begin + 1, '`') - begin - 2));
	*strrchr(text, '}') = '\0';
	drop_nested(text, "[{", "]}");
	unsigned count = 0;
	for (char *part = text; part && *part; part = strchr(part, ',')) {
		char *name = strchr(part, '"');
		if (!name)
			break;
		char *end = strchr(++name, '"');
		*end = '\0';
		if (!json_object_get(result, name))
			fail_msg("%s: no \"%s\" in %s", command, name,
				json_dumps(result, JSON_COMPACT));
		part = end + 1;
		count++;
	}
	if (count != json_object_size(result))
		fail_msg("%s answers %s, docs/api.md says otherwise", command,
			json_dumps(result, JSON_COMPACT));
}

static json_t *result_of(struct other *other, const char *command, const char *arguments)
{
	_cleanup_free_ char *json = lsp_text_format("{\"command\":\"%s\"%s}", command, arguments);
	json_t *answer = other_ask(other, json);
	json_t *result = json_incref(json_object_get(answer, "result"));
	if (!result)
		fail_msg("%s: %s", command, json_dumps(answer, JSON_COMPACT));
	json_decref(answer);
	compare_result(command, result);
	return result;
}

static bool has_ready_game(json_t *event, const void *argument)
{
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	return json_string_length(json_object_get(game, "content")) > 0;
}

/* Of the commands that only look, and some that do little. */
static void answers_are_as_documented(void **state)
{
	struct other *other = *state;
	static const struct {
		const char *command, *arguments, *list, *object;
	} cases[] = {
		{"list_games", "", "games", "Game"},
		{"get_game", ",\"game\":\"quake\"", NULL, NULL},
		{"peers", "", "peers", "Peer"},
		{"status", "", NULL, "Status"},
		{"tasks", "", "tasks", "Task"},
		{"chunk_map", ",\"game\":\"quake\"", NULL, NULL},
		{"get_limits", "", NULL, NULL},
		{"set_limits", ",\"game\":\"quake\",\"up\":5", NULL, NULL},
		{"config_get", "", NULL, NULL},
		{"config_get", ",\"key\":\"name\"", NULL, NULL},
		{"config_set", ",\"key\":\"limit_up\",\"value\":7", NULL, NULL},
		{"identity", "", NULL, NULL},
		{"catalog_show", "", NULL, NULL},
		{"check_game_dir", ",\"path\":\"/tmp/lanspread-nowhere\"", NULL, NULL},
		{"cancel", ",\"game\":\"quake\"", NULL, NULL},
		{"verify_game", ",\"game\":\"quake\"", NULL, NULL},
	};
	other_write(other, "quake/pak0.pak", 1000);
	other_write_text(other, "quake/version.ini", "20240101\n");
	other_start_peer(other);
	json_decref(other_await(other, "local_games_updated", has_ready_game, NULL));
	other_connect(other);
	other_expect(other, "peer_connected");
	(void)other_send(other, "{\"command\":\"get_game\",\"game\":\"quake\"}");
	json_t *files = other_await(other, "got_game_files", NULL, NULL);
	assert_string_equal(json_string_value(json_object_get(files, "version")), "20240101");
	assert_int_equal(json_array_size(json_object_get(files, "files")), 2);
	json_decref(files);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		json_t *result = result_of(other, cases[i].command, cases[i].arguments);
		json_t *object = cases[i].list
					 ? json_array_get(json_object_get(result, cases[i].list), 0)
					 : result;
		if (cases[i].object)
			compare_object(cases[i].object, object);
		json_decref(result);
	}
}

/* A limit of a game that is not given stays as it is; a game that nobody knows gets none. */
static void a_limit_that_is_not_given_stays(void **state)
{
	struct other *other = *state;
	other_start_peer(other);
	json_decref(
		result_of(other, "set_limits", ",\"game\":\"openttd\",\"up\":5000,\"down\":7000"));
	json_t *refusal =
		other_ask(other, "{\"command\":\"set_limits\",\"game\":\"opnettd\",\"up\":1}");
	json_t *error = json_object_get(refusal, "error");
	assert_string_equal(json_string_value(json_object_get(error, "code")), "not_found");
	json_decref(refusal);
	json_t *limits = result_of(other, "set_limits", ",\"game\":\"openttd\",\"up\":6000");
	json_t *games = json_object_get(limits, "games");
	json_t *game = json_object_get(games, "openttd");
	assert_int_equal(json_object_size(games), 1);
	assert_int_equal(json_integer_value(json_object_get(game, "up")), 6000);
	assert_int_equal(json_integer_value(json_object_get(game, "down")), 7000);
	json_decref(limits);
}

/* The error names the argument, and its message begins with it. */
static void a_wrong_argument_is_named(void **state)
{
	struct other *other = *state;
	static const struct {
		const char *json, *argument, *message;
	} cases[] = {
		{"{\"command\":\"peers_forget\",\"peer\":\"zz\"}", "peer", "\"peer\" must be "},
		{"{\"command\":\"verify_game\",\"game\":\"\"}", "game",
			"\"game\": a name is empty"},
		{"{\"command\":\"peers_forget\"}", "peer", "\"peer\" is missing"},
		{"{\"command\":\"tasks\",\"colour\":1}", "colour", "\"colour\" is no argument"},
	};
	other_start_peer(other);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		json_t *answer = other_ask(other, cases[i].json);
		json_t *error = json_object_get(answer, "error");
		assert_string_equal(
			json_string_value(json_object_get(error, "argument")), cases[i].argument);
		const char *message = json_string_value(json_object_get(error, "message"));
		assert_ptr_equal(strstr(message, cases[i].message), message);
		json_decref(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_documented_with_its_arguments),
		cmocka_unit_test(every_documented_command_exists),
		cmocka_unit_test(every_torrent_command_is_documented_with_its_arguments),
		cmocka_unit_test_setup_teardown(
			answers_are_as_documented, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			a_limit_that_is_not_given_stays, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			a_wrong_argument_is_named, other_set_up, other_tear_down),
	};
	return cmocka_run_group_tests_name("commands", tests, read_docs, free_docs);
}
