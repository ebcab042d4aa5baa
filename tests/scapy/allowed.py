# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where bpfct differs from nf_conntrack on purpose. The only such list in code;
docs/tcp-states.md says the same in prose, by the same names. An entry that no
sequence meets fails the suite."""
from ctpkt import Gre, Icmp, IcmpErr, Raw, Sctp, Tcp, Udp, UdpFragment


class Intended:
    """reason: one sentence. match(diff, settings name): is this it?"""

    def __init__(self, name, reason, match):
        self.name, self.reason, self.match = name, reason, match


def packet(d):
    return d.seq.pkts[d.step]


def stricter(d):
    return d.field == "verdict" and d.kernel == "pass" and d.subject == "drop"


def milder(d):
    return d.field == "verdict" and d.kernel == "drop" and d.subject == "pass"


def tcp_udp_checksum(d, label):
    p = packet(d)
    return milder(d) and isinstance(p, (Tcp, Udp)) and p.badsum and not getattr(p, "lite", False)


def udplite_checksum(d, label):
    p = packet(d)
    return milder(d) and isinstance(p, Udp) and p.lite and label != "no_checksum"


def icmp_inner_header(d, label):
    p = packet(d)
    return stricter(d) and isinstance(p, IcmpErr) and (p.inner_badsum or p.inner_mangle)


def icmp_inner_short(d, label):
    p = packet(d)
    return stricter(d) and isinstance(p, IcmpErr) and p.n4 < 8 and isinstance(p.inner, (Tcp, Udp))


def ipv6_header_chain(d, label):
    p = packet(d)
    return stricter(d) and d.seq.fam == 6 and isinstance(p, Raw) and p.proto in (51, 60)


def ipv6_no_next_header(d, label):
    p = packet(d)
    return milder(d) and d.seq.fam == 6 and isinstance(p, Raw) and p.proto == 59


def gre_pptp(d, label):
    p = packet(d)
    return d.field == "entries" and isinstance(p, Gre) and p.pptp is not None


def gre_time_outs(d, label):
    same = str(d.kernel).partition("@")[0] == str(d.subject).partition("@")[0]
    return label == "gre_live" and d.field == "timeout" and isinstance(packet(d), Gre) and same


def big_checksum(d, label):
    p = packet(d)
    if not milder(d) or not getattr(p, "badsum", False):
        return False
    return isinstance(p, Icmp) and p.n > 1500 or isinstance(p, Sctp) and sum(len(c[2]) for c in p.chunks if not isinstance(c, str)) > 9000


def sctp_chunks(d, label):
    p = packet(d)
    return isinstance(p, Sctp) and len(p.chunks) > 24


def sctp_tags(d, label):
    """Before it, one end has named a tag other than the one that the other end bore or was told before."""
    p = packet(d)
    if not isinstance(p, Sctp) or not (milder(d) or d.field == "timeout"):
        return False
    tags = {"c": set(), "s": set()}
    for q in d.seq.pkts[:d.step]:
        if isinstance(q, Sctp):
            tags[q.d].add(q.vtag)
            tags["s" if q.d == "c" else "c"].add(q.itag)
    return any(len(t - {0}) > 1 for t in tags.values())


def fragments(d, label):
    return isinstance(packet(d), UdpFragment)


ALLOWED = [
    Intended("tcp_udp_checksum", "bpfct does not verify TCP and UDP checksums: the sum over the payload would cost more than the rest of "
             "the packet's path, and an endpoint drops what is wrong", tcp_udp_checksum),
    Intended("udplite_checksum", "nf_conntrack verifies UDP-Lite with UDP's protocol number in the pseudo header and so calls every right "
             "checksum wrong; bpfct passes it", udplite_checksum),
    Intended("icmp_inner_header", "bpfct verifies the IP header that an ICMP error quotes, its checksum too (RFC 5508 REQ-3b); nf_conntrack "
             "looks at the addresses only", icmp_inner_header),
    Intended("icmp_inner_short", "bpfct wants the 8 bytes of the quoted transport header that RFC 792 promises; nf_conntrack takes 4",
             icmp_inner_short),
    Intended("ipv6_header_chain", "an IPv6 extension header that ends beyond the packet, and a seventh one, are INVALID (bounded work, I7); "
             "nf_conntrack goes on, behind the packet's end if need be, and tracks by address", ipv6_header_chain),
    Intended("ipv6_no_next_header", "an IPv6 packet without an upper layer is a packet (RFC 8200 4.7) and tracked by address; nf_conntrack calls it "
             "INVALID", ipv6_no_next_header),
    Intended("gre_pptp", "PPTP's GRE is tracked by address until `alg pptp` knows both call ids; nf_conntrack keys one direction by the "
             "call id of its first packet, so that the two directions never meet", gre_pptp),
    Intended("gre_time_outs", "a changed GRE time-out holds from the next packet on, as for every other protocol; nf_conntrack keeps the ones "
             "with which the connection began", gre_time_outs),
    Intended("big_checksum", "ICMP messages over 1,536 and SCTP packets over 9,216 bytes are not summed (bounded work, I7): the end host does it",
             big_checksum),
    Intended("sctp_chunks", "24 chunks of an SCTP packet are looked at (bounded work, I7), more only fit if they are DATA or SACK",
             sctp_chunks),
    Intended("sctp_tags", "a tag that an INIT or another INIT ACK names in a live association holds once a COOKIE chunk bears it, and the one "
             "before holds until then; nf_conntrack forgets that at once, so that a forged INIT ends the association", sctp_tags),
    Intended("fragments", "nf_conntrack reassembles; bpfct passes or drops fragments by `set fragments` until fragment handling is there",
             fragments),
]


def allow(diff, label):
    for a in ALLOWED:
        if a.match(diff, label):
            return a
    return None
