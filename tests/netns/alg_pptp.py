"""PPTP (RFC 2637) word by word: calls through the helper, and what it refuses (tests/netns/alg_pptp.sh).

Both ends are ours (pptp_ends.py): the control connection over TCP, enhanced GRE over raw sockets. Then Debian's pptp
and pptpd, with something else in the place of pppd, as PPP itself needs a kernel that has it."""
import atexit
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from alg_lab import (CLIENT, INSIDER, OUTSIDE, PATIENCE, SERVER, STRANGER, alg, check, ctctl, expected, grants_nothing,
                     passed, read, run, test, until)
from pptp_ends import (CLEAR, Call, Caller, Control, ECHO_ASK, ECHO_OK, GONE, IN_UP, MAGIC, OUT_ASK, OUT_OK, SET_LINK,
                       START_ASK, STOP_ASK, WAN_ERROR, both, flows, gre, ids, message, reaches, start_ok, stays_out)


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
