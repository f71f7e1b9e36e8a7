/*
 * lanspread-discover: announces one peer and finds the others, by multicast DNS.
 *
 * A program of its own, since a forged answer can abort libavahi-core: then this process ends, and
 * the daemon starts another. It owns no secret and opens no file. It speaks on stdout, one JSON
 * object a line (net/discovery.h), and ends at SIGTERM or when its stdin does, with a goodbye to
 * the network.
 *
 * It runs beside an avahi-daemon on the same machine: it publishes under a host name of its own
 * (lanspread-<beginning of the id>) and its own address records without reverse ones, so that the
 * two do not take each other for an impostor.
 */
#include "base/log.h"
#include "base/sha256.h"
#include "base/text.h"
#include "net/address.h"
#include "net/discovery.h"
#include "net/interface.h"
#include "wire/path.h"

#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/simple-watch.h>
#include <avahi-common/timeval.h>
#include <avahi-core/core.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>

#include <getopt.h>
#include <jansson.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RESOLVERS_MAX 512 /* questions at a time; more announcements than that wait */
#define UNRESOLVED_MAX 512
#define RESOLVE_TRIES 10 /* an announcement: packets are lost where many speak at once */
#define HOSTS_MAX 64
#define CHECK_SECONDS 3 /* between looks at our own addresses */
#define RESOLVE_SECONDS 30

struct seen {
	char service[64]; /* empty: a free slot */
	char id[LSP_SHA256_HEX_SIZE];
};

/* An announcement whose details did not come. The browser tells of it only once. */
struct unresolved {
	AvahiIfIndex interface;
	AvahiProtocol protocol;
	unsigned tries; /* 0: a free slot */
	bool asking;
	char service[AVAHI_LABEL_MAX];
};

static struct {
	AvahiSimplePoll *poll;
	AvahiServer *server;
	AvahiSEntryGroup *group;
	AvahiSServiceBrowser *browser;
	AvahiTimeout *check;
	char id[LSP_SHA256_HEX_SIZE];
	char host[64], service[64];
	unsigned collisions;
	char name[64];
	uint16_t port;
	const char *interface;
	bool quiet;
	struct lsp_interfaces interfaces;
	struct seen seen[1024];
	struct unresolved unresolved[UNRESOLVED_MAX];
	unsigned resolvers;
	const char *hosts[HOSTS_MAX]; /* "HOST PORT" */
	size_t host_count;
	int status;
} me;

static void say(json_t *event)
{
	char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
	json_decref(event);
	if (text && (puts(text) < 0 || fflush(stdout) < 0))
		avahi_simple_poll_quit(me.poll);
	free(text);
}

static void fail(const char *what, int avahi_error)
{
	fprintf(stderr, "%s: %s\n", what, avahi_strerror(avahi_error));
	me.status = 1;
	avahi_simple_poll_quit(me.poll);
}

/* ---- Announcing ---- */

static bool to_avahi(const struct sockaddr_storage *from, AvahiAddress *ret_address)
{
	if (from->ss_family == AF_INET) {
		ret_address->proto = AVAHI_PROTO_INET;
		memcpy(&ret_address->data.ipv4, &((const struct sockaddr_in *)from)->sin_addr, 4);
		return true;
	}
	ret_address->proto = AVAHI_PROTO_INET6;
	memcpy(&ret_address->data.ipv6, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	return from->ss_family == AF_INET6;
}

/* Our addresses on one interface, and the service there. */
static int announce_on(const struct lsp_interface_address *item)
{
	AvahiAddress address;
	char fqdn[80];
	snprintf(fqdn, sizeof fqdn, "%s.local", me.host);
	if (!to_avahi(&item->address, &address))
		return 0;
	return avahi_server_add_address(me.server, me.group, (AvahiIfIndex)item->index,
		address.proto, AVAHI_PUBLISH_NO_REVERSE, fqdn, &address);
}

static int announce_service(unsigned index)
{
	char fqdn[80], id[80], name[80];
	snprintf(fqdn, sizeof fqdn, "%s.local", me.host);
	snprintf(id, sizeof id, "id=%s", me.id);
	snprintf(name, sizeof name, "name=%s", me.name);
	return avahi_server_add_service(me.server, me.group, (AvahiIfIndex)index,
		AVAHI_PROTO_UNSPEC, 0, me.service, LSP_DISCOVERY_SERVICE, NULL, fqdn, me.port,
		"v=1", id, name, NULL);
}

static void announce(void)
{
	int r = 0;
	unsigned done[64];
	size_t done_count = 0;
	avahi_s_entry_group_reset(me.group);
	for (size_t i = 0; i < me.interfaces.count && r >= 0; i++) {
		const struct lsp_interface_address *item = &me.interfaces.items[i];
		bool seen = false;
		r = announce_on(item);
		for (size_t j = 0; j < done_count; j++)
			seen |= done[j] == item->index;
		if (r < 0 || seen || done_count == LSP_ARRAY_SIZE(done))
			continue;
		done[done_count++] = item->index;
		r = announce_service(item->index);
	}
	if (r >= 0 && me.interfaces.count)
		r = avahi_s_entry_group_commit(me.group);
	if (r < 0)
		fail("cannot announce", r);
	else
		say(json_pack("{s:s}", "event", "ready"));
}

static void group_changed(
	AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state, void *data)
{
	if (state == AVAHI_ENTRY_GROUP_COLLISION) {
		/*
		 * The names hold our id: only a clone of this machine can have them too. It must be
		 * seen all the same, or nobody could tell its user.
		 */
		me.collisions++;
		snprintf(me.service, sizeof me.service, "%.46s %.12s %u", me.name, me.id,
			me.collisions + 1);
		snprintf(me.host, sizeof me.host, "lanspread-%.12s-%u", me.id, me.collisions + 1);
		announce();
	} else if (state == AVAHI_ENTRY_GROUP_FAILURE) {
		fail("cannot announce", avahi_server_errno(server));
	}
}

/* ---- Finding ---- */

static bool txt_value(AvahiStringList *txt, const char *key, char *out, size_t size)
{
	AvahiStringList *found = avahi_string_list_find(txt, key);
	char *value = NULL;
	size_t length = 0;
	if (!found || avahi_string_list_get_pair(found, NULL, &value, &length) < 0 || !value)
		return false;
	lsp_label_clean(value, length, out, size - 1);
	avahi_free(value);
	return true;
}

/* What we announced ourselves: our id, our port, one of our addresses. Else it is a clone's. */
static bool is_ours(const char *id, const AvahiAddress *address, uint16_t port)
{
	if (strcmp(id, me.id) != 0 || port != me.port)
		return false;
	for (size_t i = 0; i < me.interfaces.count; i++) {
		AvahiAddress own;
		if (to_avahi(&me.interfaces.items[i].address, &own) &&
			avahi_address_cmp(&own, address) == 0)
			return true;
	}
	return false;
}

/* Which peer a service instance was: its end names only the instance. */
static void remember(const char *service, const char *id)
{
	struct seen *slot = NULL;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(me.seen); i++) {
		if (strcmp(me.seen[i].service, service) == 0)
			slot = &me.seen[i];
		else if (!slot && !me.seen[i].service[0])
			slot = &me.seen[i];
	}
	if (!slot)
		return; /* more than a party has: its end goes unsaid */
	snprintf(slot->service, sizeof slot->service, "%s", service);
	snprintf(slot->id, sizeof slot->id, "%s", id);
}

static void forget(const char *service)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(me.seen); i++) {
		if (strcmp(me.seen[i].service, service) == 0) {
			say(json_pack("{s:s, s:s}", "event", "lost", "id", me.seen[i].id));
			me.seen[i].service[0] = '\0';
		}
	}
}

/* Its slot, or a free one where `make`; NULL: none. */
static struct unresolved *find_unresolved(
	AvahiIfIndex interface, AvahiProtocol protocol, const char *service, bool make)
{
	struct unresolved *slot = NULL;
	for (size_t i = 0; i < UNRESOLVED_MAX; i++) {
		struct unresolved *one = &me.unresolved[i];
		if (!one->tries)
			slot = slot ? slot : one;
		else if (one->interface == interface && one->protocol == protocol &&
			 strcmp(one->service, service) == 0)
			return one;
	}
	if (!slot || !make)
		return NULL;
	*slot = (struct unresolved){.interface = interface, .protocol = protocol};
	snprintf(slot->service, sizeof slot->service, "%s", service);
	return slot;
}

/* No answer (or no room to ask): it is asked about again at the next look around. */
static void ask_later(AvahiIfIndex interface, AvahiProtocol protocol, const char *service)
{
	struct unresolved *one = find_unresolved(interface, protocol, service, true);
	if (!one)
		return;
	one->asking = false;
	if (one->tries++ == RESOLVE_TRIES)
		one->tries = 0;
}

static void resolved(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
	AvahiProtocol protocol, AvahiResolverEvent event, const char *name, const char *type,
	const char *domain, const char *host, const AvahiAddress *address, uint16_t port,
	AvahiStringList *txt, AvahiLookupResultFlags flags, void *data)
{
	char id[80] = "", label[64] = "", text[AVAHI_ADDRESS_STR_MAX + IF_NAMESIZE + 2];
	if (event == AVAHI_RESOLVER_FOUND && address && port &&
		txt_value(txt, "id", id, sizeof id) && !is_ours(id, address, port)) {
		char zone[IF_NAMESIZE] = "";
		avahi_address_snprint(text, AVAHI_ADDRESS_STR_MAX, address);
		if (address->proto == AVAHI_PROTO_INET6 && lsp_text_starts_with(text, "fe80") &&
			if_indextoname((unsigned)interface, zone))
			snprintf(text + strlen(text), sizeof text - strlen(text), "%%%s", zone);
		txt_value(txt, "name", label, sizeof label);
		remember(name, id);
		say(json_pack("{s:s, s:s, s:s, s:s, s:i}", "event", "found", "id", id, "name",
			label, "address", text, "port", (int)port));
	}
	struct unresolved *late = find_unresolved(interface, protocol, name, false);
	if (event == AVAHI_RESOLVER_FAILURE)
		ask_later(interface, protocol, name);
	else if (late)
		late->tries = 0;
	avahi_s_service_resolver_free(resolver);
	me.resolvers--;
}

static bool ask(AvahiIfIndex interface, AvahiProtocol protocol, const char *service)
{
	if (me.resolvers >= RESOLVERS_MAX ||
		!avahi_s_service_resolver_new(me.server, interface, protocol, service,
			LSP_DISCOVERY_SERVICE, "local", AVAHI_PROTO_UNSPEC, 0, resolved, NULL))
		return false;
	me.resolvers++;
	return true;
}

static void ask_again(void)
{
	for (size_t i = 0; i < UNRESOLVED_MAX; i++) {
		struct unresolved *one = &me.unresolved[i];
		if (one->tries && !one->asking)
			one->asking = ask(one->interface, one->protocol, one->service);
	}
}

static void browsed(AvahiSServiceBrowser *browser, AvahiIfIndex interface, AvahiProtocol protocol,
	AvahiBrowserEvent event, const char *name, const char *type, const char *domain,
	AvahiLookupResultFlags flags, void *data)
{
	switch (event) {
	case AVAHI_BROWSER_NEW:
		if (!ask(interface, protocol, name))
			ask_later(interface, protocol, name);
		break;
	case AVAHI_BROWSER_REMOVE: {
		struct unresolved *late = find_unresolved(interface, protocol, name, false);
		if (late)
			late->tries = 0;
		forget(name);
		break;
	}
	case AVAHI_BROWSER_FAILURE:
		fail("cannot browse", avahi_server_errno(me.server));
		break;
	default:
		break;
	}
}

static void server_changed(AvahiServer *server, AvahiServerState state, void *data)
{
	me.server = server;
	if (state == AVAHI_SERVER_COLLISION)
		avahi_server_set_host_name(server, me.host);
	else if (state == AVAHI_SERVER_FAILURE)
		fail("multicast DNS failed", avahi_server_errno(server));
}

/* ---- Names to resolve ---- */

/* A process of its own for each name: a slow resolver holds nobody up. */
static void resolve(const char *host_port)
{
	char host[256];
	unsigned port = 0;
	if (sscanf(host_port, "%255s %u", host, &port) != 2)
		return;
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list = NULL;
	int r = getaddrinfo(host, NULL, &hints, &list);
	if (r != 0) {
		say(json_pack("{s:s, s:o}", "event", "error", "message",
			json_sprintf("cannot find the host %s: %s", host, gai_strerror(r))));
		return;
	}
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		struct sockaddr_storage address = {0};
		char text[LSP_ADDRESS_TEXT_MAX];
		memcpy(&address, a->ai_addr, LSP_MIN((size_t)a->ai_addrlen, sizeof address));
		say(json_pack("{s:s, s:s, s:i, s:s}", "event", "resolved", "host", host, "port",
			(int)port, "address", lsp_address_format_host(&address, text)));
	}
	freeaddrinfo(list);
}

static void resolve_all(void)
{
	for (size_t i = 0; i < me.host_count; i++) {
		if (fork() == 0) {
			alarm(RESOLVE_SECONDS);
			resolve(me.hosts[i]);
			fflush(stdout);
			_exit(0);
		}
	}
}

/* ---- The loop
 * ------------------------------------------------------------------------------------------------
 */

static void look_at_interfaces(bool first)
{
	struct lsp_interfaces now = {0};
	struct lsp_error err = {0};
	if (lsp_interfaces_read(me.interface, &now, &err) < 0) {
		say(json_pack("{s:s, s:s}", "event", "error", "message", err.message));
		return;
	}
	bool changed = first || !lsp_interfaces_equal(&now, &me.interfaces);
	lsp_interfaces_done(&me.interfaces);
	me.interfaces = now;
	if (changed && me.group)
		announce();
}

static void arm(unsigned seconds)
{
	struct timeval when;
	const AvahiPoll *poll = avahi_simple_poll_get(me.poll);
	avahi_elapse_time(&when, seconds * 1000, 0);
	poll->timeout_update(me.check, &when);
}

static void check_due(AvahiTimeout *timeout, void *data)
{
	look_at_interfaces(false);
	ask_again();
	arm(CHECK_SECONDS);
}

static void stdin_ready(AvahiWatch *watch, int fd, AvahiWatchEvent event, void *data)
{
	char bytes[256];
	if (read(fd, bytes, sizeof bytes) <= 0)
		avahi_simple_poll_quit(me.poll);
}

static void signal_ready(AvahiWatch *watch, int fd, AvahiWatchEvent event, void *data)
{
	avahi_simple_poll_quit(me.poll);
}

/* What ends us, besides the end of stdin: SIGTERM, taken from the loop. */
static void watch_the_end(void)
{
	const AvahiPoll *poll = avahi_simple_poll_get(me.poll);
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		poll->watch_new(poll, fd, AVAHI_WATCH_IN, signal_ready, NULL);
	else
		sigprocmask(SIG_UNBLOCK, &signals, NULL);
	poll->watch_new(poll, STDIN_FILENO, AVAHI_WATCH_IN, stdin_ready, NULL);
}

static int open_server(void)
{
	AvahiServerConfig config;
	int error;
	avahi_server_config_init(&config);
	config.host_name = avahi_strdup(me.host);
	config.publish_addresses = 0;
	config.publish_workstation = 0;
	config.publish_hinfo = 0;
	config.use_iff_running = 1;
	config.disallow_other_stacks = 0;
	config.enable_wide_area = 0;
	if (me.interface)
		config.allow_interfaces = avahi_string_list_add(NULL, me.interface);
	me.server = avahi_server_new(
		avahi_simple_poll_get(me.poll), &config, server_changed, NULL, &error);
	avahi_server_config_free(&config);
	if (!me.server) {
		fail("multicast DNS cannot start", error);
		return -1;
	}
	me.group = avahi_s_entry_group_new(me.server, group_changed, NULL);
	me.browser = avahi_s_service_browser_new(me.server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
		LSP_DISCOVERY_SERVICE, "local", 0, browsed, NULL);
	if (!me.group || !me.browser) {
		fail("multicast DNS cannot start", avahi_server_errno(me.server));
		return -1;
	}
	return 0;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"id", required_argument, NULL, 'i'},
		{"port", required_argument, NULL, 'p'},
		{"name", required_argument, NULL, 'n'},
		{"interface", required_argument, NULL, 'I'},
		{"resolve", required_argument, NULL, 'r'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	uint64_t port = 0;
	struct lsp_hash id;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'i':
			snprintf(me.id, sizeof me.id, "%s", optarg);
			break;
		case 'p':
			if (lsp_text_to_u64(optarg, &port, NULL) < 0 || port > 65535)
				port = 0;
			break;
		case 'n':
			lsp_label_clean(optarg, strlen(optarg), me.name, sizeof me.name - 1);
			break;
		case 'I':
			me.interface = optarg;
			break;
		case 'r':
			if (me.host_count < HOSTS_MAX)
				me.hosts[me.host_count++] = optarg;
			break;
		case 'q':
			me.quiet = true;
			break;
		case 'v':
			puts("lanspread-discover " LANSPREAD_VERSION);
			exit(0);
		default:
			return -1;
		}
	}
	me.port = (uint16_t)port;
	return lsp_hash_from_hex(me.id, &id, NULL) < 0 || !port ? -1 : 0;
}

int main(int argc, char **argv)
{
	if (parse(argc, argv) < 0) {
		fputs("usage: lanspread-discover --id PEERID --port PORT --name NAME [--interface "
		      "IF] "
		      "[--resolve \"HOST PORT\"]… [--quiet]\nStarted by lanspread; not meant to be "
		      "run by hand.\n",
			stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	snprintf(me.host, sizeof me.host, "lanspread-%.12s", me.id);
	snprintf(me.service, sizeof me.service, "%.46s %.12s", me.name, me.id);
	resolve_all();
	me.poll = avahi_simple_poll_new();
	if (!me.poll)
		return 1;
	const AvahiPoll *poll = avahi_simple_poll_get(me.poll);
	watch_the_end();
	if (!me.quiet && open_server() == 0) {
		struct timeval when;
		avahi_elapse_time(&when, CHECK_SECONDS * 1000, 0);
		me.check = poll->timeout_new(poll, &when, check_due, NULL);
		look_at_interfaces(true);
	}
	if (me.status == 0)
		avahi_simple_poll_loop(me.poll);
	if (me.server)
		avahi_server_free(me.server);
	lsp_interfaces_done(&me.interfaces);
	avahi_simple_poll_free(me.poll);
	return me.status;
}
