#include "pair.h"

#include "net/endpoint_private.h"
#include "net/protection.h"

#include "base/text.h"

#include <gnutls/crypto.h>
#include <stdlib.h>

/* Keys of the library's are asked for where it is; the rest of the tests runs everywhere. */
static bool skip_without_library(void)
{
	if (!lsp_protection_is_fast())
		print_message("libIPSec_MB is not built in, or this processor cannot: skipped\n");
	return !lsp_protection_is_fast();
}

static void from_hex(const char *hex, uint8_t *data, size_t size)
{
	assert_int_equal(strlen(hex), 2 * size);
	assert_true(lsp_text_from_hex(hex, data, size));
}

static ngtcp2_crypto_ctx sha256_context(void)
{
	ngtcp2_crypto_ctx context = {0};
	ngtcp2_crypto_md_init(&context.md, (void *)GNUTLS_DIG_SHA256);
	return context;
}

/* RFC 9001, A.1: the client's initial secret. */
static void keys_are_derived_as_the_rfc_shows(void **state)
{
	uint8_t secret[32], key[16], iv[12], header_key[16];
	struct lsp_protection_keys keys;
	ngtcp2_crypto_ctx context = sha256_context();
	from_hex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", secret,
		sizeof secret);
	from_hex("1f369613dd76d5467730efcbe3b1a22d", key, sizeof key);
	from_hex("fa044b2f42a3fd3b46fb255c", iv, sizeof iv);
	from_hex("9f50449e04a0e810283a1e9933adedd2", header_key, sizeof header_key);
	assert_int_equal(lsp_protection_derive(&keys, &context.md, secret, sizeof secret), 0);
	assert_memory_equal(keys.key, key, sizeof key);
	assert_memory_equal(keys.iv, iv, sizeof iv);
	assert_memory_equal(keys.header_key, header_key, sizeof header_key);
}

/* RFC 9001, A.2. */
static void the_header_mask_is_the_rfcs(void **state)
{
	uint8_t key[16], sample[16], expected[5], mask[NGTCP2_HP_MASKLEN];
	ngtcp2_callbacks callbacks = {0};
	ngtcp2_crypto_ctx context = sha256_context();
	ngtcp2_crypto_cipher_ctx handle;
	if (skip_without_library())
		return;
	from_hex("9f50449e04a0e810283a1e9933adedd2", key, sizeof key);
	from_hex("d1b1c98dd7689fb8ec11d242b123dc9b", sample, sizeof sample);
	from_hex("437b9aec36", expected, sizeof expected);
	lsp_protection_set_callbacks(&callbacks);
	assert_int_equal(lsp_protection_header_new(&handle, key), 0);
	assert_int_equal(callbacks.hp_mask(mask, &context.hp, &handle, sample), 0);
	assert_memory_equal(mask, expected, sizeof expected);
	callbacks.delete_crypto_cipher_ctx(NULL, &handle, NULL);
}

struct sealed {
	ngtcp2_callbacks callbacks;
	ngtcp2_crypto_ctx context;
	ngtcp2_crypto_aead_ctx handle;
	uint8_t key[16], nonce[12], extra[32], text[2048], sealed[2064], opened[2064];
};

static void sealed_init(struct sealed *s)
{
	memset(s, 0, sizeof *s);
	s->context = sha256_context();
	lsp_protection_set_callbacks(&s->callbacks);
	lsp_random_bytes(s->key, sizeof s->key);
	lsp_random_bytes(s->nonce, sizeof s->nonce);
	lsp_random_bytes(s->extra, sizeof s->extra);
	lsp_random_bytes(s->text, sizeof s->text);
	assert_int_equal(lsp_protection_aead_new(&s->handle, s->key), 0);
}

static int open_sealed(struct sealed *s, size_t size, size_t extra_size)
{
	return s->callbacks.decrypt(s->opened, &s->context.aead, &s->handle, s->sealed, size,
		s->nonce, sizeof s->nonce, s->extra, extra_size);
}

static void every_length_is_sealed_as_gnutls_does(void **state)
{
	struct sealed s;
	gnutls_aead_cipher_hd_t cipher;
	uint8_t theirs[2064];
	if (skip_without_library())
		return;
	sealed_init(&s);
	gnutls_datum_t datum = {s.key, sizeof s.key};
	assert_int_equal(gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_GCM, &datum), 0);
	for (size_t size = 1; size <= sizeof s.text; size += size < 300 ? 1 : 37) {
		size_t room = sizeof theirs, extra = size % sizeof s.extra;
		assert_int_equal(gnutls_aead_cipher_encrypt(cipher, s.nonce, sizeof s.nonce,
					 s.extra, extra, 16, s.text, size, theirs, &room),
			0);
		/* In place, as ngtcp2 does. */
		memcpy(s.sealed, s.text, size);
		assert_int_equal(s.callbacks.encrypt(s.sealed, &s.context.aead, &s.handle, s.sealed,
					 size, s.nonce, sizeof s.nonce, s.extra, extra),
			0);
		assert_memory_equal(s.sealed, theirs, size + 16);
		assert_int_equal(open_sealed(&s, size + 16, extra), 0);
		assert_memory_equal(s.opened, s.text, size);
	}
	gnutls_aead_cipher_deinit(cipher);
	s.callbacks.delete_crypto_aead_ctx(NULL, &s.handle, NULL);
}

static void no_flipped_bit_is_let_through(void **state)
{
	struct sealed s;
	size_t size = 200;
	if (skip_without_library())
		return;
	sealed_init(&s);
	assert_int_equal(s.callbacks.encrypt(s.sealed, &s.context.aead, &s.handle, s.text, size,
				 s.nonce, sizeof s.nonce, s.extra, sizeof s.extra),
		0);
	for (size_t bit = 0; bit < (size + 16) * 8; bit++) {
		s.sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(open_sealed(&s, size + 16, sizeof s.extra), NGTCP2_ERR_DECRYPT);
		s.sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	s.extra[3] ^= 1;
	assert_int_equal(open_sealed(&s, size + 16, sizeof s.extra), NGTCP2_ERR_DECRYPT);
	s.extra[3] ^= 1;
	for (size_t shorter = 0; shorter < size + 16; shorter++)
		assert_int_equal(open_sealed(&s, shorter, sizeof s.extra), NGTCP2_ERR_DECRYPT);
	assert_int_equal(open_sealed(&s, size + 16, sizeof s.extra), 0);
	s.callbacks.delete_crypto_aead_ctx(NULL, &s.handle, NULL);
}

/* ---- In a connection -------------------------------------------------------------------- */

/* What one side sends comes back from the echo of the other. */
struct echo {
	size_t sent, received;
	bool wrong, closed;
};

static void echo_came(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct echo *echo = argument;
	for (size_t i = 0; i < size; i++)
		echo->wrong |= data[i] != (uint8_t)((echo->received + i) * 7);
	echo->received += size;
	lsp_stream_consume(stream, size);
}

static void echo_over(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct echo *echo = argument;
	echo->closed = true;
}

static void send_and_get_back(struct pair *pair, size_t size)
{
	static const struct lsp_stream_callbacks callbacks = {
		.data = echo_came, .closed = echo_over};
	struct echo echo = {0};
	struct lsp_stream *stream;
	uint8_t *data = malloc(size);
	assert_non_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 7);
	assert_int_equal(
		lsp_connection_open_stream(pair->a.connection, &callbacks, &echo, &stream, NULL),
		0);
	assert_int_equal(lsp_stream_write(stream, data, size, NULL), 0);
	lsp_stream_finish(stream);
	RUN_UNTIL(&pair->loop, echo.closed);
	assert_int_equal(echo.received, size);
	assert_false(echo.wrong);
	free(data);
}

/* The packets of one way are protected by the library, those of the other by GnuTLS's keys. */
static void the_two_ways_understand_each_other(void **state)
{
	struct pair pair;
	pair_open(&pair);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	/* The server has its keys for sending at the first packet; all others come after this. */
	RUN_UNTIL(&pair.loop, pair.b.endpoint->connections);
	lsp_protection_set_fast(false);
	RUN_UNTIL(&pair.loop, pair.a.connection && pair.b.connection);
	send_and_get_back(&pair, 300000);
	pair_close(&pair);
	lsp_protection_set_fast(true);
}

/* A key phase ends after 2^23 packets, 11 GB: here at once, and from either side. */
static void keys_are_changed_in_the_midst(void **state)
{
	struct pair pair;
	for (int fast = 0; fast < 2; fast++) {
		lsp_protection_set_fast(fast);
		pair_open(&pair);
		pair_connect(&pair, AF_INET);
		send_and_get_back(&pair, 100000);
		struct side *sides[] = {&pair.a, &pair.b, &pair.a};
		for (size_t i = 0; i < LSP_ARRAY_SIZE(sides); i++) {
			ngtcp2_conn *quic = sides[i]->connection->quic;
			/* Refused until the last change is over on both sides. */
			while (ngtcp2_conn_initiate_key_update(
				       quic, lsp_endpoint_now(sides[i]->endpoint)) != 0)
				send_and_get_back(&pair, 1000);
			send_and_get_back(&pair, 100000);
		}
		assert_int_equal(pair.a.closed + pair.b.closed, 0);
		pair_close(&pair);
	}
	lsp_protection_set_fast(true);
}

static void other_ciphers_are_the_helpers(void **state)
{
	lsp_protection_set_fast(false);
	ngtcp2_crypto_aead_ctx aead;
	ngtcp2_crypto_cipher_ctx header;
	uint8_t key[16] = {0};
	assert_false(lsp_protection_is_fast());
	assert_int_equal(lsp_protection_aead_new(&aead, key), -1);
	assert_int_equal(lsp_protection_header_new(&header, key), -1);
	struct pair pair;
	pair_open(&pair);
	pair_connect(&pair, AF_INET6);
	send_and_get_back(&pair, 100000);
	pair_close(&pair);
	lsp_protection_set_fast(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_derived_as_the_rfc_shows),
		cmocka_unit_test(the_header_mask_is_the_rfcs),
		cmocka_unit_test(every_length_is_sealed_as_gnutls_does),
		cmocka_unit_test(no_flipped_bit_is_let_through),
		cmocka_unit_test(the_two_ways_understand_each_other),
		cmocka_unit_test(keys_are_changed_in_the_midst),
		cmocka_unit_test(other_ciphers_are_the_helpers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
