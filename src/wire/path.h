/*
 * Names that come from others, and the rules they must keep.
 *
 * A path in a manifest is relative, with '/' between its components, UTF-8 in NFC. It must mean the
 * same on every system that a party has (ext4, NTFS, exFAT; with case or without), lead nowhere but
 * down, and look like what it is. What is refused, and why, stands at lsp_path_check. A local file
 * with such a name is refused in the same words when its folder is hashed: `add --pack` is the way
 * out. Below the games folder, openat2(2) in base/fs.h is the second line of defence.
 *
 * Pure; from every thread.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define LSP_PATH_MAX 1024          /* bytes of a path */
#define LSP_PATH_COMPONENT_MAX 255 /* bytes of one name */
#define LSP_PATH_DEPTH_MAX 32      /* components */
#define LSP_GAME_ID_MAX 100        /* bytes */
#define LSP_LABEL_MAX 200          /* bytes of a title or a name for people */

/*
 * One name: 1 to 255 bytes of valid UTF-8 in NFC; no '/', '\', ':', '*', '?', '"', '<', '>', '|';
 * no control character (C0, DEL, C1, line and paragraph separator), no bidi control or byte-order
 * mark, no noncharacter; no trailing dot or space (so neither "." nor ".."); no device name of
 * Windows (CON, PRN, AUX, NUL, COM0-9, LPT0-9, CONIN$, CONOUT$; with an extension too).
 * -LSP_E_INVALID names the rule.
 */
LSP_MUST_CHECK int lsp_path_check_name(const char *name, size_t size, struct lsp_error *err);

/*
 * A whole relative path of a game's content: names with single '/' between, within the limits
 * above, the first not one of our own (`local`, `local.kept-…`, `.lanspread`, in any case, nor
 * an 8.3 alias of the last).
 */
LSP_MUST_CHECK int lsp_path_check(const char *path, size_t size, struct lsp_error *err);

/*
 * Is this name, at the top of a game's folder, ours and never shared? Exactly: "Local" is neither
 * ours nor allowed in a manifest.
 */
bool lsp_path_is_private(const char *name);

/*
 * Two names collide when their keys are equal: Unicode case folding and NFC, ignorable characters
 * dropped. The caller frees the key. The path must have passed lsp_path_check.
 */
LSP_MUST_CHECK int lsp_path_key(
	const char *path, size_t size, char **ret_key, struct lsp_error *err);

/*
 * The order of files in a manifest: component by component, raw bytes. Equal to sorting the
 * dictionaries of the file tree, which plain strcmp of paths is not ("a/b" before "a.b").
 */
int lsp_path_compare(const char *a, const char *b);

/*
 * A game's id is the name of its folder in the games folder: a name as above, at most
 * LSP_GAME_ID_MAX bytes, which begins with none of '.', '-', '~', '$' and space (hidden, an option,
 * a home, a system folder).
 */
LSP_MUST_CHECK int lsp_game_id_check(const char *id, size_t size, struct lsp_error *err);

/*
 * A text for people from outside (a title, a peer's name) made harmless: bad UTF-8, control and
 * bidi characters become U+FFFD, and it is cut to `max` bytes at a character. `out` has max + 1
 * bytes.
 */
void lsp_label_clean(const char *text, size_t size, char *out, size_t max);
