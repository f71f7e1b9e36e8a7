/* Which torrents may become a game. */
#include "peer/torrent_check.h"

#include "peer/local.h"
#include "wire/metainfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct lsp_library_game local;
static bool is_local;

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return is_local ? &local : NULL;
}

struct file {
	const char *path;
	uint64_t size;
	bool symlink;
};

/* As a .torrent and as a list; they are judged alike, but for links. `words` NULL: it may. */
static void expect(const struct file *files, const char *words)
{
	struct lsp_metainfo_file parsed[4] = {0};
	struct lsp_metainfo metainfo = {.name = (char *)"doom", .files = parsed};
	json_t *list = json_array();
	bool has_link = false;
	for (const struct file *file = files; file->path; file++) {
		parsed[metainfo.file_count++] = (struct lsp_metainfo_file){
			.path = file->path, .size = file->size, .symlink = file->symlink};
		has_link |= file->symlink;
		json_array_append_new(list, json_pack("{s:s, s:I}", "path", file->path, "size",
						    (json_int_t)file->size));
	}
	for (int listed = 0; listed < 2 - has_link; listed++) {
		struct lsp_error err = {0};
		int r = listed ? lsp_torrent_check_listed("doom", list, &err)
			       : lsp_torrent_check_metainfo(&metainfo, "doom", &err);
		assert_int_equal(r, words ? -LSP_E_INVALID : 0);
		if (words && !strstr(err.message, words))
			fail_msg("%s: %s", words, err.message);
	}
	json_decref(list);
}

#define FILES(...) ((const struct file[]){__VA_ARGS__, {NULL}})

static void a_game_has_a_version_ini_that_can_be_one(void **state)
{
	expect(FILES({"version.ini", 4}, {"a", 0}), NULL);
	expect(FILES({"version.ini", 65536}), NULL);
	expect(FILES({"a", 5}), "no version.ini");
	expect(FILES({"VERSION.INI", 5}), "no version.ini");
	expect(FILES({"version.ini/a", 5}), "no version.ini");
	expect(FILES({"version.ini", 0}, {"a", 5}), "is empty");
	expect(FILES({"version.ini", 65537}), "65537 bytes");
	expect(FILES({"version.ini", UINT64_C(1) << 40}), "1099511627776 bytes");
	expect(FILES({"version.ini", 0, true}, {"a", 5}), "symbolic link");
}

static void its_names_are_those_of_a_game(void **state)
{
	static const char *const wrong[] = {"../a", "/a", "a/../b", "a\\b", "aux.txt", "a.", "a ",
		"local/a", ".lanspread/stage/manifest", "a\n", "", "a//b"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wrong); i++)
		expect(FILES({"version.ini", 4}, {wrong[i], 5}), "no game may have");
}

static void no_two_of_them_are_the_same_where_case_does_not_count(void **state)
{
	expect(FILES({"version.ini", 4}, {"a", 5}, {"A", 6}), "no game may have");
	expect(FILES({"version.ini", 4}, {"version.ini", 5}), "\"version.ini\" is there twice");
	expect(FILES({"version.ini", 4}, {"a/b/c", 5}, {"a", 6}), "\"a\" is a file and a folder");
	expect(FILES({"version.ini", 4}, {"A/b", 5}, {"a/c", 6}), "no game may have");
}

static void a_torrent_of_one_file_is_no_game(void **state)
{
	struct lsp_metainfo_file file = {.path = "version.ini", .size = 4};
	struct lsp_metainfo metainfo = {
		.name = (char *)"version.ini", .single = true, .files = &file, .file_count = 1};
	struct lsp_error err = {0};
	assert_int_equal(lsp_torrent_check_metainfo(&metainfo, "doom", &err), -LSP_E_INVALID);
}

static void a_folder_that_holds_no_game_is_in_nobodys_way(void **state)
{
	struct lsp_error err = {0};
	is_local = false;
	assert_int_equal(lsp_torrent_check_id_free(NULL, "doom", &err), 0);
	is_local = true;
	local.availability = LSP_AVAILABILITY_NONE;
	assert_int_equal(lsp_torrent_check_id_free(NULL, "doom", &err), 0);
	local.availability = LSP_AVAILABILITY_DOWNLOADED;
	assert_int_equal(lsp_torrent_check_id_free(NULL, "doom", &err), -LSP_E_EXISTS);
	assert_non_null(strstr(err.message, "lanspread remove doom"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_game_has_a_version_ini_that_can_be_one),
		cmocka_unit_test(its_names_are_those_of_a_game),
		cmocka_unit_test(no_two_of_them_are_the_same_where_case_does_not_count),
		cmocka_unit_test(a_torrent_of_one_file_is_no_game),
		cmocka_unit_test(a_folder_that_holds_no_game_is_in_nobodys_way),
	};
	return cmocka_run_group_tests_name("torrent check", tests, NULL, NULL);
}
