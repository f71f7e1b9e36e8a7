#include "fixture.h"

#include "store/csv.h"

/* All records as "a|b\n", or the error. */
static int flatten(const char *text, char out[1000], struct lsp_error *err)
{
	_cleanup_csv_ struct lsp_csv csv;
	lsp_csv_init(&csv, text, strlen(text));
	out[0] = '\0';
	int r;
	while ((r = lsp_csv_next(&csv, err)) > 0) {
		for (size_t i = 0; i < csv.field_count; i++) {
			strcat(out, i > 0 ? "|" : "");
			strcat(out, csv.fields[i].text);
		}
		strcat(out, "\n");
	}
	return r;
}

static void check(const char *text, const char *want)
{
	char out[1000];
	assert_ok(flatten(text, out, &err));
	assert_string_equal(out, want);
}

static void fields_are_split_and_unquoted(void **state)
{
	check("a,b,c\n1,,3\n", "a|b|c\n1||3\n");
	check("a,b", "a|b\n");
	check("\"x, y\",\"say \"\"hi\"\"\"\n", "x, y|say \"hi\"\n");
	check("\"two\nlines\",z\n", "two\nlines|z\n");
	check("\"\",b\n", "|b\n");
	check("a,\n", "a|\n");
	check("", "");
}

static void line_ends_of_every_kind_and_empty_lines_are_taken(void **state)
{
	check("a,b\r\nc,d\r\n", "a|b\nc|d\n");
	check("\n\na\n\nb\n", "a\nb\n");
	check("\xef\xbb\xbfid,title\n", "id|title\n");
}

static void semicolons_and_tabs_separate_where_the_header_has_them(void **state)
{
	check("a;b\n1,5;2\n", "a|b\n1,5|2\n");
	check("a\tb\n1;2\t3\n", "a|b\n1;2|3\n");
	check("\"a,b\";c\n", "a,b|c\n");
}

static void errors_name_line_and_column(void **state)
{
	char out[1000];
	assert_fails(flatten("a,b\n1,\"open\nmore", out, &err), LSP_E_PROTOCOL, "line 2, column 3");
	assert_fails(flatten("a,b\n\"x\"y,1\n", out, &err), LSP_E_PROTOCOL, "line 2, column 4");
	assert_fails(flatten("a,b\n1,x\"y\n", out, &err), LSP_E_PROTOCOL, "line 2, column 4");
	assert_fails(
		flatten("a,b\n\"1\n2\",\"x\"y\n", out, &err), LSP_E_PROTOCOL, "line 3, column 7");
}

static void fields_know_where_they_began(void **state)
{
	const char *text = "id,title\n\"a\nb\",x\n";
	_cleanup_csv_ struct lsp_csv csv;
	lsp_csv_init(&csv, text, strlen(text));
	assert_int_equal(lsp_csv_next(&csv, NULL), 1);
	assert_int_equal(lsp_csv_next(&csv, NULL), 1);
	assert_int_equal(csv.record_line, 2);
	assert_int_equal(csv.fields[0].line, 2);
	assert_int_equal(csv.fields[1].line, 3);
	assert_int_equal(csv.fields[1].column, 4);
}

static void a_nul_and_too_many_fields_are_refused(void **state)
{
	_cleanup_csv_ struct lsp_csv csv;
	lsp_csv_init(&csv, "a,\0b\n", 5);
	assert_fails(lsp_csv_next(&csv, &err), LSP_E_PROTOCOL, "NUL");
	char many[LSP_CSV_FIELDS_MAX + 2], out[1000];
	memset(many, ',', sizeof many);
	many[sizeof many - 1] = '\0';
	assert_fails(flatten(many, out, &err), LSP_E_PROTOCOL, "too many");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_split_and_unquoted),
		cmocka_unit_test(line_ends_of_every_kind_and_empty_lines_are_taken),
		cmocka_unit_test(semicolons_and_tabs_separate_where_the_header_has_them),
		cmocka_unit_test(errors_name_line_and_column),
		cmocka_unit_test(fields_know_where_they_began),
		cmocka_unit_test(a_nul_and_too_many_fields_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
