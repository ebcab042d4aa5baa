"""Both ends of helped connections in one program: sockets in the namespaces of tests/lib/netns.sh, what ctd has
granted, counted and logged, SIP's texts, and a runner that prints a line a test.

The environment names the namespaces (CLIENT_NS, SERVER_NS) and ctd (CTCTL, INSTANCE, CTD_LOG)."""
import contextlib
import ctypes
import json
import os
import re
import socket
import subprocess
import sys
import time
import traceback

CLIENT, OUTSIDE, SERVER = "10.0.0.2", "203.0.113.1", "203.0.113.2"
INSIDER, STRANGER = "10.0.0.3", "203.0.113.77"  # others of the two networks
PATIENCE = 20  # seconds for what must come; a busy machine is slow
QUIET = 0.3  # for what must not

libc = ctypes.CDLL(None, use_errno=True)
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


class Wrong(Exception):
    pass


def check(cond, text):
    if not cond:
        raise Wrong(text)


@contextlib.contextmanager
def within(address):
    """In the namespace of the host that has this address."""
    name = os.environ["CLIENT_NS" if address.startswith("10.") else "SERVER_NS"]
    fd = os.open("/run/netns/" + name, os.O_RDONLY)
    try:
        if libc.setns(fd, 0):
            raise OSError(ctypes.get_errno(), "setns " + name)
        yield
    finally:
        libc.setns(HOME, 0)
        os.close(fd)


def endpoint(kind, address, port=0):
    with within(address):
        s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.settimeout(PATIENCE)
    return s


def udp(address, port=0):
    return endpoint(socket.SOCK_DGRAM, address, port)


def dial(port, mss=0, sport=0):
    """A connection of the client to a port of the server: both its ends."""
    listener = endpoint(socket.SOCK_STREAM, SERVER, port)
    if mss:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    listener.listen(1)
    client = endpoint(socket.SOCK_STREAM, CLIENT, sport)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect((SERVER, port))
    server = listener.accept()[0]
    listener.close()
    server.settimeout(PATIENCE)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def read(s, n):
    """n bytes of a connection, or what came before its end or a long silence."""
    got = b""
    with contextlib.suppress(socket.timeout):
        while len(got) < n:
            piece = s.recv(65536)
            if not piece:
                break
            got += piece
    return got


def passed(source, to, data):
    """These bytes of one end arrive at the other as they are."""
    source.sendall(data)
    got = read(to, len(data))
    check(got == data, "arrived changed or not whole (%d of %d bytes): %r" % (len(got), len(data), got[:200]))


def reaches(source, to, address, port, text=b"x"):
    """Does a datagram get there?"""
    to.settimeout(PATIENCE)
    source.sendto(text, (address, port))
    with contextlib.suppress(socket.timeout):
        while True:
            got, sender = to.recvfrom(4096)
            if got == text:
                return sender
    return None


def stays_out(source, to, address, port, text=b"no"):
    """It does not; source is any socket."""
    to.settimeout(QUIET)
    source.sendto(text, (address, port))
    try:
        while True:
            check(to.recvfrom(4096)[0] != text, "port %d of %s is open" % (port, address))
    except socket.timeout:
        pass
    finally:
        to.settimeout(PATIENCE)


def connects(source, address, port, patience=1.0):
    """Does a connection from there get an answer (also a refusal) within a second?"""
    s = endpoint(socket.SOCK_STREAM, source)
    s.settimeout(patience)
    try:
        s.connect((address, port))
        return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    finally:
        s.close()


def ctctl(*args):
    done = subprocess.run([os.environ["CTCTL"], "--instance", os.environ["INSTANCE"], "-j", *args], capture_output=True, text=True, check=False)
    check(done.returncode == 0, "ctctl %s: %s" % (" ".join(args), done.stderr))
    return json.loads(done.stdout) if done.stdout.strip() else None


def until(what, text, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not what():
        check(time.monotonic() < end, text)
        time.sleep(0.05)


def expected(proto=None):
    """Expectations that wait: their external ports."""
    return sorted(x["expected"]["dport"] for x in ctctl("expect", "list") if not proto or x["proto"] == proto)


def alg():
    return ctctl("alg")


def log_lines():
    with open(os.environ["CTD_LOG"], encoding="utf-8", errors="replace") as f:
        return [x.rstrip("\n") for x in f if re.search(r"\balg\b.*\breason=", x)]


def forget():
    """Nothing of another test is expected any more."""
    ctctl("expect", "flush")


@contextlib.contextmanager
def grants_nothing(*reasons, off=False, times=1):
    """What goes on within, on one connection, is counted under these reasons, logged once (the first), and nothing is expected."""
    forget()
    before, lines = alg()["reasons"], log_lines()
    yield
    after, new = alg()["reasons"], log_lines()[len(lines):]
    for why in reasons:
        check(after.get(why, 0) == before.get(why, 0) + times, "%s is counted %d times" % (why, after.get(why, 0) - before.get(why, 0)))
    others = {k for k in after if after[k] != before.get(k, 0)} - set(reasons)
    check(not others, "counted as well: %s" % ", ".join(sorted(others)))
    check(len(new) == 1 and new[0].find("reason=" + reasons[0]) > 0, "logged: %s" % new)
    check(("off=yes" in new[0]) == off, "the helper %s: %s" % ("stays" if off else "leaves", new))
    check(not expected(), "something is expected: %s" % expected())


class Wire:
    """What the client puts on its wire: payloads of TCP segments and of IP packets."""

    def __init__(self):
        with within(CLIENT):
            self.s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.s.bind(("c0", 3))
        self.s.setblocking(False)

    def payloads(self):
        got = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, where = self.s.recvfrom(65536)
                if where[2] != socket.PACKET_OUTGOING or where[1] != 0x800:
                    continue
                body = data[(data[0] & 15) * 4:int.from_bytes(data[2:4], "big")]
                got.append(body[(body[12] >> 4) * 4:] if data[9] == 6 and len(body) > 12 else body)
        return got

    def begins(self, word):
        """The attack is one only if a segment or fragment begins with the forged text."""
        found = self.payloads()
        check(any(x.startswith(word) for x in found), "no packet begins with %r: %s" % (word, [x[:12] for x in found]))


def sdp(address, *media, session=""):
    lines = ["v=0", "o=- 1 1 IN IP4 " + address, "s=-", "c=IN IP4 " + address, "t=0 0", *filter(None, [session]), *media]
    return "".join(x + "\r\n" for x in lines).encode()


def audio(port, *more):
    return "\r\n".join(["m=audio %d RTP/AVP 8" % port, "a=rtpmap:8 PCMA/8000", *more])


def sip(start, *headers, body=b"", kind="application/sdp"):
    lines = [start, *headers]
    if body:
        lines.append("Content-Type: " + kind)
    lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Phone:
    """A phone inside and the one that it calls outside, over one connection: UDP, or TCP when a pair is given."""
    number = 0

    def __init__(self, pair=None, port=0):
        Phone.number += 1
        self.tcp = pair is not None
        self.client, self.server = pair or (udp(CLIENT, port or 20000 + Phone.number), udp(SERVER, 5060))
        self.port = self.client.getsockname()[1]
        self.call = "call%d@%s" % (Phone.number, CLIENT)
        self.peer = None  # the phone as the server sees it
        self.buffer = {True: b"", False: b""}

    def close(self):
        self.client.close()
        self.server.close()

    def headers(self, cseq, method, via=True, tag=""):
        transport = "TCP" if self.tcp else "UDP"
        return [*(["Via: SIP/2.0/%s %s:%d;branch=z9hG4bK%d;rport" % (transport, CLIENT, self.port, cseq)] if via else []),
                "Max-Forwards: 70", "From: <sip:alice@%s:%d>;tag=a" % (CLIENT, self.port), "To: <sip:bob@%s>%s" % (SERVER, tag),
                "Call-ID: " + self.call, "CSeq: %d %s" % (cseq, method)]

    def request(self, method, cseq, body=b"", more=(), kind="application/sdp"):
        contact = ["Contact: <sip:alice@%s:%d>" % (CLIENT, self.port)] if method in ("INVITE", "UPDATE") else []
        return sip("%s sip:bob@%s SIP/2.0" % (method, SERVER), *self.headers(cseq, method), *contact, *more, body=body, kind=kind)

    def reply(self, status, cseq, method, body=b"", more=()):
        """As the server writes it: it knows the phone by its outside address only."""
        at = "%s:%d" % self.peer
        return sip("SIP/2.0 " + status, "Via: SIP/2.0/%s %s;branch=z9hG4bK%d;rport" % ("TCP" if self.tcp else "UDP", at, cseq),
                   "From: <sip:alice@%s>;tag=a" % at, "To: <sip:bob@%s>;tag=b" % SERVER, "Call-ID: " + self.call,
                   "CSeq: %d %s" % (cseq, method), "Contact: <sip:bob@%s>" % SERVER, *more, body=body)

    def says(self, text):
        """The phone speaks; what the server hears."""
        if self.tcp:
            self.client.sendall(text)
            self.peer = self.server.getpeername()
            return self.message(False)
        self.client.sendto(text, (SERVER, 5060))
        got, self.peer = self.server.recvfrom(65536)
        return got.decode("latin-1")

    def hears(self, text):
        """The server speaks; what the phone hears."""
        if self.tcp:
            self.server.sendall(text)
            return self.message(True)
        self.server.sendto(text, self.peer)
        return self.client.recv(65536).decode("latin-1")

    def message(self, at_client):
        """The next whole message of a TCP connection."""
        s = self.client if at_client else self.server
        while True:
            self.buffer[at_client] = self.buffer[at_client].lstrip(b"\r\n")  # keep-alives
            head, end, rest = self.buffer[at_client].partition(b"\r\n\r\n")
            length = re.search(rb"^(?:Content-Length|l)\s*:\s*(\d+)", head, re.M | re.I)
            if end and length and len(rest) >= int(length.group(1)):
                n = int(length.group(1))
                self.buffer[at_client] = rest[n:]
                return (head + end + rest[:n]).decode("latin-1")
            piece = s.recv(65536)
            check(piece, "closed in the midst of %r" % self.buffer[at_client])
            self.buffer[at_client] += piece

    def rings(self, *media, cseq=1):
        """INVITE with an offer: the ports that the server is told."""
        heard = self.says(self.request("INVITE", cseq, sdp(CLIENT, *media)))
        check("c=IN IP4 " + OUTSIDE in heard, "the server is told another address: %s" % heard)
        return ports(heard)

    def answers(self, *media, status="200 OK", cseq=1, method="INVITE"):
        heard = self.hears(self.reply(status, cseq, method, sdp(SERVER, *media)))
        if status.startswith("200") and method == "INVITE":
            self.says(self.request("ACK", cseq))
        return heard

    def hangs_up(self, cseq=9):
        self.says(self.request("BYE", cseq))
        self.hears(self.reply("200 OK", cseq, "BYE"))


def ports(text):
    return [int(x) for x in re.findall(r"^m=\w+ (\d+)", text, re.M)]


TESTS = []


def test(f):
    TESTS.append((f.__name__, f, ()))
    return f


def each(*rows):
    """One test a row: its name, then its arguments."""
    def wrap(f):
        for row in rows:
            TESTS.append((row[0], f, row[1:]))
        return f
    return wrap


def run():
    failed = 0
    for name, f, args in TESTS:
        if len(sys.argv) > 1 and not any(p in name for p in sys.argv[1:]):
            continue
        try:
            f(*args)
            print("ok " + name, flush=True)
        except Exception as e:  # the others go on
            failed = 1
            print("FAIL %s: %s" % (name, str(e).replace("\n", " ")[:300]), flush=True)
            if not isinstance(e, Wrong):
                print("  " + traceback.format_exc().replace("\n", "\n  "), flush=True)
    return failed
