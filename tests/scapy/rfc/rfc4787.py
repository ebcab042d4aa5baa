# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""RFC 4787: UDP."""
from natlab import *


def each_mapped(nat, proto, net, fam):
    """One inside endpoint to three outside ones: the external endpoints."""
    a = (nat.host(net, fam), 40001)
    b, c = nat.outside(fam), nat.outside(fam)
    return [nat.map(proto, a, to) for to in ((b, 80), (b, 81), (c, 80))]


@req(4787, 1, "mapping is independent of the endpoint")
def endpoint_independent_mapping(nat):
    for fam in (4, 6):
        assert len(set(each_mapped(nat, "udp", 1, fam))) == 1


@req(4787, 1, "the mapping also serves what comes back from each of them")
def the_mapping_serves_every_peer(nat):
    a, b, c = (nat.host(1), 40002), (nat.outside(), 80), (nat.outside(), 99)
    e = nat.map("udp", a, b)
    nat.map("udp", a, c)
    for peer in (b, c):
        p = nat.into(udp(peer, e, b"back"))
        assert p and (p.dst, p.dport) == a and (p.src, p.sport) == peer and p.data == b"back"


@req(4787, 2, "a host has one external address of a pool, in all protocols")
def paired_pooling(nat):
    seen = set()
    for _ in range(12):
        h = nat.host(4)
        mine = {nat.map(proto, (h, 41000 + i), (nat.outside(), 80))[0] for i in range(4) for proto in ("udp", "tcp", "icmp")}
        assert len(mine) == 1, [text(m) for m in mine]
        seen |= mine
    assert len(seen) >= 3, "12 hosts on %d of 8 addresses" % len(seen)


@req(4787, 3, "two inside hosts never share an external port")
def no_port_overloading(nat):
    for fam in (4, 6):
        ends = [nat.map("udp", (nat.host(1, fam), 42000), (nat.outside(fam), 80)) for _ in range(20)]
        assert len(set(ends)) == 20


@req(4787, "3a", "a well-known port stays below 1024, another above")
def port_range_is_kept(nat):
    for port in (500, 500, 500, 42001, 42001, 42001):
        e = nat.map("udp", (nat.host(1), port), (nat.outside(), 80))
        assert (e[1] < 1024) == (port < 1024), e[1]


@req(4787, 4, "parity is kept, also when the port is taken")
def parity_is_kept(nat):
    for port in (43000, 43001):
        for _ in range(12):
            e = nat.map("udp", (nat.host(11), port), (nat.outside(), 80))
            assert e[1] % 2 == port % 2, e[1]


@req(4787, 5, "a mapping lives 300 s without traffic and, as its binding waits as long, not 700 s")
def mapping_timer(nat):
    a, b = (nat.host(1), 44000), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    nat.into(udp(b, e))
    nat.later(298)
    p = nat.into(udp((nat.outside(), 9), e))
    assert p and (p.dst, p.dport) == a, "gone 2 s before its time"
    c = (nat.host(1), 44001)
    e = nat.map("udp", c, b)
    nat.later(305)
    nat.settle(c[0])  # the binding's own time begins
    nat.later(395)
    got = nat.into(udp(b, e))
    assert got is None, "still there 400 s after its time: %r" % got


@req(4787, "5a", "the timer runs for each mapping alone")
def timer_of_each_mapping_alone(nat):
    first, second, b = (nat.host(1), 44002), (nat.host(1), 44003), (nat.outside(), 80)
    e1 = nat.map("udp", first, b)
    nat.later(305)
    nat.settle(first[0])
    e2 = nat.map("udp", second, b)
    nat.later(299)
    assert nat.into(udp(b, e2)), "the younger ended with the older"
    nat.later(10)
    assert nat.into(udp((nat.outside(), 80), e1)) is None, "the older was kept by the younger"


@req(4787, 6, "outbound packets refresh the mapping")
def outbound_refreshes(nat):
    a, b = (nat.host(1), 45000), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    for _ in range(6):
        nat.later(100)
        assert nat.out(udp(a, b)).ext == e
    p = nat.into(udp((nat.outside(), 7), e))
    assert p and (p.dst, p.dport) == a


@req(4787, 8, "with eif anybody may answer, with adf only addresses asked, else only endpoints asked")
def filtering(nat):
    for fam in (4, 6):
        for net, other_port, other_host in ((1, True, True), (2, True, False), (3, False, False)):
            a, b = (nat.host(net, fam), 46000), (nat.outside(fam), 80)
            e = nat.map("udp", a, b)
            assert nat.into(udp(b, e)), "rule of net %d, v%d: its peer" % (net, fam)
            got = nat.into(udp((b[0], 81), e))
            assert bool(got) == other_port, "net %d, v%d: other port of the peer: %r" % (net, fam, got)
            got = nat.into(udp((nat.outside(fam), 80), e))
            assert bool(got) == other_host, "net %d, v%d: another host: %r" % (net, fam, got)
            if other_host:
                assert (got.dst, got.dport) == a


@req(4787, 8, "with adf an address is let in once the inside has sent to it")
def filtering_follows_the_inside(nat):
    a, b, c = (nat.host(2), 46001), (nat.outside(), 80), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    assert nat.into(udp(c, e)) is None
    nat.map("udp", a, (c[0], 999))
    assert nat.into(udp(c, e))


@req(4787, 8, "a rule that blocks wins over a mapping that lets anybody in")
def a_block_wins(nat):
    for fam in (4, 6):
        a = (nat.host(1, fam), 46002)
        e = nat.map("udp", a, (nat.outside(fam), 80))
        barred = (nat.outside(fam, 99 if fam == 4 else 0x99), 80)
        assert nat.into(udp(barred, e)) is None, "v%d: the barred host came in" % fam
        got = nat.into(udp((nat.outside(fam), 80), e))
        assert got and (got.dst, got.dport) == a, "v%d: another host: %r" % (fam, got)


@req(4787, 9, "inside hosts reach each other by external addresses, and see those")
def hairpin(nat):
    for fam in (4, 6):
        a, b, far = (nat.host(1, fam), 47000), (nat.host(1, fam), 47001), (nat.outside(fam), 80)
        ea, eb = nat.map("udp", a, far), nat.map("udp", b, far)
        got = nat.play(("c", udp(a, eb, b"one")))["c"]
        assert len(got) == 1, got
        p = got[0]
        assert (p.dst, p.dport) == b and (p.src, p.sport) == ea and p.data == b"one", p
        got = nat.play(("c", udp(b, ea, b"two")))["c"]
        assert len(got) == 1 and (got[0].dst, got[0].dport) == a and (got[0].src, got[0].sport) == eb, got


@req(4787, 10, "no payload is changed: ALGs are off")
def no_alg(nat):
    a, b = (nat.host(1), 5060), (nat.outside(), 5060)
    sip = b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP " + text(a[0]).encode() + b":5060\r\nContact: <sip:u@" + text(a[0]).encode() + b">\r\n\r\n"
    p = nat.out(udp(a, b, sip))
    assert p and p.data == sip


@req(4787, 11, "the same behaviour when the port is taken: mapping and filtering of the second host")
def deterministic_under_collision(nat):
    b, c = (nat.outside(), 80), (nat.outside(), 80)
    first = nat.map("udp", (nat.host(1), 48000), b)
    a = (nat.host(1), 48000)
    e = nat.map("udp", a, b)
    assert e != first and e == nat.map("udp", a, c) == nat.map("udp", a, (c[0], 81))
    p = nat.into(udp((nat.outside(), 5), e))
    assert p and (p.dst, p.dport) == a


@req(4787, 12, "an ICMP error ends no mapping, forged or true")
def icmp_ends_nothing(nat):
    a, b = (nat.host(1), 49000), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    for t, code in ((3, 0), (3, 1), (3, 3), (11, 0)):
        nat.into(error(nat.outside(), e[0], udp(e, b), t, code))
    assert nat.into(udp(b, e)) and nat.out(udp(a, b)).ext == e


@req(4787, 13, "what is too large and may not be cut is told to the sender, in his own terms")
def too_large_is_told(nat):
    net = "10.2.200.0/24"
    run("ip", "-n", nat.ns, "route", "replace", net, "via", "10.0.2.2", "dev", "s", "mtu", "lock", "1400")
    try:
        a, b = (nat.host(1), 49100), (addr("10.2.200.9"), 80)
        big = udp(a, b, bytes(1500))
        got = nat.play(("c", big))
        assert not got["s"], got["s"]
        told = [p for p in got["c"] if p.proto == ICMP]
        assert len(told) == 1 and (told[0].type, told[0].code) == (3, 4) and told[0].dst == a[0], got["c"]
        q = told[0].inner
        assert (q.src, q.sport) == a and (q.dst, q.dport) == b, q
        assert struct.unpack("!H", told[0].l4[6:8])[0] == 1400
    finally:
        run("ip", "-n", nat.ns, "route", "del", net)
