#!/usr/bin/python3
"""tests/fuzz/seeds.py ftp|tftp|sip|pptp DIRECTORY : the recorded exchanges of tests/alg/corpus
as inputs of the fuzzers (tests/fuzz/alg_fuzz.h has their form)."""
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ESCAPE = re.compile(rb"\\(x([0-9a-f]{2})|.)")


def plain(match):
    if match.group(2):
        return bytes([int(match.group(2), 16)])
    return {b"r": b"\r", b"n": b"\n"}.get(match.group(1), match.group(1))


def pieces(path):
    with open(path, "rb") as f:
        for line in f:
            if line[:2] in (b"O ", b"R "):
                yield line[:1], ESCAPE.sub(plain, line[2:].rstrip(b"\n"))


# Settings: 0x08 plays SIP over TCP, the upper bits say how small the pieces are.
SETTINGS = {"sip": (0x00, 0x38)}


def main():
    kind, folder = sys.argv[1:]
    for path in sorted(glob.glob(os.path.join(TOP, "tests/alg/corpus", kind + "-*.txt"))):
        for setting in SETTINGS.get(kind, (0,)):
            data = bytearray([setting])
            for side, text in pieces(path):
                size = min(len(text), 0x3FFF)
                data += bytes([(0x80 if side == b"R" else 0) | size >> 8, size & 0xFF]) + text[:size]
            if len(data) <= 16384:
                with open(os.path.join(folder, f"{os.path.basename(path)}.{setting}"), "wb") as f:
                    f.write(data)


main()
