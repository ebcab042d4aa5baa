# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A NAT to be held against the RFCs, and packets through it.

    inside hosts 10.1/16 fd01::/16 ── c [router] s ── outside hosts 10.2/16 fd02::/16

Topology: ctlab.py. What is asked of a rule is chosen by the inside host's
network (CONF). Time passes by the instance's clock: nothing sleeps.

A requirement is a function under @req(RFC, NUMBER, "words"); it asserts. What it
needs of the machine is in its argument, a Nat. Every packet that comes out of
the router has its checksums verified.
"""
import os
import select
import struct
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import ctpkt as K
from ctlab import BpfctSide, run
from ctpkt import ACK, FIN, ICMP, ICMP6, RST, SYN, TCP, UDP, ipv4, ipv6, l4_csum

# RFC values where netfilter's defaults are shorter: docs/rfc-compliance.md
CONF = """
set default deny
set antispoof off
set timeout udp 300
set timeout udp_stream 300
set timeout icmp 60
set timeout icmpv6 60
set timeout tcp_syn_sent 240
set timeout tcp_syn_recv 240
set timeout tcp_fin_wait 240
set timeout tcp_close_wait 240
set timeout tcp_last_ack 240
set timeout tcp_time_wait 240
set timeout tcp_close 240
set nat reserved { 1-99, 5060 }
set nat hold-down 120s
set nat pools 2048
set inside c
block in on c from 10.1.66.0/24
block in on s from 10.2.99.0/24
block in on s from fd02::99:0/112
pass in on c
pass in on s proto udp from any port 10 to any port 10
nat out on s from 10.1.0.0/16 to 10.2.77.0/24 -> none
nat out on s from 10.1.1.0/24 -> 203.0.113.1 eim eif hairpin
nat out on s from 10.1.2.0/24 -> 203.0.113.2 eim adf hairpin
nat out on s from 10.1.3.0/24 -> 203.0.113.3
nat out on s from 10.1.4.0/24 -> 203.0.113.8-203.0.113.15 eim eif paired
nat out on s from 10.1.5.0/24 -> 203.0.113.5 ports 2000-2003 eim
nat out on s from 10.1.6.0/24 -> 203.0.113.6 limit ports 4 limit states 8
nat out on s from 10.1.7.0/24 -> 203.0.113.7 limit rate 5/s
nat out on s from 10.1.8.0/24 -> 203.0.113.16-203.0.113.19 ports 1024-65535 block 512
nat out on s from 10.1.9.0/24 -> { 203.0.113.21, 203.0.113.24/30, 198.51.100.77 }
nat out on s from 10.1.10.0/24 -> 203.0.113.30 ports 3000-3003 eim icmp off
nat out on s from 10.1.11.0/24 -> 203.0.113.31 eim eif parity
nat out on s from 10.1.12.0/24 -> 203.0.113.32 random
nat out on s proto udp from 10.1.13.0/24 -> 203.0.113.33 eim eif
nat out on s proto tcp from 10.1.13.0/24 -> 203.0.113.33
nat out on s from 10.1.14.0/28 -> 203.0.113.48/28 static hairpin
nat out on s from 10.1.15.0/24 -> 203.0.113.34 ports 4000-4000 eim
nat out on s from fd01::1:0/112 -> 2001:db8:1::1 eim eif hairpin
nat out on s from fd01::2:0/112 -> 2001:db8:1::2 eim adf hairpin
nat out on s from fd01::3:0/112 -> 2001:db8:1::3
nat out on s from fd01::5:0/112 -> 2001:db8:1::5 ports 2000-2003 eim
"""


def addr(text):
    import socket
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def text(a):
    import socket
    return socket.inet_ntop(socket.AF_INET6 if len(a) == 16 else socket.AF_INET, a)


class P:
    """What a packet says, from its IP header on. ICMP queries: both ports are the id."""

    def __init__(self, b):
        self.raw = b
        if b[0] >> 4 == 4:
            self.fam, hl, self.proto, self.ttl = 4, (b[0] & 15) * 4, b[9], b[8]
            total = struct.unpack("!H", b[2:4])[0]
            self.src, self.dst = b[12:16], b[16:20]
            self.id, self.frag = struct.unpack("!HH", b[4:8])
            self.sums = K.csum(b[:hl]) == 0xFFFF
        else:
            self.fam, hl, self.proto, self.ttl = 6, 40, b[6], b[7]
            total = 40 + struct.unpack("!H", b[4:6])[0]
            self.src, self.dst = b[8:24], b[24:40]
            self.id, self.frag, self.sums = 0, 0, True
        self.l4 = seg = b[hl:total]
        self.sport = self.dport = self.flags = self.type = self.code = None
        self.inner = None
        if self.proto in (TCP, UDP):
            self.sport, self.dport = struct.unpack("!HH", seg[:4])
            self.data = seg[(seg[12] >> 4) * 4:] if self.proto == TCP else seg[8:]
            self.flags = seg[13] if self.proto == TCP else None
            if self.proto == TCP or seg[6:8] != b"\0\0":
                self.sums &= l4_csum(self.fam, self.src, self.dst, self.proto, seg) == 0
        elif self.proto in (ICMP, ICMP6):
            self.type, self.code = seg[0], seg[1]
            self.sums &= (K.csum(seg) == 0xFFFF) if self.fam == 4 else l4_csum(6, self.src, self.dst, ICMP6, seg) == 0
            self.data = seg[8:]
            error = self.type in (3, 4, 5, 11, 12) if self.fam == 4 else self.type < 128
            if error:
                self.inner = Quoted(seg[8:])
            else:
                self.sport = self.dport = struct.unpack("!H", seg[4:6])[0]
        else:
            self.data = seg

    def __repr__(self):
        where = "" if self.sport is None else ":%d" % self.sport
        what = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp6"}.get(self.proto, str(self.proto))
        kind = "" if self.type is None else " %d/%d" % (self.type, self.code)
        return "%s%s %s%s > %s%s%s" % (what, kind, text(self.src), where, text(self.dst), "" if self.dport is None else ":%d" % self.dport,
                                       " quoting {%r}" % self.inner if self.inner else "")

    @property
    def ext(self):
        """The endpoint that sent it."""
        return (self.src, self.sport)


class Quoted:
    """The packet in an ICMP error: maybe cut, its transport checksum not verified."""

    def __init__(self, b):
        v4 = b[0] >> 4 == 4
        self.raw = b
        hl = (b[0] & 15) * 4 if v4 else 40
        self.src, self.dst = (b[12:16], b[16:20]) if v4 else (b[8:24], b[24:40])
        self.proto = b[9] if v4 else b[6]
        self.sums = K.csum(b[:hl]) == 0xFFFF if v4 else True
        l4 = b[hl:]
        self.l4 = l4
        if self.proto in (ICMP, ICMP6):
            self.sport = self.dport = struct.unpack("!H", l4[4:6])[0]
        else:
            self.sport, self.dport = struct.unpack("!HH", l4[:4])

    def __repr__(self):
        return "%s:%d > %s:%d" % (text(self.src), self.sport, text(self.dst), self.dport)


def ip(src, dst, proto, seg, **kw):
    return (ipv4 if len(src) == 4 else ipv6)(src, dst, proto, seg, **kw)


def seal(src, dst, proto, seg, at):
    c = l4_csum(4 if len(src) == 4 else 6, src, dst, proto, seg)
    if proto == UDP:
        c = c or 0xFFFF
    return seg[:at] + struct.pack("!H", c) + seg[at + 2:]


def udp(a, b, data=b"hello"):
    """From endpoint a to endpoint b: (address, port) each."""
    seg = struct.pack("!HHHH", a[1], b[1], 8 + len(data), 0) + data
    return ip(a[0], b[0], UDP, seal(a[0], b[0], UDP, seg, 6))


def tcp(a, b, flags=SYN, seq=1000, ack=0, data=b"", win=64000):
    seg = struct.pack("!HHIIBBHHH", a[1], b[1], seq, ack if flags & ACK else 0, 5 << 4, flags, win, 0, 0) + data
    return ip(a[0], b[0], TCP, seal(a[0], b[0], TCP, seg, 16))


def icmp(src, dst, t, code, rest, data=b""):
    v4 = len(src) == 4
    return ip(src, dst, ICMP if v4 else ICMP6, K.icmp_seal(4 if v4 else 6, src, dst, struct.pack("!BBHI", t, code, 0, rest) + data))


def ping(src, dst, ident, reply=False, data=b"ping ping"):
    t = (0 if reply else 8) if len(src) == 4 else (129 if reply else 128)
    return icmp(src, dst, t, 0, ident << 16 | 1, data)


def error(src, dst, quoted, t=3, code=3, rest=0, cut=None):
    """An ICMP error about a packet (bytes from its IP header on); v6: 1/4 unless told."""
    if len(src) == 16 and (t, code) == (3, 3):
        t, code = 1, 4
    return icmp(src, dst, t, code, rest, quoted[:cut])


def opener(proto, a, b):
    """The packet that opens a connection."""
    if proto == "icmp":
        return ping(a[0], b[0], a[1])
    return udp(a, b) if proto == "udp" else tcp(a, b)


class Nat(BpfctSide):
    """The router under test."""

    def __init__(self, name="n", conf=CONF):
        super().__init__(name, conf)
        self.used = {}
        self.clock = 0

    def create(self, lab):
        super().create(lab)
        # the outside's way back to the pools is raw frames; the inside's to them is the router
        self.default = self.ns

    def host(self, net, fam=4):
        """A fresh inside host of the network that a rule is for."""
        n = self.used[net, fam] = self.used.get((net, fam), 0) + 1
        return addr("10.1.%d.%d" % (net, n)) if fam == 4 else addr("fd01::%x:%x" % (net, n))

    def outside(self, fam=4, net=1):
        """A fresh outside host."""
        n = self.used["peer", fam] = self.used.get(("peer", fam), 0) + 1
        return addr("10.2.%d.%d" % (net + n // 250, n % 250 + 1)) if fam == 4 else addr("fd02::%x:%x" % (net, n))

    def play(self, *pkts):
        """pkts: (side, bytes). What came out of each side, as {"c": [P], "s": [P]}."""
        for d, b in pkts:
            self.send(d, b)
        got = {d: [P(b) for b in v if self.ours(b)] for d, v in self.barrier().items()}
        for d in got:
            for p in got[d]:
                assert p.sums, "wrong checksum: %r" % p
                assert p.inner is None or p.inner.sums, "wrong checksum in the quoted header: %r" % p
        return got

    @staticmethod
    def ours(b):
        """No neighbour discovery, MLD and the like of the router's own."""
        if b[0] >> 4 == 6:
            return b[24] != 0xFF and b[8:10] != b"\xfe\x80"
        return b[0] >> 4 == 4 and b[16] < 224

    def out(self, pkt):
        """From inside; what the outside sees, or None."""
        got = self.play(("c", pkt))
        assert len(got["s"]) <= 1, got["s"]
        return got["s"][0] if got["s"] else None

    def into(self, pkt):
        """From outside; what the inside sees, or None."""
        got = self.play(("s", pkt))["c"]
        # ctd may still be telling hosts of an earlier test that there was no port
        got = [p for p in got if not (p.inner and p.src == addr("10.0.1.1"))]
        assert len(got) <= 1, got
        return got[0] if got else None

    def map(self, proto, a, b):
        """Opens a connection from inside endpoint a to b: the external endpoint."""
        p = self.out(opener(proto, a, b))
        assert p, "%s from %s to %s did not come out" % (proto, text(a[0]), text(b[0]))
        assert p.dst == b[0] and (proto == "icmp" or p.dport == b[1]), p
        return p.ext

    def connect(self, a, b):
        """A TCP handshake; the external endpoint."""
        e = self.map("tcp", a, b)
        p = self.into(tcp(b, e, SYN | ACK, 5000, 1001))
        assert p and p.dst == a[0] and p.dport == a[1], p
        assert self.out(tcp(a, b, ACK, 1001, 5001))
        return e

    def later(self, seconds):
        self.advance(seconds)
        self.clock += seconds

    def bindings(self, a):
        """Lines of `ctctl nat bindings` about an inside address, as lists of words."""
        return [w for w in map(str.split, self.ctctl("nat", "bindings").stdout.splitlines()) if len(w) > 6 and w[1] == text(a)]

    def settle(self, a, bound=True):
        """After connections of this host have expired: until the sweep has ended them,
        and with bound=False its bindings too."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            left = self.bindings(a)
            if not self.entries(a) and not [w for w in left if int(w[6])] and (bound or not left):
                time.sleep(0.1)
                return
            time.sleep(0.1)
        raise AssertionError("the sweep does not end what has expired: %s" % self.bindings(a))

    def wait(self, d, want, timeout=2.0):
        """What ctd sends comes when it comes: polls for a packet that want(P) is true of."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock[d]], [], [], left)[0]:
                return None
            try:
                b = self.sock[d].recv(65535)[14:]
            except BlockingIOError:
                continue
            if self.ours(b) and want(P(b)):
                return P(b)

    def stats(self):
        """Drops by reason."""
        out = {}
        for line in self.ctctl("stats").stdout.splitlines():
            w = line.split()
            if len(w) >= 2 and w[1].isdigit():
                out[w[0]] = int(w[1])
        return out

    def entries(self, a):
        """Lines of the table about an inside address."""
        return [l for l in self.ctctl("-L", check=False).stdout.splitlines() if "src=%s " % text(a) in l]


# ---------------------------------------------------------------- the list
REQS = []


def req(rfc, number, words):
    def add(f):
        REQS.append((rfc, number, words, f))
        return f
    return add


def name_of(rfc, number, f):
    return "rfc%s_%s_%s" % (rfc, str(number).replace(".", "_"), f.__name__)


def run_all(nat, pick):
    passed = failed = 0
    for rfc, number, words, f in REQS:
        name = name_of(rfc, number, f)
        if pick and not any(p in name for p in pick):
            continue
        try:
            nat.barrier()
            f(nat)
            print("ok %s" % name, flush=True)
            passed += 1
        except Exception as e:  # one failure is one line, and the next runs
            failed += 1
            where = traceback.extract_tb(e.__traceback__)
            line = next((t for t in reversed(where) if "rfc" in os.path.basename(t.filename) and t.name != "run_all"), where[-1])
            print("FAIL %s: %s (%s, line %d: %s)" % (name, words, os.path.basename(line.filename), line.lineno, str(e)[:200] or line.line), flush=True)
    return passed, failed


__all__ = [n for n in dir() if not n.startswith("_")]
