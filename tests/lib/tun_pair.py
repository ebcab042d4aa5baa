"""tun_pair.py NS DEV NS DEV : a tun in each of two namespaces; what enters one
leaves the other. With checksum and segmentation offload: packets cross as the
stack made them, up to 64 KB with a partial checksum. Says `ready`."""
import ctypes
import fcntl
import os
import select
import struct
import sys

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
CSUM, TSO4, TSO6 = 1, 2, 4
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def make(ns, dev):
    with open(f"/run/netns/{ns}", "rb") as f:
        if libc.setns(f.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {ns}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", dev.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETOFFLOAD, CSUM | TSO4 | TSO6)
    return fd


def main():
    a, b = make(*sys.argv[1:3]), make(*sys.argv[3:5])
    other = {a: b, b: a}
    poller = select.epoll()
    for fd in other:
        poller.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            try:
                os.write(other[fd], os.read(fd, 70000))
            except OSError as e:  # down, or not a packet the other takes
                print(e, flush=True)


main()
