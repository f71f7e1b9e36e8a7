/*
 * The network part alone: bytes from memory to memory over one stream of our QUIC endpoint, between
 * two processes. Beside bench/bare_ngtcp2.c it tells what the endpoint costs.
 *
 *     bench-quic-stream serve ADDRESS PORT
 *     bench-quic-stream fetch ADDRESS PORT MIB
 *
 * The serving end takes one connection and ends with it. Both print one JSON object.
 */
#include "net/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BLOCK (1u << 20)
#define QUEUE_MAX (4u << 20)

struct bench {
	uv_loop_t loop;
	struct lsp_endpoint *endpoint;
	bool serving;
	uint64_t size, left, received;
	uint8_t request[8];
	size_t request_size;
	uint8_t *block;
	lsp_time begun, ended;
	struct lsp_connection_stats stats;
};

static void die(const char *what, const struct lsp_error *error)
{
	fprintf(stderr, "%s: %s\n", what, error->message);
	exit(1);
}

static void feed(struct lsp_stream *stream, void *argument)
{
	struct bench *bench = argument;
	struct lsp_error err = {0};
	while (bench->left && lsp_stream_queued(stream) < QUEUE_MAX) {
		size_t size = (size_t)LSP_MIN(bench->left, (uint64_t)BLOCK);
		if (lsp_stream_write_owned(stream, bench->block, size, NULL, NULL, &err) < 0)
			die("write", &err);
		bench->left -= size;
	}
	if (!bench->left)
		lsp_stream_finish(stream);
}

static void take_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct bench *bench = argument;
	lsp_stream_consume(stream, size);
	if (!bench->serving) {
		bench->received += size;
		return;
	}
	for (size_t i = 0; i < size && bench->request_size < sizeof bench->request; i++)
		bench->request[bench->request_size++] = data[i];
	if (fin && bench->request_size == sizeof bench->request) {
		memcpy(&bench->left, bench->request, sizeof bench->left);
		feed(stream, bench);
	}
}

static void stream_closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct bench *bench = argument;
	struct lsp_connection *connection = lsp_stream_connection(stream);
	lsp_connection_get_stats(connection, &bench->stats);
	if (bench->serving)
		return;
	bench->ended = lsp_now(lsp_clock_system);
	lsp_connection_close(connection, LSP_CLOSE_GOODBYE, "done");
}

static const struct lsp_stream_callbacks stream_callbacks = {
	.data = take_data, .drained = feed, .closed = stream_closed};

static void connected(struct lsp_connection *connection, void *argument)
{
	struct bench *bench = argument;
	struct lsp_error err = {0};
	struct lsp_stream *stream;
	if (bench->serving)
		return;
	bench->begun = lsp_now(lsp_clock_system);
	if (lsp_connection_open_stream(connection, &stream_callbacks, bench, &stream, &err) < 0 ||
		lsp_stream_write(stream, &bench->size, sizeof bench->size, &err) < 0)
		die("open", &err);
	lsp_stream_finish(stream);
}

static void stream_opened(
	struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	lsp_stream_set_callbacks(stream, &stream_callbacks, argument);
}

static void connection_closed(
	struct lsp_connection *connection, const struct lsp_close *close, void *argument)
{
	struct bench *bench = argument;
	if (close->reason != LSP_CLOSE_GOODBYE)
		fprintf(stderr, "closed: %s %s\n", lsp_close_reason_name(close->reason),
			close->message);
	uv_stop(&bench->loop);
}

static void report(const struct bench *bench)
{
	struct rusage usage;
	struct lsp_endpoint_stats stats;
	double seconds = (double)(bench->ended - bench->begun) / LSP_SECOND;
	getrusage(RUSAGE_SELF, &usage);
	lsp_endpoint_get_stats(bench->endpoint, &stats);
	printf("{\"mib_s\":%.1f,\"seconds\":%.3f,\"received\":%llu,\"user_s\":%.3f,\"system_s\":%."
	       "3f,"
	       "\"packets_per_send\":%.1f,\"packets_per_receive\":%.1f,\"sends\":%llu,\"receives\":"
	       "%llu,"
	       "\"udp_payload\":%zu,\"cwnd\":%llu,\"rtt_us\":%llu,\"gso\":%s,\"gro\":%s}\n",
		bench->serving ? 0 : (double)bench->received / (1 << 20) / seconds,
		bench->serving ? 0 : seconds, (unsigned long long)bench->received,
		(double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
		(double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6,
		(double)stats.sent_packets / (double)LSP_MAX(stats.send_calls, (uint64_t)1),
		(double)stats.received_packets / (double)LSP_MAX(stats.receive_calls, (uint64_t)1),
		(unsigned long long)stats.send_calls, (unsigned long long)stats.receive_calls,
		bench->stats.udp_payload, (unsigned long long)bench->stats.cwnd,
		(unsigned long long)bench->stats.rtt_smoothed / 1000, stats.gso ? "true" : "false",
		stats.gro ? "true" : "false");
}

static void open_endpoint(struct bench *bench, const struct sockaddr_storage *listen)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = connected, .closed = connection_closed, .stream = stream_opened};
	struct lsp_error err = {0};
	struct lsp_endpoint_options options = {.loop = &bench->loop,
		.callbacks = &callbacks,
		.argument = bench,
		.listen = listen,
		.stream_window = 16u << 20}; /* what the bare stream has */
	if (lsp_identity_new(&options.identity, &err) < 0 ||
		lsp_endpoint_new(&options, &bench->endpoint, &err) < 0)
		die("endpoint", &err);
	lsp_identity_unref(options.identity);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};
	struct lsp_error err = {0};
	struct sockaddr_storage address;
	if (argc < 4 || (strcmp(argv[1], "serve") != 0 && argc < 5)) {
		fprintf(stderr, "usage: %s serve ADDRESS PORT | fetch ADDRESS PORT MIB\n", argv[0]);
		return 2;
	}
	bench.serving = strcmp(argv[1], "serve") == 0;
	if (lsp_address_parse(argv[2], (uint16_t)atoi(argv[3]), &address, &err) < 0)
		die("address", &err);
	uv_loop_init(&bench.loop);
	open_endpoint(&bench, bench.serving ? &address : NULL);
	if (bench.serving) {
		bench.block = malloc(BLOCK);
		if (!bench.block)
			return 1;
		memset(bench.block, 0x5a, BLOCK);
		fprintf(stderr, "ready\n");
	} else {
		struct lsp_connection *connection;
		bench.size = (uint64_t)atoll(argv[4]) << 20;
		if (lsp_endpoint_connect(bench.endpoint, &address, NULL, NULL, &connection, &err) <
			0)
			die("connect", &err);
	}
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	report(&bench);
	lsp_endpoint_free(bench.endpoint, NULL, NULL);
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	uv_loop_close(&bench.loop);
	free(bench.block);
	return bench.serving || bench.received == bench.size ? 0 : 1;
}
