/*
 * Others: does another program of this machine use the network for something that minds a delay?
 *
 * Games, voice and calls are datagrams, tens of them a second, both ways. The kernel counts all UDP
 * datagrams of the machine (of the network namespace; RFC 4113, /proc/self/net/snmp, snmp6,
 * netstat); what is left when our own are taken away is others'. A few in a tenth of a second are
 * believed for a second, so that a queue is gone soon after somebody begins to play; those that
 * keep coming for half a second, for five, so that a loading screen does not end it. Looks may be a
 * second or two apart: then it is the rate between them that counts.
 *
 * Whether the kernel counts a batch of ours (UDP_SEGMENT) as one datagram or as its packets depends
 * on its version: what fits better is believed. Elsewhere than on Linux, or without /proc, nobody
 * is seen.
 *
 * Both are values of their owner's, without allocation; the files stay open, for opening them costs
 * more than reading them. Reading blocks as little as /proc does.
 */
#pragma once

#include "net/endpoint.h"

#define LSP_OTHERS_LOOK (25 * LSP_MILLISECOND)       /* how often to look, at most */
#define LSP_OTHERS_CALM_LOOK (100 * LSP_MILLISECOND) /* while nobody was seen for a second */
#define LSP_OTHERS_LOOKS 20u /* that are remembered: half a second at least */

struct lsp_datagrams {
	uint64_t in, out;
	uint64_t multicast_in, multicast_out; /* packets among them: discovery, nobody's game */
};

#define LSP_COUNTER_TEXT_MAX 16384

/* Where the kernel's counters are read, time and again: of the namespace it was opened in. */
struct lsp_counters {
	int snmp, snmp6, netstat; /* descriptors; -1: there is none */
	char texts[3][LSP_COUNTER_TEXT_MAX];
};

/* Zero-initialised is ready. */
struct lsp_others {
	struct lsp_datagrams kernel, calls, packets; /* at the last look; the two are ours */
	struct lsp_datagrams seen;                   /* of others, since the beginning */
	uint64_t credit_in, credit_out; /* datagrams that are still expected of discovery */
	struct {
		lsp_time at;
		struct lsp_datagrams seen;
	} looks[LSP_OTHERS_LOOKS]; /* a ring */
	unsigned count;            /* looks ever */
	lsp_time heard;            /* the last datagram of others'; 0: none yet */
	lsp_time until;
};

/* The kernel's texts; all but the first may be NULL. -LSP_E_PROTOCOL when the counters are missing.
 */
LSP_MUST_CHECK int lsp_others_parse(const char *snmp, const char *snmp6, const char *netstat,
	struct lsp_datagrams *ret_datagrams, struct lsp_error *err);

/* Not open after an error: reading says the same then, and closing does nothing. */
int lsp_counters_open(struct lsp_counters *counters, struct lsp_error *err);
void lsp_counters_close(struct lsp_counters *counters);
LSP_MUST_CHECK int lsp_counters_read(
	struct lsp_counters *counters, struct lsp_datagrams *ret_datagrams, struct lsp_error *err);

/* Are others there, as these counters say? Asked sooner than LSP_OTHERS_LOOK it says as before. */
bool lsp_others_look(struct lsp_others *others, const struct lsp_datagrams *kernel,
	const struct lsp_endpoint_stats *ours, lsp_time now);
/* When to look again. Who begins to play is found out as soon with a calm look as with many. */
lsp_time lsp_others_next_look(const struct lsp_others *others, lsp_time now);
