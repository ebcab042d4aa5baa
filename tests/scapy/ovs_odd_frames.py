# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Packets that are cut short, too long or contradict themselves: FRAMES, each with its name."""
import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr,
                                ICMPv6NDOptUnknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Raw

HOST = b"\x02\x00\x00\x0d"  # first bytes of every frame's source
S4, D4, S6, D6 = "10.1.0.1", "10.1.0.2", "fd00::1", "fd00::2"
PAY = b"0123456789abcdef"


def eth(kind, data):
    return b"\x02\0\0\0\0\x02" + HOST + b"\0\0" + struct.pack("!H", kind) + bytes(data)


def tag(tci, data, kind=0x8100):
    """A tag upon a frame."""
    return data[:12] + struct.pack("!HH", kind, tci) + data[12:]


def ip(payload, **kw):
    return eth(0x0800, IP(src=S4, dst=D4, **kw) / payload)


def ip6(payload, **kw):
    return eth(0x86DD, IPv6(src=S6, dst=D6, **kw) / payload)


def llc(data):
    return eth(len(data), data)


def arp(**kw):
    v = dict(hrd=1, pro=0x0800, hln=6, pln=4, op=1)
    v.update(kw)
    return eth(0x0806, struct.pack("!HHBBH", v["hrd"], v["pro"], v["hln"], v["pln"], v["op"]) + b"\x02\0\0\0\0\x07" + b"\x0a\x01\0\1" + bytes(6) + b"\x0a\x01\0\2")


def changed(frame, at, value):
    return frame[:at] + value + frame[at + len(value):]


def nd(first, *options):
    for o in options:
        first = first / o
    return ip6(first, hlim=255)


UDP4, TCP4 = ip(UDP(sport=1000, dport=2000) / PAY), ip(TCP(sport=1000, dport=2000, flags="S") / PAY)
UDP6, TCP6 = ip6(UDP(sport=1000, dport=2000) / PAY), ip6(TCP(sport=1000, dport=2000, flags="S") / PAY)
SCTP4 = ip(SCTP(sport=1000, dport=2000) / SCTPChunkInit(init_tag=1))
SLL, TLL = ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:11"), ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:22")
SLL2 = ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:33")
DUMMY = ICMPv6NDOptUnknown(type=14, len=1, data=b"nonce6")
NS, NA = ICMPv6ND_NS(tgt=D6), ICMPv6ND_NA(tgt=S6)
HBH, DST, RH = IPv6ExtHdrHopByHop(options=PadN(optdata=bytes(4))), IPv6ExtHdrDestOpt(options=PadN(optdata=bytes(4))), IPv6ExtHdrRouting(addresses=[])
SNAP = b"\xaa\xaa\x03\0\0\0\x08\0" + UDP4[14:]


def exts(*headers, last=None):
    p = headers[0]
    for h in headers[1:]:
        p = p / h
    return ip6(p / (last or UDP(sport=1000, dport=2000) / PAY))


FRAMES = [
    # what is as it should be
    ("udp", UDP4), ("tcp", TCP4), ("udp6", UDP6), ("tcp6", TCP6), ("sctp", SCTP4),
    ("sctp6", ip6(SCTP(sport=1000, dport=2000) / SCTPChunkInit(init_tag=1))),
    ("icmp echo", ip(ICMP(id=7) / PAY)), ("icmp6 echo", ip6(ICMPv6EchoRequest(id=7, data=PAY))),
    ("igmp", eth(0x0800, IP(src=S4, dst="224.0.0.1", ttl=1, proto=2) / Raw(b"\x11\x64\xee\x9b\0\0\0\0"))),
    ("another protocol", eth(0x0800, IP(src=S4, dst=D4, proto=89) / Raw(PAY))),
    ("gre", eth(0x0800, IP(src=S4, dst=D4, proto=47) / Raw(b"\0\0\x08\0" + PAY))),
    ("udplite", eth(0x0800, IP(src=S4, dst=D4, proto=136) / Raw(struct.pack("!HHHH", 1000, 2000, 8, 0) + PAY))),
    ("another ethernet type", eth(0x88B5, PAY)), ("no payload at all", eth(0x88B5, b"")),
    # ends of frames and of packets
    ("udp with padding", UDP4 + bytes(10)), ("tcp with padding", TCP4 + bytes(10)), ("udp6 with padding", UDP6 + bytes(10)),
    ("udp without payload", ip(UDP(sport=1000, dport=2000))), ("udp without payload, padded", ip(UDP(sport=1000, dport=2000)) + bytes(18)),
    ("ip longer than the frame", UDP4[:-5]), ("ip6 longer than the frame", UDP6[:-5]),
    ("ip cut in its header", UDP4[:30]), ("ip6 cut in its header", UDP6[:50]), ("ip without a byte", UDP4[:14]),
    ("ip total length 0", changed(UDP4, 16, b"\0\0")), ("ip total length below the header", changed(UDP4, 16, b"\0\x10")),
    ("ip total length that cuts udp", changed(UDP4, 16, b"\0\x18")), ("ip total length that cuts tcp", changed(TCP4, 16, b"\0\x20")),
    ("ip total length without transport", changed(UDP4, 16, b"\0\x14")),
    ("ip header of 16 bytes", changed(UDP4, 14, b"\x44")), ("ip header of 60 bytes", changed(UDP4, 14, b"\x4f")),
    ("ip version 6", changed(UDP4, 14, b"\x65")), ("ip6 version 4", changed(UDP6, 14, b"\x40")),
    ("ip header checksum wrong", changed(UDP4, 24, b"\x12\x34")),
    ("ip6 payload length 0", changed(UDP6, 18, b"\0\0")), ("ip6 payload length that cuts udp", changed(UDP6, 18, b"\0\4")),
    ("ip6 without transport", eth(0x86DD, IPv6(src=S6, dst=D6, nh=59))),
    ("udp checksum wrong", ip(UDP(sport=1000, dport=2000, chksum=0x1234) / PAY)), ("udp checksum 0", ip(UDP(sport=1000, dport=2000, chksum=0) / PAY)),
    ("udp6 checksum 0", ip6(UDP(sport=1000, dport=2000, chksum=0) / PAY)), ("tcp checksum wrong", ip(TCP(sport=1000, dport=2000, chksum=0x1234) / PAY)),
    ("udp length longer than ip", ip(UDP(sport=1000, dport=2000, len=100) / PAY)), ("udp length of 4", ip(UDP(sport=1000, dport=2000, len=4) / PAY)),
    ("tcp header of 16 bytes", ip(TCP(sport=1000, dport=2000, dataofs=4) / PAY)), ("tcp header beyond the packet", ip(TCP(sport=1000, dport=2000, dataofs=15) / PAY)),
    ("tcp6 header of 16 bytes", ip6(TCP(sport=1000, dport=2000, dataofs=4) / PAY)), ("tcp6 header beyond the packet", ip6(TCP(sport=1000, dport=2000, dataofs=15) / PAY)),
    ("tcp without flags", ip(TCP(sport=1000, dport=2000, flags=0))), ("tcp with every flag", ip(TCP(sport=1000, dport=2000, flags=0x1FF, reserved=7))),
    ("tcp cut to 10 bytes", eth(0x0800, IP(src=S4, dst=D4, proto=6) / Raw(bytes(10)))), ("icmp cut to 4 bytes", eth(0x0800, IP(src=S4, dst=D4, proto=1) / Raw(b"\x08\0\xf7\xff"))),
    ("icmp6 cut to 4 bytes", eth(0x86DD, IPv6(src=S6, dst=D6, nh=58) / Raw(b"\x80\0\0\0"))),
    ("icmp6 over ip", eth(0x0800, IP(src=S4, dst=D4, proto=58) / Raw(b"\x80\0\0\0" + PAY))), ("icmp over ip6", eth(0x86DD, IPv6(src=S6, dst=D6, nh=1) / Raw(b"\x08\0\0\0" + PAY))),
    ("ports of 0", ip(UDP(sport=0, dport=0) / PAY)), ("source is destination", eth(0x0800, IP(src=S4, dst=S4) / UDP(sport=5, dport=5) / PAY)),
    ("ip with options", ip(UDP(sport=1000, dport=2000) / PAY, options=[IPOption(b"\x94\4\0\0")])), ("tcp, ip with 40 bytes of options", ip(TCP(sport=1000, dport=2000) / PAY, options=[IPOption(b"\x01" * 40)])),
    ("ttl 0", ip(UDP(sport=1000, dport=2000) / PAY, ttl=0)), ("tos with ecn", ip(UDP(sport=1000, dport=2000) / PAY, tos=0xBB)),
    ("ip6 class and label", ip6(UDP(sport=1000, dport=2000) / PAY, tc=0xBB, fl=0xABCDE)),
    # fragments, which ct() holds
    ("ip first fragment", ip(UDP(sport=1000, dport=2000) / PAY, flags="MF", id=1)), ("ip later fragment", eth(0x0800, IP(src=S4, dst=D4, frag=100, proto=17, id=2) / Raw(PAY))),
    ("ip first fragment of 4 bytes", eth(0x0800, IP(src=S4, dst=D4, flags="MF", proto=17, id=3) / Raw(b"\3\xe8\7\xd0"))), ("ip evil bit", ip(UDP(sport=1000, dport=2000) / PAY, flags=4)),
    ("ip6 first fragment", exts(IPv6ExtHdrFragment(m=1, id=1))), ("ip6 later fragment", eth(0x86DD, IPv6(src=S6, dst=D6) / IPv6ExtHdrFragment(offset=100, id=2, nh=17) / Raw(PAY))),
    ("ip6 atomic fragment", exts(IPv6ExtHdrFragment(id=3))), ("ip6 atomic fragment, reserved bits", exts(IPv6ExtHdrFragment(id=4, res2=3))),
    # extension headers
    ("hop by hop", exts(HBH)), ("hop by hop, destination, routing", exts(HBH, DST, RH)), ("eight extension headers", exts(HBH, *[DST] * 7)),
    ("tcp behind one", exts(DST, last=TCP(sport=1000, dport=2000) / PAY)), ("nd behind one", exts(HBH, last=NS / SLL)),
    ("extension header longer than the packet", changed(exts(DST), 55, b"\x20")), ("extension header cut", eth(0x86DD, IPv6(src=S6, dst=D6, nh=60, plen=4, tc=9, fl=9) / Raw(bytes(4)))),
    ("extension header that ends the packet", eth(0x86DD, IPv6(src=S6, dst=D6, nh=60) / Raw(b"\x11\0\1\4\0\0\0\0"))),
    ("esp", eth(0x86DD, IPv6(src=S6, dst=D6, nh=50) / Raw(PAY))), ("ah", eth(0x86DD, IPv6(src=S6, dst=D6, nh=51) / Raw(b"\x11\4\0\0" + bytes(20) + bytes(UDP6[54:])))),
    ("no next header", eth(0x86DD, IPv6(src=S6, dst=D6, nh=59) / Raw(PAY))), ("mobility header", eth(0x86DD, IPv6(src=S6, dst=D6, nh=135) / Raw(b"\x11\0" + bytes(14)))),
    # neighbours
    ("ns", nd(NS, SLL)), ("na", nd(NA, TLL)), ("ns without options", nd(NS)), ("na with both", nd(NA, SLL, TLL)), ("ns with two of a kind", nd(NS, SLL, SLL2)),
    ("na with two of a kind behind the other", nd(NA, TLL, SLL, TLL)), ("ns, address is the fourth option", nd(NS, DUMMY, DUMMY, DUMMY, SLL)),
    ("ns, address is the fifth option", nd(NS, DUMMY, DUMMY, DUMMY, DUMMY, SLL)), ("ns, address is the sixteenth option", nd(NS, *[DUMMY] * 15, SLL)),
    ("ns, option of length 0", changed(nd(NS, DUMMY, SLL), 79, b"\0")), ("ns, option beyond the packet", changed(nd(NS, SLL, DUMMY), 87, b"\7")),
    ("ns, address option of 16 bytes", nd(NS, ICMPv6NDOptUnknown(type=1, len=2, data=bytes(14)), TLL)), ("ns with code 1", changed(nd(NS, SLL), 55, b"\1")),
    ("ns cut in its target", changed(nd(NS), 18, b"\0\x10")[:70]), ("ns cut in its option", changed(nd(NS, SLL), 18, b"\0\x1c")[:82]),
    ("arp", arp()), ("arp reply", arp(op=2)), ("arp op 257", arp(op=257)), ("arp op 0", arp(op=0)), ("arp of other hardware", arp(hrd=6)), ("arp of ip6", arp(pro=0x86DD)),
    ("arp of longer addresses", arp(hln=8)), ("arp of 16 byte addresses", arp(pln=16)), ("arp cut", arp()[:40]), ("arp with padding", arp() + bytes(18)), ("rarp", changed(arp(op=3), 12, b"\x80\x35")),
    # links
    ("llc", llc(b"\x42\x42\3" + bytes(35))), ("snap with ip", llc(SNAP)), ("snap of another organisation", llc(b"\xaa\xaa\3\0\0\x0c" + b"\x20\0" + PAY)), ("snap with a length for a type", llc(b"\xaa\xaa\3\0\0\0\0\x10" + PAY)),
    ("llc cut", llc(b"\xaa\xaa\3")), ("llc whose length is wrong", changed(llc(SNAP), 12, b"\5\0")), ("type 0x5ff", eth(0x5FF, PAY)), ("type 0x600", eth(0x600, PAY)),
    ("tag", tag(5, UDP4)), ("tag with priority", tag(0xA005, UDP4)), ("tag 0", tag(0, UDP4)), ("tag upon arp", tag(5, arp())), ("tag upon llc", tag(5, llc(b"\x42\x42\3" + bytes(35)))), ("tag of 802.1ad", tag(5, UDP4, 0x88A8)),
    ("two tags", tag(6, tag(5, UDP4))), ("two tags, 802.1ad outside", tag(6, tag(5, UDP4), 0x88A8)), ("tag with nothing behind", eth(0x8100, b"\0\5")), ("tag with a type behind", eth(0x8100, b"\0\5\x08\0")),
    ("old tag 0x9100", tag(5, UDP4, 0x9100)), ("second tag cut", tag(6, eth(0x8100, b"\0\5"))),
]
