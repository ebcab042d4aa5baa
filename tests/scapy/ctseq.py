# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Sequences of packets, played in lock-step through two routers and compared.

Packet k of every sequence goes through the first router, then through the
second; then each table is dumped once; then packet k+1 follows. Every sequence
has addresses of its own, so they do not meet.

Time-outs are told apart by value: each class gets its own (class_timeouts), and
each step adds STEP_SHIFT seconds to all of them, so that the seconds left name
both the class and the step of the last refresh. No sleeping is needed to see
that a packet did not refresh a timer.
"""
import time

from ctlab import entries
from ctpkt import UDP, UDPLITE, Flow, Pkt

STEP_SHIFT = 16
TOLERANCE = 3  # seconds

# Ordered as the defaults are: close < last_ack < syn_recv, close_wait < the
# 120 s ones < the 300 s caps < established, as the trackers compare them.
BASE = {
    "tcp_close": 2000, "tcp_last_ack": 4000, "tcp_syn_recv": 6000, "tcp_close_wait": 8000, "tcp_time_wait": 10000,
    "tcp_fin_wait": 12000, "tcp_syn_sent": 14000, "tcp_unacknowledged": 18000, "tcp_max_retrans": 20000,
    "tcp_established": 100000, "udp": 30000, "udp_stream": 32000, "icmp": 34000, "icmpv6": 36000, "gre": 38000,
    "gre_stream": 40000, "generic": 42000, "sctp_closed": 50000, "sctp_cookie_wait": 52000, "sctp_cookie_echoed": 54000,
    "sctp_established": 56000, "sctp_shutdown_sent": 58000, "sctp_shutdown_recd": 60000,
    "sctp_shutdown_ack_sent": 62000, "sctp_heartbeat_sent": 64000,
}
# The caps below everything else: they must cut the closing states short, too.
LOW_CAPS = dict(BASE, tcp_unacknowledged=1000, tcp_max_retrans=500)


# nf_conntrack gives a GRE connection its time-outs once, when it begins.
FIXED = ("gre", "gre_stream")


def class_timeouts(base, step):
    return {n: v if n in FIXED else v + STEP_SHIFT * step for n, v in base.items()}


class Pause(Pkt):
    """Nothing is sent; all sequences wait so long before the table is read."""

    def __init__(self, seconds):
        super().__init__("c")
        self.seconds = seconds

    def __str__(self):
        return "- %.1f s pass" % self.seconds

    def build(self, f):
        return None


class Seq:
    """want: optional (state or None, [verdict by step]) that the ORACLE must
    show at the end, so that a sequence cannot lose its point unnoticed."""

    def __init__(self, name, fam, pkts, cisn=1000, sisn=5000, cport=40000, sport=80, want=None):
        self.name, self.fam, self.pkts = name, fam, list(pkts)
        self.cisn, self.sisn, self.cport, self.sport, self.want = cisn, sisn, cport, sport, want

    def flow(self, idx):
        return Flow(self.fam, idx, self.cport, self.sport, self.cisn, self.sisn)

    def timed(self):
        """0: indifferent to real time, 1: must be played within 1.7 s, 2: has pauses."""
        if any(isinstance(p, Pause) for p in self.pkts):
            return 2
        return 1 if any(p.proto in (UDP, UDPLITE) for p in self.pkts) else 0

    def without(self, i):
        return Seq(self.name, self.fam, self.pkts[:i] + self.pkts[i + 1:], self.cisn, self.sisn, self.cport, self.sport)

    def cut(self, n):
        return Seq(self.name, self.fam, self.pkts[:n], self.cisn, self.sisn, self.cport, self.sport)


class Timing:
    """Which class and which step a number of seconds left comes from."""

    def __init__(self, base):
        self.base = base
        self.at = []

    def name(self, left):
        if left is None:
            return "none"
        now = time.monotonic()
        best = None
        for n, v in list(self.base.items()) + [("tcp_syn_sent2", 120), ("tcp_none", 120), ("sctp_none", 10)]:
            for j, t in enumerate(self.at):
                value = v + STEP_SHIFT * j if n in self.base and n not in FIXED else v
                off = abs(value - (now - t) - left)
                if off <= TOLERANCE and (best is None or off < best[0]):
                    best = (off, "%s@%d" % (n, j))
        return best[1] if best else "%d s?" % left


class Diff:
    def __init__(self, seq, step, field, kernel, subject, before):
        self.seq, self.step, self.field = seq, step, field
        self.kernel, self.subject, self.before = kernel, subject, before
        self.allowed = None

    def signature(self):
        """Same cause, most likely: field, values, what packet, in which state."""
        strip = lambda v: "".join(c for c in str(v).split("@")[0] if not c.isdigit()) if self.field == "timeout" else str(v)
        p = self.seq.pkts[self.step]
        what = type(p).__name__ + getattr(p, "fl", "")
        return (self.field, strip(self.kernel), strip(self.subject), what, self.before)

    def text(self):
        out = ["%s (ipv%d, isn %d/%d) step %d, in %s: %s: oracle %s, subject %s" % (
            self.seq.name, self.seq.fam, self.seq.cisn, self.seq.sisn, self.step, self.before or "no entry", self.field,
            self.kernel, self.subject)]
        for i, p in enumerate(self.seq.pkts[:self.step + 1]):
            out.append("    %2d %s%s" % (i, p, "   <==" if i == self.step else ""))
        return "\n".join(out)


class Player:
    """Plays on two sides: the oracle and the subject."""

    LAST = 64000

    def __init__(self, oracle, subject, counters=True):
        self.sides = (oracle, subject)
        self.next = 1
        self.counters = counters
        self.packets = 0
        self.seen = set()  # "6 ESTABLISHED" and so on, of the oracle

    def number(self, n):
        if n >= self.LAST:
            raise ValueError("too many sequences in one batch")
        if self.next + n > self.LAST:
            self.next = 1
            time.sleep(1.3)  # what was flushed is gone a second later
        first = self.next
        self.next += n
        return first

    def play(self, seqs, settings=None, base=BASE, subject_settings=None, watch=None):
        """Returns the list of first differences, at most one a sequence.
        watch: {sequence: []} receives (verdicts, states) of each step."""
        out = []
        for kind in (0, 1, 2):
            some = [s for s in seqs if s.timed() == kind]
            if not some:
                continue
            diffs, at = self.play_batch(some, settings, base, subject_settings, watch)
            for _ in range(4):
                # nothing may be two seconds old, give or take: there UDP becomes
                # a stream. On a busy machine only what differs each time counts.
                if not kind or not any(1.7 < b - a < 2.2 for a in at for b in at):
                    break
                time.sleep(0.5)
                again, at = self.play_batch(some, settings, base, subject_settings, watch)
                names = {d.seq for d in again}
                diffs = [d for d in diffs if d.seq in names]
            out += diffs
        return out

    def play_batch(self, seqs, settings, base, subject_settings, watch):
        oracle, subject = self.sides
        oracle.settings(**(settings or {}))
        subject.settings(**(subject_settings if subject_settings is not None else settings or {}))
        first = self.number(len(seqs))
        flows = [s.flow(first + i) for i, s in enumerate(seqs)]
        alive = [True] * len(seqs)
        before = [{}] * len(seqs)
        diffs = []
        timing = Timing(base)
        verdicts = {}
        for k in range(max(len(s.pkts) for s in seqs)):
            now = [i for i, s in enumerate(seqs) if alive[i] and k < len(s.pkts)]
            if not now:
                break
            values = class_timeouts(base, k)
            pause = 0
            frames = []
            for i in now:
                p = seqs[i].pkts[k]
                b = p.build(flows[i])
                if b is None:
                    pause = max(pause, p.seconds)
                else:
                    frames.append((i, p.d, b))
            for side in self.sides:
                side.timeouts(values)
            if pause:
                time.sleep(pause)
            timing.at.append(time.monotonic())
            sent = {first + i: (d, b) for i, d, b in frames}
            got = []
            for side in self.sides:
                for i, d, b in frames:
                    side.send(d, b)
                got.append(arrivals(side.barrier(), sent))
                self.packets += len(frames)
            tables = [side.raw() for side in self.sides]
            for i in now:
                idx = first + i
                v = [g.get(idx, "drop" if idx in sent else "-") for g in got]
                t = [tb.get(idx, {}) for tb in tables]
                d = None
                if v[0] != v[1] or not alike(t):
                    t = [entries(x) for x in t]
                    d = self.compare(seqs[i], k, v, t, summary(before[i]), timing)
                before[i] = t[0]
                self.seen.update(key.partition(" src=")[0] for key in t[0] if isinstance(key, str))
                if watch is not None:
                    t = [entries(x) if x and isinstance(next(iter(x.values())), tuple) else x for x in t]
                    watch.setdefault(seqs[i], []).append((v, [sorted((e.state, e.flags, timing.name(e.timeout)) for e in x.values()) for x in t]))
                if d:
                    alive[i] = False
                    diffs.append(d)
                verdicts.setdefault(i, []).append(v[0])
        for side in self.sides:
            side.flush()
        for i, s in enumerate(seqs):
            if s.want and alive[i]:
                state, vs = s.want
                last = summary(before[i])
                seen = verdicts[i]
                if state is not None and state != last or vs and list(vs) != [x[0] for x in seen]:
                    d = Diff(s, len(s.pkts) - 1, "want", "%s %s" % (last, "".join(x[0] for x in seen)),
                             "the sequence's author expected %s %s" % (state, "".join(vs or "")), last)
                    diffs.append(d)
        return diffs, timing.at

    def compare(self, seq, k, v, t, before, timing):
        mk = lambda field, a, b: Diff(seq, k, field, a, b, before)
        if v[0] != v[1]:
            return mk("verdict", v[0], v[1])
        a, b = t
        if a.keys() != b.keys():
            return mk("entries", show(a), show(b))
        for key, x in a.items():
            y = b[key]
            if x.state != y.state:
                return mk("state", x.state, y.state)
            if x.flags != y.flags:
                return mk("flags", ",".join(x.flags) or "none", ",".join(y.flags) or "none")
            if x.reply != y.reply:
                return mk("reply", x.reply, y.reply)
            if x.timeout is None or y.timeout is None or abs(x.timeout - y.timeout) > TOLERANCE:
                return mk("timeout", timing.name(x.timeout), timing.name(y.timeout))
            if self.counters and x.count != y.count:
                return mk("count", x.count, y.count)
        return None

    def shrink(self, diff, settings, base=BASE, subject_settings=None):
        """The shortest sequence found that still shows the same difference."""
        best = Diff(diff.seq.cut(diff.step + 1), diff.step, diff.field, diff.kernel, diff.subject, diff.before)
        best.allowed = diff.allowed
        want = diff.signature()[:3]
        while len(best.seq.pkts) > 1:
            tries = [best.seq.without(i) for i in range(len(best.seq.pkts))]
            found = None
            for d in self.play(tries, settings, base, subject_settings):
                if d.signature()[:3] == want:
                    found = d
                    break
            if not found:
                break
            best = Diff(found.seq.cut(found.step + 1), found.step, found.field, found.kernel, found.subject, found.before)
        return best


def alike(raw):
    """Are the two sides equal but for a second or so?"""
    a, b = raw
    if a.keys() != b.keys():
        return False
    return all(abs(x[0] - b[k][0]) <= TOLERANCE for k, x in a.items())


def summary(table):
    """States and flags of a raw or parsed table."""
    if table and isinstance(next(iter(table.values())), tuple):
        table = entries(table)
    return "+".join(sorted(describe(e) for e in table.values()))


def describe(e):
    return (e.state or "proto%d" % e.proto) + "".join("," + f for f in e.flags)


def show(entries):
    if not entries:
        return "none"
    return "; ".join("%d %s %s" % (e.proto, describe(e), " ".join("%s=%s" % kv for kv in e.orig)) for e in entries.values())


def arrivals(got, sent):
    """{sequence number: "pass" or what else became of its packet}"""
    out = {}
    for d in ("c", "s"):
        for b in got[d]:
            if b[0] >> 4 == 4:
                idx = b[4] << 8 | b[5]
            else:
                idx = b[2] << 8 | b[3]
            x = sent.get(idx)
            if x is None:
                continue
            if x[0] == d:
                v = "bounced"
            elif b[0] >> 4 == 4:
                o = x[1]
                v = "pass" if b[:8] == o[:8] and b[8] == o[8] - 1 and b[12:] == o[12:] else "changed"
            else:
                o = x[1]
                v = "pass" if b[:7] == o[:7] and b[7] == o[7] - 1 and b[8:] == o[8:] else "changed"
            out[idx] = v if idx not in out else "twice"
    return out
