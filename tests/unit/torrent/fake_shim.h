/*
 * A shim without a library: torrents are entries of a table, alerts are what a test posts. A source
 * is a text: "magnet:?xt=urn:btih:" and 40 digits; or, as a .torrent and as resume data,
 * "torrent:" and 64 digits and a ':' between the names of its files, each of a mebibyte; one whose
 * first file is called "private" is. Resume data have behind a '|' what it has, and how long it has
 * been active: as often as it was saved. What begins like a real .torrent is one too, always the
 * same.
 *
 * It says where it listens when it was told to listen nowhere, and then somewhere again.
 *
 * A move goes on until a test posts its end. Of one that is removed with its data DELETED or
 * DELETE_FAILED are the test's to post.
 *
 * One session at a time. The test's thread posts, the worker's pops: a lock is around all of it.
 */
#pragma once

#include "torrent/shim.h"

extern const struct lsp_shim_functions fake_shim;

/* Everything as at the start. */
void fake_reset(void);
/* The next so many opens fail. */
void fake_fail_opens(int count);
int fake_opens(void);
/* The next so many adds fail, which an alert tells. */
void fake_fail_adds(int count);
/* The next so many resumes are refused. */
void fake_fail_resumes(int count);
/* Posts an alert about the torrent with that id (NULL: about the session), and notifies. */
void fake_post(enum lsp_shim_alert_type type, const char *id, const char *text, const char *error,
	int64_t number);
/* The next alert of this type is lost: in its place comes that some were. */
void fake_lose(enum lsp_shim_alert_type type);
/* It stands still for this reason, from now on. */
void fake_error(const char *id, const char *error);
/* What it has is so, from now on; told at the next post_updates. */
void fake_progress(const char *id, int64_t done, uint32_t state, uint32_t flags);
/* How often the worker asked for updates, and for what it should save. */
int fake_updates(void);
int fake_saves(const char *id);
/* What add was given. */
uint32_t fake_add_flags(const char *id);
/* How many peers it was told of. */
int fake_peers(const char *id);
/* What is to be saved is not answered any more. */
void fake_hold_saves(int on);
/* That a torrent is active changes it, as libtorrent 2.0.8 has it: there is always something new.
 */
void fake_count_active(int on);
/* It does not say of a torrent that it moves. */
void fake_hide_moves(int on);
/* How often the session was asked how one torrent is, or all are, since it was halted. */
int fake_looks(void);
/* How often it was told of a new place for the files of any torrent. */
int fake_moves_told(void);
/* Until it was told so often of a new place for this torrent's files: they are there by then. */
void fake_await_move(const char *id, int count);
/* Until it was told to remove this torrent. */
void fake_await_removal(const char *id);
/* One that is told to pause says so at once, and PAUSED is the test's to post. */
void fake_hold_pauses(int on);
/* How often the metadata of a torrent was copied. */
int fake_copies(void);
bool fake_is_open(void);
/* The session keeps to itself what it is told about limits. */
void fake_ignore_limits(int on);
