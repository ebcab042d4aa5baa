# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where bpfct differs from nf_conntrack on purpose. The only such list in code;
docs/tcp-states.md says the same in prose, by the same names. An entry that no
sequence meets fails the suite."""
from ctpkt import Tcp, Udp


class Intended:
    """reason: one sentence. match(diff, settings name): is this it?"""

    def __init__(self, name, reason, match):
        self.name, self.reason, self.match = name, reason, match


def packet(d):
    return d.seq.pkts[d.step]


def tcp_udp_checksum(d, label):
    p = packet(d)
    return d.field == "verdict" and d.kernel == "drop" and isinstance(p, (Tcp, Udp)) and p.badsum and not getattr(p, "lite", False)


def udplite_checksum(d, label):
    p = packet(d)
    return d.field == "verdict" and d.kernel == "drop" and isinstance(p, Udp) and p.lite and label != "no_checksum"


ALLOWED = [
    Intended("tcp_udp_checksum", "bpfct does not verify TCP and UDP checksums: the sum over the payload would cost more than the rest of "
             "the packet's path, and an endpoint drops what is wrong", tcp_udp_checksum),
    Intended("udplite_checksum", "nf_conntrack verifies UDP-Lite with UDP's protocol number in the pseudo header and so calls every right "
             "checksum wrong; bpfct passes it", udplite_checksum),
]


def allow(diff, label):
    for a in ALLOWED:
        if a.match(diff, label):
            return a
    return None
