# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""RFC 5382: TCP."""
from natlab import *
from rfc4787 import each_mapped

PSH = 8


@req(5382, 1, "mapping is independent of the endpoint")
def endpoint_independent_mapping(nat):
    for fam in (4, 6):
        assert len(set(each_mapped(nat, "tcp", 1, fam))) == 1


@req(5382, 2, "simultaneous open: both SYNs, both answers")
def simultaneous_open(nat):
    a, b = (nat.host(1), 50000), (nat.outside(), 80)
    e = nat.map("tcp", a, b)
    p = nat.into(tcp(b, e, SYN, 7000))
    assert p and (p.dst, p.dport) == a and p.flags == SYN
    assert nat.out(tcp(a, b, SYN | ACK, 1000, 7001)).ext == e
    assert nat.into(tcp(b, e, SYN | ACK, 7000, 1001))
    p = nat.out(tcp(a, b, ACK | PSH, 1001, 7001, b"data"))
    assert p and p.data == b"data"


@req(5382, 2, "half close: the other side goes on sending")
def half_close(nat):
    a, b = (nat.host(1), 50001), (nat.outside(), 80)
    e = nat.connect(a, b)
    assert nat.out(tcp(a, b, FIN | ACK, 1001, 5001))
    assert nat.into(tcp(b, e, ACK, 5001, 1002))
    for i in range(3):
        nat.later(100)
        p = nat.into(tcp(b, e, ACK | PSH, 5001 + 4 * i, 1002, b"late"))
        assert p and (p.dst, p.dport) == a and p.data == b"late"
        assert nat.out(tcp(a, b, ACK, 1002, 5005 + 4 * i))
    assert nat.into(tcp(b, e, FIN | ACK, 5013, 1002))
    assert nat.out(tcp(a, b, ACK, 1002, 5014)).ext == e


@req(5382, 3, "with eif anybody may connect, with adf only addresses asked")
def filtering(nat):
    for net, other_port, other_host in ((1, True, True), (2, True, False), (3, False, False)):
        a, b = (nat.host(net), 51000), (nat.outside(), 80)
        e = nat.connect(a, b)
        got = nat.into(tcp((b[0], 4000), e, SYN, 1))
        assert bool(got) == other_port, "net %d: other port: %r" % (net, got)
        got = nat.into(tcp((nat.outside(), 4000), e, SYN, 1))
        assert bool(got) == other_host, "net %d: another host: %r" % (net, got)
        if got:
            assert (got.dst, got.dport) == a


@req(5382, 3, "a connection from outside through a mapping works both ways")
def inbound_connection_works(nat):
    a, b, c = (nat.host(1), 51001), (nat.outside(), 80), (nat.outside(), 4444)
    e = nat.connect(a, b)
    assert nat.into(tcp(c, e, SYN, 9000))
    p = nat.out(tcp(a, c, SYN | ACK, 100, 9001))
    assert p and p.ext == e and (p.dst, p.dport) == c
    assert nat.into(tcp(c, e, ACK, 9001, 101))
    p = nat.out(tcp(a, c, ACK | PSH, 101, 9001, b"hello"))
    assert p and p.ext == e and p.data == b"hello"


@req(5382, 4, "an unsolicited SYN is met with silence, and an outbound one then connects")
def unsolicited_syn(nat):
    a, b = (nat.host(3), 52000), (nat.outside(), 80)
    e = (addr("203.0.113.3"), 52000)
    got = nat.play(("s", tcp(b, e, SYN, 9000)))
    assert got == {"c": [], "s": []}, got
    assert nat.wait("s", lambda p: p.dst == b[0], 0.2) is None
    assert nat.map("tcp", a, b) == e
    p = nat.into(tcp(b, e, SYN | ACK, 9000, 1001))
    assert p and (p.dst, p.dport) == a


@req(5382, 5, "an established connection lives 2 h 4 min without traffic")
def established_timer(nat):
    a, b = (nat.host(1), 53000), (nat.outside(), 80)
    e = nat.connect(a, b)
    nat.later(7445)
    p = nat.into(tcp(b, e, ACK | PSH, 5001, 1001, b"still"))
    assert p and (p.dst, p.dport) == a
    assert nat.out(tcp(a, b, ACK, 1001, 5006)).ext == e


@req(5382, 5, "half-open and closing connections live 4 min")
def transitory_timer(nat):
    b = (nat.outside(), 80)
    syn, fin = (nat.host(3), 53001), (nat.host(3), 53002)
    es, ef = nat.map("tcp", syn, b), nat.connect(fin, b)
    assert nat.out(tcp(fin, b, FIN | ACK, 1001, 5001)) and nat.into(tcp(b, ef, FIN | ACK, 5001, 1002))
    assert nat.out(tcp(fin, b, ACK, 1002, 5002))
    nat.later(237)
    assert nat.into(tcp(b, es, SYN | ACK, 5000, 1001)), "the half-open one was gone before 4 min"
    assert nat.into(tcp(b, ef, FIN | ACK, 5001, 1002)), "the closing one was gone before 4 min"
    other = (nat.host(3), 53003)
    eo = nat.map("tcp", other, b)
    nat.later(245)
    assert nat.into(tcp(b, eo, SYN | ACK, 5000, 1001)) is None, "a half-open one is still there after 4 min"


@req(5382, 6, "no payload is changed: ALGs are off")
def no_alg(nat):
    a, b = (nat.host(1), 54000), (nat.outside(), 21)
    nat.connect(a, b)
    line = b"PORT " + text(a[0]).replace(".", ",").encode() + b",211,1\r\n"
    p = nat.out(tcp(a, b, ACK | PSH, 1001, 5001, line))
    assert p and p.data == line


@req(5382, 7, "two inside hosts never share an external port")
def no_port_overloading(nat):
    ends = [nat.map("tcp", (nat.host(1), 55000), (nat.outside(), 80)) for _ in range(20)]
    assert len(set(ends)) == 20


@req(5382, 8, "inside hosts connect to each other by external addresses, and see those")
def hairpin(nat):
    a, b, far = (nat.host(1), 56000), (nat.host(1), 56001), (nat.outside(), 80)
    ea, eb = nat.connect(a, far), nat.connect(b, far)
    got = nat.play(("c", tcp(a, eb, SYN, 100)))["c"]
    assert len(got) == 1 and (got[0].dst, got[0].dport) == b and (got[0].src, got[0].sport) == ea, got
    got = nat.play(("c", tcp(b, ea, SYN | ACK, 200, 101)))["c"]
    assert len(got) == 1 and (got[0].dst, got[0].dport) == a and (got[0].src, got[0].sport) == eb, got
    got = nat.play(("c", tcp(a, eb, ACK | PSH, 101, 201, b"hairpin")))["c"]
    assert len(got) == 1 and got[0].data == b"hairpin" and (got[0].dst, got[0].dport) == b, got


@req(5382, 9, "destination unreachable is translated, code and all")
def unreachable_is_translated(nat):
    for fam in (4, 6):
        a, b, router = (nat.host(1, fam), 57000), (nat.outside(fam), 80), nat.outside(fam)
        e = nat.map("tcp", a, b)
        codes = [(3, c) for c in (0, 1, 3, 4, 13)] if fam == 4 else [(1, c) for c in (0, 1, 3, 4)] + [(2, 0)]
        for t, code in codes:
            p = nat.into(error(router, e[0], tcp(e, b), t, code, 1280 if (t, code) in ((3, 4), (2, 0)) else 0))
            assert p and (p.type, p.code) == (t, code) and p.dst == a[0] and p.src == router, p
            assert (p.inner.src, p.inner.sport) == a and (p.inner.dst, p.inner.dport) == b, p


@req(5382, 10, "an ICMP error ends no connection")
def icmp_ends_nothing(nat):
    a, b = (nat.host(1), 58000), (nat.outside(), 80)
    e = nat.connect(a, b)
    for t, code in ((3, 1), (3, 3), (3, 13), (11, 0)):
        nat.into(error(nat.outside(), e[0], tcp(e, b, ACK, 1001, 5001), t, code))
    nat.later(3600)
    p = nat.into(tcp(b, e, ACK | PSH, 5001, 1001, b"alive"))
    assert p and (p.dst, p.dport) == a
