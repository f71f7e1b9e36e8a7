#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_hex(const struct lsp_hash *hash, const char *wanted)
{
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(hash, hex);
	assert_string_equal(hex, wanted);
}

static void the_published_vectors_come_out(void **state)
{
	struct lsp_hash hash;
	lsp_sha256(&hash, "", 0);
	assert_hex(&hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	lsp_sha256(&hash, "abc", 3);
	assert_hex(&hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	lsp_sha256(&hash, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
	assert_hex(&hash, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void bytes_as_they_come_give_the_hash_of_the_whole(void **state)
{
	struct lsp_sha256 *sha;
	struct lsp_hash hash;
	char thousand[1000];
	memset(thousand, 'a', sizeof thousand);
	assert_int_equal(lsp_sha256_new(&sha, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		lsp_sha256_update(sha, thousand, 1 + (size_t)i % 7);
		lsp_sha256_update(sha, thousand, sizeof thousand - 1 - (size_t)i % 7);
	}
	lsp_sha256_update(sha, NULL, 0);
	lsp_sha256_take(sha, &hash);
	assert_hex(&hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	/* And it is ready for the next. */
	lsp_sha256_update(sha, "abc", 3);
	lsp_sha256_take(sha, &hash);
	assert_hex(&hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	lsp_sha256_free(sha);
	lsp_sha256_free(NULL);
}

static void a_pair_is_the_hash_of_both_one_after_the_other(void **state)
{
	struct lsp_hash left, right, pair, whole;
	uint8_t both[64];
	lsp_sha256(&left, "l", 1);
	lsp_sha256(&right, "r", 1);
	memcpy(both, left.bytes, 32);
	memcpy(both + 32, right.bytes, 32);
	lsp_sha256(&whole, both, sizeof both);
	lsp_sha256_pair(&pair, &left, &right);
	assert_true(lsp_hash_equal(&pair, &whole));
	lsp_sha256_pair(&pair, &right, &left);
	assert_false(lsp_hash_equal(&pair, &whole));
}

static void hex_is_read_back_and_nothing_else_is_taken(void **state)
{
	struct lsp_hash hash, back, before;
	char hex[LSP_SHA256_HEX_SIZE + 1];
	struct lsp_error err = {0};
	lsp_sha256(&hash, "abc", 3);
	lsp_hash_to_hex(&hash, hex);
	hex[2] = 'A';
	assert_int_equal(lsp_hash_from_hex(hex, &back, &err), 0);
	hex[2] = '7';
	assert_int_equal(lsp_hash_from_hex(hex, &back, &err), 0);
	assert_true(lsp_hash_equal(&hash, &back));
	before = back;
	hex[10] = 'g';
	assert_int_equal(lsp_hash_from_hex(hex, &back, &err), -LSP_E_INVALID);
	hex[10] = '0';
	hex[63] = '\0';
	assert_int_equal(lsp_hash_from_hex(hex, &back, &err), -LSP_E_INVALID);
	strcpy(hex + 63, "00");
	assert_int_equal(lsp_hash_from_hex(hex, &back, &err), -LSP_E_INVALID);
	assert_int_equal(lsp_hash_from_hex("", &back, &err), -LSP_E_INVALID);
	assert_true(lsp_hash_equal(&before, &back));
}

static void zero_is_told_from_anything_else(void **state)
{
	struct lsp_hash hash = {{0}};
	assert_true(lsp_hash_is_zero(&hash));
	hash.bytes[31] = 1;
	assert_false(lsp_hash_is_zero(&hash));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_come_out),
		cmocka_unit_test(bytes_as_they_come_give_the_hash_of_the_whole),
		cmocka_unit_test(a_pair_is_the_hash_of_both_one_after_the_other),
		cmocka_unit_test(hex_is_read_back_and_nothing_else_is_taken),
		cmocka_unit_test(zero_is_told_from_anything_else),
	};
	return cmocka_run_group_tests_name("base/sha256", tests, NULL, NULL);
}
