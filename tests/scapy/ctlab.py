# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Routers to compare, and packets through them.

      or-PID-e (both ends, no addresses, one Python process with raw sockets)
   10.1/16 fd01::/16                                  10.2/16 fd02::/16
   10.4/16 fd04::/16                                  10.3/16 fd03::/16
        cX ---------- c  [or-PID-X: a router]  s ---------- sX

Each router is a Side: NftSide tracks with nf_conntrack and drops `ct state
invalid` in the forward hook, BpfctSide runs ctd with `set default pass`.
Nothing answers in the end namespace, neighbours are permanent, so the only
packets on the wires are the test's own.
"""
import ctypes
import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("O", os.path.join(ROOT, "build"))
if not os.path.isabs(BUILD):
    BUILD = os.path.join(ROOT, BUILD)

ALL_CPUS = os.sched_getaffinity(0)
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PACKET_IGNORE_OUTGOING = 23
SOL_PACKET = 263
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33


def run(*cmd, check=True, ns=None, stdin=None, timeout=60):
    if ns:
        cmd = ("nsenter", "--net=/run/netns/" + ns) + cmd
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=stdin, timeout=timeout, text=True)
    if check and r.returncode:
        raise RuntimeError("%s: exit %d: %s" % (" ".join(cmd), r.returncode, (r.stderr or r.stdout).strip()))
    return r


class InNs:
    """with InNs(name): this thread is in that network namespace."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        fd = os.open("/run/netns/" + self.name, os.O_RDONLY)
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + self.name)
        os.close(fd)

    def __exit__(self, *_):
        libc.setns(self.old, CLONE_NEWNET)
        os.close(self.old)


# ---------------------------------------------------------------- time-outs
# name in struct ct_timeouts, the kernel's sysctl if it has one, default
TIMEOUTS = [
    ("tcp_none", None, 120), ("tcp_syn_sent", "tcp_timeout_syn_sent", 120), ("tcp_syn_recv", "tcp_timeout_syn_recv", 60),
    ("tcp_established", "tcp_timeout_established", 432000), ("tcp_fin_wait", "tcp_timeout_fin_wait", 120),
    ("tcp_close_wait", "tcp_timeout_close_wait", 60), ("tcp_last_ack", "tcp_timeout_last_ack", 30),
    ("tcp_time_wait", "tcp_timeout_time_wait", 120), ("tcp_close", "tcp_timeout_close", 10),
    ("tcp_syn_sent2", None, 120), ("tcp_max_retrans", "tcp_timeout_max_retrans", 300),
    ("tcp_unacknowledged", "tcp_timeout_unacknowledged", 300), ("udp", "udp_timeout", 30),
    ("udp_stream", "udp_timeout_stream", 120), ("icmp", "icmp_timeout", 30), ("icmpv6", "icmpv6_timeout", 30),
    ("sctp_none", None, 10), ("sctp_closed", "sctp_timeout_closed", 10),
    ("sctp_cookie_wait", "sctp_timeout_cookie_wait", 3), ("sctp_cookie_echoed", "sctp_timeout_cookie_echoed", 3),
    ("sctp_established", "sctp_timeout_established", 210), ("sctp_shutdown_sent", "sctp_timeout_shutdown_sent", 3),
    ("sctp_shutdown_recd", "sctp_timeout_shutdown_recd", 3),
    ("sctp_shutdown_ack_sent", "sctp_timeout_shutdown_ack_sent", 3),
    ("sctp_heartbeat_sent", "sctp_timeout_heartbeat_sent", 30), ("gre", "gre_timeout", 30),
    ("gre_stream", "gre_timeout_stream", 180), ("generic", "generic_timeout", 600),
]
DEFAULT_TIMEOUTS = {n: d for n, _, d in TIMEOUTS}

# ---------------------------------------------------------------- the table as text


class Entry:
    """One line of `conntrack -L -o extended` or `ctctl -L -o extended`."""

    __slots__ = ("proto", "timeout", "state", "orig", "reply", "flags", "count", "line", "mark", "zone")

    def __init__(self, line):
        self.line = line
        words = line.split()
        # ipv4 2 tcp 6 431998 ESTABLISHED src=...
        self.proto = int(words[3])
        self.timeout = None
        self.state = ""
        self.flags = []
        self.mark = self.zone = "0"
        sides = []
        cur = None
        count = []
        for w in words[4:]:
            if w[0] == "[":
                self.flags.append(w.strip("[]"))
                continue
            k, eq, v = w.partition("=")
            if not eq:
                if self.timeout is None and w.isdigit():
                    self.timeout = int(w)
                else:
                    self.state = w
                continue
            if k == "src":
                cur = []
                sides.append(cur)
            if k in ("packets", "bytes"):
                count.append(int(v))
            elif k in ("src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey"):
                cur.append((k, v))
            elif k == "mark":
                self.mark = v
            elif k == "zone":
                self.zone = v
        self.orig, self.reply = (tuple(sides[0]), tuple(sides[1])) if len(sides) == 2 else ((), ())
        self.flags = tuple(sorted(self.flags))
        self.count = tuple(count)

    def key(self):
        """Direction included: who began is the order of the tuples."""
        return (self.proto, self.orig)


def addr_index(text):
    """The sequence's number from an address of Flow, or None."""
    if ":" in text:
        try:
            b = socket.inet_pton(socket.AF_INET6, text)
        except OSError:
            return None
        if b[0] != 0xFD or b[13] != 1:
            return None
        return b[14] << 8 | b[15]
    p = text.split(".")
    if p[0] != "10" or p[1] not in ("1", "2", "3", "4"):
        return None
    return int(p[2]) << 8 | int(p[3])


def raw_table(text):
    """{sequence number: {the line without time-out and use count: (seconds left, line)}}.
    Most lines of two tables are equal in that form and need not be taken apart."""
    out = {}
    for line in text.splitlines():
        # ipv4     2 tcp      6 431998 ESTABLISHED src=10.1.0.7 dst=...
        w = line.split(None, 5)
        if len(w) < 6 or not w[4].isdigit():
            continue
        rest = w[5]
        at = rest.find("src=") + 4
        end = rest.find(" ", at)
        idx = addr_index(rest[at:end])
        if idx is None:
            continue
        key = w[3] + " " + rest.partition(" use=")[0]
        out.setdefault(idx, {})[key] = (int(w[4]), line)
    return out


def entries(raw):
    """One sequence's part of raw_table as {key: Entry}."""
    out = {}
    for _, line in (raw or {}).values():
        e = Entry(line)
        out[e.key()] = e
    return out


def parse_table(text):
    """{sequence number: {key: Entry}}"""
    return {i: entries(r) for i, r in raw_table(text).items()}


# ---------------------------------------------------------------- BPF maps by their pins
class PinnedArray:
    """An mmapable ARRAY map, by its pin."""

    def __init__(self, path, size):
        buf = ctypes.create_string_buffer(path.encode())
        attr = struct.pack("QII", ctypes.addressof(buf), 0, 0).ljust(64, b"\0")
        a = ctypes.create_string_buffer(attr, len(attr))
        fd = libc.syscall(321, 7, a, len(attr))  # BPF_OBJ_GET
        if fd < 0:
            raise OSError(ctypes.get_errno(), "open " + path)
        page = mmap.PAGESIZE
        self.mem = mmap.mmap(fd, (size + page - 1) // page * page, mmap.MAP_SHARED)
        os.close(fd)


ABI = r"""
#include <stdio.h>
#include <stddef.h>
#include "bpf/abi/ct_table.h"
#define F(f) printf(#f " %zu\n", offsetof(struct ct_settings, f))
int main(void)
{
	printf("sizeof %zu\n", sizeof(struct ct_settings));
	F(tcp_max_retrans); F(tcp_be_liberal); F(tcp_loose); F(tcp_ignore_invalid_rst); F(checksum); F(fragments);
#define X(field, secs) printf("timeout " #field "\n");
	CT_TIMEOUTS(X)
}
"""


def abi_layout():
    """({field of struct ct_settings: offset}, [time-outs in their order]), asked of the compiler."""
    with tempfile.TemporaryDirectory(prefix="or-") as d:
        exe = os.path.join(d, "layout")
        run("gcc", "-w", "-I", ROOT, "-x", "c", "-", "-o", exe, stdin=ABI)
        at, names = {}, []
        for line in run(exe).stdout.splitlines():
            k, v = line.split()
            if k == "timeout":
                names.append(v)
            else:
                at[k] = int(v)
    return at, names


# ---------------------------------------------------------------- routers
def terminated(*_):
    """A second signal (timeout(1) sends two) must not end the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(143)


class Lab:
    """The end namespace and the routers that hang on it."""

    def __init__(self, prefix=None):
        # whoever ends us lets the clean-up run
        signal.signal(signal.SIGTERM, terminated)
        self.prefix = prefix or "or-%d" % os.getpid()
        self.ends = self.prefix + "-e"
        self.sides = []
        run("ip", "netns", "add", self.ends)
        with InNs(self.ends):
            for k in ("all", "default"):
                put("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % k, 1)

    def add(self, side):
        self.sides.append(side)
        side.create(self)
        return side

    def close(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for s in self.sides:
            try:
                s.destroy()
            except Exception as e:  # go on: leave nothing behind
                print("# clean-up of %s: %s" % (s.name, e), file=sys.stderr)
        run("ip", "netns", "del", self.ends, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def put(path, value):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def link_mac(ns, dev):
    with InNs(ns):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((dev, 0))
        mac = s.getsockname()[4]
        s.close()
    return mac


def mac_text(b):
    return ":".join("%02x" % x for x in b)


class Side:
    """One router. name is a single letter."""

    kind = "none"

    def __init__(self, name):
        self.name = name

    def create(self, lab):
        self.lab = lab
        self.ns = "%s-%s" % (lab.prefix, self.name)
        run("ip", "netns", "add", self.ns)
        with InNs(self.ns):
            put("/proc/sys/net/ipv4/ip_forward", 1)
            put("/proc/sys/net/ipv6/conf/all/forwarding", 1)
            for k in ("all", "default"):
                put("/proc/sys/net/ipv4/conf/%s/rp_filter" % k, 0)
                put("/proc/sys/net/ipv4/conf/%s/send_redirects" % k, 0)
                put("/proc/sys/net/ipv4/conf/%s/log_martians" % k, 0)
                put("/proc/sys/net/ipv6/conf/%s/accept_dad" % k, 0)
                put("/proc/sys/net/ipv6/conf/%s/accept_ra" % k, 0)
                put("/proc/sys/net/ipv6/conf/%s/accept_source_route" % k, 1)
                put("/proc/sys/net/ipv6/conf/%s/router_solicitations" % k, 0)
        run("ip", "-n", self.ns, "link", "set", "lo", "up")
        self.sock, self.head = {}, {}
        for d, n in (("c", 1), ("s", 2)):
            outer = d + self.name
            run("ip", "-n", lab.ends, "link", "add", outer, "mtu", "12000", "type", "veth", "peer", "name", d, "mtu", "12000", "netns", self.ns)
            for ns, dev in ((lab.ends, outer), (self.ns, d)):
                run("ethtool", "-K", dev, "gro", "off", "gso", "off", "tso", "off", "tx", "off", ns=ns, check=False)
            with InNs(self.ns):
                put("/proc/sys/net/ipv6/conf/%s/addr_gen_mode" % d, 1)
            run("ip", "-n", lab.ends, "link", "set", outer, "up", "arp", "off")
            run("ip", "-n", self.ns, "link", "set", d, "up")
            end, router = link_mac(lab.ends, outer), link_mac(self.ns, d)
            gw4, gw6 = "10.0.%d.2" % n, "fe80::%d:2" % n
            cmds = ["addr add 10.0.%d.1/24 dev %s" % (n, d), "addr add fe80::%d:1/64 dev %s nodad" % (n, d),
                    "addr add fd00:%d::1/64 dev %s nodad" % (n, d),
                    "neigh add %s lladdr %s dev %s nud permanent" % (gw4, mac_text(end), d),
                    "neigh add %s lladdr %s dev %s nud permanent" % (gw6, mac_text(end), d)]
            for net in ((1, 4) if d == "c" else (2, 3)):
                cmds.append("route add 10.%d.0.0/16 via %s dev %s" % (net, gw4, d))
                cmds.append("-6 route add fd%02x::/16 via %s dev %s" % (net, gw6, d))
            for c in cmds:
                run("ip", "-n", self.ns, *c.split())
            with InNs(lab.ends):
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
                s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
                s.bind((outer, ETH_P_ALL))
                s.setblocking(False)
            self.sock[d] = s
            self.head[d] = {4: router + end + b"\x08\x00", 6: router + end + b"\x86\xdd"}
        self.peer = {"c": "s", "s": "c"}
        self.barrier_no = 0
        self.start()

    def start(self):
        pass

    def stop(self):
        pass

    def destroy(self):
        try:
            self.stop()
        finally:
            for s in getattr(self, "sock", {}).values():
                s.close()
            run("ip", "netns", "del", self.ns, check=False)

    def send(self, d, ip):
        """ip: the packet from the IP header on."""
        self.sock[d].send(self.head[d][4 if ip[0] >> 4 != 6 else 6] + ip)

    def frame(self, d, frame):
        self.sock[d].send(frame)

    def barrier(self, timeout=5.0):
        """Send a datagram each way and read until both have come through: what
        was sent before has then been forwarded or dropped. Everything runs on
        one CPU, whose backlog is a queue. Returns {"c": [ip packets that
        arrived at the client side], "s": [...]}."""
        from ctpkt import ipv4, UDP
        self.barrier_no += 1
        mark = struct.pack("!HHHHI", 9, 9, 12, 0, self.barrier_no)
        want = {"s": b"or-barrier-c" + mark, "c": b"or-barrier-s" + mark}
        ca, sa = b"\x0a\x01\xff\xfa", b"\x0a\x02\xff\xfa"
        self.send("c", ipv4(ca, sa, UDP, struct.pack("!HHHH", 9, 9, 8 + len(want["s"]), 0) + want["s"]))
        # other ports the other way: behind a masquerading router these are two connections
        self.send("s", ipv4(sa, ca, UDP, struct.pack("!HHHH", 10, 10, 8 + len(want["c"]), 0) + want["c"]))
        got = {"c": [], "s": []}
        end = time.monotonic() + timeout
        for d in ("s", "c"):
            s = self.sock[d]
            out = got[d]
            needle = want[d]
            while True:
                try:
                    b = s.recv(65535)
                except BlockingIOError:
                    left = end - time.monotonic()
                    if left <= 0 or not select.select([s], [], [], left)[0]:
                        raise RuntimeError("side %s (%s): the barrier datagram did not come through to %s" %
                                           (self.name, self.kind, d)) from None
                    continue
                if b.endswith(needle):
                    break
                out.append(b[14:])
        return got

    def table(self):
        return parse_table(self.list_text())

    def raw(self):
        return raw_table(self.list_text())


class NftSide(Side):
    """The oracle: the kernel's own tracker."""

    kind = "nft"
    RULES = """
table inet oracle {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ct state invalid counter drop
        ct state vmap { established : accept, related : accept, new : accept, untracked : accept }
    }
}
"""

    def start(self):
        run("nft", "-f", "-", ns=self.ns, stdin=self.RULES)
        with InNs(self.ns):
            put("/proc/sys/net/netfilter/nf_conntrack_acct", 1)
            put("/proc/sys/net/netfilter/nf_conntrack_events", 0)

    def settings(self, loose=1, be_liberal=0, ignore_invalid_rst=0, max_retrans=3, checksum=1):
        p = "/proc/sys/net/netfilter/nf_conntrack_"
        with InNs(self.ns):
            put(p + "tcp_loose", loose)
            put(p + "tcp_be_liberal", be_liberal)
            put(p + "tcp_ignore_invalid_rst", ignore_invalid_rst)
            put(p + "tcp_max_retrans", max_retrans)
            put(p + "checksum", checksum)

    def timeouts(self, values):
        with InNs(self.ns):
            for name, sysctl, _ in TIMEOUTS:
                if sysctl and name in values:
                    put("/proc/sys/net/netfilter/nf_conntrack_" + sysctl, values[name])

    def list_text(self):
        return run("conntrack", "-L", "-o", "extended", ns=self.ns).stdout

    def flush(self):
        run("conntrack", "-F", ns=self.ns)


class BpfctSide(Side):
    """The subject."""

    kind = "bpfct"
    CONF = "set default pass\nset antispoof off\n"

    def __init__(self, name, conf=None):
        super().__init__(name)
        self.conf = conf or self.CONF
        self.ctd = None

    def start(self):
        self.instance = self.ns
        self.dir = tempfile.mkdtemp(prefix="or-")
        self.conf_path = os.path.join(self.dir, "ctd.conf")
        with open(self.conf_path, "w") as f:
            f.write(self.conf)
        self.log_path = os.path.join(self.dir, "ctd.log")
        self.spawn()
        pins = "/sys/fs/bpf/bpfct/" + self.instance
        self.at, self.timeout_names = abi_layout()
        self.m_settings = PinnedArray(pins + "/ct_settings_v1", self.at["sizeof"])
        self.m_timeouts = PinnedArray(pins + "/ct_timeout_v1", 128)

    def spawn(self):
        self.log = open(self.log_path, "ab")
        start = self.log.tell()
        # not on the one CPU that the test keeps to itself
        self.ctd = subprocess.Popen([os.path.join(BUILD, "ctd"), "-f", self.conf_path, "--instance", self.instance,
                                     "--netns", self.ns], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                    preexec_fn=lambda: os.sched_setaffinity(0, ALL_CPUS))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with open(self.log_path, "rb") as f:
                f.seek(start)
                text = f.read().decode(errors="replace")
            if re.search(r"\bready\b", text):
                return
            if self.ctd.poll() is not None:
                raise RuntimeError("ctd exited with %d: %s" % (self.ctd.returncode, text.strip()))
            time.sleep(0.02)
        raise RuntimeError("ctd not ready in 60 s: " + text.strip())

    def stop(self):
        if self.ctd and self.ctd.poll() is None:
            self.ctd.send_signal(signal.SIGTERM)
            try:
                self.ctd.wait(10)
            except subprocess.TimeoutExpired:
                self.ctd.kill()
                self.ctd.wait()
        run(os.path.join(BUILD, "ctd"), "--unload", "--instance", self.instance, "--netns", self.ns, check=False)
        run("rm", "-rf", "--", self.dir)

    def ctctl(self, *args, check=True):
        return run(os.path.join(BUILD, "ctctl"), "--instance", self.instance, *args, check=check)

    def settings(self, loose=1, be_liberal=0, ignore_invalid_rst=0, max_retrans=3, checksum=1):
        m, at = self.m_settings.mem, self.at
        struct.pack_into("<I", m, at["tcp_max_retrans"], max_retrans)
        for name, v in (("tcp_be_liberal", be_liberal), ("tcp_loose", loose), ("tcp_ignore_invalid_rst", ignore_invalid_rst), ("checksum", checksum)):
            m[at[name]] = v

    def fragments(self, passed):
        for family in (0, 1):
            self.m_settings.mem[self.at["fragments"] + family] = passed

    def timeouts(self, values):
        for i, name in enumerate(self.timeout_names):
            if name in values:
                struct.pack_into("<I", self.m_timeouts.mem, 4 * i, values[name])

    def advance(self, seconds):
        self.ctctl("clock", "--advance", str(seconds))

    def list_text(self):
        return self.ctctl("-L", "-o", "extended").stdout

    def flush(self):
        self.ctctl("-F")

    def drops(self):
        """{reason: count} from ctctl stats."""
        import json
        j = json.loads(self.ctctl("-j", "stats").stdout)
        return j


def suite(name, main):
    """The suite's program: main()'s status; root and what is built are asked for first."""
    if os.geteuid():
        print("skip %s: needs root" % name)
        sys.exit(0)
    for program in ("ctd", "ctctl"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            print("FAIL %s: no %s in %s" % (name, program, BUILD))
            sys.exit(1)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        traceback.print_exc()
        print("FAIL %s: %s" % (name, e))
        sys.exit(1)
