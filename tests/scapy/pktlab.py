# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What suites of packet forms share: a router that forwards and one that masquerades
(the topology is ctlab.py's), the questions that tests ask of them, and the runner."""
import ctypes
import fnmatch
import os
import re
import struct
import sys
import time

from ctlab import ROOT, BpfctSide, Lab, libc, suite
from ctpkt import (ICMP, ICMP6, SCTP, TCP, UDP, UDPLITE, Flow, crc32c, csum, l4_csum)

TESTS = []


def test(f):
    TESTS.append((f.__name__, f, None))
    return f


def each(*params):
    """One test for each parameter: name_PARAM."""
    def wrap(f):
        for p in params:
            TESTS.append(("%s_%s" % (f.__name__, "_".join(str(x) for x in (p if isinstance(p, tuple) else (p,))).replace(" ", "_")), f, p))
        return f
    return wrap


class Wrong(Exception):
    pass


def check(cond, text):
    if not cond:
        raise Wrong(text)


class Drops:
    """The per-CPU counters of ct_drop_v1, by the names in ct_drop.h."""

    def __init__(self, instance):
        with open(os.path.join(ROOT, "bpf/abi/ct_drop.h")) as f:
            self.names = re.findall(r'^\tX\((\w+), "(\w+)", \w+', f.read(), re.M)
        path = ctypes.create_string_buffer(("/sys/fs/bpf/bpfct/%s/ct_drop_v1" % instance).encode())
        attr = ctypes.create_string_buffer(struct.pack("QII", ctypes.addressof(path), 0, 0).ljust(64, b"\0"), 64)
        self.fd = libc.syscall(321, 7, attr, 64)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "open ct_drop_v1")
        with open("/sys/devices/system/cpu/possible") as f:
            self.cpus = int(f.read().strip().split("-")[-1]) + 1

    def read(self):
        out = {}
        key = ctypes.c_uint32()
        val = (ctypes.c_uint64 * self.cpus)()
        for i, (_, text) in enumerate(self.names):
            key.value = i
            attr = ctypes.create_string_buffer(struct.pack("IIQQQ", self.fd, 0, ctypes.addressof(key), ctypes.addressof(val), 0).ljust(64, b"\0"), 64)
            if libc.syscall(321, 1, attr, 64):
                raise OSError(ctypes.get_errno(), "read ct_drop_v1")
            out[text] = sum(val)
        return out


def quiet(got):
    """Without what a router says for itself when a link comes up (MLD, IGMP, router solicitations)."""
    def own(b):
        if b[0] >> 4 == 6:
            return len(b) >= 40 and (b[8:10] == b"\xfe\x80" or b[8:24] == b"\0" * 16)
        return len(b) >= 20 and b[9] == 2 and b[16] >= 224
    return {d: [b for b in x if not own(b)] for d, x in got.items()}


class Router:
    """A BpfctSide with the questions that tests ask."""

    def __init__(self, side):
        self.side = side
        self.drops = Drops(side.instance)
        self.idx = 0

    def flow(self, fam, **kw):
        self.idx += 1
        return Flow(fam, self.idx, **kw)

    def send(self, d, ip):
        """Sends; returns what arrived at the other side (IP packets)."""
        return self.send_all(d, ip)["s" if d == "c" else "c"]

    def send_all(self, d, ip):
        self.side.send(d, ip)
        return quiet(self.side.barrier())

    def frame(self, d, etype, body):
        s = self.side
        s.frame(d, s.head[d][4][:12] + struct.pack("!H", etype) + body)
        return quiet(s.barrier())

    def play(self, f, *pkts):
        """All must pass."""
        for p in pkts:
            got = self.send(p.d, p.build(f))
            check(len(got) == 1, "set-up packet {%s} arrived %d times" % (p, len(got)))

    def entries(self, f):
        return list(self.side.table().get(f.idx, {}).values())

    def passes(self, d, ip, same=True):
        before = self.drops.read()
        got = self.send(d, ip)
        after = self.drops.read()
        why = ", ".join("%s +%d" % (k, after[k] - before[k]) for k in after if after[k] != before[k])
        check(len(got) == 1, "arrived %d times; counted: %s" % (len(got), why or "nothing"))
        if same:
            check(unchanged(ip, got[0]), "arrived changed: sent %s, got %s" % (ip.hex(), got[0].hex()))
        return got[0]

    def dropped(self, reason, d, ip=None, frame=None):
        before = self.drops.read()
        got = self.send_all(d, ip) if ip is not None else self.frame(d, *frame)
        after = self.drops.read()
        n = sum(len(x) for x in got.values())
        moved = {k: after[k] - before[k] for k in after if after[k] != before[k]}
        text = ", ".join("%s +%d" % kv for kv in moved.items()) or "nothing"
        check(n == 0, "%d packets arrived; counted: %s" % (n, text))
        check(moved.get(reason) == 1, "not counted once as %s; counted: %s" % (reason, text))
        others = [k for k in moved if k not in (reason, "fw_invalid")]
        check(not others, "also counted as %s" % ", ".join(others))


def unchanged(sent, got):
    if sent[0] >> 4 == 4:
        return got[:8] == sent[:8] and got[8] == sent[8] - 1 and got[12:] == sent[12:] and csum(got[:(got[0] & 15) * 4]) == 0xFFFF
    return got[:7] == sent[:7] and got[7] == sent[7] - 1 and got[8:] == sent[8:]


def split(ip):
    """(src, dst, proto, l4) of a packet without extension headers; header checksum verified."""
    if ip[0] >> 4 == 4:
        hl = (ip[0] & 15) * 4
        check(csum(ip[:hl]) == 0xFFFF, "wrong IPv4 header checksum")
        return ip[12:16], ip[16:20], ip[9], ip[hl:struct.unpack("!H", ip[2:4])[0]]
    return ip[8:24], ip[24:40], ip[6], ip[40:]


def sums_ok(ip):
    """Header and transport checksums right?"""
    src, dst, proto, l4 = split(ip)
    fam = ip[0] >> 4
    if proto == SCTP:
        return struct.unpack("<I", l4[8:12])[0] == crc32c(l4[:8] + b"\0\0\0\0" + l4[12:])
    if proto == ICMP:
        return csum(l4) == 0xFFFF
    if proto in (TCP, ICMP6):
        return l4_csum(fam, src, dst, proto, l4) == 0
    if proto == UDP:
        return l4[6:8] == b"\0\0" or l4_csum(fam, src, dst, proto, l4) == 0
    if proto == UDPLITE:
        cover = struct.unpack("!H", l4[4:6])[0] or len(l4)
        pseudo = src + dst + (struct.pack("!BBH", 0, proto, len(l4)) if fam == 4 else struct.pack("!II", len(l4), proto))
        return csum(pseudo + l4[:cover]) == 0xFFFF
    return True


PADN = b"\x01\x04\0\0\0\0"


def ext(kinds, last):
    """A chain of 8-byte headers: returns (first next-header, bytes)."""
    codes = {"hop": 0, "dst": 60, "rt": 43, "frag": 44, "ah": 51}
    out = b""
    for i, k in enumerate(kinds):
        nh = codes[kinds[i + 1]] if i + 1 < len(kinds) else last
        if k in ("hop", "dst"):
            out += bytes([nh, 0]) + PADN
        elif k == "rt":
            out += bytes([nh, 0, 4, 0]) + b"\0" * 4
        elif k == "frag":
            out += struct.pack("!BBHI", nh, 0, 0, 99)
        else:
            out += bytes([nh, 4]) + b"\0" * 22
    return (codes[kinds[0]] if kinds else last), out


FAMS = (4, 6)


def main(plain, nat):
    pat = sys.argv[1] if len(sys.argv) > 1 else "*"
    failed = passed = 0
    t0 = time.monotonic()
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        plain = plain and Router(lab.add(BpfctSide("p", "set default pass\nset antispoof off\n")))
        nat = nat and Router(lab.add(BpfctSide("m", "set default pass\nset antispoof off\nnat out on s from 10.1.0.0/16 -> (s)\nnat out on s from fd01::/16 -> (s)\n"
                                            "nat out on s from 10.4.0.0/16 -> (s)\nnat out on s from fd04::/16 -> (s)\n")))
        for name, f, p in TESTS:
            if not fnmatch.fnmatch(name, pat):
                continue
            try:
                f(plain, nat, *(p if isinstance(p, tuple) else () if p is None else (p,)))
                print("ok %s" % name)
                passed += 1
            except Wrong as e:
                print("FAIL %s: %s" % (name, e))
                failed += 1
            except RuntimeError as e:
                print("FAIL %s: %s" % (name, e))
                failed += 1
            sys.stdout.flush()
    print("# %d passed, %d failed, %.1f s" % (passed, failed, time.monotonic() - t0))
    return 1 if failed else 0


def start(name, plain=False, nat=False):
    """The suite's program: tests that were registered, with the routers they ask for, None for the other."""
    suite(name, lambda: main(plain, nat))
