#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""blast.py DEV MAC PORT ADDRESS... : UDP datagrams to each address by turns, in frames
for MAC, or without a frame where DEV has none (tun), out of DEV whenever there is one of that
name and it is up: from its first moment on, without ARP and routes. About a thousand a second. IPv4 comes from
10.66.0.2, IPv6 from fd00:66::2."""
import ipaddress
import socket
import struct
import sys
import time

ARPHRD_NONE = 65534


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def frame(mac, port, text):
    to = ipaddress.ip_address(text)
    ethernet = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000006602")
    payload = b"not one of these passes "
    udp = struct.pack("!HHHH", 6666, port, 8 + len(payload), 0) + payload
    if to.version == 4:  # a UDP checksum of 0 is none
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                           ipaddress.ip_address("10.66.0.2").packed, to.packed)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return ethernet + b"\x08\x00" + head + udp
    ends = ipaddress.ip_address("fd00:66::2").packed + to.packed
    total = checksum(ends + struct.pack("!II", len(udp), 17) + udp)
    udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    return ethernet + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends + udp


def main():
    dev, mac, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    frames = [frame(mac, port, a) for a in sys.argv[4:]]
    while True:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        try:
            s.bind((dev, 0))
            skip = 14 if s.getsockname()[3] == ARPHRD_NONE else 0
            while True:
                for f in frames:
                    s.send(f[skip:])
                time.sleep(0.004)
        except OSError:  # not there, not up, or gone
            s.close()
            time.sleep(0.0005)


main()
