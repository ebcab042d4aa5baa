#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# timeout: 300
"""Any legal fragmentation gives the same datagram behind nft and behind bpfct, any
illegal one nothing. Behind bpfct the fragments are those that were sent, in order,
each once: boundaries, id, DF, hop count; translated, with the right checksums.

  frag_properties.py                      all of it
  frag_properties.py --seed 7 --count 5000
  frag_properties.py --seed 7 --only nat/v4/shuffled/17     that case (a glob)
  frag_properties.py --self               without bpfct: the suite tests itself
"""
import argparse
import fnmatch
import itertools
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fragkinds
from ctlab import BpfctSide, Lab, NftSide, InNs, put, suite
from ctpkt import TCP, UDP, UDPLITE, SCTP, ICMP, ICMP6
from fragkinds import KINDS, NOTHING, ODD, WHOLE
from fragmodel import BREAKS, Model
from fragpkt import L4, Datagram, Receiver, parse

CPORT, SPORT = 40000, 80
NAT = {4: bytes((10, 0, 2, 1)), 6: bytes.fromhex("fd000002000000000000000000000001")}
BATCH_CASES, BATCH_BYTES = 250, 12 << 20
# Room for a batch, and for what illegal ones of earlier batches have left
FRAGMENTS = """set fragments timeout 60
set fragments limit datagrams 8192
set fragments limit bytes 134217728
set fragments source datagrams 8192
set fragments source bytes 134217728
"""
MASQUERADE = "".join("nat out on s from %s -> (s)\n" % net for net in ("10.1.0.0/16", "10.4.0.0/16", "fd01::/16", "fd04::/16"))


class FragNft(NftSide):
    """Room for as many fragments as a batch has, and as long as it takes."""

    def start(self):
        super().start()
        with InNs(self.ns):
            for k, v in (("net/ipv4/ipfrag_high_thresh", 1 << 30), ("net/ipv4/ipfrag_max_dist", 0),
                         ("net/netfilter/nf_conntrack_frag6_high_thresh", 1 << 30)):
                put("/proc/sys/" + k, v)


class NatNft(FragNft):
    RULES = NftSide.RULES + """
table inet masq {
    chain post {
        type nat hook postrouting priority 100;
        oifname "s" masquerade
    }
}
"""


class FragBpfct(BpfctSide):
    CONF = "set default pass\nset antispoof off\n" + FRAGMENTS


class NatBpfct(BpfctSide):
    CONF = FragBpfct.CONF + MASQUERADE


def index_of(ip):
    """The case's number, from either address; None: not a case's packet."""
    fam = ip[0] >> 4
    for a in (ip[12:16], ip[16:20]) if fam == 4 else (ip[8:24], ip[24:40]):
        if (a[0] == 10 and a[1] in (1, 2, 3, 4)) if fam == 4 else (a[0] == 0xFD and 1 <= a[1] <= 4):
            return a[-2] << 8 | a[-1]
    return None


class Played:
    """A case on one side: what was sent, what may arrive, what did."""

    def __init__(self, case, idx, nat):
        self.case, self.idx = case, idx
        self.flow = case.flow(idx)
        self.proto = case.specs[0]["l4"].proto
        # TCP does not take 60,000 bytes beside a SYN/ACK: from outside it opens a connection of its own
        self.answer = nat and case.d == "s" and self.proto != TCP and all(
            s["l4"].proto == self.proto and s["source"] == "end" for s in case.specs)
        self.out = nat and case.d == "c"
        self.ext = CPORT
        self.got, self.back = [], []

    def opener(self):
        """A small whole packet of the connection that a fragmented answer belongs to."""
        d = Datagram(self.case.fam, self.flow.c, self.flow.s, L4(self.proto, b"opens it"), CPORT, SPORT, 0)
        return d.unfragmented()

    def opened(self, ip):
        self.ext = port_of(self.case.fam, self.proto, parse(ip).data) or CPORT

    def sent(self):
        if self.answer:
            return self.case.build(self.flow, SPORT, self.ext, dst=NAT[self.case.fam], answer=True)
        a, b = (CPORT, SPORT) if self.case.d == "c" else (SPORT, CPORT)
        return self.case.build(self.flow, a, b)

    def packets(self):
        d = self.sent()
        return [s.build(d) for s in self.case.steps]

    def expected(self):
        """The datagrams as they must arrive."""
        c = self.case
        if self.answer:
            return c.build(self.flow, SPORT, CPORT, answer=True, hop=1)
        a, b = (CPORT, SPORT) if c.d == "c" else (SPORT, CPORT)
        if not self.out:
            return c.build(self.flow, a, b, hop=1)
        out = []
        for of, d in enumerate(c.build(self.flow, a, b, hop=1)):
            out.append(c.build(self.flow, self.chosen(d) or a, b, src=NAT[c.fam], hop=1)[of])
        return out

    def chosen(self, d):
        """The port that the router took for a datagram, from its first fragment."""
        for ip in self.got:
            p = parse(ip)
            at = d.header - d.l4.header
            # two sources of one case: their datagrams' lengths tell them apart
            if p and not p.off and p.ident is not None and p.nh == d.nh and (d.l4.proto != UDP or p.data[at + 2:at + 6] == d.part[at + 2:at + 6]):
                return port_of(d.fam, d.l4.proto, p.data[at:])
        r = Receiver()  # the kernel may have cut elsewhere in the chain of headers
        for ip in self.got:
            r.take(ip)
        for w in r.finish()[0]:
            if not w[3].endswith(d.part[d.header:]):
                continue
            return port_of(d.fam, d.l4.proto, w[3][len(w[3]) - len(d.part) + d.header - d.l4.header:])
        return None

    def seen(self):
        """(WHOLE, NOTHING or ODD, why) at a receiver."""
        if not self.got:
            return NOTHING, "nothing arrived"
        r = Receiver()
        for ip in self.got:
            r.take(ip)
        wholes, problems = r.finish()
        want = sorted([d.whole() for d in self.expected()] * self.case.times)
        if problems:
            return ODD, problems[0]
        if sorted(wholes) != want:
            return ODD, "%d datagrams of %s bytes arrived, not %d of %s%s" % (
                len(wholes), [len(w[3]) for w in wholes], len(want), [len(w[3]) for w in want], first_difference(wholes, want))
        return WHOLE, "it arrived"

    def exact(self):
        """Are these packets the fragments that were sent? What is wrong, or None."""
        ds = self.expected()
        runs = [[s.build(ds, hop=1) for s in self.case.pieces(of)] for of in range(len(ds))] * self.case.times
        for order in itertools.permutations(runs):
            if self.got == [ip for run in order for ip in run]:
                return None
        want = [ip for run in runs for ip in run]
        if sorted(want) == sorted(self.got):
            return "in another order: " + "; ".join(str(parse(ip)) for ip in self.got[:8])
        for k, (a, b) in enumerate(zip(want, self.got)):
            if a != b:
                at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                return "packet %d differs at byte %d: sent %s, arrived %s (%s... / %s...)" % (
                    k, at, parse(a), parse(b), a[at:at + 8].hex(), b[at:at + 8].hex())
        return "%d packets arrived, not %d" % (len(self.got), len(want))


def port_of(fam, proto, seg):
    if proto in (TCP, UDP, UDPLITE, SCTP):
        return int.from_bytes(seg[:2], "big")
    if proto in (ICMP, ICMP6):
        return int.from_bytes(seg[4:6], "big")
    return None


def first_difference(wholes, want):
    for a, b in zip(sorted(wholes), want):
        for k, name in enumerate(("source", "destination", "protocol")):
            if a[k] != b[k]:
                return ": %s %s, not %s" % (name, a[k], b[k])
        for k, (x, y) in enumerate(zip(a[3], b[3])):
            if x != y:
                return ": byte %d is %#x, not %#x" % (k, x, y)
    return ""


class Player:
    def __init__(self, nat=False):
        self.nat, self.idx, self.packets = nat, 0, 0

    def batches(self, cases, rng):
        """Each interleaved in itself; from a few cases to hundreds."""
        batch, size = [], 0
        limit = rng.choice((1, 30, BATCH_CASES))
        for c in cases:
            n = sum(len(s["l4"].body) for s in c.specs) + 200 * len(c.steps)
            if batch and (len(batch) >= limit or size + n > BATCH_BYTES):
                yield batch
                batch, size = [], 0
                limit = rng.choice((1, 30, BATCH_CASES))
            batch.append(c)
            size += n
        if batch:
            yield batch

    def play(self, side, batch, order_seed, first_idx):
        """[Played...] of a batch on one side. The same seed gives the same order on any side."""
        played = [Played(c, first_idx + k, self.nat) for k, c in enumerate(batch)]
        by_index = {p.idx: p for p in played}
        answers = [p for p in played if p.answer]
        if answers:
            for p in answers:
                side.send("c", p.opener())
            for ip in side.barrier()["s"]:
                if index_of(ip) in by_index:
                    by_index[index_of(ip)].opened(ip)
        queues = [iter([(p.case.d, ip) for ip in p.packets()]) for p in played]
        turns = [k for k, p in enumerate(played) for _ in p.case.steps]
        random.Random(order_seed).shuffle(turns)
        for k in turns:
            side.send(*next(queues[k]))
        self.packets += len(turns)
        got = side.barrier(30.0)
        for d in "cs":
            for ip in got[d]:
                p = by_index.get(index_of(ip))
                if p:
                    (p.back if d == p.case.d else p.got).append(ip)
        return played


class Judge:
    """Collects, a line a kind."""

    def __init__(self, label):
        self.label = label
        self.wrong, self.count, self.differs, self.udplite = {}, {}, {}, 0

    def oracle(self, p):
        kind = KINDS[p.case.kind]
        outcome, why = p.seen()
        specs = p.case.specs
        if outcome == NOTHING and WHOLE in kind.ours and any(s["l4"].proto == UDPLITE for s in specs):
            self.udplite += 1
        elif outcome == NOTHING and specs[0].get("after") and p.case.cuts[0][0][1] > 3500:
            # The kernel cuts again, and finds the place only if all headers lie in the linear part of the
            # skb; of a packet of more than a page from a packet socket they do not.
            pass
        elif outcome not in kind.kernel[p.case.fam]:
            self.fail(p, "behind the kernel: %s" % why)
        elif outcome not in kind.ours:
            self.differs[kind.name] = self.differs.get(kind.name, 0) + 1

    def subject(self, p):
        kind = KINDS[p.case.kind]
        self.counted([p.case])
        if not p.got:
            outcome, why = NOTHING, "nothing arrived"
        else:
            why = p.exact()
            outcome = ODD if why else WHOLE
        if outcome not in kind.ours:
            self.fail(p, why or "arrived: " + "; ".join(str(parse(ip)) for ip in p.got[:6]))
        elif p.back:
            self.fail(p, "something came back: " + p.back[0][:60].hex())

    def counted(self, cases):
        for c in cases:
            self.count[c.kind, c.fam] = self.count.get((c.kind, c.fam), 0) + 1

    def fail(self, p, why):
        self.wrong.setdefault((p.case.kind, p.case.fam), []).append((p.case, why))

    def print(self):
        failed = 0
        for (kind, fam), n in sorted(self.count.items(), key=lambda x: (x[0][1], list(KINDS).index(x[0][0]))):
            bad = self.wrong.pop((kind, fam), [])
            name = "%s.v%d.%s" % (self.label, fam, kind)
            if not bad:
                print("ok %s" % name)
                continue
            failed += 1
            print("FAIL %s: %d of %d cases, e.g. %s: %s" % (name, len(bad), n, bad[0][0].name, bad[0][1]))
            for c, why in bad[:3]:
                print("    %s: %s" % (str(c)[:600], why))
        return failed


def compare(player, oracle, subject, cases, label, seed):
    judge = Judge(label)
    rng = random.Random("%s/%s" % (seed, label))
    rng.shuffle(cases)
    for k, batch in enumerate(player.batches(cases, rng)):
        order = "%s/%s/%d" % (seed, label, k)
        if player.idx + len(batch) > 65000:
            player.idx = 0
        one = player.play(oracle, batch, order, player.idx + 1)
        for p in one:
            judge.oracle(p)
        if subject:
            for p in player.play(subject, batch, order, player.idx + 1):
                judge.subject(p)
        else:
            judge.counted(batch)
        player.idx += len(batch)
    return judge


def self_test(seed, count):
    """Without a network: the model passes, and each broken one is noticed."""
    failed = 0
    cases = [c for fam in (4, 6) for c in fragkinds.cases(fam, count, seed)]
    batches = list(Player().batches(cases, random.Random(seed)))
    random.Random(seed).shuffle(batches)

    def mistakes(broken):
        player, judge, idx = Player(), Judge("self"), 0
        model = Model(broken)
        for batch in batches:
            for p in player.play(model, batch, seed, idx + 1):
                judge.subject(p)
            idx += len(batch)
            if judge.wrong:
                break
        return judge.wrong

    for broken in [None] + sorted(BREAKS):
        wrong = mistakes(broken)
        name = "self.a_router_that_%s_is_noticed" % BREAKS[broken].replace(" ", "_").replace(",", "") if broken else "self.the_model_passes"
        ok = bool(wrong) == bool(broken)
        failed += not ok
        print("ok %s" % name if ok else "FAIL %s: %s" % (name, "; ".join("%s: %s" % (c, w) for v in wrong.values() for c, w in v[:1]) or "no difference"))
    return failed


def selected(fam, count, seed, label, only):
    if not only:
        return fragkinds.cases(fam, count, seed + label)
    out = []
    for k in KINDS.values():
        if fam in k.fams:
            for i in range(count if len(only.split("/")) < 4 or not only.split("/")[3].isdigit() else int(only.split("/")[3]) + 1):
                if fnmatch.fnmatch("%s/v%d/%s/%d" % (label, fam, k.name, i), only):
                    out.append(fragkinds.make(k.name, fam, i, seed + label))
    return out


def run(a, seed):
    failed, differs, t0 = 0, {}, time.monotonic()
    if not a.only:
        failed += self_test("8", 120)  # whether a sample notices each must not be left to chance
        print("# self-test: %.1f s" % (time.monotonic() - t0))
    for label, nat, count in (("plain", False, a.count), ("nat", True, a.count)):
        t1 = time.monotonic()
        with Lab() as lab:
            oracle = lab.add((NatNft if nat else FragNft)("k"))
            subject = lab.add((NatBpfct if nat else FragBpfct)("b")) if not a.self else None if nat else Model()
            os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})  # one backlog queue: the barrier relies on it
            player = Player(nat)
            cases = [c for fam in (4, 6) for c in selected(fam, count, seed, label, a.only)]
            judge = compare(player, oracle, subject, cases, label, seed)
            failed += judge.print()
            print("ok" if judge.udplite or a.only else "FAIL", "%s.listed_difference_udplite: the kernel verifies UDP-Lite with the protocol number of UDP" % label)
            for k, n in judge.differs.items():
                differs[k] = differs.get(k, 0) + n
            print("# %s: %d cases, %d packets, %.1f s" % (label, len(cases), player.packets, time.monotonic() - t1))
    if not a.only:
        for k in KINDS.values():
            if k.why and not k.rare:
                ok = k.name in differs
                failed += not ok
                print("ok listed_difference_%s" % k.name if ok else "FAIL listed_difference_%s: did not occur: take it off the list" % k.name)
    print("# %.1f s" % (time.monotonic() - t0))
    return 1 if failed else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seed", help="default: one from the clock, printed")
    ap.add_argument("--count", type=int, default=1200, help="cases a family, plain and through NAT")
    ap.add_argument("--only", help="glob of LABEL/vFAMILY/KIND/NUMBER")
    ap.add_argument("--self", action="store_true", help="nft against the model, without bpfct")
    a = ap.parse_args()
    seed = a.seed or str(int(time.time()))
    print("# seed %s (run again with --seed %s)" % (seed, seed))
    return run(a, seed)


if __name__ == "__main__":
    suite("frag_properties", main)
