/* Which port a peer is told: by the address that it is connected from. */
#include "peer/torrent_port.h"

#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint16_t port_for(const char *listen, const char *host)
{
	struct sockaddr_storage peer;
	json_t *list = json_loads(listen, 0, NULL);
	assert_non_null(list);
	assert_int_equal(lsp_address_parse(host, 1234, &peer, NULL), 0);
	uint16_t port = lsp_torrent_port_for(list, &peer);
	json_decref(list);
	return port;
}

static void each_family_has_its_own(void **state)
{
	static const char listen[] =
		"[\"127.0.0.1:1\", \"10.0.0.1:2\", \"[::1]:3\", \"[fd4d::1]:4\"]";
	assert_int_equal(port_for(listen, "10.0.0.7"), 2);
	assert_int_equal(port_for(listen, "fd4d::7"), 4);
	assert_int_equal(port_for(listen, "127.0.0.1"), 1);
	assert_int_equal(port_for(listen, "::1"), 3);
}

static void where_it_does_not_listen_there_is_none(void **state)
{
	assert_int_equal(port_for("[\"10.0.0.1:2\"]", "fd4d::7"), 0);
	assert_int_equal(port_for("[\"127.0.0.1:1\"]", "10.0.0.7"), 0);
	assert_int_equal(port_for("[\"10.0.0.1:2\"]", "127.0.0.1"), 0);
	assert_int_equal(port_for("[]", "10.0.0.7"), 0);
}

static void the_unspecified_address_is_everybodys(void **state)
{
	static const char listen[] = "[\"[::]:5\", \"0.0.0.0:6\"]";
	assert_int_equal(port_for(listen, "127.0.0.1"), 6);
	assert_int_equal(port_for(listen, "10.0.0.7"), 6);
	assert_int_equal(port_for(listen, "fd4d::7"), 5);
}

static void a_link_local_peer_dials_another_address(void **state)
{
	static const char listen[] =
		"[\"127.0.0.1:1\", \"[fe80::1]:2\", \"10.0.0.1:3\", \"[fd4d::1]:4\"]";
	assert_int_equal(port_for(listen, "fe80::7"), 3);
	assert_int_equal(port_for("[\"[fe80::1]:2\"]", "fe80::7"), 0);
}

static void what_is_no_address_is_passed_over(void **state)
{
	static const char listen[] = "[7, \"\", \"10.0.0.1\", \"10.0.0.1:0\", \"10.0.0.1:70000\", "
				     "\"somewhere:5\", \":5\", \"[]:5\", \"10.0.0.1:8\"]";
	assert_int_equal(port_for(listen, "10.0.0.7"), 8);
}

static void what_is_shown_is_not_loopback(void **state)
{
	json_t *both = json_pack("[s, s]", "127.0.0.1:1", "10.0.0.1:2");
	json_t *alone = json_pack("[s]", "127.0.0.1:1");
	assert_int_equal(lsp_torrent_port_shown(both), 2);
	assert_int_equal(lsp_torrent_port_shown(alone), 1);
	assert_int_equal(lsp_torrent_port_shown(NULL), 0);
	json_decref(both);
	json_decref(alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_family_has_its_own),
		cmocka_unit_test(where_it_does_not_listen_there_is_none),
		cmocka_unit_test(the_unspecified_address_is_everybodys),
		cmocka_unit_test(a_link_local_peer_dials_another_address),
		cmocka_unit_test(what_is_no_address_is_passed_over),
		cmocka_unit_test(what_is_shown_is_not_loopback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
