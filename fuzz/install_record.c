/*
 * Install records with a right checksum and whatever before it: they are read or refused, and what
 * was read is written and read again as the same.
 */
#include "base/fs.h"
#include "base/sha256.h"
#include "folder.h"
#include "install/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(int dir, const char *name, const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct lsp_buffer whole = {0};
	struct lsp_hash hash;
	lsp_sha256(&hash, data, size);
	assert(lsp_buffer_append(&whole, data, size, NULL) == 0);
	assert(lsp_buffer_append(&whole, &hash, sizeof hash, NULL) == 0);
	assert(lsp_fs_write_file_below(dir, name, whole.data, whole.size, 0600, NULL) == 0);
}

static void read_again(int dir, const struct lsp_record *record)
{
	_cleanup_record_ struct lsp_record again = {0};
	assert(lsp_record_write(record, dir, "again", NULL) == 0);
	assert(lsp_record_read(dir, "again", &again, NULL) == 0);
	assert(again.count == record->count && strcmp(again.version, record->version) == 0);
	for (size_t i = 0; i < again.count; i++) {
		const struct lsp_record_file *a = &again.files[i], *b = &record->files[i];
		assert(strcmp(a->path, b->path) == 0 && a->size == b->size &&
			a->stamp == b->stamp && a->link == b->link);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_record_ struct lsp_record record = {0};
	struct lsp_error err = {0};
	int dir = fuzz_folder();
	put(dir, "record", data, size);
	if (lsp_record_read(dir, "record", &record, &err) == 0)
		read_again(dir, &record);
	else
		assert(err.message[0]);
	return 0;
}
