#!/usr/bin/python3
"""tests/alg/sniff.py DEVICE tcp|udp PORT SEEN_CLIENT SEEN_SERVER FILE : writes what the first client says to
PORT and what it is answered as a transcript of tests/alg/lab.h, until SIGTERM.

The two speak without NAT. The first line says that both are translated: the client
is seen as SEEN_CLIENT and knows the server as SEEN_SERVER ('-': as it is). So the server's text must
name SEEN_CLIENT where it names the client; the names have one length, so nothing else changes.
"""
import ipaddress
import signal
import socket
import struct
import sys


def escape(data):
    out = []
    for b in data:
        if b == 92:
            out.append("\\\\")
        elif b in (13, 10):
            out.append("\\r" if b == 13 else "\\n")
        elif 32 <= b < 127:
            out.append(chr(b))
        else:
            out.append(f"\\x{b:02x}")
    return "".join(out)


def packet(frame, proto):
    """(source, sport, destination, dport, seq, payload) or None"""
    kind = struct.unpack("!H", frame[12:14])[0]
    ip = frame[14:]
    if kind == 0x0800 and ip[9] == proto:
        size = struct.unpack("!H", ip[2:4])[0]
        l4 = ip[(ip[0] & 15) * 4:size]
        src, dst = ipaddress.ip_address(ip[12:16]), ipaddress.ip_address(ip[16:20])
    elif kind == 0x86DD and ip[6] == proto:
        l4 = ip[40:40 + struct.unpack("!H", ip[4:6])[0]]
        src, dst = ipaddress.ip_address(ip[8:24]), ipaddress.ip_address(ip[24:40])
    else:
        return None
    sport, dport, seq = struct.unpack("!HHI", l4[:8])
    if proto == 6:
        syn = l4[13] & 2
        return str(src), sport, str(dst), dport, (seq + 1) & 0xFFFFFFFF if syn else seq, syn, l4[(l4[12] >> 4) * 4:]
    return str(src), sport, str(dst), dport, 0, 0, l4[8:]


class Transcript:
    def __init__(self, path, seen_client, seen_server, port, proto):
        self.out = open(path, "w", encoding="ascii")
        self.seen = (seen_client, seen_server)
        self.port, self.proto = port, proto
        self.client = self.server = None
        self.next = {}

    def begin(self, p):
        self.client, self.server = (p[0], p[1]), (p[2], p[3])
        seen = self.seen[0] if self.seen[0] != "-" else p[0]
        known = self.seen[1] if self.seen[1] != "-" else p[2]
        self.out.write(f"# orig {p[0]} {p[1]} {known} {p[3]} reply {p[2]} {p[3]} {seen} {p[1]} "
                       f"proto {self.proto}\n")

    def side(self, p):
        if self.client is None and p[3] == self.port and (self.proto == 17 or p[5]):
            self.begin(p)
        if (p[0], p[1]) == self.client and (p[2], p[3]) == self.server:
            return "O"
        return "R" if (p[2], p[3]) == self.client and (p[0], p[1]) == self.server else None

    def as_seen(self, data):
        old, new = self.client[0].encode(), self.seen[0].encode()
        # A Call-ID is only a name: the parser leaves it, so the server repeats it as it was.
        return b"\r\n".join(line if line.lower().startswith(b"call-id") else line.replace(old, new)
                            for line in data.split(b"\r\n"))

    def add(self, p):
        side, data = self.side(p), p[6]
        if not side:
            return
        if self.proto == 6:
            if p[5]:
                self.next[side] = p[4]
            skip = (self.next.get(side, p[4]) - p[4]) & 0xFFFFFFFF
            if skip >= len(data):
                return
            data = data[skip:]
            self.next[side] = (p[4] + skip + len(data)) & 0xFFFFFFFF
        if side == "R" and self.seen[0] != "-":
            data = self.as_seen(data)
        if data:
            self.out.write(f"{side} {escape(data)}\n")
            self.out.flush()


def main():
    device, proto, port, client, server, path = sys.argv[1:]
    number = 6 if proto == "tcp" else 17
    script = Transcript(path, client, server, int(port), number)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((device, 0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        p = packet(sock.recv(65600), number)
        if p:
            script.add(p)


main()
