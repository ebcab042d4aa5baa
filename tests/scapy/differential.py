#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# timeout: 600
"""The differential suite: the kernel's nf_conntrack is the oracle for bpfct.

Plays the same packet sequences through a router that tracks with nf_conntrack
and through one that tracks with bpfct, and compares after every packet: the
verdict, the state, ASSURED and SEEN_REPLY, the direction, the counters, and the
time-out: its class and the packet that last refreshed it.

  differential.py                        the whole suite
  differential.py --seed 7 --count 5000  other random sequences
  differential.py --only GLOB            some hand-written ones, or random_*_17 of --seed
  differential.py --self                 nft against nft only: the suite tests itself
  differential.py --trace GLOB           print what both sides said after each packet
"""
import argparse
import fnmatch
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ctrand
import ctseq
import hand_other
import hand_tcp
from ctlab import BpfctSide, Lab, NftSide, suite
from ctseq import BASE, LOW_CAPS, Player
from allowed import ALLOWED, allow

# name -> (settings, time-outs)
SETTINGS = {
    "default": ({}, BASE),
    "strict": ({"loose": 0}, BASE),
    "liberal": ({"be_liberal": 1}, BASE),
    "any_rst": ({"ignore_invalid_rst": 1}, BASE),
    "retrans1": ({"max_retrans": 1}, BASE),
    "low_caps": ({}, LOW_CAPS),
    "no_checksum": ({"checksum": 0}, BASE),
}
WITH_OTHERS = ("default", "no_checksum")  # the settings that concern more than TCP
BATCH = 4000


class Report:
    def __init__(self, player, verbose):
        self.player, self.verbose = player, verbose
        self.passed = self.failed = 0
        self.allowed = {}
        self.groups = {}

    def line(self, ok, name, why=""):
        if ok:
            self.passed += 1
            print("ok %s" % name)
        else:
            self.failed += 1
            print("FAIL %s: %s" % (name, why))
        sys.stdout.flush()

    def sort(self, diffs, label):
        """Splits off the intended ones, groups the others by what they look like."""
        bad = []
        for d in diffs:
            a = allow(d, label)
            if a:
                self.allowed[a.name] = self.allowed.get(a.name, 0) + 1
            else:
                bad.append(d)
                self.groups.setdefault(d.signature(), []).append((label, d))
        return bad

    def details(self, limit, shrink):
        if not self.groups:
            return
        ranked = sorted(self.groups.items(), key=lambda kv: -len(kv[1]))
        print("# %d kinds of difference, %d sequences:" % (len(ranked), sum(len(v) for v in self.groups.values())))
        for sig, found in ranked[:limit]:
            label, d = min(found, key=lambda x: len(x[1].seq.pkts[:x[1].step + 1]))
            settings, base = SETTINGS.get(label, ({}, BASE))
            print("#")
            print("# [%d sequences, first under %s; e.g. %s]" % (len(found), label, ", ".join(sorted({x.seq.name for _, x in found})[:4])))
            if shrink and d.field != "want":
                d = self.player.shrink(d, settings, base)
            for t in d.text().splitlines():
                print("#   " + t)
        if len(ranked) > limit:
            print("# and %d more kinds (--limit)" % (len(ranked) - limit))


AGAIN = 2  # times that a difference is played again


def batches(seqs):
    # long ones together, so that short batches stay short
    for i in range(0, len(seqs), BATCH):
        yield seqs[i:i + BATCH]


def hand():
    return hand_tcp.sequences() + hand_other.sequences()


def some(pattern):
    return [s for s in hand() if fnmatch.fnmatch(s.name, pattern)]


def randoms(seed, count):
    return [ctrand.random_seq(random.Random("%s/%d" % (seed, i)), i) for i in range(count)]


def play_all(player, seqs, label, subject_settings=None, watch=None):
    """The differences. Both trackers look at the clock (UDP is assured after 2 s), and a busy machine may stop one side for that long:
    what differs is played again by itself, and counts if it differs each time."""
    settings, base = SETTINGS[label]
    out = []
    for b in batches(seqs):
        d = player.play(b, settings, base, subject_settings, watch=watch)
        for _ in range(AGAIN):
            if d:
                differ = {x.seq.name for x in d}
                d = player.play([s for s in b if s.name in differ], settings, base, subject_settings, watch=watch)
        out += d
    return out


def self_test(lab, report, seed, count):
    """nft against nft: equal settings must agree, other settings must not."""
    a, b = lab.sides[0], NftSide("n")
    lab.add(b)
    player = Player(a, b)
    t0 = time.monotonic()
    for label, seqs in (("default", hand() + randoms(seed, count)), ("strict", randoms(seed, count))):
        d = play_all(player, seqs, label)
        report.line(not d, "oracle_agrees_with_itself_%s" % label, "%d differences, first: %s" % (len(d), d and d[0].text()))
    # Which states a few hundred sequences reach is a matter of their seed: this one is fixed, the others are new each run.
    seqs = randoms("states", count)
    player.seen = set()
    play_all(player, seqs, "default")
    wanted = {"6 " + s for s in ("SYN_SENT SYN_SENT2 SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE").split()}
    wanted |= {"132 " + s for s in ("CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT "
                                    "HEARTBEAT_SENT").split()}
    report.line(wanted <= player.seen, "random_sequences_visit_every_state", "not " + ", ".join(sorted(wanted - player.seen)))
    for name, other in (("loose", {"loose": 0}), ("be_liberal", {"be_liberal": 1}), ("ignore_invalid_rst", {"ignore_invalid_rst": 1}),
                        ("max_retrans", {"max_retrans": 1}), ("checksum", {"checksum": 0})):
        d = play_all(player, seqs if name != "checksum" else some("tcp_bad*"), "default", subject_settings=other)
        report.line(bool(d), "other_%s_is_noticed" % name, "no difference in %d sequences" % len(seqs))
    saved = b.timeouts
    for name, skew in (("timeout_class", lambda v: dict(v, udp_stream=v["udp_stream"] - 1000)),
                       ("refresh", lambda v: {k: x + x - BASE[k] for k, x in v.items()})):
        b.timeouts = lambda v, skew=skew: saved(skew(v))
        d = player.play(some("udp_s*") + some("tcp_close_by*"), {}, BASE)
        b.timeouts = saved
        report.line(any(x.field == "timeout" for x in d), "other_%s_is_noticed" % name, "no difference")
    saved_list = b.list_text
    for name, old, new in (("assured", " [ASSURED]", ""), ("seen_reply", " [UNREPLIED]", ""), ("state", "TIME_WAIT", "LAST_ACK"), ("direction", "src=10.1.", "src=10.2.")):
        b.list_text = lambda old=old, new=new: saved_list().replace(old, new)
        d = player.play(some("tcp_close_by*"), {}, BASE)
        b.list_text = saved_list
        report.line(bool(d), "other_%s_is_noticed" % name, "no difference")
    print("# self-test: %.1f s, %d packets" % (time.monotonic() - t0, player.packets))
    lab.sides.remove(b)
    b.destroy()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seed", default=None, help="of the random sequences; default: one from the clock, printed")
    ap.add_argument("--count", type=int, default=2400, help="random sequences under the default settings (and half as many under each other)")
    ap.add_argument("--settings", default=",".join(SETTINGS), help="which of " + " ".join(SETTINGS))
    ap.add_argument("--only", help="glob of sequence names")
    ap.add_argument("--trace", help="glob: print every step of these (implies --only)")
    ap.add_argument("--self", action="store_true", help="only nft against nft")
    ap.add_argument("--no-self", action="store_true", help="without nft against nft")
    ap.add_argument("--pair", default="bpfct", choices=("bpfct", "nft"), help="what is compared with nft")
    ap.add_argument("--limit", type=int, default=25, help="kinds of difference to print")
    ap.add_argument("--no-shrink", action="store_true")
    ap.add_argument("-v", "--verbose", action="store_true", help="a line for each hand-written sequence")
    a = ap.parse_args()
    seed = a.seed or str(int(time.time()))
    print("# seed %s (run again with --seed %s)" % (seed, seed))
    t0 = time.monotonic()
    cpu = sorted(os.sched_getaffinity(0))[-1]
    with Lab() as lab:
        os.sched_setaffinity(0, {cpu})  # one backlog queue: the barrier relies on it
        oracle = lab.add(NftSide("k"))
        report = Report(None, a.verbose)
        if not a.no_self and not a.only and not a.trace:
            self_test(lab, report, seed, 600)
        if a.self:
            return done(report, t0)
        subject = lab.add(BpfctSide("b") if a.pair == "bpfct" else NftSide("n"))
        player = report.player = Player(oracle, subject)
        only = a.trace or a.only
        for label in a.settings.split(","):
            t1, n0 = time.monotonic(), player.packets
            hs, rs = hand() if label in WITH_OTHERS else hand_tcp.sequences(), randoms(seed, a.count if label == "default" else a.count // 2)
            if only:
                hs = [s for s in hs if fnmatch.fnmatch(s.name, only)]
                rs = [s for s in rs if fnmatch.fnmatch(s.name, only)]
            if not hs and not rs:
                continue
            seqs = hs + rs
            watch = {} if a.trace else None
            diffs = play_all(player, seqs, label, watch=watch)
            if a.trace:
                for s in seqs:
                    print("# %s under %s" % (s.name, label))
                    for k, (v, t) in enumerate(watch[s]):
                        print("#  %2d %s\n#       oracle  %s %s\n#       subject %s %s" % (k, s.pkts[k], v[0], t[0], v[1], t[1]))
            bad = report.sort(diffs, label)
            names = {d.seq.name for d in bad}
            families = {}
            for s in hs:
                families.setdefault(group(s.name), []).append(s.name)
            for g, members in families.items():
                wrong = [m for m in members if m in names]
                if a.verbose:
                    for m in members:
                        report.line(m not in names, "%s.%s" % (label, m), next((short(d) for d in bad if d.seq.name == m), ""))
                else:
                    report.line(not wrong, "%s.%s" % (label, g), "%d of %d sequences differ: %s" % (len(wrong), len(members), ", ".join(wrong[:5])))
            if rs:
                wrong = sorted(n for n in names if n.startswith("random_"))
                report.line(not wrong, "%s.random_%d_sequences_seed_%s" % (label, len(rs), seed), "%d differ: %s" % (len(wrong), ", ".join(wrong[:5])))
            print("# %s: %d hand-written, %d random sequences, %d packets, %.1f s" % (label, len(hs), len(rs), player.packets - n0, time.monotonic() - t1))
        if a.pair == "bpfct" and not only and "default" in a.settings.split(","):
            ctseq.FIXED = ()
            bad = report.sort(player.play(some("gre_v*"), {}, BASE), "gre_live")
            ctseq.FIXED = ("gre", "gre_stream")
            report.line(not bad, "gre_live.gre", "; ".join(short(d) for d in bad))
        report.details(a.limit, not a.no_shrink)
        if a.pair == "bpfct" and not only and set(a.settings.split(",")) == set(SETTINGS):
            for x in ALLOWED:
                report.line(x.name in report.allowed, "intended_difference_%s" % x.name, "did not occur: take it off the list")
        for n, c in sorted(report.allowed.items()):
            print("# intended difference %s: %d sequences" % (n, c))
        return done(report, t0)


def short(d):
    return "step %d %s: oracle %s, subject %s" % (d.step, d.field, d.kernel, d.subject)


def group(name):
    """tcp_cell_syn_sent_ack_orig_v4 -> tcp_cell: one printed line a rule."""
    w = name.split("_")
    return "_".join(w[:2]) if w[0] in ("tcp", "sctp", "udp", "udplite") else w[0]


def done(report, t0):
    print("# %d passed, %d failed, %.1f s" % (report.passed, report.failed, time.monotonic() - t0))
    return 1 if report.failed else 0


if __name__ == "__main__":
    suite("differential", main)
