# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""RFC 6888: carrier-grade NAT."""
import json

from natlab import *


@req(6888, 2, "a subscriber has one external address in all protocols, also when it comes back later")
def paired_pooling(nat):
    hosts = [nat.host(4) for _ in range(6)]
    first = {h: nat.map("udp", (h, 30000), (nat.outside(), 80))[0] for h in hosts}
    nat.later(900)
    for h in hosts:
        for proto in ("tcp", "icmp", "udp"):
            assert nat.map(proto, (h, 30001), (nat.outside(), 80))[0] == first[h], (text(h), proto)


@req(6888, 3, "a pool of several ranges is used whole")
def pool_of_ranges(nat):
    pool = {addr("203.0.113.21"), addr("198.51.100.77")} | {addr("203.0.113.%d" % i) for i in range(24, 28)}
    seen = {nat.map("udp", (nat.host(9), 30002), (nat.outside(), 80))[0] for _ in range(80)}
    assert seen == pool, sorted(map(text, seen))


@req(6888, 4, "ports of a subscriber are limited, and another's are not")
def port_limit(nat):
    a, b = nat.host(6), nat.host(6)
    for i in range(4):
        nat.map("udp", (a, 31000 + i), (nat.outside(), 80))
    assert nat.out(udp((a, 31009), (nat.outside(), 80))) is None, "a fifth port"
    for i in range(4):
        nat.map("udp", (b, 31000 + i), (nat.outside(), 80))
    nat.later(400)
    end = time.monotonic() + 8  # for the sweep
    while not nat.out(udp((a, 31010), (nat.outside(), 80))):
        assert time.monotonic() < end, "still at its limit after its connections"
        time.sleep(0.2)


@req(6888, 4, "new connections a second of a subscriber are limited")
def rate_limit(nat):
    a, b = nat.host(7), nat.host(7)
    got = nat.play(*[("c", udp((a, 32000 + i), (addr("10.2.1.1"), 80))) for i in range(40)])["s"]
    assert 5 <= len(got) <= 12, "%d of 40 at 5/s" % len(got)
    assert nat.out(udp((b, 32000), (nat.outside(), 80))), "another subscriber"
    nat.later(2)
    assert nat.out(udp((a, 32100), (nat.outside(), 80))), "after a while"


@req(6888, 5, "states of a subscriber are limited")
def state_limit(nat):
    a, b = nat.host(6), nat.outside()
    got = [nat.out(udp((a, 33000 + i % 4), (b, 100 + i))) for i in range(12)]
    assert sum(p is not None for p in got) <= 8, sum(p is not None for p in got)
    assert sum(p is not None for p in got) >= 4


@req(6888, 6, "destinations may be exempt from translation")
def exempt_destinations(nat):
    a, b = (nat.host(1), 34000), (addr("10.2.77.5"), 80)
    p = nat.out(udp(a, b))
    assert p and p.ext == a, p
    p = nat.into(udp(b, a))
    assert p and (p.src, p.sport) == b


@req(6888, 7, "filtering is independent of the endpoint where the rule says eif, in UDP and TCP")
def endpoint_independent_filtering(nat):
    a = (nat.host(1), 35000)
    eu, et = nat.map("udp", a, (nat.outside(), 80)), nat.connect(a, (nat.outside(), 80))
    assert nat.into(udp((nat.outside(), 1234), eu)) and nat.into(tcp((nat.outside(), 1234), et, SYN))


@req(6888, 8, "a port that was given back rests for 120 s before another subscriber gets it")
def hold_down(nat):
    a, b, c = nat.host(15), nat.host(15), nat.outside()
    e = nat.map("udp", (a, 4000), (c, 80))
    assert e[1] == 4000
    nat.later(305)
    nat.settle(a)
    nat.later(305)
    nat.settle(a, bound=False)
    # the sweep ends the binding, or who asks for its port: the rest begins
    assert nat.out(udp((b, 4000), (c, 80))) is None, "given at once"
    nat.later(110)
    assert nat.out(udp((b, 4000), (c, 80))) is None, "given after 110 s"
    nat.later(20)
    end = time.monotonic() + 5
    while not nat.out(udp((b, 4000), (c, 80))):
        assert time.monotonic() < end, "not given after 130 s"
        time.sleep(0.2)


@req(6888, 11, "without a port a packet is dropped, its sender told, and nothing that lives is ended")
def exhaustion(nat):
    for fam in (4, 6):
        b = (nat.outside(fam), 80)
        hosts = [(nat.host(5, fam), 2000 + i % 4) for i in range(5)]
        ends = [nat.map("udp", h, b) for h in hosts[:4]]
        before = nat.stats().get("nat_exhausted", 0)
        nat.send("c", udp(hosts[4], b))
        p = nat.wait("c", lambda p: p.dst == hosts[4][0] and p.inner)
        want = (3, 1) if fam == 4 else (1, 1)
        assert p and (p.type, p.code) == want and (p.inner.src, p.inner.sport) == hosts[4], p
        assert nat.stats().get("nat_exhausted", 0) == before + 1
        for h, e in zip(hosts, ends):
            p = nat.into(udp(b, e))
            assert p and (p.dst, p.dport) == h, "a mapping was ended"


@req(6888, 12, "the log names no destination")
def log_names_no_destination(nat):
    b = (addr("10.2.99.99"), 80)
    nat.map("udp", (nat.host(8), 36000), b)
    nat.map("udp", (nat.host(1), 36000), b)
    with open(nat.log_path) as f:
        assert "10.2.99.99" not in f.read()


@req(6888, 13, "use of pools is shown")
def utilisation_is_shown(nat):
    nat.map("udp", (nat.host(1), 37000), (nat.outside(), 80))
    pools = json.loads(nat.ctctl("-j", "nat").stdout)
    lines = json.dumps(pools)
    assert "203.0.113.1" in lines and "used" in lines, lines[:200]


@req(6888, 14, "ports come from a subscriber's block, and whose it is can be computed")
def port_blocks(nat):
    a = nat.host(8)
    ends = [nat.map("udp", (a, 38000 + i), (nat.outside(), 80)) for i in range(30)]
    blocks = {(e[0], (e[1] - 1024) // 512) for e in ends}
    assert len(blocks) == 1, blocks
    who = nat.ctctl("nat", "whois", text(ends[0][0]), str(ends[0][1])).stdout
    assert text(a) in who, who


@req(6888, 15, "ports that are not kept cannot be guessed from those before")
def ports_are_not_in_order(nat):
    ports = [nat.map("udp", (nat.host(12), 39000), (nat.outside(), 80))[1] for _ in range(40)]
    steps = [(b - a) % 65536 for a, b in zip(ports, ports[1:])]
    assert len(set(ports)) >= 39 and len(set(steps)) >= 35, ports
    assert max(ports) - min(ports) > 20000, ports
