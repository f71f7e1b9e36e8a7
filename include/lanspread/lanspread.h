/*
 * liblanspread: one game shelf for everybody on a LAN.
 *
 * A program that embeds this library runs a peer: it finds the other peers, shows everyone's games,
 * downloads from all who have one, verifies every byte, installs, and serves what it has. The peer
 * runs on threads of its own. The program talks to it by JSON documents:
 *
 *   commands  lanspread_send queues one. It ends in exactly one answer: an event
 *             {"event":"answer","request":N,"ok":true,"result":{…}} or
 *             {"event":"answer","request":N,"ok":false,"error":{"code":"not_found","message":"…"}}
 *             on every stream that asked for it (the stream passed to lanspread_send).
 *   events    lanspread_subscribe gives a stream of one's own. Its first event is always
 *             local_games_updated, the whole state; then everything that happens, in order. A
 *             reader that falls behind loses no truth: what it missed is replaced by a fresh
 *             local_games_updated with "resync":true.
 *
 * docs/api.md has every command and event; it is installed in share/doc/lanspread.
 *
 * Threads: every function may be called from every thread, at the same time. None blocks for longer
 * than a short lock, but for those that say so: lanspread_start (opens files and sockets),
 * lanspread_next_event and lanspread_wait_stopped (up to their timeout), lanspread_free.
 *
 * Ownership: a handle and a stream are the caller's, to be freed by lanspread_free and
 * lanspread_stream_free. A handle outlives its peer: after the peer stopped, every call on it still
 * is allowed and answers LANSPREAD_E_CLOSED.
 *
 * Several peers may run in one process, each with folders of its own. They share the log: its sink
 * and its level are the process's, the last ones that a start set, and stay after the peer's end.
 *
 * Signals: the library installs no handler. Its threads block every signal, so a signal comes to
 * the threads of the program, and no connection that breaks raises SIGPIPE there. It reaps its own
 * child processes and no other; a program that waits for any child takes their exit status away.
 * After a fork only exec is allowed in the child.
 *
 * Pointers: NULL is allowed where it is said to be, for every `err`, and for what is freed.
 *
 * JSON: the library puts a function before jansson's allocations, for the whole process, when it is
 * loaded, and leaves the work to those that were set until then: it must know when one failed. It
 * cannot be unloaded again. A program that sets its own later only takes that knowledge away.
 *
 * Errors: 0, or the negative of a lanspread_code, with the detail in the last parameter, which may
 * be NULL. On failure outputs stay as they were.
 */
#ifndef LANSPREAD_LANSPREAD_H
#define LANSPREAD_LANSPREAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LANSPREAD_API __attribute__((visibility("default")))
#define LANSPREAD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define LANSPREAD_API
#define LANSPREAD_MUST_CHECK
#endif

/* What kind of failure it was. A function returns the negative; names in JSON are in lower case. */
enum lanspread_code {
	LANSPREAD_OK = 0,
	LANSPREAD_E_FAILED = 1,  /* anything without a code of its own */
	LANSPREAD_E_NO_MEMORY,   /* an allocation failed */
	LANSPREAD_E_INVALID,     /* an argument or a command is wrong */
	LANSPREAD_E_PROTOCOL,    /* somebody broke a format */
	LANSPREAD_E_TOO_LARGE,   /* over a documented limit */
	LANSPREAD_E_NOT_FOUND,   /* no such game, peer, file */
	LANSPREAD_E_EXISTS,      /* there already */
	LANSPREAD_E_BUSY,        /* an operation or another process holds it */
	LANSPREAD_E_DENIED,      /* no permission */
	LANSPREAD_E_NO_SPACE,    /* the disk is full */
	LANSPREAD_E_IO,          /* the operating system failed */
	LANSPREAD_E_CANCELLED,   /* the user or a shutdown cancelled it */
	LANSPREAD_E_TIMEOUT,     /* the time was up */
	LANSPREAD_E_CLOSED,      /* the peer has stopped */
	LANSPREAD_E_UNSUPPORTED, /* not with this build or on this machine */
	LANSPREAD_E_CORRUPT      /* content without the hash it should have */
};

/* The caller's, plain data. `message` is one line for a person: what failed, on what, what to do.
 */
struct lanspread_error {
	int code;      /* an enum lanspread_code */
	int sys_errno; /* errno, or 0 */
	char message[512];
};

struct lanspread;        /* a handle to a peer */
struct lanspread_stream; /* one subscriber's events */

enum lanspread_log_level {
	LANSPREAD_LOG_ERROR,
	LANSPREAD_LOG_WARNING,
	LANSPREAD_LOG_INFO,
	LANSPREAD_LOG_DEBUG
};

/* Takes one log line; from any thread; must not call into the library. */
typedef void (*lanspread_log_sink)(
	enum lanspread_log_level level, const char *component, const char *message, void *argument);

/*
 * Unpacks one archive, in place of the built-in unpacker: extracts `archive` (an absolute path)
 * into the existing folder `target` and nowhere else. Runs on a thread of the library's and may
 * block; it should give up once *cancelled is not 0. Returns 0, or not 0 with a one-line message in
 * `message` (of message_size bytes).
 */
typedef int (*lanspread_unpack_callback)(const char *archive, const char *target,
	const volatile int *cancelled, char *message, size_t message_size, void *argument);

/*
 * How to run a peer. Set struct_size to sizeof(struct lanspread_options) and leave what does not
 * matter at zero: every zero is the default. Strings are copied. A relative path is one from the
 * working directory of the start.
 */
struct lanspread_options {
	size_t struct_size;

	const char *games_dir; /* "~/Games/lanspread" expanded; made if absent */
	const char *state_dir; /* $XDG_STATE_HOME/lanspread; made (0700) if absent */
	const char *name;      /* what others see; the host's name. At most 63 bytes of UTF-8 */
	const char *listen; /* "[ADDRESS:]PORT"; all addresses, UDP 47777, a free port if taken */
	const char *interface_name; /* the one interface to use; all usable ones */
	const char *const *peers;   /* NULL-terminated "HOST:PORT[#PEERID]" to connect to by hand */
	int no_discovery;           /* not 0: no multicast DNS */
	const char *catalog_file;   /* SQLite; the built-in catalogue. Unreadable: start fails */
	const char *unpacker_command; /* a command in place of the built-in unpacker */
	const char *swarm;            /* "off", "lan", "internet"; the setting, else "off" */
	const char *helper_dir;       /* where lanspread-unpack and lanspread-discover are; the
					 installed place */

	lanspread_log_sink log_sink; /* NULL: stderr */
	void *log_argument;
	enum lanspread_log_level log_level; /* used if log_level_set; else LANSPREAD_LOG_INFO */
	int log_level_set;

	lanspread_unpack_callback unpack; /* NULL: unpacker_command, else the built-in one */
	void *unpack_argument;

	/*
	 * Used if stop_fd_set: once this descriptor polls readable, lanspread_start cuts short its
	 * first look at the games folder, which may take long on a slow disk, and returns; the
	 * caller then stops the peer. Neither read nor closed.
	 */
	int stop_fd;
	int stop_fd_set;

	/*
	 * What the setting "http" is fixed to, as the options above fix theirs: "[ADDRESS:]PORT" or
	 * "off". It is shown to clients and kept from change; the page itself is served by
	 * lanspread_serve_http. NULL: the setting stays as it is.
	 */
	const char *http;
};

/* "0.1.0"; static. */
LANSPREAD_API const char *lanspread_version(void);
/* "not_found" and so on, of a code or its negative; static; "failed" for a number that is none. */
LANSPREAD_API const char *lanspread_code_name(int code);

/*
 * Starts a peer: opens the state folder (LANSPREAD_E_BUSY, naming the holder, if another peer has
 * it), the library, the socket. Returns when the peer serves; discovery goes on behind it.
 * `options` NULL: all defaults. LANSPREAD_E_INVALID for a struct_size that cannot be one,
 * LANSPREAD_E_UNSUPPORTED where a newer header's option is set that this library does not know.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_start(const struct lanspread_options *options,
	struct lanspread **ret_peer, struct lanspread_error *err);

/*
 * Queues a command: {"command":"get_game","game":"quake"}. At most 16 MiB, copied. The answer
 * arrives on `stream`, one of this peer (NULL: nobody is told), as an event with the request id
 * (`ret_request` NULL: not wanted); another thread may read it before this returns. Ids count from
 * 1, per peer. A document that is no command at all is answered too, not refused here; only a full
 * queue (LANSPREAD_E_BUSY), a stopped peer (LANSPREAD_E_CLOSED) and a lack of memory fail at once.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_send(struct lanspread *peer,
	struct lanspread_stream *stream, const char *json, uint64_t *ret_request,
	struct lanspread_error *err);

/* Opens a stream of events. LANSPREAD_E_CLOSED when the peer has stopped. */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_subscribe(
	struct lanspread *peer, struct lanspread_stream **ret_stream, struct lanspread_error *err);

/*
 * The next event as a JSON document, to be freed with lanspread_free_text. Waits up to timeout_ms
 * milliseconds (0: not at all; negative: without end). LANSPREAD_E_TIMEOUT when there was none;
 * LANSPREAD_E_CLOSED after the last event of a peer that stopped. One reader at a time.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_next_event(struct lanspread_stream *stream,
	int timeout_ms, char **ret_json, struct lanspread_error *err);

/* Readable (poll, epoll) while lanspread_next_event would not wait. Stays the stream's. */
LANSPREAD_API int lanspread_stream_fd(const struct lanspread_stream *stream);

/* Wakes a reader that waits, with LANSPREAD_E_CANCELLED; every later read too. */
LANSPREAD_API void lanspread_stream_interrupt(struct lanspread_stream *stream);
/* Nobody may read it any more: a reader on another thread is interrupted and joined first. */
LANSPREAD_API void lanspread_stream_free(struct lanspread_stream *stream);
LANSPREAD_API void lanspread_free_text(char *text);

/* Asks the peer to stop: goodbyes, then every task joined. Returns at once; idempotent. */
LANSPREAD_API void lanspread_shutdown(struct lanspread *peer);

struct lanspread_exit {
	int graceful;      /* 1: it was asked to stop and did */
	int exit_code;     /* 0 when graceful, else what a program should exit with */
	char reason[64];   /* "user", "rpc", "reload", "run_completed", "fatal" */
	char message[512]; /* for a person; empty when graceful */
};

/*
 * Waits until the peer has stopped and all its threads are joined; LANSPREAD_E_TIMEOUT after
 * timeout_ms (negative: without end). May be called again and from several threads. `ret_exit`
 * NULL: not wanted. It asks for nothing: without lanspread_shutdown it waits for a peer that fails
 * or is stopped by a command.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_wait_stopped(struct lanspread *peer,
	int timeout_ms, struct lanspread_exit *ret_exit, struct lanspread_error *err);

/*
 * Serves the control socket (what the command line uses) for this peer at `path`, NULL: the default
 * place; mode 0600. It ends with the peer. LANSPREAD_E_BUSY when a peer serves that path already.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_serve_control(
	struct lanspread *peer, const char *path, struct lanspread_error *err);

/*
 * Serves the page and its HTTP API at "ADDRESS:PORT" (NULL: 127.0.0.1:47777, a free port if that is
 * taken). *ret_url (NULL: not wanted) is the start link with its token, to be freed with
 * lanspread_free_text. It ends with the peer. LANSPREAD_E_UNSUPPORTED in a build without the page.
 */
LANSPREAD_API LANSPREAD_MUST_CHECK int lanspread_serve_http(
	struct lanspread *peer, const char *listen, char **ret_url, struct lanspread_error *err);

/* Shuts down, waits for the end without a limit, and frees. NULL is allowed. Streams first. */
LANSPREAD_API void lanspread_free(struct lanspread *peer);

#ifdef __cplusplus
}
#endif

#endif
