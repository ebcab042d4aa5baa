"""PPTP (RFC 2637) word by word: calls through the helper, and what it refuses (tests/netns/alg_pptp.sh).

Both ends are here: the control connection over TCP, enhanced GRE over raw sockets. Then Debian's pptp
and pptpd, with something else in the place of pppd, as PPP itself needs a kernel that has it."""
import atexit
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from alg_lab import (CLIENT, INSIDER, OUTSIDE, PATIENCE, QUIET, SERVER, STRANGER, alg, check, ctctl, endpoint, expected,
                     grants_nothing, passed, read, run, test, until, within)

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


@test
def two_clients_with_the_same_id_reach_one_server():
    with both(Control(), Control(INSIDER)) as (a, b):
        x, y = Call(a, 7, 900), Call(b, 7, 901)
        check(x.c_shown != y.c_shown, "the server knows both as call %d" % x.c_shown)
        x.up()
        y.down()
        for _ in range(2):
            for way in (x.down, y.up, y.down, x.up):
                way()
        check(len(flows()) == 2, "connections: %s" % flows())
        check(len(ctctl("flow", "list", "-p", "gre", "-u", "EXPECTED")) == 2, "they are not related")


@test
def several_calls_of_one_control_connection():
    with Control() as k:
        calls = [Call(k, 7, 900), Call(k, 8, 901, ask=False), Call(k, 9, 902)]
        for call in calls:
            call.down()
            call.up()
        # and what is said about them: the peer's id, by each side
        for i, call in enumerate(calls):
            check(ids(k.said(message(SET_LINK, call.s_shown)))[0] == call.s, "Set-Link-Info of call %d" % i)
            check(ids(k.said(message(WAN_ERROR, call.c_shown), False))[0] == call.c, "WAN-Error-Notify of call %d" % i)
        check(ids(k.said(message(IN_UP, calls[1].c_shown), False))[0] == 8, "Incoming-Call-Connected")
        passed(k.c, k.s, message(ECHO_ASK))


@test
def a_server_behind_nat():
    with both(Control(SERVER, CLIENT, OUTSIDE, SERVER), Control(STRANGER, CLIENT, OUTSIDE, STRANGER)) as (a, b):
        x, y = Call(a, 7, 900), Call(b, 7, 901)
        for way in (x.up, y.down, x.down, y.up, x.up, y.down):
            way()


@test
def a_server_behind_the_same_nat():
    """Hairpin: each end is translated for the other; redirected where they come in, and by the stack."""
    with both(Control(INSIDER, CLIENT, OUTSIDE, OUTSIDE), Control(STRANGER, CLIENT, OUTSIDE, STRANGER)) as (a, b):
        x, y = Call(a, 7, 900), Call(b, 7, 901)
        for options in (b"", b"\x01\x01\x01\x00"):
            for address in (INSIDER, CLIENT):
                gre(address).options(options)
            try:
                for way in (x.up, y.down, x.down, y.up, x.up, x.down):
                    way()
            finally:
                for address in (INSIDER, CLIENT):
                    gre(address).options(b"")
        # GRE of the server before its answer is for the router itself, by address: nobody else gets it, and it stands in nobody's way
        shown = ids(a.said(message(OUT_ASK, 8)))[0]
        stays_out(gre(CLIENT), gre(INSIDER), OUTSIDE, shown)
        other = ids(a.said(message(OUT_OK, 902, shown, 1), False))[0]
        for _ in range(2):
            reaches(gre(CLIENT), gre(INSIDER), OUTSIDE, shown, (OUTSIDE, 8))
            reaches(gre(INSIDER), gre(CLIENT), OUTSIDE, other, (OUTSIDE, 902))
        ctctl("-D", "-p", "gre")


@test
def ids_of_0():
    """pptpd's first call has it, and the callers of old."""
    with both(Control(), Control(INSIDER)) as (a, b):
        for call in (Call(a, 7, 0), Call(b, 0, 901), Call(a, 0, 902)):
            for way in (call.up, call.down, call.up):
                way()
    with both(Control(SERVER, CLIENT, OUTSIDE, SERVER), Control(INSIDER)) as (a, b):
        for call in (Call(a, 7, 0), Call(b, 0, 0)):
            for way in (call.down, call.up, call.down):
                way()
        # and other GRE stays what it is
        reaches(gre(INSIDER), gre(SERVER), SERVER, 77, (OUTSIDE, 77))
        reaches(gre(SERVER), gre(INSIDER), OUTSIDE, 78, (SERVER, 78))
    ctctl("-D", "-p", "gre")


@test
def messages_in_pieces_and_several_in_one():
    with both(Control(), Control(INSIDER)) as (a, b):
        first = Call(a, 7, 900)
        text = message(OUT_ASK, 7)
        for piece in (text[:5], text[5:13], text[13:]):
            b.c.sendall(piece)
            time.sleep(0.05)
        got = read(b.s, len(text))
        shown = ids(got)[0]
        check(shown != first.c_shown and len(got) == len(text), "it arrives as %d: %r" % (shown, got[:20]))
        text = message(ECHO_OK) + message(OUT_OK, 901, shown, 1) + message(WAN_ERROR, shown)
        b.s.sendall(text)
        got = read(b.c, len(text))
        check(ids(got[20:])[1] == 7 and ids(got[52:])[0] == 7, "ids are %s, %s" % (ids(got[20:]), ids(got[52:])))
        reaches(gre(SERVER), gre(INSIDER), OUTSIDE, shown, (SERVER, 7))


@test
def a_call_in_ip_fragments():
    with both(Control(), Control(INSIDER)) as (a, b):
        x, y = Call(a, 7, 900), Call(b, 7, 901)
        for call in (x, y):
            for up in (True, False, True):
                source, to, where, number, want = \
                    (gre(call.k.client), gre(SERVER), SERVER, call.s_shown, (OUTSIDE, call.s)) if up else \
                    (gre(SERVER), gre(call.k.client), OUTSIDE, call.c_shown, (SERVER, 7))
                source.fragments(where, number, b"<%d %d>" % (number, up))
                found = to.got(b"<%d %d>" % (number, up), PATIENCE)
                check(found and found[0] == want, "in fragments: %s, not %s" % (found and found[0], want))
                check(len(found[1]) > 3000, "not whole")


@test
def a_call_that_is_cleared_is_closed():
    with Control() as k:
        x = Call(k, 7, 900)
        x.up()
        x.down()
        check(ids(k.said(message(CLEAR, 7)))[0] == x.c_shown, "Call-Clear-Request has another id")
        x.closed()
        check(ids(k.said(message(GONE, 900), False))[0] == 900, "Call-Disconnect-Notify has another id")
        y = Call(k, 8, 902)
        y.down()
        k.said(message(GONE, 902), False)
        y.closed()


@test
def calls_end_with_their_control_connection():
    for end in ("close", "reset", "stop"):
        k = Control()
        x = Call(k, 7, 900)
        x.down()
        x.up()
        if end == "reset":
            k.c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif end == "stop":
            k.said(message(STOP_ASK))
        if end != "stop":
            k.close()
        x.closed()
        k.close()


@test
def a_redial_takes_the_place_of_the_call_before():
    """The client has lost its first control connection, of whose end nothing was seen."""
    with both(Control(), Control()) as (before, now):
        x = Call(before, 7, 900)
        x.up()
        y = Call(now, 7, 900)
        for way in (y.down, y.up, y.down):
            way()
        stays_out(gre(SERVER), gre(CLIENT), OUTSIDE, x.c_shown)
        check(len(flows()) == 1, "connections: %s" % flows())


@test
def only_the_two_of_a_call_and_only_its_ids():
    with Control() as k:
        x = Call(k, 7, 900)
        x.up()
        stays_out(gre(STRANGER), gre(CLIENT), OUTSIDE, x.c_shown)
        stays_out(gre(SERVER), gre(CLIENT), OUTSIDE, x.c_shown ^ 1)
        stays_out(gre(SERVER), gre(CLIENT), OUTSIDE, x.c_shown, b"\x30\x00")
        x.down()


@test
def other_gre_goes_by_address():
    """Enhanced without a call, and of version 0: the address alone is translated, whatever else is open."""
    with Control(INSIDER) as k:
        x = Call(k, 7, 900)
        x.up()
        for first in (b"\x30\x01", b"\x30\x00"):
            reaches(gre(CLIENT), gre(SERVER), SERVER, 77, (OUTSIDE, 77), first)
            reaches(gre(SERVER), gre(CLIENT), OUTSIDE, 78, (SERVER, 78), first)
        x.down()
        check(len(flows()) == 1, "connections: %s" % flows())
    stays_out(gre(STRANGER), gre(CLIENT), OUTSIDE, 79)
    ctctl("-D", "-p", "gre")


def error_about(host, to, packet):
    """ICMP about what arrived there, as a stack would write it: the header and eight bytes."""
    body = struct.pack("!BBHI", 3, 3, 0, 0) + packet[:28]
    total = sum(struct.unpack("!18H", body))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    host.icmp.sendto(body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:], (to, 0))


def hears_of(host, source, src, dst, call):
    end, quoted = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        host.icmp.settimeout(max(0.01, end - time.monotonic()))
        with contextlib.suppress(socket.timeout):
            data, where = host.icmp.recvfrom(2048)
            if where[0] != source or data[20:22] != b"\x03\x03" or data[37] != 47:
                continue
            quoted = (socket.inet_ntoa(data[40:44]), socket.inet_ntoa(data[44:48]), int.from_bytes(data[54:56], "big"))
            if quoted == (src, dst, call):
                return
    check(False, "it quotes %s, not %s" % (quoted, (src, dst, call)))


@test
def icmp_errors_find_who_sent_it():
    with both(Control(), Control(INSIDER)) as (a, b):
        for call in (Call(a, 7, 900), Call(b, 7, 901)):
            inside = call.k.client
            error_about(gre(SERVER), OUTSIDE, call.up())
            hears_of(gre(inside), SERVER, inside, SERVER, call.s)
            error_about(gre(inside), SERVER, call.down())
            hears_of(gre(SERVER), OUTSIDE, SERVER, OUTSIDE, call.c_shown)


@test
def without_a_rule_nothing_is_read():
    with Control(port=1724) as k:
        shown = ids(k.said(message(OUT_ASK, 7)))[0]
        k.said(message(OUT_OK, 900, shown, 1), False)
        check(shown == 7 and not expected(47), "call %d, expected %s" % (shown, expected(47)))
        stays_out(gre(SERVER), gre(CLIENT), OUTSIDE, 7)


@test
def what_is_refused_opens_nothing():
    with Control() as k, grants_nothing("refused"):
        shown = ids(k.said(message(OUT_ASK, 7)))[0]
        k.said(message(OUT_OK, 0, shown, 2), False)
        stays_out(gre(SERVER), gre(CLIENT), OUTSIDE, shown)
    with Control() as k, grants_nothing("unasked"):
        k.said(message(OUT_OK, 900, 7, 1), False)
    with Control() as k, grants_nothing("syntax"):
        passed(k.c, k.s, struct.pack("!HHIHHHH", 16, 1, MAGIC, OUT_ASK, 0, 7, 0))


@test
def another_protocol_loses_the_helper():
    for text in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", message(START_ASK)[:8] + b"\0\2" + bytes(146)):
        with Control(start=False) as k, grants_nothing("not_protocol", off=True):
            passed(k.c, k.s, text)
            passed(k.c, k.s, message(START_ASK))
            passed(k.s, k.c, start_ok())
            passed(k.c, k.s, message(OUT_ASK, 7))
    with Control() as k:
        x = Call(k, 7, 900)
        x.down()
        passed(k.c, k.s, b"\0\x10\0\1GET / HTTP/1.1\r\n")
        check(alg()["reasons"].get("framing", 0) == 1, "not counted: %s" % alg()["reasons"])
        x.closed()


def ports_aside():
    return next(t["used"] for t in ctctl("stats")["tables"] if t["table"] == "exp-ports")


@test
def a_flood_of_calls_has_its_limits():
    with Control() as k:
        before = alg()["reasons"].get("flood", 0)
        for i in range(1, 41):
            k.said(message(OUT_ASK, i))
        check(alg()["reasons"].get("flood", 0) == before + 8, "counted: %s" % alg()["reasons"])
        check(not expected(47), "expected: %s" % expected(47))
    until(lambda: not ports_aside(), "ids are set aside still")
    # of all masters together
    ctctl("expect", "limit", "8")
    open_ones = []
    try:
        for i in range(6):
            k = Control([CLIENT, INSIDER][i % 2])
            open_ones.append(k)
            shown = ids(k.said(message(OUT_ASK, 100 + i)))[0]
            k.said(message(OUT_OK, 900 + i, shown, 1), False)
        check(len(expected(47)) == 8, "%d are expected" % len(expected(47)))
        check(alg()["reasons"].get("no_port", 0) >= 2, "counted: %s" % alg()["reasons"])
    finally:
        ctctl("expect", "limit", "4096")
        for k in open_ones:
            k.close()
    until(lambda: not expected(47), "they are expected still")


@test
def real_callers_with_one_id():
    """pptpd's first call has the id 0."""
    a, b = Caller(CLIENT, 7), Caller(INSIDER, 7)
    for i in range(3):
        a.echoes(b"a%d" % i)
        b.echoes(b"b%d" % i + b"~" * 600)
    check(len(flows()) == 2 and not any(x.startswith(b"b") for x in a.texts), "connections: %s" % flows())
    check(len(ctctl("flow", "list", "-p", "gre", "-u", "EXPECTED")) == 2, "they are not related")
    a.close()
    until(lambda: len(flows()) == 1, "its connection is there still")
    b.echoes(b"b alone")
    a = Caller(CLIENT, 7)
    a.echoes(b"called again")
    b.echoes(b"as before")
    for caller in (a, b):
        caller.close()
    until(lambda: not flows() + expected(47), "something is left")


def in_the_kernel(shown, sport):
    """GRE of the first client as nf_conntrack has it: with its PPTP helper, or (sport 0) without."""
    subprocess.run(["nsenter", "--net=/run/netns/" + os.environ["ROUTER_NS"], "conntrack", "-I", "-p", "gre", "-t", "100", "-u", "ASSURED,SEEN_REPLY",
                    "--orig-src", CLIENT, "--orig-dst", SERVER, "--srckey", str(sport), "--dstkey", "900", "--reply-src", SERVER,
                    "--reply-dst", OUTSIDE, "--reply-key-src", "900", "--reply-key-dst", str(shown)], check=True, capture_output=True)
    ctctl("flow", "import")
    subprocess.run(["nsenter", "--net=/run/netns/" + os.environ["ROUTER_NS"], "conntrack", "-F"], check=True, capture_output=True)


@test
def a_call_that_the_kernel_has_followed():
    """nf_nat_pptp had given it another id; no helper watches its control connection any more."""
    there, back = (gre(CLIENT), gre(SERVER), SERVER, 900, (OUTSIDE, 900)), (gre(SERVER), gre(CLIENT), OUTSIDE, 4007, (SERVER, 7))
    in_the_kernel(4007, 7)
    for way in (back, there, back):
        reaches(*way)
    check(len(flows()) == 1, "connections: %s" % flows())
    ctctl("-D", "-p", "gre")
    time.sleep(1.5)  # its ids are swept
    stays_out(*back[:4])
    # dialled again, with the same ids: the new call takes their place
    in_the_kernel(4007, 7)
    reaches(*back)
    with Control() as k:
        x = Call(k, 7, 900)
        for way in (x.up, x.down, x.up):
            way()
        stays_out(*back[:4])
        check(len(flows()) == 1, "connections: %s" % flows())


@test
def gre_that_the_kernel_has_not_followed():
    in_the_kernel(0, 0)
    for _ in range(2):
        reaches(gre(SERVER), gre(CLIENT), OUTSIDE, 7, (SERVER, 7))
        reaches(gre(CLIENT), gre(SERVER), SERVER, 900, (OUTSIDE, 900))
    ctctl("-D", "-p", "gre")


def kill_ctd():
    pid = os.environ["CTD_PID"]
    os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open("/proc/%s/stat" % pid, encoding="utf-8") as stat:
        until(lambda: stat.seek(0) == 0 and stat.read().rpartition(")")[2].split()[0] in "ZX", "ctd does not die")


def new_ctd():
    """The next one, ready; it is ended with this program."""
    with open(os.environ["CTD_LOG"], "w", encoding="utf-8") as log:
        ctd = subprocess.Popen([os.environ["CTD"], "-f", os.environ["CONF"], "--instance", os.environ["INSTANCE"], "--netns",
                                os.environ["ROUTER_NS"]], stdout=log, stderr=log)
    atexit.register(ctd.terminate)
    with open(os.environ["CTD_LOG"], encoding="utf-8") as log:
        until(lambda: "event=ready" in log.read(), "ctd does not start", 60)


@test
def a_call_outlives_ctd():
    """Killed in the midst of it: GRE goes on, the next ctd knows the calls and closes them."""
    with both(Control(), Control(INSIDER)) as (k, b):
        x, y = Call(k, 7, 900), Call(b, 7, 901)
        x.up()
        real = Caller(CLIENT, 11)
        real.echoes(b"before")
        kill_ctd()
        x.down()
        y.down()  # the first packet of its connection
        real.echoes(b"without")
        new_ctd()
        for way in (x.up, x.down, y.up, y.down):
            way()
        real.echoes(b"after")
        real.close()
        until(lambda: len(flows()) == 2, "connections: %s" % flows())
        check(ids(k.said(message(CLEAR, 7)))[0] == x.c_shown, "Call-Clear-Request has another id")
        until(lambda: len(flows()) == 1, "connections: %s" % flows())
        y.down()


if __name__ == "__main__":
    sys.exit(run())
