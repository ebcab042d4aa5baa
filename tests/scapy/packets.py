#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Packet forms through a router that runs bpfct: what it must forward, what it
must drop and under which reason it must count it, and what it must translate.
The topology is ctlab.py's; one router forwards, one masquerades.

  packets.py [GLOB]     all tests, or those whose names match
"""
import ctypes
import fnmatch
import os
import re
import struct
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ctlab
from ctlab import BUILD, ROOT, BpfctSide, Lab, libc
from ctpkt import (ESP, GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, Flow, Gre, Icmp, IcmpErr, Raw, Sctp, Tcp, Udp, crc32c, csum, echo,
                   echo_reply, icmp_seal, ipv4, ipv6, l4_csum)

TESTS = []


def test(f):
    TESTS.append((f.__name__, f, None))
    return f


def each(*params):
    """One test for each parameter: name_PARAM."""
    def wrap(f):
        for p in params:
            TESTS.append(("%s_%s" % (f.__name__, "_".join(str(x) for x in (p if isinstance(p, tuple) else (p,))).replace(" ", "_")), f, p))
        return f
    return wrap


class Wrong(Exception):
    pass


def check(cond, text):
    if not cond:
        raise Wrong(text)


class Drops:
    """The per-CPU counters of ct_drop_v1, by the names in ct_drop.h."""

    def __init__(self, instance):
        with open(os.path.join(ROOT, "bpf/abi/ct_drop.h")) as f:
            self.names = re.findall(r'^\tX\((\w+), "(\w+)", \w+', f.read(), re.M)
        path = ctypes.create_string_buffer(("/sys/fs/bpf/bpfct/%s/ct_drop_v1" % instance).encode())
        attr = ctypes.create_string_buffer(struct.pack("QII", ctypes.addressof(path), 0, 0).ljust(64, b"\0"), 64)
        self.fd = libc.syscall(321, 7, attr, 64)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "open ct_drop_v1")
        with open("/sys/devices/system/cpu/possible") as f:
            self.cpus = int(f.read().strip().split("-")[-1]) + 1

    def read(self):
        out = {}
        key = ctypes.c_uint32()
        val = (ctypes.c_uint64 * self.cpus)()
        for i, (_, text) in enumerate(self.names):
            key.value = i
            attr = ctypes.create_string_buffer(struct.pack("IIQQQ", self.fd, 0, ctypes.addressof(key), ctypes.addressof(val), 0).ljust(64, b"\0"), 64)
            if libc.syscall(321, 1, attr, 64):
                raise OSError(ctypes.get_errno(), "read ct_drop_v1")
            out[text] = sum(val)
        return out


def quiet(got):
    """Without what a router says for itself when a link comes up (MLD, IGMP, router solicitations)."""
    def own(b):
        if b[0] >> 4 == 6:
            return len(b) >= 40 and (b[8:10] == b"\xfe\x80" or b[8:24] == b"\0" * 16)
        return len(b) >= 20 and b[9] == 2 and b[16] >= 224
    return {d: [b for b in x if not own(b)] for d, x in got.items()}


class Router:
    """A BpfctSide with the questions that tests ask."""

    def __init__(self, side):
        self.side = side
        self.drops = Drops(side.instance)
        self.idx = 0

    def flow(self, fam, **kw):
        self.idx += 1
        return Flow(fam, self.idx, **kw)

    def send(self, d, ip):
        """Sends; returns what arrived at the other side (IP packets)."""
        return self.send_all(d, ip)["s" if d == "c" else "c"]

    def send_all(self, d, ip):
        self.side.send(d, ip)
        return quiet(self.side.barrier())

    def frame(self, d, etype, body):
        s = self.side
        s.frame(d, s.head[d][4][:12] + struct.pack("!H", etype) + body)
        return quiet(s.barrier())

    def play(self, f, *pkts):
        """All must pass."""
        for p in pkts:
            got = self.send(p.d, p.build(f))
            check(len(got) == 1, "set-up packet {%s} arrived %d times" % (p, len(got)))

    def entries(self, f):
        return list(self.side.table().get(f.idx, {}).values())

    def passes(self, d, ip, same=True):
        before = self.drops.read()
        got = self.send(d, ip)
        after = self.drops.read()
        why = ", ".join("%s +%d" % (k, after[k] - before[k]) for k in after if after[k] != before[k])
        check(len(got) == 1, "arrived %d times; counted: %s" % (len(got), why or "nothing"))
        if same:
            check(unchanged(ip, got[0]), "arrived changed: sent %s, got %s" % (ip.hex(), got[0].hex()))
        return got[0]

    def dropped(self, reason, d, ip=None, frame=None):
        before = self.drops.read()
        got = self.send_all(d, ip) if ip is not None else self.frame(d, *frame)
        after = self.drops.read()
        n = sum(len(x) for x in got.values())
        moved = {k: after[k] - before[k] for k in after if after[k] != before[k]}
        text = ", ".join("%s +%d" % kv for kv in moved.items()) or "nothing"
        check(n == 0, "%d packets arrived; counted: %s" % (n, text))
        check(moved.get(reason) == 1, "not counted once as %s; counted: %s" % (reason, text))
        others = [k for k in moved if k not in (reason, "fw_invalid")]
        check(not others, "also counted as %s" % ", ".join(others))


def unchanged(sent, got):
    if sent[0] >> 4 == 4:
        return got[:8] == sent[:8] and got[8] == sent[8] - 1 and got[12:] == sent[12:] and csum(got[:(got[0] & 15) * 4]) == 0xFFFF
    return got[:7] == sent[:7] and got[7] == sent[7] - 1 and got[8:] == sent[8:]


def split(ip):
    """(src, dst, proto, l4) of a packet without extension headers; header checksum verified."""
    if ip[0] >> 4 == 4:
        hl = (ip[0] & 15) * 4
        check(csum(ip[:hl]) == 0xFFFF, "wrong IPv4 header checksum")
        return ip[12:16], ip[16:20], ip[9], ip[hl:struct.unpack("!H", ip[2:4])[0]]
    return ip[8:24], ip[24:40], ip[6], ip[40:]


def sums_ok(ip):
    """Header and transport checksums right?"""
    src, dst, proto, l4 = split(ip)
    fam = ip[0] >> 4
    if proto == SCTP:
        return struct.unpack("<I", l4[8:12])[0] == crc32c(l4[:8] + b"\0\0\0\0" + l4[12:])
    if proto == ICMP:
        return csum(l4) == 0xFFFF
    if proto in (TCP, ICMP6):
        return l4_csum(fam, src, dst, proto, l4) == 0
    if proto == UDP:
        return l4[6:8] == b"\0\0" or l4_csum(fam, src, dst, proto, l4) == 0
    if proto == UDPLITE:
        cover = struct.unpack("!H", l4[4:6])[0] or len(l4)
        pseudo = src + dst + (struct.pack("!BBH", 0, proto, len(l4)) if fam == 4 else struct.pack("!II", len(l4), proto))
        return csum(pseudo + l4[:cover]) == 0xFFFF
    return True


HS = [Tcp("c", "S", mss=1460), Tcp("s", "SA", 0, 1), Tcp("c", "A", 1, 1)]
FAMS = (4, 6)

# ---------------------------------------------------------------- protocols that pass


@each(*[(p, f) for p in ("tcp", "udp", "udplite", "udplite_coverage", "icmp", "sctp", "gre", "gre_key", "esp", "other") for f in FAMS])
def both_ways(r, n, proto, fam):
    f = r.flow(fam)
    pair = {"tcp": lambda d: Tcp(d, "S" if d == "c" else "SA", 0, 1), "udp": Udp, "udplite": lambda d: Udp(d, lite=True),
            "udplite_coverage": lambda d: Udp(d, lite=True, cover=8), "icmp": lambda d: echo(d) if d == "c" else echo_reply(d),
            "sctp": lambda d: Sctp("c", "INIT", itag=7) if d == "c" else Sctp("s", "INIT_ACK", vtag=7, itag=9), "gre": Gre,
            "gre_key": lambda d: Gre(d, key=5), "esp": lambda d: Raw(d, 50, struct.pack("!II", 1, 1) + b"e" * 32), "other": lambda d: Raw(d, 253)}[proto]
    r.passes("c", pair("c").build(f))
    e = r.entries(f)
    check(len(e) == 1 and "UNREPLIED" in e[0].flags, "table after the first packet: %s" % [x.line for x in e])
    r.passes("s", pair("s").build(f))
    e = r.entries(f)
    check(len(e) == 1 and "UNREPLIED" not in e[0].flags, "table after the reply: %s" % [x.line for x in e])
    check(e[0].orig[0][1].startswith("10.1." if fam == 4 else "fd01:"), "wrong direction: " + e[0].line)


# ---------------------------------------------------------------- IPv4 options

OPTIONS = {"nops": b"\x01" * 4, "eol": b"\0\0\0\0", "router_alert": b"\x94\x04\0\0", "full_40": b"\x01" * 40, "security": b"\x82\x0b" + b"\0" * 9 + b"\x01",
           "unknown": b"\x5e\x04\x12\x34"}


@each(*OPTIONS)
def ipv4_options_pass(r, n, name):
    f = r.flow(4)
    for d in ("c", "s", "c"):
        seg = Udp(d).build(f)[20:]
        r.passes(d, f.ip(d, UDP, seg, opts=OPTIONS[name]))
    for p in HS:
        r.passes(p.d, f.ip(p.d, TCP, p.build(f)[20:], opts=OPTIONS[name]))
    check(len(r.entries(f)) == 2, "not two entries")


@test
def ipv4_record_route_is_filled_in_by_the_router(r, n):
    f = r.flow(4)
    for _ in range(3):
        seg = Udp("c").build(f)[20:]
        ip = f.ip("c", UDP, seg, opts=b"\x07\x0b\x04" + b"\0" * 8 + b"\x01")
        got = r.passes("c", ip, same=False)
        check(got[23:27] == b"\x0a\0\2\1", "first slot holds %s, expected the router's 10.0.2.1" % got[23:27].hex())


# ---------------------------------------------------------------- IPv6 extension headers

PADN = b"\x01\x04\0\0\0\0"


def ext(kinds, last):
    """A chain of 8-byte headers: returns (first next-header, bytes)."""
    codes = {"hop": 0, "dst": 60, "rt": 43, "frag": 44, "ah": 51}
    out = b""
    for i, k in enumerate(kinds):
        nh = codes[kinds[i + 1]] if i + 1 < len(kinds) else last
        if k in ("hop", "dst"):
            out += bytes([nh, 0]) + PADN
        elif k == "rt":
            out += bytes([nh, 0, 4, 0]) + b"\0" * 4
        elif k == "frag":
            out += struct.pack("!BBHI", nh, 0, 0, 99)
        else:
            out += bytes([nh, 4]) + b"\0" * 22
    return (codes[kinds[0]] if kinds else last), out


CHAINS = ["hop", "dst", "rt", "frag", "ah", "hop dst", "hop dst rt frag ah dst", "dst dst dst dst dst dst"]


@each(*CHAINS)
def ipv6_extension_headers_pass(r, n, chain):
    f = r.flow(6)
    for p in (Udp("c"), Udp("s")):
        nh, h = ext(chain.split(), UDP)
        r.passes(p.d, f.ip(p.d, nh, h + p.build(f)[40:]))
    for p in HS:
        nh, h = ext(chain.split(), TCP)
        r.passes(p.d, f.ip(p.d, nh, h + p.build(f)[40:]))
    e = r.entries(f)
    check(sorted(x.proto for x in e) == [TCP, UDP], "table: %s" % [x.line for x in e])


@test
def ipv6_seven_extension_headers_are_too_many(r, n):
    f = r.flow(6)
    nh, h = ext(["dst"] * 7, UDP)
    r.dropped("ip6_ext_chain", "c", f.ip("c", nh, h + Udp("c").build(f)[40:]))


@test
def ipv6_no_next_header_is_tracked_by_address(r, n):
    f = r.flow(6)
    nh, h = ext(["dst"], 59)
    r.passes("c", f.ip("c", nh, h))
    check(len(r.entries(f)) == 1, "no entry")


@test
def ipv6_extension_header_cut(r, n):
    f = r.flow(6)
    for body in (b"\x11", b"\x11\0\x01", b"\x11\x01" + b"\0" * 6, b"\x11\xff" + b"\0" * 30):
        r.dropped("ip6_ext_chain", "c", f.ip("c", 60, body))


@test
def ipv6_extension_header_beyond_payload_length(r, n):
    f = r.flow(6)
    nh, h = ext(["dst"], UDP)
    r.dropped("ip6_ext_chain", "c", f.ip("c", nh, h + Udp("c").build(f)[40:], plen=4))


# ---------------------------------------------------------------- lying headers


@test
def ipv4_header_lengths_that_lie(r, n):
    f = r.flow(4)
    seg = Udp("c").build(f)[20:]
    for ihl in (0, 4):
        r.dropped("ip_header_len", "c", f.ip("c", UDP, seg, ihl=ihl))
    r.dropped("ip_header_len", "c", f.ip("c", UDP, seg[:8], ihl=15))
    for total in (1, 19, 20 + len(seg) + 1, 65535):
        r.dropped("ip_total_len", "c", f.ip("c", UDP, seg, total=total))


@test
def ipv6_payload_length_beyond_packet(r, n):
    f = r.flow(6)
    seg = Udp("c").build(f)[40:]
    for plen in (len(seg) + 1, 65535):
        r.dropped("ip_total_len", "c", f.ip("c", UDP, seg, plen=plen))


@test
def ip_version_contradicts_ethertype(r, n):
    f4, f6 = r.flow(4), r.flow(6)
    r.dropped("ip_version", "c", frame=(0x0800, Udp("c").build(f6)))
    r.dropped("ip_version", "c", frame=(0x86DD, Udp("c").build(f4) + b"\0" * 40))
    for v in (0, 5, 7, 15):
        b = Udp("c").build(f4)
        r.dropped("ip_version", "c", frame=(0x0800, bytes([v << 4 | 5]) + b[1:]))


@test
def ip_header_truncated(r, n):
    b4, b6 = Udp("c").build(r.flow(4)), Udp("c").build(r.flow(6))
    for k in (1, 10, 19):
        r.dropped("ip_truncated", "c", frame=(0x0800, b4[:k]))
    for k in (1, 20, 39):
        r.dropped("ip_truncated", "c", frame=(0x86DD, b6[:k]))


@each(*[(p, f) for p in ("tcp", "udp", "udplite", "icmp", "sctp") for f in FAMS])
def transport_header_truncated(r, n, proto, fam):
    cuts = {"tcp": (0, 1, 19), "udp": (0, 7), "udplite": (0, 7), "icmp": (0, 3, 7), "sctp": (0, 11)}[proto]
    for cut in cuts:
        f = r.flow(fam)
        p = {"tcp": Tcp("c", "S", cut=cut), "udp": Udp("c", cut=cut), "udplite": Udp("c", lite=True, cut=cut), "icmp": Icmp("c", 8, 128, cut=cut),
             "sctp": Sctp("c", "INIT", itag=1, cut=cut)}[proto]
        r.dropped("l4_truncated", "c", p.build(f))
        check(not r.entries(f), "an entry was made")


@each(*FAMS)
def trailing_bytes_are_not_payload(r, n, fam):
    """Ethernet padding behind the IP packet: neither counted nor part of the sequence space."""
    f = r.flow(fam)
    for p in HS:
        r.side.send(p.d, p.build(f) + b"\xee" * 6)
        r.side.barrier()
    p = Tcp("c", "PA", 1, 1, n=10)
    r.side.send("c", p.build(f) + b"\xee" * 30)
    r.side.barrier()
    r.passes("s", Tcp("s", "A", 1, 11).build(f))
    r.dropped("tcp_ack", "s", Tcp("s", "A", 1, 12).build(f))


@each(*FAMS)
def length_fields_inside_the_transport_header(r, n, fam):
    for k in (0, 7, 19, 65535):
        r.dropped("l4_length", "c", Udp("c", length=k).build(r.flow(fam)))
    for k in (7, 19, 1000):
        r.dropped("l4_length", "c", Udp("c", lite=True, length=k).build(r.flow(fam)))
    for k in (0, 4, 6, 15):
        r.dropped("l4_length", "c", Tcp("c", "S", doff=k).build(r.flow(fam)))


@each(*FAMS)
def wrong_checksums(r, n, fam):
    r.dropped("l4_checksum", "c", echo("c", badsum=True).build(r.flow(fam)))
    r.dropped("l4_checksum", "c", Sctp("c", "INIT", itag=1, badsum=True).build(r.flow(fam)))
    r.dropped("l4_checksum", "c", Udp("c", lite=True, nosum=True).build(r.flow(fam)))
    f = r.flow(fam)
    r.play(f, Udp("c"))
    r.dropped("l4_checksum", "s", IcmpErr("s", Udp("c"), badsum=True).build(f))


@test
def ipv4_header_checksum_wrong_is_not_forwarded(r, n):
    f = r.flow(4)
    r.play(f, Udp("c"), Udp("s"), Udp("c"), Udp("s"))
    got = r.send("c", f.ip("c", UDP, Udp("c").build(f)[20:], badsum=True))
    check(not got, "forwarded")


@each(*FAMS)
def sctp_rubbish(r, n, fam):
    r.dropped("sctp_chunk_len", "c", Sctp("c", "INIT", itag=1, length0=True).build(r.flow(fam)))
    r.dropped("sctp_chunk", "c", Sctp("c", "INIT", "DATA", itag=1).build(r.flow(fam)))
    f = r.flow(fam)
    r.play(f, Sctp("c", "HEARTBEAT", vtag=5))
    r.dropped("sctp_state", "s", Sctp("s", "INIT", itag=6).build(f))
    f = r.flow(fam)
    r.play(f, Sctp("c", "INIT", itag=1), Sctp("s", "INIT_ACK", vtag=1, itag=2), Sctp("c", "COOKIE_ECHO", vtag=2), Sctp("s", "COOKIE_ACK", vtag=1))
    r.dropped("sctp_vtag", "c", Sctp("c", "DATA", vtag=3).build(f))
    r.passes("c", Sctp("c", "DATA", vtag=2).build(f))


@each(*FAMS)
def tcp_reasons(r, n, fam):
    for fl in ("", "F", "SF", "SR", "FPU", "FSRPAU"):
        r.dropped("tcp_flags", "c", Tcp("c", fl).build(r.flow(fam)))
    r.dropped("tcp_state", "c", Tcp("c", "RA", 1, 1).build(r.flow(fam)))
    f = r.flow(fam)
    r.play(f, *HS)
    r.dropped("tcp_seq", "c", Tcp("c", "PA", 500000000, 1, n=5).build(f))
    r.dropped("tcp_ack", "s", Tcp("s", "A", 1, 500000).build(f))
    r.dropped("tcp_rst", "s", Tcp("s", "R", -500).build(f))
    r.passes("c", Tcp("c", "PA", 1, 1, n=5).build(f))
    r.side.settings(loose=0)
    try:
        r.dropped("tcp_pickup", "c", Tcp("c", "PA", 1, 1, n=5).build(r.flow(fam)))
    finally:
        r.side.settings()


@each(*FAMS)
def icmp_types_that_open_nothing(r, n, fam):
    f = r.flow(fam)
    r.dropped("icmp_type", "s", echo_reply("s").build(f))
    r.dropped("icmp_type", "c", Icmp("c", 200).build(f))
    check(not r.entries(f), "an entry was made")


# ---------------------------------------------------------------- ICMP errors

KINDS = {"tcp": (HS + [Tcp("c", "PA", 1, 1, n=90)], Tcp("c", "PA", 1, 1, n=90), Tcp("s", "A", 1, 91)), "udp": ([Udp("c", n=30), Udp("s", n=30)], Udp("c", n=30), Udp("s", n=30)),
         "udplite": ([Udp("c", lite=True), Udp("s", lite=True)], Udp("c", lite=True), Udp("s", lite=True)),
         "icmp": ([echo("c"), echo_reply("s")], echo("c"), echo_reply("s")),
         "sctp": ([Sctp("c", "INIT", itag=1), Sctp("s", "INIT_ACK", vtag=1, itag=2)], Sctp("c", "INIT", itag=1), Sctp("s", "INIT_ACK", vtag=1, itag=2)),
         "gre": ([Gre("c"), Gre("s")], Gre("c"), Gre("s")), "esp": ([Raw("c", 50, b"e" * 40), Raw("s", 50, b"e" * 40)], Raw("c", 50, b"e" * 40), Raw("s", 50, b"e" * 40))}


@each(*[(k, f) for k in KINDS for f in FAMS])
def icmp_errors_are_related_both_ways(r, n, kind, fam):
    setup, fromc, froms = KINDS[kind]
    f = r.flow(fam)
    r.play(f, *setup)
    before = r.entries(f)
    for t4, t6, code in ((3, 1, 3), (3, 2, 4), (11, 3, 0), (12, 4, 0)):
        for mid in (False, True):
            for n4 in (8, 64):
                r.passes("s", IcmpErr("s", fromc, t4, t6, code, mid=mid, n4=n4, info=1400).build(f))
                r.passes("c", IcmpErr("c", froms, t4, t6, code, mid=mid, n4=n4, info=1400).build(f))
    r.passes("s", IcmpErr("s", fromc, inner_l4_badsum=True).build(f))
    after = r.entries(f)
    check([e.count for e in before] == [e.count for e in after] and len(after) == len(before), "errors changed the table: %s" % [e.line for e in after])


@each(*[(k, f) for k in ("tcp", "udp", "icmp", "gre") for f in FAMS])
def icmp_errors_that_are_wrong(r, n, kind, fam):
    setup, fromc, froms = KINDS[kind]
    f, g = r.flow(fam), r.flow(fam)
    r.play(f, *setup)
    for mid in (False, True):
        r.dropped("icmp_address", "s", IcmpErr("s", fromc, mid=mid, to="other").build(f))
        r.dropped("icmp_address", "c", IcmpErr("c", froms, mid=mid, to="other").build(f))
    r.dropped("icmp_unrelated", "s", IcmpErr("s", fromc).build(g))
    r.dropped("icmp_unrelated", "c", IcmpErr("c", froms).build(g))
    if kind == "gre":  # by address: nothing of its header is needed
        r.passes("s", IcmpErr("s", fromc, n4=0).build(f))
    else:
        r.dropped("icmp_inner", "s", IcmpErr("s", fromc, n4=7).build(f))
        r.dropped("icmp_inner", "s", IcmpErr("s", fromc, n4=0).build(f))
    r.dropped("icmp_inner", "s", IcmpErr("s", fromc, inner_mangle=lambda f, q: q[:10]).build(f))
    r.dropped("icmp_inner", "s", IcmpErr("s", fromc, inner_mangle=lambda f, q: bytes([q[0] ^ 0x70]) + q[1:]).build(f))
    if fam == 4:
        r.dropped("icmp_inner_csum", "s", IcmpErr("s", fromc, inner_badsum=True).build(f))
        r.dropped("icmp_inner_csum", "c", IcmpErr("c", froms, inner_badsum=True).build(f))
        r.dropped("icmp_inner", "s", IcmpErr("s", fromc, inner_mangle=lambda f, q: bytes([0x44]) + q[1:]).build(f))


@test
def icmp_error_quotes_ipv4_options(r, n):
    f = r.flow(4)
    seg = Udp("c").build(f)[20:]
    sent = f.ip("c", UDP, seg, opts=b"\x01" * 8)
    r.passes("c", sent)
    r.passes("s", f.ip("s", ICMP, icmp_seal(4, f.s, f.c, struct.pack("!BBHI", 3, 3, 0, 0) + sent)))
    cut = sent[:28 + 7]
    r.dropped("icmp_inner", "s", f.ip("s", ICMP, icmp_seal(4, f.s, f.c, struct.pack("!BBHI", 3, 3, 0, 0) + cut)))


@test
def icmpv6_error_quotes_extension_headers(r, n):
    f = r.flow(6)
    nh, h = ext(["hop", "dst"], UDP)
    sent = f.ip("c", nh, h + Udp("c").build(f)[40:])
    r.passes("c", sent)
    r.passes("s", f.ip("s", ICMP6, icmp_seal(6, f.s, f.c, struct.pack("!BBHI", 1, 4, 0, 0) + sent)))


@each(*FAMS)
def ttl_exceeded_comes_from_the_router(r, n, fam):
    f = r.flow(fam)
    r.play(f, Udp("c"), Udp("s"))
    hl = 20 if fam == 4 else 40
    for ttl in (1, 0):
        ip = f.ip("c", UDP, Udp("c").build(f)[hl:], **({"ttl": ttl} if fam == 4 else {"hlim": ttl}))
        got = r.send_all("c", ip)
        check(not got["s"], "forwarded with TTL %d" % ttl)
        errors = [b for b in got["c"] if split(b)[2] == (ICMP if fam == 4 else ICMP6) and split(b)[3][0] == (11 if fam == 4 else 3)]
        if ttl == 1:
            check(len(errors) == 1, "%d time-exceeded came back" % len(errors))
            check(sums_ok(errors[0]), "wrong checksum")


# ---------------------------------------------------------------- link matters


@test
def neighbour_discovery_passes_untracked(r, n):
    """A solicitation for the router's own address is answered."""
    src = bytes.fromhex("fe80000000000000000000000001" + "0002")
    dst = bytes.fromhex("fe80000000000000000000000001" + "0001")
    ns = icmp_seal(6, src, dst, struct.pack("!BBHI", 135, 0, 0, 0) + dst + b"\x01\x01" + b"\x02\0\0\0\0\1")
    r.side.send("c", ipv6(src, dst, ICMP6, ns, hlim=255))
    end = time.monotonic() + 2
    seen = False
    while not seen and time.monotonic() < end:
        seen = any(b[0] >> 4 == 6 and b[6] == ICMP6 and b[40] == 136 for b in r.side.barrier()["c"])
    check(seen, "no neighbour advertisement came back")
    check("fe80" not in r.side.list_text(), "tracked: " + "; ".join(x for x in r.side.list_text().splitlines() if "fe80" in x))


@test
def link_scope_icmpv6_makes_no_entries(r, n):
    src = bytes.fromhex("fe80000000000000000000000001" + "0002")
    before = r.drops.read()
    for t, dst, body in ((130, "ff020000000000000000000000000001", b"\0" * 16), (143, "ff020000000000000000000000000016", b"\0\0\0\1" + b"\4\0\0\0" + b"\xff\2" + b"\0" * 13 + b"\5"),
                         (133, "ff020000000000000000000000000002", b""), (131, "ff020000000000000000000000000005", b"\xff\2" + b"\0" * 13 + b"\5")):
        d = bytes.fromhex(dst)
        msg = icmp_seal(6, src, d, struct.pack("!BBHI", t, 0, 0, 0) + body)
        r.side.frame("c", b"\x33\x33" + d[12:] + r.side.head["c"][6][6:] + ipv6(src, d, ICMP6, msg, hlim=255 if t == 133 else 1))
    r.side.barrier()
    after = r.drops.read()
    check(before == after, "counted: %s" % {k: after[k] - before[k] for k in after if after[k] != before[k]})
    check("fe80" not in r.side.list_text(), "tracked: " + "; ".join(x for x in r.side.list_text().splitlines() if "fe80" in x))


@test
def ipv4_multicast_and_broadcast_are_not_dropped(r, n):
    """What is for the router itself; netfilter tracks it like any other packet."""
    before = r.drops.read()
    for dst, mac in ((b"\xe0\0\0\1", b"\1\0\x5e\0\0\1"), (b"\xe0\0\0\xfb", b"\1\0\x5e\0\0\xfb"), (b"\xff" * 4, b"\xff" * 6), (b"\x0a\0\1\xff", b"\xff" * 6)):
        src = b"\x0a\0\1\2"
        seg = struct.pack("!HHHH", 5353, 5353, 12, 0) + b"mdns"
        r.side.frame("c", mac + r.side.head["c"][4][6:] + ipv4(src, dst, UDP, seg))
        r.side.frame("c", mac + r.side.head["c"][4][6:] + ipv4(src, dst, 2, b"\x16\0\x09\xfe\xe0\0\0\1", ttl=1))
    r.side.barrier()
    after = r.drops.read()
    check(before == after, "counted: %s" % {k: after[k] - before[k] for k in after if after[k] != before[k]})


@each(*[(t, f) for t in (1, 2) for f in FAMS])
def vlan_tags_are_looked_through(r, n, tags, fam):
    """The outer tag is a priority tag (VLAN 0), so the frame is the port's own. A
    lying packet inside tags must be counted as what it is."""
    f = r.flow(fam)
    proto = 0x0800 if fam == 4 else 0x86DD
    if tags == 1:
        head, outer = struct.pack("!HH", 0, proto), 0x8100
    else:
        head, outer = struct.pack("!HHHH", 0, 0x8100, 7, proto), 0x88A8
    r.dropped("tcp_flags", "c", frame=(outer, head + Tcp("c", "SF").build(f)))
    r.dropped("l4_truncated", "c", frame=(outer, head + Udp("c", cut=3).build(f)))


@test
def vlan_tag_cut(r, n):
    r.dropped("l2_truncated", "c", frame=(0x88A8, struct.pack("!HH", 0, 0x8100) + b"\0\1"))


@each(*[(f,) for f in FAMS])
def frames_of_a_vlan_are_not_the_ports(r, n, fam):
    """A tagged frame belongs to its VLAN device, whose own hook judges it; without
    such a device the stack drops it. The port's rules must neither pass nor count it."""
    before = r.drops.read()
    proto = 0x0800 if fam == 4 else 0x86DD
    r.frame("c", 0x8100, struct.pack("!HH", 7, proto) + Tcp("c", "S").build(r.flow(fam)))
    r.frame("c", 0x8100, struct.pack("!HH", 7, proto) + Tcp("c", "SF").build(r.flow(fam)))
    after = r.drops.read()
    check(before == after, "counted: %s" % {k: after[k] - before[k] for k in after if after[k] != before[k]})


@test
def other_ethertypes_are_left_alone(r, n):
    before = r.drops.read()
    for et in (0x0806, 0x88CC, 0x8863, 0x1234, 0x0026):
        r.frame("c", et, b"\0" * 60)
    after = r.drops.read()
    check(before == after, "counted: %s" % {k: after[k] - before[k] for k in after if after[k] != before[k]})


# ---------------------------------------------------------------- fragments


def pieces(f, d, n=64):
    """An UDP datagram in two fragments, both families."""
    hl = 20 if f.fam == 4 else 40
    seg = Udp(d, n=n).build(f)[hl:]
    if f.fam == 4:
        return f.ip(d, UDP, seg[:40], frag=0x2000), f.ip(d, UDP, seg[40:], frag=5)
    h = lambda off, more: struct.pack("!BBHI", UDP, 0, off << 3 | more, 99)
    return f.ip(d, 44, h(0, 1) + seg[:40]), f.ip(d, 44, h(5, 0) + seg[40:])


@each(*FAMS)
def fragments_are_dropped_by_setting(r, n, fam):
    r.side.fragments(0)
    f = r.flow(fam)
    for p in pieces(f, "c"):
        r.dropped("fragment", "c", p)
    check(not r.entries(f), "an entry was made")


@each(*FAMS)
def fragments_pass_by_setting(r, n, fam):
    r.side.fragments(1)
    try:
        f = r.flow(fam)
        for p in pieces(f, "c"):
            r.passes("c", p)
        check(not r.entries(f), "an entry was made")
    finally:
        r.side.fragments(0)


@test
def ipv6_atomic_fragment_is_a_whole_packet(r, n):
    f = r.flow(6)
    seg = Udp("c").build(f)[40:]
    r.passes("c", f.ip("c", 44, struct.pack("!BBHI", UDP, 0, 0, 7) + seg))
    check(len(r.entries(f)) == 1, "no entry")


# ---------------------------------------------------------------- masquerade

NAT4, NAT6 = b"\x0a\0\2\1", bytes.fromhex("fd00000200000000" + "0000000000000001")


def nat_addr(fam):
    return NAT4 if fam == 4 else NAT6


def toward(f, ip_src, proto, seg):
    """A packet of the server to the router's address, checksum filled."""
    dst = nat_addr(f.fam)
    return f.ip("s", proto, seg, src=ip_src, dst=dst)


def reseal(fam, src, dst, proto, seg):
    """The transport checksum of seg for these addresses."""
    off = {TCP: 16, UDP: 6, UDPLITE: 6}.get(proto)
    if proto in (ICMP, ICMP6):
        return icmp_seal(fam, src, dst, seg[:2] + b"\0\0" + seg[4:])
    if proto == SCTP:
        seg = seg[:8] + b"\0\0\0\0" + seg[12:]
        return seg[:8] + struct.pack("<I", crc32c(seg)) + seg[12:]
    if off is None:
        return seg
    seg = seg[:off] + b"\0\0" + seg[off + 2:]
    c = l4_csum(fam, src, dst, proto, seg) or 0xFFFF
    return seg[:off] + struct.pack("!H", c) + seg[off + 2:]


def ext_port(proto, seg):
    """The port or id that masquerading may have changed, of a packet going out."""
    return seg[4:6] if proto in (ICMP, ICMP6) else seg[0:2] if proto in (TCP, UDP, UDPLITE, SCTP) else b""


def answer(f, p, proto, port):
    """What the server sends back to the router's address and that port."""
    hl = 20 if f.fam == 4 else 40
    seg = p.build(f)[hl:]
    if proto in (ICMP, ICMP6):
        seg = seg[:4] + port + seg[6:]
    elif port:
        seg = seg[:2] + port + seg[4:]
    seg = reseal(f.fam, f.s, nat_addr(f.fam), proto, seg)
    return f.ip("s", proto, seg, dst=nat_addr(f.fam))


NATTED = {"tcp": (TCP, Tcp("c", "S", mss=1460), Tcp("s", "SA", 0, 1)), "udp": (UDP, Udp("c", n=33), Udp("s", n=21)), "udplite": (UDPLITE, Udp("c", lite=True), Udp("s", lite=True)),
          "icmp": (ICMP, echo("c"), echo_reply("s")), "sctp": (SCTP, Sctp("c", "INIT", itag=1), Sctp("s", "INIT_ACK", vtag=1, itag=2)),
          "gre": (GRE, Gre("c"), Gre("s")), "esp": (ESP, Raw("c", 50, b"e" * 40), Raw("s", 50, b"f" * 40))}


def proto_of(p, fam):
    return ICMP6 if p == ICMP and fam == 6 else p


def out_and_back(n, f, proto, out, back):
    """Returns (translated packet as the server saw it, port, answer as sent)."""
    sent = out.build(f)
    got = n.passes("c", sent, same=False)
    src, dst, pr, seg = split(got)
    check(src == nat_addr(f.fam) and dst == f.s and pr == proto, "went out as %s" % got.hex())
    check(sums_ok(got), "checksum wrong behind the translation: %s" % got.hex())
    port = ext_port(proto, seg)
    want = split(sent)[3]
    skip = {TCP: (16, 18), UDP: (6, 8), UDPLITE: (6, 8), SCTP: (8, 12)}.get(proto, (2, 4) if proto in (ICMP, ICMP6) else (0, 0))
    a = bytearray(seg)
    b = bytearray(want)
    for x in (a, b):
        x[skip[0]:skip[1]] = b"\0" * (skip[1] - skip[0])
        at = 4 if proto in (ICMP, ICMP6) else 0
        if port:
            x[at:at + 2] = b"\0\0"
    check(a == b, "more than address, port and checksum changed: sent %s, got %s" % (want.hex(), seg.hex()))
    ans = answer(f, back, proto, port)
    got2 = n.passes("s", ans, same=False)
    check(split(got2)[1] == f.c and split(got2)[0] == f.s, "answer arrived as %s" % got2.hex())
    check(split(got2)[3] == split(back.build(f))[3], "answer differs: %s, expected %s" % (split(got2)[3].hex(), split(back.build(f))[3].hex()))
    return got, port, ans


@each(*[(k, f) for k in NATTED for f in FAMS])
def masquerade_out_and_back(r, n, kind, fam):
    proto, out, back = NATTED[kind]
    f = n.flow(fam)
    for _ in range(3):
        out_and_back(n, f, proto_of(proto, fam), out, back)
    e = n.entries(f)
    check(len(e) == 1 and dict(e[0].reply)["dst"] == ("10.0.2.1" if fam == 4 else "fd00:2::1"), "table: %s" % [x.line for x in e])


@each(*[(k, f) for k in NATTED for f in FAMS])
def outside_error_is_translated_to_inside(r, n, kind, fam):
    """RFC 5508 REQ-4: the quoted packet is given back its inside address and port."""
    proto, out, back = NATTED[kind]
    proto = proto_of(proto, fam)
    f = n.flow(fam)
    seen, port, _ = out_and_back(n, f, proto, out, back)
    sent = out.build(f)
    hl = 20 if fam == 4 else 40
    for mid in (False, True):
        for n4 in (8, 40):
            quoted = seen[:hl + n4]
            t, src = (3 if fam == 4 else 1), f.ms if mid else f.s
            msg = icmp_seal(fam, src, nat_addr(fam), struct.pack("!BBHI", t, 1, 0, 0) + quoted)
            got = n.passes("s", f.ip("s", ICMP if fam == 4 else ICMP6, msg, src=src, dst=nat_addr(fam)), same=False)
            a, b, _, m = split(got)
            check(a == src and b == f.c, "arrived as %s" % got.hex())
            check(sums_ok(got), "wrong ICMP checksum")
            inner = m[8:]
            if fam == 4:
                check(csum(inner[:20]) == 0xFFFF, "wrong checksum of the quoted IP header")
                check(inner[12:20] == sent[12:20], "quoted addresses %s" % inner[12:20].hex())
            else:
                check(inner[8:40] == sent[8:40], "quoted addresses %s" % inner[8:40].hex())
            want = sent[hl:hl + n4]
            check(inner[hl:] == want, "quoted transport header %s, expected %s" % (inner[hl:].hex(), want.hex()))


@each(*[(k, f) for k in ("tcp", "udp", "icmp", "sctp") for f in FAMS])
def inside_error_is_translated_to_outside(r, n, kind, fam):
    """RFC 5508 REQ-5: the outer source is the NAT's address, the quoted packet is what the server sent."""
    proto, out, back = NATTED[kind]
    proto = proto_of(proto, fam)
    f = n.flow(fam)
    _, port, ans = out_and_back(n, f, proto, out, back)
    hl = 20 if fam == 4 else 40
    for mid in (False, True):
        quoted = back.build(f)[:hl + 40]
        t, src = (3 if fam == 4 else 1), f.mc if mid else f.c
        msg = icmp_seal(fam, src, f.s, struct.pack("!BBHI", t, 1, 0, 0) + quoted)
        got = n.passes("c", f.ip("c", ICMP if fam == 4 else ICMP6, msg, src=src), same=False)
        a, b, _, m = split(got)
        check(a == nat_addr(fam) and b == f.s, "arrived as %s" % got.hex())
        check(sums_ok(got), "wrong ICMP checksum")
        inner = m[8:]
        if fam == 4:
            check(csum(inner[:20]) == 0xFFFF, "wrong checksum of the quoted IP header")
            check(inner[12:20] == ans[12:20], "quoted addresses %s" % inner[12:20].hex())
        else:
            check(inner[8:40] == ans[8:40], "quoted addresses %s" % inner[8:40].hex())
        check(inner[hl:] == ans[hl:hl + len(inner) - hl], "quoted %s, the server sent %s" % (inner[hl:].hex(), ans[hl:].hex()))


@each(*FAMS)
def masquerade_unknown_error_is_dropped(r, n, fam):
    f = n.flow(fam)
    hl = 20 if fam == 4 else 40
    p = Udp("c").build(f)
    quoted = reseal(fam, nat_addr(fam), f.s, UDP, p[hl:])
    inner = f.ip("c", UDP, quoted, src=nat_addr(fam))
    msg = icmp_seal(fam, f.s, nat_addr(fam), struct.pack("!BBHI", 3 if fam == 4 else 1, 1, 0, 0) + inner)
    n.dropped("icmp_unrelated", "s", f.ip("s", ICMP if fam == 4 else ICMP6, msg, dst=nat_addr(fam)))


@each(*FAMS)
def masquerade_ttl_exceeded_quotes_the_inside_packet(r, n, fam):
    f = n.flow(fam)
    out_and_back(n, f, UDP, Udp("c"), Udp("s"))
    hl = 20 if fam == 4 else 40
    ip = f.ip("c", UDP, Udp("c").build(f)[hl:], **({"ttl": 1} if fam == 4 else {"hlim": 1}))
    got = n.send_all("c", ip)
    check(not got["s"], "forwarded with TTL 1")
    check(len(got["c"]) == 1, "%d packets came back" % len(got["c"]))
    inner = split(got["c"][0])[3][8:]
    a, b = (inner[12:16], inner[16:20]) if fam == 4 else (inner[8:24], inner[24:40])
    check(a == f.c and b == f.s, "quotes %s" % inner.hex())


@each(*[(k, f) for k in ("tcp", "udp", "icmp") for f in FAMS])
def masquerade_resolves_port_collisions(r, n, kind, fam):
    """Two inside hosts, one port, one server: both get their own answers."""
    proto, out, back = NATTED[kind]
    proto = proto_of(proto, fam)
    a, b = n.flow(fam), n.flow(fam)
    b2 = n.flow(fam)
    server = a.s
    b.s = b2.s = server
    ports = [out_and_back(n, f, proto, out, back)[1] for f in (a, b, b2)]
    check(len(set(ports)) == 3, "ports %s" % [p.hex() for p in ports])
    for f in (a, b, b2):
        out_and_back(n, f, proto, out, back)


@test
def masquerade_keeps_a_zero_udp_checksum(r, n):
    f = n.flow(4)
    got = n.passes("c", Udp("c", nosum=True).build(f), same=False)
    check(split(got)[3][6:8] == b"\0\0", "checksum %s" % split(got)[3][6:8].hex())


@each(*FAMS)
def masquerade_from_outside_is_not_translated(r, n, fam):
    """The rule is `out on s`: connections from the server side keep their addresses."""
    f = n.flow(fam)
    n.passes("s", Udp("s").build(f))
    n.passes("c", Udp("c").build(f))


@test
def masquerade_with_ipv4_options_and_ipv6_extensions(r, n):
    f = n.flow(4)
    seg = Udp("c").build(f)[20:]
    got = n.passes("c", f.ip("c", UDP, seg, opts=b"\x01" * 12), same=False)
    check(split(got)[0] == NAT4 and sums_ok(got), "arrived as %s" % got.hex())
    f = n.flow(6)
    nh, h = ext(["hop", "dst"], UDP)
    got = n.passes("c", f.ip("c", nh, h + Udp("c").build(f)[40:]), same=False)
    check(got[8:24] == NAT6, "arrived as %s" % got.hex())
    check(l4_csum(6, got[8:24], got[24:40], UDP, got[56:]) == 0, "wrong UDP checksum behind extension headers")


def main():
    pat = sys.argv[1] if len(sys.argv) > 1 else "*"
    failed = passed = 0
    t0 = time.monotonic()
    if not (os.access(os.path.join(BUILD, "ctd"), os.X_OK) and os.access(os.path.join(BUILD, "ctctl"), os.X_OK)):
        print("FAIL packets: no ctd and ctctl in " + BUILD)
        return 1
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        plain = Router(lab.add(BpfctSide("p", "set default pass\n")))
        nat = Router(lab.add(BpfctSide("m", "set default pass\nnat out on s from 10.1.0.0/16 -> (s)\nnat out on s from fd01::/16 -> (s)\n"
                                            "nat out on s from 10.4.0.0/16 -> (s)\nnat out on s from fd04::/16 -> (s)\n")))
        for name, f, p in TESTS:
            if not fnmatch.fnmatch(name, pat):
                continue
            try:
                f(plain, nat, *(p if isinstance(p, tuple) else () if p is None else (p,)))
                print("ok %s" % name)
                passed += 1
            except Wrong as e:
                print("FAIL %s: %s" % (name, e))
                failed += 1
            except RuntimeError as e:
                print("FAIL %s: %s" % (name, e))
                failed += 1
            sys.stdout.flush()
    print("# %d passed, %d failed, %.1f s" % (passed, failed, time.monotonic() - t0))
    return 1 if failed else 0


if __name__ == "__main__":
    if os.geteuid():
        print("skip packets: needs root")
        sys.exit(0)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        traceback.print_exc()
        print("FAIL packets: %s" % e)
        sys.exit(1)
