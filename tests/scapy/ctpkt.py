# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Packets for the suites: bytes by struct, as scapy needs about 1 ms for each.

A Pkt is one packet of a sequence, independent of addresses: it is built when
it is played, from the Flow that the sequence was given (family, addresses,
ports, initial sequence numbers). Its text is what a report prints.
"""
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
FLAGS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}
M32 = 0xFFFFFFFF
TCP, UDP, UDPLITE, ICMP, ICMP6, SCTP, GRE, ESP, DCCP = 6, 17, 136, 1, 58, 132, 47, 50, 33

PAYLOAD = bytes(i & 0xFF for i in range(12000))


def csum(data):
    """RFC 1071 sum of data, not complemented, folded to 16 bits."""
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) >> 1), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def l4_csum(fam, src, dst, proto, seg):
    if fam == 4:
        pseudo = src + dst + struct.pack("!BBH", 0, proto, len(seg))
    else:
        pseudo = src + dst + struct.pack("!II", len(seg), proto)
    return ~csum(pseudo + seg) & 0xFFFF


def _crc32c_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ 0x82F63B78 if i & 1 else i >> 1
        table.append(i)
    return table


_CRC = _crc32c_table()


def crc32c(data):
    c = M32
    for b in data:
        c = _CRC[(c ^ b) & 0xFF] ^ (c >> 8)
    return c ^ M32


def ipv4(src, dst, proto, payload, ident=0, ttl=64, tos=0, opts=b"", frag=0x4000, total=None, ihl=None,
         version=4, badsum=False):
    ihl = 5 + len(opts) // 4 if ihl is None else ihl
    total = 20 + len(opts) + len(payload) if total is None else total
    h = struct.pack("!BBHHHBBH4s4s", version << 4 | ihl, tos, total, ident & 0xFFFF, frag, ttl, proto, 0, src, dst) + opts
    c = ~csum(h) & 0xFFFF
    if badsum:
        c ^= 0x5555
    return h[:10] + struct.pack("!H", c) + h[12:] + payload


def ipv6(src, dst, nh, payload, ident=0, hlim=64, tc=0, plen=None, version=6):
    plen = len(payload) if plen is None else plen
    return struct.pack("!IHBB16s16s", version << 28 | tc << 20 | (ident & 0xFFFFF), plen, nh, hlim, src, dst) + payload


class Flow:
    """What a sequence is played on. idx identifies the sequence: it is in both
    addresses and in the IPv4 id or IPv6 flow label of every packet."""

    def __init__(self, fam, idx, cport=40000, sport=80, cisn=1000, sisn=5000):
        self.fam, self.idx = fam, idx
        self.cport, self.sport, self.cisn, self.sisn = cport, sport, cisn & M32, sisn & M32
        if fam == 4:
            tail = struct.pack("!H", idx)
            self.c, self.s = b"\x0a\x01" + tail, b"\x0a\x02" + tail
            self.mc, self.ms = b"\x0a\x04" + tail, b"\x0a\x03" + tail  # routers in the middle, client and server side
        else:
            tail = bytes(11) + b"\x01" + struct.pack("!H", idx)
            self.c, self.s = b"\xfd\x01" + tail, b"\xfd\x02" + tail
            self.mc, self.ms = b"\xfd\x04" + tail, b"\xfd\x03" + tail

    def ends(self, d):
        return (self.c, self.s) if d == "c" else (self.s, self.c)

    def ports(self, d):
        return (self.cport, self.sport) if d == "c" else (self.sport, self.cport)

    def ip(self, d, proto, payload, src=None, dst=None, **kw):
        a, b = self.ends(d)
        src, dst = src or a, dst or b
        if self.fam == 4:
            return ipv4(src, dst, proto, payload, ident=self.idx, **kw)
        return ipv6(src, dst, proto, payload, ident=self.idx, **kw)


class Pkt:
    """One packet: d is "c" (sent by the client side) or "s"."""

    proto = 0

    def __init__(self, d):
        self.d = d

    def build(self, f):
        raise NotImplementedError

    def arrow(self):
        return ">" if self.d == "c" else "<"


def _tcp_options(mss, ws, sackok, sack, ts, raw):
    o = b""
    if mss is not None:
        o += struct.pack("!BBH", 2, 4, mss)
    if ws is not None:
        o += struct.pack("!BBBB", 1, 3, 3, ws)
    if sackok:
        o += b"\x04\x02\x01\x01" if ts is None else b"\x04\x02"
    if ts is not None:
        o += (b"" if sackok else b"\x01\x01") + struct.pack("!BBII", 8, 10, ts[0] & M32, ts[1] & M32)
    if sack:
        o += b"\x01\x01" + struct.pack("!BB", 5, 2 + 8 * len(sack))
        for l, r in sack:
            o += struct.pack("!II", l & M32, r & M32)
    o += raw
    return o + b"\0" * (-len(o) % 4)


class Tcp(Pkt):
    """seq counts from the sender's ISN, ack and sack from the peer's. Without A
    in the flags the ack field is 0, unless rawack gives it."""

    proto = TCP

    def __init__(self, d, fl, seq=0, ack=0, n=0, win=64000, mss=None, ws=None, sackok=False, sack=(), ts=None,
                 raw=b"", doff=None, badsum=False, cut=None, rawack=None, res=0):
        super().__init__(d)
        self.fl, self.seq, self.ack, self.n, self.win = fl, seq, ack, n, win
        self.mss, self.ws, self.sackok, self.sack, self.ts, self.raw = mss, ws, sackok, tuple(sack), ts, raw
        self.doff, self.badsum, self.cut, self.rawack, self.res = doff, badsum, cut, rawack, res

    def __str__(self):
        t = "%s tcp [%s] seq %d ack %d len %d win %d" % (self.arrow(), self.fl, self.seq, self.ack, self.n, self.win)
        for name in ("mss", "ws", "ts", "doff", "cut", "rawack"):
            v = getattr(self, name)
            if v is not None:
                t += " %s=%s" % (name, v)
        if self.sackok:
            t += " sackok"
        if self.sack:
            t += " sack=" + ",".join("%d:%d" % s for s in self.sack)
        if self.raw:
            t += " opts=" + self.raw.hex()
        return t + (" badsum" if self.badsum else "")

    def segment(self, f, d=None):
        d = d or self.d
        sisn, aisn = (f.cisn, f.sisn) if d == "c" else (f.sisn, f.cisn)
        fl = 0
        for c in self.fl:
            fl |= FLAGS[c]
        if self.rawack is not None:
            ack = self.rawack
        else:
            ack = (aisn + self.ack) & M32 if fl & ACK else 0
        opts = _tcp_options(self.mss, self.ws, self.sackok, [(aisn + l, aisn + r) for l, r in self.sack], self.ts, self.raw)
        doff = 5 + len(opts) // 4 if self.doff is None else self.doff
        sp, dp = f.ports(d)
        return struct.pack("!HHIIBBHHH", sp, dp, (sisn + self.seq) & M32, ack, doff << 4 | self.res, fl,
                           self.win & 0xFFFF, 0, 1 if fl & URG else 0) + opts + PAYLOAD[:self.n]

    def build(self, f):
        seg = self.segment(f)
        src, dst = f.ends(self.d)
        c = l4_csum(f.fam, src, dst, TCP, seg)
        if self.badsum:
            c ^= 0x1111
        seg = seg[:16] + struct.pack("!H", c) + seg[18:]
        return f.ip(self.d, TCP, seg if self.cut is None else seg[:self.cut])


class Udp(Pkt):
    proto = UDP

    def __init__(self, d, n=10, badsum=False, nosum=False, length=None, cut=None, lite=False, cover=0, sport=None,
                 dport=None):
        super().__init__(d)
        self.n, self.badsum, self.nosum, self.length, self.cut = n, badsum, nosum, length, cut
        self.lite, self.cover, self.sport, self.dport = lite, cover, sport, dport
        self.proto = UDPLITE if lite else UDP

    def __str__(self):
        t = "%s %s len %d" % (self.arrow(), "udplite" if self.lite else "udp", self.n)
        for name in ("length", "cut", "sport", "dport"):
            v = getattr(self, name)
            if v is not None:
                t += " %s=%s" % (name, v)
        return t + (" badsum" if self.badsum else "") + (" nosum" if self.nosum else "")

    def build(self, f):
        sp, dp = f.ports(self.d)
        sp = sp if self.sport is None else self.sport
        dp = dp if self.dport is None else self.dport
        ln = self.length if self.length is not None else self.cover if self.lite else 8 + self.n
        seg = struct.pack("!HHHH", sp, dp, ln & 0xFFFF, 0) + PAYLOAD[:self.n]
        src, dst = f.ends(self.d)
        if self.lite and self.cover:
            c = _lite_csum(f.fam, src, dst, seg, self.cover)
        else:
            c = l4_csum(f.fam, src, dst, self.proto, seg) or 0xFFFF
        if self.badsum:
            c ^= 0x1111
        if self.nosum:
            c = 0
        seg = seg[:6] + struct.pack("!H", c) + seg[8:]
        return f.ip(self.d, self.proto, seg if self.cut is None else seg[:self.cut])


def _lite_csum(fam, src, dst, seg, cover):
    if fam == 4:
        pseudo = src + dst + struct.pack("!BBH", 0, UDPLITE, len(seg))
    else:
        pseudo = src + dst + struct.pack("!II", len(seg), UDPLITE)
    return (~csum(pseudo + seg[:cover]) & 0xFFFF) or 0xFFFF


def icmp_seal(fam, src, dst, msg, badsum=False):
    """Fill the checksum of an ICMP or ICMPv6 message."""
    c = ~csum(msg) & 0xFFFF if fam == 4 else l4_csum(6, src, dst, ICMP6, msg)
    if badsum:
        c ^= 0x1111
    return msg[:2] + struct.pack("!H", c) + msg[4:]


class Icmp(Pkt):
    """A query or answer, or any type: t4/t6 are the types for each family."""

    proto = ICMP

    def __init__(self, d, t4, t6=None, code=0, ident=77, seq=1, n=16, badsum=False, cut=None):
        super().__init__(d)
        self.t4, self.t6, self.code, self.ident, self.seq = t4, t6 if t6 is not None else t4, code, ident, seq
        self.n, self.badsum, self.cut = n, badsum, cut

    def __str__(self):
        t = "%s icmp type %d/%d code %d id %d len %d" % (self.arrow(), self.t4, self.t6, self.code, self.ident, self.n)
        return t + (" badsum" if self.badsum else "") + ("" if self.cut is None else " cut=%d" % self.cut)

    def build(self, f):
        src, dst = f.ends(self.d)
        t = self.t4 if f.fam == 4 else self.t6
        msg = struct.pack("!BBHHH", t, self.code, 0, self.ident & 0xFFFF, self.seq & 0xFFFF) + PAYLOAD[:self.n]
        if self.cut is not None:
            msg = msg[:self.cut]
        return f.ip(self.d, ICMP if f.fam == 4 else ICMP6, icmp_seal(f.fam, src, dst, msg, self.badsum))


def echo(d, ident=77, **kw):
    return Icmp(d, 8, 128, ident=ident, **kw)


def echo_reply(d, ident=77, **kw):
    return Icmp(d, 0, 129, ident=ident, **kw)


class IcmpErr(Pkt):
    """An ICMP error sent by side d about `inner`, a packet of the other side.
    mid: by a router in the middle, else by the host itself. to: "peer" or
    "other" (an outer destination that is not the quoted source). n4: quoted
    bytes after the inner IP header. own: quotes a packet that d itself sent."""

    proto = ICMP

    def __init__(self, d, inner, t4=3, t6=1, code=3, mid=False, to="peer", n4=64, badsum=False, inner_badsum=False,
                 inner_l4_badsum=False, own=False, info=0, inner_mangle=None):
        super().__init__(d)
        self.inner, self.t4, self.t6, self.code, self.mid, self.to = inner, t4, t6, code, mid, to
        self.n4, self.badsum, self.inner_badsum, self.own, self.info = n4, badsum, inner_badsum, own, info
        self.inner_l4_badsum, self.inner_mangle = inner_l4_badsum, inner_mangle

    def __str__(self):
        t = "%s icmp-error %d/%d code %d to %s%s quoting %d bytes of {%s}" % (
            self.arrow(), self.t4, self.t6, self.code, self.to, " from router" if self.mid else "", self.n4, self.inner)
        for name in ("badsum", "inner_badsum", "inner_l4_badsum", "own"):
            if getattr(self, name):
                t += " " + name
        return t + (" mangled" if self.inner_mangle else "")

    def build(self, f):
        quoted = self.inner.build(f)
        hl = 20 if f.fam == 4 else 40
        if f.fam == 4 and self.inner_badsum:
            quoted = quoted[:10] + bytes([quoted[10] ^ 0x55]) + quoted[11:]
        if self.inner_l4_badsum:
            off = hl + {TCP: 16, UDP: 6, UDPLITE: 6, SCTP: 8}.get(self.inner.proto, 2)
            quoted = quoted[:off] + bytes([quoted[off] ^ 0x55]) + quoted[off + 1:]
        quoted = quoted[:hl + self.n4]
        if self.inner_mangle:
            quoted = self.inner_mangle(f, quoted)
        src, dst = f.ends(self.d)
        if self.mid:
            src = f.mc if self.d == "c" else f.ms
        if self.to == "other":
            dst = f.ms if self.d == "c" else f.mc
        t = self.t4 if f.fam == 4 else self.t6
        msg = struct.pack("!BBHI", t, self.code, 0, self.info) + quoted
        return f.ip(self.d, ICMP if f.fam == 4 else ICMP6, icmp_seal(f.fam, src, dst, msg, self.badsum), src=src, dst=dst)


SCTP_CHUNKS = {"DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6,
               "SHUTDOWN": 7, "SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11,
               "SHUTDOWN_COMPLETE": 14, "ASCONF": 193, "AUTH": 15, "FORWARD_TSN": 192}


class Sctp(Pkt):
    """chunks: names or (name, flags, body). itag: initiate tag of INIT/INIT_ACK."""

    proto = SCTP

    def __init__(self, d, *chunks, vtag=0, itag=0, badsum=False, cut=None, length0=False, sport=None, dport=None):
        super().__init__(d)
        self.chunks, self.vtag, self.itag, self.badsum, self.cut, self.length0 = chunks, vtag, itag, badsum, cut, length0
        self.sport, self.dport = sport, dport

    def __str__(self):
        names = "+".join(c if isinstance(c, str) else "%s/%d" % (c[0], c[1]) for c in self.chunks)
        t = "%s sctp %s vtag %#x" % (self.arrow(), names, self.vtag)
        if self.itag:
            t += " itag %#x" % self.itag
        for name in ("badsum", "length0"):
            if getattr(self, name):
                t += " " + name
        for name in ("cut", "sport", "dport"):
            v = getattr(self, name)
            if v is not None:
                t += " %s=%s" % (name, v)
        return t

    def build(self, f):
        body = b""
        for c in self.chunks:
            name, flags, extra = (c, 0, b"") if isinstance(c, str) else c
            t = SCTP_CHUNKS[name] if isinstance(name, str) else name
            if t in (1, 2):
                extra = struct.pack("!IIHHI", self.itag, 65535, 4, 4, 1000) + extra
            elif t == 0 and not extra:
                extra = struct.pack("!IHHI", 1, 0, 0, 0) + b"abcd"
            elif t == 3 and not extra:
                extra = struct.pack("!IIHH", 1, 65535, 0, 0)
            elif t == 10 and not extra:
                extra = b"cookie!!"
            elif t in (4, 5) and not extra:
                extra = struct.pack("!HH", 1, 8) + b"beat"
            elif t == 7 and not extra:
                extra = struct.pack("!I", 1)
            ln = 0 if self.length0 else 4 + len(extra)
            body += struct.pack("!BBH", t, flags, ln) + extra + b"\0" * (-len(extra) % 4)
        sp, dp = f.ports(self.d)
        seg = struct.pack("!HHII", sp if self.sport is None else self.sport, dp if self.dport is None else self.dport,
                          self.vtag, 0) + body
        if self.cut is not None:
            seg = seg[:self.cut]
        c = crc32c(seg)
        if self.badsum:
            c ^= 0x11
        if len(seg) >= 12:
            seg = seg[:8] + struct.pack("<I", c) + seg[12:]
        return f.ip(self.d, SCTP, seg)


class Gre(Pkt):
    proto = GRE

    def __init__(self, d, key=None, pptp=None, n=20):
        super().__init__(d)
        self.key, self.pptp, self.n = key, pptp, n

    def __str__(self):
        return "%s gre key %s call %s" % (self.arrow(), self.key, self.pptp)

    def build(self, f):
        if self.pptp is not None:
            h = struct.pack("!HHHH", 0x3001, 0x880B, self.n, self.pptp) + struct.pack("!I", 1)
        elif self.key is not None:
            h = struct.pack("!HHI", 0x2000, 0x0800, self.key)
        else:
            h = struct.pack("!HH", 0, 0x0800)
        return f.ip(self.d, GRE, h + PAYLOAD[:self.n])


class Raw(Pkt):
    """Any protocol by number."""

    def __init__(self, d, proto, payload=b"x" * 20):
        super().__init__(d)
        self.proto, self.payload = proto, payload

    def __str__(self):
        return "%s proto %d len %d" % (self.arrow(), self.proto, len(self.payload))

    def build(self, f):
        return f.ip(self.d, self.proto, self.payload)


class UdpFragment(Pkt):
    """One of the two fragments of a datagram."""

    proto = UDP

    def __init__(self, d, which, n=64):
        super().__init__(d)
        self.which, self.n = which, n

    def __str__(self):
        return "%s udp len %d, fragment %d of 2" % (self.arrow(), self.n, self.which + 1)

    def build(self, f):
        seg = Udp(self.d, n=self.n).build(f)[20 if f.fam == 4 else 40:]
        part = seg[40:] if self.which else seg[:40]
        off = 5 if self.which else 0
        if f.fam == 4:
            return f.ip(self.d, UDP, part, frag=off | (0 if self.which else 0x2000))
        return f.ip(self.d, 44, struct.pack("!BBHI", UDP, 0, off << 3 | (not self.which), 99) + part)
