/*
 * Torrents of other makers. The files in the corpus were made by libtorrent 2.0.8 over the files of
 * tests/unit/wire/manifest.c, in several forms; all of them are one game.
 */
#include "wire/metainfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char known_id[] = "eb1ea97d9af2f21f25b956af616650d9edb2fc9d79cd5b6e68415131fe94fc3f";
static const char *corpus;

struct loaded {
	char *bytes;
	size_t size;
	struct lsp_metainfo *metainfo;
};

static void loaded_done(struct loaded *loaded)
{
	lsp_metainfo_free(loaded->metainfo);
	free(loaded->bytes);
}

static void read_bytes(const char *name, struct loaded *ret)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", corpus, name);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	ret->bytes = malloc(1 << 20);
	assert_non_null(ret->bytes);
	ret->size = fread(ret->bytes, 1, 1 << 20, file);
	fclose(file);
}

static void load(const char *name, struct loaded *ret)
{
	struct lsp_error err = {0};
	read_bytes(name, ret);
	if (lsp_metainfo_parse(ret->bytes, ret->size, &ret->metainfo, &err) < 0)
		fail_msg("%s: %s", name, err.message);
}

static void one_content_comes_of_every_piece_length_up_to_its_own(void **state)
{
	static const char *const names[] = {"v2-16k", "hybrid-64k", "v2-128k"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(names); i++) {
		_cleanup_(loaded_done) struct loaded loaded = {0};
		_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
		struct lsp_error err = {0};
		char hex[LSP_SHA256_HEX_SIZE];
		load(names[i], &loaded);
		if (lsp_metainfo_manifest(loaded.metainfo, "quake", &manifest, &err) < 0)
			fail_msg("%s: %s", names[i], err.message);
		lsp_hash_to_hex(&manifest->content_id, hex);
		assert_string_equal(hex, known_id);
		assert_true(lsp_metainfo_is(loaded.metainfo, manifest));
	}
}

static void longer_pieces_and_v1_do_not_tell_the_content(void **state)
{
	static const char *const names[] = {"v2-256k", "v1"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(names); i++) {
		_cleanup_(loaded_done) struct loaded loaded = {0};
		const struct lsp_manifest *manifest = NULL;
		struct lsp_error err = {0};
		load(names[i], &loaded);
		assert_int_equal(lsp_metainfo_manifest(loaded.metainfo, "quake", &manifest, &err),
			-LSP_E_UNSUPPORTED);
		assert_null(manifest);
	}
}

static void a_torrent_with_longer_pieces_is_still_known_by_its_roots(void **state)
{
	_cleanup_(loaded_done) struct loaded ours = {0}, longer = {0}, old = {0};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	load("v2-128k", &ours);
	load("v2-256k", &longer);
	load("v1", &old);
	assert_int_equal(lsp_metainfo_manifest(ours.metainfo, "quake", &manifest, NULL), 0);
	assert_true(lsp_metainfo_is(longer.metainfo, manifest));
	assert_false(lsp_metainfo_is(old.metainfo, manifest));
	/* A root tells only where there are bytes: some makers give one to an empty file. */
	unsigned told = 0, empty = 0;
	for (size_t i = 0; i < longer.metainfo->file_count; i++) {
		struct lsp_metainfo_file *file = &longer.metainfo->files[i];
		file->root.bytes[0] ^= 1;
		assert_int_equal(lsp_metainfo_is(longer.metainfo, manifest), file->size == 0);
		file->root.bytes[0] ^= 1;
		told += file->size != 0;
		empty += file->size == 0;
	}
	assert_true(told && empty);
}

static void forms_and_files_are_told(void **state)
{
	_cleanup_(loaded_done) struct loaded hybrid = {0}, old = {0};
	load("hybrid-64k", &hybrid);
	load("v1", &old);
	assert_true(hybrid.metainfo->v1 && hybrid.metainfo->v2);
	assert_true(old.metainfo->v1 && !old.metainfo->v2);
	assert_int_equal(hybrid.metainfo->file_count, 15);
	assert_int_equal(old.metainfo->file_count, 15);
	assert_int_equal(hybrid.metainfo->total_size, old.metainfo->total_size);
	assert_string_equal(hybrid.metainfo->name, "known");
	assert_int_equal(lsp_metainfo_find(hybrid.metainfo, "version.ini")->size, 9);
	assert_true(lsp_metainfo_find(old.metainfo, "run.sh")->executable);
	assert_null(lsp_metainfo_find(old.metainfo, "nothing"));
}

static void wrong_layers_are_refused(void **state)
{
	_cleanup_(loaded_done) struct loaded loaded = {0};
	_cleanup_(lsp_metainfo_free_pointer) struct lsp_metainfo *metainfo = NULL;
	const struct lsp_manifest *manifest = NULL;
	struct lsp_error err = {0};
	read_bytes("v2-128k", &loaded);
	loaded.bytes[loaded.size - 5] ^= 1; /* the last hash of the last layer */
	assert_int_equal(lsp_metainfo_parse(loaded.bytes, loaded.size, &metainfo, &err), 0);
	assert_true(lsp_metainfo_manifest(metainfo, "quake", &manifest, &err) < 0);
	assert_null(manifest);
}

static void what_is_no_torrent_is_refused(void **state)
{
	static const char *const texts[] = {"", "i1e", "de", "d4:infodee", "d4:infoi1ee",
		"d4:infod4:name1:a12:piece lengthi16384eee",
		"d4:infod6:lengthi-1e4:name1:a12:piece lengthi16384e6:pieces0:ee",
		"d4:infod5:filesld6:lengthi1e4:pathl2:..1:/eee4:name1:a12:piece "
		"lengthi16384e6:pieces0:ee",
		"d4:infod5:filesle4:name1:a12:piece lengthi16384e6:pieces0:ee",
		"d4:infod9:file treed0:de1:ad0:d6:lengthi0eeee4:name1:a12:piece lengthi16384eee"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(texts); i++) {
		struct lsp_metainfo *metainfo = NULL;
		struct lsp_error err = {0};
		assert_true(lsp_metainfo_parse(texts[i], strlen(texts[i]), &metainfo, &err) < 0);
		assert_null(metainfo);
		assert_true(err.message[0]);
	}
}

static void one_file_is_a_torrent_too(void **state)
{
	static const char text[] =
		"d4:infod6:lengthi5e4:name5:a.iso12:piece lengthi16384e6:pieces20:"
		"aaaaaaaaaaaaaaaaaaaaee";
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	struct lsp_error err = {0};
	assert_int_equal(lsp_metainfo_parse(text, strlen(text), &metainfo, &err), 0);
	assert_true(metainfo->single && metainfo->v1);
	assert_int_equal(metainfo->total_size, 5);
}

static void a_name_in_utf8_stands_for_the_other(void **state)
{
	static const char text[] =
		"d4:infod6:lengthi5e4:name5:a.iso10:name.utf-85:b.iso12:piece lengthi16384e"
		"6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	struct lsp_error err = {0};
	assert_int_equal(lsp_metainfo_parse(text, strlen(text), &metainfo, &err), 0);
	assert_string_equal(metainfo->name, "b.iso");
}

int main(int argc, char **argv)
{
	corpus = argc > 1 ? argv[1] : "fuzz/corpus/wire_metainfo";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_content_comes_of_every_piece_length_up_to_its_own),
		cmocka_unit_test(longer_pieces_and_v1_do_not_tell_the_content),
		cmocka_unit_test(a_torrent_with_longer_pieces_is_still_known_by_its_roots),
		cmocka_unit_test(forms_and_files_are_told),
		cmocka_unit_test(wrong_layers_are_refused),
		cmocka_unit_test(what_is_no_torrent_is_refused),
		cmocka_unit_test(a_name_in_utf8_stands_for_the_other),
		cmocka_unit_test(one_file_is_a_torrent_too),
	};
	return cmocka_run_group_tests_name("wire/metainfo", tests, NULL, NULL);
}
