#include "torrent_print.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define SHORT 8 /* digits of an id: enough to name it by */
#define CELL 64

static void line(struct cli *cli, const char *text)
{
	cli_print_text(cli->out, text);
	fputc('\n', cli->out);
}

/* "" for nothing. */
static const char *rate(uint64_t bytes, char out[CELL])
{
	char size[LSP_TEXT_SIZE_MAX];
	out[0] = '\0';
	if (bytes)
		snprintf(out, CELL, "%s/s", lsp_text_size(bytes, size));
	return out;
}

static const char *number(uint64_t value, char out[CELL])
{
	snprintf(out, CELL, "%llu", (unsigned long long)value);
	return out;
}

static const char *percent(double share, char out[CELL])
{
	snprintf(out, CELL, "%u %%", (unsigned)(share * 100));
	return out;
}

static double share_of(const json_t *object, const char *part, const char *whole)
{
	uint64_t all = cli_number(object, whole);
	return all ? (double)cli_number(object, part) / (double)all : 1;
}

/* ---- Tables ------------------------------------------------------------------------------ */

struct column {
	const char *head;
	const char *(*cell)(const json_t *row, char out[CELL]);
};

/* `spare`: as of cli_table_fit, the second column being the flexible one; NULL: whole. */
static void print_table(struct cli *cli, const json_t *rows, const struct column *columns,
	size_t count, const char *spare, const char *none)
{
	const char *cells[CLI_TABLE_MAX_COLUMNS];
	char texts[CLI_TABLE_MAX_COLUMNS][CELL];
	struct cli_table table;
	const json_t *row;
	size_t i;
	if (json_array_size(rows) == 0) {
		line(cli, none);
		return;
	}
	cli_table_init(&table, count);
	if (spare)
		cli_table_fit(&table, cli, 1, spare);
	for (size_t k = 0; k < count; k++)
		cells[k] = columns[k].head;
	cli_table_add(&table, cells);
	json_array_foreach (rows, i, row) {
		for (size_t k = 0; k < count; k++)
			cells[k] = columns[k].cell(row, texts[k]);
		cli_table_add(&table, cells);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
}

static const char *short_id(const json_t *row, char out[CELL])
{
	snprintf(out, CELL, "%.*s", SHORT, cli_text(row, "id"));
	return out;
}

/* What a stranger may make longer than a line: cut between two characters. */
static const char *cut(const char *text, char out[CELL])
{
	size_t size = strlen(text);
	if (size < CELL)
		return text;
	size = CELL - sizeof "…";
	while (size && ((unsigned char)text[size] & 0xC0) == 0x80)
		size--;
	snprintf(out, CELL, "%.*s…", (int)size, text);
	return out;
}

static const char *state(const json_t *row, char out[CELL])
{
	const char *word = cli_text(row, "state");
	snprintf(out, CELL, "%s",
		strcmp(word, "fetching_metadata") == 0 ? "fetching metadata" : word);
	return out;
}

static const char *done(const json_t *row, char out[CELL])
{
	out[0] = '\0';
	return cli_number(row, "size") ? percent(share_of(row, "done", "total"), out) : out;
}

static const char *file_done(const json_t *row, char out[CELL])
{
	return percent(share_of(row, "done", "size"), out);
}

static const char *path(const json_t *row, char out[CELL])
{
	return cli_text(row, "path"); /* whole: it is what `select` wants */
}

static const char *size(const json_t *row, char out[CELL])
{
	return cli_number(row, "size") ? lsp_text_size(cli_number(row, "size"), out) : "";
}

static const char *ratio(const json_t *row, char out[CELL])
{
	snprintf(out, CELL, "%.2f", json_number_value(json_object_get(row, "ratio")));
	return out;
}

static const char *progress(const json_t *row, char out[CELL])
{
	return percent(json_number_value(json_object_get(row, "progress")), out);
}

/* Of members that are what a table shows. */
#define RATE(key)                                                                                  \
	static const char *key(const json_t *row, char out[CELL])                                  \
	{                                                                                          \
		return rate(cli_number(row, #key), out);                                           \
	}
#define TEXT(key)                                                                                  \
	static const char *key(const json_t *row, char out[CELL])                                  \
	{                                                                                          \
		return cut(cli_text(row, #key), out);                                              \
	}
#define NUMBER(key)                                                                                \
	static const char *key(const json_t *row, char out[CELL])                                  \
	{                                                                                          \
		return json_is_integer(json_object_get(row, #key))                                 \
			       ? number(cli_number(row, #key), out)                                \
			       : "";                                                               \
	}
RATE(download_rate)
RATE(upload_rate)
TEXT(name)
TEXT(priority)
TEXT(address)
TEXT(client)
TEXT(source)
TEXT(url)
TEXT(status)
TEXT(message)
NUMBER(peers)
NUMBER(seeds)

static void print_list(struct cli *cli, const json_t *result)
{
	static const struct column columns[] = {{"ID", short_id}, {"NAME", name}, {"STATE", state},
		{"DONE", done}, {"SIZE", size}, {"DOWN", download_rate}, {"UP", upload_rate},
		{"RATIO", ratio}, {"PEERS", peers}};
	const json_t *torrents = json_object_get(result, "torrents"), *torrent;
	size_t i;
	print_table(cli, torrents, columns, LSP_ARRAY_SIZE(columns), "78465",
		"no torrents: 'lanspread torrent add LINK|FILE' adds one");
	json_array_foreach (torrents, i, torrent) {
		_cleanup_free_ char *text = lsp_text_format(
			"%s: %s", cli_text(torrent, "name"), cli_text(torrent, "error"));
		if (text && cli_text(torrent, "error")[0])
			line(cli, text);
	}
}

static void print_files(struct cli *cli, const json_t *result)
{
	static const struct column columns[] = {
		{"PATH", path}, {"SIZE", size}, {"DONE", file_done}, {"PRIORITY", priority}};
	print_table(cli, json_object_get(result, "files"), columns, LSP_ARRAY_SIZE(columns), NULL,
		"its files are not known yet: its metadata is not here");
}

static void print_peers(struct cli *cli, const json_t *result)
{
	static const struct column columns[] = {{"ADDRESS", address}, {"CLIENT", client},
		{"HAS", progress}, {"DOWN", download_rate}, {"UP", upload_rate}, {"FROM", source}};
	print_table(cli, json_object_get(result, "peers"), columns, LSP_ARRAY_SIZE(columns), "54",
		"nobody is connected");
}

static void print_trackers(struct cli *cli, const json_t *result)
{
	static const struct column columns[] = {{"URL", url}, {"STATUS", status}, {"SEEDS", seeds},
		{"PEERS", peers}, {"MESSAGE", message}};
	print_table(cli, json_object_get(result, "trackers"), columns, LSP_ARRAY_SIZE(columns),
		NULL, "it has no trackers");
}

/* ---- Lines ------------------------------------------------------------------------------- */

static void print_web_seeds(struct cli *cli, const json_t *result)
{
	const json_t *list = json_object_get(result, "web_seeds"), *seed;
	size_t i;
	if (json_array_size(list) == 0)
		line(cli, "it has no web seeds");
	json_array_foreach (list, i, seed)
		line(cli, json_string_value(seed));
}

static void print_have(struct cli *cli, const json_t *result)
{
	char length[LSP_TEXT_SIZE_MAX];
	fprintf(cli->out, "%llu of %llu pieces of %s\n",
		(unsigned long long)cli_number(result, "have"),
		(unsigned long long)cli_number(result, "pieces"),
		lsp_text_size(cli_number(result, "piece_length"), length));
}

static void print_limits(struct cli *cli, const json_t *result)
{
	char down[CELL], up[CELL];
	rate(cli_number(result, "max_download"), down);
	rate(cli_number(result, "max_upload"), up);
	fprintf(cli->out, "up %s, down %s\n", *up ? up : "unlimited", *down ? down : "unlimited");
}

/* Of create and export: where it is, and its link. */
static void print_made(struct cli *cli, const json_t *result)
{
	if (cli_text(result, "magnet")[0])
		line(cli, cli_text(result, "magnet"));
	if (cli_text(result, "file")[0])
		line(cli, cli_text(result, "file"));
	else
		cli_note(cli, "its metadata is not all here yet: no .torrent was written");
}

static void print_game(struct cli *cli, const json_t *result)
{
	const char *game = cli_text(result, "game"), *message = cli_text(result, "message");
	const char *operation = cli_text(result, "operation");
	if (strcmp(operation, "fetching_metadata") == 0)
		operation = "fetching metadata";
	else if (strcmp(operation, "none") == 0) /* the message says why */
		operation = "";
	_cleanup_free_ char *text =
		lsp_text_format("%s: %s%s%s", *game ? game : cli_text(result, "torrent"), operation,
			*operation && *message ? "; " : "", message);
	if (text)
		line(cli, text);
}

/* "quake (a1b2c3d4): seeding": what one torrent is now; and what a move of it left behind. */
static void print_status(struct cli *cli, const json_t *torrent)
{
	char id[CELL], word[CELL];
	const char *error = cli_text(torrent, "error");
	char called[CELL];
	_cleanup_free_ char *text =
		lsp_text_format("%s (%s): %s%s%s", cut(cli_text(torrent, "name"), called),
			short_id(torrent, id), state(torrent, word), *error ? ": " : "", error);
	if (text)
		line(cli, text);
	if (cli_text(torrent, "left")[0])
		line(cli, cli_text(torrent, "left"));
}

static void print_json(struct cli *cli, const json_t *result)
{
	_cleanup_free_ char *text = json_dumps(result, JSON_INDENT(2) | JSON_SORT_KEYS);
	const char *at = text ? text : "";
	while (*at) { /* a line feed of the layout is none of a name */
		size_t length = strcspn(at, "\n");
		_cleanup_free_ char *part = strndup(at, length);
		line(cli, part ? part : "");
		at += length + (at[length] == '\n');
	}
}

void cli_torrent_print(struct cli *cli, const char *command, const json_t *result)
{
	static const struct {
		const char *command;
		void (*print)(struct cli *cli, const json_t *result);
		const char *text;
	} ways[] = {{"list", print_list}, {"files", print_files}, {"select", print_files},
		{"peers", print_peers}, {"trackers", print_trackers},
		{"web_seeds", print_web_seeds}, {"have", print_have}, {"limits", print_limits},
		{"create", print_made}, {"export", print_made}, {"inspect", print_json},
		{"configure", print_json}, {"remove", NULL, "removed"},
		{"recheck", NULL,
			"its files are read again; 'lanspread torrent list' shows how far"},
		{"reannounce", NULL, "announced"}, {"cancel", NULL, "cancelled"},
		{"restart", NULL, "the torrent engine runs again"}};
	size_t i = 0;
	while (i < LSP_ARRAY_SIZE(ways) && strcmp(ways[i].command, command) != 0)
		i++;
	if (i < LSP_ARRAY_SIZE(ways) && ways[i].print)
		ways[i].print(cli, result);
	else if (i < LSP_ARRAY_SIZE(ways))
		line(cli, ways[i].text);
	else if (cli_text(result, "operation")[0])
		print_game(cli, result);
	else if (cli_text(result, "id")[0])
		print_status(cli, result);
	else
		line(cli, "done");
}
