#include "torrent/selection.h"

#include "../task/fixture.h"

static json_t *rules(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);
	assert_non_null(json);
	return json;
}

static void rules_decide_in_their_order(void **state)
{
	json_t *json = rules("{\"include\":[\"base\"],\"exclude\":[\"*.ogg\"],"
			     "\"priorities\":{\"base/theme.ogg\":\"high\",\"base/a\":\"low\"}}");
	assert_ok(lsp_selection_check(json, ERR));
	assert_int_equal(lsp_selection_priority(json, "base/theme.ogg"), LSP_TORRENT_HIGH);
	assert_int_equal(lsp_selection_priority(json, "base/a"), LSP_TORRENT_LOW);
	assert_int_equal(lsp_selection_priority(json, "base/b.ogg"), LSP_TORRENT_SKIP);
	assert_int_equal(lsp_selection_priority(json, "base/pak"), LSP_TORRENT_NORMAL);
	assert_int_equal(lsp_selection_priority(json, "other/pak"), LSP_TORRENT_SKIP);
	assert_false(lsp_selection_is_everything(json));
	json_decref(json);
}

static void fluff_is_skipped_where_asked(void **state)
{
	json_t *json = rules("{\"skip_fluff\":true}"), *nothing = rules("{\"include\":null}");
	assert_int_equal(lsp_selection_priority(json, "a/Visit Us.URL"), LSP_TORRENT_SKIP);
	assert_int_equal(lsp_selection_priority(json, "Thumbs.db"), LSP_TORRENT_SKIP);
	assert_int_equal(lsp_selection_priority(json, "game.exe"), LSP_TORRENT_NORMAL);
	assert_int_equal(lsp_selection_priority(nothing, "a.url"), LSP_TORRENT_NORMAL);
	assert_true(lsp_selection_is_everything(nothing));
	json_decref(json);
	json_decref(nothing);
}

static void wrong_rules_are_named(void **state)
{
	static const char *const wrong[] = {"{\"include\":\"a\"}", "{\"exclude\":[1]}",
		"{\"exclude\":[\"[\"]}", "{\"skip_fluff\":1}", "{\"priorities\":{\"a\":\"most\"}}",
		"{\"priorities\":[]}"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wrong); i++) {
		json_t *json = rules(wrong[i]);
		assert_code(lsp_selection_check(json, ERR), LSP_E_INVALID);
		json_decref(json);
	}
	assert_string_equal(lsp_selection_priority_name(3), "low");
	assert_string_equal(lsp_selection_priority_name(5), "normal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_decide_in_their_order),
		cmocka_unit_test(fluff_is_skipped_where_asked),
		cmocka_unit_test(wrong_rules_are_named),
	};
	return cmocka_run_group_tests_name("torrent selection", tests, NULL, NULL);
}
