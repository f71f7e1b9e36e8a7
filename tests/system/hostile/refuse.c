/*
 * A kernel that refuses to segment and to gather datagrams, for LD_PRELOAD. LANSPREAD_REFUSE says
 * when it tells: "options" (setsockopt, as a kernel that never heard of it) or "sending" (sendmsg,
 * as one whose route or device turns out not to do it).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static bool refuses(const char *when)
{
	const char *wanted = getenv("LANSPREAD_REFUSE");
	return wanted && strcmp(wanted, when) == 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	bool offload = level == IPPROTO_UDP && (name == UDP_SEGMENT || name == UDP_GRO);
	if (offload && refuses("options")) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct msghdr copy = *message;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT &&
			refuses("sending")) {
			errno = EIO;
			return -1;
		}
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}
