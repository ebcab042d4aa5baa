# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What DESIGN section 6 asks of fragments, in Python: the router that the property
suite tests itself against. Each rule can be broken by
its name (BREAKS): a suite that does not notice is no good."""
import struct

from ctpkt import GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, crc32c, csum, l4_csum
from fragpkt import EXTENSIONS, AH, parse

MAX_PIECES = 64
HEADERS = {TCP: 20, UDP: 8, UDPLITE: 8, ICMP: 8, ICMP6: 8, SCTP: 12, GRE: 4}

# rule -> what a router does that lacks it
BREAKS = {
    "overlap": "does not look for overlaps",
    "content": "takes equal ranges for duplicates without a look at the content",
    "duplicate": "takes an exact duplicate for an overlap",
    "tombstone": "forgets a dead datagram at once",
    "order": "releases in the order of arrival",
    "merge": "releases the datagram as one packet",
    "recut": "moves a boundary between two fragments by eight bytes",
    "df": "clears DF",
    "ident": "gives the fragments another id",
    "hops": "does not count the hop",
    "twice": "releases a datagram twice",
    "late": "drops what arrives before the first fragment",
    "overflow": "lets a datagram pass 65,535 bytes",
    "largest": "refuses more than 65,000 bytes",
    "tiny": "does not ask for the transport header in the first fragment",
    "chain": "does not ask for the whole chain of headers in the first fragment",
    "checksum": "does not verify the transport checksum",
    "cut": "takes a fragment that is shorter than its length field",
    "total": "believes the last of several last fragments",
    "pieces": "keeps 32 pieces at most",
    "many": "keeps any number of pieces",
    "protocol4": "one datagram an id, whatever the protocol, in IPv4",
    "protocol6": "one datagram an id and protocol, in IPv6",
    "source": "one datagram an id, whatever the source",
    "hole": "releases when first and last are there",
    "byte": "changes a byte of the payload",
    "atomic": "drops atomic fragments",
}


class Model:
    """A Side (ctlab.py) without a network: send, then barrier."""

    kind = "model"

    def __init__(self, broken=None):
        self.name, self.broken = "m", broken
        self.held, self.dead, self.out = {}, set(), {"c": [], "s": []}

    def lacks(self, rule):
        return self.broken == rule

    def send(self, d, ip):
        to = self.out["s" if d == "c" else "c"]
        if self.lacks("cut"):
            ip = _padded(ip)
        p = parse(ip)
        if p is None:
            return
        if not p.fragment:
            if not (self.lacks("atomic") and p.fam == 6 and p.ident is not None) and (_sum_ok([p]) or self.lacks("checksum")):
                to.append(_hop(ip))
            return
        if self.malformed(p):  # RFC 8200 section 4.5: that fragment is discarded
            return
        key = [p.src, p.dst, p.ident]
        if (p.fam == 4 and not self.lacks("protocol4")) or (p.fam == 6 and self.lacks("protocol6")):
            key.append(p.nh)
        if self.lacks("source"):
            key[0] = b""
        key = tuple(key)
        if key in self.dead:
            return
        if self.lacks("late") and p.off and key not in self.held:
            return
        held = self.held.setdefault(key, [])
        if not self.duplicate(held, p):
            self.add(key, held, p, to)

    def duplicate(self, held, p):
        for q in held:
            if (q.off, q.end(), q.more) == (p.off, p.end(), p.more) and (q.data == p.data or self.lacks("content")):
                return not self.lacks("duplicate")
        return False

    def add(self, key, held, p, to):
        held.append(p)
        if self.illegal(held, p):
            del self.held[key]
            if not self.lacks("tombstone"):
                self.dead.add(key)
            return
        order = sorted(held, key=lambda q: (q.off, q.end()))
        if self.complete(order):
            del self.held[key]
            if _sum_ok(order) or self.lacks("checksum"):
                to += self.release(held if self.lacks("order") else order)

    def malformed(self, p):
        size = p.end() + len(p.head) + (20 if p.fam == 4 else 0)
        return (not p.data or (len(p.data) % 8 and p.more) or
                (size > (65000 if self.lacks("largest") else 65535) and not self.lacks("overflow")))

    def illegal(self, held, p):
        top = max(q.end() for q in held)
        last = [q.end() for q in held if not q.more]
        limit = 32 if self.lacks("pieces") else MAX_PIECES
        return ((any(p is not q and p.off < q.end() and q.off < p.end() for q in held) and not self.lacks("overlap")) or
                (any(e != top for e in last) and not self.lacks("total")) or
                (len(held) > limit and not self.lacks("many")) or
                (not p.off and self.headless(p)))

    def headless(self, p):
        at, nh = 0, p.nh
        while p.fam == 6 and nh in EXTENSIONS:
            if at + 8 > len(p.data):
                return not self.lacks("chain")
            size = (p.data[at + 1] + 2) * 4 if nh == AH else (p.data[at + 1] + 1) * 8
            nh, at = p.data[at], at + size
            if at > len(p.data):
                return not self.lacks("chain")
        need = HEADERS.get(nh, 8)
        if nh == TCP and len(p.data) - at >= 20:
            need = (p.data[at + 12] >> 4) * 4
        if len(p.data) - at >= need:
            return False
        return not self.lacks("tiny") and not (at and self.lacks("chain"))

    def complete(self, order):
        if order[0].off or order[-1].more:
            return False
        return self.lacks("hole") or all(a.end() >= b.off for a, b in zip(order, order[1:]))

    def release(self, pieces):
        out = [_hop(p.raw) if not self.lacks("hops") else p.raw for p in pieces]
        if self.lacks("merge"):
            out = [_merged(pieces)]
        elif self.lacks("recut") and len(pieces) > 1:
            out = _recut(pieces)
        elif self.lacks("df") and pieces[0].fam == 4:
            out = [_fixed(ip[:6] + bytes([ip[6] & 0xBF]) + ip[7:]) for ip in out]
        elif self.lacks("ident"):
            ats = [4 if p.fam == 4 else 44 + len(p.head) for p in pieces]
            out = [_fixed(ip[:at] + bytes([ip[at] ^ 1]) + ip[at + 1:]) for ip, at in zip(out, ats)]
        elif self.lacks("byte"):
            out[-1] = out[-1][:-1] + bytes([out[-1][-1] ^ 1])
        return out * 2 if self.lacks("twice") else out

    def barrier(self, timeout=0):
        got, self.out = self.out, {"c": [], "s": []}
        return got


def _fixed(ip):
    """With the IPv4 header checksum that its header wants."""
    if ip[0] >> 4 != 4:
        return ip
    hl = (ip[0] & 15) * 4
    h = ip[:10] + b"\0\0" + ip[12:hl]
    return h[:10] + struct.pack("!H", ~csum(h) & 0xFFFF) + h[12:] + ip[hl:]


def _hop(ip):
    at = 8 if ip[0] >> 4 == 4 else 7
    return _fixed(ip[:at] + bytes([ip[at] - 1]) + ip[at + 1:])


def _padded(ip):
    want = struct.unpack("!H", ip[2:4])[0] if ip[0] >> 4 == 4 else 40 + struct.unpack("!H", ip[4:6])[0]
    return ip + bytes(max(0, want - len(ip)))


def _again(p, off, more, data):
    """The packet of p with another offset and content."""
    if p.fam == 4:
        hl = (p.raw[0] & 15) * 4
        f = (0x4000 if p.df else 0) | (0x2000 if more else 0) | off >> 3
        ip = p.raw[:2] + struct.pack("!H", hl + len(data)) + p.raw[4:6] + struct.pack("!H", f) + p.raw[8:hl] + data
    else:
        at = 40 + len(p.head)
        ip = (p.raw[:4] + struct.pack("!H", len(p.head) + 8 + len(data)) + p.raw[6:at + 2] +
              struct.pack("!H", off | bool(more)) + p.raw[at + 4:at + 8] + data)
    return _hop(ip)


def _merged(pieces):
    data = b"".join(p.data for p in pieces)
    if len(pieces[0].raw) + len(data) > 65000:
        return _again(pieces[0], 0, False, data[:65000])
    return _again(pieces[0], 0, False, data)


def _recut(pieces):
    a, b = pieces[:2]
    both = a.data + b.data
    n = len(a.data) + 8 if len(b.data) > 8 else len(a.data) - 8
    if n <= 0:
        return [_hop(p.raw) for p in pieces]
    return [_again(a, a.off, True, both[:n]), _again(b, a.off + n, b.more, both[n:])] + [_hop(p.raw) for p in pieces[2:]]


def _sum_ok(pieces):
    """The transport checksum of the whole datagram."""
    a = pieces[0]
    data = b"".join(p.data for p in pieces)
    nh, at = a.nh, 0
    while a.fam == 6 and nh in EXTENSIONS and at + 8 <= len(data):
        nh, at = data[at], at + ((data[at + 1] + 2) * 4 if nh == AH else (data[at + 1] + 1) * 8)
    seg = data[at:]
    if nh == ICMP and a.fam == 4:
        return csum(seg) == 0xFFFF
    if nh == SCTP:
        return len(seg) >= 12 and struct.unpack("<I", seg[8:12])[0] == crc32c(seg[:8] + b"\0\0\0\0" + seg[12:])
    if nh in (UDP, UDPLITE) and a.fam == 4 and nh == UDP and seg[6:8] == b"\0\0":
        return True
    if nh in (TCP, UDP, UDPLITE, ICMP6):
        return l4_csum(a.fam, a.src, a.dst, nh, seg) == 0
    return True
