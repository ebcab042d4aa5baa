"""The recorded exchanges of tests/alg/corpus, once through our router and once through one with the kernel's helpers
(tests/netns/alg_like_nft.sh): what each end hears must be the same, and where the kernel expects a connection we must."""
import glob
import os
import re
import socket
import subprocess
import sys

from alg_lab import TESTS, Wrong, check, endpoint, read, run

CLIENT, SERVER = "10.0.0.23", "203.0.113.2"  # as the exchanges say; FTP's client calls the server SEEN
SEEN = "192.0.2.1"
ESCAPE = re.compile(rb"\\(x([0-9a-f]{2})|.)")
SIDES = {"ours": "", "the kernel's": "NFT_"}


def plain(match):
    if match.group(2):
        return bytes([int(match.group(2), 16)])
    return {b"r": b"\r", b"n": b"\n"}.get(match.group(1), match.group(1))


def pieces(path):
    with open(path, "rb") as f:
        return [(line[:1] == b"O", ESCAPE.sub(plain, line[2:].rstrip(b"\n"))) for line in f if line[:2] in (b"O ", b"R ")]


def expected(side):
    """(source, destination, port) of each."""
    if side == "ours":
        out = subprocess.run([os.environ["CTCTL"], "--instance", os.environ["INSTANCE"], "-L", "expect"], capture_output=True, text=True, check=True)
    else:
        out = subprocess.run(["nsenter", "--net=/run/netns/" + os.environ["NFT_ROUTER_NS"], "conntrack", "-L", "expect"], capture_output=True, text=True,
                             check=True)
    return {m.groups() for m in re.finditer(r"src=(\S+) dst=(\S+) sport=\d+ dport=(\d+) mask", out.stdout)}


def flush(side):
    if side == "ours":
        for what in ("expect", "flow"):
            subprocess.run([os.environ["CTCTL"], "--instance", os.environ["INSTANCE"], what, "flush"], capture_output=True, check=False)
    else:
        for what in ("expect", "conntrack"):
            subprocess.run(["nsenter", "--net=/run/netns/" + os.environ["NFT_ROUTER_NS"], "conntrack", "-F", what], capture_output=True, check=False)


class Stream:
    def __init__(self):
        listener = endpoint(socket.SOCK_STREAM, SERVER, 21)
        listener.listen(1)
        self.client = endpoint(socket.SOCK_STREAM, CLIENT)
        self.client.connect((SEEN, 21))
        self.server = listener.accept()[0]
        listener.close()
        self.server.settimeout(20)

    def say(self, by_client, text):
        """Sends; returns what is heard, as many lines."""
        source, to = (self.client, self.server) if by_client else (self.server, self.client)
        source.sendall(text)
        heard = b""
        while heard.count(b"\n") < text.count(b"\n"):
            piece = read(to, 1)
            check(piece, "of %r was heard: %r" % (text, heard))
            heard += piece
        return heard


class Datagrams:
    def __init__(self):
        self.client, self.server = endpoint(socket.SOCK_DGRAM, CLIENT, 5060), endpoint(socket.SOCK_DGRAM, SERVER, 5060)
        self.peer = None

    def say(self, by_client, text):
        if by_client:
            self.client.sendto(text, (SERVER, 5060))
            heard, self.peer = self.server.recvfrom(65536)
            return heard
        self.server.sendto(text, self.peer)
        return self.client.recv(65536)


def play(side, path):
    """What was heard and what is expected after each answer."""
    for ns in ("CLIENT_NS", "SERVER_NS"):
        os.environ[ns] = os.environ[SIDES[side] + ns] if SIDES[side] else os.environ["OUR_" + ns]
    flush(side)
    ends = Stream() if "/ftp-" in path else Datagrams()
    heard = []
    try:
        for by_client, text in pieces(path):
            try:
                got = ends.say(by_client, text)
            except OSError as e:
                raise Wrong("%s: %r is not heard: %s" % (side, text, e)) from e
            heard.append((got, set() if by_client else expected(side)))
    finally:
        ends.client.close()
        ends.server.close()
    return heard


def ftp(path):
    ours, theirs = play("ours", path), play("the kernel's", path)
    announced = False
    for (a, x), (b, y) in zip(ours, theirs):
        check(a == b, "heard: %r, through the kernel: %r" % (a, b))
        check(x <= y, "expected: %s, by the kernel: %s" % (x, y))
        announced = announced or bool(x)
    check(announced and theirs[-1][1], "expected: %s, by the kernel: %s" % (announced, theirs[-1][1]))


def matter(text):
    """What the other side acts on: where to answer, call back and send media; which port is another matter, as one may be taken."""
    found = re.findall(rb"^(?:Via: *SIP/2.0/UDP *[^;\r]*|Contact: *<?[^;>\r]*|c=[^\r]*|m=[^\r]*|o=[^\r]*|[A-Z]+ sip:\S*|SIP/2.0 \d+)", text, re.M)
    return [re.sub(rb"^(m=\w+) \d+", rb"\1 N", x.replace(b"<", b"")) for x in found]


def told(text):
    m = re.search(rb"^m=\w+ (\d+)", text, re.M)
    return int(m.group(1)) if m else 0


def inward(expectations, port):
    """Those of the phone's media: RTP 0, RTCP 1."""
    return {int(e[2]) - port for e in expectations if e[1] == SEEN and int(e[2]) - port in (0, 1)}


def sip(path):
    ours, theirs = play("ours", path), play("the kernel's", path)
    media, here, there = 0, 0, 0
    for (by_client, _), (a, x), (b, y) in zip(pieces(path), ours, theirs):
        check(matter(a) == matter(b), "heard: %r, through the kernel: %r" % (matter(a), matter(b)))
        if by_client:
            here, there = told(a) or here, told(b) or there
        elif re.search(rb"^SIP/2.0 200.*^m=", a, re.M | re.S):
            media += 1
            check(inward(y, there) and inward(y, there) <= inward(x, here), "the kernel expects %s, we %s" % (y, x))
    check(media, "no media was agreed upon")


for file in sorted(glob.glob("tests/alg/corpus/ftp-*.txt") + glob.glob("tests/alg/corpus/sip-*-udp.txt")):
    if "curl6" not in file:
        name = os.path.basename(file)[:-4].replace("-", "_")
        TESTS.append((name, ftp if "/ftp-" in file else sip, (file,)))

if __name__ == "__main__":
    sys.exit(run())
