#include "fixture.h"

#include "store/catalog.h"

struct context {
	struct fixture *fixture;
	struct lsp_catalog *catalog;
	struct lsp_catalog_import_result result;
};

static struct context begin(void **state)
{
	struct context context = {.fixture = *state};
	assert_ok(lsp_catalog_open(context.fixture->folder, NULL, &context.catalog, &err));
	return context;
}

static void end(struct context *context)
{
	lsp_catalog_close(context->catalog);
}

static int import(struct context *context, const char *text, struct lsp_error *err)
{
	put_text(context->fixture, "import", text);
	return lsp_catalog_import(
		context->catalog, in_folder(context->fixture, "import"), &context->result, err);
}

/* The entry in the newest snapshot; its texts live as long as the catalogue does not change. */
static const struct lsp_catalog_entry *entry(struct context *context, const char *id)
{
	const struct lsp_catalog_snapshot *all = lsp_catalog_snapshot(context->catalog);
	const struct lsp_catalog_entry *found = lsp_catalog_find(all, id);
	lsp_catalog_snapshot_unref(all);
	return found;
}

static void csv_with_a_header_row_is_merged(void **state)
{
	struct context context = begin(state);
	assert_ok(import(&context,
		"ID,Title,max_players,readme_de,colour\n"
		"quake,\"Quake, the first\",16,\"Zeile 1\nZeile 2\",brown\n"
		"freedoom,,8,,red\n",
		&err));
	assert_int_equal(context.result.added, 1);
	assert_int_equal(context.result.changed, 1);
	assert_string_equal(context.result.ignored, "colour");
	assert_string_equal(entry(&context, "quake")->title, "Quake, the first");
	assert_string_equal(entry(&context, "quake")->readme_de, "Zeile 1\nZeile 2");
	assert_int_equal(entry(&context, "freedoom")->max_players, 8);
	assert_string_equal(entry(&context, "freedoom")->title, "Freedoom");
	end(&context);
}

static void both_forms_of_json_are_merged(void **state)
{
	struct context context = begin(state);
	assert_ok(import(&context,
		"[{\"id\":\"quake\",\"title\":\"Quake\",\"size\":50000000,\"master_required\":true,"
		"\"genre\":null,\"colour\":[1]}]",
		&err));
	assert_int_equal(context.result.added, 1);
	assert_string_equal(context.result.ignored, "colour");
	assert_int_equal(entry(&context, "quake")->size, 50000000);
	assert_true(entry(&context, "quake")->master_required);
	assert_ok(import(&context, "{\"games\":[{\"id\":\"quake\",\"genre\":\"Shooter\"}]}", &err));
	assert_int_equal(context.result.changed, 1);
	assert_string_equal(entry(&context, "quake")->title, "Quake");
	assert_string_equal(entry(&context, "quake")->genre, "Shooter");
	end(&context);
}

static void the_same_file_again_changes_nothing(void **state)
{
	struct context context = begin(state);
	const char *text = "id,title,size\nquake,Quake,5\ndoom,Doom,6\n";
	assert_ok(import(&context, text, &err));
	assert_ok(import(&context, text, &err));
	assert_int_equal(context.result.unchanged, 2);
	assert_int_equal(context.result.added + context.result.changed, 0);
	end(&context);
}

static void what_was_imported_is_there_after_a_restart(void **state)
{
	struct context context = begin(state);
	assert_ok(import(&context, "id,title\nquake,Quake\n", &err));
	end(&context);
	context = begin(state);
	assert_string_equal(entry(&context, "quake")->title, "Quake");
	end(&context);
}

static void errors_name_line_and_column_and_nothing_is_taken(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"title\nQuake\n", "line 1, column 1: the header row has no column \"id\""},
		{"", "no column \"id\""},
		{"id,title,id\n", "line 1, column 10: the header has \"id\" twice"},
		{"id,title\nquake,Quake\ndoom\n",
			"line 3, column 1: 1 fields where the header has 2"},
		{"id,title,size\nquake,Quake,5\ndoom,Doom,big\n", "line 3, column 11 (size)"},
		{"id,title\nquake,Quake\n../x,Doom\n", "line 3, column 1 (id)"},
		{"id,title\nquake,Quake\n,Doom\n", "line 3, column 1 (id): the id is empty"},
		{"id,title\nquake,Quake\nquake,Again\n",
			"line 3, column 1 (id): the game \"quake\" is"},
		{"id,title\nquake,Quake\nnew,\n", "line 3: the column title is empty"},
		{"id,title\nquake,Quake\ndoom,\"Doom\n", "line 3, column 6: the quote"},
		{"id,title\nquake,Quake\ndoom,\xff\xfe\n",
			"line 3, column 6 (title): it is not valid"},
		{"id,title,content\nquake,Quake,12\n", "line 2, column 13 (content)"},
		{"id,title,cover\nquake,Quake,none.png\n", "line 2, column 13 (cover)"},
		{"id,title,cover\nquake,Quake,../import\n", "line 2, column 13 (cover)"},
		{"id,title,cover\nquake,Quake,import\n", "line 2, column 13 (cover)"},
		{"[{\"id\":\"quake\",\"title\":\"Q\"},\n{\"id\":\"doom\",\n", "line 3, column"},
		{"[{\"id\":\"quake\",\"title\":\"Q\"},\n{\"id\":\"doom\",\"title\":5.5}]",
			"line 2, game 2, column title"},
		{"{\"games\":[\n{\"id\":\"quake\",\"title\":\"}{\\\"\"},\n\n{\"title\":\"D\"}]}",
			"line 4, game 2, column id"},
		{"[{\"id\":\"quake\",\"title\":\"Q\"},7]", "game 2"},
		{"{\"game\":[]}", "must be a list of games"},
		{"{\"id\":\"a\",\"id\":\"b\"}", "duplicate"},
		{"[{\"id\":\"a\",\"title\":\"a\\u0000b\"}]", "NUL"},
	};
	struct context context = begin(state);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_error err = {0};
		assert_true(import(&context, cases[i].text, &err) < 0);
		if (!strstr(err.message, cases[i].says) || !strstr(err.message, "/import: "))
			fail_msg("%s: %s", cases[i].text, err.message);
		assert_null(entry(&context, "quake"));
	}
	assert_ok(import(&context, "id,title\nquake,Quake\n", &err));
	end(&context);
}

static void covers_come_from_files_beside_and_from_data_addresses(void **state)
{
	struct context context = begin(state);
	assert_int_equal(mkdir(in_folder(context.fixture, "pictures"), 0700), 0);
	put_text(context.fixture, "pictures/q.gif", "GIF89a-quake");
	assert_ok(import(&context,
		"[{\"id\":\"quake\",\"title\":\"Q\",\"cover\":\"pictures/q.gif\"},{\"id\":\"doom\","
		"\"title\":\"D\",\"cover\":\"data:image/gif;base64,R0lGODlhLWRvb20=\"}]",
		&err));
	_cleanup_buffer_ struct lsp_buffer cover = {0};
	assert_ok(lsp_catalog_cover(context.catalog, "quake", &cover, &err));
	assert_memory_equal(cover.data, "GIF89a-quake", 12);
	assert_ok(lsp_catalog_cover(context.catalog, "doom", &cover, &err));
	assert_int_equal(cover.size, 11);
	assert_memory_equal(cover.data, "GIF89a-doom", 11);
	assert_fails(
		import(&context,
			"[{\"id\":\"x\",\"title\":\"X\",\"cover\":\"data:image/gif;base64,!!\"}]",
			&err),
		LSP_E_INVALID, "base64");
	end(&context);
}

static void a_later_import_without_a_cover_keeps_the_one_there(void **state)
{
	struct context context = begin(state);
	put_text(context.fixture, "q.gif", "GIF89a-quake");
	assert_ok(import(&context, "id,title,cover\nquake,Quake,q.gif\n", &err));
	assert_ok(import(&context, "id,title\nquake,Quake 1\n", &err));
	_cleanup_buffer_ struct lsp_buffer cover = {0};
	assert_ok(lsp_catalog_cover(context.catalog, "quake", &cover, &err));
	assert_string_equal(entry(&context, "quake")->title, "Quake 1");
	end(&context);
}

static void a_file_that_is_not_there_or_no_file_is_an_error(void **state)
{
	struct context context = begin(state);
	assert_fails(lsp_catalog_import(context.catalog, in_folder(context.fixture, "none.csv"),
			     &context.result, &err),
		LSP_E_NOT_FOUND, "none.csv");
	assert_int_equal(mkfifo(in_folder(context.fixture, "fifo.csv"), 0600), 0);
	assert_true(lsp_catalog_import(context.catalog, in_folder(context.fixture, "fifo.csv"),
			    &context.result, NULL) < 0);
	end(&context);
}

static void five_thousand_games_are_taken(void **state)
{
	struct context context = begin(state);
	FILE *file = fopen(in_folder(context.fixture, "many.csv"), "we");
	fprintf(file, "id,title\n");
	for (int i = 0; i < 5000; i++)
		fprintf(file, "game-%d,Game %d\n", i, i);
	fclose(file);
	assert_ok(lsp_catalog_import(
		context.catalog, in_folder(context.fixture, "many.csv"), &context.result, &err));
	assert_int_equal(context.result.added, 5000);
	assert_string_equal(entry(&context, "game-4711")->title, "Game 4711");
	end(&context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(csv_with_a_header_row_is_merged),
		FIXTURE_TEST(both_forms_of_json_are_merged),
		FIXTURE_TEST(the_same_file_again_changes_nothing),
		FIXTURE_TEST(what_was_imported_is_there_after_a_restart),
		FIXTURE_TEST(errors_name_line_and_column_and_nothing_is_taken),
		FIXTURE_TEST(covers_come_from_files_beside_and_from_data_addresses),
		FIXTURE_TEST(a_later_import_without_a_cover_keeps_the_one_there),
		FIXTURE_TEST(a_file_that_is_not_there_or_no_file_is_an_error),
		FIXTURE_TEST(five_thousand_games_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
