#include "torrent/configuration.h"

#include "../task/fixture.h"

static json_t *parsed(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);
	assert_non_null(json);
	return json;
}

static int64_t number_of(const struct lsp_configuration *configuration, const char *name)
{
	for (size_t i = 0; i < configuration->count; i++)
		if (strcmp(configuration->settings[i].name, name) == 0)
			return configuration->settings[i].number;
	fail_msg("no setting %s", name);
	return -1;
}

static void nothing_tells_the_outside_anything_unless_asked(void **state)
{
	struct lsp_configuration configuration;
	static const char *const off[] = {
		"enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"};
	assert_ok(lsp_configuration_parse(NULL, &configuration, ERR));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(off); i++)
		assert_int_equal(number_of(&configuration, off[i]), 0);
	assert_true(configuration.limit_lan);
	lsp_configuration_done(&configuration);
	json_t *lan = parsed("{\"mode\":\"lan\"}");
	assert_ok(lsp_configuration_parse(lan, &configuration, ERR));
	assert_int_equal(number_of(&configuration, "enable_lsd"), 1);
	assert_int_equal(number_of(&configuration, "enable_dht"), 0);
	lsp_configuration_done(&configuration);
	json_t *internet = parsed("{\"mode\":\"internet\",\"upnp\":false}");
	assert_ok(lsp_configuration_parse(internet, &configuration, ERR));
	assert_int_equal(number_of(&configuration, "enable_dht"), 1);
	assert_int_equal(number_of(&configuration, "enable_upnp"), 0);
	assert_int_equal(number_of(&configuration, "enable_natpmp"), 1);
	lsp_configuration_done(&configuration);
	json_decref(lan);
	json_decref(internet);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *word;
	} wrong[] = {{"{\"dth\":true}", "dth"}, {"{\"mode\":\"wan\"}", "mode"},
		{"{\"listen\":[\"nowhere\"]}", "listen"},
		{"{\"listen\":[\"ann:6881\"]}", "0.0.0.0:6881"},
		{"{\"listen\":[\"::1:6881\"]}", "[::]:6881"}, {"{\"dht\":1}", "dht"},
		{"{\"max_download\":2147483648}", "max_download"},
		{"{\"proxy\":{\"type\":\"socks5\",\"port\":1}}", "proxy.host"},
		{"{\"proxy\":{\"type\":\"socks5\",\"host\":\"\",\"port\":1}}", "proxy.host"},
		{"{\"dht_nodes\":[\":1\"]}", "dht_nodes"},
		{"{\"dht_nodes\":[\"ann:0\"]}", "dht_nodes"},
		{"{\"dht_nodes\":[\"fd00::2:1\"]}", "[fd00::2]:6881"},
		{"{\"dht_nodes\":[\"[ann]:1\"]}", "dht_nodes"},
		{"{\"alternative\":{\"from\":\"25:00\",\"to\":\"01:00\"}}", "from"},
		{"{\"alternative\":{\"dais\":[]}}", "dais"}, {"{\"ip_filter\":[5]}", "ip_filter"},
		{"{\"ip_filter\":[\"10.0.0.9-10.0.0.1\"]}", "10.0.0.9-10.0.0.1"},
		{"{\"ip_filter\":[\"10.0.0.1-::2\"]}", "no range"},
		{"{\"ip_filter\":[\"ann\"]}", "no range"},
		{"{\"proxy\":{\"typ\":\"socks5\"}}", "proxy has no setting typ"},
		{"{\"proxy\":{\"peers\":1}}", "proxy.peers"},
		{"{\"proxy\":{\"password\":1}}", "proxy.password"},
		{"{\"encryption\":\"rot13\"}", "encryption"},
		{"{\"save_interval\":0}", "save_interval"},
		{"{\"save_interval\":3601}", "save_interval"},
		{"{\"save_interval\":\"2\"}", "save_interval"}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wrong); i++) {
		struct lsp_configuration configuration;
		json_t *json = parsed(wrong[i].text);
		assert_code(lsp_configuration_parse(json, &configuration, ERR), LSP_E_INVALID);
		assert_non_null(strstr(ERR->message, wrong[i].word));
		json_decref(json);
	}
}

static void the_schedule_goes_by_the_clock_over_midnight_too(void **state)
{
	struct lsp_configuration configuration;
	uint32_t download, upload;
	json_t *json = parsed("{\"max_download\":9,\"alternative\":{\"max_download\":3,"
			      "\"max_upload\":2,\"from\":\"22:00\",\"to\":\"06:30\","
			      "\"days\":[\"fri\"]}}");
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	assert_ok(lsp_configuration_parse(json, &configuration, ERR));
	const uint64_t hour = 3600 * LSP_SECOND, friday = 24 * hour; /* 2 January 1970 */
	static const struct {
		unsigned half_hours;
		bool alternative;
	} times[] = {{0, false}, {43, false}, {44, true}, {47, true}, {48, true}, {60, true},
		{61, false}, {92, false}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(times); i++) {
		lsp_configuration_limits(&configuration, friday + times[i].half_hours * hour / 2,
			&download, &upload);
		assert_int_equal(download, times[i].alternative ? 3 : 9);
		assert_int_equal(upload, times[i].alternative ? 2 : 0);
	}
	lsp_configuration_done(&configuration);
	json_decref(json);
}

static void ranges_of_addresses_are_read(void **state)
{
	struct lsp_configuration configuration;
	json_t *json = parsed("{\"ip_filter\":[\"10.0.0.1-10.0.0.9\",\"::1\"]}");
	assert_ok(lsp_configuration_parse(json, &configuration, ERR));
	assert_int_equal(configuration.range_count, 2);
	assert_string_equal(configuration.ranges[0][1], "10.0.0.9");
	assert_string_equal(configuration.ranges[1][0], "::1");
	assert_string_equal(configuration.ranges[1][1], "::1");
	lsp_configuration_done(&configuration);
	json_decref(json);
}

/* The library takes no brackets, and would look for a host of that name. */
static void a_node_of_the_dht_has_a_host_and_a_port(void **state)
{
	char host[LSP_CONFIGURATION_HOST_MAX + 1];
	assert_int_equal(lsp_configuration_node("[fd00::2]:6881", host), 6881);
	assert_string_equal(host, "fd00::2");
	assert_int_equal(lsp_configuration_node("10.0.0.2:65535", host), 65535);
	assert_string_equal(host, "10.0.0.2");
	assert_int_equal(lsp_configuration_node("router.example:1", host), 1);
	assert_string_equal(host, "router.example");
	assert_int_equal(lsp_configuration_node("router.example:65536", host), 0);
	assert_int_equal(lsp_configuration_node("router.example", host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_tells_the_outside_anything_unless_asked),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(the_schedule_goes_by_the_clock_over_midnight_too),
		cmocka_unit_test(ranges_of_addresses_are_read),
		cmocka_unit_test(a_node_of_the_dht_has_a_host_and_a_port),
	};
	return cmocka_run_group_tests_name("torrent configuration", tests, NULL, NULL);
}
