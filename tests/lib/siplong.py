#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""siplong.py send DEVICE MAC ME PEER PORT SIZE PIECE...
siplong.py hear ME SECONDS

send: a SIP INVITE over UDP of SIZE bytes from PORT to 5060, as raw frames: `all` in one, or pieces
FROM-TO of what follows the IP header (multiples of 8; no TO: to the end); ~FROM-TO has other
bytes, and =FROM-TO is of a datagram of its own.
hear: the next message at 5060, checked and said in a line: the connection's addresses, the body's.
"""
import os
import random
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scapy"))
from ctpkt import UDP
from fragpkt import L4, Datagram

PAD = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60000))


def family(text):
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def invite(me, peer, port, size):
    ip = "IP6" if ":" in me else "IP4"
    me_, peer_ = (f"[{a}]" if ":" in a else a for a in (me, peer))
    sdp = f"v=0\r\no=a 1 1 IN {ip} {me}\r\ns=-\r\nc=IN {ip} {me}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"
    head = (f"INVITE sip:b@{peer_} SIP/2.0\r\nVia: SIP/2.0/UDP {me_}:{port};branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:a@{me_}>;tag=1\r\nTo: <sip:b@{peer_}>\r\nCall-ID: long{port}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:a@{me_}:{port}>\r\nContent-Type: application/sdp\r\n")
    text = f"{head}Subject: %s\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"
    return (text % PAD[:size - len(text) + 2]).encode()


def send(device, mac, me, peer, port, size, *pieces):
    fam = 6 if ":" in me else 4
    a, b = (socket.inet_pton(family(x), x) for x in (me, peer))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((device, 0))
    ether = bytes.fromhex(mac.replace(":", "")) + s.getsockname()[4] + (b"\x86\xdd" if fam == 6 else b"\x08\x00")
    d = Datagram(fam, a, b, L4(UDP, invite(me, peer, int(port), int(size))), int(port), 5060, random.randrange(1, 65536))
    for p in pieces:
        if p == "all":
            s.send(ether + Datagram(fam, a, b, d.l4, int(port), 5060, 0, df=fam == 4).unfragmented())
            continue
        first, _, last = p.lstrip("~=").partition("-")
        end = int(last) if last else len(d.part)
        data = d.part[int(first):end]
        if p[0] == "~":
            data = bytes(x ^ 1 for x in data)
        s.send(ether + d.piece(int(first), end, bool(last), data=data, ident=d.ident ^ (p[0] == "=")))


def hear(me, seconds):
    s = socket.socket(family(me), socket.SOCK_DGRAM)
    s.bind((me, 5060))
    s.settimeout(float(seconds))
    try:
        text, peer = s.recvfrom(65536)
    except socket.timeout:
        print("nothing")
        return
    head, _, body = text.decode().partition("\r\n\r\n")
    pad = re.search(r"^Subject: (\w+)", head, re.M).group(1)
    length = int(re.search(r"^Content-Length: (\d+)", head, re.M).group(1))
    contact = re.search(r"^Contact: <sip:a@\[?([0-9a-f.:]+?)\]?:\d+>", head, re.M).group(1)
    media = re.search(r"^c=IN IP\d (\S+)", body, re.M).group(1)
    print("from", peer[0], "contact", contact, "media", media, "body", "whole" if length == len(body) else length - len(body),
          "pad", "whole" if PAD.startswith(pad) else "changed", "size", len(text))


if __name__ == "__main__":
    {"send": send, "hear": hear}[sys.argv[1]](*sys.argv[2:])
