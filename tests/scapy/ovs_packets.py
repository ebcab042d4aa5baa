# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""ovs_packets.py NAME... : tests of ct() under ovs-vswitchd (tests/scapy/ovs.sh), each in
a function of its name. The client's side is w0, port 1; the server's is w1, port 2."""
import os
import re
import socket
import subprocess
import sys
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, defragment6, fragment6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

C6, S6, N6, I6 = "fd00::1", "fd00::2", "fd00::99", "fd00::77"
C4, S4, N4 = "10.4.0.1", "10.4.0.2", "10.4.0.99"
LINK = {0: Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"), 1: Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")}
NAT = """
table=0,in_port=1,%s,actions=ct(commit,zone=1,nat(%s),table=1)
table=1,actions=2
table=0,in_port=2,%s,actions=ct(zone=1,nat,table=2)
table=2,ct_state=+trk+est-inv,actions=1
"""
SNAT4 = NAT % ("ip", "src=" + N4, "ip")


class Wrong(Exception):
    pass


def check(cond, text):
    if not cond:
        raise Wrong(text)


def tool(name, *args, text=None):
    p = subprocess.run([os.path.join(os.environ["OVS_TREE"], "utilities", name), *args], input=text, capture_output=True, text=True, timeout=60, check=False)
    check(p.returncode == 0, "%s %s: %s" % (name, " ".join(args), p.stderr or p.stdout))
    return p.stdout


def appctl(*args):
    return tool("ovs-appctl", *args)


def dpctl(command, *args):
    return appctl("dpctl/" + command, "bpf@ovs-bpf", *args)


def purge():
    """As ovs_purge() of tests/lib/ovs.sh, which says why."""
    for verb in ("pause", "purge", "resume"):
        appctl("revalidator/" + verb)


def pipeline(text):
    tool("ovs-ofctl", "del-flows", "br0")
    tool("ovs-ofctl", "add-flows", "br0", "-", text=text)
    purge()  # no packet goes by a flow of former rules
    appctl("dpctl/flush-conntrack")


def drops(reason):
    out = subprocess.run([os.environ["CTCTL"], "--instance", "ovs-bpf", "stats"], capture_output=True, text=True, check=True).stdout
    m = re.search(r"^\s*%s\s+(\d+)" % reason, out, re.M)
    return int(m.group(1)) if m else 0


class Wire:
    def __init__(self, side):
        self.side = side
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind(("w%d" % side, 0))

    def send(self, *packets):
        for p in packets:
            self.sock.send(bytes(LINK[self.side] / p))

    def got(self, n=1, secs=5.0):
        """Up to n packets that came; what the host says by itself is passed over. After the last
        one a moment more, so that one too many is seen."""
        out, end = [], time.monotonic() + secs
        while time.monotonic() < end:
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                frame, at = self.sock.recvfrom(65536)
            except TimeoutError:
                break
            if at[2] != socket.PACKET_OUTGOING and frame[:6] == bytes(LINK[1 - self.side])[:6]:
                out.append(Ether(frame)[1])
            if len(out) == n:
                end = min(end, time.monotonic() + 0.1)
        return out

    def one(self, what, secs=5.0):
        got = self.got(1, secs)
        check(len(got) == 1, "%s: %d packets came" % (what, len(got)))
        return got[0]

    def none(self, what):
        got = self.got(1, 0.4)
        check(not got, "%s: came: %s" % (what, got and got[0].summary()))


W0, W1 = None, None


def sums_hold(p):
    """Are its transport checksum and lengths what a sender would write?"""
    again = p.copy()
    del again[TCP if TCP in again else UDP].chksum
    if IP in again:
        del again[IP].chksum
    check(bytes(again) == bytes(p), "a checksum is wrong: " + p.summary())


def passes_cut(sender, receiver, whole, want, order):
    """The datagram in fragments, in this order: all come out, and together they are the one wanted."""
    pieces = fragment6(whole, 1000)
    check(len(pieces) == 3, "%d fragments" % len(pieces))
    sender.send(*[pieces[i] for i in order])
    got = receiver.got(3)
    check(len(got) == 3, "%d of 3 fragments came (%s)" % (len(got), order))
    check(sorted(len(p) for p in got) == sorted(len(p) for p in pieces), "not cut as they were")
    back = defragment6(got)
    back = IPv6(bytes(back))
    check((back.src, back.dst, back[UDP].sport, back[UDP].dport) == want, "came as %s" % back.summary())
    check(bytes(back[UDP].payload) == bytes(whole[UDP].payload), "another payload")
    sums_hold(back)


def cut6(src, dst, sport, dport, ident):
    p = IPv6(src=src, dst=dst) / IPv6ExtHdrFragment(id=ident) / UDP(sport=sport, dport=dport) / Raw(os.urandom(2500))
    plain = IPv6(bytes(IPv6(src=src, dst=dst) / UDP(sport=sport, dport=dport) / p[Raw]))
    p[UDP].chksum = plain[UDP].chksum
    p[UDP].len = plain[UDP].len
    return p


ORDERS = ((0, 1, 2), (2, 1, 0), (1, 2, 0))


def fragments6_are_translated_by_snat():
    pipeline(NAT % ("ipv6", "src=" + N6, "ipv6"))
    for n, order in enumerate(ORDERS):
        passes_cut(W0, W1, cut6(C6, S6, 1000 + n, 53, 10 + n), (N6, S6, 1000 + n, 53), order)
        passes_cut(W1, W0, cut6(S6, N6, 53, 1000 + n, 20 + n), (S6, C6, 53, 1000 + n), order)


def fragments6_are_translated_by_dnat():
    pipeline(NAT % ("ipv6", "dst=[%s]:5353" % I6, "ipv6"))
    for n, order in enumerate(ORDERS):
        passes_cut(W0, W1, cut6(C6, S6, 2000 + n, 53, 30 + n), (C6, I6, 2000 + n, 5353), order)
        passes_cut(W1, W0, cut6(I6, C6, 5353, 2000 + n, 40 + n), (S6, C6, 53, 2000 + n), order)


def ipf(name):
    return int(re.search(r"%s: *(\d+)" % name, appctl("dpctl/ipf-get-status", "bpf@ovs-bpf")).group(1))


def cut4(sport, ident, first, size=1600):
    whole = bytes(IP(src=C4, dst=S4, id=ident) / UDP(sport=sport, dport=53) / Raw(b"x" * size))[20:]
    return [IP(src=C4, dst=S4, id=ident, proto=17, flags="MF") / Raw(whole[:first]),
            IP(src=C4, dst=S4, id=ident, proto=17, frag=first // 8) / Raw(whole[first:])]


def fragments_are_counted_and_refused():
    pipeline(SNAT4)
    before = {k: ipf("v4 " + k) for k in ("frags accepted", "frags completed", "frags too small")}
    W0.send(*cut4(1000, 1, 800))
    check(len(W1.got(2)) == 2, "fragments of an ordinary size")
    check(ipf("v4 frags accepted") == before["frags accepted"] + 2, "accepted")
    check(ipf("v4 frags completed") == before["frags completed"] + 2, "completed")
    dpctl("ipf-set-min-frag", "v4", "1000")
    W0.send(*cut4(1001, 2, 800))
    W1.none("a fragment below the least size")
    check(ipf("v4 frags too small") > before["frags too small"], "too small")
    dpctl("ipf-set-min-frag", "v4", "400")
    dpctl("ipf-set-disabled", "v4")
    W0.send(*cut4(1002, 3, 800))
    W1.none("a fragment though they are disabled")
    dpctl("ipf-set-enabled", "v4")
    dpctl("ipf-set-max-nfrags", "500")
    before = {k: ipf("v6 " + k) for k in ("frags accepted", "frags completed", "frags too small")}
    pipeline(NAT % ("ipv6", "src=" + N6, "ipv6"))
    W0.send(*fragment6(cut6(C6, S6, 1000, 53, 5), 1400))
    n = len(W1.got(2))
    check([ipf("v6 " + k) - before[k] for k in ("frags accepted", "frags completed", "frags too small")] == [n, n, 0] and n, "IPv6: %d came" % n)
    dpctl("ipf-set-min-frag", "v6", "5000")
    W0.send(*fragment6(cut6(C6, S6, 1001, 53, 6), 1400))
    W1.none("a fragment of IPv6 below the least size")
    check(ipf("v6 frags too small") > before["frags too small"], "too small, of IPv6")
    pipeline(SNAT4)
    W0.send(*cut4(1004, 5, 800))
    check(len(W1.got(2)) == 2, "fragments of IPv4, while those of IPv6 are too small")
    dpctl("ipf-set-min-frag", "v6", "1280")
    dpctl("ipf-set-disabled", "v6")
    W0.send(*cut4(1005, 6, 800))
    check(len(W1.got(2)) == 2, "fragments of IPv4, those of IPv6 disabled")
    dpctl("ipf-set-enabled", "v6")
    overlaps = ipf("v4 frags overlapped")
    whole = cut4(1006, 7, 800)
    W0.send(whole[0], IP(src=C4, dst=S4, id=7, proto=17, frag=90) / Raw(b"y" * 800))
    W1.none("fragments that overlap")
    check(ipf("v4 frags overlapped") > overlaps, "overlapped")
    check("max num frags (v4/v6): 500" in appctl("dpctl/ipf-get-status", "bpf@ovs-bpf"), "the most of them")
    W0.send(*cut4(1003, 4, 800))
    check(len(W1.got(2)) == 2, "fragments, enabled again")


def largest_fragment_is_what_is_checked():
    pipeline("""
table=0,in_port=1,udp,actions=ct(commit,zone=1,table=1)
table=1,actions=check_pkt_larger(1000)->NXM_NX_REG0[0],resubmit(,2)
table=2,reg0=0,actions=2
table=2,reg0=1,actions=dec_ttl,2
""")
    for first, ttl in ((1200, 63), (800, 64), (1200, 63)):  # 1600 bytes and headers in all; the first ones go by vswitchd
        W0.send(*cut4(3000 + first, first, first))
        got = W1.got(2)
        check([p.ttl for p in got] == [ttl, ttl], "cut at %d: %s" % (first, [(len(p), p.ttl) for p in got]))


def first_packets_keep_what_is_known():
    """ct() and a group of one hash recirculate: what a packet has by then vswitchd hands back with it, once for each."""
    pipeline("")
    tool("ovs-ofctl", "-O", "OpenFlow15", "add-group", "br0", "group_id=1,type=select,selection_method=dp_hash," +
         ",".join("bucket=bucket_id:%d,weight:1,actions=resubmit(,2)" % n for n in (1, 2)))
    rules = """
table=0,in_port=1,%s,actions=set_field:7->pkt_mark,ct(commit,zone=1,exec(set_field:5->ct_mark,set_field:0x90000000000000003->ct_label),table=1)
table=1,%s,actions=group:1
table=2,%s,pkt_mark=7,ct_mark=5,ct_label=0x90000000000000003,ct_zone=1,ct_state=+trk+new,%s,ct_nw_proto=17,ct_tp_src=%s,ct_tp_dst=53,actions=2
"""
    text = rules % ("udp", "udp", "udp", "ct_nw_src=%s,ct_nw_dst=%s" % (C4, S4), "6001") + rules % ("udp6", "udp6", "udp6", "ct_ipv6_src=%s,ct_ipv6_dst=%s" % (C6, S6), "6001")
    tool("ovs-ofctl", "-O", "OpenFlow15", "add-flows", "br0", "-", text=text)
    tool("ovs-ofctl", "-O", "OpenFlow15", "add-flow", "br0", "table=2,priority=65000,udp,dl_vlan=7,dl_vlan_pcp=3,pkt_mark=7,ct_mark=5,actions=strip_vlan,2")
    for n in range(2):  # by vswitchd, by flows
        W0.send(Dot1Q(vlan=7, prio=3) / IP(src=C4, dst=S4) / UDP(sport=6002, dport=53) / Raw(b"x"))
        W1.one("tagged, %d" % n)
        W0.send(IP(src=C4, dst=S4) / UDP(sport=6001, dport=53) / Raw(b"x"))
        W1.one("IPv4, %d" % n)
        W0.send(IPv6(src=C6, dst=S6) / UDP(sport=6001, dport=53) / Raw(b"x"))
        W1.one("IPv6, %d" % n)
    tool("ovs-ofctl", "-O", "OpenFlow15", "del-flows", "br0")
    tool("ovs-ofctl", "-O", "OpenFlow15", "del-groups", "br0")


def deleted_flows_have_counted():
    pipeline("in_port=1,udp,actions=2")
    for n in range(5):
        W0.send(IP(src=C4, dst=S4) / UDP(sport=6100, dport=53) / Raw(b"x"))
    check(len(W1.got(5)) == 5, "not all came")
    purge()
    text = tool("ovs-ofctl", "dump-flows", "br0")
    check("n_packets=5, n_bytes=%d," % (5 * 43) in text, text)


def entry_of(port, zone):
    lines = [line for line in appctl("dpctl/dump-conntrack", "-m", "-s", "bpf@ovs-bpf", "zone=%d" % zone).splitlines() if "sport=%d" % port in line]
    check(len(lines) == 1, "%d of %d are listed" % (len(lines), port))
    return lines[0]


def all_of_a_connection_is_listed():
    pipeline(SNAT4.replace(",table=1)", ",exec(set_field:5->ct_mark,set_field:0x90000000000000003->ct_label),table=1)"))
    handshake(4501)
    answers(4501)
    W0.send(segment(0, 4501, "A", 1001, 5005))
    W1.one("an acknowledgement")
    line = entry_of(4501, 1)
    for want in ("src=%s,dst=%s,sport=4501,dport=80,packets=3,bytes=120)" % (C4, S4), "src=%s,dst=%s,sport=80,dport=4501,packets=2,bytes=84)" % (S4, N4),
                 "zone=1", "mark=5", "labels=0x90000000000000003", "state_orig=ESTABLISHED", "SEEN_REPLY", "ASSURED"):
        check(want in line, "%s: %s" % (want, line))
    seconds = int(re.search(r"timeout=(\d+)", line).group(1))
    check(431900 < seconds <= 432000, line)
    check("4501" not in dpctl("dump-conntrack", "zone=2"), "listed in another zone")


def policies_are_of_a_zone():
    tool("ovs-vsctl", "--", "--id=@m", "create", "Datapath", "datapath_version=0", "--", "set", "Open_vSwitch", ".", 'datapaths:"bpf"=@m')
    tool("ovs-vsctl", "add-zone-tp", "bpf", "zone=9", "tcp_syn_sent=71", "udp_single=83", "icmp_first=95")
    pipeline("in_port=1,ip,actions=ct(commit,zone=9),2\nin_port=1,ipv6,actions=ct(commit,zone=9),2")
    W0.send(segment(0, 4502, "S", 1000, 0), IP(src=C4, dst=S4) / UDP(sport=4503, dport=53), IP(src=C4, dst=S4) / ICMP(id=4504),
            IPv6(src=C6, dst=S6) / ICMPv6EchoRequest(id=4505))
    W1.got(4)
    text = appctl("dpctl/dump-conntrack", "-s", "bpf@ovs-bpf", "zone=9")
    for name, least in (("sport=4502", 61), ("sport=4503", 73), ("id=4504", 85), ("id=4505", 85)):
        seconds = [int(n) for n in re.findall(r"\(.*%s.*timeout=(\d+)" % name, text)]
        check(len(seconds) == 1 and least < seconds[0] <= least + 10, "%s: %s of\n%s" % (name, seconds, text))
    tool("ovs-vsctl", "del-zone-tp", "bpf", "zone=9")


def what_has_expired_leaves_the_table():
    tool("ovs-vsctl", "add-zone-tp", "bpf", "zone=8", "udp_single=1")
    pipeline("in_port=1,udp,actions=ct(commit,zone=8),2\nin_port=1,udp6,actions=ct(commit,zone=8),2")
    W0.send(IP(src=C4, dst=S4) / UDP(sport=4506, dport=53), IPv6(src=C6, dst=S6) / UDP(sport=4506, dport=53))
    W1.got(2)
    check(dpctl("ct-get-nconns").strip() == "2", "connections: " + dpctl("ct-get-nconns"))
    end = time.monotonic() + 10
    while dpctl("ct-get-nconns").strip() != "0" and time.monotonic() < end:
        time.sleep(0.2)
    check(dpctl("ct-get-nconns").strip() == "0", "connections, later: " + dpctl("ct-get-nconns"))
    tool("ovs-vsctl", "del-zone-tp", "bpf", "zone=8")


def interleaved(*datagrams):
    """The first fragments of all, then the last ones: each is whole while another is held."""
    return [d[0] for d in datagrams] + [p for d in reversed(datagrams) for p in d[1:]]


def fragments_keep_their_registers():
    """What comes out is told by registers and metadata alone; two datagrams that have others are held at a time."""
    rules = """
table=0,%s,nw_tos=4,actions=set_field:1->reg0,set_field:0xabc->metadata,set_field:7->xxreg3,ct(commit,zone=1,nat(src=%s),table=1)
table=0,%s,nw_tos=8,actions=set_field:2->reg0,set_field:0xabc->metadata,ct(commit,zone=1,nat(src=%s),table=1)
table=1,%s,reg0=1,metadata=0xabc,xxreg3=7,ct_state=+trk,in_port=1,actions=mod_nw_ttl:11,output:2
table=1,%s,reg0=2,metadata=0xabc,xxreg3=0,ct_state=+trk,in_port=1,actions=mod_nw_ttl:22,output:2
"""
    pipeline(rules % ("ip", N4, "ip", N4, "ip", "ip") + rules % ("ipv6", N6, "ipv6", N6, "ipv6", "ipv6"))
    for n in range(2):  # by upcalls, then by flows
        one, two = cut4(5000 + n, 500 + n, 800), cut4(5100 + n, 600 + n, 800)
        for datagram, tos in ((one, 4), (two, 8)):
            for p in datagram:
                p.tos = tos
        W0.send(*interleaved(one, two))
        got = sorted((p.id, p.ttl, p.src) for p in W1.got(4))
        check(got == [(500 + n, 11, N4)] * 2 + [(600 + n, 22, N4)] * 2, "IPv4, %d: %s" % (n, got))
        one, two = fragment6(cut6(C6, S6, 5000 + n, 53, 500 + n), 1400), fragment6(cut6(C6, S6, 5100 + n, 53, 600 + n), 1400)
        for datagram, tos in ((one, 4), (two, 8)):
            for p in datagram:
                p.tc = tos
        W0.send(*interleaved(one, two))
        got = sorted((p[IPv6ExtHdrFragment].id, p.hlim, p.src) for p in W1.got(4))
        check(got == [(500 + n, 11, N6)] * 2 + [(600 + n, 22, N6)] * 2, "IPv6, %d: %s" % (n, got))


def segment(side, port, flags, seq, ack, data=b"", src=None, dst=None):
    ends = (C4, S4, port, 80) if side == 0 else (S4, N4, 80, port)
    return IP(src=src or ends[0], dst=dst or ends[1]) / TCP(sport=ends[2], dport=ends[3], flags=flags, seq=seq, ack=ack, window=4000) / Raw(data)


def handshake(port, secs=5.0):
    W0.send(segment(0, port, "S", 1000, 0))
    p = W1.one("SYN of %d" % port, secs)
    check(p.src == N4, "SYN came from " + p.src)
    W1.send(segment(1, port, "SA", 5000, 1001))
    p = W0.one("SYN-ACK of %d" % port, secs)
    check(p.dst == C4, "SYN-ACK came for " + p.dst)
    W0.send(segment(0, port, "A", 1001, 5001))
    W1.one("ACK of %d" % port, secs)


def answers(port):
    W1.send(segment(1, port, "PA", 5001, 1001, b"data"))
    p = W0.one("an answer of %d" % port)
    check(p.dst == C4 and bytes(p[TCP].payload) == b"data", p.summary())
    sums_hold(p)


def far_answer(port):
    W1.send(segment(1, port, "PA", 5001 + 100000000, 1001, b"far"))


def sequence_numbers_are_checked_when_asked():
    pipeline(SNAT4)
    handshake(4000)
    check("TCP sequence checking: enabled" in dpctl("ct-get-tcp-seq-chk"), "not on by itself")
    far_answer(4000)
    W0.none("a segment far outside the window")
    dpctl("ct-disable-tcp-seq-chk")
    try:
        far_answer(4000)
        W0.one("a segment outside the window, checking off")
    finally:
        dpctl("ct-enable-tcp-seq-chk")
    far_answer(4000)
    W0.none("the same, checking on again")


def full_table_refuses_the_new_and_keeps_the_old():
    pipeline(SNAT4)
    old = dpctl("ct-get-maxconns").strip()
    dpctl("ct-set-maxconns", "3")
    try:
        for port in (4101, 4102, 4103):
            handshake(port)
        check(dpctl("ct-get-nconns").strip() == "3", "connections: " + dpctl("ct-get-nconns"))
        before = drops("table_full")
        try:
            handshake(4104, 1.0)
        except Wrong as e:
            check("of 4104: 0 packets" in str(e), str(e))
        else:
            raise Wrong("a fourth connection")
        check(drops("table_full") > before, "not counted")
        for port in (4101, 4102, 4103):
            answers(port)
    finally:
        dpctl("ct-set-maxconns", old)
    handshake(4105)


def listed(*ports):
    text = dpctl("dump-conntrack")
    got = tuple(p for p in (4401, 4402, 4403) if "sport=%d" % p in text)
    check(got == ports, "listed: %s, not %s" % (got, ports))


def flushes_take_what_they_name():
    pipeline(SNAT4)
    for port in (4401, 4402, 4403):
        handshake(port)
    listed(4401, 4402, 4403)
    appctl("dpctl/flush-conntrack", "zone=2")
    listed(4401, 4402, 4403)
    appctl("dpctl/flush-conntrack", "zone=1", "ct_nw_src=%s,ct_nw_dst=%s,ct_nw_proto=6,ct_tp_src=4402,ct_tp_dst=80" % (C4, S4))
    listed(4401, 4403)
    answers(4401)
    for number in (4404, 4405):
        W0.send(IP(src=C4, dst=S4) / ICMP(id=number))
        W1.one("echo request")
    appctl("dpctl/flush-conntrack", "zone=1", "ct_nw_src=%s,ct_nw_dst=%s,ct_nw_proto=1,icmp_type=8,icmp_code=0,icmp_id=4404" % (C4, S4))
    check(re.findall(r"orig=.*id=(\d+),type=8", dpctl("dump-conntrack")) == ["4405"], dpctl("dump-conntrack"))
    appctl("dpctl/flush-conntrack", "zone=1")
    listed()


def half_open_flood_evicts_nobody():
    pipeline(SNAT4)
    handshake(4200)
    frame = bytearray(bytes(LINK[0] / IP(src="198.51.100.7", dst=S4) / UDP(sport=1, dport=7, chksum=0)))
    for n in range(80000):
        frame[34:38] = (1024 + n % 60000).to_bytes(2, "big") + (7 + n // 60000).to_bytes(2, "big")
        W0.sock.send(frame)
    check(drops("prefix_share") > 0, "the flood's prefix had no more than its share")
    W1.got(1 << 20, 0.5)
    answers(4200)
    handshake(4201)


def connections_are_opened():
    pipeline(SNAT4)
    handshake(4300)
    check("dport=4300" in dpctl("dump-conntrack"), "not listed")


def connections_and_windows_outlive_vswitchd():
    check("dport=4300" in dpctl("dump-conntrack"), "not listed")
    tool("ovs-ofctl", "del-flows", "br0")
    tool("ovs-ofctl", "add-flows", "br0", "-", text=SNAT4)
    far_answer(4300)
    W0.none("a segment far outside the window")
    answers(4300)
    W0.send(segment(0, 4300, "PA", 1001, 5005, b"more"))
    check(W1.one("the client's next").src == N4, "not translated")


def main():
    global W0, W1
    failed = 0
    for name in sys.argv[1:]:
        W0, W1 = Wire(0), Wire(1)
        try:
            globals()[name]()
            print("ok", name, flush=True)
        except (Wrong, subprocess.SubprocessError, OSError) as e:
            print("FAIL %s: %s" % (name, str(e).strip().replace("\n", " ")), flush=True)
            failed = 1
        W0.sock.close()
        W1.sock.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
