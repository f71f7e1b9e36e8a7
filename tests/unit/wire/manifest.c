/*
 * Manifests: the identity that BitTorrent gives the same files, and everything that is refused. The
 * hashes of the first test come from libtorrent 2.0.8 (create_torrent, v2_only, pieces of 128 KiB)
 * over the same files.
 */
#include "wire/manifest.h"

#include "wire/bencode.h"
#include "wire/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PIECE 131072u

static const struct {
	const char *path;
	unsigned seed;
	uint32_t size;
	const char *root;
} known[] = {
	{"version.ini", 1, 9, "3efd6320809d86351cf966a5004933d9e254917354ed86dc0908632100f32581"},
	{"empty", 2, 0, NULL},
	{"one", 3, 1, "084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c5"},
	{"leaf-1", 4, 16383, "4e45d9c1b27c7928f3ba0e51725fedb9485c06cdfd25ba35e56e3d651540593f"},
	{"leaf", 5, 16384, "9208edea054f9fcaaf76f6b359c90e5c7de1aee6402a019309ce7587a0bed987"},
	{"leaf+1", 6, 16385, "1acd42c7549bec76895ed48aaaae8a686de7a709367db34348a9afd1249d76b2"},
	{"piece-1", 7, PIECE - 1,
		"b1cba0d29b8e2f3da09d30d84d400fb3eaed62378fc027e91b2d8de5318d4d43"},
	{"piece", 8, PIECE, "9d3e7bfdb004619465019f31c0c35c8af58001fdeac460cf5908e8c036d7df6e"},
	{"piece+1", 9, PIECE + 1,
		"ef64f83df1dffdc40b1eff2c6c12cc8b2ef66d2f1b98fc9e5a1cdeab76b8b912"},
	{"pieces2", 10, 2 * PIECE,
		"2425ba5f0b81119bc3425d8d5a03ed061534c19f34d529700af153d5a3e056e6"},
	{"data/big.pak", 11, 5 * PIECE + 777,
		"3567224e37c0cdaf790ddffe1a51f6c6bcc1ad6a39975b01a5ed7156c78112b5"},
	{"data/a.b", 12, 20000, "4c4a7123ff4eba1ea0e8bb94fb440cc403ac6d22074dd1de57848e3c885afe2e"},
	{"data/a/b", 13, 40000, "bea75caa068713974f2e7c4d96961efffb05e896857f5d57ac2d22b0a1b84f08"},
	{"Ägypten/maß.map", 14, 49152,
		"cf7d7997cbfbcb8de0a1bc707168474cb1162d35ccf139139a22619a251d7c7b"},
	{"run.sh", 15, 33, "ad7ec904052874814fd27d36e824014c7f62ff748ddbde7d67b2d90d6a6e3c51"},
};
#define KNOWN_COUNT LSP_ARRAY_SIZE(known)
static const char known_id[] = "eb1ea97d9af2f21f25b956af616650d9edb2fc9d79cd5b6e68415131fe94fc3f";

static uint8_t *make_bytes(unsigned seed, uint32_t size)
{
	uint8_t *bytes = malloc(size + 1);
	assert_non_null(bytes);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((i * 7) ^ ((i >> 8) * 13) ^ seed);
	return bytes;
}

static void assert_hash(const struct lsp_hash *hash, const char *hex)
{
	char text[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(hash, text);
	assert_string_equal(text, hex);
}

/* Root and layer of bytes in memory. */
static void hash_bytes(
	const uint8_t *bytes, uint32_t size, struct lsp_hash *root, struct lsp_hash *layer)
{
	struct lsp_hash leaves[64];
	lsp_merkle_hash_leaves(bytes, size, leaves);
	uint32_t count = (uint32_t)lsp_merkle_leaf_count(size);
	lsp_merkle_root_of(leaves, count, 0, lsp_merkle_width(count), root);
	for (uint32_t i = 0; i * 8 < count; i++)
		lsp_merkle_root_of(leaves + i * 8, LSP_MIN(8u, count - i * 8), 0, 8, &layer[i]);
}

static const struct lsp_manifest *build_known(void)
{
	static struct lsp_hash layers[KNOWN_COUNT][8];
	struct lsp_manifest_entry entries[KNOWN_COUNT];
	const struct lsp_manifest *manifest = NULL;
	struct lsp_error err = {0};
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		entries[i] = (struct lsp_manifest_entry){.path = known[i].path,
			.size = known[i].size,
			.executable = strcmp(known[i].path, "run.sh") == 0,
			.layer = layers[i]};
		uint8_t *bytes = make_bytes(known[i].seed, known[i].size);
		if (known[i].size)
			hash_bytes(bytes, known[i].size, &entries[i].root, layers[i]);
		free(bytes);
	}
	if (lsp_manifest_build("quake", entries, KNOWN_COUNT, &manifest, &err) < 0)
		fail_msg("%s", err.message);
	return manifest;
}

static void roots_and_the_content_id_are_those_that_libtorrent_computes(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known();
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		const struct lsp_manifest_file *file = lsp_manifest_find(manifest, known[i].path);
		assert_non_null(file);
		assert_int_equal(file->size, known[i].size);
		if (known[i].root)
			assert_hash(&file->root, known[i].root);
	}
	assert_hash(&manifest->content_id, known_id);
}

static void chunks_tile_the_files_in_the_order_of_the_tree(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known();
	uint32_t next = 0;
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &manifest->files[i];
		assert_int_equal(file->first_chunk, next);
		if (i)
			assert_true(lsp_path_compare(manifest->files[i - 1].path, file->path) < 0);
		uint64_t offset = 0;
		for (uint32_t c = 0; c < file->chunk_count; c++) {
			struct lsp_chunk chunk;
			lsp_manifest_chunk(manifest, next++, &chunk);
			assert_int_equal(chunk.file, i);
			assert_int_equal(chunk.offset, offset);
			assert_int_equal(chunk.leaf_count, lsp_merkle_leaf_count(chunk.size));
			assert_true(file->chunk_count == 1 || chunk.leaf_width == 8);
			offset += chunk.size;
		}
		assert_int_equal(offset, file->size);
	}
	assert_int_equal(next, manifest->chunk_count);
	assert_int_equal(next, 11 + 2 + 2 + 6);
	assert_null(lsp_manifest_find(manifest, "data"));
	assert_null(lsp_manifest_find(manifest, "zzz"));
}

static void transport_and_torrent_forms_come_back_the_same(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known(), *again = NULL,
						     *torrent = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0}, more = {0};
	assert_int_equal(lsp_manifest_serialize(manifest, &bytes, NULL), 0);
	assert_int_equal(bytes.size, lsp_manifest_serialized_size(manifest));
	assert_int_equal(
		lsp_manifest_parse(bytes.data, bytes.size, &manifest->content_id, &again, NULL), 0);
	assert_int_equal(lsp_manifest_serialize(again, &more, NULL), 0);
	assert_int_equal(more.size, bytes.size);
	assert_memory_equal(more.data, bytes.data, bytes.size);
	bytes.size = 0;
	assert_int_equal(lsp_manifest_write_torrent(manifest, &bytes, NULL), 0);
	assert_int_equal(lsp_manifest_parse_torrent(bytes.data, bytes.size, &torrent, NULL), 0);
	assert_hash(&torrent->content_id, known_id);
}

static void every_cut_of_a_manifest_is_refused(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known(), *again = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	assert_int_equal(lsp_manifest_serialize(manifest, &bytes, NULL), 0);
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(
			lsp_manifest_parse(bytes.data, size, NULL, &again, NULL), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_buffer_append(&bytes, "", 1, NULL), 0);
	assert_int_equal(
		lsp_manifest_parse(bytes.data, bytes.size, NULL, &again, NULL), -LSP_E_PROTOCOL);
	bytes.size = 0;
	assert_int_equal(lsp_manifest_write_torrent(manifest, &bytes, NULL), 0);
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(lsp_manifest_parse_torrent(bytes.data, size, &again, NULL),
			-LSP_E_PROTOCOL);
}

static void every_flipped_byte_of_a_manifest_is_noticed(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known(), *again = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	assert_int_equal(lsp_manifest_serialize(manifest, &bytes, NULL), 0);
	for (size_t i = 0; i < bytes.size; i++) {
		bytes.data[i] ^= 0x10;
		int r = lsp_manifest_parse(
			bytes.data, bytes.size, &manifest->content_id, &again, NULL);
		assert_true(r == -LSP_E_PROTOCOL || r == -LSP_E_CORRUPT);
		bytes.data[i] ^= 0x10;
	}
}

static void a_manifest_of_another_content_is_not_taken_for_the_one_asked_for(void **state)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = build_known(), *again = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	struct lsp_hash other = manifest->content_id;
	other.bytes[31] ^= 1;
	assert_int_equal(lsp_manifest_serialize(manifest, &bytes, NULL), 0);
	assert_int_equal(
		lsp_manifest_parse(bytes.data, bytes.size, &other, &again, NULL), -LSP_E_CORRUPT);
}

/* ---- Info dictionaries by hand ---- */

#define ROOT "12345678901234567890123456789012"
#define EMPTY_FILE "d0:d6:lengthi0eee"
#define INFO(tree) "d9:file tree" tree "12:meta versioni2e4:name5:quake12:piece lengthi131072ee"

/* With the transport form's lengths around it. */
static int parse_info(const char *info, size_t size, struct lsp_error *err)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	uint8_t head[4] = {
		(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
	assert_int_equal(lsp_buffer_append(&bytes, head, 4, NULL), 0);
	assert_int_equal(lsp_buffer_append(&bytes, info, size, NULL), 0);
	assert_int_equal(lsp_buffer_append(&bytes, "\0\0\0\0", 4, NULL), 0);
	return lsp_manifest_parse(bytes.data, bytes.size, NULL, &manifest, err);
}

static void the_canonical_form_is_the_only_one(void **state)
{
	static const char *const bad[] = {
		"",
		"de",
		"le",
		"i0e",
		INFO("de"),
		INFO("d1:adee"),
		INFO("d0:d6:lengthi0eee"),
		INFO("d1:a" EMPTY_FILE "e") "x",
		"d9:file treed1:a" EMPTY_FILE
		"e12:meta versioni1e4:name5:quake12:piece lengthi131072ee",
		"d9:file treed1:a" EMPTY_FILE
		"e12:meta versioni2e4:name5:quake12:piece lengthi262144ee",
		"d9:file treed1:a" EMPTY_FILE
		"e12:meta versioni2e4:name5:quake12:piece lengthi16384ee",
		"d9:file treed1:a" EMPTY_FILE
		"e12:meta versioni2e4:name3:CON12:piece lengthi131072ee",
		"d9:file treed1:a" EMPTY_FILE "e12:meta versioni2e4:name0:12:piece lengthi131072ee",
		"d9:file treed1:a" EMPTY_FILE
		"e12:meta versioni2e4:name5:quake12:piece lengthi131072e7:privatei1ee",
		"d9:file treed1:a" EMPTY_FILE "e12:meta versioni2e4:name5:quakee",
		INFO("d1:ad0:d4:attr1:l6:lengthi0eeee"),
		INFO("d1:ad0:d4:attr2:xh6:lengthi0eeee"),
		INFO("d1:ad0:d4:attr1:p6:lengthi0eeee"),
		INFO("d1:ad0:d4:attr0:6:lengthi0eeee"),
		INFO("d1:ad0:d6:lengthi0e11:pieces root32:" ROOT "eee"),
		INFO("d1:ad0:d6:lengthi5eeee"),
		INFO("d1:ad0:d6:lengthi5e11:pieces root31:"
		     "1234567890123456789012345678901eeee"),
		INFO("d1:ad0:d6:lengthi-1e11:pieces root32:" ROOT "eeee"),
		INFO("d1:ad0:d6:lengthi9223372036854775807e11:pieces root32:" ROOT "eeee"),
		INFO("d1:ad0:d6:lengthi0ee1:b" EMPTY_FILE "ee"),
		INFO("d1:ai1ee"),
		INFO("d1:a1:be"),
		INFO("d1:ad0:i1eee"),
		INFO("d1:a" EMPTY_FILE "1:a" EMPTY_FILE "e"),
		INFO("d1:b" EMPTY_FILE "1:a" EMPTY_FILE "e"),
		INFO("d2:.." EMPTY_FILE "e"),
		INFO("d3:a/b" EMPTY_FILE "e"),
		INFO("d1:ad3:b/c" EMPTY_FILE "ee"),
		INFO("d1:/" EMPTY_FILE "e"),
		INFO("d3:CON" EMPTY_FILE "e"),
		INFO("d2:a." EMPTY_FILE "e"),
		INFO("d2:a\\" EMPTY_FILE "e"),
		INFO("d2:a\xff" EMPTY_FILE "e"),
		INFO("d4:a\xe2\x80\xae" EMPTY_FILE "e"),
		INFO("d3:A\xcc\x88" EMPTY_FILE "e"),
		INFO("d5:local" EMPTY_FILE "e"),
		INFO("d10:.lanspreadd1:a" EMPTY_FILE "ee"),
	};
	struct lsp_error err = {0};
	const char *good = INFO("d1:a" EMPTY_FILE "e");
	if (parse_info(good, strlen(good), &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		if (parse_info(bad[i], strlen(bad[i]), &err) != -LSP_E_PROTOCOL)
			fail_msg("%zu: \"%s\" was accepted", i, bad[i]);
	}
	static const char nul[] = INFO("d3:a\0b" EMPTY_FILE "e");
	assert_int_equal(parse_info(nul, sizeof nul - 1, &err), -LSP_E_PROTOCOL);
}

static void what_is_wrong_with_a_content_is_told_from_what_is_wrong_with_one_copy_of_it(
	void **state)
{
	static const char bad[] = INFO("d2:.." EMPTY_FILE "e"),
			  good[] = INFO("d1:a" EMPTY_FILE "e");
	static const char number[] = INFO("d1:ad0:d6:lengthi99999999999999999999eeee");
	const char *const infos[] = {bad, number, good};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(infos); i++) {
		_cleanup_buffer_ struct lsp_buffer bytes = {0};
		size_t size = strlen(infos[i]);
		uint8_t head[4] = {0, 0, (uint8_t)(size >> 8), (uint8_t)size};
		struct lsp_hash id;
		lsp_sha256(&id, infos[i], size);
		assert_int_equal(lsp_buffer_append(&bytes, head, 4, NULL), 0);
		assert_int_equal(lsp_buffer_append(&bytes, infos[i], size, NULL), 0);
		/* Without piece layers each is a broken copy; of the last one there may be better.
		 */
		assert_int_equal(
			lsp_manifest_is_forbidden(bytes.data, bytes.size, &id), infos[i] != good);
		for (size_t cut = 0; cut < bytes.size; cut++)
			assert_false(lsp_manifest_is_forbidden(bytes.data, cut, &id));
		id.bytes[0] ^= 1;
		assert_false(lsp_manifest_is_forbidden(bytes.data, bytes.size, &id));
	}
}

static void names_that_collide_by_case_or_form_are_refused(void **state)
{
	static const char *const bad[] = {
		INFO("d1:A" EMPTY_FILE "1:a" EMPTY_FILE "e"),
		INFO("d1:Ad1:x" EMPTY_FILE "e1:ad1:y" EMPTY_FILE "ee"), /* folders */
		INFO("d1:Ad1:x" EMPTY_FILE "e1:a" EMPTY_FILE "e"),      /* a folder and a file */
		INFO("d1:dd6:STRASS" EMPTY_FILE "6:stra\xc3\x9f" EMPTY_FILE "ee"),
	};
	struct lsp_error err = {0};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_info(bad[i], strlen(bad[i]), &err), -LSP_E_PROTOCOL);
		assert_non_null(strstr(err.message, "case"));
	}
	const char *good = INFO("d1:ad1:x" EMPTY_FILE "1:y" EMPTY_FILE "e2:abd1:x" EMPTY_FILE "ee");
	if (parse_info(good, strlen(good), &err) < 0)
		fail_msg("%s", err.message);
}

static void depth_and_length_of_paths_are_limited(void **state)
{
	for (unsigned depth = 30; depth < 60; depth++) {
		_cleanup_buffer_ struct lsp_buffer info = {0};
		struct lsp_error err = {0};
		int r = lsp_buffer_printf(&info, &err, "d9:file treed");
		for (unsigned i = 1; i < depth; i++)
			r |= lsp_buffer_printf(&info, &err, "1:ad");
		r |= lsp_buffer_printf(&info, &err, "1:a" EMPTY_FILE);
		for (unsigned i = 1; i < depth; i++)
			r |= lsp_buffer_printf(&info, &err, "e");
		r |= lsp_buffer_printf(
			&info, &err, "e12:meta versioni2e4:name5:quake12:piece lengthi131072ee");
		assert_int_equal(r, 0);
		r = parse_info((char *)info.data, info.size, &err);
		assert_int_equal(r, depth <= LSP_PATH_DEPTH_MAX ? 0 : -LSP_E_PROTOCOL);
	}
}

static void what_a_list_of_files_has_wrong_is_named(void **state)
{
	struct lsp_hash root = {{1}};
	const struct lsp_manifest *manifest = NULL;
	struct lsp_error err = {0};
	struct lsp_manifest_entry two[] = {
		{"a", 1, false, root, NULL}, {"a", 1, false, root, NULL}};
	assert_int_equal(lsp_manifest_build("x", two, 0, &manifest, &err), -LSP_E_INVALID);
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_INVALID);
	two[1].path = "a/b";
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_INVALID);
	two[1].path = "A";
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_INVALID);
	two[1].path = "b.";
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_INVALID);
	assert_non_null(strstr(err.message, "b."));
	two[1] = (struct lsp_manifest_entry){"b", PIECE + 1, false, root, NULL};
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_INVALID);
	struct lsp_hash layer[2] = {{{1}}, {{2}}};
	two[1].layer = layer;
	assert_int_equal(lsp_manifest_build("x", two, 2, &manifest, &err), -LSP_E_CORRUPT);
	assert_int_equal(lsp_manifest_build("-x", two, 1, &manifest, &err), -LSP_E_INVALID);
	two[0].size = LSP_MANIFEST_SIZE_MAX + 1;
	assert_int_equal(lsp_manifest_build("x", two, 1, &manifest, &err), -LSP_E_TOO_LARGE);
}

static void the_piece_length_follows_from_the_size(void **state)
{
	assert_int_equal(lsp_manifest_piece_length(0), 128 << 10);
	assert_int_equal(lsp_manifest_piece_length(128 << 20), 128 << 10);
	assert_int_equal(lsp_manifest_piece_length((128 << 20) + 1), 256 << 10);
	assert_int_equal(lsp_manifest_piece_length(UINT64_C(2) << 30), 2 << 20);
	assert_int_equal(lsp_manifest_piece_length(UINT64_C(4) << 30), 4 << 20);
	assert_int_equal(lsp_manifest_piece_length(UINT64_C(1) << 43), 4 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_and_the_content_id_are_those_that_libtorrent_computes),
		cmocka_unit_test(chunks_tile_the_files_in_the_order_of_the_tree),
		cmocka_unit_test(transport_and_torrent_forms_come_back_the_same),
		cmocka_unit_test(every_cut_of_a_manifest_is_refused),
		cmocka_unit_test(every_flipped_byte_of_a_manifest_is_noticed),
		cmocka_unit_test(a_manifest_of_another_content_is_not_taken_for_the_one_asked_for),
		cmocka_unit_test(the_canonical_form_is_the_only_one),
		cmocka_unit_test(
			what_is_wrong_with_a_content_is_told_from_what_is_wrong_with_one_copy_of_it),
		cmocka_unit_test(names_that_collide_by_case_or_form_are_refused),
		cmocka_unit_test(depth_and_length_of_paths_are_limited),
		cmocka_unit_test(what_a_list_of_files_has_wrong_is_named),
		cmocka_unit_test(the_piece_length_follows_from_the_size),
	};
	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
