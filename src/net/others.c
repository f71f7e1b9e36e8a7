#include "net/others.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK (100 * LSP_MILLISECOND)
#define QUICK_LEAST 5
#define QUICK_LINGER LSP_SECOND
#define STEADY (400 * LSP_MILLISECOND)
#define STEADY_LEAST 8
#define STEADY_LINGER (5 * LSP_SECOND)
#define STALE (3 * LSP_SECOND)
#define CREDIT_KEPT 99 /* of a hundred, in the time of a look, and one less where it is little */
#define AWAKE LSP_SECOND
#define LISTENERS 4 /* programs that get each multicast packet, at the most */

/* ---- The kernel's counters ------------------------------------------------------------------- */

/* In a table of two lines, names and numbers: the number under that name. */
static bool find_in_table(const char *text, const char *table, const char *name, uint64_t *ret)
{
	size_t length = strlen(table), size = strlen(name);
	const char *names = text;
	while (names && strncmp(names, table, length) != 0)
		names = (names = strchr(names, '\n')) ? names + 1 : NULL;
	const char *numbers = names ? strchr(names, '\n') : NULL;
	if (!numbers || strncmp(++numbers, table, length) != 0)
		return false;
	const char *end = numbers - 1;
	for (names += length, numbers += length; names < end && *numbers && *numbers != '\n';) {
		while (*names == ' ')
			names++;
		size_t word = strcspn(names, " \n");
		char *after;
		uint64_t value = strtoull(numbers, &after, 10);
		if (after == numbers)
			return false;
		if (word == size && strncmp(names, name, size) == 0) {
			*ret = value;
			return true;
		}
		names += word;
		numbers = after;
	}
	return false;
}

/* In lines of a name and a number. */
static uint64_t find_in_lines(const char *text, const char *name)
{
	size_t size = strlen(name);
	for (const char *line = text; line;) {
		if (strncmp(line, name, size) == 0 && strchr(" \t", line[size]) && line[size])
			return strtoull(line + size, NULL, 10);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

int lsp_others_parse(const char *snmp, const char *snmp6, const char *netstat,
	struct lsp_datagrams *ret_datagrams, struct lsp_error *err)
{
	struct lsp_datagrams found = {0};
	if (!find_in_table(snmp, "Udp:", "InDatagrams", &found.in) ||
		!find_in_table(snmp, "Udp:", "OutDatagrams", &found.out))
		return lsp_error_set(err, "net", LSP_E_PROTOCOL,
			"the kernel's counters of datagrams are not understood");
	if (netstat) {
		(void)find_in_table(netstat, "IpExt:", "InMcastPkts", &found.multicast_in);
		(void)find_in_table(netstat, "IpExt:", "OutMcastPkts", &found.multicast_out);
	}
	if (snmp6) {
		found.in += find_in_lines(snmp6, "Udp6InDatagrams");
		found.out += find_in_lines(snmp6, "Udp6OutDatagrams");
		found.multicast_in += find_in_lines(snmp6, "Ip6InMcastPkts");
		found.multicast_out += find_in_lines(snmp6, "Ip6OutMcastPkts");
	}
	*ret_datagrams = found;
	return 0;
}

static int open_text(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

int lsp_counters_open(struct lsp_counters *counters, struct lsp_error *err)
{
	*counters = (struct lsp_counters){open_text("/proc/self/net/snmp"),
		open_text("/proc/self/net/snmp6"), open_text("/proc/self/net/netstat"), {{0}}};
	if (counters->snmp >= 0)
		return 0;
	lsp_counters_close(counters);
	return lsp_error_errno(err, "net", errno, "cannot read /proc/self/net/snmp");
}

static void close_text(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void lsp_counters_close(struct lsp_counters *counters)
{
	close_text(&counters->snmp);
	close_text(&counters->snmp6);
	close_text(&counters->netstat);
}

/* The text from its beginning; NULL where there is none, or none that fits. */
static const char *read_text(int fd, char text[LSP_COUNTER_TEXT_MAX])
{
	size_t size = 0;
	while (fd >= 0 && size < LSP_COUNTER_TEXT_MAX - 1) {
		ssize_t r = pread(fd, text + size, LSP_COUNTER_TEXT_MAX - 1 - size, (off_t)size);
		if (r < 0)
			return NULL;
		if (r == 0) {
			text[size] = 0;
			return text;
		}
		size += (size_t)r;
	}
	return NULL;
}

int lsp_counters_read(
	struct lsp_counters *counters, struct lsp_datagrams *ret_datagrams, struct lsp_error *err)
{
	const char *snmp = read_text(counters->snmp, counters->texts[0]);
	if (!snmp)
		return lsp_error_set(
			err, "net", LSP_E_IO, "the kernel's counters of datagrams cannot be read");
	return lsp_others_parse(snmp, read_text(counters->snmp6, counters->texts[1]),
		read_text(counters->netstat, counters->texts[2]), ret_datagrams, err);
}

/* ---- What is not ours ------------------------------------------------------------------------ */

static uint64_t beyond(uint64_t all, uint64_t ours)
{
	return all > ours ? all - ours : 0;
}

/* How many of `all` are others', if ours were counted by calls or by packets: what fits better. */
static uint64_t rest(uint64_t all, uint64_t calls, uint64_t packets)
{
	uint64_t by_calls = beyond(all, calls), by_packets = beyond(all, packets);
	return all < packets ? by_calls : LSP_MIN(by_calls, by_packets);
}

/*
 * What is left when discovery's part is taken away. A packet is counted as multicast when it comes
 * and as a datagram when a program reads it, which may be some looks later on a busy machine: what
 * is not used up waits, and is forgotten by and by.
 */
static uint64_t charge(uint64_t datagrams, uint64_t *credit, uint64_t multicast, uint64_t passed)
{
	*credit += multicast;
	uint64_t used = LSP_MIN(datagrams, *credit);
	*credit -= used;
	for (uint64_t looks = passed / LSP_OTHERS_LOOK; looks && *credit; looks--)
		*credit = *credit * CREDIT_KEPT / 100;
	return datagrams - used;
}

/*
 * Did others' datagrams come one way, so many in each `span`, since the last look that is at least
 * so old? Looks may be many spans apart: what came between them is counted for each.
 */
static bool keep_coming(
	const struct lsp_others *others, uint64_t span, uint64_t least, lsp_time now)
{
	unsigned known = LSP_MIN(others->count, LSP_OTHERS_LOOKS);
	for (unsigned i = 1; i <= known; i++) {
		unsigned place = (others->count - i) % LSP_OTHERS_LOOKS;
		const struct lsp_datagrams *then = &others->looks[place].seen;
		uint64_t spans = (now - others->looks[place].at) / span;
		if (spans)
			return LSP_MAX(others->seen.in - then->in, others->seen.out - then->out) >=
			       least * spans;
	}
	return false;
}

bool lsp_others_look(struct lsp_others *others, const struct lsp_datagrams *kernel,
	const struct lsp_endpoint_stats *ours, lsp_time now)
{
	struct lsp_datagrams calls = {ours->received_messages, ours->send_calls};
	struct lsp_datagrams packets = {ours->received_packets, ours->sent_packets};
	unsigned last = (others->count + LSP_OTHERS_LOOKS - 1) % LSP_OTHERS_LOOKS;
	if (others->count && now < others->looks[last].at + LSP_OTHERS_LOOK)
		return now < others->until;
	if (others->count && now > others->looks[last].at + STALE) {
		others->count = 0; /* a new beginning: what came meanwhile came at no rate */
		others->credit_in = others->credit_out = 0;
	}
	if (others->count) {
		uint64_t passed = now - others->looks[last].at;
		uint64_t in = charge(
			rest(kernel->in - others->kernel.in, calls.in - others->calls.in,
				packets.in - others->packets.in),
			&others->credit_in,
			LISTENERS * beyond(kernel->multicast_in, others->kernel.multicast_in),
			passed);
		uint64_t out = charge(
			rest(kernel->out - others->kernel.out, calls.out - others->calls.out,
				packets.out - others->packets.out),
			&others->credit_out,
			beyond(kernel->multicast_out, others->kernel.multicast_out), passed);
		others->seen.in += in;
		others->seen.out += out;
		if (in || out)
			others->heard = now;
		if (keep_coming(others, QUICK, QUICK_LEAST, now))
			others->until = LSP_MAX(others->until, now + QUICK_LINGER);
		if (keep_coming(others, STEADY, STEADY_LEAST, now))
			others->until = LSP_MAX(others->until, now + STEADY_LINGER);
	}
	others->looks[others->count % LSP_OTHERS_LOOKS].at = now;
	others->looks[others->count % LSP_OTHERS_LOOKS].seen = others->seen;
	others->count++;
	others->kernel = *kernel;
	others->calls = calls;
	others->packets = packets;
	return now < others->until;
}

/*
 * Five datagrams of a game take 78 ms: with looks in between, the fifth is found a look later; when
 * the first look finds some of them, the looks that follow are quick ones.
 */
lsp_time lsp_others_next_look(const struct lsp_others *others, lsp_time now)
{
	bool awake = now < others->until || (others->heard && now < others->heard + AWAKE);
	return now + (awake ? LSP_OTHERS_LOOK : LSP_OTHERS_CALM_LOOK);
}
