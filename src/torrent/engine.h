/*
 * The torrent engine: BitTorrent (libtorrent) as one supervised task, for parties that outgrow one
 * LAN.
 *
 * The engine is a worker that alone owns the session. Everybody else talks to it in calls: a
 * command with its arguments goes in from any thread, and is completed exactly once, when it really
 * is done (a remove when the torrent and, if asked for, its data are gone; a move when the files
 * lie there). What happens comes out as events. Both are JSON, in the schema of docs/torrent.md, so
 * that a command of the public API passes through as it is; what JSON cannot carry well (a
 * manifest, a bitmap of pieces, the bytes of a .torrent) travels beside it in the call.
 *
 * Torrents are named by their id: 64 hexadecimal digits of the v2 info-hash (for a library game the
 * content id), 40 of the v1 info-hash where there is no v2. A command takes the id, either
 * info-hash, or a prefix of at least 6 digits that only one torrent has. The id of a torrent that
 * was added by a v1 magnet stays when its metadata turns out to be hybrid.
 *
 * The session comes up when it is first needed: at the start where torrents are stored, else with
 * the first command that wants it. Until then nothing listens.
 *
 * Failure: when the session cannot be opened or breaks, pending calls end with -LSP_E_CLOSED, the
 * health has `session`, every torrent gets a torrent_error, and the supervisor runs the worker
 * again: five times, after 1, 2, 4, 8 and 16 s, each up to three tenths shorter. When the fifth
 * try fails too the engine is unhealthy. While it waits, calls are refused; once it is unhealthy
 * the next call, or LSP_TORRENT_RESTART, starts it afresh and is answered by the new session.
 *
 * Threads: lsp_torrent_call, the health and the counters may be called from every thread and do not
 * block. Completions and events come on the engine's thread, one at a time, without a lock held;
 * they must not block and may call lsp_torrent_call. Completions alone may come on another thread:
 * of calls that were never begun, on the one that stops the engine; of a creation that ends while
 * the engine has failed, on its own.
 *
 * Shutdown: the root token of the tasks is cancelled; the worker pauses the session, saves every
 * torrent that changed, waits for the answers until `shutdown_deadline` after that moment, and
 * ends. lsp_torrent_engine_free comes after the tasks were joined.
 */
#pragma once

#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "wire/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lsp_shim_functions;
struct lsp_supervisor;
struct lsp_tasks;
struct lsp_torrent_engine;

/* ---- Commands ---------------------------------------------------------------------------- */

/*
 * With the arguments that each takes ("torrent" is an id as above; what is not marked * may be
 * absent) and what the answer's value has. Unknown arguments are ignored, wrong ones are
 * -LSP_E_INVALID, a missing one too ("torrent is missing"), an unknown torrent -LSP_E_NOT_FOUND.
 */
enum lsp_torrent_command {
	/*
	 * Exactly one source: "magnet" (text), or the call's metainfo, or the call's manifest.
	 *   "save_path"*: absolute; the folder that gets <name>/…
	 *   "root": the torrent's top folder is called this below save_path, whatever its name is
	 *     (a stage: save_path "<game>/.lanspread/stage", root "files")
	 *   "name" (a label for people), "category", "tags" [text], "game" (kept and given back)
	 *   "storage": "sparse" (default) or "allocate"
	 *   "sequential", "paused", "auto_managed" (default true), "pex" (default true),
	 *   "super_seeding": switches
	 *   "queue_position": number
	 *   "trackers" [url or [url, …] (a tier)], "web_seeds" [url]
	 *   "include" [glob], "exclude" [glob], "skip_fluff", "priorities" {path: "skip"|"low"|
	 *     "normal"|"high"}: in effect before the first byte comes, for magnets too
	 *   "have": "none" (default), "all" (seeded in place, nothing is read), "bitmap" (the
	 *     call's `have`: pieces that were verified before), "check" (files that are there
	 *     are hashed first), "sample": as all, after a check of some pieces by their hashes
	 *   "max_download", "max_upload" (bytes a second, 0 none), "max_connections", "max_uploads"
	 *   "seed_ratio" (1.5: one and a half times), "seed_time" (seconds), "seed_remove" (at
	 *     that point remove instead of pause), "seed_remove_data"
	 *   "transient": not stored: the caller adds it again at the next start (library games)
	 *   "peers" ["address:port"]
	 * Value: a status (see LSP_TORRENT_LIST). -LSP_E_EXISTS: it is here already; the value is
	 * the status of that one.
	 */
	LSP_TORRENT_ADD,
	/*
	 * Makes the bytes of a .torrent on a thread of its own. Source: "path" (absolute, a file or
	 * a folder), or the call's manifest (a library game: nothing is hashed again; with "path",
	 * its folder, where "hybrid" is asked for).
	 *   "name", "hybrid" (v1 and v2: reads everything once for SHA-1), "piece_length" (a power
	 *   of two, 16 KiB to 64 MiB; ignored for a manifest), "trackers", "web_seeds", "private",
	 *   "comment", "source", "job": a text that torrent_create_progress events repeat and
	 *   that LSP_TORRENT_CANCEL names.
	 * Value: {"info_hash_v1", "info_hash_v2", "name", "size", "files", "magnet"}; bytes: the
	 * .torrent.
	 */
	LSP_TORRENT_CREATE,
	/* "job": the create ends with -LSP_E_CANCELLED. Else "torrent"*: what waits for it (a move,
	 * a removal, a pause) ends so; the torrent goes on with it, which the library cannot stop.
	 */
	LSP_TORRENT_CANCEL,
	/* "torrent"*, "data": its files too, of which some must be there (-LSP_E_NOT_FOUND) if it
	 * has content, unless "absent". -LSP_E_IO: it is removed, but its files are not, or
	 * the store still has it; the message says which. "keep": the store keeps it until
	 * LSP_TORRENT_FORGET, so that a kill before that brings it back at the next start. */
	LSP_TORRENT_REMOVE,
	LSP_TORRENT_PAUSE,      /* "torrent"*; once it stands still */
	LSP_TORRENT_RESUME,     /* "torrent"* */
	LSP_TORRENT_SEQUENTIAL, /* "torrent"*, "on"* */
	/* "torrent" (absent: for all together), "max_download", "max_upload": bytes a second, 0
	 * none, at most 2147483647. Answered once the session reads the same values back. */
	LSP_TORRENT_LIMITS,
	/* "torrent"*, "include", "exclude", "skip_fluff", "priorities": what is absent stays; null
	 * is none. Value: {"files":[{"path","size","priority"}]}. */
	LSP_TORRENT_SELECT,
	/* "torrent"*, and of LSP_TORRENT_ADD: name, category, tags, auto_managed, pex,
	 * super_seeding, queue_position, max_connections, max_uploads, seed_*. */
	LSP_TORRENT_OPTIONS,
	/* "torrent"*, "add" and "set" [url or tier], "remove" [url]. Value: {"trackers":[{"url",
	 * "tier","status","message","seeds","peers"}]}; with "torrent" alone it only asks. */
	LSP_TORRENT_TRACKERS,
	LSP_TORRENT_WEB_SEEDS,  /* the same, of web seeds: {"web_seeds":[url]} */
	LSP_TORRENT_REANNOUNCE, /* "torrent"* */
	LSP_TORRENT_RECHECK,    /* "torrent"*; begun, its end is a torrent_state; one that is
				   paused is checked and paused again */
	/* "torrent"*, "save_path"*: once the files are there, however long the disk takes. Value: a
	 * status, with "left" (a message) where not all of it could be deleted at the old place.
	 * -LSP_E_NOT_FOUND: it was removed before. */
	LSP_TORRENT_MOVE,
	LSP_TORRENT_DEADLINE, /* "torrent"*, "piece"*, "milliseconds" (absent: no deadline) */
	/* "torrent"*. Value:
	 * {"peers":[{"address","client","progress","download_rate","upload_rate",
	 * "downloaded","uploaded","encrypted","utp","incoming","seed","choked" (by it),
	 * "unchoked" (by us: it is given what it asks for),"source"}]} */
	LSP_TORRENT_PEERS,
	/* "torrent" (absent: for every torrent but private ones), "peers"*: dialled; or
	 * "lan_peers"*: those that happen to be near, of whom a private torrent is told nothing
	 * (BEP 27). LSP_TORRENT_ADD takes either too. */
	LSP_TORRENT_ADD_PEERS,
	/* Value: {"settings":{name: value}} of the session, "configuration" (as set), "listen"
	 * ["address:port"], "version" of the library, "read_back" (bytes that were read from the
	 * disk to be hashed, up to now), "max_download", "max_upload". */
	LSP_TORRENT_INSPECT,
	/* "configuration"*: an object as in docs/torrent.md; replaces the one in effect. In effect
	 * within 2 s, and answered once it is. */
	LSP_TORRENT_CONFIGURE,
	/*
	 * Value: {"torrents":[status]}; "torrent": that one alone. A status has "id", "name",
	 * "info_hash_v1", "info_hash_v2" (null where there is none), "state" ("queued",
	 * "fetching_metadata", "checking", "downloading", "seeding", "completed", "paused",
	 * "failed"), "error", "done", "total" (bytes, of what is selected), "size",
	 * "download_rate", "upload_rate", "downloaded", "uploaded" (all time), "ratio", "eta_s",
	 * "peers", "seeds", "paused", "sequential", "save_path", "folder" (its name there,
	 * or null), "category", "tags", "game",
	 * "added", "completed" (seconds since 1970), "max_download", "max_upload", "private",
	 * "transient", "reconciled" (why the stored selection was, at the last start; null: it was
	 * not, or there has been another selection since).
	 */
	LSP_TORRENT_LIST,
	/* "torrent"*. Value: {"files":[{"path","size","done","priority"}]}. */
	LSP_TORRENT_FILES,
	/* "torrent"*. Value: {"piece_length","pieces","have"}; bytes: the bitmap of verified
	 * pieces, in the order and numbering of a manifest's chunks for v2 torrents of ours. */
	LSP_TORRENT_HAVE,
	/* "torrent"*. Value: {"magnet", "name"}; bytes: the .torrent, empty while the metadata is
	 * missing. */
	LSP_TORRENT_EXPORT,
	LSP_TORRENT_RESTART, /* a new session, now; answered once it is up */
	LSP_TORRENT_FORGET,  /* "torrent"*: the whole id of one that was removed and kept */
	LSP_TORRENT_COMMAND_COUNT
};

/* "add", "create", … as the commands of the public API end. */
const char *lsp_torrent_command_name(enum lsp_torrent_command command);
/* LSP_TORRENT_COMMAND_COUNT for a word that is none. */
enum lsp_torrent_command lsp_torrent_command_from_name(const char *name);

struct lsp_torrent_answer {
	int result;              /* 0, or a negative code, then with the error */
	struct lsp_error error;  /* its message is for the person who asked */
	json_t *value;           /* the callee may take it (TAKE_PTR); NULL: nothing to tell */
	struct lsp_buffer bytes; /* the same */
};

struct lsp_torrent_call {
	enum lsp_torrent_command command;
	json_t *arguments;                   /* an object, or NULL for none; no one else holds it */
	const struct lsp_manifest *manifest; /* ADD, CREATE; a reference, or NULL */
	struct lsp_buffer metainfo;          /* ADD: the bytes of a .torrent; else empty */
	struct lsp_bitmap have;              /* ADD with "have": "bitmap"; else zero */
	/* Exactly once; may be NULL. answer is the engine's, until it returns. */
	void (*done)(void *argument, struct lsp_torrent_answer *answer);
	void *argument;
};

/*
 * 0: `done` will be called. Else (-LSP_E_CLOSED: session unavailable; -LSP_E_BUSY: too many calls
 * wait; no memory) it will not. Either way the engine has taken over what the call holds, and
 * zeroed it.
 */
LSP_MUST_CHECK int lsp_torrent_call(
	struct lsp_torrent_engine *engine, struct lsp_torrent_call *call, struct lsp_error *err);

#define LSP_TORRENT_CALLS_MAX 4096 /* that may wait at once */

/* ---- Events ------------------------------------------------------------------------------ */

/*
 * One event object, the callee's. Each has "event" and, where it is about one, "torrent":
 *
 *   torrent_added            "status"; of a stored one, until the session has looked at it, with
 *                            "done" and "total", "downloaded" and "uploaded" as it was saved
 *   torrent_removed          "data" (were its files removed); "session_closed": a transient one,
 *                            which went with its session and does not come back by itself
 *   torrent_files            "files" [{"path","size"}]: known now
 *   torrent_metadata         "name", "info_hash_v1", "info_hash_v2", "game"
 *   torrent_progress         "done", "total", "download_rate", "upload_rate", "eta_s", "ratio",
 *                            "downloaded", "uploaded", "peers", "seeds"; at most 10 a second for
 *                            each torrent, and beside these the last one before a torrent_state
 *                            or torrent_completed, which always comes and waits for nothing
 *   torrent_state            "state", "error", and "done" and "total" of the last sample
 *   torrent_completed        "save_path", "name", "game", "total"; once per run of the download
 *   torrent_tracker          "url", "status" ("working", "error", "warning"), "message", "peers"
 *   torrent_error            "code", "message"; and, where the torrent goes on all the same,
 *                            "component": "resume_store" (it could not be stored), "storage" (it
 *                            could not be moved, or something is left where it was)
 *   torrent_selection        "reason": the stored selection was reconciled
 *   torrent_health           "degraded" [component]
 *   torrent_session_error    "component", "message"
 *   torrent_create_progress  "job", "done", "total"
 *   torrent_settings         "settings": what was set of a transient one, or one of a "game", by
 *                            now, which is for whoever adds it again to keep; arguments of add,
 *                            and "trackers_set", "goal_met", which an add takes as well
 */
typedef void (*lsp_torrent_event_function)(void *argument, json_t *event);

/* ---- Health and counters ----------------------------------------------------------------- */

enum lsp_torrent_component {
	LSP_TORRENT_HEALTH_SESSION,      /* cannot be opened, or broke; cleared when it runs */
	LSP_TORRENT_HEALTH_RESUME_STORE, /* a file could not be read or written; by the next good
					    write */
	LSP_TORRENT_HEALTH_TRACKER,      /* did not answer; by a reply of the same tracker */
	LSP_TORRENT_HEALTH_NETWORK, /* cannot listen, no port mapped; by the matching success */
	LSP_TORRENT_HEALTH_STORAGE, /* a torrent's files failed; when that torrent works again */
	LSP_TORRENT_HEALTH_LIMITS, /* rates or settings are not what was asked for; when they are */
	LSP_TORRENT_COMPONENT_COUNT
};

/* "session", "resume_store", "tracker", "network", "storage", "limits". */
const char *lsp_torrent_component_name(enum lsp_torrent_component component);
/* Bit 1 << component of each that is degraded; 0: healthy. */
uint32_t lsp_torrent_health(struct lsp_torrent_engine *engine);

struct lsp_torrent_counters {
	uint64_t torrents, downloading, seeding, failed, peers;
	uint64_t sent, received;              /* payload bytes since the engine started */
	uint64_t upload_rate, download_rate;  /* payload bytes a second, now */
	uint64_t alerts, alerts_dropped;      /* read; lost by the library's own queue */
	uint64_t commands;                    /* completed */
	uint64_t samples, samples_coalesced;  /* of progress: told; merged into a later one */
	uint64_t resume_saved, resume_failed; /* writes of the store */
	uint64_t quarantined;                 /* files of the store that could not be read */
	uint64_t restored;                    /* torrents, at the start */
	uint64_t read_back;                   /* bytes that were read from the disk to be hashed */
	uint64_t sessions;                    /* that were opened */
	uint64_t listens;                     /* how often the library said where it listens */
	bool session_open;
};

void lsp_torrent_counters(
	struct lsp_torrent_engine *engine, struct lsp_torrent_counters *ret_counters);

/* ---- Life -------------------------------------------------------------------------------- */

struct lsp_torrent_options {
	struct lsp_tasks *tasks;
	struct lsp_supervisor *supervisor; /* which runs it, as "torrent" */
	const char *resume_dir;            /* made if missing; the engine's alone */
	const json_t *configuration; /* as LSP_TORRENT_CONFIGURE takes; NULL: defaults; copied */
	lsp_torrent_event_function event;
	void *event_argument;
	/*
	 * Asked of each stored torrent that is not of a game and not paused, before it goes on: is
	 * it to stand still, because of where it lies? 0: it is not; 1: it is, with the reason as
	 * err's message, which is logged if nothing was decided meanwhile; a negative code:
	 * that cannot be said now, it stands still and is asked about again. path: its save_path;
	 * name: of its folder or one file there, NULL while nobody knows. On threads of their own,
	 * several at once, until the tasks were joined; may block on the disk. NULL: none is.
	 */
	int (*hold)(void *argument, const char *id, const char *path, const char *name,
		struct lsp_error *err);
	void *hold_argument;
	uint64_t save_interval;                /* nanoseconds, 30 s to 60 s; 0: 45 s */
	uint64_t shutdown_deadline;            /* nanoseconds; 0: 1.5 s */
	const struct lsp_shim_functions *shim; /* NULL: libtorrent */
	/* Tests: 0 is the default of 1 s, what the first restart waits. */
	uint64_t restart_delay;
};

/*
 * Whether LSP_TORRENT_ADD would take these options, whatever the torrent is: -LSP_E_INVALID names
 * the one that is wrong.
 */
LSP_MUST_CHECK int lsp_torrent_add_check(const json_t *options, struct lsp_error *err);

/* Whether this build has libtorrent. Without it, start gives -LSP_E_UNSUPPORTED. */
bool lsp_torrent_is_supported(void);

/* Reads and writes below resume_dir, checks the configuration, and starts the task. */
LSP_MUST_CHECK int lsp_torrent_engine_start(const struct lsp_torrent_options *options,
	struct lsp_torrent_engine **ret_engine, struct lsp_error *err);
/* After the tasks were joined: answers what was never begun (-LSP_E_CLOSED) and frees it. */
void lsp_torrent_engine_free(struct lsp_torrent_engine *engine);
LSP_DEFINE_CLEANUP(struct lsp_torrent_engine *, lsp_torrent_engine_free);

/* Whether this configuration would be taken: -LSP_E_INVALID names the key and what it wants. */
LSP_MUST_CHECK int lsp_torrent_configuration_check(
	const json_t *configuration, struct lsp_error *err);
