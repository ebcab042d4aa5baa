# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Odd packets into both datapaths of one vswitchd (tests/scapy/ovs_odd.sh): what the flows say of
them and what leaves has to be the same. Each packet has an Ethernet source of its own, which is how
its flow and what leaves is known again.

  ovs_odd.py PIPELINE...   a line of result for each; with -v every packet's two keys"""
import re
import socket
import struct
import sys
import time

from ovs_odd_frames import FRAMES, HOST
from ovs_packets import Wrong, check, tool

BRIDGES = ("br0", "br1")  # ours, and the userspace datapath's
DATAPATHS = ("bpf@ovs-bpf", "netdev@ovs-netdev")
WIRES = ("w", "x")

# What is no key of ours, and what the datapaths number as they like.
LEFT_OUT = {"recirc_id", "in_port", "dp_hash", "skb_priority", "packet_type", "nd_ext"}
PIPELINES = {
    "keys_are_the_same": "actions=2",
    "keys_of_one_tag_are_the_same": "actions=2",
    "tags_are_put_on_alike": "actions=push_vlan:0x8100,set_field:4103->vlan_vid,2",
    "tags_are_taken_off_alike": "vlan_tci=0x1000/0x1000,actions=pop_vlan,2\nactions=2",
    "ethernet_is_set_alike": "actions=set_field:02:00:00:00:00:99->eth_dst,2",
    "addresses_are_set_alike": "ip,actions=set_field:10.9.9.9->ip_src,set_field:10.8.8.8->ip_dst,2\n"
    "ipv6,actions=set_field:fd00::99->ipv6_src,set_field:fd00::98->ipv6_dst,2\nactions=2",
    "tos_and_ttl_are_set_alike": "ip,actions=set_field:46->ip_dscp,set_field:9->nw_ttl,2\n"
    "ipv6,actions=set_field:46->ip_dscp,set_field:9->nw_ttl,set_field:0x12345->ipv6_label,2\nactions=2",
    "ports_are_set_alike": "tcp,actions=set_field:999->tcp_dst,2\nudp,actions=set_field:999->udp_dst,2\n"
    "tcp6,actions=set_field:999->tcp_dst,2\nudp6,actions=set_field:999->udp_dst,2\n"
    "sctp,actions=set_field:999->sctp_dst,2\nsctp6,actions=set_field:999->sctp_dst,2\nactions=2",
    "arp_and_nd_are_set_alike": "arp,actions=set_field:02:00:00:00:00:99->arp_sha,set_field:9.9.9.9->arp_tpa,2\n"
    "icmp6,icmp_type=135,icmp_code=0,actions=set_field:fd00::97->nd_target,set_field:02:00:00:00:00:98->nd_sll,2\n"
    "icmp6,icmp_type=136,icmp_code=0,actions=set_field:fd00::97->nd_target,set_field:02:00:00:00:00:98->nd_tll,2\nactions=2",
    "packets_are_cut_alike": "actions=output(port=2,max_len=60)",
    "ct_judges_alike": "table=0,ip,actions=ct(table=1,zone=3)\ntable=0,ipv6,actions=ct(table=1,zone=3)\nactions=2\ntable=1,actions=2",
    "ct_of_two_zones_and_none_is_alike": "table=0,ip,actions=ct(table=1,zone=4)\ntable=0,ipv6,actions=ct(table=1,zone=4)\nactions=2\n"
    "table=1,ip,actions=set_field:7->nw_ttl,ct(table=2,zone=5)\ntable=1,ipv6,actions=set_field:7->nw_ttl,ct(table=2,zone=5)\n"
    "table=2,ip,ct_zone=5,actions=ct_clear,resubmit(,3)\ntable=2,ipv6,ct_zone=5,actions=ct_clear,resubmit(,3)\n"
    "table=3,ct_state=-trk,actions=push_vlan:0x8100,set_field:4098->vlan_vid,2",
}
# Where ours is another on purpose: of these packets nothing need be alike but the first flow.
KNOWN = {
    # A frame that ends behind its tag is no frame to the device that the userspace datapath sends it to.
    "tags_are_put_on_alike": ("no payload at all", "ip without a byte"),
    # Over there checksums of atomic fragments stay, "those" of later fragments are changed, in their payload.
    "addresses_are_set_alike": ("icmp6 cut to 4 bytes", "ip later fragment", "ip6 atomic fragment", "ip6 atomic fragment, reserved bits"),
    # A packet without the header that an action sets: dropped here, and counted (ovs_set).
    "ports_are_set_alike": (
        "ip total length that cuts udp", "ip total length that cuts tcp", "ip total length without transport", "ip6 payload length 0",
        "ip6 payload length that cuts udp", "tcp header of 16 bytes", "tcp header beyond the packet", "tcp6 header of 16 bytes",
        "tcp6 header beyond the packet", "tcp cut to 10 bytes", "ip first fragment of 4 bytes", "extension header that ends the packet"),
    # A tag in metadata is not counted, as with the kernel's datapath.
    "packets_are_cut_alike": ("tag", "tag with priority", "tag 0", "tag of 802.1ad", "two tags", "two tags, 802.1ad outside"),
    # The kernel's ct(): ports of SCTP and UDP-Lite, no sums of TCP and UDP (docs/tcp-states.md), no tuple with +inv, port 0, fragments
    # held; and another version than the Ethernet type says is +inv here, in IPv6 too.
    "ct_judges_alike": (
        "sctp", "sctp6", "udplite", "ip6 version 4", "ip header checksum wrong", "udp checksum wrong", "udp6 checksum 0", "tcp checksum wrong", "tcp without flags",
        "tcp with every flag", "ports of 0", "ip first fragment", "ip later fragment", "ip6 first fragment", "ip6 later fragment",
        "ip6 atomic fragment, reserved bits"),
}
KNOWN["ct_of_two_zones_and_none_is_alike"] = KNOWN["ct_judges_alike"] + ("ip without a byte",)  # a tag is put on here, too


def wire(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: a tag is told beside the data
    s.bind((name, 0))
    return s


IN = [wire(w + "0") for w in WIRES]
OUT = [wire(w + "1") for w in WIRES]


def number(mac):
    """Which of FRAMES it is, by its Ethernet source; None: none of them."""
    return struct.unpack("!H", mac[4:6])[0] if mac[:4] == HOST else None


def drain(sock):
    got = {}
    sock.settimeout(0)
    while True:
        try:
            data, anc, _, at = sock.recvmsg(65536, 256)
        except BlockingIOError:
            return got
        n = number(data[6:12])
        if n is None or at[2] == socket.PACKET_OUTGOING:
            continue
        for level, kind, aux in anc:
            if level == 263 and kind == 8:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", aux[:20])
                if status & 16:  # TP_STATUS_VLAN_VALID
                    data = data[:12] + struct.pack("!HH", tpid if status & 64 else 0x8100, tci) + data[12:]
        got.setdefault(n, []).append(data)


def fields(text):
    """name(content) of a flow's key, encap() opened."""
    out, depth, name, start = {}, 0, "", 0
    text = text.replace("encap(", "inner,", 9)
    at = 0
    for i, c in enumerate(text):
        if c == "(":
            if depth == 0:
                name, start = text[at:i].strip(", )"), i + 1
            depth += 1
        elif c == ")" and depth:
            depth -= 1
            if depth == 0:
                key = name.replace("inner,", "")
                while key in out:
                    key += "'"
                out[key] = text[start:i]
                at = i + 1
    return out


def plain(value):
    """0, an exact mask and a field that nobody asked for are one in either's notation."""
    value = re.sub(r"/0x[f]+\b|/(255\.){3}255|/(ff:){5}ff|/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", value)
    return value


def flows(datapath):
    out = {}
    for line in tool("ovs-appctl", "dpctl/dump-flows", "-m", datapath).splitlines():
        m = re.search(r"eth\(src=([0-9a-f:]+)", line)
        n = m and number(bytes.fromhex(m.group(1).replace(":", "")))
        if n is None:
            continue
        key = {k: plain(v) for k, v in fields(re.sub(r"^ufid:\S+ ", "", line.split(", packets:")[0])).items() if k not in LEFT_OUT}
        stage = "again" if "recirc_id(0)" not in line else "first"
        packets = int(re.search(r"packets:(\d+)", line).group(1))
        out.setdefault(n, {}).setdefault(stage, []).append((tuple(sorted(key.items())), packets))
    return {n: {s: sorted(v) for s, v in d.items()} for n, d in out.items()}


def send():
    """To both alike; slow enough for the smaller of all queues."""
    for n, (_, frame) in enumerate(FRAMES):
        for s in IN:
            s.send(frame[:6] + HOST + struct.pack("!H", n) + frame[12:])
        if n % 8 == 7:
            time.sleep(0.004)


def until(what, secs=8):
    """What `what` says when it has been the same for a moment."""
    end, last = time.monotonic() + secs, None
    while time.monotonic() < end:
        now = what()
        if now == last:
            break
        last = now
        time.sleep(0.15)
    return last


def rise(now, before):
    """The same with the packets that have come since: a flow may be from the pipeline before."""
    was = {(n, s, k): p for n, d in before.items() for s, v in d.items() for k, p in v}
    return {n: {s: [(k, p - was.get((n, s, k), 0)) for k, p in v] for s, v in d.items()} for n, d in now.items()}


def show(mine, theirs):
    """Where two descriptions of a packet's flows part."""
    if not mine or not theirs or mine.keys() != theirs.keys():
        return "%s\n    or %s" % (mine, theirs)
    out = []
    for stage in mine:
        for (k1, n1), (k2, n2) in zip(mine[stage], theirs[stage]):
            d1, d2 = dict(k1), dict(k2)
            out += ["%s %s: %s, there %s" % (stage, k, d1.get(k), d2.get(k)) for k in sorted(d1.keys() | d2.keys()) if d1.get(k) != d2.get(k)]
            out += ["%s packets: %d, there %d" % (stage, n1, n2)] if n1 != n2 else []
        out += ["%s flows: %d, there %d" % (stage, len(mine[stage]), len(theirs[stage]))] if len(mine[stage]) != len(theirs[stage]) else []
    return "; ".join(out)


def compare(verbose, known):
    for verb in ("pause", "purge", "resume"):  # tests/lib/ovs.sh, ovs_purge()
        tool("ovs-appctl", "revalidator/" + verb)
    send()
    before = until(lambda: [flows(d) for d in DATAPATHS])
    for s in OUT:
        drain(s)
    send()
    mine, theirs = [rise(*f) for f in zip(until(lambda: [flows(d) for d in DATAPATHS]), before)]
    left = [drain(s) for s in OUT]
    wrong = []
    for n, (name, _) in enumerate(FRAMES):
        if verbose:
            print("#", name, mine.get(n), theirs.get(n))
        a, b, out = mine.get(n, {}), theirs.get(n, {}), [s.get(n, []) for s in left]
        if name in known:
            if a.get("first") != b.get("first") or (a == b and out[0] == out[1]):
                wrong.append("%s: is known to differ, and not so: %s" % (name, show(a, b)))
            continue
        if a != b:
            wrong.append("%s: %s" % (name, show(a, b)))
        if out[0] != out[1]:
            wrong.append("%s: left\n       %s" % (name, "\n    or ".join(str([p.hex() for p in w]) for w in out)))
    check(not wrong, "%d of %d differ:\n  %s" % (len(wrong), 2 * len(FRAMES), "\n  ".join(wrong)))


def main():
    args, bad = [a for a in sys.argv[1:] if a != "-v"], 0
    tool("ovs-appctl", "upcall/disable-megaflows")
    for name in args or PIPELINES:
        # With one, the default, a second tag is an Ethernet type.
        tool("ovs-vsctl", "set", "open_vswitch", ".", "other_config:vlan-limit=%d" % (1 if "one_tag" in name else 2))
        for bridge in BRIDGES:
            tool("ovs-ofctl", "del-flows", bridge)
            tool("ovs-ofctl", "-OOpenFlow15", "add-flows", bridge, "-", text=PIPELINES[name])
        try:
            compare("-v" in sys.argv, KNOWN.get(name, ()))
            print("ok", name, flush=True)
        except Wrong as e:
            bad = 1
            print("FAIL %s: %s" % (name, e), flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
