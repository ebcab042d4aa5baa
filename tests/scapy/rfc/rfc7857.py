# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""RFC 7857: updates to the behavioural requirements."""
from natlab import *

PSH = 8


@req(7857, "2.1", "the partially open and the closing timer are set apart from each other")
def separate_timers(nat):
    b = (nat.outside(), 80)
    nat.timeouts({"tcp_syn_sent": 50, "tcp_fin_wait": 150})
    try:
        syn, fin = (nat.host(3), 20000), (nat.host(3), 20001)
        es, ef = nat.map("tcp", syn, b), nat.connect(fin, b)
        assert nat.out(tcp(fin, b, FIN | ACK, 1001, 5001))
        nat.later(60)
        assert nat.into(tcp(b, es, SYN | ACK, 5000, 1001)) is None, "half-open"
        assert nat.into(tcp(b, ef, ACK, 5001, 1002)), "closing"
    finally:
        nat.timeouts({"tcp_syn_sent": 240, "tcp_fin_wait": 240})


@req(7857, "2.2", "a reset is checked against the window, translated, and the mapping stays for 4 min")
def reset_is_checked(nat):
    a, b = (nat.host(3), 20010), (nat.outside(), 80)
    e = nat.connect(a, b)
    assert nat.into(tcp(b, e, RST, 900000000)) is None, "out of the window"
    p = nat.out(tcp(a, b, ACK | PSH, 1001, 5001, b"x"))
    assert p and p.ext == e
    assert nat.into(tcp(b, e, ACK, 5001, 1002))
    p = nat.into(tcp(b, e, RST, 5001))
    assert p and p.flags == RST and (p.dst, p.dport) == a
    nat.later(230)
    assert len(nat.entries(a[0])) == 1, "gone before 4 min"


@req(7857, 3, "without eim one external port may serve two destinations")
def ports_overlap_by_destination(nat):
    ends = [nat.map("udp", (nat.host(3), 20020), (nat.outside(), 80)) for _ in range(10)]
    assert set(ends) == {(addr("203.0.113.3"), 20020)}, ends


@req(7857, 4, "paired: a host that finds its address without ports gets none of another")
def exhausted_address_stays_paired(nat):
    b, seen = (nat.outside(), 80), set()
    for i in range(6):
        p = nat.out(udp((nat.host(5), 2000), b))
        if p:
            seen.add(p.src)
    assert seen <= {addr("203.0.113.5")}, seen


@req(7857, 5, "endpoint independence is chosen for each protocol")
def mapping_by_protocol(nat):
    a, b, c = (nat.host(13), 20030), (nat.outside(), 80), (nat.outside(), 80)
    other = (nat.host(13), 20030)
    assert nat.map("udp", a, b) == nat.map("udp", a, c)
    assert nat.map("udp", other, (nat.outside(), 80))[1] != 20030
    assert nat.map("tcp", a, b) == nat.map("tcp", other, c) == (addr("203.0.113.33"), 20030)


@req(7857, 6, "filtering is chosen for each protocol")
def filtering_by_protocol(nat):
    a, b = (nat.host(13), 20040), (nat.outside(), 80)
    eu, et = nat.map("udp", a, b), nat.connect(a, b)
    assert nat.into(udp((nat.outside(), 5), eu))
    assert nat.into(tcp((nat.outside(), 5), et, SYN)) is None


@req(7857, "7a", "what is filtered does not refresh a mapping")
def filtered_packets_refresh_nothing(nat):
    a, b = (nat.host(2), 20050), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    for _ in range(4):
        nat.later(77)
        assert nat.into(udp((nat.outside(), 80), e)) is None
    nat.settle(a[0])
    for _ in range(4):
        nat.later(76)
        assert nat.into(udp((nat.outside(), 80), e)) is None
    assert nat.into(udp(b, e)) is None, "filtered packets kept it"


@req(7857, "7b", "an ICMP error from inside does not refresh")
def outbound_errors_refresh_nothing(nat):
    a, b = (nat.host(3), 20060), (nat.outside(), 80)
    e = nat.map("udp", a, b)
    nat.into(udp(b, e))
    for _ in range(3):
        nat.later(95)
        nat.out(error(a[0], b[0], udp(b, a)))
    nat.later(30)
    assert nat.into(udp(b, e)) is None, "an error kept it"


@req(7857, 8, "parity may be left alone: the default keeps ports and promises no more")
def parity_is_an_option(nat):
    assert nat.map("udp", (nat.host(11), 20071), (nat.outside(), 80))[1] % 2 == 1


@req(7857, 9, "a port that replaces a taken one is drawn from the whole range")
def replaced_ports_are_random(nat):
    b = (nat.outside(), 80)
    ports = [nat.map("udp", (nat.host(3), 20080), b)[1] for _ in range(30)]
    assert ports[0] == 20080 and len(set(ports)) == 30
    assert max(ports) - min(ports) > 15000 and sorted(ports) != ports, ports


@req(7857, 10, "the identification of what can be cut is kept as the sender chose it")
def ip_id_is_kept(nat):
    a, b = (nat.host(1), 20090), (nat.outside(), 80)
    seg = udp(a, b)[20:]
    for ident in (1, 77, 65535):
        p = nat.out(K.ipv4(a[0], b[0], UDP, seg, ident=ident, frag=0))
        assert p and p.id == ident and p.frag == 0, p


@req(7857, 11, "a query's mapping is of use after its answer")
def query_mapping_outlives_the_answer(nat):
    a, b = (nat.host(1), 300), nat.outside()
    e = nat.map("icmp", a, (b, 0))
    assert nat.into(ping(b, e[0], e[1], reply=True))
    assert nat.map("icmp", a, (nat.outside(), 0)) == e


@req(7857, 12, "a 1:1 address lets queries in, from outside and from inside")
def queries_reach_a_static_host(nat):
    a, b, far = nat.host(14), nat.host(14), nat.outside()
    ea, eb = addr("203.0.113.%d" % (48 + a[3])), addr("203.0.113.%d" % (48 + b[3]))
    p = nat.into(ping(far, eb, 301))
    assert p and p.dst == b and p.src == far, p
    p = nat.out(ping(b, far, 301, reply=True))
    assert p and p.src == eb and p.dst == far, p
    got = nat.play(("c", ping(a, eb, 302)))["c"]
    assert len(got) == 1 and got[0].dst == b and got[0].src == ea, got
