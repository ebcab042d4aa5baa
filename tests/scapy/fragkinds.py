# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The kinds of cases, and what the kernel and bpfct make of each. Where those differ
the reason stands beside it; frag_properties.py fails if such a difference does not
occur, or one that is not listed does."""
import fragillegal as i
import fraglegal as l
from fragcase import Case

WHOLE, NOTHING, ODD = "whole", "nothing", "odd"  # ODD: something, but not the datagram
EITHER, ANY = (WHOLE, NOTHING), (WHOLE, NOTHING, ODD)


class Kind:
    """kernel, kernel6: what a receiver behind nft may get (IPv4; IPv6 if that differs)."""

    def __init__(self, f, ours, share, fams, kernel=None, kernel6=None, why=None, rare=False):
        self.f, self.ours, self.share, self.fams, self.why, self.rare = f, ours, share, fams, why, rare
        self.kernel = {4: kernel or ours, 6: kernel6 or kernel or ours}
        self.name = f.__name__.rstrip("_")


def legal(f, share=2, fams=(4, 6), **kw):
    return Kind(f, (WHOLE,), share, fams, **kw)


def illegal(f, share=1, fams=(4, 6), **kw):
    return Kind(f, (NOTHING,), share, fams, **kw)


DROPS_ONE = "the kernel drops an IPv6 fragment that contradicts the known end, and keeps the datagram"
DISCARDED = "RFC 8200 section 4.5: a fragment that cannot be one is discarded, its datagram is not; the kernel discards both"
WITHIN = "the kernel drops what lies within the range that it has, and keeps the datagram"
KINDS = {k.name: k for k in (
    legal(l.in_order), legal(l.reversed_), legal(l.shuffled, 12), legal(l.duplicates, 6), legal(l.late_duplicate, 1),
    legal(l.sent_twice), legal(l.id_used_again), legal(l.smallest), legal(l.sixty_four, 1), legal(l.largest, 1),
    legal(l.options, 3, (4,)), legal(l.dont_fragment, 3, (4,)), legal(l.zero_checksum, 1, (4,)), legal(l.other_protocol, 2, (4,)),
    legal(l.other_source), legal(l.headers_before, 3, (6,)), legal(l.headers_after, 3, (6,)), legal(l.headers_both, 2, (6,)),
    legal(l.headers_differ, 2, (6,)), legal(l.long_headers_last, 2), legal(l.short_headers_last, 1), legal(l.next_header_differs, 2, (6,)), legal(l.hops_differ, 1), legal(l.atomic, 2, (6,)),
    legal(l.atomic_between, 1, (6,), kernel=ANY,
          why="RFC 6946: an atomic fragment is a datagram of its own; the kernel's tracker adds it to a pending one of that id"),
    illegal(i.overlaps_next), illegal(i.overlaps_previous), illegal(i.ping_of_death), illegal(i.truncated), illegal(i.hole),
    illegal(i.only_later), illegal(i.wrong_checksum, 2), illegal(i.id_reused_while_pending),
    illegal(i.middle_is_cut, kernel6=ANY, rare=True, why="the kernel's tracker lets a lone IPv6 fragment of an odd length pass"),
    illegal(i.overlaps_by_a_byte, kernel6=EITHER, why=DROPS_ONE), illegal(i.teardrop, kernel6=EITHER, why=DROPS_ONE),
    legal(i.beyond, 1, kernel=EITHER, why=DISCARDED),
    illegal(i.two_ends, kernel6=EITHER, why=DROPS_ONE),
    illegal(i.data_beyond_the_end, kernel6=EITHER, why=DROPS_ONE), illegal(i.other_more_flag, kernel6=EITHER, why=DROPS_ONE),
    illegal(i.covers_several, 3, kernel=EITHER, why=WITHIN), illegal(i.contained, kernel=EITHER, why=WITHIN),
    illegal(i.other_content, kernel=EITHER, why="the kernel keeps the first of equal ranges without comparing them"),
    illegal(i.middle_is_a_byte_longer, kernel=EITHER, kernel6=ANY,
            why="the kernel cuts an IPv4 fragment of odd length to a multiple of eight"),
    illegal(i.tiny_first, kernel=EITHER,
            why="RFC 1858, 3128: the first fragment must carry the transport header; the kernel reassembles without a look"),
    illegal(i.headers_not_first, 3, (6,), kernel=ANY,
            why="RFC 7112: the first fragment must carry all headers; the kernel looks, but not behind several extension headers"),
    illegal(i.too_many, kernel=(WHOLE,), why="a datagram has 64 pieces at most"),
    illegal(i.dead_stays_dead, kernel=EITHER, why="RFC 5722: pieces not yet received are dropped as well; the kernel forgets the datagram"),
    legal(i.empty, 1, kernel=ANY, why=DISCARDED),
)}


def make(kind, fam, n, seed):
    c = Case(kind, fam, n, seed)
    c.times = 1
    KINDS[kind].f(c)
    return c


def cases(fam, count, seed):
    """About `count` cases of a family, by the kinds' shares, four of each at least."""
    kinds = [k for k in KINDS.values() if fam in k.fams]
    total = sum(k.share for k in kinds)
    return [make(k.name, fam, n, seed) for k in kinds for n in range(max(4, -(-count * k.share // total)))]
