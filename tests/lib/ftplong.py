#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""ftplong.py ME SERVER FILE PAD: an active transfer of FILE by hand, whose PORT is the end of a segment
with PAD bytes of another command before it. Prints the file's bytes."""
import socket
import sys

me, server, name, pad = sys.argv[1:]
control = socket.create_connection((server, 21), 20)
control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
lines = control.makefile("r")


def hears(code):
    line = lines.readline().rstrip()
    if not line.startswith(code):
        sys.exit(f"not {code}: {line}")


def says(text, *codes):
    control.sendall(text.replace("\n", "\r\n").encode())
    for code in codes:
        hears(code)


hears("220")
says("USER anonymous\n", "230")
data = socket.create_server((me, 0))
data.settimeout(20)
port = data.getsockname()[1]
where = ",".join(me.split(".") + [str(port >> 8), str(port & 255)])
says(f"NOOP {'x' * (int(pad) - 7)}\nPORT {where}\n", "200", "200")
says(f"RETR {name}\n", "150")
with data.accept()[0] as s:
    while got := s.recv(65536):
        sys.stdout.buffer.write(got)
hears("226")
