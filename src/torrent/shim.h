/*
 * The shim: libtorrent as a table of C functions, and the only place where C++ is met.
 *
 * It translates and decides nothing: no policy, no state of ours but a table from our torrents'
 * numbers to libtorrent's handles. Everything that crosses is a plain struct whose size is pinned
 * below, an opaque handle, or text and bytes. Every exception is caught inside and becomes an error
 * (-LSP_E_FAILED with the library's own words, unless a better code is known). Because it is a
 * table, a test puts a fake in its place and drives the worker without a session.
 *
 * A torrent is known here by a number that the caller chose (never 0); it is the same in alerts.
 *
 * Threads: a session belongs to the one thread that opened it; `notify` alone is called from
 * another. What is marked "pure" may be called from every thread. Pointers handed to callbacks and
 * in alerts live until the callback returns, alerts until the next `pop`. Functions marked "waits"
 * ask the library's network thread and wait for it, some microseconds; `close` waits for the
 * library to stop, for as long as it is told to.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/error.h"

#ifdef __cplusplus
#define LSP_SHIM_PIN(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define LSP_SHIM_PIN(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif

struct lsp_shim;        /* a session */
struct lsp_shim_source; /* what a torrent is to be made of: parsed, and not yet added */

/* ---- What crosses ------------------------------------------------------------------------ */

enum lsp_shim_setting_kind { LSP_SHIM_NUMBER, LSP_SHIM_SWITCH, LSP_SHIM_TEXT };

/* One setting, by the library's own name for it. */
struct lsp_shim_setting {
	const char *name;
	const char *text; /* TEXT */
	int64_t number;   /* NUMBER, SWITCH; a NUMBER is at most INT32_MAX */
	uint32_t kind;
	uint32_t reserved;
};
LSP_SHIM_PIN(lsp_shim_setting, 32);

struct lsp_shim_bytes {
	const void *data;
	uint64_t size;
};
LSP_SHIM_PIN(lsp_shim_bytes, 16);

struct lsp_shim_texts {
	const char *const *text;
	const int32_t *tier; /* of trackers; NULL: each its own index */
	uint64_t count;
};
LSP_SHIM_PIN(lsp_shim_texts, 24);

#define LSP_SHIM_HAS_V1 1u
#define LSP_SHIM_HAS_V2 2u
#define LSP_SHIM_HAS_METADATA 4u
#define LSP_SHIM_PRIVATE 8u
#define LSP_SHIM_SINGLE_FILE 32u /* a file without a folder around it */
#define LSP_SHIM_HAS_LAYERS 16u  /* all piece layers of the v2 part are there */

/* What is known of a torrent. */
struct lsp_shim_info {
	uint8_t v1[20];
	uint8_t v2[32];
	uint32_t flags;        /* LSP_SHIM_HAS_… */
	const char *name;      /* as in the metadata or the magnet; may be empty */
	const char *save_path; /* of resume data, else empty */
	uint64_t size;         /* bytes of content, without padding */
	uint64_t piece_length;
	uint32_t pieces;
	uint32_t files; /* padding files counted */
};
LSP_SHIM_PIN(lsp_shim_info, 96);

#define LSP_SHIM_FILE_PAD 1u
#define LSP_SHIM_FILE_EXECUTABLE 2u
#define LSP_SHIM_FILE_SYMLINK 4u

struct lsp_shim_file {
	const char *path; /* below the torrent's top folder; the name itself of a single file */
	uint64_t size;
	uint32_t flags;
	uint32_t first_piece; /* the piece that its first byte is in */
};
LSP_SHIM_PIN(lsp_shim_file, 24);

/* A part of a file, for hashing a piece: `path` as in lsp_shim_file. */
struct lsp_shim_slice {
	const char *path;
	uint64_t offset;
	uint64_t size;
	uint32_t pad; /* 1: zeros, in no file */
	uint32_t reserved;
};
LSP_SHIM_PIN(lsp_shim_slice, 32);

#define LSP_SHIM_PAUSED 1u
#define LSP_SHIM_AUTO_MANAGED 2u
#define LSP_SHIM_SEQUENTIAL 4u
#define LSP_SHIM_SUPER_SEEDING 8u
#define LSP_SHIM_NO_PEX 16u
#define LSP_SHIM_SKIP_BY_DEFAULT 32u /* nothing is wanted until priorities are set */
#define LSP_SHIM_ALLOCATE 64u        /* add only: files at their full size at once */
#define LSP_SHIM_HAVE_ALL 128u       /* add only: every piece is there, none is read */
#define LSP_SHIM_SEEDING 256u        /* status only */
#define LSP_SHIM_FINISHED 512u       /* status only: all that is wanted is here */
#define LSP_SHIM_METADATA 1024u      /* status only */
#define LSP_SHIM_MOVING 2048u        /* status only */
#define LSP_SHIM_CHECK 4096u         /* add only: what the resume data says of pieces is dropped */
#define LSP_SHIM_FLAG_MASK 62u       /* those that set_flags takes */

struct lsp_shim_add {
	uint64_t torrent; /* our number */
	const char *save_path;
	const char *root;    /* the top folder's name on disk; NULL: as in the metadata */
	const char *name;    /* NULL: the metadata's */
	const uint8_t *have; /* bit 0 is the high bit; NULL: none, or those of the resume data */
	uint64_t have_bits;
	const uint8_t *priorities; /* by file: 0 skip, 1 low, 4 normal, 7 high; NULL: all normal */
	uint64_t priority_count;
	struct lsp_shim_texts
		trackers; /* added to the source's own; replace them for resume data */
	struct lsp_shim_texts web_seeds; /* the same */
	struct lsp_shim_texts peers;     /* "address:port" */
	uint32_t flags;
	int32_t max_download; /* bytes a second; 0 none */
	int32_t max_upload;
	int32_t max_connections; /* 0: no limit of its own */
	int32_t max_uploads;
	int32_t replace_trackers; /* 1: trackers and web_seeds stand for all there are */
};
LSP_SHIM_PIN(lsp_shim_add, 160);

/* What goes with a torrent that is removed. */
enum lsp_shim_removal {
	LSP_SHIM_REMOVE_PARTS, /* the library's own file of what is not wanted */
	LSP_SHIM_REMOVE_DATA,  /* all of its files */
	LSP_SHIM_REMOVE_NOTHING
};

enum lsp_shim_state {
	LSP_SHIM_STATE_CHECKING_RESUME,
	LSP_SHIM_STATE_CHECKING,
	LSP_SHIM_STATE_METADATA,
	LSP_SHIM_STATE_DOWNLOADING,
	LSP_SHIM_STATE_FINISHED,
	LSP_SHIM_STATE_SEEDING,
};

struct lsp_shim_status {
	uint64_t torrent;
	uint32_t state; /* enum lsp_shim_state */
	uint32_t flags;
	int64_t done; /* bytes of what is wanted */
	int64_t wanted;
	int64_t size;
	int64_t downloaded; /* payload, all time */
	int64_t uploaded;
	int64_t session_downloaded; /* payload, since it was added to this session */
	int64_t session_uploaded;
	int64_t added; /* seconds since 1970 */
	int64_t completed;
	int64_t finished_seconds; /* how long it has had all that is wanted and was not paused */
	int32_t download_rate;    /* payload bytes a second */
	int32_t upload_rate;
	int32_t peers;
	int32_t seeds;
	int32_t queue_position; /* −1: not queued */
	int32_t progress_ppm;   /* also of a check */
	const char *error;      /* empty: none */
	const char *save_path;
	const char *name;
	const char *tracker; /* the last that answered */
};
LSP_SHIM_PIN(lsp_shim_status, 152);

/* Of a status, what is known before there is one. */
struct lsp_shim_progress {
	int64_t done;
	int64_t wanted;
	int64_t downloaded;
	int64_t uploaded;
};
LSP_SHIM_PIN(lsp_shim_progress, 32);

struct lsp_shim_tracker {
	const char *url;
	const char *message;
	int32_t tier;
	int32_t failures;
	int32_t seeds; /* −1: not told */
	int32_t peers;
	uint32_t verified; /* 1: it has answered */
	uint32_t updating;
};
LSP_SHIM_PIN(lsp_shim_tracker, 40);

#define LSP_SHIM_PEER_UTP 1u
#define LSP_SHIM_PEER_ENCRYPTED 2u
#define LSP_SHIM_PEER_SEED 4u
#define LSP_SHIM_PEER_INCOMING 8u
#define LSP_SHIM_PEER_CHOKED 16u /* by it */
#define LSP_SHIM_PEER_INTERESTED 32u
#define LSP_SHIM_PEER_UNCHOKED 64u /* by us: it is given what it asks for */

struct lsp_shim_peer {
	const char *address; /* "address:port" */
	const char *client;  /* what it says it is; not escaped */
	/* "tracker" (peers that we were told to offer, too), "dht", "pex", "lsd", "resume",
	 * "incoming", "manual" */
	const char *source;
	int64_t downloaded; /* payload, from it */
	int64_t uploaded;
	int32_t download_rate;
	int32_t upload_rate;
	int32_t progress_ppm;
	uint32_t flags;
};
LSP_SHIM_PIN(lsp_shim_peer, 56);

enum lsp_shim_alert_type {
	LSP_SHIM_ALERT_ADDED,         /* error */
	LSP_SHIM_ALERT_REMOVED,       /* it is out of the session */
	LSP_SHIM_ALERT_DELETED,       /* and its files are gone */
	LSP_SHIM_ALERT_DELETE_FAILED, /* error */
	LSP_SHIM_ALERT_STATE,         /* number: enum lsp_shim_state */
	LSP_SHIM_ALERT_FINISHED,      /* all that is wanted is here */
	LSP_SHIM_ALERT_CHECKED,
	LSP_SHIM_ALERT_PAUSED,
	LSP_SHIM_ALERT_RESUMED,
	LSP_SHIM_ALERT_METADATA,
	LSP_SHIM_ALERT_METADATA_FAILED, /* error */
	LSP_SHIM_ALERT_TORRENT_ERROR,   /* error; it stands still */
	LSP_SHIM_ALERT_FILE_ERROR,      /* error, text: the file */
	LSP_SHIM_ALERT_TRACKER_REPLY,   /* text: url; number: peers */
	LSP_SHIM_ALERT_TRACKER_WARNING, /* text: url, error: message */
	LSP_SHIM_ALERT_TRACKER_ERROR,   /* the same */
	LSP_SHIM_ALERT_WEB_SEED_ERROR,  /* text: url, error */
	LSP_SHIM_ALERT_RESUME_DATA,     /* data */
	LSP_SHIM_ALERT_RESUME_FAILED,   /* error; number 1: nothing has changed since */
	LSP_SHIM_ALERT_RESUME_REJECTED, /* error: what was restored is checked instead */
	LSP_SHIM_ALERT_MOVED,           /* text: where it is */
	LSP_SHIM_ALERT_MOVE_FAILED,     /* error */
	LSP_SHIM_ALERT_LISTENING,       /* text: "address:port", number: 1 TCP, 0 other */
	LSP_SHIM_ALERT_LISTEN_FAILED,   /* text, error */
	LSP_SHIM_ALERT_PORT_MAPPED,
	LSP_SHIM_ALERT_PORT_MAP_FAILED, /* error */
	LSP_SHIM_ALERT_STATUS,          /* status; one of each torrent that changed */
	LSP_SHIM_ALERT_COUNTED,         /* number: bytes read back from the disk to be hashed */
	LSP_SHIM_ALERT_DROPPED,         /* the library threw alerts away; number 1: of where it
					   listens, or of the ports it had mapped, too */
	LSP_SHIM_ALERT_SESSION_ERROR,   /* error: the session is broken */
	LSP_SHIM_ALERT_COUNT
};

#define LSP_SHIM_NO_SPACE 1 /* lsp_shim_alert.code: the disk is full */

struct lsp_shim_alert {
	uint32_t type;
	int32_t code;     /* 0, or what kind of error it is where we care */
	uint64_t torrent; /* 0: about the session, or a torrent that is no longer known */
	int64_t number;
	const char *text;  /* never NULL */
	const char *error; /* never NULL; empty: none */
	struct lsp_shim_bytes data;
	const struct lsp_shim_status *status; /* STATUS; name and save_path are empty */
};
LSP_SHIM_PIN(lsp_shim_alert, 64);

/* ---- The table --------------------------------------------------------------------------- */

typedef void (*lsp_shim_take_bytes)(void *argument, const void *data, size_t size);

struct lsp_shim_functions {
	const char *(*version)(void); /* pure */

	/* -- Sources: pure, block for as long as parsing takes (no disk) -- */

	/* Exactly one of the three has a size or is no NULL. -LSP_E_PROTOCOL: it is none. */
	int (*parse)(const char *magnet, const struct lsp_shim_bytes *metainfo,
		const struct lsp_shim_bytes *resume, struct lsp_shim_source **ret_source,
		struct lsp_error *err);
	void (*source_free)(struct lsp_shim_source *source); /* NULL is fine */
	/* The texts live as long as the source. */
	void (*source_info)(const struct lsp_shim_source *source, struct lsp_shim_info *ret_info);
	/* index below info.files. The path lives until the next call. */
	void (*source_file)(
		struct lsp_shim_source *source, uint32_t index, struct lsp_shim_file *ret_file);
	/*
	 * Where its files are below save_path with that root (NULL: the metadata's own), padding
	 * left out; none while the metadata is missing.
	 */
	int (*source_places)(struct lsp_shim_source *source, const char *root,
		void (*each)(void *argument, const char *path), void *argument,
		struct lsp_error *err);
	/*
	 * The parts of a piece and its hash: 32 bytes, the root of the piece's own tree, where
	 * there is a v2 part with layers (*ret_leaves: how many leaves that tree has, a power of
	 * two), else 20 bytes of SHA-1 (*ret_leaves 0).
	 */
	int (*source_piece)(struct lsp_shim_source *source, uint32_t piece,
		void (*each)(void *argument, const struct lsp_shim_slice *slice), void *argument,
		uint8_t ret_hash[32], uint32_t *ret_leaves, struct lsp_error *err);
	/* The .torrent that it is; nothing while the metadata is missing. */
	int (*source_metainfo)(struct lsp_shim_source *source, lsp_shim_take_bytes take,
		void *argument, struct lsp_error *err);
	/* Of resume data: a byte for each file, nothing where all are normal. */
	int (*source_priorities)(struct lsp_shim_source *source, lsp_shim_take_bytes take,
		void *argument, struct lsp_error *err);
	int (*source_magnet)(struct lsp_shim_source *source, lsp_shim_take_bytes take,
		void *argument, struct lsp_error *err);
	/* How far it is by its resume data. priorities: as in lsp_shim_add; NULL: those of the
	 * resume data. done and wanted are 0 while the metadata is missing. */
	int (*source_progress)(struct lsp_shim_source *source, const uint8_t *priorities,
		size_t count, struct lsp_shim_progress *ret_progress, struct lsp_error *err);

	/* -- The session -- */

	/*
	 * notify is called from a thread of the library's when alerts are there after there were
	 * none; it may only wake somebody up.
	 */
	int (*open)(const struct lsp_shim_setting *settings, size_t count,
		void (*notify)(void *argument), void *argument, struct lsp_shim **ret_shim,
		struct lsp_error *err);
	/* NULL is fine. Waits so long at most for the library's threads; what still waits then, for
	 * a name server say, ends by itself: no file, port or callback is its any more. */
	void (*close)(struct lsp_shim *shim, uint32_t milliseconds);
	int (*apply)(struct lsp_shim *shim, const struct lsp_shim_setting *settings, size_t count,
		struct lsp_error *err);
	/* waits. -LSP_E_NOT_FOUND: the library has no such setting. The text lives until the next.
	 */
	int (*setting)(struct lsp_shim *shim, const char *name,
		struct lsp_shim_setting *ret_setting, struct lsp_error *err);
	/* The names of all its settings, in turn; NULL after the last. Pure. */
	const char *(*setting_name)(size_t index);
	/* Ranges of addresses that are blocked ("first" to "last"), in place of those before. */
	int (*set_ip_filter)(struct lsp_shim *shim, const char *const (*ranges)[2], size_t count,
		struct lsp_error *err);
	/* Peers of the LAN are under the global limits too, or (0) not, as the library has it.
	 * Either way they need no slot to be given something. */
	int (*limit_lan)(struct lsp_shim *shim, int on, struct lsp_error *err);
	int (*add_dht_node)(
		struct lsp_shim *shim, const char *host, uint32_t port, struct lsp_error *err);

	/* Calls for every alert that waits, until there is none. One that cannot be translated is
	 * a lost one: DROPPED comes in its place. */
	void (*pop)(struct lsp_shim *shim,
		void (*each)(void *argument, const struct lsp_shim_alert *alert), void *argument);
	/* Every torrent stands still, and peers are let go; what each is to do is not changed. */
	int (*halt)(struct lsp_shim *shim, struct lsp_error *err);
	void (*post_updates)(struct lsp_shim *shim); /* STATUS alerts of what changed follow */
	void (*post_counts)(struct lsp_shim *shim);  /* COUNTED follows */

	/*
	 * After alerts were lost: `each` for every torrent that the session has, which is known
	 * again by its number if its ADDED was among them; the others are forgotten. What the
	 * session was told before has been done by then. waits
	 */
	int (*present)(struct lsp_shim *shim, void (*each)(void *argument, uint64_t torrent),
		void *argument, struct lsp_error *err);

	/* -- Torrents. -LSP_E_NOT_FOUND: no such number. -- */

	/* Takes the source. ADDED follows, whatever becomes of it. */
	int (*add)(struct lsp_shim *shim, struct lsp_shim_source *source,
		const struct lsp_shim_add *add, struct lsp_error *err);
	/* what: enum lsp_shim_removal. REMOVED follows; with data DELETED or DELETE_FAILED too. */
	int (*remove)(struct lsp_shim *shim, uint64_t torrent, int what, struct lsp_error *err);
	int (*pause)(struct lsp_shim *shim, uint64_t torrent, struct lsp_error *err);
	int (*resume)(struct lsp_shim *shim, uint64_t torrent, struct lsp_error *err);
	int (*set_flags)(struct lsp_shim *shim, uint64_t torrent, uint32_t flags, uint32_t mask,
		struct lsp_error *err);
	int (*set_limits)(struct lsp_shim *shim, uint64_t torrent, int32_t max_download,
		int32_t max_upload, struct lsp_error *err);
	/* waits: what is in effect. */
	int (*limits)(struct lsp_shim *shim, uint64_t torrent, int32_t *ret_max_download,
		int32_t *ret_max_upload, struct lsp_error *err);
	int (*set_connections)(struct lsp_shim *shim, uint64_t torrent, int32_t max_connections,
		int32_t max_uploads, struct lsp_error *err);
	int (*set_priorities)(struct lsp_shim *shim, uint64_t torrent, const uint8_t *priorities,
		size_t count, struct lsp_error *err);
	/* waits. */
	int (*priorities)(struct lsp_shim *shim, uint64_t torrent, lsp_shim_take_bytes take,
		void *argument, struct lsp_error *err);
	int (*set_queue_position)(
		struct lsp_shim *shim, uint64_t torrent, int32_t position, struct lsp_error *err);
	/* Renames the top folder on disk; NULL: to what the metadata say. waits */
	int (*set_root)(
		struct lsp_shim *shim, uint64_t torrent, const char *root, struct lsp_error *err);
	int (*set_trackers)(struct lsp_shim *shim, uint64_t torrent,
		const struct lsp_shim_texts *trackers, struct lsp_error *err);
	int (*trackers)(struct lsp_shim *shim, uint64_t torrent,
		void (*each)(void *argument, const struct lsp_shim_tracker *tracker),
		void *argument, struct lsp_error *err); /* waits */
	int (*add_web_seed)(
		struct lsp_shim *shim, uint64_t torrent, const char *url, struct lsp_error *err);
	int (*remove_web_seed)(
		struct lsp_shim *shim, uint64_t torrent, const char *url, struct lsp_error *err);
	int (*web_seeds)(struct lsp_shim *shim, uint64_t torrent,
		void (*each)(void *argument, const char *url), void *argument,
		struct lsp_error *err); /* waits */
	int (*reannounce)(struct lsp_shim *shim, uint64_t torrent, struct lsp_error *err);
	/* Tells of it, and asks, by DHT and LSD, where these are on and it is not private. */
	int (*look_around)(struct lsp_shim *shim, uint64_t torrent, struct lsp_error *err);
	/* One that stands still runs until that is done, and stands still again. */
	int (*recheck)(struct lsp_shim *shim, uint64_t torrent, struct lsp_error *err);
	/*
	 * Where its files are from now on: the caller has moved them, while it stood still. One
	 * that is still at the old place is moved. MOVED or MOVE_FAILED follows.
	 */
	int (*move)(struct lsp_shim *shim, uint64_t torrent, const char *save_path,
		struct lsp_error *err);
	/* milliseconds −1: takes the deadline back. */
	int (*deadline)(struct lsp_shim *shim, uint64_t torrent, uint32_t piece,
		int32_t milliseconds, struct lsp_error *err);
	int (*peers)(struct lsp_shim *shim, uint64_t torrent,
		void (*each)(void *argument, const struct lsp_shim_peer *peer), void *argument,
		struct lsp_error *err); /* waits */
	/* "address:port". -LSP_E_INVALID: it is none. */
	int (*connect_peer)(struct lsp_shim *shim, uint64_t torrent, const char *address,
		struct lsp_error *err);
	/* RESUME_DATA or RESUME_FAILED follows. if_modified 1: only then. */
	int (*save_resume)(
		struct lsp_shim *shim, uint64_t torrent, int if_modified, struct lsp_error *err);
	int (*status)(struct lsp_shim *shim, uint64_t torrent,
		void (*each)(void *argument, const struct lsp_shim_status *status), void *argument,
		struct lsp_error *err); /* waits */
	/* The same of every torrent whose ADDED has come. waits, once for all of them */
	int (*statuses)(struct lsp_shim *shim,
		void (*each)(void *argument, const struct lsp_shim_status *status), void *argument,
		struct lsp_error *err);
	/* The bitmap of pieces that are here; its bits, and a piece's bytes (0 and 0 while the
	 * metadata is missing). waits, and copies no metadata: downloads ask once a second. */
	int (*have)(struct lsp_shim *shim, uint64_t torrent, lsp_shim_take_bytes take,
		void *argument, uint64_t *ret_bits, uint32_t *ret_piece_length,
		struct lsp_error *err);
	/* Bytes of each file that are here, as int64_t. waits */
	int (*file_progress)(struct lsp_shim *shim, uint64_t torrent, lsp_shim_take_bytes take,
		void *argument, struct lsp_error *err);
	/* What it is by now, a copy with all of its hashes, to be freed. waits */
	int (*source)(struct lsp_shim *shim, uint64_t torrent, struct lsp_shim_source **ret_source,
		struct lsp_error *err);
};

/* The real one; NULL in a build without libtorrent. */
const struct lsp_shim_functions *lsp_shim_libtorrent(void);

#ifdef __cplusplus
}
#endif
