#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Each attack with fragments by itself: what arrives, the counter of `ctctl frag`,
the reason of the drop. And the bounds: quotas, minimum size, modes, time-outs.

  frag_counters.py [GLOB]
"""
import fnmatch
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ctlab import BpfctSide, Lab, suite
from ctpkt import ICMP, ICMP6, SCTP, TCP, UDP, Flow
from fragpkt import L4, Datagram
from pktlab import Drops, Wrong, check, quiet

TESTS = []
rng = random.Random(4)


def each(*fams):
    def wrap(f):
        for fam in fams:
            TESTS.append(("%s_v%d" % (f.__name__, fam), f, fam))
        return f
    return wrap


both = each(4, 6)


class Router:
    def __init__(self, side):
        self.side, self.idx = side, 0
        self.drops = Drops(side.instance)

    def datagram(self, fam, n=1000, proto=UDP, same=False, **kw):
        """A new one, of a connection of its own unless `same`."""
        self.idx += not same
        f = Flow(fam, self.idx)
        kw.setdefault("ident", rng.randrange(1, 65536))
        src = kw.pop("src", f.c)
        l4 = kw.pop("l4", None) or L4(proto, rng.randbytes(n))
        return Datagram(fam, src, f.s, l4, 40000, 80, kw.pop("ident"), **kw)

    def frag(self):
        return json.loads(self.side.ctctl("-j", "frag").stdout)

    def used(self):
        t = self.frag()["total"]
        return t["datagrams"]["used"], t["bytes"]["used"]

    def play(self, packets, arrive=0, stats=None, drops=None, d="c"):
        """Sends; exactly these counters of the family, and these reasons, have moved by so much.
        A tuple of reasons: any of them, together."""
        fam = "inet" if packets[0][0] >> 4 == 4 else "inet6"
        a, before = self.frag()[fam], self.drops.read()
        for p in packets:
            self.side.send(d, p)
        got = quiet(self.side.barrier())["s" if d == "c" else "c"]
        b, after = self.frag()[fam], self.drops.read()
        moved = {k: b[k] - a[k] for k in b if b[k] != a[k]}
        why = {k: after[k] - before[k] for k in after if after[k] != before[k] and k != "fw_invalid"}
        text = "arrived %d; counted %s; dropped %s" % (len(got), moved, why)
        check(len(got) == arrive, text)
        if stats is not None:
            check(moved == stats, "%s; not counted %s" % (text, stats))
        for k, n in (drops or {}).items():
            m = sum(why.pop(x, 0) for x in (k if isinstance(k, tuple) else (k,)))
            check(m == n, "%s; not %d times %s" % (text, n, k))
        check(drops is None or not why, "%s; dropped as well: %s" % (text, why))
        return got

    def settled(self):
        """What is pending goes with time."""
        for _ in range(50):
            if self.used() == (0, 0):
                return
            self.side.advance(61)
            time.sleep(0.1)
        raise Wrong("still held: %s" % json.dumps(self.frag()["total"]))


def two(d, at=None):
    at = at or len(d.part) // 16 * 8
    return d.piece(0, at, True), d.piece(at, len(d.part))


# ---------------------------------------------------------------- what is whole
@both
def a_whole_datagram_is_counted(r, fam):
    d = r.datagram(fam)
    r.play(two(d), 2, {"accepted": 2, "completed": 1, "released": 2}, {})
    check(r.used() == (0, 0), "still held: %s %s" % r.used())


@both
def an_exact_duplicate_is_counted_and_ignored(r, fam):
    a, b = two(r.datagram(fam))
    r.play([a, a, a, b], 2, {"accepted": 2, "completed": 1, "released": 2, "duplicate": 2}, {"frag_duplicate": 2})


@both
def unfragmented_packets_touch_no_counter(r, fam):
    d = r.datagram(fam, 9000)
    r.play([d.unfragmented()] * 5, 5, {}, {})


@each(6)
def an_atomic_fragment_touches_no_counter(r, fam):
    d = r.datagram(fam)
    r.play([d.piece(0, len(d.part))], 1, {}, {})


@both
def a_datagram_is_one_packet_to_the_table(r, fam):
    """The decision is made once: one connection, and a fragment is a packet of it."""
    d = r.datagram(fam)
    r.play(two(d), 2)
    e = list(r.side.table().get(r.idx, {}).values())
    check(len(e) == 1 and "UNREPLIED" in e[0].flags, "table: %s" % [x.line for x in e])


# ---------------------------------------------------------------- overlaps
def overlap(r, fam, pieces):
    """The pieces of a datagram of 400 bytes, of which the last sent overlaps; then all of it again."""
    d = r.datagram(fam, 392)
    packets = [p if isinstance(p, bytes) else d.piece(*p) for p in (pieces(d) if callable(pieces) else pieces)]
    held = len(packets) - 1
    r.play(packets, 0, {"accepted": held, "overlapped": 1}, {"frag_overlap": held + 1})
    again = [d.piece(0, 200, True), d.piece(200, 400)]
    r.play(again, 0, {}, {"frag_overlap": 2})


@both
def overlap_of_the_next_kills(r, fam):
    overlap(r, fam, [(200, 400, True), (0, 208, True)])


@both
def overlap_of_the_previous_kills(r, fam):
    overlap(r, fam, [(0, 200, True), (192, 400)])


@both
def overlap_by_one_byte_kills(r, fam):
    """Of a last piece that ends one byte into a unit."""
    d = r.datagram(fam, 393)
    r.play([d.piece(200, 401), d.piece(400, None, True, data=bytes(8))], 0, {"accepted": 1, "overlapped": 1}, {("frag_overlap", "frag_overflow"): 2})
    r.play([d.piece(0, 200, True)], 0, {}, {("frag_overlap", "frag_overflow"): 1})


@both
def equal_range_with_other_content_kills(r, fam):
    overlap(r, fam, lambda d: [(0, 200, True), d.piece(0, 200, True, data=d.part[:199] + bytes([d.part[199] ^ 1]))])


@both
def a_covered_range_kills(r, fam):
    overlap(r, fam, [(104, 200, True), (96, 304, True)])


@both
def a_contained_range_kills(r, fam):
    overlap(r, fam, [(96, 304, True), (104, 200, True)])


@both
def an_id_reused_while_pending_kills(r, fam):
    d = r.datagram(fam, 392)
    e = r.datagram(fam, 600, same=True, ident=d.ident)
    r.play([d.piece(0, 200, True), e.piece(0, 304, True), e.piece(304, None)], 0, {"accepted": 1, "overlapped": 1}, {"frag_overlap": 3})


@both
def teardrop_is_refused(r, fam):
    d = r.datagram(fam, 392)
    r.play([d.piece(0, 200, True), d.piece(24, 100)], 0, {"accepted": 1, "overlapped": 1}, {("frag_overlap", "frag_overflow"): 2})
    r.play([d.piece(200, 400)], 0, {}, {("frag_overlap", "frag_overflow"): 1})


# ---------------------------------------------------------------- lengths
@both
def ping_of_death_is_refused(r, fam):
    d = r.datagram(fam, proto=ICMP if fam == 4 else ICMP6)
    r.play([d.piece(0, 400, True), d.piece(65528, None, data=bytes(64))], 0, {"accepted": 1, "malformed": 1}, {"frag_overflow": 1})
    n = 65535 - (20 if fam == 4 else 0)
    at = n // 8 * 8
    e = r.datagram(fam, proto=ICMP if fam == 4 else ICMP6)
    r.play([e.piece(at, None, data=bytes(n - at + 1))], 0, {"malformed": 1}, {"frag_overflow": 1})


@both
def two_ends_are_refused(r, fam):
    d = r.datagram(fam, 392)
    r.play([d.piece(200, 400), d.piece(400, None, data=bytes(16))], 0, {"accepted": 1, "overlapped": 1}, {"frag_overflow": 2})
    r.play([d.piece(0, 200, True)], 0, {}, {"frag_overflow": 1})


@both
def a_piece_beyond_the_end_is_refused(r, fam):
    d = r.datagram(fam, 392)
    r.play([d.piece(200, 400), d.piece(800, None, True, data=bytes(16))], 0, {"accepted": 1, "overlapped": 1}, {"frag_overflow": 2})


@both
def a_middle_piece_of_odd_length_is_refused(r, fam):
    d = r.datagram(fam)
    r.play([d.piece(0, 201, True)], 0, {"malformed": 1}, {"frag_length": 1})


@both
def an_empty_piece_is_refused(r, fam):
    d = r.datagram(fam)
    r.play([d.piece(200, 200, True)], 0, {"malformed": 1}, {"frag_length": 1})


@both
def a_cut_packet_is_refused(r, fam):
    d = r.datagram(fam)
    a, b = two(d)
    r.play([a[:-4], b], 0, {"accepted": 1}, {"ip_total_len": 1})


@both
def tiny_first_fragment_is_refused(r, fam):
    """RFC 1858, 3128. It is seen when the datagram is whole, or from where the second piece begins."""
    for first, l4 in ((8, L4(TCP, rng.randbytes(500))), (16, L4(TCP, rng.randbytes(500))), (24, L4(TCP, rng.randbytes(500), doff=10)),
                      (8, L4(SCTP, rng.randbytes(500)))):
        d = r.datagram(fam, l4=l4)
        a = r.frag()["inet" if fam == 4 else "inet6"]["too_small"]
        b = r.drops.read()["frag_tiny"]
        r.play([d.piece(first, None), d.piece(0, first, True)], 0)
        check(r.frag()["inet" if fam == 4 else "inet6"]["too_small"] > a, "header of %d, first piece of %d: not counted as too small" % (d.header, first))
        check(r.drops.read()["frag_tiny"] > b, "header of %d, first piece of %d: not dropped as frag_tiny" % (d.header, first))


@both
def smallest_first_fragment_is_taken(r, fam):
    d = r.datagram(fam)
    r.play([d.piece(0, 8, True), d.piece(8, None)], 2)
    e = r.datagram(fam, proto=TCP)
    r.play([e.piece(0, 24, True), e.piece(24, None)], 2)


@each(6)
def headers_beyond_the_first_fragment_are_refused(r, fam):
    """RFC 7112."""
    for n in (8, 40, 72):
        d = r.datagram(fam, after=("long",))
        a = r.frag()["inet6"]["too_small"]
        b = r.drops.read()["frag_tiny"]
        r.play([d.piece(n, None), d.piece(0, n, True)], 0)
        check(r.drops.read()["frag_tiny"] > b, "not dropped as frag_tiny")
        check(r.frag()["inet6"]["too_small"] == a + 1, "not counted as too small")


@both
def the_65th_piece_is_refused(r, fam):
    d = r.datagram(fam, 65 * 16)
    pieces = [d.piece(a, a + 16, a + 16 < len(d.part)) for a in range(0, len(d.part), 16)]
    r.play(pieces[:65], 0, {"accepted": 64, "too_many": 1}, {"frag_pieces": 65})
    r.play(pieces[65:], 0)


@both
def a_wrong_transport_checksum_is_refused(r, fam):
    for proto in (UDP, TCP, ICMP if fam == 4 else ICMP6, SCTP):
        d = r.datagram(fam, l4=L4(proto, rng.randbytes(999), badsum=True))
        r.play(two(d, 504), 0, None, {"l4_checksum": 2})
        check(not r.side.table().get(r.idx), "protocol %d: a connection was made" % proto)


@each(4)
def a_wrong_header_checksum_is_refused(r, fam):
    d = r.datagram(fam)
    a, b = two(d)
    r.play([a[:10] + bytes([a[10] ^ 1]) + a[11:], b], 0, {"accepted": 1, "malformed": 1}, {"frag_header": 1})


# ---------------------------------------------------------------- bounds
class Limits:
    """A router with low ones."""
    CONF = """set default pass
set antispoof off
set fragments reassemble
set fragments limit datagrams 64
set fragments limit bytes 1048576
set fragments source datagrams 8
set fragments source bytes 65536
set fragments zone datagrams 48
set fragments timeout 2
"""


LIMITED = []


def limited(*fams):
    def wrap(f):
        for fam in fams:
            LIMITED.append(("%s_v%d" % (f.__name__, fam), f, fam))
        return f
    return wrap


def sources(fam, k):
    """Another /64 each."""
    return bytes((10, 1, 77, k)) if fam == 4 else b"\xfd\x01" + bytes(4) + b"\x77" + bytes((k,)) + bytes(7) + b"\x01"


@limited(4, 6)
def a_source_over_its_quota_is_refused_and_others_are_not(r, fam):
    mine = [r.datagram(fam, src=sources(fam, 1)) for _ in range(12)]
    r.play([two(d)[0] for d in mine], 0, {"accepted": 8, "refused": 4}, {"frag_source": 4})
    for k in range(2, 22):
        r.play(two(r.datagram(fam, src=sources(fam, k))), 2, {"accepted": 2, "completed": 1, "released": 2}, {})
    r.play([two(d)[1] for d in mine[:8]], 16)
    r.settled()


@limited(4, 6)
def a_source_over_its_bytes_is_refused(r, fam):
    d = r.datagram(fam, 60000, src=sources(fam, 1))
    e = r.datagram(fam, 60000, src=sources(fam, 1))
    r.play([d.piece(a, a + 8000, True) for a in range(0, 40000, 8000)], 0, {"accepted": 5})
    r.play([e.piece(a, a + 8000, True) for a in range(0, 40000, 8000)], 0, {"accepted": 3, "refused": 2}, {"frag_source": 2})
    check(r.used()[1] <= 65536, "%d bytes held" % r.used()[1])
    r.settled()


@limited(4, 6)
def a_zone_over_its_quota_is_refused(r, fam):
    r.play([two(r.datagram(fam, src=sources(fam, k)))[0] for k in range(60)], 0, {"accepted": 48, "refused": 12}, {"frag_zone": 12})
    r.settled()


@limited(4, 6)
def what_was_held_ends_with_its_time(r, fam):
    d = [r.datagram(fam, src=sources(fam, k)) for k in range(10)]
    before = r.frag()["inet" if fam == 4 else "inet6"]["expired"]
    r.play([two(x)[0] for x in d], 0)
    check(r.used()[0] == 10, "%d held" % r.used()[0])
    r.side.advance(3)
    end = time.monotonic() + 5
    while r.used() != (0, 0) and time.monotonic() < end:
        time.sleep(0.05)
    check(r.used() == (0, 0), "held: %s" % json.dumps(r.frag()["total"]))
    n = r.frag()["inet" if fam == 4 else "inet6"]["expired"] - before
    check(n == 10, "%d counted as expired" % n)
    r.play([two(x)[1] for x in d], 0)
    r.settled()


@limited(4, 6)
def a_late_piece_does_not_complete(r, fam):
    """Its time is over at once, whatever the sweep does."""
    d = r.datagram(fam)
    a, b = two(d)
    r.play([a], 0)
    r.side.advance(3)
    r.play([b], 0)
    r.settled()


def main():
    pat = sys.argv[1] if len(sys.argv) > 1 else "*"
    failed = passed = 0
    t0 = time.monotonic()
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        for conf, tests in ("set default pass\nset antispoof off\nset fragments timeout 60\nset fragments source datagrams 1024\n", TESTS), (Limits.CONF, LIMITED):
            r = Router(lab.add(BpfctSide("p" if tests is TESTS else "l", conf)))
            for name, f, fam in tests:
                if not fnmatch.fnmatch(name, pat):
                    continue
                try:
                    f(r, fam)
                    print("ok %s" % name)
                    passed += 1
                except (Wrong, RuntimeError) as e:
                    print("FAIL %s: %s" % (name, e))
                    failed += 1
                sys.stdout.flush()
    print("# %d passed, %d failed, %.1f s" % (passed, failed, time.monotonic() - t0))
    return 1 if failed else 0


if __name__ == "__main__":
    suite("frag_counters", main)
