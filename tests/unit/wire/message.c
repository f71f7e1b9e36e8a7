/* Requests and responses: the same in C and in JSON, tolerant of what is new, strict in what
 * counts. */
#include "wire/message.h"

#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define H "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define C "\"content\":\"" H "\""

/* JSON that comes back letter for letter: every message, every field. */
static const char *const requests[] = {
	"\"Ping\"",
	"{\"Hello\":{\"version\":1,\"peer\":\"" H "\",\"instance\":\"" H
	"\",\"name\":\"Anna\",\"port\":"
	"47777,\"features\":[\"lanspread/"
	"1\",\"torrent\"],\"revision\":3,\"games\":2,\"torrent_port\":6881}}",
	"{\"TorrentPort\":{\"port\":6881}}",
	"{\"TorrentPort\":{\"port\":0}}",
	"\"ListGames\"",
	"{\"ListGames\":{\"after\":\"doom\",\"limit\":10}}",
	"{\"GetGame\":{\"id\":\"doom\"}}",
	"{\"GetManifest\":{" C "}}",
	"{\"GetGameFileData\":{\"id\":\"doom\",\"path\":\"data/doom.wad\"}}",
	"{\"GetGameFileData\":{" C ",\"path\":\"data/doom.wad\"}}",
	"{\"GetGameFileChunk\":{\"id\":\"doom\",\"path\":\"a\",\"offset\":5,\"length\":67108864}}",
	"{\"GetChunks\":{" C ",\"first\":0,\"count\":8}}",
	"{\"GetChunks\":{" C ",\"first\":0,\"count\":8,\"insist\":true,\"gentle\":true}}",
	"{\"GetBlocks\":{" C ",\"blocks\":[[0,1,2],[3,0,8]]}}",
	"{\"GetBlocks\":{" C ",\"blocks\":[[0,1,2]],\"gentle\":true}}",
	"{\"GetHashes\":{" C ",\"first\":4,\"count\":1}}",
	"{\"GetCover\":{\"id\":\"doom\"}}",
	"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"doom\",\"title\":"
	"\"Doom\","
	"\"version\":\"1.9\",\"size\":123," C ",\"state\":\"ready\",\"cover\":true}],\"removed\":["
	"\"quake\"]}}",
	"{\"Follow\":{" C "}}",
	"{\"Unfollow\":{" C "}}",
	"{\"Haves\":{" C ",\"all\":true}}",
	"{\"Haves\":{" C ",\"count\":19,\"bits\":\"/+Dg\"}}",
	"{\"HaveUpdate\":{" C ",\"chunks\":[[0,3],[7,1]]}}",
	"{\"Suggest\":{" C ",\"chunks\":[[9,1]]}}",
	"{\"ChunkRejected\":{" C ",\"chunk\":7}}",
	"{\"Withdraw\":{" C ",\"chunks\":[[1,1]]}}",
	"{\"Withdraw\":{" C "}}",
	"{\"Goodbye\":{\"reason\":\"shutdown\"}}",
	"\"Goodbye\"",
};

static const char *const responses[] = {
	"\"Ok\"",
	"\"Pong\"",
	"{\"Error\":{\"code\":\"busy\",\"message\":\"later\",\"retry_ms\":250}}",
	"{\"Error\":{\"code\":\"busy\",\"bounce\":\"elsewhere\",\"has_hint\":true,\"hint\":4}}",
	"{\"Hello\":{\"version\":1,\"peer\":\"" H "\",\"instance\":\"" H "\"}}",
	"{\"Games\":{\"revision\":9,\"more\":true,\"games\":[{\"id\":\"doom\",\"state\":"
	"\"hashing\"}]}}",
	"{\"Games\":{\"games\":[]}}",
	"{\"Game\":{\"game\":{\"id\":\"doom\",\"state\":\"partial\"}}}",
	"{\"Haves\":{" C ",\"all\":true}}",
	"{\"Bytes\":{\"length\":0}}",
	"{\"Bytes\":{\"length\":100,\"count\":3,\"media\":\"image/png\"}}",
};

static void assert_frame(const struct lsp_buffer *frame, const char *text)
{
	size_t size = strlen(text);
	if (frame->size != size + 4 || memcmp(frame->data + 4, text, size) != 0)
		fail_msg("%s\nbecame\n%.*s", text, (int)frame->size - 4, (char *)frame->data + 4);
}

static void every_request_comes_back_letter_for_letter(void **state)
{
	bool seen[LSP_REQUEST_COUNT] = {0};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(requests); i++) {
		_cleanup_request_ struct lsp_request request = {0};
		_cleanup_buffer_ struct lsp_buffer frame = {0};
		struct lsp_error err = {0};
		if (lsp_request_decode(requests[i], strlen(requests[i]), &request, &err) < 0)
			fail_msg("%s: %s", requests[i], err.message);
		if (lsp_request_append(&request, &frame, &err) < 0)
			fail_msg("%s: %s", requests[i], err.message);
		assert_frame(&frame, requests[i]);
		seen[request.type] = true;
	}
	for (int i = 0; i < LSP_REQUEST_COUNT; i++)
		assert_true(seen[i]);
}

static void every_response_comes_back_letter_for_letter(void **state)
{
	bool seen[LSP_RESPONSE_COUNT] = {0};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(responses); i++) {
		_cleanup_response_ struct lsp_response response = {0};
		_cleanup_buffer_ struct lsp_buffer frame = {0};
		struct lsp_error err = {0};
		if (lsp_response_decode(responses[i], strlen(responses[i]), &response, &err) < 0)
			fail_msg("%s: %s", responses[i], err.message);
		if (lsp_response_append(&response, &frame, &err) < 0)
			fail_msg("%s: %s", responses[i], err.message);
		assert_frame(&frame, responses[i]);
		seen[response.type] = true;
	}
	for (int i = 0; i < LSP_RESPONSE_COUNT; i++)
		assert_true(seen[i]);
}

static int decode(const char *text)
{
	_cleanup_request_ struct lsp_request request = {0};
	struct lsp_error err = {0};
	int r = lsp_request_decode(text, strlen(text), &request, &err);
	assert_true(r == 0 || (*err.message && err.code == -r));
	return r;
}

static void unknown_fields_are_ignored_and_absent_ones_have_defaults(void **state)
{
	_cleanup_request_ struct lsp_request request = {0};
	const char *text = "{\"ListGames\":{\"new\":[1,{}],\"after\":null}}";
	assert_int_equal(lsp_request_decode(text, strlen(text), &request, NULL), 0);
	assert_int_equal(request.list_games.limit, LSP_MESSAGE_GAMES_MAX);
	assert_string_equal(request.list_games.after, "");
	assert_int_equal(decode("{\"Ping\":null}"), 0);
	assert_int_equal(decode("{\"Ping\":{\"later\":1}}"), 0);
}

static void an_unknown_request_is_told_from_a_broken_one(void **state)
{
	assert_int_equal(decode("\"Frobnicate\""), -LSP_E_UNSUPPORTED);
	assert_int_equal(decode("{\"Frobnicate\":{\"x\":1}}"), -LSP_E_UNSUPPORTED);
	static const char *const broken[] = {"", "1", "[]", "{}", "null",
		"{\"Ping\":{},\"Pong\":{}}", "{\"Ping\":1}", "{\"GetGame\":{}}", "\"GetGame\"",
		"{\"GetGame\":{\"id\":7}}", "{\"GetGame\":{\"id\":\"\"}}",
		"{\"GetGame\":{\"id\":\"../x\"}}", "{\"GetGame\":{\"id\":null}}"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(broken); i++)
		assert_int_equal(decode(broken[i]), -LSP_E_PROTOCOL);
}

static void values_that_nobody_should_trust_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"GetManifest\":{\"content\":\"abc\"}}",
		"{\"GetManifest\":{\"content\":7}}",
		"{\"GetChunks\":{" C ",\"first\":-1,\"count\":1}}",
		"{\"GetChunks\":{" C ",\"first\":0,\"count\":0}}",
		"{\"GetChunks\":{" C ",\"first\":4194304,\"count\":1}}",
		"{\"GetChunks\":{" C ",\"first\":1.0,\"count\":1}}",
		"{\"GetChunks\":{" C ",\"first\":1e999,\"count\":1}}",
		"{\"GetChunks\":{" C ",\"first\":9223372036854775808,\"count\":1}}",
		"{\"GetGameFileChunk\":{\"id\":\"d\",\"path\":\"a\",\"offset\":0,\"length\":"
		"67108865}}",
		"{\"GetGameFileChunk\":{\"id\":\"d\",\"path\":\"a\",\"offset\":0,\"length\":0}}",
		"{\"GetGameFileData\":{\"id\":\"d\",\"path\":\"../a\"}}",
		"{\"GetGameFileData\":{\"path\":\"a\"}}",
		"{\"GetGameFileData\":{\"id\":\"d\"," C ",\"path\":\"a\"}}",
		"{\"GetGameFileData\":{\"id\":\"d\"}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[]}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[[0,0,4097]]}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[[0,0]]}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[[0,0,0]]}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[7]}}",
		"{\"HaveUpdate\":{" C ",\"chunks\":[]}}",
		"{\"HaveUpdate\":{" C ",\"chunks\":[[0,0]]}}",
		"{\"HaveUpdate\":{" C ",\"chunks\":{}}}",
		"{\"Haves\":{" C "}}",
		"{\"Haves\":{" C ",\"all\":1}}",
		"{\"Haves\":{" C ",\"all\":true,\"count\":8,\"bits\":\"AA==\"}}",
		"{\"Haves\":{" C ",\"count\":9,\"bits\":\"AA==\"}}",
		"{\"Haves\":{" C ",\"count\":7,\"bits\":\"AQ==\"}}",
		"{\"Haves\":{" C ",\"count\":8,\"bits\":\"A$==\"}}",
		"{\"Haves\":{" C ",\"count\":8,\"bits\":\"AB==\"}}",
		"{\"Haves\":{" C ",\"count\":0,\"bits\":\"\"}}",
		"{\"Haves\":{" C ",\"bits\":\"AA==\"}}",
		"{\"Hello\":{\"version\":0,\"peer\":\"" H "\",\"instance\":\"" H "\"}}",
		"{\"Hello\":{\"version\":1,\"peer\":\"" H "\"}}",
		"{\"Hello\":{\"version\":1,\"peer\":\"" H "\",\"instance\":\"" H
		"\",\"port\":65536}}",
		"{\"Hello\":{\"version\":1,\"peer\":\"" H "\",\"instance\":\"" H
		"\",\"features\":[\"a b\"]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"x\"}]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"x\",\"state\":"
		"\"odd\"}]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"x\",\"state\":"
		"\"ready\","
		"\"size\":8796093022209}]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"x\",\"state\":"
		"\"ready\","
		"\"version\":\"v1\"}]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[1]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"removed\":[\"a/b\"]}}",
		"{\"LibraryDelta\":{\"base\":-1,\"revision\":2}}",
		"{\"ListGames\":{\"limit\":501}}",
		"{\"HaveUpdate\":{" C ",\"chunks\":[[0,4194304],[0,1]]}}",
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		if (decode(bad[i]) != -LSP_E_PROTOCOL)
			fail_msg("accepted: %s", bad[i]);
	}
}

/* `count` copies of an item in a list. */
static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
	struct lsp_buffer text = {0};
	int r = lsp_buffer_printf(&text, NULL, "%s", before);
	for (size_t i = 0; i < count; i++)
		r |= lsp_buffer_printf(&text, NULL, "%s%s", i ? "," : "", item);
	r |= lsp_buffer_printf(&text, NULL, "%s", after);
	r |= lsp_buffer_append(&text, "", 1, NULL);
	assert_int_equal(r, 0);
	return (char *)text.data;
}

static void lists_are_limited_at_the_documented_numbers(void **state)
{
	static const struct {
		const char *before, *item, *after;
		size_t max;
	} cases[] = {
		{"{\"HaveUpdate\":{" C ",\"chunks\":[", "[1,1]", "]}}", LSP_MESSAGE_RANGES_MAX},
		{"{\"GetBlocks\":{" C ",\"blocks\":[", "[1,1,1]", "]}}", LSP_MESSAGE_BLOCKS_MAX},
		{"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[",
			"{\"id\":\"a\",\"state\":\"ready\"}", "]}}", LSP_MESSAGE_GAMES_MAX},
		{"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"removed\":[", "\"a\"", "]}}",
			LSP_MESSAGE_GAMES_MAX},
		{"{\"Hello\":{\"version\":1,\"peer\":\"" H "\",\"instance\":\"" H
		 "\",\"features\":[",
			"\"a\"", "]}}", LSP_MESSAGE_FEATURES_MAX},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *fits =
			repeat(cases[i].before, cases[i].item, cases[i].max, cases[i].after);
		_cleanup_free_ char *over =
			repeat(cases[i].before, cases[i].item, cases[i].max + 1, cases[i].after);
		assert_int_equal(decode(fits), 0);
		assert_int_equal(decode(over), -LSP_E_TOO_LARGE);
	}
}

static void the_largest_messages_fit_a_frame(void **state)
{
	struct lsp_error err = {0};
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	_cleanup_request_ struct lsp_request haves = {.type = LSP_REQUEST_HAVES};
	memset(&haves.haves.content, 1, sizeof haves.haves.content);
	assert_int_equal(lsp_bitmap_init(&haves.haves.chunks, LSP_MESSAGE_CHUNKS_MAX, NULL), 0);
	lsp_bitmap_set(&haves.haves.chunks, 5);
	if (lsp_request_append(&haves, &frame, &err) < 0)
		fail_msg("%s", err.message);
	lsp_buffer_reset(&frame);
	_cleanup_response_ struct lsp_response games = {.type = LSP_RESPONSE_GAMES};
	struct lsp_game_summary *items = calloc(LSP_MESSAGE_GAMES_MAX, sizeof *items);
	for (size_t i = 0; i < LSP_MESSAGE_GAMES_MAX; i++) {
		memset(items[i].id, '&', LSP_GAME_ID_MAX);
		memset(items[i].title, '"', LSP_LABEL_MAX); /* two bytes each in JSON */
		memset(items[i].version, '9', 17);
		memset(&items[i].content, 1, sizeof items[i].content);
		items[i].size = UINT64_C(1) << 43;
		items[i].has_cover = true;
	}
	games.games.games = (struct lsp_game_list){items, LSP_MESSAGE_GAMES_MAX};
	if (lsp_response_append(&games, &frame, &err) < 0)
		fail_msg("%s", err.message);
}

static void what_would_not_decode_is_not_sent(void **state)
{
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	struct lsp_error err = {0};
	struct lsp_request request = {.type = LSP_REQUEST_GET_GAME};
	assert_int_equal(lsp_request_append(&request, &frame, &err), -LSP_E_INVALID);
	strcpy(request.get_game.id, "a/b");
	assert_int_equal(lsp_request_append(&request, &frame, &err), -LSP_E_INVALID);
	request = (struct lsp_request){.type = LSP_REQUEST_GET_CHUNKS};
	memset(&request.get_chunks.content, 1, 32);
	assert_int_equal(lsp_request_append(&request, &frame, &err), -LSP_E_INVALID);
	assert_int_equal(frame.size, 0);
}

static void labels_are_cleaned_on_their_way_in_and_out(void **state)
{
	_cleanup_request_ struct lsp_request request = {0};
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	const char *text = "{\"Goodbye\":{\"reason\":\"a\\u001b[31m\\u202eb\"}}";
	assert_int_equal(lsp_request_decode(text, strlen(text), &request, NULL), 0);
	assert_string_equal(request.goodbye.reason, "a\xef\xbf\xbd[31m\xef\xbf\xbd"
						    "b");
	strcpy(request.goodbye.reason, "bad \xff utf-8");
	assert_int_equal(lsp_request_append(&request, &frame, NULL), 0);
	assert_frame(&frame, "{\"Goodbye\":{\"reason\":\"bad \xef\xbf\xbd utf-8\"}}");
}

static void failures_become_error_frames_with_a_stable_code(void **state)
{
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	_cleanup_response_ struct lsp_response response = {0}, other = {0};
	struct lsp_error failure = {0};
	lsp_error_set(&failure, "test", LSP_E_NOT_FOUND, "no game \"x\"");
	assert_int_equal(lsp_response_append_error(&failure, &frame, NULL), 0);
	assert_int_equal(
		lsp_response_decode((char *)frame.data + 4, frame.size - 4, &response, NULL), 0);
	assert_int_equal(response.error.code, LSP_E_NOT_FOUND);
	assert_string_equal(response.error.message, "no game \"x\"");
	const char *later = "{\"Error\":{\"code\":\"of_the_future\"}}";
	assert_int_equal(lsp_response_decode(later, strlen(later), &other, NULL), 0);
	assert_int_equal(other.error.code, LSP_E_FAILED);
}

static void ranges_come_from_bitmaps_and_know_their_end(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = {0};
	struct lsp_ranges ranges = {0};
	size_t next = 0;
	assert_int_equal(lsp_bitmap_init(&map, 20, NULL), 0);
	static const size_t set[] = {0, 1, 2, 7, 18, 19};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(set); i++)
		lsp_bitmap_set(&map, set[i]);
	assert_int_equal(lsp_ranges_from_bitmap(&map, 0, 2, &ranges, &next, NULL), 0);
	assert_int_equal(ranges.count, 2);
	assert_int_equal(ranges.items[0].first, 0);
	assert_int_equal(ranges.items[0].count, 3);
	assert_int_equal(ranges.items[1].first, 7);
	assert_int_equal(next, 18);
	lsp_ranges_done(&ranges);
	assert_int_equal(lsp_ranges_from_bitmap(&map, next, 2, &ranges, &next, NULL), 0);
	assert_int_equal(next, 20);
	assert_true(lsp_ranges_fit(&ranges, 20));
	assert_false(lsp_ranges_fit(&ranges, 19));
	lsp_ranges_done(&ranges);
	struct lsp_range wraps = {1, UINT64_MAX};
	assert_false(lsp_ranges_fit(&(struct lsp_ranges){&wraps, 1}, 20));
	struct lsp_range twice[] = {{0, 20}, {0, 1}};
	assert_true(lsp_ranges_fit(&(struct lsp_ranges){twice, 1}, 20));
	assert_false(lsp_ranges_fit(&(struct lsp_ranges){twice, 2}, 20));
}

/* A HaveUpdate is read without a tree, and as JSON when a blank precedes it: both must agree. */
static void both_ways_agree(const char *text, size_t size)
{
	_cleanup_request_ struct lsp_request quick = {0}, slow = {0};
	char spaced[512] = " ";
	memcpy(spaced + 1, text, size);
	int a = lsp_request_decode(text, size, &quick, NULL);
	int b = lsp_request_decode(spaced, size + 1, &slow, NULL);
	assert_int_equal(a, b);
	if (a < 0)
		return;
	_cleanup_buffer_ struct lsp_buffer one = {0}, two = {0};
	assert_int_equal(quick.type, slow.type);
	assert_int_equal(lsp_request_append(&quick, &one, NULL), 0);
	assert_int_equal(lsp_request_append(&slow, &two, NULL), 0);
	assert_int_equal(one.size, two.size);
	assert_memory_equal(one.data, two.data, one.size);
}

static void what_is_told_of_chunks_means_the_same_however_it_is_read(void **state)
{
	static const char *const ranges[] = {"", "[]", "[0,1]", "[0,0]", "[00,1]", "[0,01]",
		"[4194304,1]", "[4194305,1]", "[0,4194304]", "[0,4194305]", "[0,4194304],[0,1]",
		"[18446744073709551617,1]", "[0,1],", "[0,1],[7,12],[30,2]", "[-1,1]", "[1.0,1]",
		"[1,1,1]", "[ 1,1]", "[1e0,1]", "[,1]", "[1,]", "[1,1]]"};
	static const char others[] = "\0 \\\"{}[],:019afF~";
	char text[256];
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ranges); i++) {
		int size = snprintf(
			text, sizeof text, "{\"HaveUpdate\":{" C ",\"chunks\":[%s]}}", ranges[i]);
		both_ways_agree(text, (size_t)size);
	}
	int size = snprintf(
		text, sizeof text, "{\"HaveUpdate\":{" C ",\"chunks\":[[0,3],[7,1],[1024,11]]}}");
	for (int at = 0; at < size; at++) {
		char was = text[at];
		both_ways_agree(text, (size_t)at);
		for (size_t i = 0; i < sizeof others; i++) {
			text[at] = others[i];
			both_ways_agree(text, (size_t)size);
		}
		text[at] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_comes_back_letter_for_letter),
		cmocka_unit_test(every_response_comes_back_letter_for_letter),
		cmocka_unit_test(unknown_fields_are_ignored_and_absent_ones_have_defaults),
		cmocka_unit_test(an_unknown_request_is_told_from_a_broken_one),
		cmocka_unit_test(values_that_nobody_should_trust_are_refused),
		cmocka_unit_test(lists_are_limited_at_the_documented_numbers),
		cmocka_unit_test(the_largest_messages_fit_a_frame),
		cmocka_unit_test(what_would_not_decode_is_not_sent),
		cmocka_unit_test(labels_are_cleaned_on_their_way_in_and_out),
		cmocka_unit_test(failures_become_error_frames_with_a_stable_code),
		cmocka_unit_test(ranges_come_from_bitmaps_and_know_their_end),
		cmocka_unit_test(what_is_told_of_chunks_means_the_same_however_it_is_read),
	};
	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
