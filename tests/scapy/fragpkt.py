# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Datagrams, their fragments, and what a receiver makes of fragments.

A Datagram knows its bytes before it is cut (`part` is the fragmentable part, RFC
8200 section 4.5; all that follows the header in IPv4). piece() builds one
fragment as an IP packet, right or wrong. parse() takes one apart; Receiver puts
them together as strictly as an end host may.
"""
import struct

from ctpkt import GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, crc32c, csum, ipv4, ipv6, l4_csum

HOP, ROUTING, FRAGMENT, AH, DSTOPTS = 0, 43, 44, 51, 60
EXTENSIONS = (HOP, ROUTING, AH, DSTOPTS)


class L4:
    """A transport segment whose bytes depend on addresses and ports only at
    building time, so that the translated form can be built as well."""

    def __init__(self, proto, body, badsum=False, nosum=False, doff=5):
        self.proto, self.body, self.badsum, self.nosum, self.doff = proto, body, badsum, nosum, doff
        self.header = {TCP: doff * 4, UDP: 8, UDPLITE: 8, ICMP: 8, ICMP6: 8, SCTP: 12, GRE: 4}.get(proto, 8)

    def segment(self, fam, src, dst, sport, dport, answer=False):
        p, body = self.proto, self.body
        if p == TCP:  # a SYN with data, or the answer to one
            h = struct.pack("!HHIIBBHHH", sport, dport, 7000, 1001 if answer else 0, self.doff << 4, 0x12 if answer else 0x02, 64000, 0, 0)
            seg = h + b"\x01" * (self.doff * 4 - 20) + body
            return _sealed(seg, 16, l4_csum(fam, src, dst, p, seg), self.badsum)
        if p in (UDP, UDPLITE):
            seg = struct.pack("!HHHH", sport, dport, 8 + len(body) if p == UDP else 0, 0) + body
            if self.nosum:
                return seg
            return _sealed(seg, 6, l4_csum(fam, src, dst, p, seg) or 0xFFFF, self.badsum)
        if p in (ICMP, ICMP6):
            t = (0 if p == ICMP else 129) if answer else (8 if p == ICMP else 128)
            seg = struct.pack("!BBHHH", t, 0, 0, dport if answer else sport, 1) + body
            return _sealed(seg, 2, ~csum(seg) & 0xFFFF if p == ICMP else l4_csum(6, src, dst, p, seg), self.badsum)
        if p == SCTP:  # INIT or INIT ACK with one long parameter of an unknown kind
            n = len(body) - len(body) % 4
            chunk = struct.pack("!BBHIIHHIHH", 2 if answer else 1, 0, 24 + n, 9 if answer else 7, 65535, 4, 4, 1, 0xC0FE, 4 + n) + body[:n]
            seg = struct.pack("!HHII", sport, dport, 7 if answer else 0, 0) + chunk
            c = crc32c(seg) ^ (0x11 if self.badsum else 0)
            return seg[:8] + struct.pack("<I", c) + seg[12:]
        if p == GRE:
            return struct.pack("!HH", 0, 0x0800) + body
        return body


def _sealed(seg, at, c, badsum):
    if badsum:
        c ^= 0x1111
    return seg[:at] + struct.pack("!H", c) + seg[at + 2:]


def ext_headers(kinds, last):
    """(next header of what stands before, bytes) of a chain that ends with `last`."""
    out, nh = b"", last
    for k in reversed(kinds):
        if k == "hop":
            h, t = struct.pack("!BBBB", nh, 0, 1, 4) + bytes(4), HOP
        elif k == "dst":
            h, t = struct.pack("!BBBB", nh, 0, 1, 4) + bytes(4), DSTOPTS
        elif k == "long":  # an option to be skipped by who does not know it
            h, t = struct.pack("!BBBB", nh, 8, 0x1E, 68) + bytes(68), DSTOPTS
        else:  # routing, of no segments left
            h, t = struct.pack("!BBBB", nh, 2, 4, 0) + bytes(20), ROUTING
        out, nh = h + out, t
    return nh, out


class Datagram:
    """before: kinds of extension headers before the fragment header, after: those behind it."""

    def __init__(self, fam, src, dst, l4, sport, dport, ident, before=(), after=(), opts=b"", df=False, answer=False, hops=64):
        self.fam, self.src, self.dst, self.l4, self.ident = fam, src, dst, l4, ident
        self.sport, self.dport, self.answer = sport, dport, answer
        self.before, self.opts, self.df, self.hops = tuple(before), opts, df, hops
        seg = l4.segment(fam, src, dst, sport, dport, answer)
        self.nh, chain = ext_headers(after, l4.proto)
        self.part = chain + seg
        self.header = len(chain) + l4.header  # what the first fragment must carry

    def piece(self, off, end=None, more=False, data=None, nh=None, before=None, opts=None, ident=None, short=0, hops=None):
        """data replaces part[off:end]; short: bytes of it that its length field has but the packet has not."""
        data = self.part[off:end] if data is None else data
        nh = self.nh if nh is None else nh
        ident = self.ident if ident is None else ident
        hops = hops or self.hops
        sent = data[:len(data) - short]
        if self.fam == 4:
            opts = self.opts if opts is None else opts
            return ipv4(self.src, self.dst, nh, sent, ident=ident, ttl=hops, opts=opts, total=20 + len(opts) + len(data),
                        frag=(0x4000 if self.df else 0) | (0x2000 if more else 0) | off >> 3)
        first, chain = ext_headers(self.before if before is None else before, FRAGMENT)
        body = chain + struct.pack("!BBHI", nh, 0, off & 0xFFF8 | bool(more), ident & 0xFFFFFFFF)
        return ipv6(self.src, self.dst, first, body + sent, hlim=hops, plen=len(body) + len(data))

    def whole(self):
        """As parse() and Receiver see it: (src, dst, first next header, bytes behind the basic header)."""
        if self.fam == 4:
            return self.src, self.dst, self.nh, self.opts + self.part
        first, chain = ext_headers(self.before, self.nh)
        return self.src, self.dst, first, chain + self.part

    def unfragmented(self):
        if self.fam == 4:
            return ipv4(self.src, self.dst, self.nh, self.part, ident=self.ident, opts=self.opts, frag=0x4000 if self.df else 0, ttl=self.hops)
        first, chain = ext_headers(self.before, self.nh)
        return ipv6(self.src, self.dst, first, chain + self.part, hlim=self.hops)


class Piece:
    """A packet, taken apart. head: options or extension headers before the
    fragment header, as (first next header, bytes, where the last of the chain is named)."""

    __slots__ = ("raw", "fam", "src", "dst", "nh", "ident", "off", "more", "data", "first", "head", "name_at", "fragment", "df", "hops")

    def end(self):
        return self.off + len(self.data)

    def __str__(self):
        return "%d..%d%s id %#x%s" % (self.off, self.end(), "+" if self.more else "", self.ident or 0, " df" if self.df else "")


def parse(ip):
    """Piece of an IP packet, or None if its lengths contradict each other."""
    p = Piece()
    p.raw, p.fam = ip, ip[0] >> 4
    if p.fam == 4:
        hl = (ip[0] & 15) * 4
        total, p.ident, f = struct.unpack("!HHH", ip[2:8])
        if total > len(ip) or total < hl:
            return None
        p.src, p.dst, p.nh, p.hops = ip[12:16], ip[16:20], ip[9], ip[8]
        p.off, p.more, p.df = (f & 0x1FFF) << 3, bool(f & 0x2000), bool(f & 0x4000)
        p.fragment = bool(f & 0x3FFF)
        p.first, p.head, p.data, p.name_at = p.nh, ip[20:hl], ip[hl:total], None
        return p
    total = 40 + struct.unpack("!H", ip[4:6])[0]
    if total > len(ip):
        return None
    p.src, p.dst, p.first, p.hops = ip[8:24], ip[24:40], ip[6], ip[7]
    p.fragment = p.more = p.df = False
    p.off, p.ident, p.name_at = 0, None, None
    nh, at, named = ip[6], 40, None
    while nh in EXTENSIONS and at + 8 <= total:
        named = at - 40
        nh, at = ip[at], at + ((ip[at + 1] + 2) * 4 if nh == AH else (ip[at + 1] + 1) * 8)
    if nh != FRAGMENT:
        p.nh, p.head, p.data = ip[6], b"", ip[40:total]
        return p
    if at + 8 > total:
        return None
    p.nh, _, f, p.ident = struct.unpack("!BBHI", ip[at:at + 8])
    p.off, p.more, p.fragment = f & 0xFFF8, bool(f & 1), bool(f & 0xFFF9)
    p.head, p.data, p.name_at = ip[40:at], ip[at + 8:total], named
    if named is None:
        p.first = p.nh
    return p


def joined(pieces):
    """What Datagram.whole() gives, of pieces in order."""
    a = pieces[0]
    data = b"".join(p.data for p in pieces)
    if a.fam == 4:
        return a.src, a.dst, a.nh, a.head + data
    head = bytearray(a.head)
    if a.name_at is not None:
        head[a.name_at] = a.nh
    return a.src, a.dst, a.first, bytes(head) + data


class Receiver:
    """An end host. Anything odd is a problem, as no router should let it come to that."""

    def __init__(self):
        self.pending, self.wholes, self.problems = {}, [], []

    def take(self, ip):
        p = parse(ip)
        if p is None:
            self.problems.append("a packet arrived cut: " + ip[:60].hex())
            return
        if p.fam == 4 and csum(ip[:(ip[0] & 15) * 4]) != 0xFFFF:
            self.problems.append("wrong IPv4 header checksum")
        if not p.fragment:
            self.wholes.append(joined([p]))
            return
        key = (p.src, p.dst, p.ident, p.nh if p.fam == 4 else None)
        held = self.pending.setdefault(key, [])
        if any(p.off < q.end() and q.off < p.end() for q in held):
            self.problems.append("overlapping fragments arrived: %s" % p)
            return
        held.append(p)
        held.sort(key=lambda q: q.off)
        if held[0].off or held[-1].more or any(a.end() != b.off for a, b in zip(held, held[1:])):
            return
        del self.pending[key]
        self.wholes.append(joined(held))

    def finish(self):
        for held in self.pending.values():
            self.problems.append("only fragments arrived: " + ", ".join(map(str, held)))
        return self.wholes, self.problems
