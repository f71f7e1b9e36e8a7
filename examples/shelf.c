/*
 * A program that embeds lanspread: runs a peer for itself, shows the shelf, fetches one game.
 *
 *     cc shelf.c $(pkg-config --cflags --libs lanspread) -o shelf
 *     ./shelf GAMES-DIR STATE-DIR [PEER [GAME]]
 *
 * It uses nothing but lanspread.h and prints what it receives as it is: JSON. A real program hands
 * it to the JSON parser of its language.
 */
#include <lanspread/lanspread.h>

#include <stdio.h>
#include <string.h>

static int complain(const char *what, const struct lanspread_error *error)
{
	fprintf(stderr, "shelf: %s: %s (%s)\n", what, error->message,
		lanspread_code_name(error->code));
	return 1;
}

/* Reads and prints events until one has all three texts in it, which is left in `last`. 0: it came.
 */
static char last[65536];

static int wait_for(
	struct lanspread_stream *stream, int seconds, const char *a, const char *b, const char *c)
{
	struct lanspread_error error;
	char *event;
	int found = 0;
	while (!found) {
		if (lanspread_next_event(stream, seconds * 1000, &event, &error) < 0)
			return complain("waiting", &error);
		printf("%s\n", event);
		found = strstr(event, a) && strstr(event, b) && strstr(event, c);
		snprintf(last, sizeof last, "%s", event);
		lanspread_free_text(event);
	}
	return 0;
}

/* Sends a command and waits for its answer. 0: it was carried out; 1: refused; 2: no answer. */
static int ask(struct lanspread *peer, struct lanspread_stream *stream, const char *command)
{
	struct lanspread_error error;
	char number[64];
	uint64_t request;
	if (lanspread_send(peer, stream, command, &request, &error) < 0) {
		complain(command, &error);
		return 2;
	}
	snprintf(number, sizeof number, "\"request\":%llu,", (unsigned long long)request);
	if (wait_for(stream, 30, "\"event\":\"answer\"", number, "") != 0)
		return 2;
	return strstr(last, "\"ok\":true") ? 0 : 1;
}

/* Fetches a game as soon as somebody is seen who has it, and waits until it is here. */
static int fetch(struct lanspread *peer, struct lanspread_stream *stream, const char *game)
{
	char command[256], member[256];
	int r;
	snprintf(command, sizeof command, "{\"command\":\"download_game_files\",\"game\":\"%s\"}",
		game);
	snprintf(member, sizeof member, "\"game\":\"%s\"", game);
	while ((r = ask(peer, stream, command)) == 1)
		if (wait_for(stream, 30, "\"event\":\"remote_games_updated\"", game, "") != 0)
			return 1;
	if (r != 0)
		return 1;
	return wait_for(stream, 60, "\"event\":\"download_finished\"", member, "");
}

int main(int argc, char **argv)
{
	const char *peers[2] = {NULL, NULL};
	struct lanspread_options options;
	struct lanspread_error error;
	struct lanspread_exit end;
	struct lanspread_stream *stream = NULL;
	struct lanspread *peer;
	int failed;

	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: %s GAMES-DIR STATE-DIR [PEER [GAME]]\n", argv[0]);
		return 2;
	}
	memset(&options, 0, sizeof options);
	options.struct_size = sizeof options;
	options.games_dir = argv[1];
	options.state_dir = argv[2];
	options.name = "shelf";
	options.listen = "127.0.0.1:0";
	options.no_discovery = 1;
	if (argc > 3) {
		peers[0] = argv[3];
		options.peers = peers;
	}

	if (lanspread_start(&options, &peer, &error) < 0)
		return complain("start", &error);
	failed = lanspread_subscribe(peer, &stream, &error) < 0
			 ? complain("subscribe", &error)
			 : ask(peer, stream, "{\"command\":\"list_games\"}");
	if (!failed && argc > 4)
		failed = fetch(peer, stream, argv[4]);
	lanspread_stream_free(stream);

	lanspread_shutdown(peer);
	if (lanspread_wait_stopped(peer, 5000, &end, &error) < 0)
		return complain("stop", &error);
	if (!end.graceful)
		fprintf(stderr, "shelf: %s\n", end.message);
	lanspread_free(peer);
	return failed || !end.graceful;
}
