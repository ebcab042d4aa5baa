"""pppoe.py DEVICE SESSION PEER-MAC NAME : a PPPoE session without discovery, LCP or IPCP.

What pppd does after negotiation (linux/if_pppox.h, ppp_generic): a session socket, its
channel, a unit, and the unit's interface under NAME, up. The session lives as long as this
program; `ready` is printed when it does. In the network namespace where it is run."""
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import sys

AF_PPPOX, SOCK_STREAM = 24, 1
PX_PROTO_OE = 0
PPPIOCGCHAN, PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCNEWUNIT = 0x80047437, 0x40047438, 0x4004743A, 0xC004743E
libc = ctypes.CDLL(None, use_errno=True)


def check(ret, what):
    if ret < 0:
        raise OSError(ctypes.get_errno(), what)
    return ret


def number(fd, request, value=0):
    return struct.unpack("i", fcntl.ioctl(fd, request, struct.pack("i", value)))[0]


def main():
    device, session, mac, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    sock = check(libc.socket(AF_PPPOX, SOCK_STREAM, PX_PROTO_OE), "socket")
    # struct sockaddr_pppox, packed
    address = struct.pack("=HI", AF_PPPOX, PX_PROTO_OE) + struct.pack(">H", session) + \
        bytes.fromhex(mac.replace(":", "")) + device.encode().ljust(16, b"\0")
    check(libc.connect(sock, address, len(address)), "connect")
    channel = os.open("/dev/ppp", os.O_RDWR)
    fcntl.ioctl(channel, PPPIOCATTCHAN, struct.pack("i", number(sock, PPPIOCGCHAN)))
    unit = os.open("/dev/ppp", os.O_RDWR)
    index = number(unit, PPPIOCNEWUNIT, -1)
    fcntl.ioctl(channel, PPPIOCCONNECT, struct.pack("i", index))
    subprocess.run(["ip", "link", "set", f"ppp{index}", "name", name], check=True)
    subprocess.run(["ip", "link", "set", name, "mtu", "1492", "up"], check=True)
    print("ready", flush=True)
    signal.pause()


main()
