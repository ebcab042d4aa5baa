#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""NAT rules that nft and bpfct both have, side by side: the same packets into a
router of each, and what comes out and what `-L` says must be equal. Topology:
ctlab.py. Ports are kept in all of it, as two machines draw differently.
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "rfc"), HERE]
from ctlab import BpfctSide, Lab, NftSide, run, suite
from natlab import ACK, FIN, RST, SYN, P, addr, error, ping, tcp, text, udp

CONF = """
set default pass
set antispoof off
nat out on s from 10.1.1.0/24 -> 203.0.113.1
nat out on s from 10.1.2.7 -> 203.0.113.2 ports 4000-4000
nat out on s from 10.1.3.0/24 -> (s)
nat out on s from 10.1.4.16/28 -> 203.0.113.64/28 static
nat out on s from fd01::1:0/112 -> 2001:db8:1::1
forward in on s proto tcp to 203.0.113.9 port 8080 -> 10.1.9.5 port 80
forward in on s proto udp to 203.0.113.9 port 6000 -> 10.1.9.6
forward in on s proto tcp to 2001:db8:1::9 port 8080 -> fd01::9:5 port 80
redirect in on c proto udp from 10.1.7.0/24 to any port 53 -> self port 5353
redirect in on c proto tcp from 10.1.7.0/24 to any port 80 -> self port 3128
"""
NFT = """
table inet nat {
    chain pre {
        type nat hook prerouting priority -100;
        iifname s ip daddr 203.0.113.9 tcp dport 8080 dnat ip to 10.1.9.5:80
        iifname s ip daddr 203.0.113.9 udp dport 6000 dnat ip to 10.1.9.6
        iifname s ip6 daddr 2001:db8:1::9 tcp dport 8080 dnat ip6 to [fd01::9:5]:80
        iifname s ip daddr 203.0.113.64/28 dnat ip prefix to ip daddr map { 203.0.113.64/28 : 10.1.4.16/28 }
        iifname c ip saddr 10.1.7.0/24 udp dport 53 redirect to :5353
        iifname c ip saddr 10.1.7.0/24 tcp dport 80 redirect to :3128
    }
    chain post {
        type nat hook postrouting priority 100;
        oifname s ip saddr 10.1.1.0/24 snat ip to 203.0.113.1
        oifname s ip saddr 10.1.2.7 udp sport 1-65535 snat ip to 203.0.113.2:4000
        oifname s ip saddr 10.1.2.7 tcp sport 1-65535 snat ip to 203.0.113.2:4000
        oifname s ip saddr 10.1.3.0/24 masquerade
        oifname s ip saddr 10.1.4.16/28 snat ip prefix to ip saddr map { 10.1.4.16/28 : 203.0.113.64/28 }
        oifname s ip6 saddr fd01::1:0/112 snat ip6 to 2001:db8:1::1
    }
}
"""


class NatNft(NftSide):
    def start(self):
        super().start()
        run("nft", "-f", "-", ns=self.ns, stdin=NFT)


def e(host, port):
    return (addr(host), port)


B4, B6 = e("10.2.0.9", 80), e("fd02::9", 80)


def exchange(proto, a, ext, b, v=None):
    """An exchange begun inside: it comes out as ext."""
    if proto == "udp":
        return [("c", udp(a, b)), ("s", udp(b, ext)), ("c", udp(a, b, b"again"))]
    if proto == "icmp":
        return [("c", ping(a[0], b[0], a[1])), ("s", ping(b[0], ext[0], a[1], reply=True))]
    return [("c", tcp(a, b)), ("s", tcp(b, ext, SYN | ACK, 5000, 1001)), ("c", tcp(a, b, ACK, 1001, 5001)),
            ("c", tcp(a, b, ACK, 1001, 5001, b"data")), ("s", tcp(b, ext, ACK, 5001, 1005)), ("s", tcp(b, ext, FIN | ACK, 5001, 1005))]


def inward(proto, b, ext, a):
    """An exchange begun outside to ext; a answers."""
    if proto == "udp":
        return [("s", udp(b, ext)), ("c", udp(a, b)), ("s", udp(b, ext))]
    return [("s", tcp(b, ext)), ("c", tcp(a, b, SYN | ACK, 5000, 1001)), ("s", tcp(b, ext, ACK, 1001, 5001)),
            ("s", tcp(b, ext, ACK, 1001, 5001, b"data")), ("c", tcp(a, b, RST, 5001))]


def errors(a, ext, b, router="10.2.0.77"):
    return [("c", udp(a, b)), ("s", error(addr(router), ext[0], udp(ext, b))), ("s", error(addr(router), ext[0], udp(ext, b), 11, 0)),
            ("s", udp(b, ext)), ("c", error(a[0], b[0], udp(b, a)))]


CASES = {}
for proto in ("udp", "tcp", "icmp"):
    CASES["source_address_" + proto] = exchange(proto, e("10.1.1.5", 1234), e("203.0.113.1", 1234), B4)
    CASES["masquerade_" + proto] = exchange(proto, e("10.1.3.5", 1234), e("10.0.2.1", 1234), B4)
    CASES["prefix_out_" + proto] = exchange(proto, e("10.1.4.20", 1234), e("203.0.113.68", 1234), B4)
    CASES["source_address_v6_" + proto] = exchange(proto, e("fd01::1:5", 1234), e("2001:db8:1::1", 1234), B6)
for proto in ("udp", "tcp"):
    CASES["source_port_" + proto] = exchange(proto, e("10.1.2.7", 1234), e("203.0.113.2", 4000), B4)
    CASES["prefix_in_" + proto] = inward(proto, e("10.2.0.9", 999), e("203.0.113.70", 22), e("10.1.4.22", 22))
CASES["forward_tcp"] = inward("tcp", e("10.2.0.9", 999), e("203.0.113.9", 8080), e("10.1.9.5", 80))
CASES["forward_udp"] = inward("udp", e("10.2.0.9", 999), e("203.0.113.9", 6000), e("10.1.9.6", 6000))
CASES["forward_v6"] = inward("tcp", e("fd02::9", 999), e("2001:db8:1::9", 8080), e("fd01::9:5", 80))
CASES["redirect_udp"] = [("c", udp(e("10.1.7.5", 1234), e("10.2.0.9", 53)))]
CASES["redirect_tcp"] = [("c", tcp(e("10.1.7.5", 1234), e("10.2.0.9", 80)))]
CASES["icmp_errors"] = errors(e("10.1.1.6", 1240), e("203.0.113.1", 1240), B4)
CASES["icmp_errors_masqueraded"] = errors(e("10.1.3.6", 1241), e("10.0.2.1", 1241), B4)
CASES["icmp_errors_prefix"] = errors(e("10.1.4.21", 1242), e("203.0.113.69", 1242), B4)


def played(side, pkts):
    """What comes out, packet by packet, as (side, bytes but for the IP id of what the router sends itself)."""
    out = []
    for d, b in pkts:
        side.send(d, b)
        got = side.barrier()
        for k in ("c", "s"):
            for g in got[k]:
                if g[0] >> 4 == 6 and (g[24] == 0xFF or g[8:10] == b"\xfe\x80"):
                    continue
                p = P(g)
                own = text(p.src).startswith("10.0.") or p.inner is not None or p.flags is not None and p.flags & RST
                assert p.sums, "wrong checksum: %r" % p
                out.append((k, repr(p), None if own else g))
    return out


def table(side):
    """Lines of -L without what time and the tool's name decide."""
    out = set()
    for line in side.list_text().splitlines():
        if "sport=9 " in line or "sport=10 " in line:  # the barrier's
            continue
        w = line.split(" use=")[0].split()
        out.add(" ".join([w[2]] + w[5:]) if len(w) > 5 else line)
    return out


def main():
    t0, failed = time.monotonic(), 0
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        nft, ours = lab.add(NatNft("k")), lab.add(BpfctSide("b", CONF))
        for name, pkts in CASES.items():
            problem = ""
            nft.flush(), ours.flush()
            want, got = played(nft, pkts), played(ours, pkts)
            if want != got:
                first = next((i for i, (w, g) in enumerate(zip(want, got)) if w != g), min(len(want), len(got)))
                problem = "packet %d: nft %s, bpfct %s" % (first, want[first:first + 1], got[first:first + 1])
            elif not want:
                problem = "nothing came out of either"
            elif table(nft) != table(ours):
                problem = "table: nft %s, bpfct %s" % (sorted(table(nft) - table(ours)), sorted(table(ours) - table(nft)))
            failed += bool(problem)
            print("FAIL %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)
    print("# %d cases, %d differ, %.1f s" % (len(CASES), failed, time.monotonic() - t0))
    return 1 if failed else 0


if __name__ == "__main__":
    suite("nat_differential", main)
