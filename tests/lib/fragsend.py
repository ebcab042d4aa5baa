#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""fragsend.py DEVICE MAC SOURCE DESTINATION ID PIECE...

Pieces 0, 1, 2 of a UDP datagram of 3,000 bytes from port 7000 to 7001, as raw
frames; ID may be a range, as 100-199: the pieces of each.
"""
import os
import random
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scapy"))
from ctpkt import UDP
from fragpkt import L4, Datagram

device, mac, src, dst, ids = sys.argv[1:6]
fam = 6 if ":" in src else 4
a, b = (socket.inet_pton(socket.AF_INET6 if fam == 6 else socket.AF_INET, x) for x in (src, dst))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((device, 0))
ether = bytes.fromhex(mac.replace(":", "")) + s.getsockname()[4] + (b"\x86\xdd" if fam == 6 else b"\x08\x00")
first, _, last = ids.partition("-")
for ident in range(int(first), int(last or first) + 1):
    d = Datagram(fam, a, b, L4(UDP, random.Random(ident).randbytes(2992)), 7000, 7001, ident)
    for k in map(int, sys.argv[6:]):
        s.send(ether + d.piece(1000 * k, 1000 * (k + 1) if k < 2 else None, k < 2))
