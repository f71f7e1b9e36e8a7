#include "fake_source.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fake_parse(const char *magnet, const struct lsp_shim_bytes *metainfo,
	const struct lsp_shim_bytes *resume, struct lsp_shim_source **ret_source,
	struct lsp_error *err)
{
	const struct lsp_shim_bytes *bytes = metainfo ? metainfo : resume;
	struct lsp_shim_source *source = calloc(1, sizeof *source);
	if (magnet && sscanf(magnet, "magnet:?xt=urn:btih:%40[0-9a-f]", source->id) == 1) {
		*ret_source = source;
		return 0;
	}
	if (bytes && bytes->size < sizeof source->text) {
		memcpy(source->text, bytes->data, bytes->size);
		char *at = source->text;
		if (sscanf(at, "torrent:%64[0-9a-f]", source->id) == 1 &&
			strlen(source->id) == 64) {
			at += 8 + 64;
			while (*at == ':' && source->file_count < 8) {
				size_t size = strcspn(++at, ":|");
				snprintf(source->files[source->file_count++], 64, "%.*s", (int)size,
					at);
				at += size;
			}
			(void)sscanf(at, "|%lld", &source->done);
			*at = '\0'; /* how else it was is not kept */
			*ret_source = source;
			return 0;
		}
	}
	if (bytes && bytes->size > 0 && *(const char *)bytes->data == 'd') {
		snprintf(source->id, sizeof source->id, "%064d", 0);
		*ret_source = source;
		return 0;
	}
	free(source);
	return lsp_error_set(err, "torrent", LSP_E_PROTOCOL, "this is no torrent");
}

void fake_source_free(struct lsp_shim_source *source)
{
	free(source);
}

void fake_source_info(const struct lsp_shim_source *source, struct lsp_shim_info *ret_info)
{
	*ret_info = (struct lsp_shim_info){.name = "fake", .save_path = "/tmp/fake"};
	if (strlen(source->id) == 64) {
		lsp_text_from_hex(source->id, ret_info->v2, 32);
		ret_info->flags = LSP_SHIM_HAS_V2 | LSP_SHIM_HAS_METADATA;
		if (source->file_count && strcmp(source->files[0], "private") == 0)
			ret_info->flags |= LSP_SHIM_PRIVATE;
		ret_info->files = source->file_count;
		ret_info->pieces = source->file_count;
		ret_info->piece_length = FAKE_FILE_SIZE;
		ret_info->size = (uint64_t)source->file_count * FAKE_FILE_SIZE;
	} else {
		lsp_text_from_hex(source->id, ret_info->v1, 20);
		ret_info->flags = LSP_SHIM_HAS_V1;
	}
}

void fake_source_file(
	struct lsp_shim_source *source, uint32_t index, struct lsp_shim_file *ret_file)
{
	*ret_file = (struct lsp_shim_file){
		.path = source->files[index], .size = FAKE_FILE_SIZE, .first_piece = index};
}

int fake_source_places(struct lsp_shim_source *source, const char *root,
	void (*each)(void *argument, const char *path), void *argument, struct lsp_error *err)
{
	for (unsigned i = 0; i < source->file_count; i++) {
		char path[128];
		snprintf(path, sizeof path, "%s/%s", root ? root : "fake", source->files[i]);
		each(argument, path);
	}
	return 0;
}

int fake_source_bytes(struct lsp_shim_source *source, lsp_shim_take_bytes take, void *argument,
	struct lsp_error *err)
{
	take(argument, source->text, strlen(source->text));
	return 0;
}

int fake_source_priorities(struct lsp_shim_source *source, lsp_shim_take_bytes take, void *argument,
	struct lsp_error *err)
{
	take(argument, "", 0);
	return 0;
}

int fake_source_progress(struct lsp_shim_source *source, const uint8_t *priorities, size_t count,
	struct lsp_shim_progress *ret_progress, struct lsp_error *err)
{
	*ret_progress = (struct lsp_shim_progress){.done = source->done};
	for (unsigned i = 0; i < source->file_count; i++)
		ret_progress->wanted +=
			!priorities || i >= count || priorities[i] ? FAKE_FILE_SIZE : 0;
	return 0;
}
