/* What is kept of a download for the next start, as a document and back. */
#include "peer/download_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_again(const struct lsp_download_record *record)
{
	struct lsp_download_record read;
	memset(&read, 0xee, sizeof read);
	json_t *json = lsp_download_record_to_json(record);
	lsp_download_record_from_json(json, &read);
	json_decref(json);
	assert_int_equal(read.purpose, record->purpose);
	assert_int_equal(read.engine, record->engine);
	assert_int_equal(read.paused, record->paused);
	assert_int_equal(read.check_folder, record->check_folder);
	assert_int_equal(read.has_content, record->has_content);
	if (record->has_content)
		assert_true(lsp_hash_equal(&read.content, &record->content));
	assert_string_equal(read.newer_than, record->newer_than);
}

static void what_was_written_is_read_again(void **state)
{
	expect_again(&(struct lsp_download_record){.purpose = LSP_DOWNLOAD_ONLY});
	expect_again(&(struct lsp_download_record){.purpose = LSP_DOWNLOAD_THEN_INSTALL,
		.engine = LSP_ENGINE_SWARM,
		.has_content = true,
		.check_folder = true,
		.content = {{1, 2, 3}}});
	expect_again(&(struct lsp_download_record){
		.purpose = LSP_DOWNLOAD_THEN_UPDATE, .paused = true, .newer_than = "20240101"});
}

/* Somebody has edited the file. */
static void what_is_not_known_is_read_as_the_usual(void **state)
{
	static const char *const documents[] = {"{}", "[]", "5", "null",
		"{\"purpose\": 1, \"engine\": [], \"content\": {}, \"paused\": \"yes\", "
		"\"check_folder\": 1, \"newer_than\": 20240101}",
		"{\"purpose\": \"dance\", \"engine\": \"pigeon\", \"content\": \"beef\", "
		"\"paused\": null, \"newer_than\": \"\"}"};
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		struct lsp_download_record read;
		memset(&read, 0xee, sizeof read);
		json_t *json = json_loads(documents[i], JSON_DECODE_ANY, NULL);
		assert_non_null(json);
		lsp_download_record_from_json(json, &read);
		json_decref(json);
		assert_int_equal(read.purpose, LSP_DOWNLOAD_ONLY);
		assert_int_equal(read.engine, LSP_ENGINE_LAN);
		assert_false(read.has_content);
		assert_false(read.paused);
		assert_false(read.check_folder);
		assert_string_equal(read.newer_than, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(what_is_not_known_is_read_as_the_usual),
	};
	return cmocka_run_group_tests_name("peer/download_record", tests, NULL, NULL);
}
