#include "net/discovery.h"

#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID "abababababababababababababababababababababababababababababababab"

static int parse(const char *line, struct lsp_discovery_event *ret_event)
{
	return lsp_discovery_parse(line, strlen(line), ret_event, NULL);
}

static void a_found_peer_has_an_id_and_an_address(void **state)
{
	struct lsp_discovery_event event;
	char text[LSP_ADDRESS_TEXT_MAX];
	assert_int_equal(parse("{\"event\":\"found\",\"id\":\"" ID "\",\"name\":\"Ada\","
			       "\"address\":\"192.0.2.7\",\"port\":47777}",
				 &event),
		0);
	assert_int_equal(event.type, LSP_DISCOVERY_FOUND);
	assert_string_equal(event.name, "Ada");
	assert_int_equal(event.id.bytes[31], 0xab);
	assert_string_equal(lsp_address_format(&event.address, text), "192.0.2.7:47777");
}

static void the_other_events_are_read(void **state)
{
	struct lsp_discovery_event event;
	assert_int_equal(parse("{\"event\":\"ready\"}", &event), 0);
	assert_int_equal(event.type, LSP_DISCOVERY_READY);
	assert_int_equal(parse("{\"event\":\"lost\",\"id\":\"" ID "\"}", &event), 0);
	assert_int_equal(event.type, LSP_DISCOVERY_LOST);
	assert_int_equal(parse("{\"event\":\"resolved\",\"host\":\"box\",\"port\":9,"
			       "\"address\":\"2001:db8::1\"}",
				 &event),
		0);
	assert_int_equal(event.type, LSP_DISCOVERY_RESOLVED);
	assert_string_equal(event.host, "box");
	assert_int_equal(parse("{\"event\":\"error\",\"message\":\"no\"}", &event), 0);
	assert_int_equal(event.type, LSP_DISCOVERY_ERROR);
}

static void lines_that_break_a_rule_are_refused_whole(void **state)
{
	static const char *const lines[] = {"", "{", "[]", "null", "{}", "{\"event\":7}",
		"{\"event\":\"explode\"}", "{\"event\":\"found\"}", "{\"event\":\"lost\"}",
		"{\"event\":\"lost\",\"id\":\"abc\"}", "{\"event\":\"lost\",\"id\":\"zz" ID "\"}",
		"{\"event\":\"found\",\"id\":\"" ID "\",\"address\":\"example.org\",\"port\":1}",
		"{\"event\":\"found\",\"id\":\"" ID "\",\"address\":\"192.0.2.7\",\"port\":0}",
		"{\"event\":\"found\",\"id\":\"" ID "\",\"address\":\"192.0.2.7\",\"port\":65536}",
		"{\"event\":\"found\",\"id\":\"" ID "\",\"address\":\"192.0.2.7\",\"port\":-1}",
		"{\"event\":\"found\",\"id\":\"" ID "\",\"address\":7,\"port\":1}",
		"{\"event\":\"ready\",\"event\":\"ready\"}"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		struct lsp_discovery_event event = {.port = 4711};
		if (parse(lines[i], &event) != -LSP_E_PROTOCOL)
			fail_msg("taken: %s", lines[i]);
		assert_int_equal(event.port, 4711); /* nothing was filled in */
	}
	static char deep[5000];
	struct lsp_discovery_event event;
	memset(deep, '[', sizeof deep - 1);
	assert_int_equal(parse(deep, &event), -LSP_E_PROTOCOL);
	deep[2000] = '\0';
	assert_int_equal(parse(deep, &event), -LSP_E_PROTOCOL);
}

static void a_name_cannot_draw_on_a_terminal(void **state)
{
	struct lsp_discovery_event event;
	assert_int_equal(
		parse("{\"event\":\"found\",\"id\":\"" ID "\",\"name\":\"a\\u001b[2Jb\\nc\","
		      "\"address\":\"192.0.2.7\",\"port\":1}",
			&event),
		0);
	for (const char *c = event.name; *c; c++)
		assert_true((unsigned char)*c >= 0x20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_found_peer_has_an_id_and_an_address),
		cmocka_unit_test(the_other_events_are_read),
		cmocka_unit_test(lines_that_break_a_rule_are_refused_whole),
		cmocka_unit_test(a_name_cannot_draw_on_a_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
