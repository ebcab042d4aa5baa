# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Legal fragmentations: each of these must arrive."""
from ctpkt import GRE, ICMP, ICMP6, SCTP, TCP, UDP
from fragcase import random_l4, random_size
from fragpkt import L4


def plain(c, order, **kw):
    _, d = c.datagram(**kw)
    c.steps = c.cut(d)
    order(c.rng, c.steps)


def in_order(c):
    plain(c, lambda r, s: None)


def reversed_(c):
    plain(c, lambda r, s: s.reverse())


def shuffled(c):
    plain(c, lambda r, s: r.shuffle(s))


def duplicates(c):
    """Exact ones, all before the datagram is complete."""
    plain(c, lambda r, s: r.shuffle(s))
    last = c.steps.pop()
    for s in c.rng.choices(c.steps, k=c.rng.randrange(1, 8)):
        c.steps.insert(c.rng.randrange(c.steps.index(s), len(c.steps)) + 1, s)
    c.steps.append(last)


def late_duplicate(c):
    """After the datagram: never completes another."""
    plain(c, lambda r, s: r.shuffle(s))
    c.steps.append(c.rng.choice(c.steps))


def sent_twice(c):
    """All of it again, once the first is complete: a receiver gets it twice."""
    plain(c, lambda r, s: r.shuffle(s))
    again = list(c.steps)
    c.rng.shuffle(again)
    c.steps += again
    c.times = 2


def id_used_again(c):
    """Another datagram of that id, once the first is complete."""
    _, a = c.datagram()
    s = c.cut(a)
    c.rng.shuffle(s)
    _, b = c.datagram(l4=random_l4(c.rng, c.fam, random_size(c.rng), (a.l4.proto,)), ident=a.ident)
    t = c.cut(b, of=1)
    c.rng.shuffle(t)
    c.steps = s + t


def smallest(c):
    """Two fragments, the first as small as the transport header allows."""
    r = c.rng
    p = r.choice((UDP, ICMP, TCP, SCTP, GRE))
    l4 = random_l4(r, c.fam, r.randrange(20, 2000), (p,))
    _, d = c.datagram(l4=l4)
    first = (d.header + 7) & ~7
    c.cuts, c.odd = {0: [(0, first), (first, len(d.part))]}, {}
    c.steps = c.pieces(0)
    r.shuffle(c.steps)


def sixty_four(c):
    r = c.rng
    size = r.choice((600, 5000, 60000))
    _, d = c.datagram(l4=random_l4(r, c.fam, size, (UDP, TCP, ICMP)))
    n = len(d.part)
    low = (max(d.header, 8) + 7) // 8
    if size == 60000:
        step = (n // 64 + 7) & ~7
        at = [step * k for k in range(1, 64)]
    else:
        at = sorted(8 * x for x in r.sample(range(low, (n - 1) // 8 + 1), 63))
    at = [0] + at + [n]
    c.cuts, c.odd = {0: list(zip(at, at[1:]))}, {}
    c.steps = c.pieces(0)
    r.shuffle(c.steps)


def largest(c):
    """65,535 bytes, to the last."""
    r = c.rng
    l4 = random_l4(r, c.fam, 0, (UDP, ICMP, TCP))
    room = 65535 - (20 if c.fam == 4 else 0) - l4.header
    l4.body = r.randbytes(room)
    _, d = c.datagram(l4=l4)
    c.steps = c.cut(d, n=r.randrange(6, 64))
    r.shuffle(c.steps)


OPTIONS = (b"\x01" * 4, b"\x01" * 39 + b"\0", b"\x9e\x06abcd\x01\0", b"\x1e\x04ab")


def options(c):
    """IPv4 options, in all fragments or, where they are not to be copied, in the first."""
    opts = c.rng.choice(OPTIONS)
    _, d = c.datagram(size=random_size(c.rng, high=60000), opts=opts)
    c.cut(d)
    if not opts[0] & 0x80:
        c.odd = {(0, a): {"opts": b""} for a, _ in c.cuts[0] if a}
    c.steps = c.pieces(0)
    c.rng.shuffle(c.steps)


def dont_fragment(c):
    plain(c, lambda r, s: r.shuffle(s), df=True)


def zero_checksum(c):
    plain(c, lambda r, s: r.shuffle(s), l4=L4(UDP, c.rng.randbytes(random_size(c.rng)), nosum=True))


def other_protocol(c):
    """Same addresses and id, another protocol: two datagrams (IPv4)."""
    r = c.rng
    _, a = c.datagram(l4=random_l4(r, c.fam, random_size(r), (UDP,)))
    s = c.cut(a)
    _, b = c.datagram(l4=random_l4(r, c.fam, random_size(r), (ICMP, TCP, 253)), ident=a.ident)
    s += c.cut(b, of=1)
    r.shuffle(s)
    c.steps = s


def other_source(c):
    """Same id, destination and protocol, another source."""
    r = c.rng
    _, a = c.datagram(l4=random_l4(r, c.fam, random_size(r), (UDP,)))
    s = c.cut(a)
    _, b = c.datagram(l4=random_l4(r, c.fam, random_size(r), (UDP,)), ident=a.ident, source="other")
    s += c.cut(b, of=1)
    r.shuffle(s)
    c.steps = s


CHAINS = (("dst",), ("hop",), ("routing",), ("hop", "dst"), ("hop", "dst", "routing"), ("long",), ("hop", "long"))


def headers_before(c):
    plain(c, lambda r, s: r.shuffle(s), size=random_size(c.rng, high=60000), before=c.rng.choice(CHAINS))


def headers_after(c):
    plain(c, lambda r, s: r.shuffle(s), size=random_size(c.rng, high=60000), after=c.rng.choice((("dst",), ("long",), ("dst", "long"))))


def headers_both(c):
    plain(c, lambda r, s: r.shuffle(s), size=random_size(c.rng, high=60000), before=c.rng.choice(CHAINS), after=("dst",))


def headers_differ(c):
    """Only the unfragmentable part of the first fragment counts (RFC 8200 section 4.5)."""
    _, d = c.datagram(size=random_size(c.rng, high=60000), before=("hop", "dst"))
    c.cut(d)
    c.odd = {(0, a): {"before": ("hop",)} for a, _ in c.cuts[0] if a}
    c.steps = c.pieces(0)
    c.rng.shuffle(c.steps)


def long_headers_last(c):
    """The first fragment, whose headers alone are longer than other fragments are, comes
    last: what leaves is built in a packet that the kernel does not shrink below them."""
    r = c.rng
    odd = {"opts": b"\x01" * 39 + b"\0"} if c.fam == 4 else {"before": r.choice((("hop", "dst", "routing", "long"), ("long", "long"), ("dst",)))}
    _, d = c.datagram(l4=random_l4(r, c.fam, r.randrange(9, 60), (UDP, TCP, ICMP)), **odd)
    c.cut(d, style="small")
    bare = {"opts": b""} if c.fam == 4 else {"before": ()}
    c.odd = {(0, a): bare for a, _ in c.cuts[0] if a}
    c.steps = c.pieces(0)
    c.steps.reverse()


def short_headers_last(c):
    """The other way round: the first is shorter than the headers of what comes last."""
    r = c.rng
    _, d = c.datagram(l4=random_l4(r, c.fam, r.randrange(9, 20), (UDP, ICMP)))
    c.cut(d, n=2)
    long = {"opts": b"\x01" * 39 + b"\0"} if c.fam == 4 else {"before": ("hop", "dst", "routing", "long")}
    c.odd = {(0, a): long for a, _ in c.cuts[0] if a}
    c.steps = c.pieces(0)


def next_header_differs(c):
    """Only the Next Header of the first fragment counts, too."""
    _, d = c.datagram()
    c.cut(d)
    c.odd = {(0, a): {"nh": c.rng.choice((UDP, TCP, 253))} for a, _ in c.cuts[0] if a}
    c.steps = c.pieces(0)
    c.rng.shuffle(c.steps)


def hops_differ(c):
    _, d = c.datagram()
    c.cut(d)
    c.odd = {(0, a): {"hops": c.rng.randrange(2, 256)} for a, _ in c.cuts[0]}
    c.steps = c.pieces(0)
    c.rng.shuffle(c.steps)


def atomic(c):
    """A fragment header on a whole packet (RFC 6946)."""
    _, d = c.datagram(size=c.rng.randrange(9, 11000), before=c.rng.choice(((), ("hop",), ("dst", "routing"))))
    c.cuts, c.odd = {0: [(0, len(d.part))]}, {}
    c.steps = c.pieces(0)


def atomic_between(c):
    """An atomic fragment is no piece of a datagram with that id."""
    r = c.rng
    _, a = c.datagram(l4=random_l4(r, 6, random_size(r), (UDP,)))
    s = c.cut(a)
    r.shuffle(s)
    _, b = c.datagram(l4=random_l4(r, 6, 200, (TCP, ICMP6)), ident=a.ident)
    c.cuts[1] = [(0, len(b.part))]
    s.insert(r.randrange(1, len(s) + 1), c.pieces(1)[0])
    c.steps = s
