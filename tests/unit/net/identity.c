#include "net/identity.h"
#include "base/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/lanspread-identity-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, LSP_IDENTITY_FILE);
	unlink(path);
	return rmdir(folder);
}

static struct lsp_identity *open_identity(void)
{
	struct lsp_identity *identity = NULL;
	struct lsp_error err = {0};
	if (lsp_identity_open(folder, &identity, &err) < 0)
		fail_msg("%s", err.message);
	return identity;
}

static mode_t mode_of_key(void)
{
	char path[128];
	struct stat status;
	snprintf(path, sizeof path, "%s/%s", folder, LSP_IDENTITY_FILE);
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void the_key_is_made_once_private_and_kept(void **state)
{
	_cleanup_identity_ struct lsp_identity *first = open_identity();
	assert_int_equal(mode_of_key(), 0600);
	_cleanup_identity_ struct lsp_identity *again = open_identity();
	assert_true(lsp_hash_equal(lsp_identity_peer_id(first), lsp_identity_peer_id(again)));
	struct lsp_hash a, b, c;
	lsp_identity_secret(first, "one", &a);
	lsp_identity_secret(again, "one", &b);
	lsp_identity_secret(again, "two", &c);
	assert_true(lsp_hash_equal(&a, &b));
	assert_false(lsp_hash_equal(&a, &c));
}

static void two_installs_have_different_keys(void **state)
{
	_cleanup_identity_ struct lsp_identity *a = NULL, *b = NULL;
	assert_int_equal(lsp_identity_new(&a, NULL), 0);
	assert_int_equal(lsp_identity_new(&b, NULL), 0);
	assert_false(lsp_hash_equal(lsp_identity_peer_id(a), lsp_identity_peer_id(b)));
}

static void rotating_makes_a_new_peer_for_good(void **state)
{
	_cleanup_identity_ struct lsp_identity *old = open_identity(), *new = NULL;
	assert_int_equal(lsp_identity_rotate(folder, &new, NULL), 0);
	_cleanup_identity_ struct lsp_identity *loaded = open_identity();
	assert_false(lsp_hash_equal(lsp_identity_peer_id(old), lsp_identity_peer_id(new)));
	assert_true(lsp_hash_equal(lsp_identity_peer_id(loaded), lsp_identity_peer_id(new)));
}

static void a_key_that_others_could_read_is_made_private(void **state)
{
	_cleanup_identity_ struct lsp_identity *first = open_identity();
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, LSP_IDENTITY_FILE);
	assert_int_equal(chmod(path, 0644), 0);
	_cleanup_identity_ struct lsp_identity *again = open_identity();
	assert_int_equal(mode_of_key(), 0600);
	assert_true(lsp_hash_equal(lsp_identity_peer_id(first), lsp_identity_peer_id(again)));
}

static void a_damaged_key_is_a_clear_error_and_is_left_alone(void **state)
{
	static const char *const contents[] = {
		"", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, LSP_IDENTITY_FILE);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(contents); i++) {
		struct lsp_identity *identity = NULL;
		struct lsp_error err = {0};
		_cleanup_buffer_ struct lsp_buffer text = {0};
		size_t size = strlen(contents[i]);
		assert_int_equal(lsp_fs_write_file(path, contents[i], size, 0600, NULL), 0);
		assert_int_equal(lsp_identity_open(folder, &identity, &err), -LSP_E_PROTOCOL);
		assert_null(identity);
		assert_non_null(strstr(err.message, "identity rotate"));
		assert_int_equal(lsp_fs_read_file(path, 1000, &text, NULL), 0);
		assert_int_equal(text.size, size);
	}
	_cleanup_identity_ struct lsp_identity *fresh = NULL;
	assert_int_equal(lsp_identity_rotate(folder, &fresh, NULL), 0);
}

static void what_is_no_certificate_has_no_peer_id(void **state)
{
	struct lsp_hash id;
	assert_int_equal(lsp_identity_of_certificate("nonsense", 8, &id, NULL), -LSP_E_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_key_is_made_once_private_and_kept, make_folder, remove_folder),
		cmocka_unit_test(two_installs_have_different_keys),
		cmocka_unit_test_setup_teardown(
			rotating_makes_a_new_peer_for_good, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_key_that_others_could_read_is_made_private, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_damaged_key_is_a_clear_error_and_is_left_alone,
			make_folder, remove_folder),
		cmocka_unit_test(what_is_no_certificate_has_no_peer_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
