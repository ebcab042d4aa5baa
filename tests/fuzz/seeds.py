#!/usr/bin/python3
"""tests/fuzz/seeds.py ftp|tftp|sip DIRECTORY : the recorded exchanges of tests/alg/corpus
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


def main():
    for path in sorted(glob.glob(os.path.join(TOP, "tests/alg/corpus", sys.argv[1] + "-*.txt"))):
        data = bytearray([0])
        for side, text in pieces(path):
            size = min(len(text), 0x3FFF)
            data += bytes([(0x80 if side == b"R" else 0) | size >> 8, size & 0xFF]) + text[:size]
        if len(data) <= 16384:
            with open(os.path.join(sys.argv[2], os.path.basename(path)), "wb") as f:
                f.write(data)


main()
