#include "torrent/translate.h"

#include "../task/fixture.h"

static void states_are_in_our_words(void **state)
{
	static const struct {
		uint32_t state, flags;
		const char *error;
		bool goal_met;
		enum lsp_torrent_state wanted;
	} cases[] = {
		{LSP_SHIM_STATE_DOWNLOADING, 0, "", false, LSP_TORRENT_DOWNLOADING},
		{LSP_SHIM_STATE_METADATA, 0, "", false, LSP_TORRENT_FETCHING_METADATA},
		{LSP_SHIM_STATE_CHECKING, 0, "", false, LSP_TORRENT_CHECKING},
		{LSP_SHIM_STATE_CHECKING_RESUME, 0, "", false, LSP_TORRENT_QUEUED},
		{LSP_SHIM_STATE_FINISHED, 0, "", false, LSP_TORRENT_COMPLETED},
		{LSP_SHIM_STATE_SEEDING, 0, "", false, LSP_TORRENT_SEEDING},
		{LSP_SHIM_STATE_SEEDING, LSP_SHIM_PAUSED, "", false, LSP_TORRENT_PAUSED},
		{LSP_SHIM_STATE_SEEDING, LSP_SHIM_PAUSED, "", true, LSP_TORRENT_COMPLETED},
		{LSP_SHIM_STATE_DOWNLOADING, LSP_SHIM_PAUSED | LSP_SHIM_AUTO_MANAGED, "", false,
			LSP_TORRENT_QUEUED},
		{LSP_SHIM_STATE_DOWNLOADING, 0, "disk", false, LSP_TORRENT_FAILED},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_shim_status status = {
			.state = cases[i].state, .flags = cases[i].flags, .error = cases[i].error};
		assert_int_equal(lsp_translate_state(&status, cases[i].goal_met), cases[i].wanted);
	}
}

static void times_and_ratios_are_what_they_seem(void **state)
{
	struct lsp_progress_sample sample = {.done = 10, .total = 110, .download_rate = 33};
	assert_int_equal(lsp_translate_eta(&sample), 4);
	sample.download_rate = 0;
	assert_int_equal(lsp_translate_eta(&sample), -1);
	sample.done = 110;
	assert_int_equal(lsp_translate_eta(&sample), 0);
	assert_true(lsp_translate_ratio(30, 20, 99) == 1.5);
	assert_true(lsp_translate_ratio(30, 0, 60) == 0.5);
	assert_true(lsp_translate_ratio(30, 0, 0) == 0);
}

static void texts_from_outside_become_utf8(void **state)
{
	json_t *text = lsp_translate_text("caf\xe9");
	assert_string_equal(json_string_value(text), "caf?");
	json_decref(text);
	struct lsp_shim_alert alert = {
		.type = LSP_SHIM_ALERT_TRACKER_ERROR, .text = "http://\xff", .error = "\x80"};
	json_t *event = lsp_event_tracker("id", &alert);
	assert_string_equal(json_string_value(json_object_get(event, "message")), "?");
	json_decref(event);
}

static void each_alert_touches_the_component_that_it_is_about(void **state)
{
	static const struct {
		enum lsp_shim_alert_type type;
		enum lsp_translate_effect effect;
		enum lsp_torrent_component component;
		const char *key;
	} cases[] = {
		{LSP_SHIM_ALERT_TRACKER_ERROR, LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_TRACKER,
			"id text"},
		{LSP_SHIM_ALERT_TRACKER_REPLY, LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_TRACKER,
			"id text"},
		{LSP_SHIM_ALERT_LISTEN_FAILED, LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_NETWORK,
			"id listen"},
		{LSP_SHIM_ALERT_FILE_ERROR, LSP_TRANSLATE_FAULT, LSP_TORRENT_HEALTH_STORAGE, "id"},
		{LSP_SHIM_ALERT_CHECKED, LSP_TRANSLATE_SUCCESS, LSP_TORRENT_HEALTH_STORAGE, "id"},
	};
	enum lsp_torrent_component component;
	char key[LSP_FAULT_KEY_MAX];
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_shim_alert alert = {.type = cases[i].type, .text = "text", .error = ""};
		assert_int_equal(
			lsp_translate_health(&alert, "id", &component, key), cases[i].effect);
		assert_int_equal(component, cases[i].component);
		assert_string_equal(key, cases[i].key);
	}
	struct lsp_shim_alert other = {.type = LSP_SHIM_ALERT_STATUS, .text = "", .error = ""};
	assert_int_equal(
		lsp_translate_health(&other, "id", &component, key), LSP_TRANSLATE_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_are_in_our_words),
		cmocka_unit_test(times_and_ratios_are_what_they_seem),
		cmocka_unit_test(texts_from_outside_become_utf8),
		cmocka_unit_test(each_alert_touches_the_component_that_it_is_about),
	};
	return cmocka_run_group_tests_name("torrent translate", tests, NULL, NULL);
}
