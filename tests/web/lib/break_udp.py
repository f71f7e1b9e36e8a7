#!/usr/bin/python3
"""break_udp.py PID: shuts a process's UDP sockets down behind its back, as a network stack that fails would.

Exits 77 where the kernel or the rights for it are missing."""
import ctypes
import errno
import os
import socket
import sys

PIDFD_GETFD = 438


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    pid = int(sys.argv[1])
    pidfd = os.pidfd_open(pid)
    broken = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
        except FileNotFoundError:
            continue  # closed meanwhile
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0 and ctypes.get_errno() == errno.EBADF:
            continue  # the same
        if fd < 0:
            print(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            sys.exit(77)
        with socket.socket(fileno=fd) as sock:
            if sock.type != socket.SOCK_DGRAM or sock.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # "not connected", and shut down all the same
            broken += 1
    sys.exit(0 if broken else 1)


if __name__ == "__main__":
    main()
