#include "http/listen.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define BACKLOG 512

static int parse_port(const char *text, in_port_t *ret_port, struct lsp_error *err)
{
	uint64_t port;
	if (lsp_text_to_u64(text, &port, NULL) < 0 || port > 65535)
		return lsp_error_set(err, "http", LSP_E_INVALID,
			"\"%s\" is no port: a number from 0 to 65535", text);
	*ret_port = htons((uint16_t)port);
	return 0;
}

static int parse_host(const char *host, in_port_t port, union lsp_http_address *ret_address,
	struct lsp_error *err)
{
	union lsp_http_address address = {0};
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = port;
	} else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = port;
	} else {
		return lsp_error_set(err, "http", LSP_E_INVALID,
			"\"%s\" is no address for the page: give ADDRESS:PORT", host);
	}
	*ret_address = address;
	return 0;
}

int lsp_http_address_parse(
	const char *text, union lsp_http_address *ret_address, struct lsp_error *err)
{
	char host[128];
	in_port_t port = htons(LSP_HTTP_DEFAULT_PORT);
	if (!text)
		return parse_host("127.0.0.1", port, ret_address, err);
	const char *colon = strrchr(text, ':');
	int r = parse_port(colon ? colon + 1 : text, &port, err);
	if (r < 0)
		return r;
	if (!colon)
		return parse_host("127.0.0.1", port, ret_address, err);
	const char *start = text;
	size_t length = (size_t)(colon - text);
	if (length >= 2 && text[0] == '[' && colon[-1] == ']') {
		start++;
		length -= 2;
	}
	if (length >= sizeof host)
		return lsp_error_set(err, "http", LSP_E_INVALID, "\"%s\" is no address", text);
	memcpy(host, start, length);
	host[length] = '\0';
	return parse_host(host, port, ret_address, err);
}

static socklen_t address_size(const union lsp_http_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

static int try_listen(const union lsp_http_address *address, int *ret_fd)
{
	int one = 1;
	_cleanup_close_ int fd =
		socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A restart finds its port again while old connections linger. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
		bind(fd, &address->any, address_size(address)) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void set_port(union lsp_http_address *address, in_port_t port)
{
	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = port;
	else
		address->v6.sin6_port = port;
}

int lsp_http_listen(
	union lsp_http_address *address, bool any_port, int *ret_fd, struct lsp_error *err)
{
	char name[96];
	int fd = -1;
	lsp_http_address_text(address, name, sizeof name);
	int r = try_listen(address, &fd);
	if (r == -EADDRINUSE && any_port) {
		set_port(address, 0);
		r = try_listen(address, &fd);
	}
	if (r == -EADDRINUSE)
		return lsp_error_set(err, "http", LSP_E_BUSY,
			"the page cannot be at %s: the port is taken; choose another one", name);
	if (r < 0)
		return lsp_error_errno(err, "http", -r, "the page cannot be at %s", name);
	socklen_t size = sizeof *address;
	if (getsockname(fd, &address->any, &size) < 0) {
		r = lsp_error_errno(err, "http", errno, "getsockname");
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

unsigned lsp_http_address_port(const union lsp_http_address *address)
{
	return ntohs(
		address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

void lsp_http_address_text(const union lsp_http_address *address, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	unsigned port = lsp_http_address_port(address);
	if (address->any.sa_family == AF_INET) {
		struct in_addr v4 = address->v4.sin_addr;
		if (v4.s_addr == htonl(INADDR_ANY))
			v4.s_addr = htonl(INADDR_LOOPBACK);
		inet_ntop(AF_INET, &v4, host, sizeof host);
		snprintf(out, size, "%s:%u", host, port);
		return;
	}
	struct in6_addr v6 = address->v6.sin6_addr;
	if (IN6_IS_ADDR_UNSPECIFIED(&v6))
		v6 = in6addr_loopback;
	inet_ntop(AF_INET6, &v6, host, sizeof host);
	snprintf(out, size, "[%s]:%u", host, port);
}
