"""The two ends of PPTP (RFC 2637) for tests/netns/alg_pptp.py: the control connection over TCP, enhanced GRE over raw sockets,
and Debian's pptp with something else in the place of its pppd."""
import atexit
import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

from alg_lab import (CLIENT, OUTSIDE, PATIENCE, QUIET, SERVER, STRANGER, check, endpoint, expected, passed, read, until,
                     within)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from hdlc import Frames, frame

MAGIC = 0x1A2B3C4D
(START_ASK, START_OK, STOP_ASK, STOP_OK, ECHO_ASK, ECHO_OK, OUT_ASK, OUT_OK, IN_ASK, IN_OK, IN_UP, CLEAR, GONE, WAN_ERROR,
 SET_LINK) = range(1, 16)
LENGTH = {1: 156, 2: 156, 3: 16, 4: 16, 5: 16, 6: 20, 7: 168, 8: 32, 9: 220, 10: 24, 11: 28, 12: 16, 13: 148, 14: 40, 15: 24}


def message(kind, first=0, peer=0, result=0):
    """A message: the first call id, of an answer the second and its result."""
    head = struct.pack("!HHIHHHHBB", LENGTH[kind], 1, MAGIC, kind, 0, first, peer, result, 0)
    return head[:LENGTH[kind]] + b"\x5a" * (LENGTH[kind] - len(head))


def start_ok(result=1):
    return struct.pack("!HHIHHHBB", 156, 1, MAGIC, START_OK, 0, 0x100, result, 0) + bytes(140)


def ids(text):
    return struct.unpack("!HH", text[12:16])


class Gre:
    """Enhanced GRE of one host, and the ICMP errors that it gets."""
    number = 0

    def __init__(self, address):
        with within(address):
            self.s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
            self.icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        for s in (self.s, self.icmp):
            s.bind((address, 0))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def send(self, to, call, text, first=b"\x30\x01"):
        self.s.sendto(first + struct.pack("!HHHI", 0x880B, len(text), call, 1) + text, (to, 0))

    def fragments(self, to, call, text):
        """Too long for the link."""
        self.send(to, call, b"^" * 3000 + text)

    def got(self, text, seconds):
        """(source, call id) of the packet that ends so and its bytes; None: it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                data, where = self.s.recvfrom(8192)
                if data.endswith(text):
                    at = (data[0] & 15) * 4 + 6
                    return (where[0], int.from_bytes(data[at:at + 2], "big")), data
        return None

    def options(self, options):
        """With IP options a packet is none that is redirected at ingress: it goes by the router's stack."""
        self.s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)


def reaches(source, to, address, call, want, first=b"\x30\x01"):
    """A packet from Gre to Gre arrives, from (address, call id): the id is the one that its receiver chose."""
    Gre.number += 1
    text = b"<%d>" % Gre.number
    source.send(address, call, text, first)
    found = to.got(text, PATIENCE)
    check(found, "GRE of call %d to %s does not arrive" % (call, address))
    check(found[0] == want, "arrives from %s, call %d; not %s, %d" % (found[0] + want))
    return found[1]


def stays_out(source, to, address, call, first=b"\x30\x01"):
    Gre.number += 1
    text = b"<%d>" % Gre.number
    source.send(address, call, text, first)
    check(not to.got(text, QUIET), "GRE of call %d to %s arrives" % (call, address))


hosts = {}


def gre(address):
    if address not in hosts:
        hosts[address] = Gre(address)
    return hosts[address]


class Control:
    """A control connection: the client at `client`, seen as `seen`; the server at `at`, reached as `server`."""

    def __init__(self, client=CLIENT, at=SERVER, server=SERVER, seen=OUTSIDE, start=True, port=1723):
        listener = endpoint(socket.SOCK_STREAM, at, port)
        listener.listen(1)
        self.c = endpoint(socket.SOCK_STREAM, client)
        self.c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.c.connect((server, port))
        self.s = listener.accept()[0]
        listener.close()
        self.s.settimeout(PATIENCE)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client, self.at, self.server, self.seen = client, at, server, seen
        if start:
            passed(self.c, self.s, message(START_ASK))
            passed(self.s, self.c, start_ok())

    def said(self, text, by_client=True):
        """What arrives of a message."""
        source, to = (self.c, self.s) if by_client else (self.s, self.c)
        source.sendall(text)
        got = read(to, len(text))
        check(len(got) == len(text), "%d of %d bytes arrive" % (len(got), len(text)))
        check(got[:12] == text[:12] and got[16:] == text[16:], "more than ids has changed")
        return got

    def close(self):
        self.c.close()
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()
        until(lambda: not over(self), "calls of a closed connection are there")


@contextlib.contextmanager
def both(a, b):
    """Two at once, closed together."""
    try:
        yield a, b
    finally:
        a.close()
        b.close()
        until(lambda: not over(a) + over(b), "calls of closed connections are there")


class Call:
    """A call of a control connection: the client chose id c, the server s; ask: the client asks for it."""

    def __init__(self, control, c, s, ask=True):
        self.k, self.c, self.s = control, c, s
        first, second = (c, s) if ask else (s, c)
        shown = ids(control.said(message(OUT_ASK if ask else IN_ASK, first), ask))[0]
        other, was = ids(control.said(message(OUT_OK if ask else IN_OK, second, shown, 1), not ask))
        check(was == first, "the answer is about call %d, not %d" % (was, first))
        # as the other side knows them
        self.c_shown, self.s_shown = (shown, other) if ask else (other, shown)

    def up(self):
        k = self.k
        return reaches(gre(k.client), gre(k.at), k.server, self.s_shown, (k.seen, self.s))

    def down(self):
        k = self.k
        return reaches(gre(k.at), gre(k.client), k.seen, self.c_shown, (k.server, self.c))

    def closed(self):
        """Nothing of it comes in from outside any more; the client is inside."""
        k = self.k
        until(lambda: not flows(self.c), "its connection is there still")
        stays_out(gre(k.at), gre(k.client), k.seen, self.c_shown)
        check(not expected(47), "GRE is expected: %s" % expected(47))


def flows(call=None):
    """GRE connections that go by call ids; of a call: with this id, which is not 0."""
    done = subprocess.run([os.environ["CTCTL"], "--instance", os.environ["INSTANCE"], "-L", "-p", "gre"], capture_output=True, text=True,
                          check=False)
    return [x for x in done.stdout.splitlines() if "srckey=0x0 dstkey=0x0 " not in x and (call is None or "key=0x%x " % call in x)]


class Caller:
    """A pptp, called from this address, whose call id is in its /dev/random; and frames instead of its pppd."""
    START = 'mount --bind "$1/random" /dev/random && mount --bind "$1" /run/pptp && shift && exec "$@"'

    def __init__(self, address, call):
        self.dir = tempfile.mkdtemp(dir=os.environ["CALLERS"])
        with open(self.dir + "/random", "wb") as f:
            f.write(struct.pack("=H", call))
        os.makedirs("/run/pptp", exist_ok=True)
        self.s, end = socket.socketpair()
        self.frames, self.texts = Frames(), []
        with open(self.dir + "/log", "wb") as log:
            self.pptp = subprocess.Popen(["nsenter", "--net=/run/netns/" + os.environ["CLIENT_NS"], "unshare", "--mount", "--propagation",
                                          "private", "sh", "-c", self.START, "sh", self.dir, os.environ["PPTP"], STRANGER,
                                          "--nolaunchpppd", "--nohostroute", "--loglevel", "2", "--localbind", address],
                                         stdin=end, stdout=log, stderr=log)
        end.close()
        atexit.register(self.pptp.kill)

    def echoes(self, text):
        """What is sent comes back: sent again, as PPP would."""
        end = time.monotonic() + PATIENCE
        while text not in self.texts:
            with open(self.dir + "/log", encoding="utf-8", errors="replace") as log:
                check(time.monotonic() < end, "%r does not come back: %s" % (text[:9], log.read()[-600:]))
            self.s.sendall(frame(text))
            self.s.settimeout(0.3)
            with contextlib.suppress(socket.timeout):
                piece = self.s.recv(65536)
                check(piece, "pptp has ended")
                self.texts += self.frames.of(piece)

    def close(self):
        self.pptp.terminate()
        self.pptp.wait()
        self.s.close()


def over(control):
    """What is left of its calls."""
    return [x for x in flows() if "src=%s dst=%s " % (control.client, control.server) in x] + expected(47)
