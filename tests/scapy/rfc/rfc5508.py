# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""RFC 5508: ICMP."""
from natlab import *


def reply_to(nat, src, e, fam=4):
    return nat.into(ping(src, e[0], e[1], reply=True))


@req(5508, 1, "queries pass and are answered")
def queries_pass(nat):
    for fam in (4, 6):
        a, b = (nat.host(1, fam), 100), nat.outside(fam)
        e = nat.map("icmp", a, (b, 0))
        p = reply_to(nat, b, e)
        assert p and p.dst == a[0] and p.sport == a[1] and p.src == b and p.type == (0 if fam == 4 else 129)


@req(5508, 1, "the mapping of a query id does not depend on whom it is sent to")
def query_mapping_is_endpoint_independent(nat):
    for fam in (4, 6):
        a = (nat.host(1, fam), 101)
        assert len({nat.map("icmp", a, (nat.outside(fam), 0)) for _ in range(4)}) == 1
        taken = (nat.host(1, fam), 101)
        assert len({nat.map("icmp", taken, (nat.outside(fam), 0)) for _ in range(4)}) == 1


@req(5508, 2, "a query session lives 60 s")
def query_timer(nat):
    a, b = (nat.host(3), 102), nat.outside()
    e = nat.map("icmp", a, (b, 0))
    nat.later(58)
    assert reply_to(nat, b, e), "gone before 60 s"
    nat.later(70)
    assert reply_to(nat, b, e) is None, "still there after 60 s"


@req(5508, 3, "an error with a wrong checksum, or that quotes a header with one, is dropped")
def wrong_checksums_are_dropped(nat):
    a, b = (nat.host(1), 60000), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    good = error(b[0], e[0], udp(e, b))
    assert nat.into(good)
    assert nat.into(good[:22] + bytes([good[22] ^ 0x55]) + good[23:]) is None, "outer checksum"
    quoted = udp(e, b)
    quoted = quoted[:10] + bytes([quoted[10] ^ 0x55]) + quoted[11:]
    assert nat.into(error(b[0], e[0], quoted)) is None, "checksum of the quoted header"


@req(5508, 3, "the quoted transport checksum is not judged, IP options are stepped over, extensions are not the packet")
def what_is_quoted_is_read_right(nat):
    a, b = (nat.host(1), 60001), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    quoted = udp(e, b)
    assert nat.into(error(b[0], e[0], quoted[:26] + b"\x12\x34" + quoted[28:])), "transport checksum"
    seg = quoted[20:]
    p = nat.into(error(b[0], e[0], K.ipv4(e[0], b[0], UDP, seg, opts=b"\x01\x01\x01\x00")))
    assert p and p.inner.src == a[0] and p.inner.sport == a[1], "options in the quoted header: %r" % p
    long = udp(e, b, bytes(100))
    ext = b"\x20\x00\x00\x00" + struct.pack("!HBB", 8, 1, 1) + b"\x00\x01\x02\x03"
    body = long[:128] + ext
    # RFC 4884: the length in words is the second byte of the unused field
    p = nat.into(K.ipv4(b[0], e[0], ICMP, K.icmp_seal(4, b[0], e[0], struct.pack("!BBHI", 3, 3, 0, 32 << 16) + body)))
    assert p and p.inner.src == a[0] and p.raw.endswith(ext), "extension: %r" % p


@req(5508, 4, "an error from outside arrives as about the inside's own packet")
def errors_from_outside(nat):
    for fam in (4, 6):
        b, router = (nat.outside(fam), 80), nat.outside(fam)
        kinds = [(3, 0), (3, 1), (3, 3), (11, 0), (12, 0)] if fam == 4 else [(1, 0), (1, 4), (3, 0), (4, 0)]
        for net in (1, 3):
            for proto in ("udp", "tcp", "icmp"):
                a = (nat.host(net, fam), 60010)
                e = nat.map(proto, a, b)
                for t, code in kinds:
                    p = nat.into(error(router, e[0], opener(proto, e, b), t, code))
                    assert p and p.src == router and p.dst == a[0] and (p.type, p.code) == (t, code), (proto, t, p)
                    assert (p.inner.src, p.inner.sport) == a and p.inner.dst == b[0], (proto, p)


@req(5508, 4, "an error about no mapping is dropped in silence")
def errors_about_nothing(nat):
    b = (nat.outside(), 80)
    got = nat.play(("s", error(nat.outside(), addr("203.0.113.1"), udp((addr("203.0.113.1"), 61234), b))))
    assert got == {"c": [], "s": []}, got


@req(5508, 5, "an error from inside leaves as about the outside's own packet, from the external address")
def errors_from_inside(nat):
    for fam in (4, 6):
        a, b = (nat.host(1, fam), 60020), (nat.outside(fam), 80)
        e = nat.map("udp", a, b)
        assert nat.into(udp(b, e))
        p = nat.out(error(a[0], b[0], udp(b, a)))
        assert p and p.src == e[0] and p.dst == b[0], p
        assert (p.inner.dst, p.inner.dport) == e and (p.inner.src, p.inner.sport) == b, p


@req(5508, 6, "errors neither refresh nor end a query session")
def errors_leave_the_session_alone(nat):
    a, b = (nat.host(3), 103), nat.outside()
    e = nat.map("icmp", a, (b, 0))
    nat.later(40)
    assert nat.into(error(b, e[0], ping(e[0], b, e[1])))
    assert reply_to(nat, b, e), "ended by an error"
    c = (nat.host(3), 104)
    e = nat.map("icmp", c, (b, 0))
    nat.later(40)
    assert nat.into(error(b, e[0], ping(e[0], b, e[1])))
    nat.later(25)
    assert reply_to(nat, b, e) is None, "refreshed by an error"


@req(5508, 7, "an error about a hairpinned packet finds its way, translated both ways")
def hairpinned_errors(nat):
    a, b, far = (nat.host(1), 60030), (nat.host(1), 60031), (nat.outside(), 80)
    ea, eb = nat.map("udp", a, far), nat.map("udp", b, far)
    got = nat.play(("c", udp(a, eb)))["c"]
    assert len(got) == 1 and (got[0].src, got[0].sport) == ea, got
    got = [p for p in nat.play(("c", error(b[0], ea[0], udp(ea, b))))["c"] if p.inner]
    assert len(got) == 1 and got[0].dst == a[0] and got[0].src == eb[0], got
    q = got[0].inner
    assert (q.src, q.sport) == a and (q.dst, q.dport) == eb, q


@req(5508, 7, "queries are hairpinned to a 1:1 translated host")
def hairpinned_queries(nat):
    a, b = nat.host(14), nat.host(14)
    inside, outside = addr("203.0.113.%d" % (48 + a[3])), addr("203.0.113.%d" % (48 + b[3]))
    got = nat.play(("c", ping(a, outside, 105)))["c"]
    assert len(got) == 1 and got[0].dst == b and got[0].src == inside and got[0].type == 8, got
    got = nat.play(("c", ping(b, inside, 105, reply=True)))["c"]
    assert len(got) == 1 and got[0].dst == a and got[0].src == outside and got[0].type == 0, got


@req(5508, 8, "without a free id a query is dropped and its sender told, 3/13")
def exhaustion_of_query_ids(nat):
    b = nat.outside()
    hosts = [nat.host(5) for _ in range(5)]
    for h in hosts[:4]:
        nat.map("icmp", (h, 2000), (b, 0))
    for d in ("c", "s"):
        nat.barrier()
    nat.send("c", ping(hosts[4], b, 2000))
    p = nat.wait("c", lambda p: p.dst == hosts[4] and p.inner)
    assert p and (p.type, p.code) == (3, 13) and p.inner.src == hosts[4] and p.inner.sport == 2000, p


@req(5508, 9, "a rule may keep the NAT from telling")
def exhaustion_is_not_told_where_it_is_off(nat):
    b = nat.outside()
    hosts = [nat.host(10) for _ in range(5)]
    for h in hosts[:4]:
        nat.map("icmp", (h, 3000), (b, 0))
    nat.send("c", ping(hosts[4], b, 3000))
    assert nat.wait("c", lambda p: p.dst == hosts[4], 0.6) is None


@req(5508, 10, "time exceeded and unreachable pass, source quench opens and passes nothing new")
def supported_types(nat):
    a, b = (nat.host(1), 60040), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    for t, code in ((3, 3), (11, 0), (11, 1)):
        assert nat.into(error(nat.outside(), e[0], udp(e, b), t, code)), (t, code)
    p = nat.out(K.ipv4(a[0], b[0], UDP, udp(a, b)[20:], ttl=1))
    assert p is None
    told = nat.play(("c", K.ipv4(a[0], b[0], UDP, udp(a, b)[20:], ttl=1)))["c"]
    assert len(told) == 1 and told[0].type == 11 and told[0].inner.src == a[0], told


@req(5508, 11, "what is no query and no error is dropped")
def other_types_are_dropped(nat):
    b = nat.outside()
    for t in (2, 6, 16, 18, 40, 200):
        got = nat.play(("s", icmp(b, addr("203.0.113.1"), t, 0, 7 << 16)), ("c", icmp(nat.host(1), b, t, 0, 7 << 16)))
        assert got == {"c": [], "s": []}, (t, got)
