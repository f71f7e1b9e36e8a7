/*
 * A peer that is to be reached at several addresses of which some are wrong: a socket that never
 * answers, a machine with another key. However many are tried at once, one connection is left.
 */
#include "other.h"

#include "peer/connect.h"
#include "peer/handle.h"
#include "peer/peer.h"
#include "peer/runtime.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct party {
	struct other other; /* first: what cmocka hands round */
	struct side impostor;
	int hole; /* a socket that nobody reads */
	char texts[3][128];
	const char *peers[4];
};

static bool say_hello(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response response = {.type = LSP_RESPONSE_HELLO};
	if (request->type != LSP_REQUEST_HELLO)
		return false;
	other_hello(other, &response.hello);
	lsp_responder_send(responder, &response);
	return true;
}

static uint16_t open_hole(int *ret_fd)
{
	struct sockaddr_storage address = loopback(AF_INET, 0);
	socklen_t size = sizeof address;
	*ret_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* An address of the other one, right or wrong, with its id. */
static void tell_address(struct party *party, size_t index, uint16_t port)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(lsp_identity_peer_id(party->other.side.identity), id);
	snprintf(party->texts[index], sizeof party->texts[index], "127.0.0.1:%u#%s", port, id);
	party->peers[index] = party->texts[index];
}

static int begin(void **state)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = side_connected, .closed = side_closed, .stream = other_stream};
	struct party *party = calloc(1, sizeof *party);
	struct other *other = &party->other;
	other_begin(other);
	assert_int_equal(uv_loop_init(&other->loop), 0);
	assert_int_equal(lsp_identity_new(&other->side.identity, NULL), 0);
	struct lsp_endpoint_options options = {
		.loop = &other->loop,
		.identity = other->side.identity,
		.callbacks = &callbacks,
		.argument = &other->side,
	};
	assert_int_equal(lsp_endpoint_new(&options, &other->side.endpoint, NULL), 0);
	side_open(&party->impostor, &other->loop, (struct lsp_endpoint_options){0});
	other->script = say_hello;
	*state = party;
	return 0;
}

static int end(void **state)
{
	struct party *party = *state;
	side_close(&party->impostor, &party->other.loop);
	close(party->hole);
	return other_tear_down(state);
}

static int count_connections(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_endpoint_stats stats;
	lsp_endpoint_get_stats(lsp_connect_endpoint(peer->connect), &stats);
	return (int)stats.connections;
}

static int connections_of(struct other *other)
{
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	return lsp_loop_call(peer->core, count_connections, peer, NULL, LSP_TIME_NEVER, NULL);
}

static bool is_refusal(json_t *event, const void *argument)
{
	return strcmp(json_string_value(json_object_get(event, "reason")), "refused") == 0;
}

static void behind_a_dead_address_and_an_impostor_it_is_found_and_one_connection_is_left(
	void **state)
{
	struct party *party = *state;
	struct other *other = &party->other;
	tell_address(party, 0, open_hole(&party->hole));
	tell_address(party, 1, lsp_endpoint_port(party->impostor.endpoint));
	tell_address(party, 2, lsp_endpoint_port(other->side.endpoint));
	other->peers = party->peers;
	other_start_peer(other);
	json_decref(other_await(other, "peer_disconnected", is_refusal, NULL));
	other_expect(other, "peer_connected");
	/* The first is given up, though it has not failed: the handshake's time is far from over.
	 */
	assert_int_equal(connections_of(other), 1);
	assert_int_equal(other->side.connected, 1);
	assert_non_null(other->side.connection);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			behind_a_dead_address_and_an_impostor_it_is_found_and_one_connection_is_left,
			begin, end),
	};
	return cmocka_run_group_tests_name("peer/connect", tests, NULL, NULL);
}
