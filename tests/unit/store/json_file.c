#include "fixture.h"

#include "store/json_file.h"

static void no_file_is_an_empty_document(void **state)
{
	json_t *object = NULL;
	assert_ok(lsp_json_file_load(in_folder(*state, "pins.json"), &object, &err));
	assert_int_equal(json_object_size(object), 0);
	json_decref(object);
}

static void what_was_saved_is_loaded(void **state)
{
	const char *path = in_folder(*state, "pins.json");
	json_t *object = json_pack("{s:s, s:i}", "a", "Größe", "b", 5);
	assert_ok(lsp_json_file_save(path, object, &err));
	json_t *back = NULL;
	assert_ok(lsp_json_file_load(path, &back, &err));
	assert_true(json_equal(object, back));
	json_decref(object);
	json_decref(back);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_damaged_document_is_set_aside_and_said(void **state)
{
	struct fixture *fixture = *state;
	static const char *const texts[] = {
		"", "{\"a\": ", "[1, 2]", "{\"a\":1,\"a\":2}", "\xff\xfe"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(texts); i++) {
		put_text(fixture, "pins.json", texts[i]);
		json_t *object = NULL;
		assert_ok(lsp_json_file_load(in_folder(fixture, "pins.json"), &object, &err));
		assert_int_equal(json_object_size(object), 0);
		json_decref(object);
		_cleanup_buffer_ struct lsp_buffer kept = {0};
		assert_ok(lsp_fs_read_file(
			in_folder(fixture, "pins.json.damaged"), 100, &kept, &err));
		assert_string_equal((char *)kept.data, texts[i]);
		assert_non_null(strstr(fixture->warning, "line 1"));
	}
}

static void reading_says_where_and_touches_nothing(void **state)
{
	struct fixture *fixture = *state;
	put_text(fixture, "config.json", "{\n\"a\": 1,\n\"b\" 2}");
	json_t *object = NULL;
	assert_fails(lsp_json_file_read(in_folder(fixture, "config.json"), &object, &err),
		LSP_E_PROTOCOL, "line 3");
	assert_int_equal(access(in_folder(fixture, "config.json"), F_OK), 0);
}

static void a_fifo_is_refused_without_waiting(void **state)
{
	assert_int_equal(mkfifo(in_folder(*state, "pins.json"), 0600), 0);
	json_t *object = NULL;
	assert_true(lsp_json_file_load(in_folder(*state, "pins.json"), &object, NULL) < 0);
}

static int fail_renames(const struct lsp_fs_event *event, void *argument)
{
	return event->call == LSP_FS_RENAME ? *(int *)argument : 0;
}

static void a_save_that_cannot_be_written_keeps_the_old_content(void **state)
{
	const char *path = in_folder(*state, "pins.json");
	json_t *old = json_pack("{s:s}", "quake", "old");
	json_t *new = json_pack("{s:s}", "quake", "new");
	json_t *back = NULL;
	int no_space = ENOSPC;
	struct lsp_fs_hooks hooks = {.before = fail_renames, .argument = &no_space};
	assert_ok(lsp_json_file_save(path, old, &err));
	lsp_fs_set_hooks(&hooks);
	assert_fails(lsp_json_file_save(path, new, &err), LSP_E_NO_SPACE, "");
	lsp_fs_set_hooks(NULL);
	assert_ok(lsp_json_file_load(path, &back, &err));
	assert_true(json_equal(back, old));
	json_decref(back);
	json_decref(new);
	json_decref(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(no_file_is_an_empty_document),
		FIXTURE_TEST(what_was_saved_is_loaded),
		FIXTURE_TEST(a_damaged_document_is_set_aside_and_said),
		FIXTURE_TEST(reading_says_where_and_touches_nothing),
		FIXTURE_TEST(a_fifo_is_refused_without_waiting),
		FIXTURE_TEST(a_save_that_cannot_be_written_keeps_the_old_content),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
