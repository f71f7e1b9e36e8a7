/*
 * The yardstick: one stream over ngtcp2 and GnuTLS with as little around it as can be. One socket,
 * one connection, a poll loop; UDP_SEGMENT and UDP_GRO; the packet size is given, not probed; no
 * queue, no fairness, no limits, no client certificate. What a program built on ngtcp2 can reach at
 * best on this machine.
 *
 *     bench-bare-ngtcp2 serve ADDRESS PORT UDP_PAYLOAD [FILE]
 *     bench-bare-ngtcp2 fetch ADDRESS PORT UDP_PAYLOAD MIB [FILE]
 *
 * Without a file the bytes come from a megabyte of memory, again and again, and go nowhere. With
 * one they come from its mapping (which is to be in the page cache), and go to it in blocks.
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define WINDOW (16u << 20)
#define MESSAGES 8
#define SEGMENTS 64
#define BATCH 65507
#define BLOCK (1u << 20)
#define SOCKET_BUFFER (8 << 20)

struct bare {
	int fd;
	bool serving, done, closed, blocked;
	size_t payload;
	struct sockaddr_in local, remote;
	ngtcp2_conn *quic;
	ngtcp2_crypto_conn_ref reference;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t credentials;
	int64_t stream;
	uint64_t size, offset, received;
	uint8_t request[8];
	size_t request_size;
	bool fin_sent;
	uint8_t *block;      /* what is sent: BLOCK bytes, or the whole file; what is written */
	uint64_t block_size; /* of it */
	size_t filled;       /* of the block that will be written */
	int out_fd;          /* −1: received bytes go nowhere */
	uint8_t out[BATCH + 1];
	size_t out_size, out_segment;
	lsp_time begun, ended;
};

static uint8_t input[MESSAGES][65536];

static void die(const char *what, int quic_error)
{
	fprintf(stderr, "%s: %s\n", what,
		quic_error ? ngtcp2_strerror(quic_error) : strerror(errno));
	exit(1);
}

static lsp_time now(void)
{
	return lsp_now(lsp_clock_system);
}

/* ---- ngtcp2's callbacks ---- */

static void fill_random(uint8_t *data, size_t size, const ngtcp2_rand_ctx *context)
{
	(void)!gnutls_rnd(GNUTLS_RND_NONCE, data, size);
}

static int new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t size, void *user)
{
	cid->datalen = size;
	fill_random(cid->data, size, NULL);
	fill_random(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
	return 0;
}

static ngtcp2_conn *get_quic(ngtcp2_crypto_conn_ref *reference)
{
	struct bare *bare = reference->user_data;
	return bare->quic;
}

static int more_streams(ngtcp2_conn *quic, uint64_t max_streams, void *user)
{
	struct bare *bare = user;
	if (bare->serving || bare->stream >= 0)
		return 0;
	bare->begun = now();
	return ngtcp2_conn_open_bidi_stream(quic, &bare->stream, NULL) ? NGTCP2_ERR_CALLBACK_FAILURE
								       : 0;
}

static void write_block(struct bare *bare, uint64_t offset)
{
	if (pwrite(bare->out_fd, bare->block, bare->filled, (off_t)offset) != (ssize_t)bare->filled)
		die("write", 0);
	bare->filled = 0;
}

/* received: how many came before these. */
static void keep(struct bare *bare, const uint8_t *data, size_t size, bool fin)
{
	uint64_t end = bare->received;
	while (size) {
		size_t part = BLOCK - bare->filled < size ? BLOCK - bare->filled : size;
		memcpy(bare->block + bare->filled, data, part);
		bare->filled += part;
		data += part;
		size -= part;
		end += part;
		if (bare->filled == BLOCK)
			write_block(bare, end - BLOCK);
	}
	if (fin && bare->filled)
		write_block(bare, end - bare->filled);
}

static int stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
	const uint8_t *data, size_t size, void *user, void *stream_user)
{
	struct bare *bare = user;
	ngtcp2_conn_extend_max_stream_offset(quic, id, size);
	ngtcp2_conn_extend_max_offset(quic, size);
	if (!bare->serving) {
		bool fin = flags & NGTCP2_STREAM_DATA_FLAG_FIN;
		if (bare->out_fd >= 0)
			keep(bare, data, size, fin);
		bare->received += size;
		bare->done = fin;
		return 0;
	}
	for (size_t i = 0; i < size && bare->request_size < sizeof bare->request; i++)
		bare->request[bare->request_size++] = data[i];
	if (bare->request_size == sizeof bare->request) {
		memcpy(&bare->size, bare->request, sizeof bare->size);
		bare->stream = id;
	}
	return 0;
}

/* ---- Setting up ---- */

static void make_certificate(struct bare *bare)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
	uint8_t serial = 1;
	gnutls_certificate_allocate_credentials(&bare->credentials);
	if (!bare->serving)
		return;
	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 256, 0);
	gnutls_x509_crt_init(&certificate);
	gnutls_x509_crt_set_version(certificate, 3);
	gnutls_x509_crt_set_serial(certificate, &serial, 1);
	gnutls_x509_crt_set_activation_time(certificate, 0);
	gnutls_x509_crt_set_expiration_time(certificate, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
	gnutls_x509_crt_set_key(certificate, key);
	gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA512, 0);
	if (gnutls_certificate_set_x509_key(bare->credentials, &certificate, 1, key) < 0)
		die("certificate", 0);
}

static void open_socket(struct bare *bare, const char *host, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t size = sizeof bare->local;
	int on = 1, buffer = SOCKET_BUFFER, probe = 3 /* IP_PMTUDISC_PROBE */;
	inet_pton(AF_INET, host, &address.sin_addr);
	bare->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (setsockopt(bare->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
		setsockopt(bare->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	if (setsockopt(bare->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) < 0)
		setsockopt(bare->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	setsockopt(bare->fd, SOL_UDP, UDP_GRO, &on, sizeof on);
	setsockopt(bare->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
	if ((bare->serving ? bind(bare->fd, (struct sockaddr *)&address, sizeof address)
			   : connect(bare->fd, (struct sockaddr *)&address, sizeof address)) < 0)
		die("socket", 0);
	bare->remote = address;
	getsockname(bare->fd, (struct sockaddr *)&bare->local, &size);
}

static ngtcp2_path path_of(struct bare *bare)
{
	return (ngtcp2_path){{(ngtcp2_sockaddr *)&bare->local, sizeof bare->local},
		{(ngtcp2_sockaddr *)&bare->remote, sizeof bare->remote}, NULL};
}

static void start_tls(struct bare *bare)
{
	gnutls_datum_t alpn = {(unsigned char *)"bare", 4};
	gnutls_init(
		&bare->tls, (bare->serving ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS);
	gnutls_priority_set_direct(bare->tls,
		"%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
		"-GROUP-ALL:+GROUP-X25519",
		NULL);
	if ((bare->serving ? ngtcp2_crypto_gnutls_configure_server_session(bare->tls)
			   : ngtcp2_crypto_gnutls_configure_client_session(bare->tls)) != 0)
		die("tls", 0);
	bare->reference = (ngtcp2_crypto_conn_ref){get_quic, bare};
	gnutls_session_set_ptr(bare->tls, &bare->reference);
	gnutls_credentials_set(bare->tls, GNUTLS_CRD_CERTIFICATE, bare->credentials);
	gnutls_alpn_set_protocols(bare->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
	ngtcp2_conn_set_tls_native_handle(bare->quic, bare->tls);
}

static void start_quic(struct bare *bare, const ngtcp2_pkt_hd *header, lsp_time at)
{
	static const ngtcp2_callbacks callbacks = {
		.client_initial = ngtcp2_crypto_client_initial_cb,
		.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
		.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
		.encrypt = ngtcp2_crypto_encrypt_cb,
		.decrypt = ngtcp2_crypto_decrypt_cb,
		.hp_mask = ngtcp2_crypto_hp_mask_cb,
		.recv_retry = ngtcp2_crypto_recv_retry_cb,
		.recv_stream_data = stream_data,
		.extend_max_local_streams_bidi = more_streams,
		.rand = fill_random,
		.get_new_connection_id = new_cid,
		.update_key = ngtcp2_crypto_update_key_cb,
		.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
		.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
		.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
		.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	};
	ngtcp2_settings settings;
	ngtcp2_transport_params parameters;
	ngtcp2_cid ours = {.datalen = 8}, theirs = {.datalen = 18};
	ngtcp2_path path = path_of(bare);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = at;
	settings.cc_algo = NGTCP2_CC_ALGO_CUBIC;
	settings.no_pmtud = 1;
	settings.no_tx_udp_payload_size_shaping = 1;
	settings.max_tx_udp_payload_size = bare->payload;
	ngtcp2_transport_params_default(&parameters);
	parameters.initial_max_data = WINDOW;
	parameters.initial_max_stream_data_bidi_local = WINDOW;
	parameters.initial_max_stream_data_bidi_remote = WINDOW;
	parameters.initial_max_streams_bidi = 4;
	parameters.max_idle_timeout = 10 * LSP_SECOND;
	fill_random(ours.data, ours.datalen, NULL);
	fill_random(theirs.data, theirs.datalen, NULL);
	int r;
	if (header) {
		parameters.original_dcid = header->dcid;
		parameters.original_dcid_present = 1;
		r = ngtcp2_conn_server_new(&bare->quic, &header->scid, &ours, &path,
			header->version, &callbacks, &settings, &parameters, NULL, bare);
	} else {
		r = ngtcp2_conn_client_new(&bare->quic, &theirs, &ours, &path, NGTCP2_PROTO_VER_V1,
			&callbacks, &settings, &parameters, NULL, bare);
	}
	if (r != 0)
		die("connection", r);
	start_tls(bare);
}

/* ---- Sending
 * ------------------------------------------------------------------------------------------------
 */

static bool send_batch(struct bare *bare)
{
	char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct iovec vector = {bare->out, bare->out_size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	if (bare->serving) {
		message.msg_name = &bare->remote;
		message.msg_namelen = sizeof bare->remote;
	}
	if (bare->out_size > bare->out_segment) {
		uint16_t segment = (uint16_t)bare->out_segment;
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_UDP;
		header->cmsg_type = UDP_SEGMENT;
		header->cmsg_len = CMSG_LEN(sizeof segment);
		memcpy(CMSG_DATA(header), &segment, sizeof segment);
	}
	if (sendmsg(bare->fd, &message, MSG_DONTWAIT) < 0) {
		if (errno == ECONNREFUSED)
			exit(1); /* the other end is not there any more */
		if (errno != EAGAIN && errno != ENOBUFS)
			die("sendmsg", 0);
		bare->blocked = true;
		return false;
	}
	bare->out_size = bare->out_segment = 0;
	bare->blocked = false;
	return true;
}

static ngtcp2_ssize write_packet(struct bare *bare, uint8_t *packet, lsp_time at)
{
	ngtcp2_vec vector = {NULL, 0};
	ngtcp2_ssize used = -1;
	uint32_t flags = 0;
	bool data = bare->stream >= 0 && !bare->fin_sent;
	if (data && bare->serving) {
		uint64_t left = bare->size - bare->offset;
		uint64_t at_hand = bare->block_size - bare->offset % bare->block_size;
		vector = (ngtcp2_vec){bare->block + bare->offset % bare->block_size,
			left < at_hand ? left : at_hand};
		flags = left <= at_hand ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0;
	} else if (data) {
		vector = (ngtcp2_vec){(uint8_t *)&bare->size, sizeof bare->size};
		flags = NGTCP2_WRITE_STREAM_FLAG_FIN;
	}
	ngtcp2_ssize size = ngtcp2_conn_writev_stream(bare->quic, NULL, NULL, packet, bare->payload,
		&used, flags, data ? bare->stream : -1, data ? &vector : NULL, data, at);
	if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED)
		size = ngtcp2_conn_write_pkt(bare->quic, NULL, NULL, packet, bare->payload, at);
	if (size < 0)
		die("write", (int)size);
	if (used >= 0) {
		bare->offset += (uint64_t)used;
		bare->fin_sent = flags && (size_t)used == vector.len;
	}
	return size;
}

static void send_all(struct bare *bare)
{
	if (bare->blocked && !send_batch(bare))
		return;
	for (;;) {
		lsp_time at = now();
		size_t quantum = ngtcp2_conn_get_send_quantum(bare->quic), count = 0;
		bool more = false;
		while (bare->out_size + bare->payload <= BATCH && count < SEGMENTS) {
			ngtcp2_ssize size = write_packet(bare, bare->out + bare->out_size, at);
			if (size == 0)
				break;
			if (!bare->out_size)
				bare->out_segment = (size_t)size;
			bare->out_size += (size_t)size;
			count++;
			more = true;
			if ((size_t)size < bare->out_segment ||
				bare->out_size + bare->payload > quantum)
				break;
		}
		ngtcp2_conn_update_pkt_tx_time(bare->quic, at);
		if (!more || !send_batch(bare))
			return;
		struct pollfd poller = {bare->fd, POLLIN, 0};
		if (poll(&poller, 1, 0) > 0)
			return;
	}
}

/* ---- Receiving
 * -------------------------------------------------------------------------------------------------
 */

static void read_packet(struct bare *bare, const uint8_t *data, size_t size, lsp_time at)
{
	ngtcp2_pkt_hd header;
	ngtcp2_pkt_info info = {0};
	if (!bare->quic) {
		if (ngtcp2_accept(&header, data, size) != 0)
			return;
		start_quic(bare, &header, at);
	}
	ngtcp2_path path = path_of(bare);
	int r = ngtcp2_conn_read_pkt(bare->quic, &path, &info, data, size, at);
	if (r == NGTCP2_ERR_DRAINING)
		bare->closed = true;
	else if (r != 0)
		die("read", r);
}

static size_t segment_of(struct msghdr *message, size_t size)
{
	struct cmsghdr *c;
	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int segment;
			memcpy(&segment, CMSG_DATA(c), sizeof segment);
			return (size_t)segment;
		}
	}
	return size;
}

static void receive_all(struct bare *bare)
{
	struct mmsghdr messages[MESSAGES] = {0};
	struct iovec vectors[MESSAGES];
	struct sockaddr_in remotes[MESSAGES];
	char control[MESSAGES][64];
	for (int i = 0; i < MESSAGES; i++) {
		vectors[i] = (struct iovec){input[i], sizeof input[i]};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &remotes[i],
			.msg_namelen = sizeof remotes[i],
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof control[i]};
	}
	int count = recvmmsg(bare->fd, messages, MESSAGES, MSG_DONTWAIT, NULL);
	lsp_time at = now();
	for (int i = 0; i < count && !bare->closed; i++) {
		size_t size = messages[i].msg_len;
		size_t segment = segment_of(&messages[i].msg_hdr, size);
		if (bare->serving && !bare->quic)
			bare->remote = remotes[i];
		for (size_t o = 0; o < size && !bare->closed; o += segment)
			read_packet(
				bare, input[i] + o, size - o < segment ? size - o : segment, at);
	}
}

/* ---- The loop
 * -----------------------------------------------------------------------------------------------------
 */

static void wait_for_something(struct bare *bare)
{
	lsp_time at = now(), expiry = bare->quic ? ngtcp2_conn_get_expiry(bare->quic) : UINT64_MAX;
	uint64_t left = lsp_time_left(at, expiry);
	struct timespec limit = {(time_t)(left / LSP_SECOND), (long)(left % LSP_SECOND)};
	struct pollfd poller = {bare->fd, (short)(POLLIN | (bare->blocked ? POLLOUT : 0)), 0};
	if (ppoll(&poller, 1, expiry == UINT64_MAX ? NULL : &limit, NULL) > 0 &&
		poller.revents & POLLIN)
		receive_all(bare);
	if (bare->closed || !bare->quic || ngtcp2_conn_get_expiry(bare->quic) > now())
		return;
	int r = ngtcp2_conn_handle_expiry(bare->quic, now());
	if (r == NGTCP2_ERR_IDLE_CLOSE)
		bare->closed = true;
	else if (r != 0)
		die("timer", r);
}

static void say_goodbye(struct bare *bare)
{
	uint8_t packet[1200];
	ngtcp2_ccerr error;
	ngtcp2_ccerr_default(&error);
	ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
		bare->quic, NULL, NULL, packet, sizeof packet, &error, now());
	if (size > 0)
		(void)!send(bare->fd, packet, (size_t)size, 0);
}

static void report(const struct bare *bare)
{
	struct rusage usage;
	double seconds = (double)(bare->ended - bare->begun) / LSP_SECOND;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"mib_s\":%.1f,\"seconds\":%.3f,\"received\":%llu,\"user_s\":%.3f,\"system_s\":%."
	       "3f}\n",
		bare->serving ? 0 : (double)bare->received / (1 << 20) / seconds,
		bare->serving ? 0 : seconds, (unsigned long long)bare->received,
		(double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
		(double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6);
}

static void open_block(struct bare *bare)
{
	bare->block = malloc(BLOCK);
	bare->block_size = BLOCK;
	if (!bare->block)
		die("memory", 0);
	memset(bare->block, 0x5a, BLOCK); /* else every page is the one page of zeros */
}

static void open_file(struct bare *bare, const char *path)
{
	int fd = open(path, bare->serving ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0666);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		die(path, 0);
	if (!bare->serving) {
		bare->out_fd = fd;
		return;
	}
	free(bare->block);
	bare->block_size = (uint64_t)st.st_size;
	bare->block = mmap(NULL, bare->block_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bare->block == MAP_FAILED)
		die(path, 0);
	close(fd);
}

int main(int argc, char **argv)
{
	struct bare *bare = calloc(1, sizeof *bare);
	if (!bare || argc < 5 || (strcmp(argv[1], "serve") != 0 && argc < 6)) {
		fprintf(stderr,
			"usage: %s serve ADDRESS PORT UDP_PAYLOAD [FILE] | fetch ADDRESS PORT "
			"UDP_PAYLOAD MIB [FILE]\n",
			argv[0]);
		return 2;
	}
	bare->serving = strcmp(argv[1], "serve") == 0;
	bare->payload = (size_t)atoi(argv[4]);
	bare->stream = -1;
	make_certificate(bare);
	open_socket(bare, argv[2], (uint16_t)atoi(argv[3]));
	bare->out_fd = -1;
	open_block(bare);
	int file = bare->serving ? 5 : 6;
	if (argc > file)
		open_file(bare, argv[file]);
	if (bare->serving) {
		fprintf(stderr, "ready\n");
	} else {
		bare->size = (uint64_t)atoll(argv[5]) << 20;
		start_quic(bare, NULL, now());
	}
	while (!bare->done && !bare->closed) {
		if (bare->quic)
			send_all(bare);
		wait_for_something(bare);
	}
	bare->ended = now();
	if (!bare->serving)
		say_goodbye(bare);
	report(bare);
	int result = bare->serving || bare->received == bare->size ? 0 : 1;
	ngtcp2_conn_del(bare->quic);
	gnutls_deinit(bare->tls);
	gnutls_certificate_free_credentials(bare->credentials);
	close(bare->fd);
	if (bare->block_size == BLOCK)
		free(bare->block);
	free(bare);
	return result;
}
