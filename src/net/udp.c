#include "net/udp.h"

#include "base/cleanup.h"
#include "base/huge.h"
#include "base/log.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's headers have them; those of older C libraries do not. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define MESSAGE_SIZE 65536
#define CONTROL_SIZE 128
/* A QUIC packet that anybody can decrypt has at least so many bytes (RFC 9000, 10.3). */
#define PACKET_MIN 21

static ssize_t (*do_sendmsg)(int fd, const struct msghdr *message, int flags) = sendmsg;

void lsp_udp_set_sendmsg(ssize_t (*function)(int fd, const struct msghdr *message, int flags))
{
	do_sendmsg = function ? function : sendmsg;
}

/* ---- Opening ---- */

static void set_int(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

/*
 * Floods of empty datagrams are dropped before they take room in the receive buffer: too short, or
 * neither a long header nor the fixed bit (RFC 9000, 17.2 and 17.3). The packet that the filter
 * sees begins with the UDP header.
 */
static void attach_filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 8 + PACKET_MIN, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0xc0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {LSP_ARRAY_SIZE(code), code};
	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int set_buffers(int fd, size_t size)
{
	int wanted = size > INT32_MAX / 2 ? INT32_MAX / 2 : (int)size, got = 0;
	socklen_t length = sizeof got;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) < 0)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, wanted);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) < 0)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, wanted);
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &length);
	return got;
}

static void set_ip_options(int fd, int family)
{
	if (family == AF_INET) {
		set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
		set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	} else {
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
		set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	}
}

static int bind_socket(int fd, const struct lsp_udp_options *options, struct lsp_error *err)
{
	char text[LSP_ADDRESS_TEXT_MAX];
	const char *interface = options->interface;
	if (interface) {
		if (!if_nametoindex(interface))
			return lsp_error_set(err, "net", LSP_E_NOT_FOUND,
				"there is no network interface '%.32s'; `ip link` lists them",
				interface);
		if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
			    (socklen_t)strlen(interface)) < 0)
			return lsp_error_errno(err, "net", errno,
				"cannot use the interface %.32s alone (without --interface all "
				"are used)",
				interface);
	}
	if (bind(fd, (const struct sockaddr *)&options->address,
		    lsp_address_size(&options->address)) == 0)
		return 0;
	lsp_address_format(&options->address, text);
	if (errno == EADDRINUSE)
		return lsp_error_set(err, "net", LSP_E_BUSY,
			"UDP port %s is taken: is another lanspread running? (--listen PORT "
			"chooses another)",
			text);
	if (errno == EADDRNOTAVAIL)
		return lsp_error_set(err, "net", LSP_E_NOT_FOUND,
			"%s is no address of this machine: --listen PORT takes all of them", text);
	if (errno == EACCES)
		return lsp_error_set(err, "net", LSP_E_DENIED,
			"the UDP port of %s is for root alone: choose one above 1023 with --listen "
			"PORT",
			text);
	return lsp_error_errno(err, "net", errno, "cannot listen on UDP %s", text);
}

/* Once for all sockets of an endpoint. */
static void tell_refusal(const struct lsp_udp_socket *socket, const char *what)
{
	if (*socket->told)
		return;
	*socket->told = true;
	lsp_log_warning("net",
		"the kernel refuses %s: packets are handled one by one, which takes more "
		"processor time",
		what);
}

/* Many datagrams in one call, where the kernel can. */
static void ask_for_batches(struct lsp_udp_socket *socket, const struct lsp_udp_options *options)
{
	int on = 1, none = 0, fd = socket->fd;
	bool gro = options->no_gro || setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
	bool gso = options->no_gso || setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
	if (!gro || !gso)
		tell_refusal(socket, gro   ? "UDP_SEGMENT"
				     : gso ? "UDP_GRO"
					   : "UDP_SEGMENT and UDP_GRO");
	socket->gro = gro && !options->no_gro;
	socket->gso = gso && !options->no_gso;
}

int lsp_udp_open(const struct lsp_udp_options *options, struct lsp_udp_socket *ret_socket,
	struct lsp_error *err)
{
	int family = options->address.ss_family;
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return lsp_error_errno(err, "net", errno, "cannot make a UDP socket");
	set_ip_options(fd, family);
	attach_filter(fd);
	int r = bind_socket(fd, options, err);
	if (r < 0)
		return r;
	_cleanup_free_ struct lsp_udp_batch *out = calloc(1, sizeof *out);
	if (!out)
		return lsp_error_no_memory(err, "net");
	struct lsp_udp_socket made = {.family = family, .told = options->told};
	made.receive_buffer = set_buffers(fd, options->buffer);
	made.fd = TAKE_FD(fd);
	ask_for_batches(&made, options);
	made.out = TAKE_PTR(out);
	*ret_socket = made;
	return 0;
}

void lsp_udp_close(struct lsp_udp_socket *socket)
{
	if (!socket->out)
		return;
	close(socket->fd);
	free(socket->out);
	*socket = (struct lsp_udp_socket){.fd = -1};
}

uint16_t lsp_udp_port(const struct lsp_udp_socket *socket)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	if (getsockname(socket->fd, (struct sockaddr *)&address, &size) < 0)
		return 0;
	return lsp_address_port(&address);
}

/* ---- Sending ---- */

static void add_control(struct msghdr *message, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *header =
		(struct cmsghdr *)((char *)message->msg_control + message->msg_controllen);
	header->cmsg_level = level;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), data, size);
	message->msg_controllen += CMSG_SPACE(size);
}

static void add_route_control(struct msghdr *message, const struct lsp_udp_batch *batch)
{
	int traffic_class = batch->dscp << 2;
	if (batch->local.family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = batch->local.v4};
		add_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	} else if (batch->local.family == AF_INET6) {
		struct in6_pktinfo info = {batch->local.v6, batch->local.interface};
		add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
	}
	if (!batch->dscp)
		return;
	if (batch->remote.ss_family == AF_INET)
		add_control(message, IPPROTO_IP, IP_TOS, &traffic_class, sizeof traffic_class);
	else
		add_control(
			message, IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class);
}

static ssize_t send_once(struct lsp_udp_socket *socket, size_t offset, size_t size, size_t segment)
{
	struct lsp_udp_batch *batch = socket->out;
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE] = {0};
	struct iovec vector = {batch->data + offset, size};
	struct msghdr message = {.msg_name = &batch->remote,
		.msg_namelen = lsp_address_size(&batch->remote),
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control};
	add_route_control(&message, batch);
	if (size > segment) {
		uint16_t segment16 = (uint16_t)segment;
		add_control(&message, SOL_UDP, UDP_SEGMENT, &segment16, sizeof segment16);
	}
	if (!message.msg_controllen)
		message.msg_control = NULL;
	ssize_t r;
	do {
		r = do_sendmsg(socket->fd, &message, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	socket->send_calls++;
	return r;
}

/* What an error of sendmsg means. */
enum verdict { TRY_LATER, DROP, NO_OFFLOAD, BROKEN };

static enum verdict judge(int code, bool offloaded)
{
	switch (code) {
	case EAGAIN:
#if EWOULDBLOCK != EAGAIN
	case EWOULDBLOCK:
#endif
		return TRY_LATER;
	case EIO:
	case EINVAL:
		return offloaded ? NO_OFFLOAD : DROP;
	case EBADF:
	case ENOTSOCK:
	case EFAULT:
	case EPIPE: /* shut down */
		return BROKEN;
	default: /* no route, no memory, a firewall, too large for the link: like a lost packet */
		return DROP;
	}
}

bool lsp_udp_flush(struct lsp_udp_socket *socket, int *ret_errno)
{
	struct lsp_udp_batch *batch = socket->out;
	*ret_errno = 0;
	while (batch->sent < batch->size) {
		size_t left = batch->size - batch->sent;
		bool offloaded = socket->gso && left > batch->segment;
		size_t size = offloaded ? left : LSP_MIN(left, batch->segment);
		if (send_once(socket, batch->sent, size, batch->segment) < 0) {
			int code = errno;
			enum verdict verdict = judge(code, offloaded);
			if (verdict == TRY_LATER || verdict == BROKEN) {
				*ret_errno = verdict == BROKEN ? code : 0;
				socket->blocked = true;
				return false;
			}
			if (verdict == NO_OFFLOAD) {
				socket->gso = false; /* from now on packet by packet */
				tell_refusal(socket, "UDP_SEGMENT");
				continue;
			}
			socket->undeliverable++;
		}
		batch->sent += size;
	}
	batch->size = batch->sent = batch->segment = 0;
	socket->blocked = false;
	return true;
}

/* ---- Receiving ---- */

struct lsp_udp_receiver {
	struct mmsghdr headers[LSP_UDP_MESSAGES];
	struct iovec vectors[LSP_UDP_MESSAGES];
	struct sockaddr_storage remotes[LSP_UDP_MESSAGES];
	_Alignas(struct cmsghdr) char control[LSP_UDP_MESSAGES][CONTROL_SIZE];
	uint8_t data[LSP_UDP_MESSAGES][MESSAGE_SIZE];
};

int lsp_udp_receiver_new(struct lsp_udp_receiver **ret_receiver, struct lsp_error *err)
{
	struct lsp_udp_receiver *receiver = lsp_huge_alloc(sizeof *receiver);
	if (!receiver)
		return lsp_error_no_memory(err, "net");
	for (size_t i = 0; i < LSP_UDP_MESSAGES; i++)
		receiver->vectors[i] = (struct iovec){receiver->data[i], MESSAGE_SIZE};
	*ret_receiver = receiver;
	return 0;
}

void lsp_udp_receiver_free(struct lsp_udp_receiver *receiver)
{
	free(receiver);
}

static void read_control(struct msghdr *header, struct lsp_udp_message *message)
{
	struct cmsghdr *c;
	for (c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int segment;
			memcpy(&segment, CMSG_DATA(c), sizeof segment);
			if (segment > 0 && (size_t)segment < message->size)
				message->segment = (size_t)segment;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			message->local.family = AF_INET;
			message->local.v4 = info.ipi_spec_dst;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			message->local.family = AF_INET6;
			message->local.v6 = info.ipi6_addr;
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				message->local.interface = info.ipi6_ifindex;
		}
	}
}

int lsp_udp_receive(struct lsp_udp_receiver *receiver, struct lsp_udp_socket *socket,
	struct lsp_udp_message ret_messages[LSP_UDP_MESSAGES])
{
	for (size_t i = 0; i < LSP_UDP_MESSAGES; i++)
		receiver->headers[i].msg_hdr = (struct msghdr){.msg_name = &receiver->remotes[i],
			.msg_namelen = sizeof receiver->remotes[i],
			.msg_iov = &receiver->vectors[i],
			.msg_iovlen = 1,
			.msg_control = receiver->control[i],
			.msg_controllen = CONTROL_SIZE};
	int count;
	do {
		count = recvmmsg(
			socket->fd, receiver->headers, LSP_UDP_MESSAGES, MSG_DONTWAIT, NULL);
	} while (count < 0 && errno == EINTR);
	socket->receive_calls++;
	if (count < 0)
		return errno == EBADF || errno == ENOTSOCK || errno == EFAULT ? -errno : 0;
	socket->received_messages += (uint64_t)count;
	for (int i = 0; i < count; i++) {
		struct lsp_udp_message *message = &ret_messages[i];
		message->data = receiver->data[i];
		message->size = message->segment = receiver->headers[i].msg_len;
		message->remote = receiver->remotes[i];
		message->local = (struct lsp_udp_local){.family = AF_UNSPEC};
		read_control(&receiver->headers[i].msg_hdr, message);
	}
	return count;
}
