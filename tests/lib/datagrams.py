#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Large datagrams between real sockets.

  serve PORT                   UDP: echoes; `size N` is answered with N bytes
  sink PORT                    UDP: never answers
  echo ADDRESS PORT SIZE...    sends each, expects it back; up to three tries
  ask ADDRESS PORT SIZE        `size N`
  many ADDRESS PORT SOCKETS ROUNDS   all at once, sizes at random; no retry
  flow ADDRESS PORT SIZE SECONDS RATE   echoes a second; prints sent, received, the worst time
  refused ADDRESS PORT SIZE    expects a port unreachable
  unreachable PORT             answers with an ICMP error that quotes it all, itself in fragments
  rawserve PROTOCOL 4|6        echoes IP payloads
  raw ADDRESS PROTOCOL SIZE
"""
import errno
import os
import random
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scapy"))
from ctpkt import crc32c

SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
IP_MTU_DISCOVER = 10


def udp(address=None, port=None):
    fam = socket.AF_INET6 if not address or ":" in address else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)  # no DF: fragments, in IPv4
    if address:
        s.connect((address, port))
        s.settimeout(1.5)
    return s


def content(n, seed=0):
    return random.Random("%d/%d" % (n, seed)).randbytes(n)


def serve(port):
    s = udp()
    s.bind(("::", port))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)  # answers come from the address that was asked
    while True:
        data, info, _, who = s.recvmsg(65536, 100)
        if data.startswith(b"size "):
            data = content(int(data[5:]))
        try:
            s.sendmsg([data], [(a, b, c[:16] + bytes(4)) for a, b, c in info], 0, who)
        except OSError as e:
            print(e, flush=True)


def sink(port):
    s = udp()
    s.bind(("::", int(port)))
    while True:
        s.recv(65536)


def one(s, send, want):
    for _ in range(3):
        try:
            s.send(send)
            got = s.recv(65536)
        except TimeoutError:
            continue
        except OSError as e:
            if e.errno not in (errno.EMSGSIZE, errno.ECONNREFUSED):
                raise
            continue
        if got != want:
            sys.exit("sent %d bytes, %d came back, %s" % (len(want), len(got), "other ones" if len(got) == len(want) else "not all"))
        return
    sys.exit("no answer to %d bytes" % len(send))


def echo(address, port, *sizes):
    s = udp(address, int(port))
    for n in sizes:
        one(s, content(int(n)), content(int(n)))


def ask(address, port, size):
    one(udp(address, int(port)), b"size " + size.encode(), content(int(size)))


def many(address, port, sockets, rounds):
    r = random.Random(1)
    open_, lost = [udp(address, int(port)) for _ in range(int(sockets))], 0
    for k in range(int(rounds)):
        waits = {}
        for s in open_:
            s.setblocking(False)
            waits[s] = content(r.choice((100, 1473, 3000, 9000, 20000, 65000)), k)
            s.send(waits[s])
        end = time.monotonic() + 5
        while waits and time.monotonic() < end:
            for s in select.select(list(waits), [], [], 0.2)[0]:
                if s.recv(65536) != waits.pop(s):
                    sys.exit("another datagram came back")
        lost += len(waits)
    if lost:
        sys.exit("%d of %d lost" % (lost, int(sockets) * int(rounds)))


def flow(address, port, size, seconds, rate):
    s = udp(address, int(port))
    sent = got = 0
    worst = 0.0
    end = time.monotonic() + float(seconds)
    s.settimeout(0.3)
    while time.monotonic() < end:
        data = struct.pack("!I", sent) + content(int(size) - 4)
        began = time.monotonic()
        s.send(data)
        sent += 1
        try:
            while s.recv(65536) != data:
                pass
            got += 1
            worst = max(worst, time.monotonic() - began)
        except TimeoutError:
            pass
        time.sleep(max(0, 1 / float(rate) - (time.monotonic() - began)))
    print(sent, got, "%.1f ms" % (worst * 1000))


def refused(address, port, size):
    s = udp(address, int(port))
    for _ in range(3):
        try:
            s.send(content(int(size)))
            s.recv(100)
        except ConnectionRefusedError:
            return
        except (TimeoutError, OSError):
            pass
    sys.exit("no error came back")


def checksum(b):
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b[:len(b) & ~1])) + (b[-1] << 8 if len(b) & 1 else 0)
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


def unreachable(port):
    """What a host may do that quotes much (RFC 1812 4.3.2.3: no more than 576 bytes; not all keep to it)."""
    s = udp()
    s.bind(("::", int(port)))
    v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    while True:
        data, who = s.recvfrom(65536)
        src, sport = who[0], who[1]
        if src.startswith("::ffff:"):
            src = src[7:]
            me = socket.inet_aton(route_source(src))
            quoted = struct.pack("!HHHH", sport, int(port), 8 + len(data), 0) + data
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(quoted), 7, 0, 63, 17, 0, socket.inet_aton(src), me)
            msg = struct.pack("!BBHI", 3, 3, 0, 0) + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + quoted
            v4.sendto(msg[:2] + struct.pack("!H", checksum(msg)) + msg[4:], (src, 0))
            continue
        me = socket.inet_pton(socket.AF_INET6, route_source(src))
        quoted = struct.pack("!HHHH", sport, int(port), 8 + len(data), 1) + data
        ip = struct.pack("!IHBB16s16s", 6 << 28, len(quoted), 17, 63, socket.inet_pton(socket.AF_INET6, src), me)
        v6.sendto(struct.pack("!BBHI", 1, 4, 0, 0) + ip + quoted, (src, 0))


def route_source(to):
    s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((to, 9))
    return s.getsockname()[0]


def raw_socket(fam, proto):
    s = socket.socket(fam, socket.SOCK_RAW, proto)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
    if fam == socket.AF_INET:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
    return s


def rawserve(proto, family):
    s = raw_socket(socket.AF_INET6 if family == "6" else socket.AF_INET, int(proto))
    while True:
        data, who = s.recvfrom(65536)
        s.sendto(data if family == "6" else data[(data[0] & 15) * 4:], (who[0], 0))


def raw(address, proto, size):
    v6 = ":" in address
    s = raw_socket(socket.AF_INET6 if v6 else socket.AF_INET, int(proto))
    s.settimeout(1.5)
    want = content(int(size))
    if int(proto) == 47:  # version 0, no flags
        want = b"\0\0\x08\0" + want[4:]
    if int(proto) == 132:  # INIT with one long parameter
        n = len(want) & ~3
        want = struct.pack("!HHIIBBHIIHHIHH", 7000, 7000, 0, 0, 1, 0, 24 + n, 7, 65535, 4, 4, 1, 0xC0FE, 4 + n) + want[:n]
        want = want[:8] + struct.pack("<I", crc32c(want)) + want[12:]
    for _ in range(3):
        s.sendto(want, (address, 0))
        try:
            got = s.recv(65536)
        except TimeoutError:
            continue
        if got[0 if v6 else (got[0] & 15) * 4:] == want:
            return
        sys.exit("other bytes came back")
    sys.exit("no answer")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    {"serve": lambda p: serve(int(p)), "sink": sink, "echo": echo, "ask": ask, "many": many, "flow": flow, "refused": refused,
     "unreachable": unreachable, "rawserve": rawserve, "raw": raw}[sys.argv[1]](*sys.argv[2:])
