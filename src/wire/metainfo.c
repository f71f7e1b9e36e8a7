#include "wire/metainfo.h"

#include "wire/bencode.h"
#include "wire/merkle.h"

#include <string.h>

#define DEPTH_MAX LSP_PATH_DEPTH_MAX
#define NAME_MAX_BYTES 255u
#define PIECE_LENGTH_MIN 16384
#define PIECE_LENGTH_MAX (1 << 30)

/* While it is read. */
struct reading {
	struct lsp_bencode_reader reader;
	struct lsp_metainfo *metainfo;
	size_t room;
	bool tree, list, has_length, has_pieces; /* keys of the info dictionary that came */
	int64_t meta_version, length;
	const uint8_t *layers; /* the value of "piece layers" */
	size_t layers_size;
};

static int broken(struct lsp_error *err, const char *what)
{
	return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "torrent: %s", what);
}

static int next(struct reading *reading, enum lsp_bencode_type type, const char *what,
	struct lsp_bencode_token *ret_token, struct lsp_error *err)
{
	int r = lsp_bencode_next(&reading->reader, ret_token, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "torrent");
	return ret_token->type == type ? 0 : broken(err, what);
}

/* The next key of a dictionary; *ret_end at its end. */
static int next_key(struct reading *reading, struct lsp_bencode_token *ret_key, bool *ret_end,
	struct lsp_error *err)
{
	int r = lsp_bencode_next(&reading->reader, ret_key, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "torrent");
	*ret_end = ret_key->type == LSP_BENCODE_END;
	return 0;
}

static int read_number(
	struct reading *reading, const char *what, int64_t *ret_number, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = next(reading, LSP_BENCODE_INTEGER, what, &token, err);
	if (r == 0)
		*ret_number = token.integer;
	return r;
}

/* ---- Files ---- */

/* Takes the path over. */
static int add_file(struct reading *reading, char *path, uint64_t size,
	const struct lsp_metainfo_file *values, struct lsp_error *err)
{
	struct lsp_metainfo *metainfo = reading->metainfo;
	_cleanup_free_ char *owned = path;
	if (!owned)
		return lsp_error_no_memory(err, "wire");
	if (metainfo->file_count == LSP_MANIFEST_FILES_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "torrent: more than %u files",
			LSP_MANIFEST_FILES_MAX);
	if (size > LSP_MANIFEST_SIZE_MAX - metainfo->total_size)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "torrent: more than 8 TiB");
	if (metainfo->file_count == reading->room) {
		size_t room = reading->room ? 2 * reading->room : 16;
		struct lsp_metainfo_file *grown =
			reallocarray(metainfo->files, room, sizeof *grown);
		if (!grown)
			return lsp_error_no_memory(err, "wire");
		metainfo->files = grown;
		reading->room = room;
	}
	struct lsp_metainfo_file *file = &metainfo->files[metainfo->file_count++];
	*file = *values;
	file->path = TAKE_PTR(owned);
	file->size = size;
	metainfo->total_size += size;
	return 0;
}

static bool has_attribute(const struct lsp_bencode_token *token, char attribute)
{
	return memchr(token->string, attribute, token->size) != NULL;
}

/* The inner dictionary of a file of the v2 tree. */
static int read_tree_file(struct reading *reading, const char *path, struct lsp_error *err)
{
	struct lsp_metainfo_file values = {.has_root = true};
	struct lsp_bencode_token key, token;
	int64_t length = -1;
	bool end = false;
	int r = next(reading, LSP_BENCODE_DICT, "a file that is no dictionary", &token, err);
	while (r == 0 && (r = next_key(reading, &key, &end, err)) == 0 && !end) {
		if (LSP_BENCODE_IS(&key, "length")) {
			r = read_number(reading, "length is no number", &length, err);
		} else if (LSP_BENCODE_IS(&key, "attr")) {
			r = next(reading, LSP_BENCODE_STRING, "attr is no string", &token, err);
			values.executable = r == 0 && has_attribute(&token, 'x');
			values.symlink = r == 0 && has_attribute(&token, 'l');
		} else if (LSP_BENCODE_IS(&key, "pieces root")) {
			r = next(reading, LSP_BENCODE_STRING, "root is no string", &token, err);
			if (r == 0 && token.size != LSP_SHA256_SIZE)
				r = broken(err, "a root that is not 32 bytes");
			if (r == 0)
				memcpy(values.root.bytes, token.string, LSP_SHA256_SIZE);
		} else {
			r = lsp_bencode_skip(&reading->reader, err);
		}
	}
	if (r < 0)
		return r;
	if (length < 0 && !values.symlink)
		return broken(err, "a file without length");
	return add_file(reading, strdup(path), length < 0 ? 0 : (uint64_t)length, &values, err);
}

static bool is_good_name(const struct lsp_bencode_token *name)
{
	bool leads_away = (name->size == 1 && name->string[0] == '.') ||
			  (name->size == 2 && memcmp(name->string, "..", 2) == 0);
	return name->size && name->size <= NAME_MAX_BYTES && !leads_away &&
	       !memchr(name->string, '/', name->size) && !memchr(name->string, '\0', name->size);
}

/* The v2 tree, without recursion: where we are is in `path`. */
static int read_tree(struct reading *reading, struct lsp_error *err)
{
	char path[LSP_PATH_MAX + 1] = "";
	size_t sizes[DEPTH_MAX + 1], size = 0, depth = 0;
	struct lsp_bencode_token token;
	int r = next(reading, LSP_BENCODE_DICT, "file tree is no dictionary", &token, err);
	while (r == 0) {
		r = lsp_bencode_next(&reading->reader, &token, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "torrent");
		if (token.type == LSP_BENCODE_END) {
			if (depth == 0)
				return 0;
			size = sizes[--depth];
			path[size] = '\0';
		} else if (token.size == 0) {
			if (depth == 0)
				return broken(err, "a file without a name");
			r = read_tree_file(reading, path, err);
		} else {
			if (!is_good_name(&token) || depth == DEPTH_MAX ||
				size + 1 + token.size > LSP_PATH_MAX)
				return broken(err, "a path that no disk should have");
			sizes[depth++] = size;
			if (size)
				path[size++] = '/';
			memcpy(path + size, token.string, token.size);
			size += token.size;
			path[size] = '\0';
			r = next(reading, LSP_BENCODE_DICT, "an entry that is no dictionary",
				&token, err);
		}
	}
	return r;
}

/* The list of names that is a path in a v1 torrent. */
static int read_path(struct reading *reading, char **ret_path, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer path = {0};
	struct lsp_bencode_token token;
	int r = next(reading, LSP_BENCODE_LIST, "path is no list", &token, err);
	while (r == 0) {
		r = lsp_bencode_next(&reading->reader, &token, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "torrent");
		if (token.type == LSP_BENCODE_END)
			break;
		if (token.type != LSP_BENCODE_STRING || !is_good_name(&token) ||
			path.size + token.size > LSP_PATH_MAX)
			return broken(err, "a path that no disk should have");
		if (path.size)
			r = lsp_buffer_append(&path, "/", 1, err);
		if (r == 0)
			r = lsp_buffer_append(&path, token.string, token.size, err);
	}
	if (r == 0 && path.size == 0)
		return broken(err, "a file without a name");
	if (r == 0)
		r = lsp_buffer_append(&path, "", 1, err);
	if (r < 0)
		return r;
	*ret_path = (char *)TAKE_PTR(path.data);
	path = (struct lsp_buffer){0};
	return 0;
}

static int read_list_file(struct reading *reading, struct lsp_error *err)
{
	struct lsp_metainfo_file values = {0};
	struct lsp_bencode_token key, token;
	_cleanup_free_ char *path = NULL;
	int64_t length = -1;
	bool end = false, pad = false;
	int r = 0;
	while (r == 0 && (r = next_key(reading, &key, &end, err)) == 0 && !end) {
		if (LSP_BENCODE_IS(&key, "length")) {
			r = read_number(reading, "length is no number", &length, err);
		} else if (LSP_BENCODE_IS(&key, "attr")) {
			r = next(reading, LSP_BENCODE_STRING, "attr is no string", &token, err);
			pad = r == 0 && has_attribute(&token, 'p');
			values.executable = r == 0 && has_attribute(&token, 'x');
			values.symlink = r == 0 && has_attribute(&token, 'l');
		} else if (LSP_BENCODE_IS(&key, "path")) {
			r = read_path(reading, &path, err);
		} else {
			r = lsp_bencode_skip(&reading->reader, err);
		}
	}
	if (r < 0 || pad)
		return r;
	if (!path || length < 0)
		return broken(err, "a file without a path or length");
	return add_file(reading, TAKE_PTR(path), (uint64_t)length, &values, err);
}

/* The v1 list; passed over where the v2 tree came before it ("file tree" < "files"). */
static int read_list(struct reading *reading, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	if (reading->tree)
		return lsp_bencode_skip(&reading->reader, err);
	int r = next(reading, LSP_BENCODE_LIST, "files is no list", &token, err);
	while (r == 0) {
		r = lsp_bencode_next(&reading->reader, &token, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "torrent");
		if (token.type == LSP_BENCODE_END)
			return 0;
		if (token.type != LSP_BENCODE_DICT)
			return broken(err, "a file that is no dictionary");
		r = read_list_file(reading, err);
	}
	return r;
}

/* ---- The info dictionary ---- */

static int read_name(struct reading *reading, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int r = next(reading, LSP_BENCODE_STRING, "name is no string", &token, err);
	if (r == 0 && !is_good_name(&token))
		r = broken(err, "a name that no disk should have");
	if (r < 0)
		return r;
	free(reading->metainfo->name);
	reading->metainfo->name = strndup((const char *)token.string, token.size);
	return reading->metainfo->name ? 0 : lsp_error_no_memory(err, "wire");
}

static int read_member(
	struct reading *reading, const struct lsp_bencode_token *key, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	int64_t number = 0;
	int r;
	if (LSP_BENCODE_IS(key, "file tree")) {
		reading->tree = true;
		return read_tree(reading, err);
	}
	if (LSP_BENCODE_IS(key, "files")) {
		reading->list = true;
		return read_list(reading, err);
	}
	/* The second comes after the first, and stands in its place where both are. */
	if (LSP_BENCODE_IS(key, "name") || LSP_BENCODE_IS(key, "name.utf-8"))
		return read_name(reading, err);
	if (LSP_BENCODE_IS(key, "length")) {
		reading->has_length = true;
		return read_number(reading, "length is no number", &reading->length, err);
	}
	if (LSP_BENCODE_IS(key, "meta version"))
		return read_number(
			reading, "meta version is no number", &reading->meta_version, err);
	if (LSP_BENCODE_IS(key, "piece length")) {
		r = read_number(reading, "piece length is no number", &number, err);
		if (r == 0 && (number < 1 || number > PIECE_LENGTH_MAX))
			r = broken(err, "a piece length out of range");
		reading->metainfo->piece_length = (uint32_t)number;
		return r;
	}
	if (LSP_BENCODE_IS(key, "pieces")) {
		reading->has_pieces = true;
		return next(reading, LSP_BENCODE_STRING, "pieces is no string", &token, err);
	}
	return lsp_bencode_skip(&reading->reader, err);
}

/* What the members must be together. */
static int check_info(struct reading *reading, struct lsp_error *err)
{
	struct lsp_metainfo *metainfo = reading->metainfo;
	struct lsp_metainfo_file values = {0};
	uint32_t length = metainfo->piece_length;
	metainfo->v2 = reading->tree;
	metainfo->v1 = reading->has_pieces;
	if (!metainfo->name || !length)
		return broken(err, "it has no name or no piece length");
	if (!metainfo->v1 && !metainfo->v2)
		return broken(err, "it has neither pieces nor a file tree");
	if (metainfo->v2 && reading->meta_version != 2)
		return broken(err, "meta version is not 2");
	if (metainfo->v2 && (length < PIECE_LENGTH_MIN || (length & (length - 1))))
		return broken(err, "piece length is no power of two from 16 KiB on");
	if (!metainfo->v2 && !reading->list) {
		if (!reading->has_length || reading->length < 0)
			return broken(err, "it has no files");
		metainfo->single = true;
		return add_file(
			reading, strdup(metainfo->name), (uint64_t)reading->length, &values, err);
	}
	if (metainfo->file_count == 0)
		return broken(err, "it has no files");
	metainfo->single = metainfo->v2 && metainfo->file_count == 1 &&
			   strcmp(metainfo->files[0].path, metainfo->name) == 0;
	return 0;
}

static int read_info(struct reading *reading, struct lsp_error *err)
{
	struct lsp_bencode_token token;
	size_t start = reading->reader.at;
	bool end = false;
	int r = next(reading, LSP_BENCODE_DICT, "info is no dictionary", &token, err);
	while (r == 0 && (r = next_key(reading, &token, &end, err)) == 0 && !end)
		r = read_member(reading, &token, err);
	if (r < 0)
		return r;
	struct lsp_metainfo *metainfo = reading->metainfo;
	metainfo->info = reading->reader.data + start;
	metainfo->info_size = reading->reader.at - start;
	lsp_sha256(&metainfo->info_v2, metainfo->info, metainfo->info_size);
	return check_info(reading, err);
}

/* ---- The piece layers ---- */

static int compare_roots(const void *a, const void *b)
{
	const struct lsp_metainfo_file *const *x = a, *const *y = b;
	return memcmp((*x)->root.bytes, (*y)->root.bytes, LSP_SHA256_SIZE);
}

/* Gives the layer to every file that has its root. */
static void take_layer(struct lsp_metainfo_file **files, size_t count,
	const struct lsp_bencode_token *root, const struct lsp_bencode_token *layer)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(files[middle]->root.bytes, root->string, LSP_SHA256_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && memcmp(files[low]->root.bytes, root->string, LSP_SHA256_SIZE) == 0;
		low++) {
		files[low]->layer = layer->string;
		files[low]->layer_count = layer->size / LSP_SHA256_SIZE;
	}
}

static int read_layers(struct reading *reading, struct lsp_error *err)
{
	struct lsp_metainfo *metainfo = reading->metainfo;
	_cleanup_free_ struct lsp_metainfo_file **files =
		calloc(metainfo->file_count, sizeof *files);
	struct lsp_bencode_token root, layer;
	bool end = false;
	if (!files)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < metainfo->file_count; i++)
		files[i] = &metainfo->files[i];
	qsort(files, metainfo->file_count, sizeof(*files), compare_roots);
	lsp_bencode_reader_init(&reading->reader, reading->layers, reading->layers_size);
	int r = next(reading, LSP_BENCODE_DICT, "piece layers are no dictionary", &root, err);
	while (r == 0 && (r = next_key(reading, &root, &end, err)) == 0 && !end) {
		r = next(reading, LSP_BENCODE_STRING, "a piece layer that is no string", &layer,
			err);
		if (r == 0 && (root.size != LSP_SHA256_SIZE || layer.size % LSP_SHA256_SIZE != 0))
			r = broken(err, "a piece layer of the wrong length");
		if (r == 0)
			take_layer(files, metainfo->file_count, &root, &layer);
	}
	return r;
}

int lsp_metainfo_parse(
	const void *data, size_t size, struct lsp_metainfo **ret_metainfo, struct lsp_error *err)
{
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = calloc(1, sizeof *metainfo);
	struct reading reading = {.metainfo = metainfo};
	struct lsp_bencode_token token;
	bool end = false, info = false;
	if (!metainfo)
		return lsp_error_no_memory(err, "wire");
	if (size > LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE, "torrent: more than 192 MiB");
	lsp_bencode_reader_init(&reading.reader, data, size);
	int r = next(&reading, LSP_BENCODE_DICT, "this is no torrent file", &token, err);
	while (r == 0 && (r = next_key(&reading, &token, &end, err)) == 0 && !end) {
		if (LSP_BENCODE_IS(&token, "info")) {
			info = true;
			r = read_info(&reading, err);
			continue;
		}
		size_t start = reading.reader.at;
		r = lsp_bencode_skip(&reading.reader, err);
		if (r == 0 && LSP_BENCODE_IS(&token, "piece layers")) {
			reading.layers = reading.reader.data + start;
			reading.layers_size = reading.reader.at - start;
		}
	}
	if (r == 0 && !info)
		r = broken(err, "it has no info");
	if (r == 0)
		r = lsp_bencode_next(&reading.reader, &token, err);
	if (r == 0 && reading.layers && metainfo->v2)
		r = read_layers(&reading, err);
	if (r < 0)
		return r;
	*ret_metainfo = TAKE_PTR(metainfo);
	return 0;
}

void lsp_metainfo_free(struct lsp_metainfo *metainfo)
{
	if (!metainfo)
		return;
	for (size_t i = 0; i < metainfo->file_count; i++)
		free((char *)(uintptr_t)metainfo->files[i].path);
	free(metainfo->files);
	free(metainfo->name);
	free(metainfo);
}

const struct lsp_metainfo_file *lsp_metainfo_find(
	const struct lsp_metainfo *metainfo, const char *path)
{
	for (size_t i = 0; i < metainfo->file_count; i++) {
		if (strcmp(metainfo->files[i].path, path) == 0)
			return &metainfo->files[i];
	}
	return NULL;
}

/* ---- As a game
 * ----------------------------------------------------------------------------------------------
 */

/* Levels of the tree between leaves of 16 KiB and nodes of this many bytes. */
static unsigned level_of(uint32_t piece_length)
{
	return (unsigned)__builtin_ctz(piece_length / LSP_LEAF_SIZE);
}

/* The layer of a file in canonical pieces, from the torrent's, which are no longer. */
static int merge_layer(const struct lsp_metainfo *metainfo, const struct lsp_metainfo_file *file,
	uint32_t canonical, struct lsp_hash **ret_layer, struct lsp_error *err)
{
	size_t ratio = canonical / metainfo->piece_length;
	size_t given = (size_t)((file->size - 1) / metainfo->piece_length + 1);
	size_t count = (given - 1) / ratio + 1;
	if (!file->layer)
		return lsp_error_set(err, "wire", LSP_E_UNSUPPORTED,
			"the torrent does not bring its piece layers, so its content is known only "
			"once it is here");
	if (file->layer_count != given)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"torrent: the piece layer of \"%s\" has the wrong length", file->path);
	struct lsp_hash *layer = calloc(count, sizeof *layer);
	_cleanup_free_ struct lsp_hash *nodes = calloc(ratio, sizeof *nodes);
	if (!layer || !nodes) {
		free(layer);
		return lsp_error_no_memory(err, "wire");
	}
	for (size_t i = 0; i < count; i++) {
		size_t some = LSP_MIN(ratio, given - i * ratio);
		memcpy(nodes, file->layer + i * ratio * LSP_SHA256_SIZE, some * LSP_SHA256_SIZE);
		lsp_merkle_root_of(nodes, some, level_of(metainfo->piece_length), ratio, &layer[i]);
	}
	*ret_layer = layer;
	return 0;
}

static int check_as_game(const struct lsp_metainfo *metainfo, struct lsp_error *err)
{
	if (!metainfo->v2)
		return lsp_error_set(err, "wire", LSP_E_UNSUPPORTED,
			"the torrent has no v2 part, so its content is known only once it is here");
	if (metainfo->piece_length > lsp_manifest_piece_length(metainfo->total_size))
		return lsp_error_set(err, "wire", LSP_E_UNSUPPORTED,
			"the torrent's pieces are longer than a game's, so its content is known "
			"only once it is here");
	for (size_t i = 0; i < metainfo->file_count; i++) {
		if (metainfo->files[i].symlink)
			return lsp_error_set(err, "wire", LSP_E_INVALID,
				"\"%s\" is a symbolic link, which no game may have",
				metainfo->files[i].path);
	}
	return 0;
}

int lsp_metainfo_manifest(const struct lsp_metainfo *metainfo, const char *id,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	int r = check_as_game(metainfo, err);
	if (r < 0)
		return r;
	size_t count = metainfo->file_count;
	uint32_t canonical = lsp_manifest_piece_length(metainfo->total_size);
	_cleanup_free_ struct lsp_manifest_entry *entries = calloc(count, sizeof *entries);
	_cleanup_free_ struct lsp_hash **layers = calloc(count, sizeof *layers);
	if (!entries || !layers)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct lsp_metainfo_file *file = &metainfo->files[i];
		entries[i] = (struct lsp_manifest_entry){
			.path = file->path,
			.size = file->size,
			.executable = file->executable,
			.root = file->root,
		};
		if (file->size > canonical)
			r = merge_layer(metainfo, file, canonical, &layers[i], err);
		entries[i].layer = layers[i];
	}
	if (r == 0)
		r = lsp_manifest_build(id, entries, count, ret_manifest, err);
	for (size_t i = 0; i < count; i++)
		free(layers[i]);
	return r;
}

bool lsp_metainfo_is(const struct lsp_metainfo *metainfo, const struct lsp_manifest *manifest)
{
	if (!metainfo->v2 || metainfo->file_count != manifest->file_count ||
		metainfo->total_size != manifest->total_size)
		return false;
	for (size_t i = 0; i < metainfo->file_count; i++) {
		const struct lsp_metainfo_file *file = &metainfo->files[i];
		const struct lsp_manifest_file *ours = lsp_manifest_find(manifest, file->path);
		/* A root of nothing is not looked at: some makers give one. */
		bool same_root =
			file->size == 0 || (ours && lsp_hash_equal(&ours->root, &file->root));
		if (!ours || ours->size != file->size || !same_root)
			return false;
	}
	return true;
}
