# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""One random case of fragmentation: a datagram, or two that might be confused, and
the order in which their pieces are sent. The kinds are in fraglegal.py and
fragillegal.py."""
import random

from ctpkt import GRE, ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, Flow
from fragpkt import L4, Datagram

LARGEST_PIECE = 11800  # of the lab's devices


class Step:
    """One packet of a case: a piece of datagram `of`, and what is odd about it.
    alter: bytes -> bytes, of its content."""

    __slots__ = ("of", "off", "end", "more", "alter", "over")

    def __init__(self, off, end, more, of=0, alter=None, **over):
        self.of, self.off, self.end, self.more, self.alter, self.over = of, off, end, more, alter, over

    def build(self, datagrams, hop=0):
        d = datagrams[self.of]
        over = dict(self.over)
        if hop and "hops" in over:
            over["hops"] -= hop
        if self.alter:
            over["data"] = self.alter(d.part[self.off:self.end])
        return d.piece(self.off, self.end, self.more, **over)

    def copy(self, **kw):
        s = Step(self.off, self.end, self.more, self.of, self.alter, **self.over)
        for k, v in kw.items():
            if k in Step.__slots__:
                setattr(s, k, v)
            else:
                s.over[k] = v
        return s

    def __str__(self):
        odd = "".join(" %s=%s" % kv for kv in self.over.items()) + (" altered" if self.alter else "")
        return "#%d %d..%s%s%s" % (self.of, self.off, self.end, "+" if self.more else "", odd)


class Case:
    def __init__(self, kind, fam, i, seed):
        self.kind, self.fam, self.i = kind, fam, i
        self.name = "v%d/%s/%d" % (fam, kind, i)
        self.rng = random.Random("%s/%s" % (seed, self.name))
        self.specs = []  # keyword arguments of Datagram, and "source": its sender
        self.steps = []
        self.d = self.rng.choice("cs")

    def datagram(self, l4=None, size=None, source="end", **kw):
        """Adds one; returns its number and the length of what is cut."""
        r = self.rng
        if l4 is None:
            l4 = random_l4(r, self.fam, size if size is not None else random_size(r))
        kw.setdefault("ident", r.randrange(1, 1 << (16 if self.fam == 4 else 32)))
        kw.setdefault("hops", r.randrange(2, 256))
        self.specs.append(dict(kw, l4=l4, source=source))
        d = self.build(self.flow(1), 1, 2)[-1]
        return len(self.specs) - 1, d

    def flow(self, idx):
        return Flow(self.fam, idx)

    def build(self, flow, sport, dport, src=None, dst=None, answer=False, hop=0):
        """The datagrams with their addresses, `hop` hops further."""
        out = []
        for spec in self.specs:
            kw = dict(spec)
            a, b = flow.ends(self.d)
            if kw.pop("source") == "other":
                a = flow.mc if self.d == "c" else flow.ms
            kw["hops"] -= hop
            out.append(Datagram(self.fam, src or a, dst or b, kw.pop("l4"), sport, dport, kw.pop("ident"), answer=answer, **kw))
        return out

    def pieces(self, of):
        """The legal pieces of a datagram, in order: what must come out."""
        return [Step(a, b, b != self.cuts[of][-1][1], of, **self.odd.get((of, a), {})) for a, b in self.cuts[of]]

    def cut(self, d, n=None, style=None, first=None, of=0):
        if of == 0:
            self.cuts, self.odd = {}, {}
        self.cuts[of] = cut(self.rng, len(d.part), first or max(d.header, 8), n, style)
        return self.pieces(of)

    def __str__(self):
        spec = self.specs[0]
        l4 = spec["l4"]
        return "%s from %s: protocol %d, %d bytes%s; sent %s" % (
            self.name, self.d, l4.proto, len(l4.body), "".join(" %s=%s" % (k, spec[k]) for k in ("before", "after", "opts", "df") if spec.get(k)),
            ", ".join(map(str, self.steps)))


def random_size(rng, low=9, high=65000):
    top = rng.choice((64, 1400, 4000, 12000, 30000, high))
    return rng.randrange(low, max(low + 1, min(top, high)))


def random_l4(rng, fam, size, protocols=None):
    p = rng.choice(protocols or (UDP, UDP, UDP, TCP, ICMP, SCTP, UDPLITE, GRE, 253))
    if p == ICMP and fam == 6:
        p = ICMP6
    return L4(p, rng.randbytes(max(0, min(size, 3000 if rng.randrange(20) else 30000) if p == SCTP else size)))


CHECKED = (UDP, TCP, ICMP, UDPLITE)  # who has a transport checksum


def cut(rng, total, first, n=None, style=None):
    """[(from, to)...]: boundaries at multiples of eight, the first piece at least `first` long."""
    first = (first + 7) & ~7
    room = (total - 1) // 8 - first // 8 + 1  # places where a cut may be
    if room < 1:
        raise ValueError("nothing to cut: %d of %d" % (total, first))
    style = style or rng.choice(("random", "random", "equal", "small"))
    n = n or rng.choice((2, 2, 3, 4, 5, 8, 12, 20, 33, 64))
    if style == "equal" and total > 2 * n * 8:
        step = max(8, (total // n + 7) & ~7)
        at = list(range(max(first, step), total, step))[:n - 1]
    else:
        low = first // 8
        span = min(room, n * 4) if style == "small" else room
        at = [8 * x for x in rng.sample(range(low, low + span), min(n - 1, span))]
    at = [0] + sorted(at) + [total]
    out = []
    for a, b in zip(at, at[1:]):
        while b - a > LARGEST_PIECE:
            m = a + rng.randrange(LARGEST_PIECE // 16, LARGEST_PIECE // 8 + 1) * 8
            m = min(m, (b - 1) // 8 * 8)
            out.append((a, m))
            a = m
        out.append((a, b))
    while len(out) > 64:  # join the two that are shortest together
        k = min(range(1, len(out) - 1), key=lambda k: out[k + 1][1] - out[k][0])
        out[k:k + 2] = [(out[k][0], out[k + 1][1])]
    return out
