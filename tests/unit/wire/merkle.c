/* The trees of BEP 52, against a plain recursive one. */
#include "wire/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* As the BEP words it: pad the leaves with zeros, hash pairs. */
static void plain_root(
	const struct lsp_hash *leaves, uint64_t count, uint64_t width, struct lsp_hash *ret_root)
{
	if (width == 1) {
		*ret_root = count ? leaves[0] : (struct lsp_hash){0};
		return;
	}
	struct lsp_hash left, right;
	uint64_t half = width / 2;
	plain_root(leaves, LSP_MIN(count, half), half, &left);
	plain_root(leaves + LSP_MIN(count, half), count - LSP_MIN(count, half), half, &right);
	lsp_sha256_pair(ret_root, &left, &right);
}

static void make_leaves(struct lsp_hash *leaves, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lsp_sha256(&leaves[i], &i, sizeof i);
}

static void every_shape_of_tree_has_the_root_of_the_plain_definition(void **state)
{
	struct lsp_hash leaves[70], expected, root;
	make_leaves(leaves, 70);
	for (size_t count = 1; count <= 70; count++) {
		for (uint64_t width = lsp_merkle_width(count); width <= 256; width *= 2) {
			plain_root(leaves, count, width, &expected);
			lsp_merkle_root_of(leaves, count, 0, width, &root);
			assert_memory_equal(&root, &expected, sizeof root);
		}
	}
}

static void a_tree_over_pieces_has_the_root_of_the_tree_over_their_leaves(void **state)
{
	struct lsp_hash leaves[61], pieces[8], expected, root;
	make_leaves(leaves, 61);
	for (size_t i = 0; i < 8; i++)
		lsp_merkle_root_of(
			leaves + i * 8, LSP_MIN((size_t)8, 61 - i * 8), 0, 8, &pieces[i]);
	for (size_t count = 1; count <= 8; count++) {
		size_t leaf_count = LSP_MIN(count * 8, (size_t)61);
		uint64_t width = lsp_merkle_width(count);
		plain_root(leaves, leaf_count, width * 8, &expected);
		lsp_merkle_root_of(pieces, count, 3, width, &root);
		assert_memory_equal(&root, &expected, sizeof root);
	}
}

static void zero_trees_are_hashes_of_zeros(void **state)
{
	char hex[LSP_SHA256_HEX_SIZE];
	assert_true(lsp_hash_is_zero(lsp_merkle_zero(0)));
	lsp_hash_to_hex(lsp_merkle_zero(1), hex);
	/* SHA-256 of 64 zero bytes. */
	assert_string_equal(
		hex, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

static void counts_are_rounded_up_at_the_edges(void **state)
{
	assert_int_equal(lsp_merkle_leaf_count(0), 0);
	assert_int_equal(lsp_merkle_leaf_count(1), 1);
	assert_int_equal(lsp_merkle_leaf_count(16384), 1);
	assert_int_equal(lsp_merkle_leaf_count(16385), 2);
	assert_int_equal(lsp_merkle_leaf_count(UINT64_MAX), UINT64_C(1) << 50);
	assert_int_equal(lsp_merkle_width(1), 1);
	assert_int_equal(lsp_merkle_width(5), 8);
	assert_int_equal(lsp_merkle_width(8), 8);
}

static void leaves_are_checked_against_a_chunk(void **state)
{
	struct lsp_hash leaves[3];
	struct lsp_chunk chunk = {.leaf_count = 3, .leaf_width = 8};
	make_leaves(leaves, 3);
	plain_root(leaves, 3, 8, &chunk.hash);
	assert_true(lsp_merkle_check_leaves(&chunk, leaves));
	leaves[2].bytes[31] ^= 1;
	assert_false(lsp_merkle_check_leaves(&chunk, leaves));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_of_tree_has_the_root_of_the_plain_definition),
		cmocka_unit_test(a_tree_over_pieces_has_the_root_of_the_tree_over_their_leaves),
		cmocka_unit_test(zero_trees_are_hashes_of_zeros),
		cmocka_unit_test(counts_are_rounded_up_at_the_edges),
		cmocka_unit_test(leaves_are_checked_against_a_chunk),
	};
	return cmocka_run_group_tests_name("merkle", tests, NULL, NULL);
}
