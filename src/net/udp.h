/*
 * A UDP socket as QUIC wants it: datagrams in batches, both ways.
 *
 * Sending: packets of one size to one place are laid one after the other into `out` and leave in
 * one system call (UDP_SEGMENT; where the kernel or the driver refuses that, packet by packet,
 * which is logged once). A batch that the kernel has no room for stays, the socket is `blocked`,
 * and lsp_udp_flush goes on when it polls writable. A batch that cannot be delivered (no route, too
 * large for the link) is a lost packet to QUIC: dropped, and counted.
 *
 * Receiving: recvmmsg into buffers that all sockets share, with UDP_GRO, so that one buffer may
 * hold many packets of one size. Datagrams that cannot be QUIC are dropped by a filter in the
 * kernel.
 *
 * DF is set and the kernel's idea of the path MTU is not used (QUIC probes for itself). Each
 * datagram comes with the address that it was sent to, and answers leave from there, so that a host
 * with several addresses is understood. Not locked: for the thread of the endpoint.
 */
#pragma once

#include "net/address.h"

#include <sys/socket.h>
#include <sys/types.h>

#define LSP_UDP_BATCH_MAX 65507
#define LSP_UDP_SEGMENTS_MAX 64

/* Our own end of a flow: the address that it came to. Family AF_UNSPEC: the kernel chooses. */
struct lsp_udp_local {
	sa_family_t family;
	uint32_t interface; /* of a link-local IPv6 address */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

struct lsp_udp_batch {
	size_t size;    /* 0: empty */
	size_t segment; /* every packet but the last has this size */
	size_t sent;    /* how much of it went, where UDP_SEGMENT is not used */
	uint8_t dscp;   /* the six bits */
	struct sockaddr_storage remote;
	struct lsp_udp_local local;
	uint8_t data[LSP_UDP_BATCH_MAX + 1];
};

struct lsp_udp_socket {
	int fd;
	int family;
	bool gso, gro, blocked;
	bool *told; /* of its options */
	int receive_buffer;
	int watched; /* for the endpoint: the events that its poll handle waits for */
	uint64_t send_calls, receive_calls, received_messages, undeliverable;
	struct lsp_udp_batch *out;
};

struct lsp_udp_options {
	struct sockaddr_storage address; /* port 0: a free one */
	const char *interface;
	size_t buffer;
	bool no_gso, no_gro;
	bool *told; /* that the kernel refuses one of them was logged; outlives the socket */
};

/* Binds without address reuse: the port is ours alone. */
LSP_MUST_CHECK int lsp_udp_open(const struct lsp_udp_options *options,
	struct lsp_udp_socket *ret_socket, struct lsp_error *err);
void lsp_udp_close(struct lsp_udp_socket *socket);
uint16_t lsp_udp_port(const struct lsp_udp_socket *socket);

/*
 * Sends what is in `out`. True: `out` is empty. False: the socket is blocked. A broken socket (not
 * a route, not a full buffer) gives false with *ret_errno set; else that is 0.
 */
bool lsp_udp_flush(struct lsp_udp_socket *socket, int *ret_errno);

/* One message of the kernel's: `size` bytes, in packets of `segment` bytes. */
struct lsp_udp_message {
	uint8_t *data;
	size_t size, segment;
	struct sockaddr_storage remote;
	struct lsp_udp_local local;
};

#define LSP_UDP_MESSAGES 8

struct lsp_udp_receiver;
LSP_MUST_CHECK int lsp_udp_receiver_new(
	struct lsp_udp_receiver **ret_receiver, struct lsp_error *err);
void lsp_udp_receiver_free(struct lsp_udp_receiver *receiver);

/*
 * How many came (0: none there), into ret_messages, valid until the next call; or the negative
 * errno of a broken socket.
 */
int lsp_udp_receive(struct lsp_udp_receiver *receiver, struct lsp_udp_socket *socket,
	struct lsp_udp_message ret_messages[LSP_UDP_MESSAGES]);

/* For tests: what is called in place of sendmsg(2), process-wide; NULL restores it. */
void lsp_udp_set_sendmsg(ssize_t (*function)(int fd, const struct msghdr *message, int flags));
