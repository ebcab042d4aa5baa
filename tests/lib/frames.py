#!/usr/bin/python3
"""frames.py DEVICE NUMBER: sends broadcasts of 60 bytes (type 0x88b5), always the same, by a device."""
import socket
import sys

FRAME = b"\xff" * 6 + b"\x02\0\0\0\0\x07" + b"\x88\xb5" + bytes(46)

s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for _ in range(int(sys.argv[2])):
    s.send(FRAME)
