#include "fixture.h"

#include "store/config.h"

static int set(struct lsp_config *config, const char *key, const char *text, struct lsp_error *err)
{
	enum lsp_setting_id id;
	int r = lsp_setting_find(key, &id, err);
	return r < 0 ? r : lsp_config_set(config, id, text, err);
}

static void without_a_file_every_setting_has_its_default(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	for (int i = 0; i < LSP_SETTING_COUNT; i++)
		assert_string_equal(
			lsp_config_text(config, (enum lsp_setting_id)i), lsp_settings[i].fallback);
	assert_true(lsp_config_switch(config, LSP_SETTING_PING_GUARD));
	assert_int_equal(lsp_config_number(config, LSP_SETTING_RESCAN_INTERVAL), 300);
	assert_int_equal(access(in_folder(fixture, "config.json"), F_OK), -1);
}

static void every_default_passes_its_own_check(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	for (int i = 0; i < LSP_SETTING_COUNT; i++)
		assert_ok(lsp_config_check(
			config, (enum lsp_setting_id)i, lsp_settings[i].fallback, &err));
}

static void what_is_set_is_in_effect_and_there_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(set(config, "name", "Küche", &err));
	assert_ok(set(config, "limit_up", "10M", &err));
	assert_ok(set(config, "ping_guard", "off", &err));
	assert_ok(set(config, "listen", "[::1]:5000", &err));
	assert_ok(set(config, "swarm", "lan", &err));
	assert_ok(set(config, "swarm", NULL, &err));
	lsp_config_free(config);
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_string_equal(lsp_config_text(config, LSP_SETTING_NAME), "Küche");
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 10000000);
	assert_false(lsp_config_switch(config, LSP_SETTING_PING_GUARD));
	assert_string_equal(lsp_config_text(config, LSP_SETTING_LISTEN_ADDRESS), "[::1]:5000");
	assert_string_equal(lsp_config_text(config, LSP_SETTING_SWARM), "off");
	lsp_config_free(config);
}

static void a_wrong_value_is_refused_in_one_line_and_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	static const struct {
		const char *key, *text, *says;
	} cases[] = {
		{"limit_up", "fast", "no rate"},
		{"limit_up", "-1", "no rate"},
		{"limit_up", "10MB", "no rate"},
		{"limit_up", "", "no rate"},
		{"limit_up", "1e3", "no rate"},
		{"limit_up", "99999999999999999999", "no rate"},
		{"limit_down", "18446744073709551615G", "no rate"},
		{"ping_guard", "maybe", "true or false"},
		{"swarm", "wan", "off lan internet"},
		{"swarm", "", "one of"},
		{"swarm", "off lan", "one of"},
		{"listen", "65536", "[ADDRESS:]PORT"},
		{"listen", "::1:80", "[ADDRESS:]PORT"},
		{"listen", ":80", "[ADDRESS:]PORT"},
		{"http", "on", "or off"},
		{"games_dir", "relative/path", "absolute path"},
		{"games_dir", "", "absolute path"},
		{"name", "two\nlines", "one line"},
		{"name", "\xff\xfe", "UTF-8"},
		{"rescan_interval", "0", "seconds"},
		{"rescan_interval", "4", "seconds"},
		{"log_level", "loud", "error warning info debug"},
		{"interface", "an-interface-name-too-long", "at most 15"},
		{"colour", "red", "there is no setting"},
	};
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_error err = {0};
		assert_true(set(config, cases[i].key, cases[i].text, &err) < 0);
		if (!strstr(err.message, cases[i].says) || strchr(err.message, '\n'))
			fail_msg("%s=%s: %s", cases[i].key, cases[i].text, err.message);
	}
	assert_int_equal(access(in_folder(fixture, "config.json"), F_OK), -1);
}

static void rates_take_decimal_letters(void **state)
{
	uint64_t rate;
	assert_ok(lsp_rate_parse("0", &rate, &err));
	assert_int_equal(rate, 0);
	assert_ok(lsp_rate_parse("1500", &rate, &err));
	assert_int_equal(rate, 1500);
	assert_ok(lsp_rate_parse("12k", &rate, &err));
	assert_int_equal(rate, 12000);
	assert_ok(lsp_rate_parse("3G", &rate, &err));
	assert_int_equal(rate, 3000000000);
}

static void a_flag_wins_and_what_it_fixed_cannot_be_changed(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	put_text(fixture, "config.json", "{\"name\": \"from the file\"}");
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(lsp_config_fix(config, LSP_SETTING_NAME, "from the flag", &err));
	assert_string_equal(lsp_config_text(config, LSP_SETTING_NAME), "from the flag");
	assert_fails(set(config, "name", "other", &err), LSP_E_BUSY, "name is fixed by a flag");
	assert_fails(lsp_config_check(config, LSP_SETTING_NAME, "other", &err), LSP_E_BUSY,
		"fixed by a flag");
	json_t *fixed = lsp_config_fixed(config);
	assert_int_equal(json_array_size(fixed), 1);
	assert_string_equal(json_string_value(json_array_get(fixed, 0)), "name");
	json_decref(fixed);
	assert_fails(lsp_config_fix(config, LSP_SETTING_SWARM, "x", &err), LSP_E_INVALID, "swarm");
}

static void a_file_edited_by_hand_is_taken_over(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	uint32_t changed = 77;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 0);
	put_text(fixture, "config.json", "{\"limit_up\": 5000, \"swarm\": \"off\"}");
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 1u << LSP_SETTING_LIMIT_UP);
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 5000);
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 0);
	assert_int_equal(unlink(in_folder(fixture, "config.json")), 0);
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 1u << LSP_SETTING_LIMIT_UP);
}

/* A set in between reads the file too; the next look still tells what was edited. */
static void an_edit_that_a_set_reads_first_is_told_all_the_same(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	uint32_t changed = 0;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	put_text(fixture, "config.json", "{\"limit_up\": 5000}");
	assert_ok(set(config, "limit_down", "1000", &err));
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 1u << LSP_SETTING_LIMIT_UP);
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(changed, 0);
}

static void a_bad_edit_is_told_once_and_what_was_in_effect_stays(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	uint32_t changed = 0;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(set(config, "limit_up", "1000", &err));
	put_text(fixture, "config.json", "{\n\"limit_up\": 2000,\n");
	assert_fails(lsp_config_poll(config, &changed, &err), LSP_E_PROTOCOL, "line 3");
	assert_ok(lsp_config_poll(config, &changed, &err));
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 1000);
	put_text(fixture, "config.json", "{\"limit_up\": true}");
	assert_fails(lsp_config_poll(config, &changed, &err), LSP_E_INVALID, "limit_up");
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 1000);
}

static void a_bad_edit_is_never_written_over(void **state)
{
	static const char bad[] = "{\n\"limit_up\": 2000,\n";
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	uint32_t changed = 0;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(set(config, "limit_up", "1000", &err));
	put_text(fixture, "config.json", bad);
	for (int i = 0; i < 3; i++) {
		_cleanup_buffer_ struct lsp_buffer text = {0};
		if (i == 1) /* whoever noticed it first */
			(void)!lsp_config_poll(config, &changed, NULL);
		assert_fails(set(config, "limit_down", "7000", &err), LSP_E_PROTOCOL, "line 3");
		assert_ok(lsp_fs_read_file(in_folder(fixture, "config.json"), 1000, &text, &err));
		assert_int_equal(text.size, sizeof bad - 1);
		assert_memory_equal(text.data, bad, text.size);
		assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_DOWN), 0);
	}
	put_text(fixture, "config.json", "{\"limit_up\": 2000}");
	assert_ok(set(config, "limit_down", "7000", &err));
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 2000);
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_DOWN), 7000);
}

static void a_file_that_is_wrong_stops_the_start_with_its_line(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_config *config = NULL;
	put_text(fixture, "config.json", "{\"name\": }");
	assert_fails(lsp_config_open(fixture->folder, &config, &err), LSP_E_PROTOCOL,
		"config.json, line 1");
	put_text(fixture, "config.json", "{\"swarm\": \"wan\"}");
	assert_fails(lsp_config_open(fixture->folder, &config, &err), LSP_E_INVALID, "swarm");
}

static void unknown_keys_are_named_and_kept(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	put_text(fixture, "config.json", "{\"colour\": \"red\"}");
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_non_null(strstr(fixture->warning, "colour"));
	assert_ok(set(config, "name", "kitchen", &err));
	_cleanup_buffer_ struct lsp_buffer text = {0};
	assert_ok(lsp_fs_read_file(in_folder(fixture, "config.json"), 1000, &text, &err));
	assert_non_null(strstr((char *)text.data, "\"colour\": \"red\""));
	assert_non_null(strstr((char *)text.data, "\"name\": \"kitchen\""));
}

static void a_set_does_not_undo_an_edit_of_the_moment_before(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	put_text(fixture, "config.json", "{\"limit_up\": 5000}");
	assert_ok(set(config, "limit_down", "6000", &err));
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 5000);
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_DOWN), 6000);
}

static void json_values_have_the_type_of_their_setting(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	json_t *number = json_integer(7000), *no = json_false(), *list = json_array();
	assert_ok(lsp_config_set_json(config, LSP_SETTING_LIMIT_UP, number, &err));
	assert_ok(lsp_config_set_json(config, LSP_SETTING_DISCOVERY, no, &err));
	assert_fails(lsp_config_set_json(config, LSP_SETTING_NAME, number, &err), LSP_E_INVALID,
		"name must be a text");
	assert_fails(lsp_config_set_json(config, LSP_SETTING_DISCOVERY, number, &err),
		LSP_E_INVALID, "true or false");
	assert_fails(lsp_config_set_json(config, LSP_SETTING_LIMIT_UP, list, &err), LSP_E_INVALID,
		"whole number");
	json_t *values = lsp_config_values(config);
	assert_int_equal(json_object_size(values), LSP_SETTING_COUNT);
	assert_int_equal(json_integer_value(json_object_get(values, "limit_up")), 7000);
	assert_true(json_is_false(json_object_get(values, "discovery")));
	assert_ok(lsp_config_set_json(config, LSP_SETTING_LIMIT_UP, NULL, &err));
	assert_int_equal(lsp_config_number(config, LSP_SETTING_LIMIT_UP), 0);
	json_decref(values);
	json_decref(number);
	json_decref(list);
}

static int no_space(const struct lsp_fs_event *event, void *argument)
{
	return event->call == LSP_FS_WRITE ? ENOSPC : 0;
}

static void a_full_disk_leaves_the_old_value_in_effect(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_config_ struct lsp_config *config = NULL;
	assert_ok(lsp_config_open(fixture->folder, &config, &err));
	assert_ok(set(config, "name", "old", &err));
	struct lsp_fs_hooks hooks = {.before = no_space};
	lsp_fs_set_hooks(&hooks);
	assert_fails(set(config, "name", "new", &err), LSP_E_NO_SPACE, "config.json");
	lsp_fs_set_hooks(NULL);
	assert_string_equal(lsp_config_text(config, LSP_SETTING_NAME), "old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(without_a_file_every_setting_has_its_default),
		FIXTURE_TEST(every_default_passes_its_own_check),
		FIXTURE_TEST(what_is_set_is_in_effect_and_there_after_a_restart),
		FIXTURE_TEST(a_wrong_value_is_refused_in_one_line_and_changes_nothing),
		FIXTURE_TEST(rates_take_decimal_letters),
		FIXTURE_TEST(a_flag_wins_and_what_it_fixed_cannot_be_changed),
		FIXTURE_TEST(a_file_edited_by_hand_is_taken_over),
		FIXTURE_TEST(an_edit_that_a_set_reads_first_is_told_all_the_same),
		FIXTURE_TEST(a_bad_edit_is_told_once_and_what_was_in_effect_stays),
		FIXTURE_TEST(a_bad_edit_is_never_written_over),
		FIXTURE_TEST(a_file_that_is_wrong_stops_the_start_with_its_line),
		FIXTURE_TEST(unknown_keys_are_named_and_kept),
		FIXTURE_TEST(a_set_does_not_undo_an_edit_of_the_moment_before),
		FIXTURE_TEST(json_values_have_the_type_of_their_setting),
		FIXTURE_TEST(a_full_disk_leaves_the_old_value_in_effect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
