/*
 * What the headers of a RAR volume say that libarchive does not: that something is encrypted, that
 * a volume before or behind it is needed, and that its end is missing (libarchive takes an end
 * between two headers for the archive's). Both formats, as their author describes them
 * (technote.txt of RAR 4 and of RAR 5). Nothing is unpacked, and nothing here is trusted: what
 * makes no sense ends the look, and the unpacker says what is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct lsp_rar_facts {
	bool is_rar;
	bool encrypted;
	char encrypted_name[160]; /* "" when the very names are encrypted */
	bool later_volume;        /* it is a volume, and not the first */
	bool more_volumes;        /* another one follows */
	bool incomplete;          /* cut off, or damaged so that its end cannot be found */
};

/* Looks at no more than `blocks` headers. Reads at their places; never fails. */
void lsp_rar_look(int fd, uint64_t blocks, struct lsp_rar_facts *ret_facts);
