#include "torrent/record.h"

#include "../task/fixture.h"

#define ID "0123456789abcdef0123456789abcdef01234567"

static void a_record_survives_its_file(void **state)
{
	struct lsp_record record, again;
	struct lsp_buffer text = {0};
	json_t *arguments = json_pack("{s:s, s:s, s:b, s:[s, [s, s]], s:f, s:i, s:s}", "save_path",
		"/games", "category", "fps", "sequential", true, "trackers", "http://a", "http://b",
		"http://c", "seed_ratio", 1.5, "max_upload", 7, "unknown", "dropped");
	assert_ok(
		lsp_torrent_record_new(ID, "magnet:?xt=urn:btih:" ID, arguments, 99, &record, ERR));
	json_decref(arguments);
	assert_ok(lsp_torrent_record_encode(&record, &text, ERR));
	assert_ok(lsp_torrent_record_decode(text.data, text.size, ID, &again, ERR));
	assert_true(json_equal(record.json, again.json));
	assert_null(json_object_get(again.json, "unknown"));
	assert_string_equal(again.category, "fps");
	assert_true(again.sequential && again.auto_managed && again.pex && !again.paused);
	assert_int_equal(again.max_upload, 7);
	assert_int_equal(again.added, 99);
	const char **urls;
	int32_t *tiers;
	size_t count;
	assert_ok(lsp_torrent_record_flatten(again.trackers, &urls, &tiers, &count, ERR));
	assert_int_equal(count, 3);
	assert_int_equal(tiers[0], 0);
	assert_int_equal(tiers[2], 1);
	free(urls);
	free(tiers);
	lsp_torrent_record_done(&record);
	lsp_torrent_record_done(&again);
	lsp_buffer_done(&text);
}

static void a_change_that_is_wrong_changes_nothing(void **state)
{
	static const char *const keys[] = {"max_download", "category", NULL};
	struct lsp_record record;
	json_t *arguments = json_pack("{s:s, s:s}", "save_path", "/games", "category", "fps");
	json_t *wrong = json_pack(
		"{s:s, s:I}", "category", "rts", "max_download", (json_int_t)INT32_MAX + 1);
	json_t *right = json_pack(
		"{s:n, s:i, s:s}", "category", "max_download", 5, "save_path", "/elsewhere");
	assert_ok(lsp_torrent_record_new(ID, NULL, arguments, 1, &record, ERR));
	assert_code(lsp_torrent_record_merge(&record, wrong, keys, ERR), LSP_E_INVALID);
	assert_string_equal(record.category, "fps");
	assert_ok(lsp_torrent_record_merge(&record, right, keys, ERR));
	assert_null(record.category);
	assert_int_equal(record.max_download, 5);
	assert_string_equal(record.save_path, "/games"); /* not one of the keys */
	lsp_torrent_record_done(&record);
	json_decref(arguments);
	json_decref(wrong);
	json_decref(right);
}

static void files_that_are_no_records_are_refused(void **state)
{
	static const char *const wrong[] = {"", "[]", "{}", "{\"id\":\"" ID "\"}",
		"{\"id\":\"xyz\",\"save_path\":\"/a\"}",
		"{\"id\":\"" ID "\",\"save_path\":\"relative\"}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"version\":2}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"root\":\"../up\"}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"storage\":\"cloud\"}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"trackers\":[[[]]]}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"seed_ratio\":-1}",
		"{\"id\":\"" ID "\",\"save_path\":\"/a\",\"paused\":\"yes\"}"};
	struct lsp_record record;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wrong); i++)
		assert_code(lsp_torrent_record_decode(wrong[i], strlen(wrong[i]), ID, &record, ERR),
			LSP_E_PROTOCOL);
	/* A good one under another's name. */
	static const char good[] = "{\"id\":\"" ID "\",\"save_path\":\"/a\"}";
	assert_code(lsp_torrent_record_decode(good, strlen(good),
			    "1123456789abcdef0123456789abcdef01234567", &record, ERR),
		LSP_E_PROTOCOL);
	assert_ok(lsp_torrent_record_decode(good, strlen(good), ID, &record, ERR));
	lsp_torrent_record_done(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_survives_its_file),
		cmocka_unit_test(a_change_that_is_wrong_changes_nothing),
		cmocka_unit_test(files_that_are_no_records_are_refused),
	};
	return cmocka_run_group_tests_name("torrent record", tests, NULL, NULL);
}
