/*
 * Other people's torrents: what a .torrent file of any maker says, and the game in it.
 *
 * A manifest (wire/manifest.h) is one canonical v2 torrent. The same files travel as other torrents
 * too: hybrid ones, with trackers' keys in the info dictionary, with another piece length. This
 * reads them all, and tells whether the files are those of a manifest: same paths, lengths and
 * roots. Where a torrent has the roots (v2 and hybrid) and pieces no longer than the canonical
 * ones, its manifest follows from it without the files: hashes of smaller pieces are merged.
 *
 * Nothing is believed: counts and sizes have the limits of a manifest, paths are checked when a
 * manifest is made of them, layers against their roots. Pure; immutable once parsed; one owner.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "wire/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the largest .torrent that is read. */
#define LSP_METAINFO_MAX (LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX)

struct lsp_metainfo_file {
	const char *path; /* below the torrent's top folder, '/' between; not checked */
	uint64_t size;
	bool executable, symlink;
	bool has_root;        /* the torrent has a v2 part */
	struct lsp_hash root; /* all zero if empty */
	const uint8_t *layer; /* its piece layer, 32 bytes a piece, or NULL */
	size_t layer_count;
};

struct lsp_metainfo {
	char *name;          /* of the top folder, or of the one file; not checked */
	bool v1, v2;         /* both: hybrid */
	bool single;         /* one file, which is called `name` */
	const uint8_t *info; /* the info dictionary, in the bytes that were parsed */
	size_t info_size;
	struct lsp_hash info_v2;         /* SHA-256 of it */
	uint32_t piece_length;           /* a power of two from 16 KiB on when v2 */
	uint64_t total_size;             /* without pad files */
	struct lsp_metainfo_file *files; /* without pad files; in the torrent's order */
	size_t file_count;
};

/*
 * The bytes of a .torrent file, which must outlive the result (layers point into them).
 * -LSP_E_PROTOCOL names what is wrong, -LSP_E_TOO_LARGE a limit. Keys that mean nothing here are
 * passed over.
 */
LSP_MUST_CHECK int lsp_metainfo_parse(
	const void *data, size_t size, struct lsp_metainfo **ret_metainfo, struct lsp_error *err);
void lsp_metainfo_free(struct lsp_metainfo *metainfo);
LSP_DEFINE_CLEANUP(struct lsp_metainfo *, lsp_metainfo_free);
#define _cleanup_metainfo_ _cleanup_(lsp_metainfo_free_pointer)

/* The file with that path, or NULL. O(files). */
const struct lsp_metainfo_file *lsp_metainfo_find(
	const struct lsp_metainfo *metainfo, const char *path);

/*
 * The manifest of the game `id` that these files are. -LSP_E_UNSUPPORTED: it does not follow from
 * the torrent alone (v1 only, or pieces longer than the canonical ones); -LSP_E_INVALID names a
 * file that no game may have; -LSP_E_PROTOCOL: layers are missing or wrong.
 */
LSP_MUST_CHECK int lsp_metainfo_manifest(const struct lsp_metainfo *metainfo, const char *id,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err);

/* Are these the files of that manifest, by path, length and root? Never for a v1 torrent. */
bool lsp_metainfo_is(const struct lsp_metainfo *metainfo, const struct lsp_manifest *manifest);
