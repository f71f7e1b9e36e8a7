#include "net/interface.h"

#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lsp_interface_address on(
	const char *name, unsigned index, unsigned rank, const char *host, unsigned prefix)
{
	struct lsp_interface_address item = {.index = index, .rank = rank, .prefix = prefix};
	snprintf(item.interface, sizeof item.interface, "%s", name);
	assert_int_equal(lsp_address_parse(host, 0, &item.address, NULL), 0);
	return item;
}

static bool reach(const struct lsp_interfaces *interfaces, const char *host, unsigned *ret_rank)
{
	struct sockaddr_storage address;
	assert_int_equal(lsp_address_parse(host, 47777, &address, NULL), 0);
	return lsp_interfaces_reach(interfaces, &address, ret_rank);
}

static void a_wire_comes_before_bridges_containers_and_tunnels(void **state)
{
	unsigned wire = lsp_interface_rank("enp3s0", true, false, false);
	unsigned bridge = lsp_interface_rank("br0", false, true, false);
	unsigned container = lsp_interface_rank("veth12", false, false, false);
	assert_true(wire < bridge && bridge < container);
	assert_true(container < lsp_interface_rank("wg0", false, false, false));
	assert_true(container < lsp_interface_rank("tun0", false, false, true));
	assert_true(container < lsp_interface_rank("ppp0", true, false, true));
}

static void only_addresses_on_our_links_are_dialled(void **state)
{
	struct lsp_interface_address items[] = {on("eth0", 3, 0, "192.168.7.10", 24),
		on("wg0", 4, 30, "10.9.0.1", 30), on("eth0", 3, 0, "2001:db8:7::1", 64)};
	struct lsp_interfaces interfaces = {items, LSP_ARRAY_SIZE(items)};
	unsigned rank = 99, tunnel = 99;
	assert_true(reach(&interfaces, "192.168.7.200", &rank));
	assert_true(reach(&interfaces, "10.9.0.2", &tunnel));
	assert_true(rank < tunnel);
	assert_true(reach(&interfaces, "2001:db8:7::5", &rank));
	static const char *const others[] = {"127.0.0.1", "::1", "192.168.8.1", "10.9.0.5",
		"8.8.8.8", "2001:db8:8::1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "ff02::fb",
		"::ffff:127.0.0.1"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(others); i++) {
		if (reach(&interfaces, others[i], &rank))
			fail_msg("%s would be dialled", others[i]);
	}
}

static void a_link_local_address_belongs_to_its_interface(void **state)
{
	struct lsp_interface_address items[] = {on("eth0", 3, 0, "fe80::1%3", 64)};
	struct lsp_interfaces interfaces = {items, LSP_ARRAY_SIZE(items)};
	unsigned rank;
	assert_true(reach(&interfaces, "fe80::77%3", &rank));
	assert_false(reach(&interfaces, "fe80::77%4", &rank));
}

static void an_interface_that_is_not_there_is_named(void **state)
{
	struct lsp_interfaces interfaces = {0};
	struct lsp_error err = {0};
	assert_int_equal(lsp_interfaces_read("no-such-if0", &interfaces, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "no-such-if0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wire_comes_before_bridges_containers_and_tunnels),
		cmocka_unit_test(only_addresses_on_our_links_are_dialled),
		cmocka_unit_test(a_link_local_address_belongs_to_its_interface),
		cmocka_unit_test(an_interface_that_is_not_there_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
