/*
 * The info dictionary, token by token: the canonical form is checked by the order in which this
 * code expects things, not by writing it anew and comparing.
 */
#include "wire/bencode.h"
#include "wire/manifest_private.h"

#include <string.h>

struct tree {
	struct lsp_bencode_reader *reader;
	struct lsp_buffer files; /* of struct lsp_manifest_file; path is an offset into paths */
	struct lsp_buffer paths;
	uint64_t total;
	char path[LSP_PATH_MAX + 1]; /* of where we are */
	size_t path_size;
	unsigned depth;                                /* folders open below the top */
	size_t path_sizes[LSP_PATH_DEPTH_MAX + 1];     /* path_size at each depth */
	uint32_t entry_counts[LSP_PATH_DEPTH_MAX + 1]; /* seen so far at each depth */
};

static void tree_done(struct tree *tree)
{
	lsp_buffer_done(&tree->files);
	lsp_buffer_done(&tree->paths);
}

static int broken(struct lsp_error *err, const char *what)
{
	return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "manifest: %s", what);
}

static int expect(struct lsp_bencode_reader *reader, enum lsp_bencode_type type, const char *what,
	struct lsp_bencode_token *ret_token, struct lsp_error *err)
{
	int r = lsp_bencode_next(reader, ret_token, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "manifest");
	return ret_token->type == type ? 0 : broken(err, what);
}

static int expect_key(struct lsp_bencode_reader *reader, const char *key, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = lsp_bencode_next(reader, &token, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "manifest");
	if (token.type != LSP_BENCODE_STRING || !lsp_bencode_token_is(&token, key, strlen(key)))
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"manifest: not in the canonical form (expected \"%s\")", key);
	return 0;
}

/* ---- One file --------------------------------------------------------------------------- */

/* The dictionary of a file, in the only order its keys can have: attr, length, pieces root. */
static int read_file_fields(
	struct lsp_bencode_reader *reader, struct lsp_manifest_file *file, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = expect(reader, LSP_BENCODE_DICT, "a file that is no dictionary", &token, err);
	if (r == 0)
		r = expect(reader, LSP_BENCODE_STRING, "a file without length", &token, err);
	if (r < 0)
		return r;
	if (LSP_BENCODE_IS(&token, "attr")) {
		r = expect(reader, LSP_BENCODE_STRING, "attr is no string", &token, err);
		if (r < 0)
			return r;
		if (!LSP_BENCODE_IS(&token, "x"))
			return broken(err, "a file with an attribute other than \"x\" (symlinks "
					   "and pad files are not shared)");
		file->executable = true;
		r = expect(reader, LSP_BENCODE_STRING, "a file without length", &token, err);
		if (r < 0)
			return r;
	}
	if (!LSP_BENCODE_IS(&token, "length"))
		return broken(err, "a file with an unknown key");
	r = expect(reader, LSP_BENCODE_INTEGER, "length is no number", &token, err);
	if (r < 0)
		return r;
	if (token.integer < 0 || (uint64_t)token.integer > LSP_MANIFEST_SIZE_MAX)
		return broken(err, "a file's length is out of range");
	file->size = (uint64_t)token.integer;
	if (file->size) {
		r = expect_key(reader, "pieces root", err);
		if (r == 0)
			r = expect(reader, LSP_BENCODE_STRING, "root is no string", &token, err);
		if (r < 0)
			return r;
		if (token.size != LSP_SHA256_SIZE)
			return broken(err, "a root that is not 32 bytes");
		memcpy(file->root.bytes, token.string, LSP_SHA256_SIZE);
	}
	return expect(reader, LSP_BENCODE_END, "a file with an unknown key", &token, err);
}

static int add_file(struct tree *tree, struct lsp_error *err)
{
	if (tree->files.size / sizeof(struct lsp_manifest_file) == LSP_MANIFEST_FILES_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "manifest: more than %u files",
			LSP_MANIFEST_FILES_MAX);
	struct lsp_manifest_file file = {.path = (const char *)(uintptr_t)tree->paths.size};
	int r = read_file_fields(tree->reader, &file, err);
	if (r < 0)
		return r;
	tree->total += file.size;
	if (tree->total > LSP_MANIFEST_SIZE_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "manifest: more than 8 TiB");
	r = lsp_buffer_append(&tree->paths, tree->path, tree->path_size + 1, err);
	return r < 0 ? r : lsp_buffer_append(&tree->files, &file, sizeof file, err);
}

/* ---- The tree --------------------------------------------------------------------------- */

/* Into the folder or file `name`. */
static int descend(struct tree *tree, const struct lsp_bencode_token *name, struct lsp_error *err)
{
	const char *text = (const char *)name->string;
	int r = tree->depth == 0 && !memchr(text, '/', name->size)
			? lsp_path_check(text, name->size, err)
			: lsp_path_check_name(text, name->size, err);
	if (r < 0)
		return lsp_error_prefix(err, -LSP_E_PROTOCOL, "manifest");
	size_t slash = tree->depth ? 1 : 0;
	if (tree->depth == LSP_PATH_DEPTH_MAX ||
		tree->path_size + slash + name->size > LSP_PATH_MAX)
		return broken(err, "a path of more than 32 components or 1024 bytes");
	tree->path_sizes[tree->depth] = tree->path_size;
	tree->entry_counts[tree->depth]++;
	if (slash)
		tree->path[tree->path_size++] = '/';
	memcpy(tree->path + tree->path_size, text, name->size);
	tree->path_size += name->size;
	tree->path[tree->path_size] = '\0';
	tree->entry_counts[++tree->depth] = 0;
	struct lsp_bencode_token token;
	return expect(
		tree->reader, LSP_BENCODE_DICT, "an entry that is no dictionary", &token, err);
}

static void ascend(struct tree *tree)
{
	tree->path_size = tree->path_sizes[--tree->depth];
	tree->path[tree->path_size] = '\0';
}

/* The key "": what we are in is a file and nothing else. */
static int finish_file(struct tree *tree, struct lsp_error *err)
{
	if (tree->depth == 0 || tree->entry_counts[tree->depth])
		return broken(err, "an entry that is a file and a folder");
	int r = add_file(tree, err);
	if (r < 0)
		return r;
	struct lsp_bencode_token token;
	r = expect(
		tree->reader, LSP_BENCODE_END, "an entry that is a file and a folder", &token, err);
	if (r < 0)
		return r;
	ascend(tree);
	return 0;
}

static int read_tree(struct tree *tree, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = expect(tree->reader, LSP_BENCODE_DICT, "file tree is no dictionary", &token, err);
	while (r == 0) {
		r = lsp_bencode_next(tree->reader, &token, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "manifest");
		if (token.type == LSP_BENCODE_END) {
			if (tree->entry_counts[tree->depth] == 0)
				return broken(err, "an empty folder, or no file at all");
			if (tree->depth == 0)
				return 0;
			ascend(tree);
		} else if (token.size == 0) {
			r = finish_file(tree, err);
		} else {
			r = descend(tree, &token, err);
		}
	}
	return r;
}

/* ---- Names that collide ---- */

/* By their hashes: a hostile manifest has millions of folders, with long ways to each. */
struct key {
	uint8_t hash[16];
	uint32_t file; /* on whose way it was */
};

struct keys {
	struct key *items;
	size_t count;
	size_t room;
	uint32_t file;
};

static void keys_done(struct keys *keys)
{
	free(keys->items);
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *left = a, *right = b;
	return memcmp(left->hash, right->hash, sizeof left->hash);
}

static int add_key(struct keys *keys, const char *path, size_t size, struct lsp_error *err)
{
	if (keys->count == keys->room) {
		size_t room = LSP_MAX((size_t)64, keys->room * 2);
		struct key *items = reallocarray(keys->items, room, sizeof *items);
		if (!items)
			return lsp_error_no_memory(err, "wire");
		keys->items = items;
		keys->room = room;
	}
	_cleanup_free_ char *text = NULL;
	struct lsp_hash hash;
	int r = lsp_path_key(path, size, &text, err);
	if (r < 0)
		return r;
	lsp_sha256(&hash, text, strlen(text));
	struct key *key = &keys->items[keys->count++];
	memcpy(key->hash, hash.bytes, sizeof key->hash);
	key->file = keys->file;
	return 0;
}

/* Adds the keys of a path and of those folders on its way that the path before it was not in. */
static int add_keys(struct keys *keys, const char *before, const char *path, struct lsp_error *err)
{
	size_t shared = 0;
	while (path[shared] && path[shared] == before[shared])
		shared++;
	for (size_t at = 1;; at++) {
		if (path[at] && path[at] != '/')
			continue;
		/* Equal up to here, and the other one has a component end here too: known. */
		bool known = path[at] && at <= shared && before[at] == '/';
		int r = known ? 0 : add_key(keys, path, at, err);
		if (r < 0 || !path[at])
			return r;
	}
}

static int check_collisions(const struct lsp_manifest *manifest, struct lsp_error *err)
{
	_cleanup_(keys_done) struct keys keys = {0};
	const char *before = "";
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		keys.file = i;
		int r = add_keys(&keys, before, manifest->files[i].path, err);
		if (r < 0)
			return r;
		before = manifest->files[i].path;
	}
	qsort(keys.items, keys.count, sizeof *keys.items, compare_keys);
	for (size_t i = 1; i < keys.count; i++) {
		if (compare_keys(&keys.items[i - 1], &keys.items[i]) == 0)
			return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
				"manifest: two names differ only in case or Unicode form (\"%s\"), "
				"which not every disk can tell apart",
				manifest->files[keys.items[i].file].path);
	}
	return 0;
}

/* ---- The dictionary ---- */

static int read_rest(
	struct lsp_bencode_reader *reader, struct lsp_manifest *manifest, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = expect_key(reader, "meta version", err);
	if (r == 0)
		r = expect(reader, LSP_BENCODE_INTEGER, "meta version is no number", &token, err);
	if (r < 0)
		return r;
	if (token.integer != 2)
		return broken(err, "meta version is not 2");
	r = expect_key(reader, "name", err);
	if (r == 0)
		r = expect(reader, LSP_BENCODE_STRING, "name is no string", &token, err);
	if (r < 0)
		return r;
	if (lsp_game_id_check((const char *)token.string, token.size, err) < 0)
		return lsp_error_prefix(err, -LSP_E_PROTOCOL, "manifest");
	memcpy(manifest->name, token.string, token.size);
	r = expect_key(reader, "piece length", err);
	if (r == 0)
		r = expect(reader, LSP_BENCODE_INTEGER, "piece length is no number", &token, err);
	if (r < 0)
		return r;
	if (token.integer != lsp_manifest_piece_length(manifest->total_size))
		return broken(err, "piece length is not the one that the size asks for");
	manifest->piece_length = (uint32_t)token.integer;
	r = expect(reader, LSP_BENCODE_END, "an unknown key", &token, err);
	return r < 0 ? r : expect(reader, LSP_BENCODE_DONE, "bytes after the end", &token, err);
}

/* Moves what the tree gathered into the box; paths become pointers. */
static int take_tree(struct lsp_manifest_box *box, struct tree *tree, struct lsp_error *err)
{
	struct lsp_manifest *manifest = &box->manifest;
	box->files = (struct lsp_manifest_file *)(void *)TAKE_PTR(tree->files.data);
	box->paths = (char *)TAKE_PTR(tree->paths.data);
	manifest->files = box->files;
	manifest->file_count = (uint32_t)(tree->files.size / sizeof *box->files);
	manifest->total_size = tree->total;
	tree->files = tree->paths = (struct lsp_buffer){0};
	for (uint32_t i = 0; i < manifest->file_count; i++)
		box->files[i].path = box->paths + (uintptr_t)box->files[i].path;
	return check_collisions(manifest, err);
}

static void number_chunks(struct lsp_manifest_box *box)
{
	struct lsp_manifest *manifest = &box->manifest;
	uint64_t next = 0;
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		struct lsp_manifest_file *file = &box->files[i];
		uint64_t count = file->size / manifest->piece_length +
				 (file->size % manifest->piece_length != 0);
		file->first_chunk = (uint32_t)next;
		file->chunk_count = (uint32_t)count;
		file->layer = count == 1 ? &file->root : NULL;
		box->layer_count += count > 1 ? count : 0;
		next += count;
	}
	manifest->chunk_count = (uint32_t)next; /* at most 2^21 + 2^18: the size limit */
}

int lsp_manifest_parse_info(
	const void *info, size_t size, struct lsp_manifest_box **ret_box, struct lsp_error *err)
{
	if (size > LSP_MANIFEST_INFO_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"manifest: an info dictionary of more than 64 MiB");
	_cleanup_(lsp_manifest_box_free_pointer) struct lsp_manifest_box *box =
		calloc(1, sizeof *box);
	if (!box || !(box->info = malloc(size + 1)))
		return lsp_error_no_memory(err, "wire");
	box->refs = 1;
	memcpy(box->info, info, size);
	box->manifest.info = box->info;
	box->manifest.info_size = size;
	lsp_sha256(&box->manifest.content_id, box->info, size);

	struct lsp_bencode_reader reader;
	lsp_bencode_reader_init(&reader, box->info, size);
	struct lsp_bencode_token token;
	_cleanup_(tree_done) struct tree tree = {.reader = &reader};
	int r = expect(&reader, LSP_BENCODE_DICT, "not a dictionary", &token, err);
	if (r == 0)
		r = expect_key(&reader, "file tree", err);
	if (r == 0)
		r = read_tree(&tree, err);
	if (r == 0)
		r = take_tree(box, &tree, err);
	if (r == 0)
		r = read_rest(&reader, &box->manifest, err);
	if (r < 0)
		return r;
	number_chunks(box);
	*ret_box = TAKE_PTR(box);
	return 0;
}
