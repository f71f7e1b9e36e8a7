#include "torrent/configuration.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DOMAIN "torrent"
#define TEXTS_MAX 16384 /* bytes of all texts together */

struct reader {
	const json_t *json;
	struct lsp_configuration *to;
	size_t texts_used;
	struct lsp_error *err;
};

/* ---- Settings ---------------------------------------------------------------------------- */

static void add(
	struct reader *reader, const char *name, uint32_t kind, int64_t number, const char *text)
{
	struct lsp_configuration *to = reader->to;
	for (size_t i = 0; i < to->count; i++)
		if (strcmp(to->settings[i].name, name) == 0) {
			to->settings[i].number = number;
			to->settings[i].text = text;
			return;
		}
	to->settings[to->count++] = (struct lsp_shim_setting){
		.name = name, .kind = kind, .number = number, .text = text};
}

static void add_switch(struct reader *reader, const char *name, bool on)
{
	add(reader, name, LSP_SHIM_SWITCH, on, NULL);
}

static void add_number(struct reader *reader, const char *name, int64_t number)
{
	add(reader, name, LSP_SHIM_NUMBER, number, NULL);
}

/* Keeps the text. NULL where there is no room. */
static const char *keep(struct reader *reader, const char *text)
{
	size_t size = strlen(text) + 1;
	if (size > TEXTS_MAX - reader->texts_used)
		return NULL;
	char *place = reader->to->texts + reader->texts_used;
	memcpy(place, text, size);
	reader->texts_used += size;
	return place;
}

static int add_text(struct reader *reader, const char *name, const char *text)
{
	const char *kept = keep(reader, text);
	if (!kept)
		return lsp_error_set(reader->err, DOMAIN, LSP_E_TOO_LARGE,
			"the texts of the configuration are too long");
	add(reader, name, LSP_SHIM_TEXT, 0, kept);
	return 0;
}

static int wrong(struct reader *reader, const char *key, const char *wanted)
{
	return lsp_error_set(reader->err, DOMAIN, LSP_E_INVALID, "%s must be %s", key, wanted);
}

/* The field of an object, NULL where it is absent or null. */
static const json_t *field(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return value && !json_is_null(value) ? value : NULL;
}

/* ---- The simple keys --------------------------------------------------------------------- */

static const struct {
	const char *key, *setting, *second;
	bool by_default;
} switches[] = {
	{"dht", "enable_dht", NULL, false},
	{"lsd", "enable_lsd", NULL, false},
	{"upnp", "enable_upnp", NULL, false},
	{"natpmp", "enable_natpmp", NULL, false},
	{"utp", "enable_incoming_utp", "enable_outgoing_utp", false},
	{"anonymous", "anonymous_mode", NULL, false},
};

static const struct {
	const char *key, *setting;
	int64_t least, most, by_default;
} numbers[] = {
	/* −1 is: as many as there are. */
	{"active_downloads", "active_downloads", -1, INT32_MAX, 20},
	{"active_seeds", "active_seeds", -1, INT32_MAX, -1},
	{"active_checking", "active_checking", 1, 64, 2},
	{"active_limit", "active_limit", -1, INT32_MAX, -1},
	{"max_connections", "connections_limit", 2, 65535, 500},
	{"unchoke_slots", "unchoke_slots_limit", -1, 10000, 16},
};

static const struct {
	const char *key, *setting;
	const char *words[4];
	int numbers[4];
	const char *wanted;
} choices[] = {
	{"choking", "choking_algorithm", {"fixed", "rate_based"}, {0, 2}, "fixed or rate_based"},
	{"seed_choking", "seed_choking_algorithm", {"round_robin", "fastest_upload", "anti_leech"},
		{0, 1, 2}, "round_robin, fastest_upload or anti_leech"},
};

static int read_switches(struct reader *reader)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(switches); i++) {
		const json_t *value = field(reader->json, switches[i].key);
		if (value && !json_is_boolean(value))
			return wrong(reader, switches[i].key, "true or false");
		if (!value && i < 4) /* those that the mode sets */
			continue;
		bool on = value ? json_is_true(value) : switches[i].by_default;
		add_switch(reader, switches[i].setting, on);
		if (switches[i].second)
			add_switch(reader, switches[i].second, on);
	}
	return 0;
}

static int read_numbers(struct reader *reader)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(numbers); i++) {
		const json_t *value = field(reader->json, numbers[i].key);
		int64_t number = value ? json_integer_value(value) : numbers[i].by_default;
		if ((value && !json_is_integer(value)) || number < numbers[i].least ||
			number > numbers[i].most)
			return lsp_error_set(reader->err, DOMAIN, LSP_E_INVALID,
				"%s must be a whole number from %lld to %lld", numbers[i].key,
				(long long)numbers[i].least, (long long)numbers[i].most);
		add_number(reader, numbers[i].setting, number);
	}
	return 0;
}

static int read_choices(struct reader *reader)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(choices); i++) {
		const json_t *value = field(reader->json, choices[i].key);
		const char *word = value ? json_string_value(value) : choices[i].words[0];
		int number = -1;
		for (unsigned k = 0; word && k < 4 && choices[i].words[k]; k++)
			if (strcmp(word, choices[i].words[k]) == 0)
				number = choices[i].numbers[k];
		if (number < 0)
			return wrong(reader, choices[i].key, choices[i].wanted);
		add_number(reader, choices[i].setting, number);
	}
	return 0;
}

/* ---- The others -------------------------------------------------------------------------- */

static int read_mode(struct reader *reader)
{
	const json_t *value = field(reader->json, "mode");
	const char *mode = value ? json_string_value(value) : "off";
	bool lan = mode && strcmp(mode, "lan") == 0;
	bool internet = mode && strcmp(mode, "internet") == 0;
	if (!lan && !internet && (!mode || strcmp(mode, "off") != 0))
		return wrong(reader, "mode", "off, lan or internet");
	add_switch(reader, "enable_lsd", lan || internet);
	add_switch(reader, "enable_dht", internet);
	add_switch(reader, "enable_upnp", internet);
	add_switch(reader, "enable_natpmp", internet);
	/* The library's minute is long where a peer of the hall restarts, or a download moves. */
	add_number(reader, "min_reconnect_time", 5);
	return 0;
}

static int read_encryption(struct reader *reader)
{
	const json_t *value = field(reader->json, "encryption");
	const char *word = value ? json_string_value(value) : "allowed";
	/* The library's numbers. Policies: 0 forced, 1 enabled, 2 disabled; levels: 2 RC4, 3 both.
	 */
	static const struct {
		const char *word;
		int incoming, outgoing, level;
		bool first;
	} policies[] = {{"off", 2, 2, 3, false},
		/* A handshake of it costs tens of milliseconds of both: who wants it gets it. */
		{"allowed", 1, 2, 3, false}, {"preferred", 1, 1, 3, true},
		{"required", 0, 0, 2, true}};
	unsigned i = 0;
	while (i < LSP_ARRAY_SIZE(policies) && (!word || strcmp(word, policies[i].word) != 0))
		i++;
	if (i == LSP_ARRAY_SIZE(policies))
		return wrong(reader, "encryption", "off, allowed, preferred or required");
	add_number(reader, "in_enc_policy", policies[i].incoming);
	add_number(reader, "out_enc_policy", policies[i].outgoing);
	add_number(reader, "allowed_enc_level", policies[i].level);
	add_switch(reader, "prefer_rc4", policies[i].first);
	return 0;
}

/* Bytes of an address, 0 for what is none. */
static size_t read_address(const char *text, uint8_t bytes[16])
{
	return inet_pton(AF_INET, text, bytes) == 1    ? 4
	       : inet_pton(AF_INET6, text, bytes) == 1 ? 16
						       : 0;
}

/* "10.0.0.1", "[fd00::1]", "[fe80::1%eth0]": a name that is none of this machine listens nowhere.
 */
static bool is_local_address(const char *text, size_t size)
{
	char address[101];
	uint8_t bytes[16];
	bool bracketed = size > 2 && text[0] == '[' && text[size - 1] == ']';
	snprintf(address, sizeof address, "%.*s", (int)(bracketed ? size - 2 : size),
		bracketed ? text + 1 : text);
	address[strcspn(address, "%")] = '\0';
	return read_address(address, bytes) == (bracketed ? 16u : 4u);
}

static int read_listen(struct reader *reader)
{
	const json_t *value = field(reader->json, "listen");
	char text[1024];
	snprintf(text, sizeof text, "0.0.0.0:%d,[::]:%d", LSP_TORRENT_PORT, LSP_TORRENT_PORT);
	if (value && !json_is_array(value))
		return wrong(reader, "listen", "a list of \"address:port\"");
	size_t used = 0;
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *address = json_string_value(json_array_get(value, i));
		const char *colon = address ? strrchr(address, ':') : NULL;
		uint64_t port;
		if (!colon || strlen(address) > 100 || used > sizeof text - 110 ||
			!is_local_address(address, (size_t)(colon - address)) ||
			lsp_text_to_u64(colon + 1, &port, NULL) < 0 || port > 65535)
			return wrong(reader, "listen",
				"a list of \"address:port\", such as \"0.0.0.0:6881\" or "
				"\"[::]:6881\"");
		used += (size_t)snprintf(
			text + used, sizeof text - used, "%s%s", i ? "," : "", address);
	}
	if (value && used == 0)
		text[0] = '\0'; /* nowhere */
	return add_text(reader, "listen_interfaces", text);
}

static int read_rate(
	struct reader *reader, const json_t *object, const char *key, uint32_t *ret_rate)
{
	const json_t *value = field(object, key);
	json_int_t rate = json_integer_value(value);
	if (value && (!json_is_integer(value) || rate < 0 || rate > INT32_MAX))
		return wrong(reader, key, "bytes a second, from 0 (none) to 2147483647");
	*ret_rate = value ? (uint32_t)rate : 0;
	return 0;
}

static int read_minutes(const json_t *value, uint16_t *ret_minutes)
{
	unsigned hours, minutes;
	char end;
	const char *text = json_string_value(value);
	if (!text || sscanf(text, "%2u:%2u%c", &hours, &minutes, &end) != 2 || hours > 23 ||
		minutes > 59)
		return -1;
	*ret_minutes = (uint16_t)(hours * 60 + minutes);
	return 0;
}

static int read_days(struct reader *reader, const json_t *days)
{
	static const char *const names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	reader->to->alternative.days = days ? 0 : 0x7f;
	for (size_t i = 0; i < json_array_size(days); i++) {
		const char *day = json_string_value(json_array_get(days, i));
		unsigned k = 0;
		while (k < 7 && (!day || strcmp(day, names[k]) != 0))
			k++;
		if (k == 7)
			return wrong(reader, "days", "a list of sun, mon, tue, wed, thu, fri, sat");
		reader->to->alternative.days |= (uint8_t)(1u << k);
	}
	return days && !json_is_array(days) ? wrong(reader, "days", "a list of days") : 0;
}

/* Of an object within the configuration: a key that is misspelt would be ignored in silence. */
static int refuse_others(
	struct reader *reader, const json_t *object, const char *name, const char *const *known)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)object, key, value) {
		unsigned i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return lsp_error_set(reader->err, DOMAIN, LSP_E_INVALID,
				"%s has no setting %.100s", name, key);
	}
	return 0;
}

static int read_alternative(struct reader *reader)
{
	static const char *const known[] = {
		"on", "max_download", "max_upload", "from", "to", "days", NULL};
	const json_t *object = field(reader->json, "alternative");
	if (!object)
		return 0;
	if (!json_is_object(object))
		return wrong(reader, "alternative", "an object");
	if (refuse_others(reader, object, "alternative", known) < 0)
		return -LSP_E_INVALID;
	const json_t *on = field(object, "on"), *from = field(object, "from"),
		     *to = field(object, "to");
	if (on && !json_is_boolean(on))
		return wrong(reader, "on", "true or false");
	reader->to->alternative.forced = json_is_true(on);
	reader->to->alternative.on = json_is_true(on) || from || to;
	if ((from || to) && (read_minutes(from, &reader->to->alternative.from) < 0 ||
				    read_minutes(to, &reader->to->alternative.to) < 0))
		return wrong(reader, "from and to", "times of day such as \"18:30\"");
	int r = read_days(reader, field(object, "days"));
	if (r == 0)
		r = read_rate(
			reader, object, "max_download", &reader->to->alternative.max_download);
	if (r == 0)
		r = read_rate(reader, object, "max_upload", &reader->to->alternative.max_upload);
	return r;
}

static int read_proxy_switches(struct reader *reader, const json_t *proxy)
{
	static const struct {
		const char *key, *setting, *name;
	} kinds[] = {{"peers", "proxy_peer_connections", "proxy.peers"},
		{"trackers", "proxy_tracker_connections", "proxy.trackers"},
		{"names", "proxy_hostnames", "proxy.names"}};
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(kinds); i++) {
		const json_t *value = field(proxy, kinds[i].key);
		if (value && !json_is_boolean(value))
			return wrong(reader, kinds[i].name, "true or false");
		add_switch(reader, kinds[i].setting, !json_is_false(value));
	}
	return 0;
}

static int read_proxy(struct reader *reader)
{
	static const char *const known[] = {
		"type", "host", "port", "user", "password", "peers", "trackers", "names", NULL};
	static const char *const types[] = {
		"none", "socks4", "socks5", "socks5_password", "http", "http_password"};
	const json_t *proxy = field(reader->json, "proxy");
	if (proxy && !json_is_object(proxy))
		return wrong(reader, "proxy", "an object");
	if (refuse_others(reader, proxy, "proxy", known) < 0)
		return -LSP_E_INVALID;
	const json_t *type = field(proxy, "type"), *port = field(proxy, "port");
	const char *word = type ? json_string_value(type) : "none";
	unsigned number = 0;
	while (number < LSP_ARRAY_SIZE(types) && (!word || strcmp(word, types[number]) != 0))
		number++;
	if (number == LSP_ARRAY_SIZE(types))
		return wrong(reader, "proxy.type",
			"none, socks4, socks5, socks5_password, http or http_password");
	if (number && (!json_is_integer(port) || json_integer_value(port) < 1 ||
			      json_integer_value(port) > 65535))
		return wrong(reader, "proxy.port", "a port from 1 to 65535");
	static const struct {
		const char *key, *setting, *name, *wanted;
	} texts[] = {{"host", "proxy_hostname", "proxy.host", "a name or an address"},
		{"user", "proxy_username", "proxy.user", "a text"},
		{"password", "proxy_password", "proxy.password", "a text"}};
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(texts); i++) {
		const json_t *given = field(proxy, texts[i].key);
		const char *text = json_string_value(given);
		if ((given && !text) || (number && i == 0 && (!text || !*text)))
			return wrong(reader, texts[i].name, texts[i].wanted);
		int r = add_text(reader, texts[i].setting, text ? text : "");
		if (r < 0)
			return r;
	}
	add_number(reader, "proxy_type", number);
	add_number(reader, "proxy_port", port ? json_integer_value(port) : 0);
	return read_proxy_switches(reader, proxy);
}

static bool is_range(const char *const range[2])
{
	uint8_t first[16], last[16];
	size_t size = read_address(range[0], first);
	return size && size == read_address(range[1], last) && memcmp(first, last, size) <= 0;
}

/*
 * "first-last", or one address. All is checked here: a configuration that only the session refuses
 * would be kept, and then no session opens any more.
 */
static int read_ranges(struct reader *reader)
{
	const json_t *list = field(reader->json, "ip_filter");
	size_t count = json_array_size(list);
	if ((list && !json_is_array(list)) || count > LSP_CONFIGURATION_RANGES_MAX)
		return wrong(reader, "ip_filter", "a list of at most 65536 \"first-last\"");
	if (count == 0)
		return 0;
	char *block = malloc(count * (sizeof *reader->to->ranges + 100));
	if (!block)
		return lsp_error_no_memory(reader->err, DOMAIN);
	reader->to->ranges = (const char *(*)[2])block;
	char *text = block + count * sizeof *reader->to->ranges;
	for (size_t i = 0; i < count; i++, text += 100) {
		const char *range = json_string_value(json_array_get(list, i));
		if (!range || !*range || strlen(range) > 99)
			return wrong(reader, "ip_filter", "a list of \"first-last\"");
		memcpy(text, range, strlen(range) + 1);
		char *dash = strchr(text, '-');
		if (dash)
			*dash = '\0';
		reader->to->ranges[i][0] = text;
		reader->to->ranges[i][1] = dash ? dash + 1 : text;
		if (!is_range(reader->to->ranges[i]))
			return lsp_error_set(reader->err, DOMAIN, LSP_E_INVALID,
				"ip_filter has \"%.99s\", which is no range of addresses such as "
				"\"10.0.0.1-10.0.0.9\"",
				range);
	}
	reader->to->range_count = count;
	return 0;
}

static int read_save_interval(struct reader *reader)
{
	const json_t *value = field(reader->json, "save_interval");
	json_int_t seconds = json_integer_value(value);
	if (value && (seconds < 1 || seconds > 3600))
		return wrong(reader, "save_interval", "whole seconds, from 1 to 3600");
	reader->to->save_interval = (uint64_t)seconds * LSP_SECOND;
	return 0;
}

uint16_t lsp_configuration_node(const char *node, char ret_host[LSP_CONFIGURATION_HOST_MAX + 1])
{
	const char *colon = strrchr(node, ':');
	size_t size = colon ? (size_t)(colon - node) : 0;
	uint64_t port = 0;
	uint8_t bytes[16];
	if (size == 0 || size > LSP_CONFIGURATION_HOST_MAX ||
		lsp_text_to_u64(colon + 1, &port, NULL) < 0 || port > UINT16_MAX)
		return 0;
	bool bracketed = size > 2 && node[0] == '[' && node[size - 1] == ']';
	snprintf(ret_host, LSP_CONFIGURATION_HOST_MAX + 1, "%.*s",
		(int)(bracketed ? size - 2 : size), bracketed ? node + 1 : node);
	/* The library takes an address for a name that it does not find, unless it is bare. */
	bool is_v6 = read_address(ret_host, bytes) == 16;
	return is_v6 == bracketed && (is_v6 || !strpbrk(ret_host, "[]: \t\r\n")) ? (uint16_t)port
										 : 0;
}

static int read_rest(struct reader *reader)
{
	const json_t *pex = field(reader->json, "pex"), *lan = field(reader->json, "limit_lan");
	if ((pex && !json_is_boolean(pex)) || (lan && !json_is_boolean(lan)))
		return wrong(reader, "pex and limit_lan", "true or false");
	reader->to->pex = !json_is_false(pex);
	reader->to->limit_lan = !json_is_false(lan);
	const json_t *nodes = field(reader->json, "dht_nodes");
	for (size_t i = 0; i < json_array_size(nodes); i++) {
		char host[LSP_CONFIGURATION_HOST_MAX + 1];
		const char *node = json_string_value(json_array_get(nodes, i));
		if (!node || !lsp_configuration_node(node, host))
			return wrong(reader, "dht_nodes",
				"a list of \"host:port\", such as \"10.0.0.2:6881\" or "
				"\"[fd00::2]:6881\"");
	}
	if (nodes && !json_is_array(nodes))
		return wrong(reader, "dht_nodes", "a list of \"host:port\"");
	reader->to->dht_nodes = nodes;
	int r = read_rate(reader, reader->json, "max_download", &reader->to->max_download);
	if (r == 0)
		r = read_rate(reader, reader->json, "max_upload", &reader->to->max_upload);
	return r;
}

/* A key that we do not know is most likely a misspelt one that we do. */
static int refuse_unknown(struct reader *reader)
{
	static const char *const others[] = {"mode", "listen", "encryption", "pex", "limit_lan",
		"proxy", "ip_filter", "dht_nodes", "max_download", "max_upload", "alternative",
		"save_interval"};
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)reader->json, key, value) {
		bool known = false;
		for (size_t i = 0; i < LSP_ARRAY_SIZE(others); i++)
			known |= strcmp(key, others[i]) == 0;
		for (size_t i = 0; i < LSP_ARRAY_SIZE(switches); i++)
			known |= strcmp(key, switches[i].key) == 0;
		for (size_t i = 0; i < LSP_ARRAY_SIZE(numbers); i++)
			known |= strcmp(key, numbers[i].key) == 0;
		for (size_t i = 0; i < LSP_ARRAY_SIZE(choices); i++)
			known |= strcmp(key, choices[i].key) == 0;
		if (!known)
			return lsp_error_set(reader->err, DOMAIN, LSP_E_INVALID,
				"the torrent engine has no setting %.100s", key);
	}
	return 0;
}

/* What nobody configures. */
static int add_fixed(struct reader *reader)
{
	add_number(reader, "alert_queue_size", 50000);
	/*
	 * No file is mapped, all are read and written: to 2.0.11 the library hashes v2 content in
	 * its mapping unguarded, and a file that somebody cut short, or a hole on a full tmpfs,
	 * would end the process by a SIGBUS.
	 */
	add_number(reader, "mmap_file_size_cutoff", INT32_MAX);
	/* What was asked of a peer comes, even if a limit falls: a second's worth at a time. */
	add_number(reader, "request_queue_time", 1);
	/* The session's end waits for trackers that do not answer. */
	add_number(reader, "stop_tracker_timeout", 1);
	/* Two peers behind one address are the rule in a hall, not an attack. */
	add_switch(reader, "allow_multiple_connections_per_ip", true);
	/* One that was let go, since nobody wanted anything, is soon asked again. */
	add_number(reader, "min_reconnect_time", 5);
	add_number(reader, "active_tracker_limit", -1);
	add_number(reader, "active_lsd_limit", 600);
	add_number(reader, "active_dht_limit", 600);
	/* The queue is for what a person has to wait for; seeds that do nothing cost nothing. */
	add_switch(reader, "dont_count_slow_torrents", true);
	/* Nodes that are asked first are told apart from those that the user named. */
	if (json_array_size(reader->to->dht_nodes) > 0 &&
		add_text(reader, "dht_bootstrap_nodes", "") < 0)
		return -LSP_E_TOO_LARGE;
	return add_text(reader, "user_agent", "lanspread/" LANSPREAD_VERSION);
}

typedef int (*read_function)(struct reader *reader);

int lsp_configuration_parse(
	const json_t *json, struct lsp_configuration *ret_configuration, struct lsp_error *err)
{
	static const read_function steps[] = {refuse_unknown, read_mode, read_switches,
		read_numbers, read_choices, read_encryption, read_listen, read_proxy, read_ranges,
		read_alternative, read_save_interval, read_rest, add_fixed};
	struct lsp_configuration configuration = {0};
	if (json && !json_is_object(json))
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "the configuration must be an object");
	configuration.json = json ? json_deep_copy(json) : json_object();
	configuration.texts = malloc(TEXTS_MAX);
	struct reader reader = {.json = configuration.json, .to = &configuration, .err = err};
	int r = configuration.json && configuration.texts ? 0 : lsp_error_no_memory(err, DOMAIN);
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(steps); i++)
		r = steps[i](&reader);
	if (r < 0) {
		lsp_configuration_done(&configuration);
		return r;
	}
	*ret_configuration = configuration;
	return 0;
}

void lsp_configuration_done(struct lsp_configuration *configuration)
{
	json_decref(configuration->json);
	free(configuration->texts);
	free(configuration->ranges);
	memset(configuration, 0, sizeof *configuration);
}

/* ---- What it says ------------------------------------------------------------------------ */

bool lsp_configuration_is_on(const struct lsp_configuration *configuration, const char *name)
{
	for (size_t i = 0; i < configuration->count; i++)
		if (strcmp(configuration->settings[i].name, name) == 0)
			return configuration->settings[i].number;
	return false;
}

bool lsp_configuration_maps_ports(const struct lsp_configuration *configuration)
{
	return lsp_configuration_is_on(configuration, "enable_upnp") ||
	       lsp_configuration_is_on(configuration, "enable_natpmp");
}

/* ---- The schedule ------------------------------------------------------------------------ */

static bool alternative_now(const struct lsp_configuration *configuration, uint64_t wall)
{
	if (!configuration->alternative.on || configuration->alternative.forced)
		return configuration->alternative.forced;
	time_t seconds = (time_t)(wall / LSP_SECOND);
	struct tm local;
	if (!localtime_r(&seconds, &local))
		return false;
	int now = local.tm_hour * 60 + local.tm_min;
	int from = configuration->alternative.from, to = configuration->alternative.to;
	uint8_t days = configuration->alternative.days;
	bool today = days & (1u << local.tm_wday);
	bool yesterday = days & (1u << ((local.tm_wday + 6) % 7));
	if (from < to)
		return today && now >= from && now < to;
	if (from == to)
		return today;
	return (today && now >= from) || (yesterday && now < to);
}

void lsp_configuration_limits(const struct lsp_configuration *configuration, uint64_t wall,
	uint32_t *ret_max_download, uint32_t *ret_max_upload)
{
	bool alternative = alternative_now(configuration, wall);
	*ret_max_download =
		alternative ? configuration->alternative.max_download : configuration->max_download;
	*ret_max_upload =
		alternative ? configuration->alternative.max_upload : configuration->max_upload;
}
