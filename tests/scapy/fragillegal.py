# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Illegal fragmentations: of these nothing may arrive, but for beyond() and empty(),
where only the piece that is wrong is discarded."""
from ctpkt import GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE
from fragcase import CHECKED, LARGEST_PIECE, Step, cut, random_l4, random_size
from fragpkt import L4


def start(c, least=3, l4=None, protocols=None):
    """A legal shuffled case of at least so many pieces, of 16 bytes or more."""
    r = c.rng
    _, d = c.datagram(l4=l4 or random_l4(r, c.fam, random_size(r, low=40 * least + 60), protocols))
    n = max(least, r.choice((3, 4, 7, 15, 30)))
    step = max(16, (len(d.part) // n + 7) & ~7, (d.header + 7) & ~7)
    at = list(range(0, len(d.part) - 1, step)) + [len(d.part)]
    if at[-1] - at[-2] < 8 and len(at) > 2:
        del at[-2]
    c.cuts, c.odd = {0: list(zip(at, at[1:]))}, {}
    if any(b - a > LARGEST_PIECE for a, b in c.cuts[0]):
        c.cuts[0] = cut(r, len(d.part), d.header, 12, "equal")
    c.steps = c.pieces(0)
    r.shuffle(c.steps)
    return d


def before_the_end(c, step):
    """A step more, anywhere but after the datagram is complete."""
    c.steps.insert(c.rng.randrange(len(c.steps)), step)


def middle(c):
    """A piece that has a next one of two units at least."""
    pieces = c.pieces(0)
    k = c.rng.choice([k for k in range(len(pieces) - 1) if pieces[k + 1].end - pieces[k + 1].off > 8])
    return pieces[k], pieces[k + 1]


def replace(c, old, new):
    k = next(k for k, s in enumerate(c.steps) if s.off == old.off and s.of == old.of)
    c.steps[k] = new


def overlaps_next(c):
    """By eight bytes: the unit of offsets."""
    start(c)
    a, b = middle(c)
    replace(c, a, a.copy(end=a.end + 8))


def overlaps_previous(c):
    d = start(c)
    a, b = middle(c)
    replace(c, b, b.copy(off=b.off - 8) if b.end - b.off + 8 <= LARGEST_PIECE and a.end - a.off > 8 else b.copy(off=b.off + 8))
    if c.steps and len(d.part) % 8 == 0 and b.end == len(d.part) and b.end - b.off == 8:
        c.steps.remove(next(s for s in c.steps if s.off == a.off))


def overlaps_by_a_byte(c):
    """The last one ends one byte into a unit, where one more begins."""
    r = c.rng
    l4 = random_l4(r, c.fam, 0, (UDP, TCP, ICMP))
    l4.body = r.randbytes(8 * r.randrange(20, 600) + 1 - l4.header % 8)
    d = start(c, l4=l4)
    end = len(d.part)
    before_the_end(c, Step(end - 1, end, False, alter=lambda x: x + bytes(7)))


def middle_is_a_byte_longer(c):
    """Overlaps the next by one byte, and is no multiple of eight."""
    start(c)
    a, _ = middle(c)
    replace(c, a, a.copy(end=a.end + 1))


def middle_is_cut(c):
    """No multiple of eight: a hole."""
    start(c)
    a, _ = middle(c)
    replace(c, a, a.copy(end=a.end - c.rng.randrange(1, 8)))


def covers_several(c):
    start(c, 5)
    pieces = c.pieces(0)
    k = c.rng.randrange(len(pieces) - 2)
    # after one of those: else it takes their place, and all is legal
    at = min(i for i, s in enumerate(c.steps) if s.off in (pieces[k].off, pieces[k + 1].off))
    cover = Step(pieces[k].off, min(pieces[k + 1].end, pieces[k].off + LARGEST_PIECE // 8 * 8), True)
    c.steps.insert(c.rng.randrange(at + 1, len(c.steps)) if at + 1 < len(c.steps) else at, cover)


def contained(c):
    start(c)
    # not of the first: a small one there is refused by itself, as RFC 1858 and 3128 want
    a = c.rng.choice([s for s in c.pieces(0) if s.more and s.off and s.end - s.off >= 16])
    n = (a.end - a.off) // 8
    lo = c.rng.randrange(n)
    hi = c.rng.randrange(lo + 1, n + 1) if lo else c.rng.randrange(1, n)
    before_the_end(c, Step(a.off + 8 * lo, a.off + 8 * hi, True))


def flip(x):
    return x[:-1] + bytes([x[-1] ^ 0x20])


def other_content(c):
    """The same range, another byte in it."""
    start(c, protocols=CHECKED)
    before_the_end(c, c.rng.choice(c.pieces(0)).copy(alter=flip))


def other_more_flag(c):
    """The same range, once as the last, once not."""
    start(c, protocols=CHECKED)  # else the pieces before it may be a legal shorter datagram
    a = c.rng.choice([s for s in c.pieces(0) if s.more and s.off])
    before_the_end(c, a.copy(more=False))


def teardrop(c):
    """The second piece ends within the first."""
    r = c.rng
    _, d = c.datagram(l4=random_l4(r, c.fam, r.randrange(200, 2000), CHECKED))
    n = len(d.part) // 16 * 8
    c.steps = [Step(0, n, True), Step(n - 8 * r.randrange(2, 8), n - 8 - r.randrange(8), False)]
    c.cuts, c.odd = {0: [(0, n), (n, len(d.part))]}, {}
    if r.random() < 0.5:
        c.steps.append(Step(n, len(d.part), False))


def ping_of_death(c):
    """Complete, but for its length."""
    r = c.rng
    l4 = random_l4(r, c.fam, 0, (ICMP, GRE))  # no length in the pseudo header overflows
    l4.body = r.randbytes(65535 - (20 if c.fam == 4 else 0) - l4.header + r.choice((1, 2, 8, 300)))
    _, d = c.datagram(l4=l4)
    c.steps = c.cut(d, n=r.randrange(8, 60), style="equal")
    if r.random() < 0.5:
        r.shuffle(c.steps)


def beyond(c):
    """One piece that reaches over 65,535, among others that are all right."""
    start(c)
    before_the_end(c, Step(0, 0, c.rng.random() < 0.5, alter=lambda x: bytes(64)).copy(off=65528))


def tiny_first(c):
    """The transport header is not whole in the first fragment (RFC 1858, 3128)."""
    r = c.rng
    l4 = r.choice((L4(TCP, r.randbytes(600)), L4(TCP, r.randbytes(600), doff=r.randrange(7, 16)), L4(SCTP, r.randbytes(600)), L4(TCP, r.randbytes(600))))
    _, d = c.datagram(l4=l4)
    first = r.randrange(8, d.header, 8)
    rest = cut(r, len(d.part) - first, 8, r.randrange(2, 9), "random") if len(d.part) - first > 32 else [(0, len(d.part) - first)]
    c.cuts, c.odd = {0: [(0, first)] + [(a + first, b + first) for a, b in rest]}, {}
    c.steps = c.pieces(0)
    r.shuffle(c.steps)


def headers_not_first(c):
    """Extension headers push the transport header out of the first fragment (RFC 7112)."""
    r = c.rng
    after = r.choice((("dst",), ("long",), ("dst", "long"), ("dst", "dst", "dst"), ("long", "long")))
    _, d = c.datagram(l4=random_l4(r, 6, r.randrange(300, 4000), (UDP, TCP, ICMP6)), after=after)
    first = r.randrange(8, (d.header - 1) // 8 * 8 + 1, 8)
    rest = cut(r, len(d.part) - first, 8, r.randrange(2, 9), "random")
    c.cuts, c.odd = {0: [(0, first)] + [(a + first, b + first) for a, b in rest]}, {}
    c.steps = c.pieces(0)
    r.shuffle(c.steps)


def truncated(c):
    """A piece whose length field promises more than there is."""
    start(c)
    a = c.rng.choice(c.pieces(0))
    replace(c, a, a.copy(short=c.rng.randrange(1, a.end - a.off + 1)))


def two_ends(c):
    """Two last fragments that disagree on where the end is. In half of the cases the
    one goes on where the other ends, and no checksum tells."""
    r = c.rng
    gap = 8 * r.randrange(3)
    if r.random() < 0.5:
        gap = 0
        start(c, l4=L4(253, r.randbytes(8 * r.randrange(20, 1000))))
    else:
        start(c)
    last = c.pieces(0)[-1]
    before_the_end(c, Step((last.end + 7) // 8 * 8 + gap, None, False, alter=lambda x: bytes(24)))


def data_beyond_the_end(c):
    d = start(c)
    before_the_end(c, Step((len(d.part) + 7) // 8 * 8 + 8 * c.rng.randrange(4), None, True, alter=lambda x: bytes(16)))


def id_reused_while_pending(c):
    """A new datagram under the id of one that waits for its last piece."""
    r = c.rng
    a = start(c, protocols=CHECKED)
    old = c.steps[:r.randrange(1, len(c.steps))]
    _, b = c.datagram(l4=random_l4(r, c.fam, random_size(r, low=200), (a.l4.proto,)), ident=a.ident)
    s = c.cut(b, of=1)
    r.shuffle(s)
    c.steps = old + s
    have = [(x.off, x.end) for x in old]
    # it must meet what is held, else it is a legal mixture of two
    if not any(x.off < y.end and y.off < x.end for x in old for y in s) or all((y.off, y.end) in have for y in s):
        c.steps = old + [Step(0, 16, True, of=1)] + s


def hole(c):
    start(c)
    c.steps.remove(c.rng.choice(c.steps))


def only_later(c):
    """Everything but the first."""
    start(c)
    c.steps = [s for s in c.steps if s.off]


def empty(c):
    """A piece of no bytes among the others."""
    start(c)
    a = c.rng.choice(c.pieces(0))
    before_the_end(c, a.copy(end=a.off, more=True))


def too_many(c):
    r = c.rng
    n = r.choice((65, 66, 100, 300))
    l4 = random_l4(r, c.fam, 24 * n + r.randrange(30000), (UDP, TCP, ICMP))
    _, d = c.datagram(l4=l4)
    step = max(8, len(d.part) // n // 8 * 8, (d.header + 7) & ~7)
    at = list(range(0, len(d.part), step)) + [len(d.part)]
    c.cuts, c.odd = {0: list(zip(at, at[1:]))}, {}
    c.steps = c.pieces(0)
    r.shuffle(c.steps)


def wrong_checksum(c):
    r = c.rng
    l4 = random_l4(r, c.fam, random_size(r), (UDP, TCP, ICMP, SCTP, UDPLITE))
    l4.badsum = True
    # extension headers are no part of what a transport sums up
    _, d = c.datagram(l4=l4, **({"after": ("dst",)} if c.fam == 6 and r.random() < 0.5 else {}))
    c.steps = c.cut(d)
    r.shuffle(c.steps)


def dead_stays_dead(c):
    """What overlapped once is not revived by sending it again, properly."""
    start(c)
    pieces = c.pieces(0)
    a = c.rng.choice([s for s in pieces[1:] if s.end + 8 <= pieces[-1].end and s.end - s.off >= 16])
    c.steps = [a, a.copy(off=a.off + 8, end=a.end + 8)]
    c.rng.shuffle(c.steps)
    c.rng.shuffle(pieces)
    c.steps += pieces
