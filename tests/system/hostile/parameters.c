#include "parameters.h"

#include "net/cid_table.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST ((UINT64_C(1) << 62) - 1)
#define MOST_STREAMS (UINT64_C(1) << 60)

enum {
	ORIGINAL_ID = 0x00,
	IDLE_TIMEOUT = 0x01,
	RESET_TOKEN = 0x02,
	UDP_PAYLOAD = 0x03,
	DATA = 0x04,
	STREAM_DATA_LOCAL = 0x05,
	STREAM_DATA_REMOTE = 0x06,
	STREAM_DATA_UNI = 0x07,
	STREAMS_BIDI = 0x08,
	STREAMS_UNI = 0x09,
	ACK_EXPONENT = 0x0a,
	ACK_DELAY = 0x0b,
	PREFERRED = 0x0d,
	ID_LIMIT = 0x0e,
	SOURCE_ID = 0x0f,
	RETRY_ID = 0x10,
};

#define TOKEN "000102030405060708090a0b0c0d0e0f"
#define CLIENT PARAMETERS_CLIENT
#define SERVER PARAMETERS_SERVER
#define BOTH PARAMETERS_BOTH

const struct parameters_case parameters_cases[] = {
	/* At the limits. */
	{"payload-1200", BOTH, SERVED, REPLACE, UDP_PAYLOAD, 1200, NULL},
	{"payload-65527", BOTH, SERVED, REPLACE, UDP_PAYLOAD, 65527, NULL},
	{"payload-most", BOTH, SERVED, REPLACE, UDP_PAYLOAD, MOST, NULL},
	{"data-most", BOTH, SERVED, REPLACE, DATA, MOST, NULL},
	{"stream-data-most", BOTH, SERVED, REPLACE, STREAM_DATA_LOCAL, MOST, NULL},
	{"request-data-most", BOTH, SERVED, REPLACE, STREAM_DATA_REMOTE, MOST, NULL},
	{"streams-most", BOTH, SERVED, REPLACE, STREAMS_BIDI, MOST_STREAMS, NULL},
	{"uni-streams-most", BOTH, SERVED, REPLACE, STREAMS_UNI, MOST_STREAMS, NULL},
	{"uni-data-most", BOTH, SERVED, REPLACE, STREAM_DATA_UNI, MOST, NULL},
	{"ack-exponent-20", BOTH, SERVED, REPLACE, ACK_EXPONENT, 20, NULL},
	{"ack-delay-16383", BOTH, SERVED, REPLACE, ACK_DELAY, 16383, NULL},
	{"ack-delay-0", BOTH, SERVED, REPLACE, ACK_DELAY, 0, NULL},
	{"idle-most", BOTH, SERVED, REPLACE, IDLE_TIMEOUT, MOST, NULL},
	{"idle-none", BOTH, SERVED, REPLACE, IDLE_TIMEOUT, 0, NULL},
	{"ids-most", BOTH, SERVED, REPLACE, ID_LIMIT, MOST, NULL},
	{"ids-2", BOTH, SERVED, REPLACE, ID_LIMIT, 2, NULL},
	{"unknown", BOTH, SERVED, MANY, 0, 0, NULL},
	{"no-id", CLIENT, SERVED, NO_ID, 0, 0, NULL},
	{"preferred-address", SERVER, SERVED, PREFERRED_ADDRESS, PREFERRED, 0, NULL},
	/* Should be refused (7.4); ngtcp2 is mild. */
	{"twice", BOTH, EITHER, TWICE, DATA, 0, NULL},
	/* Beyond them. */
	{"payload-1199", BOTH, REFUSED, REPLACE, UDP_PAYLOAD, 1199, NULL},
	{"streams-beyond", BOTH, REFUSED, REPLACE, STREAMS_BIDI, MOST_STREAMS + 1, NULL},
	{"ack-exponent-21", BOTH, REFUSED, REPLACE, ACK_EXPONENT, 21, NULL},
	{"ack-delay-16384", BOTH, REFUSED, REPLACE, ACK_DELAY, 16384, NULL},
	{"ids-1", BOTH, REFUSED, REPLACE, ID_LIMIT, 1, NULL},
	{"cut", BOTH, REFUSED, CUT, 0, 0, NULL},
	{"number-with-more-behind", BOTH, REFUSED, REPLACE, DATA, 0, "0100"},
	{"source-id-another", BOTH, REFUSED, REPLACE, SOURCE_ID, 0, "0102030405060708"},
	{"source-id-too-long", BOTH, REFUSED, REPLACE, SOURCE_ID, 0, TOKEN "1011121314"},
	{"source-id-missing", BOTH, REFUSED, REMOVE, SOURCE_ID, 0, NULL},
	{"original-id-of-a-client", CLIENT, REFUSED, REPLACE, ORIGINAL_ID, 0, "01020304"},
	{"reset-token-of-a-client", CLIENT, REFUSED, REPLACE, RESET_TOKEN, 0, TOKEN},
	{"preferred-address-of-a-client", CLIENT, REFUSED, PREFERRED_ADDRESS, PREFERRED, 0, NULL},
	{"retry-id-of-a-client", CLIENT, REFUSED, REPLACE, RETRY_ID, 0, "01020304"},
	{"original-id-another", SERVER, REFUSED, REPLACE, ORIGINAL_ID, 0, "01020304"},
	{"original-id-missing", SERVER, REFUSED, REMOVE, ORIGINAL_ID, 0, NULL},
	{"retry-id-without-retry", SERVER, REFUSED, REPLACE, RETRY_ID, 0, "01020304"},
	{"reset-token-short", SERVER, REFUSED, REPLACE, RESET_TOKEN, 0, "0102"},
	{"preferred-address-short", SERVER, REFUSED, REPLACE, PREFERRED, 0, "7f000001"},
};
const size_t parameters_count = sizeof parameters_cases / sizeof parameters_cases[0];

static struct {
	const struct parameters_case *kind;
	enum parameters_side side;
	struct sockaddr_in bait;
	ngtcp2_cid id; /* of the client without one */
	bool has_id;
	unsigned announced;
} use;

void parameters_use(const struct parameters_case *kind, enum parameters_side side)
{
	use.kind = kind;
	use.side = side;
	use.has_id = false;
	use.announced = 0;
}

const struct parameters_case *parameters_find(const char *name)
{
	for (size_t i = 0; i < parameters_count; i++)
		if (strcmp(parameters_cases[i].name, name) == 0)
			return &parameters_cases[i];
	return NULL;
}

void parameters_set_bait(const struct sockaddr_in *bait)
{
	use.bait = *bait;
}

unsigned parameters_announced(void)
{
	return use.announced;
}

/* ---- Numbers of variable length (RFC 9000, 16) ----------------------------------------------- */

struct bytes {
	uint8_t data[1024];
	size_t size;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
	if (size > sizeof bytes->data - bytes->size)
		abort();
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

/* Always as eight bytes. */
static void put_number(struct bytes *bytes, uint64_t number)
{
	uint8_t out[8];
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(number >> (56 - 8 * i));
	out[0] |= 0xc0;
	put(bytes, out, sizeof out);
}

static uint64_t take_number(const uint8_t **at)
{
	size_t size = (size_t)1 << (**at >> 6);
	uint64_t number = **at & 0x3f;
	for (size_t i = 1; i < size; i++)
		number = number << 8 | (*at)[i];
	*at += size;
	return number;
}

/* ---- The edit -------------------------------------------------------------------------------- */

static void put_hex(struct bytes *bytes, const char *hex)
{
	for (; hex[0] && hex[1]; hex += 2) {
		char pair[] = {hex[0], hex[1], '\0'};
		put(bytes, &(uint8_t){(uint8_t)strtoul(pair, NULL, 16)}, 1);
	}
}

/* IPv4 and its port, no IPv6, a connection id and its reset token. */
static void put_preferred_address(struct bytes *bytes)
{
	static const uint8_t v6[18];
	put(bytes, &use.bait.sin_addr, 4);
	put(bytes, &use.bait.sin_port, 2);
	put(bytes, v6, sizeof v6);
	put_hex(bytes, "080102030405060708" TOKEN);
}

static void put_parameter(struct bytes *bytes, uint64_t id, const struct bytes *value)
{
	put_number(bytes, id);
	put_number(bytes, value->size);
	put(bytes, value->data, value->size);
}

static void put_ours(struct bytes *bytes)
{
	struct bytes value = {.size = 0};
	switch (use.kind->edit) {
	case REPLACE:
		if (use.kind->hex)
			put_hex(&value, use.kind->hex);
		else
			put_number(&value, use.kind->number);
		put_parameter(bytes, use.kind->id, &value);
		break;
	case TWICE:
		put_number(&value, 1 << 20);
		put_parameter(bytes, use.kind->id, &value);
		put_parameter(bytes, use.kind->id, &value);
		break;
	case PREFERRED_ADDRESS:
		put_preferred_address(&value);
		put_parameter(bytes, use.kind->id, &value);
		break;
	case MANY: /* reserved for being ignored: 31 * N + 27 (18.1) */
		for (uint64_t i = 0; i < 5; i++)
			put_parameter(bytes, 31 * (i * 1000003) + 27, &value);
		break;
	case REMOVE:
	case CUT:
	case NO_ID:
		break;
	}
}

static size_t edit(uint8_t *data, size_t size, size_t room)
{
	struct bytes out = {.size = 0};
	for (const uint8_t *at = data, *end = data + size; at < end;) {
		const uint8_t *begin = at;
		uint64_t id = take_number(&at), length = take_number(&at);
		at += length;
		if (id != use.kind->id || use.kind->edit >= CUT)
			put(&out, begin, (size_t)(at - begin));
		if (use.kind->edit == PREFERRED_ADDRESS && id == use.kind->id)
			abort(); /* it has one already */
	}
	put_ours(&out);
	if (use.kind->edit == CUT)
		out.size--;
	if (out.size > room)
		abort();
	memcpy(data, out.data, out.size);
	use.announced++;
	return out.size;
}

/* ---- In front of ngtcp2 ---------------------------------------------------------------------- */

/* ngtcp2's TLS helper is to find it. */
#define EXPORTED __attribute__((visibility("default")))

#define REAL(function)                                                                             \
	static __typeof__(function) *real;                                                         \
	if (!real)                                                                                 \
		real = (__typeof__(real))dlsym(RTLD_NEXT, #function);                              \
	if (!real)                                                                                 \
	abort()

static bool in_use(bool server)
{
	return use.kind && (use.side == BOTH || (use.side == SERVER) == server);
}

EXPORTED ngtcp2_ssize ngtcp2_conn_encode_local_transport_params(
	ngtcp2_conn *quic, uint8_t *data, size_t room)
{
	REAL(ngtcp2_conn_encode_local_transport_params);
	ngtcp2_ssize size = real(quic, data, room);
	return size > 0 && in_use(ngtcp2_conn_is_server(quic))
		       ? (ngtcp2_ssize)edit(data, (size_t)size, room)
		       : size;
}

/* Who announces more ids than it takes would end the connection by its own mistake. */
static ngtcp2_transport_params own_parameters(const ngtcp2_transport_params *given)
{
	ngtcp2_transport_params own = *given;
	if (use.kind->id == ID_LIMIT && use.kind->edit == REPLACE)
		own.active_connection_id_limit = 8;
	return own;
}

int ngtcp2_conn_client_new_versioned(ngtcp2_conn **ret_quic, const ngtcp2_cid *theirs,
	const ngtcp2_cid *ours, const ngtcp2_path *path, uint32_t version, int callbacks_version,
	const ngtcp2_callbacks *callbacks, int settings_version, const ngtcp2_settings *settings,
	int parameters_version, const ngtcp2_transport_params *parameters, const ngtcp2_mem *memory,
	void *user)
{
	static const ngtcp2_cid none;
	ngtcp2_transport_params own;
	REAL(ngtcp2_conn_client_new_versioned);
	if (in_use(false)) {
		own = own_parameters(parameters);
		parameters = &own;
	}
	if (in_use(false) && use.kind->edit == NO_ID) {
		use.id = *ours;
		use.has_id = true;
		ours = &none;
	}
	return real(ret_quic, theirs, ours, path, version, callbacks_version, callbacks,
		settings_version, settings, parameters_version, parameters, memory, user);
}

int ngtcp2_conn_server_new_versioned(ngtcp2_conn **ret_quic, const ngtcp2_cid *theirs,
	const ngtcp2_cid *ours, const ngtcp2_path *path, uint32_t version, int callbacks_version,
	const ngtcp2_callbacks *callbacks, int settings_version, const ngtcp2_settings *settings,
	int parameters_version, const ngtcp2_transport_params *parameters, const ngtcp2_mem *memory,
	void *user)
{
	ngtcp2_transport_params own;
	REAL(ngtcp2_conn_server_new_versioned);
	if (in_use(true)) {
		own = own_parameters(parameters);
		parameters = &own;
	}
	return real(ret_quic, theirs, ours, path, version, callbacks_version, callbacks,
		settings_version, settings, parameters_version, parameters, memory, user);
}

/* What comes to no id of the client's is for the connection without one. */
void *__real_lsp_cid_table_find(struct lsp_cid_table *table, const uint8_t *cid, size_t size);
void *__wrap_lsp_cid_table_find(struct lsp_cid_table *table, const uint8_t *cid, size_t size);

void *__wrap_lsp_cid_table_find(struct lsp_cid_table *table, const uint8_t *cid, size_t size)
{
	void *owner = __real_lsp_cid_table_find(table, cid, size);
	if (owner || !use.has_id)
		return owner;
	return __real_lsp_cid_table_find(table, use.id.data, use.id.datalen);
}
