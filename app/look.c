/* status, games, peers, tasks, watch: what there is to see. --json prints what the peer said. */
#include "commands.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "progress.h"
#include "wire/json.h"

#include <string.h>
#include <sys/epoll.h>

/* Asks; with --json prints the result, and *ret_result stays NULL. */
static int ask(struct cli *cli, const char *name, json_t **ret_result)
{
	_cleanup_json_ json_t *result = NULL;
	int code = cli_call_or_fail(cli, cli_command_new(name), &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json)
		cli_print_json(cli, result);
	else
		*ret_result = TAKE_PTR(result);
	return CLI_DONE;
}

static void print_pair(struct cli *cli, const char *name, const char *value)
{
	fprintf(cli->out, "%-10s ", name);
	cli_print_text(cli->out, value);
	fputc('\n', cli->out);
}

/* ["a","b"] → "a, b" in text. */
static void join(const json_t *array, char *out, size_t size)
{
	const json_t *item;
	size_t i, used = 0;
	out[0] = '\0';
	json_array_foreach (array, i, item) {
		const char *text = json_string_value(item);
		int added =
			snprintf(out + used, size - used, "%s%s", i ? ", " : "", text ? text : "?");
		if (added < 0 || (size_t)added >= size - used)
			return;
		used += (size_t)added;
	}
}

static void print_services(struct cli *cli, const json_t *services)
{
	const json_t *service;
	size_t i;
	json_array_foreach (services, i, service) {
		_cleanup_free_ char *text = lsp_text_format("%s: %s%s%s", cli_text(service, "name"),
			cli_text(service, "state"), cli_text(service, "error")[0] ? ", " : "",
			cli_text(service, "error"));
		if (text)
			print_pair(cli, i ? "" : "services", text);
	}
}

/* "lan, port 47778; 3 torrents, 1 downloading, 2 seeding; 5 MB sent, 8 MB received" */
static void print_torrents(struct cli *cli, const json_t *torrent)
{
	char sent[LSP_TEXT_SIZE_MAX], received[LSP_TEXT_SIZE_MAX], port[32] = "not listening";
	const char *mode = cli_text(torrent, "mode");
	if (!json_is_object(torrent)) {
		print_pair(cli, "torrents", "off");
		return;
	}
	if (cli_number(torrent, "port"))
		snprintf(port, sizeof port, "port %llu",
			(unsigned long long)cli_number(torrent, "port"));
	/* A download by torrent runs the engine even so. */
	bool only_downloads = strcmp(mode, "off") == 0 && cli_number(torrent, "port");
	fprintf(cli->out, "%-10s %s, %s; %llu downloading, %llu seeding; %s sent, %s received\n",
		"torrents", only_downloads ? "off but for downloads" : mode, port,
		(unsigned long long)cli_number(torrent, "downloading"),
		(unsigned long long)cli_number(torrent, "seeding"),
		lsp_text_size(cli_number(torrent, "sent"), sent),
		lsp_text_size(cli_number(torrent, "received"), received));
}

/* Only where there is one: who wonders at a slow download looks here first. */
static void print_limits(struct cli *cli, const json_t *limits)
{
	char rates[CLI_RATES_MAX], games[64] = "";
	size_t own = json_object_size(json_object_get(limits, "games"));
	bool paused = json_is_true(json_object_get(limits, "pause_uploads"));
	if (!cli_number(limits, "up") && !cli_number(limits, "down") && !own && !paused)
		return;
	if (own)
		snprintf(games, sizeof games, "; %zu game%s its own", own,
			own == 1 ? " has" : "s have");
	fprintf(cli->out, "%-10s %s%s%s\n", "limits", cli_rates(limits, rates), games,
		paused ? "; uploads are paused" : "");
}

int cli_run_status(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *status = NULL;
	char text[1024], sent[LSP_TEXT_SIZE_MAX], received[LSP_TEXT_SIZE_MAX], time[32];
	int code = ask(cli, "status", &status);
	if (!status)
		return code;
	const json_t *health = json_object_get(status, "health");
	print_pair(cli, "name", cli_text(status, "name"));
	print_pair(cli, "peer id", cli_text(status, "peer_id"));
	print_pair(cli, "version", cli_text(status, "version"));
	join(json_object_get(status, "listen"), text, sizeof text);
	print_pair(cli, "listens at", text);
	print_pair(cli, "page", cli_text(status, "http")[0] ? cli_text(status, "http") : "off");
	print_pair(cli, "games in", cli_text(status, "games_dir"));
	if (cli_text(status, "games_dir_problem")[0])
		print_pair(cli, "", cli_text(status, "games_dir_problem"));
	print_pair(cli, "state in", cli_text(status, "state_dir"));
	join(json_object_get(health, "degraded"), text, sizeof text);
	fprintf(cli->out, "%-10s %s%s%s\n", "health", cli_text(health, "state"),
		text[0] ? ": " : "", text);
	print_services(cli, json_object_get(status, "services"));
	fprintf(cli->out, "%-10s %llu connected; games of our own: %llu\n", "peers",
		(unsigned long long)cli_number(status, "peers"),
		(unsigned long long)cli_number(status, "games"));
	fprintf(cli->out, "%-10s %s sent, %s received in %s\n", "traffic",
		lsp_text_size(cli_number(status, "sent"), sent),
		lsp_text_size(cli_number(status, "received"), received),
		cli_progress_time(cli_number(status, "uptime_s"), time));
	print_limits(cli, json_object_get(status, "limits"));
	print_torrents(cli, json_object_get(status, "torrent"));
	return code;
}

/* "downloading 52 %", "waiting", "-". */
static void describe_operation(const json_t *game, char out[64])
{
	const json_t *progress = json_object_get(game, "progress");
	const char *operation = cli_text(game, "operation");
	uint64_t total = cli_number(progress, "total");
	if (json_is_true(json_object_get(game, "paused")))
		snprintf(out, 64, "%.40s, paused", operation);
	else if (json_is_true(json_object_get(game, "waiting")))
		snprintf(out, 64, "%.40s, waiting", operation);
	else if (strcmp(operation, "none") == 0)
		snprintf(out, 64, "-");
	else if (total)
		snprintf(out, 64, "%.40s %u %%", operation,
			(unsigned)((double)cli_number(progress, "done") / (double)total * 100));
	else
		snprintf(out, 64, "%.40s", operation);
}

/* "2", "2 + 5 by torrent": whoever is connected as long as it is not here, then who has all. */
static void describe_sources(const json_t *game, char out[64])
{
	const json_t *swarm = json_object_get(game, "swarm");
	bool comes = strcmp(cli_text(game, "operation"), "none") != 0;
	uint64_t more = cli_number(swarm, comes ? "peers" : "seeds");
	int size = snprintf(out, 64, "%llu", (unsigned long long)cli_number(game, "sources"));
	if (more)
		snprintf(out + size, 64 - (size_t)size, " + %llu by torrent",
			(unsigned long long)more);
}

static void add_game(struct cli_table *table, const json_t *game)
{
	char operation[64], size[LSP_TEXT_SIZE_MAX], sources[64];
	describe_operation(game, operation);
	lsp_text_size(cli_number(game, "size"), size);
	describe_sources(game, sources);
	const char *cells[] = {cli_text(game, "id"), cli_text(game, "title"),
		cli_text(game, "availability"), operation, cli_text(game, "local_version"),
		cli_text(game, "latest_version"), cli_number(game, "size") ? size : "", sources};
	cli_table_add(table, cells);
}

bool cli_is_only_known(const json_t *game)
{
	return strcmp(cli_text(game, "availability"), "unavailable") == 0 &&
	       strcmp(cli_text(game, "operation"), "none") == 0;
}

/* A party looks for what can be had, and for what is going on: all else comes after it. */
static void add_games(struct cli_table *table, const json_t *games, bool only_known)
{
	const json_t *game;
	size_t i;
	json_array_foreach (games, i, game) {
		if (cli_is_only_known(game) == only_known)
			add_game(table, game);
	}
}

/* Why a game of this machine is not shared, below the table. */
static void print_problems(struct cli *cli, const json_t *games)
{
	const json_t *game;
	size_t i;
	json_array_foreach (games, i, game) {
		const char *problem = cli_text(game, "problem"), *id = cli_text(game, "id");
		if (!problem[0])
			continue;
		if (strncmp(problem, id, strlen(id)) != 0)
			fprintf(cli->out, "%s: ", id);
		cli_print_text(cli->out, problem);
		fputc('\n', cli->out);
	}
}

int cli_run_games(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	struct cli_table table;
	int code = ask(cli, "list_games", &result);
	if (!result)
		return code;
	const char *head[] = {
		"ID", "TITLE", "AVAILABILITY", "OPERATION", "HERE", "NEWEST", "SIZE", "SOURCES"};
	cli_table_init(&table, LSP_ARRAY_SIZE(head));
	cli_table_fit(&table, cli, 1, "457612");
	cli_table_add(&table, head);
	add_games(&table, json_object_get(result, "games"), false);
	add_games(&table, json_object_get(result, "games"), true);
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	print_problems(cli, json_object_get(result, "games"));
	return code;
}

static int forget(struct cli *cli, const char *id)
{
	json_t *command = cli_command_new("peers_forget");
	_cleanup_json_ json_t *result = NULL;
	cli_set(command, "peer", id);
	int code = cli_call_or_fail(cli, command, &result);
	if (code == CLI_DONE && cli->json)
		cli_print_json(cli, result);
	else if (code == CLI_DONE)
		fputs("forgotten, and met anew if it is still on this network\n", cli->out);
	return code;
}

static void add_peer(struct cli_table *table, const json_t *peer)
{
	char id[17], games[24], sent[LSP_TEXT_SIZE_MAX], received[LSP_TEXT_SIZE_MAX];
	snprintf(id, sizeof id, "%s", cli_text(peer, "id"));
	snprintf(games, sizeof games, "%llu", (unsigned long long)cli_number(peer, "games"));
	lsp_text_size(cli_number(peer, "sent"), sent);
	lsp_text_size(cli_number(peer, "received"), received);
	const char *cells[] = {id, cli_text(peer, "name"), cli_text(peer, "address"),
		json_is_true(json_object_get(peer, "connected")) ? "yes" : "no", games, sent,
		received};
	cli_table_add(table, cells);
}

int cli_check_peers(struct cli *cli, const struct cli_arguments *arguments)
{
	if (arguments->count == 0 ||
		(arguments->count == 2 && strcmp(arguments->positional[0], "forget") == 0))
		return CLI_DONE;
	return cli_wrong_usage(cli, arguments->command);
}

int cli_run_peers(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	struct cli_table table;
	const json_t *peer;
	size_t i;
	if (arguments->count > 0)
		return forget(cli, arguments->positional[1]);
	int code = ask(cli, "peers", &result);
	if (!result)
		return code;
	const char *head[] = {"ID", "NAME", "ADDRESS", "CONNECTED", "GAMES", "SENT", "RECEIVED"};
	cli_table_init(&table, LSP_ARRAY_SIZE(head));
	cli_table_fit(&table, cli, 1, "4560");
	cli_table_add(&table, head);
	json_array_foreach (json_object_get(result, "peers"), i, peer) {
		add_peer(&table, peer);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	return code;
}

static void add_task(struct cli_table *table, const json_t *task)
{
	char age[32], tid[24];
	cli_progress_time((uint64_t)json_number_value(json_object_get(task, "age_s")), age);
	snprintf(tid, sizeof tid, "%llu", (unsigned long long)cli_number(task, "tid"));
	const char *cells[] = {cli_text(task, "name"), cli_text(task, "kind"), age,
		cli_number(task, "tid") ? tid : "", cli_text(task, "state"),
		cli_text(task, "owner")};
	cli_table_add(table, cells);
}

int cli_run_tasks(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	struct cli_table table;
	const json_t *task;
	size_t i;
	int code = ask(cli, "tasks", &result);
	if (!result)
		return code;
	const char *head[] = {"NAME", "KIND", "AGE", "THREAD", "STATE", "OWNER"};
	cli_table_init(&table, LSP_ARRAY_SIZE(head));
	cli_table_fit(&table, cli, 0, "513");
	cli_table_add(&table, head);
	json_array_foreach (json_object_get(result, "tasks"), i, task) {
		add_task(&table, task);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	return code;
}

/*
 * Readable when the person interrupts, or when whoever reads the events has gone: `watch | head -1`
 * must not wait for an event that nobody reads. -1: there is nothing of the kind to wait for.
 */
static int watch_the_reader(struct cli *cli)
{
	struct epoll_event interrupted = {.events = EPOLLIN}, gone = {.events = EPOLLERR};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	/* A file is never gone and cannot be waited for. */
	if (fd >= 0 && cli->interrupt_fd >= 0)
		(void)epoll_ctl(fd, EPOLL_CTL_ADD, cli->interrupt_fd, &interrupted);
	if (fd >= 0 && fileno(cli->out) >= 0)
		(void)epoll_ctl(fd, EPOLL_CTL_ADD, fileno(cli->out), &gone);
	return fd;
}

int cli_run_watch(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_close_ int interrupt = watch_the_reader(cli);
	int code = CLI_DONE;
	lsp_control_interrupted_by(cli->connection, interrupt >= 0 ? interrupt : cli->interrupt_fd);
	for (;;) {
		struct lsp_error err = {0};
		_cleanup_json_ json_t *event = NULL;
		int r = lsp_control_next(cli->connection, LSP_TIME_NEVER, &event, &err);
		if (r == -LSP_E_CANCELLED)
			return CLI_DONE;
		if (r == -LSP_E_CLOSED) {
			cli_note(cli, "lanspread: the peer has stopped");
			return code;
		}
		if (r < 0)
			return cli_fail(cli, &err);
		if (strcmp(cli_text(event, "event"), "runtime_failed") == 0)
			code = CLI_FAILED;
		cli_print_json(cli, event);
		if (ferror(cli->out))
			return CLI_FAILED;
	}
}
