/*
 * Settings: config.json in the state folder, the flags of the command line above it.
 *
 * A setting has a key, a type and a default (lsp_settings, the one table; docs and `config` list
 * from it). Its value in effect is the flag's if there was one, else the file's, else the default.
 * Changing what a flag fixed is refused with that reason. A change is checked, then written
 * atomically, then in effect; one that fails changes nothing.
 *
 * The file may be edited by hand while the daemon runs: lsp_config_poll, called once a second or
 * so, costs one stat(2) and reads the file when it is another. A file that is wrong is an error
 * naming the line or the key, told once; what was in effect stays, and every set fails with that
 * error until the file is mended: it never writes over what somebody typed. Keys that mean nothing
 * here are kept as they are and named in the log.
 *
 * Threads: one owner. open, set and a poll that finds a new file block on the disk.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lsp_setting_type {
	LSP_SETTING_TEXT,    /* one line */
	LSP_SETTING_PATH,    /* absolute, or from "~/" on */
	LSP_SETTING_LISTEN,  /* "[ADDRESS:]PORT" */
	LSP_SETTING_CHOICE,  /* a word of `choices` */
	LSP_SETTING_SWITCH,  /* true or false; "on" and "off" are taken */
	LSP_SETTING_RATE,    /* bytes a second; 0: no limit. "10M" is taken: K, M, G are decimal */
	LSP_SETTING_SECONDS, /* 5 to 86400 */
};

/* In the order of lsp_settings. */
enum lsp_setting_id {
	LSP_SETTING_NAME,
	LSP_SETTING_GAMES_DIR,
	LSP_SETTING_LISTEN_ADDRESS,
	LSP_SETTING_INTERFACE,
	LSP_SETTING_DISCOVERY,
	LSP_SETTING_LIMIT_UP,
	LSP_SETTING_LIMIT_DOWN,
	LSP_SETTING_PAUSE_UPLOADS,
	LSP_SETTING_PING_GUARD,
	LSP_SETTING_SWARM,
	LSP_SETTING_TORRENT_LIMIT_UP,
	LSP_SETTING_TORRENT_LIMIT_DOWN,
	LSP_SETTING_HTTP,
	LSP_SETTING_UNPACKER,
	LSP_SETTING_LOG_LEVEL,
	LSP_SETTING_RESCAN_INTERVAL,
	LSP_SETTING_COUNT
};

struct lsp_setting {
	const char *key;
	enum lsp_setting_type type;
	const char *fallback; /* the default, as text; "" for a text: none, the program chooses */
	const char *choices;  /* of a choice: words with spaces between */
	const char *also;     /* of a listen: a word that is taken too */
	size_t max;           /* of a text: bytes */
	bool at_start;        /* a change is in effect at the next start; others within 2 s */
	const char *help;     /* one line */
};

extern const struct lsp_setting lsp_settings[LSP_SETTING_COUNT];

/* -LSP_E_NOT_FOUND lists the keys that there are. */
LSP_MUST_CHECK int lsp_setting_find(
	const char *key, enum lsp_setting_id *ret_id, struct lsp_error *err);

/*
 * "10M", "1500000", "0": bytes a second, up to 2^53. -LSP_E_INVALID. For the command line too.
 */
LSP_MUST_CHECK int lsp_rate_parse(const char *text, uint64_t *ret_rate, struct lsp_error *err);

struct lsp_config;

/*
 * Reads <state_folder>/config.json; no file means all defaults. One that is wrong is an error that
 * names the line or the key and what it wants: the program should not start with settings that
 * nobody chose.
 */
LSP_MUST_CHECK int lsp_config_open(
	const char *state_folder, struct lsp_config **ret_config, struct lsp_error *err);
void lsp_config_free(struct lsp_config *config);
LSP_DEFINE_CLEANUP(struct lsp_config *, lsp_config_free);
#define _cleanup_config_ _cleanup_(lsp_config_free_pointer)

/* A flag fixes a setting for the life of this process. */
LSP_MUST_CHECK int lsp_config_fix(
	struct lsp_config *config, enum lsp_setting_id id, const char *text, struct lsp_error *err);
bool lsp_config_is_fixed(const struct lsp_config *config, enum lsp_setting_id id);

/*
 * Checks, writes and takes over a value. text NULL: back to the default. -LSP_E_INVALID says what
 * it wants; -LSP_E_BUSY: "… is fixed by a flag".
 */
LSP_MUST_CHECK int lsp_config_set(
	struct lsp_config *config, enum lsp_setting_id id, const char *text, struct lsp_error *err);
/* The same from JSON: a text, a whole number, true or false as the type has it; null: default. */
LSP_MUST_CHECK int lsp_config_set_json(struct lsp_config *config, enum lsp_setting_id id,
	const json_t *value, struct lsp_error *err);
/* Whether that set would be taken, without doing it. */
LSP_MUST_CHECK int lsp_config_check(const struct lsp_config *config, enum lsp_setting_id id,
	const char *text, struct lsp_error *err);

/* The value in effect, as text: valid until it changes. "true" and "false" for switches. */
const char *lsp_config_text(const struct lsp_config *config, enum lsp_setting_id id);
/* Of a rate or seconds. */
uint64_t lsp_config_number(const struct lsp_config *config, enum lsp_setting_id id);
/* Of a switch. */
bool lsp_config_switch(const struct lsp_config *config, enum lsp_setting_id id);

/* {key: value} of all in effect (or of one), typed; and [key] of those that a flag fixed. NULL: out
 * of memory. The caller owns them. */
json_t *lsp_config_values(const struct lsp_config *config);
json_t *lsp_config_value(const struct lsp_config *config, enum lsp_setting_id id);
json_t *lsp_config_fixed(const struct lsp_config *config);

/*
 * Looks whether the file is another than the one that was read, and takes it over. *ret_changed
 * gets bit 1 << id of every setting whose value in effect is another now. An error is told once for
 * each version of the file.
 */
LSP_MUST_CHECK int lsp_config_poll(
	struct lsp_config *config, uint32_t *ret_changed, struct lsp_error *err);
