#include "install/rar.h"

#include "base/fs.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_MAX 65536 /* a longer header is looked at up to here */

/* A header in memory, and how far it is read. Reading past its end gives 0 and sets `bad`. */
struct header {
	uint8_t data[HEADER_MAX];
	size_t size, at;
	bool bad;
};

/* The next bytes, as a number of the lowest eight of them. */
static uint64_t take(struct header *header, unsigned bytes)
{
	uint64_t value = 0;
	if (header->size - header->at < bytes) {
		header->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes && i < sizeof value; i++)
		value |= (uint64_t)header->data[header->at + i] << (8 * i);
	header->at += bytes;
	return value;
}

/* Seven bits a byte, lowest first, at most ten bytes. */
static uint64_t take_number(struct header *header)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < 10; i++) {
		uint64_t byte = take(header, 1);
		if (header->bad)
			return 0;
		value |= (byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return value;
	}
	header->bad = true;
	return 0;
}

static void take_name(struct header *header, uint64_t length, struct lsp_rar_facts *facts)
{
	if (header->size - header->at < length)
		length = header->size - header->at;
	snprintf(facts->encrypted_name, sizeof facts->encrypted_name, "%.*s",
		(int)LSP_MIN(length, (uint64_t)150), header->data + header->at);
}

static bool load(int fd, uint64_t offset, size_t size, struct header *header)
{
	size_t got = 0;
	header->at = 0;
	header->bad = false;
	header->size = 0;
	if (lsp_fs_read_at(
		    fd, header->data, LSP_MIN(size, (size_t)HEADER_MAX), offset, &got, NULL) < 0)
		return false;
	header->size = got;
	return got > 0;
}

/* ---- RAR 5 ---- */

enum { RAR5_MAIN = 1, RAR5_FILE = 2, RAR5_SERVICE = 3, RAR5_ENCRYPTION = 4, RAR5_END = 5 };

/* header->at is behind the common fields; the extra area is its last `extra` bytes. */
static void look_at_rar5_file(struct header *header, uint64_t extra, struct lsp_rar_facts *facts)
{
	if (extra == 0 || extra > header->size)
		return;
	struct header records = *header;
	records.at = header->size - (size_t)extra;
	while (!records.bad && records.at < records.size) {
		uint64_t size = take_number(&records);
		size_t start = records.at;
		uint64_t type = take_number(&records);
		if (records.bad || size == 0 || size > records.size - start)
			return;
		if (type == 1) { /* file encryption */
			facts->encrypted = true;
			break;
		}
		records.at = start + (size_t)size;
	}
	if (!facts->encrypted)
		return;
	uint64_t flags = take_number(header);
	take_number(header); /* unpacked size */
	take_number(header); /* attributes */
	take(header, (flags & 2 ? 4 : 0) + (flags & 4 ? 4 : 0));
	take_number(header); /* method */
	take_number(header); /* system */
	take_name(header, take_number(header), facts);
}

static void look_at_rar5(
	int fd, uint64_t blocks, struct header *header, struct lsp_rar_facts *facts)
{
	uint64_t at = 8;
	for (uint64_t i = 0; i < blocks && !facts->encrypted; i++) {
		facts->incomplete = true; /* until an end is found: this format always has one */
		if (!load(fd, at + 4, 10, header))
			return;
		uint64_t size = take_number(header);
		uint64_t start = at + 4 + header->at;
		if (header->bad || size == 0 || size > (2u << 20) ||
			!load(fd, start, (size_t)size, header))
			return;
		uint64_t type = take_number(header), flags = take_number(header);
		uint64_t extra = flags & 1 ? take_number(header) : 0;
		uint64_t data = flags & 2 ? take_number(header) : 0;
		if (header->bad || data > INT64_MAX / 2)
			return;
		if (type == RAR5_ENCRYPTION) {
			facts->encrypted = true;
		} else if (type == RAR5_FILE) {
			look_at_rar5_file(header, extra, facts);
		} else if (type == RAR5_MAIN) { /* only later volumes have a number */
			uint64_t archive_flags = take_number(header);
			facts->later_volume = (archive_flags & 3) == 3;
		} else if (type == RAR5_END) {
			facts->more_volumes = take_number(header) & 1;
			facts->incomplete = header->bad;
			return;
		}
		at = start + size + data;
	}
	facts->incomplete = false;
}

/* ---- RAR 4 ---- */

enum { RAR4_MAIN = 0x73, RAR4_FILE = 0x74, RAR4_END = 0x7b };

static uint64_t file_size(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void look_at_rar4(
	int fd, uint64_t blocks, struct header *header, struct lsp_rar_facts *facts)
{
	uint64_t at = 7, end = file_size(fd);
	for (uint64_t i = 0; i < blocks && !facts->encrypted; i++) {
		facts->incomplete = at != end; /* an end mark may have been left out */
		if (!load(fd, at, 1024, header))
			return;
		take(header, 2); /* checksum */
		uint64_t type = take(header, 1), flags = take(header, 2), size = take(header, 2);
		bool has_data = type == RAR4_FILE || flags & 0x8000;
		uint64_t data = has_data ? take(header, 4) : 0;
		if (header->bad || size < 7)
			return;
		if (type == RAR4_MAIN) {
			facts->encrypted = flags & 0x80;
			facts->later_volume = (flags & 1) && !(flags & 0x100);
		} else if (type == RAR4_FILE) {
			take(header, 4 + 1 + 4 + 4 + 1 + 1);
			uint64_t name = take(header, 2);
			take(header, 4);
			data |= flags & 0x100 ? take(header, 4) << 32 : 0;
			take(header, flags & 0x100 ? 4 : 0);
			facts->encrypted = flags & 4;
			if (facts->encrypted)
				take_name(header, name, facts);
		} else if (type == RAR4_END) {
			facts->more_volumes = flags & 1;
			facts->incomplete = false;
			return;
		}
		if (data > INT64_MAX / 2)
			return;
		at += size + data;
	}
	facts->incomplete = false;
}

void lsp_rar_look(int fd, uint64_t blocks, struct lsp_rar_facts *ret_facts)
{
	static const char rar5[] = "Rar!\x1a\x07\x01";
	static const char rar4[] = "Rar!\x1a\x07";
	*ret_facts = (struct lsp_rar_facts){0};
	struct header *header = calloc(1, sizeof *header);
	if (!header || !load(fd, 0, 8, header) || header->size < 8 ||
		memcmp(header->data, rar4, 6) != 0) {
		free(header);
		return;
	}
	ret_facts->is_rar = true;
	if (memcmp(header->data, rar5, 7) == 0)
		look_at_rar5(fd, blocks, header, ret_facts);
	else
		look_at_rar4(fd, blocks, header, ret_facts);
	free(header);
}
