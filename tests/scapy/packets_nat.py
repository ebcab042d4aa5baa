#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Packets through a masquerading router: what is translated, and how its checksums and
the packets quoted in errors come out.

  packets_nat.py [GLOB]     all tests, or those whose names match
"""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ctpkt import (ESP, GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, Gre, Raw, Sctp, Tcp, Udp, crc32c, csum, echo, echo_reply, icmp_seal,
                   l4_csum)
from pktlab import FAMS, check, each, ext, split, start, sums_ok, test

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


if __name__ == "__main__":
    start("packets_nat", nat=True)
