#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Packet forms through a router that runs bpfct: what it must forward, what it
must drop and under which reason it must count it.

  packets.py [GLOB]     all tests, or those whose names match
"""
import struct
import time
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ctpkt import (ICMP, ICMP6, TCP, UDP, Gre, Icmp, IcmpErr, Raw, Sctp, Tcp, Udp, echo, echo_reply, icmp_seal, ipv4, ipv6)
from pktlab import FAMS, check, each, ext, split, start, sums_ok, test

HS = [Tcp("c", "S", mss=1460), Tcp("s", "SA", 0, 1), Tcp("c", "A", 1, 1)]

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


def association(r, fam):
    """Its flow: packets to the server bear 2, to the client 1."""
    f = r.flow(fam)
    r.play(f, Sctp("c", "INIT", itag=1), Sctp("s", "INIT_ACK", vtag=1, itag=2), Sctp("c", "COOKIE_ECHO", vtag=2), Sctp("s", "COOKIE_ACK", vtag=1))
    return f


@each(*FAMS)
def sctp_init_from_anybody_breaks_no_association(r, n, fam):
    f = association(r, fam)
    for d, itag in (("c", 7), ("s", 8), ("c", 9), ("c", 10)):
        r.passes(d, Sctp(d, "INIT", itag=itag).build(f))
    for d, vtag in (("s", 1), ("c", 2)):
        r.passes(d, Sctp(d, "DATA", vtag=vtag).build(f))
    for d, vtag in (("s", 7), ("s", 10), ("c", 8)):
        r.dropped("sctp_vtag", d, Sctp(d, "DATA", vtag=vtag).build(f))
    r.passes("s", Sctp("s", "ABORT", vtag=10).build(f))
    r.passes("c", Sctp("c", "DATA", vtag=2).build(f))
    check("ESTABLISHED" in str(r.entries(f)[0].state), "what the server refused has ended the association: %s" % r.entries(f))


@each(*FAMS)
def sctp_client_that_begins_again_has_new_tags(r, n, fam):
    f = association(r, fam)
    r.play(f, Sctp("c", "INIT", itag=11), Sctp("s", "INIT_ACK", vtag=11, itag=12), Sctp("s", "INIT_ACK", vtag=11, itag=13))
    r.dropped("sctp_vtag", "c", Sctp("c", "DATA", vtag=12).build(f))
    r.dropped("sctp_vtag", "c", Sctp("c", "COOKIE_ECHO", vtag=14).build(f))
    r.play(f, Sctp("c", "COOKIE_ECHO", vtag=12), Sctp("s", "DATA", vtag=1), Sctp("s", "COOKIE_ACK", vtag=11), Sctp("c", "DATA", vtag=12),
           Sctp("s", "DATA", vtag=11))
    for d, vtag in (("c", 2), ("c", 13), ("s", 1)):
        r.dropped("sctp_vtag", d, Sctp(d, "DATA", vtag=vtag).build(f))


@each(*FAMS)
def sctp_server_may_have_named_several_tags(r, n, fam):
    for chosen in (2, 3, 4):
        f = r.flow(fam)
        r.play(f, Sctp("c", "INIT", itag=1), *[Sctp("s", "INIT_ACK", vtag=1, itag=tag) for tag in (2, 3, 4)])
        r.dropped("sctp_vtag", "c", Sctp("c", "COOKIE_ECHO", vtag=5).build(f))
        r.play(f, Sctp("c", "COOKIE_ECHO", vtag=chosen), Sctp("s", "INIT_ACK", vtag=1, itag=6), Sctp("s", "COOKIE_ACK", vtag=1),
               Sctp("c", "DATA", vtag=chosen))
        r.dropped("sctp_vtag", "c", Sctp("c", "DATA", vtag=6).build(f))


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


if __name__ == "__main__":
    start("packets", plain=True)
