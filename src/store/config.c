#include "store/config.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "store/json_file.h"
#include "wire/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <utf8proc.h>

#define RATE_MAX (UINT64_C(1) << 53)
#define SECONDS_MIN 5
#define SECONDS_MAX 86400

const struct lsp_setting lsp_settings[LSP_SETTING_COUNT] = {
	[LSP_SETTING_NAME] = {"name", LSP_SETTING_TEXT, "", .max = 63,
		.help = "what others see; empty: the name of this machine"},
	[LSP_SETTING_GAMES_DIR] = {"games_dir", LSP_SETTING_PATH, "~/Games/lanspread",
		.at_start = true, .help = "the folder with the games"},
	[LSP_SETTING_LISTEN_ADDRESS] = {"listen", LSP_SETTING_LISTEN, "47777", .at_start = true,
		.help = "[ADDRESS:]PORT for other peers (UDP)"},
	[LSP_SETTING_INTERFACE] = {"interface", LSP_SETTING_TEXT, "", .max = 15, .at_start = true,
		.help = "the one network interface to use; empty: all usable ones"},
	[LSP_SETTING_DISCOVERY] = {"discovery", LSP_SETTING_SWITCH, "true", .at_start = true,
		.help = "find and be found by multicast DNS"},
	[LSP_SETTING_LIMIT_UP] = {"limit_up", LSP_SETTING_RATE, "0",
		.help = "bytes a second to all others; 0: no limit"},
	[LSP_SETTING_LIMIT_DOWN] = {"limit_down", LSP_SETTING_RATE, "0",
		.help = "bytes a second from all others; 0: no limit"},
	[LSP_SETTING_PAUSE_UPLOADS] = {"pause_uploads", LSP_SETTING_SWITCH, "false",
		.help = "serve nothing for now"},
	[LSP_SETTING_PING_GUARD] = {"ping_guard", LSP_SETTING_SWITCH, "true",
		.help = "leave no queue on a line that a game shares with bulk"},
	[LSP_SETTING_SWARM] = {"swarm", LSP_SETTING_CHOICE, "off", "off lan internet",
		.help = "the BitTorrent engine: off, in the LAN only, or over the internet"},
	[LSP_SETTING_TORRENT_LIMIT_UP] = {"torrent_limit_up", LSP_SETTING_RATE, "0",
		.help = "bytes a second by the BitTorrent engine alone; 0: no limit"},
	[LSP_SETTING_TORRENT_LIMIT_DOWN] = {"torrent_limit_down", LSP_SETTING_RATE, "0",
		.help = "bytes a second by the BitTorrent engine alone; 0: no limit"},
	[LSP_SETTING_HTTP] = {"http", LSP_SETTING_LISTEN, "127.0.0.1:47777", .also = "off",
		.at_start = true, .help = "ADDRESS:PORT of the page, or off"},
	[LSP_SETTING_UNPACKER] = {"unpacker", LSP_SETTING_TEXT, "", .max = 4096, .at_start = true,
		.help = "a command that unpacks archives; empty: the built-in one"},
	[LSP_SETTING_LOG_LEVEL] = {"log_level", LSP_SETTING_CHOICE, "info",
		"error warning info debug", .help = "how much the log says"},
	[LSP_SETTING_RESCAN_INTERVAL] = {"rescan_interval", LSP_SETTING_SECONDS, "300",
		.help = "seconds between looks at the whole games folder, beside file events"},
};

struct lsp_config {
	char *path;
	json_t *file;                    /* what was read, unknown keys too */
	char *fixed[LSP_SETTING_COUNT];  /* by a flag; canonical text */
	char *values[LSP_SETTING_COUNT]; /* the file's; NULL: not there; canonical text */
	uint32_t unreported;             /* bits of what changed by hand since the last poll */
	struct stat seen;                /* of the file that was read last; st_ino 0: none */
	bool refused;                    /* that file is wrong: it is not ours to write over */
};

int lsp_setting_find(const char *key, enum lsp_setting_id *ret_id, struct lsp_error *err)
{
	char keys[300] = "";
	for (size_t i = 0; i < LSP_SETTING_COUNT; i++) {
		if (strcmp(key, lsp_settings[i].key) == 0) {
			*ret_id = (enum lsp_setting_id)i;
			return 0;
		}
		size_t used = strlen(keys);
		snprintf(keys + used, sizeof keys - used, "%s%s", i > 0 ? ", " : "",
			lsp_settings[i].key);
	}
	return lsp_error_set(err, "store", LSP_E_NOT_FOUND,
		"there is no setting \"%.40s\"; there are %s", key, keys);
}

/* ---- Checking: each gives the canonical text ----------------------------------------------- */

static int wants(const struct lsp_setting *setting, const char *text, const char *what,
	struct lsp_error *err)
{
	char shown[101];
	lsp_label_clean(text, strlen(text), shown, sizeof shown - 1);
	return lsp_error_set(err, "store", LSP_E_INVALID, "%s cannot be \"%s\": it must be %s",
		setting->key, shown, what);
}

int lsp_rate_parse(const char *text, uint64_t *ret_rate, struct lsp_error *err)
{
	size_t length = strspn(text, "0123456789");
	uint64_t factor = 1, number = 0;
	char digits[24] = "";
	switch (text[length] | 0x20) {
	case 'k':
		factor = 1000;
		break;
	case 'm':
		factor = 1000000;
		break;
	case 'g':
		factor = 1000000000;
		break;
	default:
		if (text[length])
			length = 0;
	}
	bool fits = length > 0 && length < sizeof digits && (factor == 1 || !text[length + 1]);
	if (fits) {
		memcpy(digits, text, length);
		fits = lsp_text_to_u64(digits, &number, NULL) == 0 && number <= RATE_MAX / factor;
	}
	if (!fits)
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"\"%.40s\" is no rate: bytes a second, with K, M or G after it if you like",
			text);
	*ret_rate = number * factor;
	return 0;
}

static bool is_port(const char *text)
{
	uint64_t port;
	return lsp_text_to_u64(text, &port, NULL) == 0 && port <= 65535;
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT"; whether the address exists, its user will find out.
 */
static bool is_listen(const char *text)
{
	const char *colon = strrchr(text, ':');
	if (!colon)
		return is_port(text);
	size_t host = (size_t)(colon - text);
	bool bracketed = host > 2 && text[0] == '[' && colon[-1] == ']';
	bool plain = host > 0 && !memchr(text, ':', host) && !strpbrk(text, "[] \t/");
	return is_port(colon + 1) && host < 100 && (bracketed || plain);
}

static bool is_word_of(const char *words, const char *text)
{
	size_t length = strlen(text);
	for (const char *at = words; length > 0 && (at = strstr(at, text)); at += length) {
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return !strchr(text, ' ');
	}
	return false;
}

static bool is_line(const char *text, size_t max)
{
	size_t left = strlen(text);
	if (left > max)
		return false;
	while (left > 0) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate(
			(const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, &c);
		if (n <= 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return false;
		text += n;
		left -= (size_t)n;
	}
	return true;
}

static const char *parse_switch(const char *text)
{
	static const char *const on[] = {"true", "on", "yes", "1"};
	static const char *const off[] = {"false", "off", "no", "0"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(on); i++) {
		if (strcasecmp(text, on[i]) == 0)
			return "true";
		if (strcasecmp(text, off[i]) == 0)
			return "false";
	}
	return NULL;
}

static int check_number(const struct lsp_setting *setting, const char *text, char *out,
	size_t out_size, struct lsp_error *err)
{
	uint64_t number;
	if (setting->type == LSP_SETTING_RATE) {
		int r = lsp_rate_parse(text, &number, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "%s", setting->key);
	} else if (lsp_text_to_u64(text, &number, NULL) < 0 || number < SECONDS_MIN ||
		   number > SECONDS_MAX) {
		return wants(setting, text, "a number of seconds from 5 to 86400", err);
	}
	snprintf(out, out_size, "%llu", (unsigned long long)number);
	return 0;
}

/* The canonical text of a value; the caller frees it. */
static int canonical(
	enum lsp_setting_id id, const char *text, char **ret_text, struct lsp_error *err)
{
	const struct lsp_setting *setting = &lsp_settings[id];
	char number[32], what[160];
	const char *out = text;
	int r = 0;
	switch (setting->type) {
	case LSP_SETTING_TEXT:
		snprintf(what, sizeof what, "one line of at most %zu bytes of UTF-8", setting->max);
		if (!is_line(text, setting->max))
			r = wants(setting, text, what, err);
		break;
	case LSP_SETTING_PATH:
		if ((text[0] != '/' && strncmp(text, "~/", 2) != 0) || !is_line(text, 4095))
			r = wants(
				setting, text, "an absolute path, or one that begins with ~/", err);
		break;
	case LSP_SETTING_LISTEN:
		if (!is_listen(text) && !(setting->also && strcmp(text, setting->also) == 0))
			r = wants(setting, text,
				setting->also ? "[ADDRESS:]PORT or off" : "[ADDRESS:]PORT", err);
		break;
	case LSP_SETTING_CHOICE:
		snprintf(what, sizeof what, "one of: %s", setting->choices);
		if (!is_word_of(setting->choices, text))
			r = wants(setting, text, what, err);
		break;
	case LSP_SETTING_SWITCH:
		out = parse_switch(text);
		if (!out)
			r = wants(setting, text, "true or false", err);
		break;
	case LSP_SETTING_RATE:
	case LSP_SETTING_SECONDS:
		r = check_number(setting, text, number, sizeof number, err);
		out = number;
		break;
	}
	if (r < 0)
		return r;
	char *copy = strdup(out);
	if (!copy)
		return lsp_error_no_memory(err, "store");
	*ret_text = copy;
	return 0;
}

/* The text of a JSON value of the right type. scratch holds numbers. */
static int value_text(enum lsp_setting_id id, const json_t *value, char scratch[32],
	const char **ret_text, struct lsp_error *err)
{
	enum lsp_setting_type type = lsp_settings[id].type;
	bool number = type == LSP_SETTING_RATE || type == LSP_SETTING_SECONDS ||
		      type == LSP_SETTING_LISTEN;
	if (json_is_string(value)) {
		*ret_text = json_string_value(value);
	} else if (json_is_boolean(value) && type == LSP_SETTING_SWITCH) {
		*ret_text = json_is_true(value) ? "true" : "false";
	} else if (json_is_integer(value) && number) {
		snprintf(scratch, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		*ret_text = scratch;
	} else {
		return lsp_error_set(err, "store", LSP_E_INVALID, "%s must be %s",
			lsp_settings[id].key,
			type == LSP_SETTING_SWITCH ? "true or false"
			: number                   ? "a whole number or a text"
						   : "a text");
	}
	return 0;
}

/* A canonical text as JSON of its type. */
static json_t *typed(enum lsp_setting_id id, const char *text)
{
	switch (lsp_settings[id].type) {
	case LSP_SETTING_SWITCH:
		return json_boolean(strcmp(text, "true") == 0);
	case LSP_SETTING_RATE:
	case LSP_SETTING_SECONDS:
		return json_integer((json_int_t)strtoull(text, NULL, 10));
	default:
		return json_string(text);
	}
}

/* ---- The file
 * -------------------------------------------------------------------------------------------------
 */

static void free_values(char *values[LSP_SETTING_COUNT])
{
	for (size_t i = 0; i < LSP_SETTING_COUNT; i++) {
		free(values[i]);
		values[i] = NULL;
	}
}

static int parse_values(const json_t *file, char *values[LSP_SETTING_COUNT], struct lsp_error *err)
{
	for (size_t i = 0; i < LSP_SETTING_COUNT; i++) {
		enum lsp_setting_id id = (enum lsp_setting_id)i;
		const json_t *value = json_object_get(file, lsp_settings[i].key);
		char scratch[32];
		const char *text = NULL;
		if (!value || json_is_null(value))
			continue;
		int r = value_text(id, value, scratch, &text, err);
		if (r == 0)
			r = canonical(id, text, &values[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void log_unknown(const struct lsp_config *config)
{
	const char *key;
	json_t *value;
	json_object_foreach (config->file, key, value) {
		enum lsp_setting_id id;
		if (lsp_setting_find(key, &id, NULL) < 0)
			lsp_log_warning(
				"store", "%s: \"%s\" means nothing here", config->path, key);
	}
}

static void look(const struct lsp_config *config, struct stat *ret_stat)
{
	if (stat(config->path, ret_stat) < 0)
		*ret_stat = (struct stat){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int read_file(struct lsp_config *config, struct lsp_error *err)
{
	look(config, &config->seen);
	config->refused = true;
	char *values[LSP_SETTING_COUNT] = {0};
	json_t *file = NULL;
	int r = lsp_json_file_read(config->path, &file, err);
	if (r < 0)
		return r;
	r = parse_values(file, values, err);
	if (r < 0) {
		json_decref(file);
		free_values(values);
		return lsp_error_prefix(err, r, "%s", config->path);
	}
	config->refused = false;
	json_decref(config->file);
	config->file = file;
	free_values(config->values);
	memcpy(config->values, values, sizeof values);
	log_unknown(config);
	return 0;
}

/* Somebody edited it: reads it and remembers what differs, for lsp_config_poll. */
static int read_again(struct lsp_config *config, struct lsp_error *err)
{
	char *before[LSP_SETTING_COUNT] = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < LSP_SETTING_COUNT; i++) {
		before[i] = strdup(lsp_config_text(config, (enum lsp_setting_id)i));
		if (!before[i])
			r = lsp_error_no_memory(err, "store");
	}
	if (r == 0)
		r = read_file(config, err);
	for (size_t i = 0; r == 0 && i < LSP_SETTING_COUNT; i++) {
		if (strcmp(before[i], lsp_config_text(config, (enum lsp_setting_id)i)) != 0)
			config->unreported |= UINT32_C(1) << i;
	}
	free_values(before);
	return r;
}

int lsp_config_open(const char *state_folder, struct lsp_config **ret_config, struct lsp_error *err)
{
	_cleanup_config_ struct lsp_config *config = calloc(1, sizeof *config);
	if (!config)
		return lsp_error_no_memory(err, "store");
	config->path = lsp_text_format("%s/config.json", state_folder);
	if (!config->path)
		return lsp_error_no_memory(err, "store");
	int r = read_file(config, err);
	if (r == 0)
		*ret_config = TAKE_PTR(config);
	return r;
}

void lsp_config_free(struct lsp_config *config)
{
	if (!config)
		return;
	free_values(config->values);
	free_values(config->fixed);
	json_decref(config->file);
	free(config->path);
	free(config);
}

/* ---- Values
 * ------------------------------------------------------------------------------------------------------
 */

const char *lsp_config_text(const struct lsp_config *config, enum lsp_setting_id id)
{
	return config->fixed[id] ?: config->values[id] ?: lsp_settings[id].fallback;
}

uint64_t lsp_config_number(const struct lsp_config *config, enum lsp_setting_id id)
{
	return strtoull(lsp_config_text(config, id), NULL, 10);
}

bool lsp_config_switch(const struct lsp_config *config, enum lsp_setting_id id)
{
	return strcmp(lsp_config_text(config, id), "true") == 0;
}

json_t *lsp_config_value(const struct lsp_config *config, enum lsp_setting_id id)
{
	return typed(id, lsp_config_text(config, id));
}

json_t *lsp_config_values(const struct lsp_config *config)
{
	json_t *all = json_object();
	for (size_t i = 0; all && i < LSP_SETTING_COUNT; i++) {
		json_t *value = lsp_config_value(config, (enum lsp_setting_id)i);
		if (json_object_set_new(all, lsp_settings[i].key, value) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

json_t *lsp_config_fixed(const struct lsp_config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < LSP_SETTING_COUNT; i++) {
		if (config->fixed[i] &&
			json_array_append_new(list, json_string(lsp_settings[i].key)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

bool lsp_config_is_fixed(const struct lsp_config *config, enum lsp_setting_id id)
{
	return config->fixed[id] != NULL;
}

int lsp_config_fix(
	struct lsp_config *config, enum lsp_setting_id id, const char *text, struct lsp_error *err)
{
	char *value = NULL;
	int r = canonical(id, text, &value, err);
	if (r < 0)
		return r;
	free(config->fixed[id]);
	config->fixed[id] = value;
	return 0;
}

static int refuse_fixed(
	const struct lsp_config *config, enum lsp_setting_id id, struct lsp_error *err)
{
	if (!config->fixed[id])
		return 0;
	return lsp_error_set(err, "store", LSP_E_BUSY,
		"%s is fixed by a flag as \"%s\"; start without the flag to change it here",
		lsp_settings[id].key, config->fixed[id]);
}

int lsp_config_check(const struct lsp_config *config, enum lsp_setting_id id, const char *text,
	struct lsp_error *err)
{
	_cleanup_free_ char *value = NULL;
	int r = refuse_fixed(config, id, err);
	return r < 0 || !text ? r : canonical(id, text, &value, err);
}

int lsp_config_set(
	struct lsp_config *config, enum lsp_setting_id id, const char *text, struct lsp_error *err)
{
	_cleanup_free_ char *value = NULL;
	struct stat now;
	int r = refuse_fixed(config, id, err);
	if (r == 0 && text)
		r = canonical(id, text, &value, err);
	look(config, &now);
	if (r == 0 && (config->refused || !is_same_file(&now, &config->seen)))
		r = read_again(config, err);
	if (r < 0)
		return r;
	json_t *next = json_copy(config->file);
	if (!next)
		return lsp_error_no_memory(err, "store");
	const char *key = lsp_settings[id].key;
	if (!value)
		json_object_del(next, key);
	else if (json_object_set_new(next, key, typed(id, value)) < 0)
		r = lsp_error_no_memory(err, "store");
	if (r == 0)
		r = lsp_json_file_save(config->path, next, err);
	if (r < 0) {
		json_decref(next);
		return r;
	}
	json_decref(config->file);
	config->file = next;
	free(config->values[id]);
	config->values[id] = TAKE_PTR(value);
	config->unreported &= ~(UINT32_C(1) << id); /* who sets it knows */
	look(config, &config->seen);
	return 0;
}

int lsp_config_set_json(struct lsp_config *config, enum lsp_setting_id id, const json_t *value,
	struct lsp_error *err)
{
	char scratch[32];
	const char *text = NULL;
	int r = value && !json_is_null(value) ? value_text(id, value, scratch, &text, err) : 0;
	return r < 0 ? r : lsp_config_set(config, id, text, err);
}

int lsp_config_poll(struct lsp_config *config, uint32_t *ret_changed, struct lsp_error *err)
{
	struct stat now;
	look(config, &now);
	if (!is_same_file(&now, &config->seen)) {
		int r = read_again(config, err);
		if (r < 0)
			return r;
	}
	*ret_changed = config->unreported;
	config->unreported = 0;
	return 0;
}
