#include "torrent/faults.h"

#include "../task/fixture.h"

static void a_component_is_degraded_as_long_as_it_has_a_cause(void **state)
{
	struct lsp_faults faults = {0};
	assert_ok(lsp_faults_init(&faults, ERR));
	assert_true(lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_TRACKER, "a http://x"));
	assert_false(lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_TRACKER, "a http://y"));
	assert_int_equal(lsp_faults_degraded(&faults), 1u << LSP_TORRENT_HEALTH_TRACKER);
	assert_false(lsp_faults_clear(&faults, LSP_TORRENT_HEALTH_TRACKER, "a http://x"));
	assert_false(lsp_faults_clear(&faults, LSP_TORRENT_HEALTH_STORAGE, "a http://y"));
	assert_true(lsp_faults_clear(&faults, LSP_TORRENT_HEALTH_TRACKER, "a http://y"));
	assert_int_equal(lsp_faults_degraded(&faults), 0);
	lsp_faults_done(&faults);
}

static void what_is_about_a_torrent_goes_with_it(void **state)
{
	struct lsp_faults faults = {0};
	assert_ok(lsp_faults_init(&faults, ERR));
	lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_TRACKER, "a http://x");
	lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_STORAGE, "a");
	lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_STORAGE, "ab");
	lsp_faults_fail(&faults, LSP_TORRENT_HEALTH_NETWORK, "listen");
	assert_true(lsp_faults_clear_prefix(&faults, "a"));
	assert_int_equal(lsp_faults_degraded(&faults),
		(1u << LSP_TORRENT_HEALTH_STORAGE) | (1u << LSP_TORRENT_HEALTH_NETWORK));
	lsp_faults_done(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_component_is_degraded_as_long_as_it_has_a_cause),
		cmocka_unit_test(what_is_about_a_torrent_goes_with_it),
	};
	return cmocka_run_group_tests_name("torrent faults", tests, NULL, NULL);
}
