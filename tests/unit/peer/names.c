/*
 * Manifests with names that no one should trust, from a peer that otherwise keeps to all rules: its
 * content id is right, its hashes are. Each is refused whole, the peer is dropped, nothing is
 * written.
 */
#include "other.h"

#include "base/sha256.h"

#include <dirent.h>

struct bad {
	const char *what;
	const char *name;
	size_t size; /* 0: strlen */
};

static const struct bad bad_names[] = {
	{"parent", "..", 0},
	{"itself", ".", 0},
	{"empty", "", 0},
	{"absolute", "/etc/passwd", 0},
	{"climbing", "../../outside", 0},
	{"backslash", "a\\..\\b", 0},
	{"drive", "C:x", 0},
	{"NUL", "a\0b", 3},
	{"device", "CON", 0},
	{"device with an extension", "nul.txt", 0},
	{"dot at the end", "readme.", 0},
	{"blank at the end", "readme ", 0},
	{"bidi", "gpj\xe2\x80\xae.exe", 0},
	{"control", "a\x1b[2J", 0},
	{"bad UTF-8", "a\xff\xfe", 0},
	{"decomposed", "u\xcc\x88", 0},
	{"ours", ".lanspread", 0},
	{"installed", "local", 0},
	{"kept", "local.kept-20240101", 0},
};

/* The transport form: the info dictionary of one file with that name, and no piece layers. */
static size_t build(const char *name, size_t size, uint8_t *out, size_t room, struct lsp_hash *id)
{
	static const uint8_t zero[4];
	uint8_t *at = out + 4;
	at += snprintf((char *)at, room - 4, "d9:file treed%zu:", size);
	memcpy(at, name, size);
	at += size;
	at += snprintf((char *)at, 100, "d0:d6:lengthi5e11:pieces root32:");
	memset(at, 0x55, 32);
	at += 32;
	at += snprintf((char *)at, 100, "eee");
	at += snprintf((char *)at, 100, "12:meta versioni2e4:name4:evil12:piece lengthi131072ee");
	size_t length = (size_t)(at - out) - 4;
	out[0] = out[1] = 0;
	out[2] = (uint8_t)(length >> 8);
	out[3] = (uint8_t)length;
	lsp_sha256(id, out + 4, length);
	memcpy(at, zero, sizeof zero);
	return (size_t)(at - out) + 4;
}

static uint8_t manifest[2048];
static size_t manifest_size;

static bool give_manifest(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	if (request->type != LSP_REQUEST_GET_MANIFEST)
		return false;
	response.bytes.length = manifest_size;
	lsp_responder_begin_bytes(responder, &response);
	(void)lsp_responder_bytes(responder, manifest, manifest_size, NULL, NULL);
	return true;
}

/* How many entries the games folder has, without our own. */
static unsigned count_entries(struct other *other)
{
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	DIR *dir = opendir(games);
	unsigned count = 0;
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static bool has_games(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) > 0;
}

static void offer(struct other *other, struct lsp_game_summary *game, const char *name, size_t size)
{
	*game = other_summary("evil");
	manifest_size = build(name, size, manifest, sizeof manifest, &game->content);
	game->size = 5;
	other->games = game;
	other->game_count = 1;
	other->script = give_manifest;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	other_send(other, "{\"command\":\"download_game_files\",\"game\":\"evil\"}");
}

static void expect_refused(const struct bad *bad)
{
	void *state = NULL;
	struct lsp_game_summary game;
	assert_int_equal(other_set_up(&state), 0);
	struct other *other = state;
	print_message("%s\n", bad->what);
	offer(other, &game, bad->name, bad->size ? bad->size : strlen(bad->name));
	RUN_UNTIL(&other->loop, other->side.closed);
	assert_int_equal(other->side.close.reason, LSP_CLOSE_PROTOCOL);
	assert_true(other->side.close.by_peer);
	assert_int_equal(count_entries(other), 0);
	assert_int_equal(other_tear_down(&state), 0);
}

static void a_manifest_with_a_bad_name_is_refused_whole_and_its_peer_dropped(void **state)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad_names); i++)
		expect_refused(&bad_names[i]);
	char longest[300];
	memset(longest, 'x', sizeof longest);
	expect_refused(&(struct bad){"over-long", longest, sizeof longest});
}

/* So that the above fails for the name, and not for a slip in building the manifest. */
static void the_same_manifest_with_a_good_name_is_taken(void **state)
{
	void *own = NULL;
	struct lsp_game_summary game;
	assert_int_equal(other_set_up(&own), 0);
	struct other *other = own;
	offer(other, &game, "readme", 6);
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_GET_CHUNKS]);
	assert_false(other->side.closed);
	assert_int_equal(other_tear_down(&own), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_manifest_with_a_good_name_is_taken),
		cmocka_unit_test(a_manifest_with_a_bad_name_is_refused_whole_and_its_peer_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
