#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Every time-out of bpfct at its default, on the test clock: how long an entry
has, that it is there a second before and gone a second after, and that the next
packet then meets no connection. Nothing sleeps. Topology: ctlab.py.
"""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hand_other as O
import hand_tcp as T
from ctlab import DEFAULT_TIMEOUTS, BpfctSide, Lab, suite
from ctpkt import Flow, Gre, IcmpErr, Raw, Sctp, Tcp, Udp, echo, echo_reply

DEF = DEFAULT_TIMEOUTS
EST = T.HS + [Tcp("c", "PA", 1, 1, n=100), Tcp("s", "A", 1, 101)]
rep = Tcp("c", "PA", 101, 1, n=50)

# name: (packets, time-out that must then run). "later" plays the second list 3 s after the first.
CASES = {
    "tcp_syn_sent": (T.SETUP["SYN_SENT"][0], DEF["tcp_syn_sent"]),
    "tcp_syn_sent2": (T.SETUP["SYN_SENT2"][0], None),
    "tcp_syn_recv": (T.SETUP["SYN_RECV"][0], DEF["tcp_syn_recv"]),
    "tcp_established": (EST, DEF["tcp_established"]),
    "tcp_fin_wait": (T.SETUP["FIN_WAIT"][0], DEF["tcp_fin_wait"]),
    "tcp_close_wait": (T.SETUP["CLOSE_WAIT"][0], DEF["tcp_close_wait"]),
    "tcp_last_ack": (T.SETUP["LAST_ACK"][0], DEF["tcp_last_ack"]),
    "tcp_time_wait": (T.SETUP["TIME_WAIT"][0], DEF["tcp_time_wait"]),
    "tcp_close": (T.SETUP["CLOSE"][0], DEF["tcp_close"]),
    "tcp_max_retrans": (EST + [rep] * 4, DEF["tcp_max_retrans"]),
    "tcp_zero_window": (EST + [Tcp("c", "A", 101, 1, win=0)], DEF["tcp_max_retrans"]),
    "tcp_unacknowledged": (EST + [rep], DEF["tcp_unacknowledged"]),
    "tcp_acknowledged_again": (EST + [rep, Tcp("s", "A", 1, 151)], DEF["tcp_established"]),
    "udp": ([Udp("c")], DEF["udp"]),
    "udp_answered": ([Udp("c"), Udp("s")], DEF["udp"]),
    "udp_stream": ([Udp("c"), Udp("s")], DEF["udp_stream"], [Udp("c")]),
    "udplite_stream": ([Udp("c", lite=True), Udp("s", lite=True)], DEF["udp_stream"], [Udp("c", lite=True)]),
    "icmp": ([echo("c"), echo_reply("s")], {4: DEF["icmp"], 6: DEF["icmpv6"]}),
    "gre": ([Gre("c")], DEF["gre"]),
    "gre_stream": ([Gre("c"), Gre("s"), Gre("c")], DEF["gre_stream"]),
    "generic": ([Raw("c", 253), Raw("s", 253)], DEF["generic"]),
    "sctp_cookie_wait": (O.UP[:2], DEF["sctp_cookie_wait"]),
    "sctp_cookie_echoed": (O.UP[:3], DEF["sctp_cookie_echoed"]),
    "sctp_established": (O.UP, DEF["sctp_established"]),
    "sctp_shutdown_sent": (O.UP + [O.X("c", "SHUTDOWN")], DEF["sctp_shutdown_sent"]),
    "sctp_shutdown_recd": (O.UP + [O.X("s", "SHUTDOWN")], DEF["sctp_shutdown_recd"]),
    "sctp_shutdown_ack_sent": (O.UP + [O.X("c", "SHUTDOWN"), O.X("s", "SHUTDOWN_ACK")], DEF["sctp_shutdown_ack_sent"]),
    "sctp_closed": (O.UP + [O.X("c", "ABORT")], DEF["sctp_closed"]),
    "sctp_heartbeat_sent": ([O.X("c", "HEARTBEAT")], DEF["sctp_heartbeat_sent"]),
}
CASES["tcp_syn_sent2"] = (CASES["tcp_syn_sent2"][0], DEF["tcp_syn_sent2"])


class Case:
    def __init__(self, name, fam, idx):
        c = CASES[name]
        self.name, self.fam, self.first = "%s_v%d" % (name, fam), fam, c[0]
        self.secs = c[1][fam] if isinstance(c[1], dict) else c[1]
        self.later = c[2] if len(c) > 2 else []
        self.flow = Flow(fam, idx)
        self.problems = []


class Clock:
    """The instance's clock: real time and what was added to it."""

    def __init__(self, side):
        self.side, self.added = side, 0

    def now(self):
        return time.monotonic() + self.added

    def to(self, t):
        d = int(round(t - self.now()))
        if d > 0:
            self.side.advance(d)
            self.added += d


def line(name, problem, counts):
    counts[bool(problem)] += 1
    print("FAIL %s: %s" % (name, problem) if problem else "ok %s" % name)


def lives(side, cases, clock, counts):
    """All entries side by side; the clock visits each end in turn."""
    for k in range(max(len(c.first) for c in cases)):
        began = clock.now()
        for c in cases:
            # short ones last, as SCTP gives 3 s: start each so that all end their set-up together
            at = k - (max(len(x.first) for x in cases) - len(c.first))
            if at >= 0:
                p = c.first[at]
                side.send(p.d, p.build(c.flow))
        side.barrier()
    start = clock.now()
    table = side.table()
    for c in cases:
        e = list(table.get(c.flow.idx, {}).values())
        want = c.secs if not c.later else DEF["udp"]
        if len(e) != 1 or e[0].timeout is None or not want - 2 <= e[0].timeout <= want + 1:
            c.problems.append("after its packets: %s, expected one entry of %d s" % ([x.line for x in e], want))
    for c in cases:
        c.end = start + c.secs
    ordered = sorted((c for c in cases if not c.later), key=lambda c: c.end)
    for i, end in enumerate(sorted({c.end for c in ordered})):
        group = [c for c in ordered if c.end == end]
        clock.to(end - 2)
        t = side.table()
        # On a machine so busy that the look itself took the 2 s, it says nothing.
        timely = clock.now() < end - (start - began)
        for c in group:
            if timely and not t.get(c.flow.idx) and not c.problems:
                c.problems.append("gone 2 s early")
        clock.to(end + 2)
        t = side.table()
        for c in group:
            if t.get(c.flow.idx):
                c.problems.append("still listed 2 s after its end: " + list(t[c.flow.idx].values())[0].line)
        # a reply of the dead connection meets none, whatever the sweep has done
        for c in group:
            p = Tcp("s", "RA", 1, 1) if c.name.startswith("tcp") else None
            if p:
                side.send("s", p.build(c.flow))
        got = side.barrier()
        for b in got["c"]:
            c.problems.append("a packet of the dead connection was forwarded")
    for c in ordered:
        line("time_out_" + c.name, "; ".join(c.problems), counts)


def streams(side, cases, clock, counts):
    for c in cases:
        for p in c.first:
            side.send(p.d, p.build(c.flow))
    side.barrier()
    clock.to(clock.now() + 3)
    began = clock.now()
    for c in cases:
        for p in c.later:
            side.send(p.d, p.build(c.flow))
    side.barrier()
    t = side.table()
    for c in cases:
        e = list(t.get(c.flow.idx, {}).values())
        if len(e) != 1 or not c.secs - 2 <= (e[0].timeout or 0) <= c.secs + 1 or "ASSURED" not in e[0].flags:
            c.problems.append("%s, expected an ASSURED entry of %d s" % ([x.line for x in e], c.secs))
    end = clock.now() + cases[0].secs
    clock.to(end - 2)
    t = side.table()
    timely = clock.now() < began + cases[0].secs
    for c in cases:
        if timely and not t.get(c.flow.idx):
            c.problems.append("gone 2 s early")
    clock.to(end + 2)
    t = side.table()
    for c in cases:
        if t.get(c.flow.idx):
            c.problems.append("still listed 2 s after its end")
        line("time_out_" + c.name, "; ".join(c.problems), counts)


def one(side, f):
    e = list(side.table().get(f.idx, {}).values())
    return e[0] if len(e) == 1 else None


def play(side, f, *pkts):
    for p in pkts:
        side.send(p.d, p.build(f))
    return side.barrier()


def refresh(side, idx, clock, counts):
    """What refreshes a timer and what does not."""
    icmp = IcmpErr("s", echo("c"), mid=True)
    rules = [
        ("udp_packet_refreshes", [Udp("c")], [Udp("c")], True, 20, 30), ("udp_reply_refreshes", [Udp("c")], [Udp("s")], True, 20, 120),
        ("icmp_query_refreshes", [echo("c")], [echo("c")], True, 20, 30), ("icmp_reply_refreshes", [echo("c")], [echo_reply("s")], True, 20, 30),
        ("icmp_error_does_not_refresh", [echo("c")], [icmp], False, 20, 30), ("repeated_syn_does_not_refresh", [T.HS[0]], [T.HS[0]], False, 20, 120),
        ("invalid_packet_does_not_refresh", T.HS, [Tcp("c", "A", 900000000, 1, n=5)], False, 20, 432000),
        ("ignored_syn_does_not_refresh", T.HS, [Tcp("c", "S", 900000)], False, 20, 432000), ("tcp_ack_refreshes", T.HS, [Tcp("c", "A", 1, 1)], True, 20, 432000),
        ("time_wait_fin_refreshes", T.SETUP["TIME_WAIT"][0], [Tcp("s", "FA", 1, 2)], True, 20, 120),
        ("sctp_data_refreshes", O.UP, [O.X("c", "DATA")], True, 20, 210), ("sctp_wrong_tag_does_not_refresh", O.UP, [Sctp("c", "DATA", vtag=5)], False, 20, 210),
    ]
    flows = []
    for fam in (4, 6):
        for name, first, then, fresh, wait, secs in rules:
            if name == "udp_reply_refreshes":
                secs = 120 if wait > 2 else 30
            f = Flow(fam, idx)
            idx += 1
            flows.append((f, name, fam, then, fresh, wait, secs))
            play(side, f, *first)
    clock.to(clock.now() + 20)
    for f, name, fam, then, fresh, wait, secs in flows:
        play(side, f, *then)
    t = side.table()
    for f, name, fam, then, fresh, wait, secs in flows:
        e = list(t.get(f.idx, {}).values())
        want = secs if fresh else secs - wait
        # an UDP answer that comes late: SEEN_REPLY with the packet itself, a stream with the next one
        okay = len(e) == 1 and (abs(e[0].timeout - want) <= 2 or name == "udp_reply_refreshes" and abs(e[0].timeout - 30) <= 2)
        line("%s_v%d" % (name, fam), "" if okay else "%s, expected %d s" % ([x.line for x in e], want), counts)
    return idx


def live_change(side, idx, clock, counts):
    """A changed time-out holds from the next packet on, and not before."""
    f = Flow(4, idx)
    play(side, f, Udp("c"))
    side.timeouts({"udp": 77})
    before = one(side, f)
    play(side, f, Udp("c"))
    after = one(side, f)
    side.timeouts(DEF)
    okay = before and after and before.timeout <= 30 and 75 <= after.timeout <= 77
    line("changed_time_out_holds_from_the_next_packet", "" if okay else "%s, then %s" % (before and before.line, after and after.line), counts)
    return idx + 1


def reuse(side, idx, clock, counts):
    """An expired record's tuple is a new connection for the next packet, in either direction."""
    for fam in (4, 6):
        f, g = Flow(fam, idx), Flow(fam, idx + 1)
        idx += 2
        play(side, f, Udp("c"), Udp("s"))
        play(side, g, *T.HS)
        clock.to(clock.now() + 432010)
        got = play(side, f, Udp("s"))
        e = one(side, f)
        okay = len(got["c"]) == 1 and e and e.orig[0][1].startswith("10.2." if fam == 4 else "fd02") and "UNREPLIED" in e.flags
        line("expired_tuple_is_new_in_the_other_direction_v%d" % fam, "" if okay else "%s" % (e and e.line), counts)
        got = play(side, g, Tcp("s", "S", 9000), Tcp("c", "SA", 9000, 9001))
        e = one(side, g)
        okay = len(got["c"]) == 1 and len(got["s"]) == 1 and e and e.state == "SYN_RECV" and e.orig[0][1].startswith("10.2." if fam == 4 else "fd02")
        line("expired_tcp_tuple_is_new_v%d" % fam, "" if okay else "%s" % (e and e.line), counts)
    return idx


def main():
    counts = {False: 0, True: 0}
    t0 = time.monotonic()
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        side = lab.add(BpfctSide("t"))
        side.timeouts(DEF)
        clock = Clock(side)
        idx = 1
        cases = []
        for name in CASES:
            for fam in (4, 6):
                cases.append(Case(name, fam, idx))
                idx += 1
        lives(side, [c for c in cases if not c.later], clock, counts)
        streams(side, [c for c in cases if c.later], clock, counts)
        idx = refresh(side, idx, clock, counts)
        idx = live_change(side, idx, clock, counts)
        reuse(side, idx, clock, counts)
    print("# %d passed, %d failed, %.1f s" % (counts[False], counts[True], time.monotonic() - t0))
    return 1 if counts[True] else 0


if __name__ == "__main__":
    suite("timeouts", main)
