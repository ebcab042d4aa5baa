#!/usr/bin/python3
"""PPP in HDLC-like framing (RFC 1662), as pptp and pptpctrl exchange it with pppd.

As a program, in pppd's place behind pptpctrl: sends `hello` and then every frame back."""
import os
import sys
import tty

FLAG, ESCAPE = 0x7E, 0x7D


def fcs(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return (value ^ 0xFFFF).to_bytes(2, "little")


def frame(text):
    """Of a protocol that nobody has (RFC 1661 2): address, control, protocol."""
    data = b"\xff\x03\x7f\x01" + text
    out = bytearray([FLAG])
    for byte in data + fcs(data):
        out += bytes([ESCAPE, byte ^ 0x20]) if byte < 0x20 or byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(out) + bytes([FLAG])


class Frames:
    """Texts of the frames in a stream that comes in pieces."""

    def __init__(self):
        self.left = b""

    def of(self, piece):
        *whole, self.left = (self.left + piece).split(bytes([FLAG]))
        for part in whole:
            data, escaped = bytearray(), False
            for byte in part:
                if byte == ESCAPE:
                    escaped = True
                    continue
                data.append(byte ^ 0x20 if escaped else byte)
                escaped = False
            if data and fcs(data[:-2]) == data[-2:]:
                yield bytes(data[data.index(b"\x7f\x01") + 2:-2])


def main():
    tty.setraw(0)
    frames = Frames()
    os.write(1, frame(b"hello"))
    while True:
        piece = os.read(0, 4096)
        if not piece:
            return 0
        for text in frames.of(piece):
            os.write(1, frame(text))


if __name__ == "__main__":
    sys.exit(main())
