"""What a page in a browser, a bad server or a stranger may try with a helper (tests/netns/alg_said.sh).

The pinholes asked for are of the client's own host, at ports that some service might have there."""
import os
import re
import socket
import struct
import sys

from alg_lab import (CLIENT, INSIDER, OUTSIDE, SERVER, STRANGER, Phone, Wire, alg, audio, check, connects, ctctl, dial, each,
                     endpoint, expected, forget, grants_nothing, log_lines, passed, ports, run, sdp, sip, stays_out, test, udp,
                     until, within)

MSS = 536  # what the bad server asks for, so that it knows where segments end
SEGMENT = MSS - 12  # time stamps take twelve
FORGED = {
    21: b"PORT 10,0,0,2,12,234\r\n",
    5060: sip("REGISTER sip:%s SIP/2.0" % SERVER, "Via: SIP/2.0/TCP %s:3306;branch=z9hG4bK1;rport" % CLIENT, "From: <sip:a@b>;tag=1",
              "To: <sip:a@b>", "Call-ID: x", "CSeq: 1 REGISTER", "Contact: <sip:a@%s:3306>;expires=600" % CLIENT),
}
INVITE = sip("INVITE sip:b@%s SIP/2.0" % SERVER, "Via: SIP/2.0/TCP %s:3306;branch=z9hG4bK1;rport" % CLIENT, "From: <sip:a@b>;tag=1",
             "To: <sip:a@b>", "Call-ID: x", "CSeq: 1 INVITE", "Contact: <sip:a@%s:3306>" % CLIENT, body=sdp(CLIENT, audio(3306)))


def http_post(size):
    """The head of a form as a browser sends it, filled up to a multiple of size."""
    head = b"POST /upload HTTP/1.1\r\nHost: 203.0.113.2\r\nContent-Type: multipart/form-data; boundary=----x\r\nContent-Length: 20000\r\n\r\n"
    return head + b"^" * (-len(head) % size)


def turn_allocate(size):
    """A TURN request (RFC 5766) with a user name that fills it up to a multiple of size, less than 64 KiB."""
    n = size - 24
    return struct.pack("!HHI12sHH", 0x0003, 3 * size - 20, 0x2112A442, b"transaction!", 6, 3 * size - 24) + b"^" * n


def in_segments(port, first, forged, answer):
    """What a browser sends to a port of a server that chose its segments: a later one begins as the protocol does."""
    wire = Wire()
    client, server = dial(port, mss=MSS)
    with grants_nothing("not_protocol", off=True):
        if port == 21:
            passed(server, client, b"220 ready\r\n")
        passed(client, server, first(SEGMENT) + forged + b"and so on")
        passed(server, client, answer)
        passed(client, server, forged)  # one more, by itself
        check(not connects(SERVER, OUTSIDE, 3306), "the client's port 3306 is open")
    wire.begins(forged[:8])
    passed(client, server, b"the connection goes on")
    client.close()
    server.close()


OK = b"200 ok\r\n"
each(("slipstream_1_a_form_whose_segment_begins_with_PORT", 21, http_post, FORGED[21], OK),
     ("slipstream_1_a_form_whose_segment_begins_with_REGISTER", 5060, http_post, FORGED[5060], b"SIP/2.0 200 OK\r\n\r\n"),
     ("slipstream_1_a_form_whose_segment_begins_with_INVITE", 5060, http_post, INVITE, b"SIP/2.0 200 OK\r\n\r\n"),
     ("slipstream_2_a_turn_user_name_whose_segment_begins_with_PORT", 21, turn_allocate, FORGED[21], OK),
     ("slipstream_2_a_turn_user_name_whose_segment_begins_with_REGISTER", 5060, turn_allocate, FORGED[5060], b"SIP/2.0 200 OK\r\n\r\n"),
     )(in_segments)


@test
def slipstream_2_an_oversized_datagram_whose_fragment_begins_with_REGISTER():
    wire = Wire()
    client, server = udp(CLIENT, 4100), udp(SERVER, 5060)
    # 1480 bytes a fragment, eight of them the UDP header
    whole = turn_allocate(1472) + FORGED[5060] + b"^" * 600
    with grants_nothing("not_protocol", off=True):
        client.sendto(whole, (SERVER, 5060))
        check(server.recv(65536) == whole, "it has changed")
        client.sendto(FORGED[5060], (SERVER, 5060))  # and one more, by itself, of the same connection
        check(server.recv(65536) == FORGED[5060], "REGISTER was read after that")
    wire.begins(b"REGISTER")
    stays_out(udp(SERVER, 5061), endpoint(socket.SOCK_DGRAM, CLIENT, 3306), OUTSIDE, 3306)
    client.close()
    server.close()


@test
def slipstream_2_h323_has_no_helper_nor_any_port_that_no_rule_names():
    taken = alg()["taken"]
    forget()
    for port in (1720, 2021, 5061):
        client, server = dial(port)
        passed(server, client, b"220 ready\r\n")
        passed(client, server, b"\x03\x00\x00\x40\x08\x02\x00\x01\x62" + FORGED[21] + FORGED[5060])
        passed(server, client, OK + OK)
        client.close()
        server.close()
    check(alg()["taken"] == taken and not expected(), "somebody reads along")


def said(client, server, *lines):
    """FTP's dialog, line by line: `>` the client says, `<` the server says, and each arrives as it is."""
    for line in lines:
        passed(*((client, server) if line[0] == ">" else (server, client)), line[1:].encode("latin-1") + b"\r\n")


BANNER = "<220 ready"
LOGIN = (BANNER, ">USER a", "<331 who", ">PASS b", "<230 in")


@test
def logged_once_a_connection_and_each_is_counted():
    client, server = dial(21)
    said(client, server, BANNER, ">NOOP", "<200 ok")
    with grants_nothing("other_host", "port_low", "range", "syntax", "unasked"):
        said(client, server, ">PORT 10,0,0,9,200,10", "<200 ok", ">PORT 10,0,0,2,0,22", "<200 ok", ">PORT 10,0,0,2,256,1", "<200 ok",
             ">PORT 10,0,0,2,4", "<200 ok", "<227 (203,0,113,2,200,10)")
    client.sendall(b"PORT 10,0,0,2,200,10\r\n")
    check(server.recv(100).startswith(b"PORT 203,0,113,1,"), "the next one is not edited")
    passed(server, client, OK)
    check(len(expected(6)) == 1, "the next one is not granted")
    client.close()
    server.close()


@test
def the_client_speaks_before_the_banner():
    client, server = dial(21)
    with grants_nothing("early", off=True):
        said(client, server, ">PORT 10,0,0,2,200,10", BANNER, "<200 ok")
    client.close()
    server.close()


@test
def commands_without_end_that_nobody_answers():
    client, server = dial(21)
    with grants_nothing("pipeline", off=True):
        said(client, server, BANNER, *[">NOOP"] * 65, ">PORT 10,0,0,2,200,10", "<200 ok")
    client.close()
    server.close()


@test
def a_line_without_end_passes_and_is_not_kept():
    client, server = dial(21)
    said(client, server, BANNER, ">NOOP", "<200 ok")
    with grants_nothing("line_long"):
        client.settimeout(60)
        for _ in range(40):
            passed(client, server, b"PORT 10,0,0,2,200,10" + b" " * 5000)
        said(client, server, "> 10,0,0,2,200,10", "<200 ok")
    client.close()
    server.close()


def forged_segment(source, target, sport, dport, text):
    """A TCP segment in the name of another, with numbers that its sender has to guess."""
    with within(source):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with s:
        s.bind((source, 0))
        text += b"\0" * (len(text) & 1)
        for seq in (1, 0x40000000, 0x80000000, 0xC0000000):
            head = struct.pack("!HHIIBBHHH", sport, dport, seq, seq, 0x50, 0x18, 65535, 0, 0)
            total = sum(struct.unpack("!%dH" % ((len(head) + len(text)) // 2), head + text))
            total += sum(struct.unpack("!4H", socket.inet_aton(source) + socket.inet_aton(target))) + 6 + len(head) + len(text)
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            s.sendto(head[:16] + struct.pack("!H", total ^ 0xFFFF) + head[18:] + text, (target, 0))


def invalid():
    drops = ctctl("stats")["drops"]
    return drops.get("tcp_seq", 0) + drops.get("tcp_ack", 0)


@test
def spoofed_announcements_are_not_read():
    """Who is not on the path has to guess numbers: what is beyond the window is invalid, what is before it is old."""
    client, server = dial(21)
    forget()
    said(client, server, BANNER, ">PASV")
    before, there = invalid(), client.getsockname()[1]
    outside = server.getpeername()[1]
    forged_segment(SERVER, OUTSIDE, 21, outside, b"227 Entering Passive Mode (203,0,113,2,200,99)\r\n")
    forged_segment(CLIENT, SERVER, there, 21, b"PORT 10,0,0,2,12,234\r\n")
    said(client, server, "<227 Entering Passive Mode (203,0,113,2,200,10)")
    check(expected(6) == [51210], "expected: %s" % expected(6))
    check(invalid() >= before + 2, "%d forged segments were invalid" % (invalid() - before))
    said(client, server, ">NOOP", "<200 ok")
    client.close()
    server.close()


@test
def an_announcement_serves_one_connection_of_the_other_speaker():
    client, server = dial(21)
    forget()
    said(client, server, *LOGIN)
    data = endpoint(socket.SOCK_STREAM, CLIENT, 51212)
    data.listen(4)
    client.sendall(b"PORT 10,0,0,2,200,12\r\n")
    number = [int(x) for x in re.findall(rb"\d+", server.recv(100))[-2:]]
    port = number[0] * 256 + number[1]
    check(not expected(6) and not connects(SERVER, OUTSIDE, port), "the port is open before the server has agreed")
    passed(server, client, OK)
    check(not connects(STRANGER, OUTSIDE, port), "a stranger gets in")
    check(connects(SERVER, OUTSIDE, port, 20), "the server does not get in")
    check(not connects(SERVER, OUTSIDE, port), "the server gets in twice")
    data.close()
    client.sendall(b"PORT 10,0,0,2,200,13\r\n")
    server.recv(100)
    passed(server, client, OK)
    check(len(expected(6)) == 1, "nothing is expected")
    ctctl("-D", "-p", "tcp", "--orig-port-src", str(client.getsockname()[1]))
    until(lambda: not expected(6), "the announcement outlives its control connection")
    client.close()
    server.close()


@test
def a_stale_offer_changes_nothing():
    phone = Phone()
    told = phone.rings(audio(30000), cseq=5)
    phone.answers(audio(40000), cseq=5)
    before, lines, counted = expected(17), log_lines(), alg()["reasons"].get("stale", 0)
    heard = phone.says(phone.request("INVITE", 3, sdp(CLIENT, audio(3306))))
    check(ports(heard) == [3306], "the server is told another port: %s" % heard)
    check(expected(17) == before and told, "expectations have changed")
    check(alg()["reasons"]["stale"] == counted + 1 and len(log_lines()) == len(lines) + 1, "not counted and logged once")
    phone.hangs_up()
    phone.close()


P = audio(30000)
CT = "Content-Type: application/sdp"


@each(("sip_media_of_another_host_of_the_network", "other_host", sdp(INSIDER, P)),
      ("sip_media_of_a_host_outside", "other_host", sdp("198.51.100.1", P)),
      ("sip_media_on_port_22", "port_low", sdp(CLIENT, audio(22))),
      ("sip_rtcp_on_port_53", "port_low", sdp(CLIENT, audio(30000, "a=rtcp:53"))),
      ("sip_media_on_port_65536", "range", sdp(CLIENT, audio(65536))),
      ("sip_media_on_port_4294997296", "range", sdp(CLIENT, audio(4294997296))),
      ("sip_media_on_the_last_port", "range", sdp(CLIENT, audio(65535))),
      ("sip_a_negative_port", "syntax", sdp(CLIENT, audio(-30000))),
      ("sip_two_addresses", "ambiguous", sdp(CLIENT, P, session="c=IN IP4 " + INSIDER)),
      ("sip_five_streams", "flood", sdp(CLIENT, *[audio(30000 + 2 * i) for i in range(5)])),
      ("sip_nul_in_the_body", "nul", sdp(CLIENT, P).replace(b"s=-", b"s=\0")),
      ("sip_bare_cr_in_the_body", "bare_cr", sdp(CLIENT, P).replace(b"s=-", b"s=\rx")),
      ("sip_a_body_that_is_no_sdp", "syntax", b"GET / HTTP/1.1\r\n\r\n"))
def sip_offer(why, body):
    """The offer passes as it is; an answer to it opens nothing."""
    phone = Phone()
    with grants_nothing(why):
        heard = phone.says(phone.request("INVITE", 1, body)).encode("latin-1")
        check(heard.endswith(body), "the offer has changed: %s" % heard)
    phone.hears(phone.reply("200 OK", 1, "INVITE", sdp(SERVER, audio(40000))))
    check(not expected(), "an answer opens what was refused")
    check(phone.says(phone.request("BYE", 2)).startswith("BYE "), "the connection does not go on")
    phone.close()


@each(("sip_nul_in_the_header", "nul", ["Subject: a\0b"]),
      ("sip_bare_cr_in_the_header", "bare_cr", ["Subject: a\rContact: <sip:x@%s>" % INSIDER]),
      ("sip_bare_line_feed_in_the_header", "syntax", ["Subject: a\nContact: <sip:x@%s>" % INSIDER]),
      ("sip_two_call_ids", "ambiguous", ["Call-ID: other"]),
      ("sip_two_content_lengths", "ambiguous", ["l: 5"]),
      ("sip_more_headers_than_there_may_be", "header_long", ["X: y"] * 128))
def sip_header(why, more):
    phone = Phone()
    text = phone.request("INVITE", 1, sdp(CLIENT, P), more=more)
    with grants_nothing(why):
        check(phone.says(text).encode("latin-1") == text, "the message has changed")
    check(phone.says(phone.request("OPTIONS", 2)).startswith("OPTIONS "), "the connection does not go on")
    phone.close()


@each(("sip_a_header_without_end_over_tcp", ("framing", "header_long"), b"X-Endless: and on and on\r\n" * 600),
      ("sip_a_line_without_end_over_tcp", ("framing", "header_long"), b"X: " + b"y" * 16000),
      ("sip_a_length_that_is_no_number_over_tcp", ("framing",), b"Content-Length: 1e3\r\n\r\n"),
      ("sip_a_length_out_of_range_over_tcp", ("framing",), b"Content-Length: 4294967301\r\n\r\n"),
      ("sip_no_length_over_tcp", ("framing",), b"\r\n"))
def sip_stream(whys, rest):
    """Where the next message begins cannot be known: the helper leaves, all bytes pass, and REGISTER is not read."""
    client, server = dial(5060)
    start = b"INVITE sip:b@203.0.113.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
    with grants_nothing(*whys, off=True):
        passed(client, server, start + rest)
        passed(client, server, b"\r\n\r\n" + FORGED[5060])
        passed(server, client, b"SIP/2.0 200 OK\r\n\r\n")
    client.close()
    server.close()


@test
def sip_a_body_longer_than_is_read():
    phone = Phone(dial(5060))
    body = sdp(CLIENT, P) + b"a=x:" + b"y" * 9000 + b"\r\n"
    with grants_nothing("body_long"):
        heard = phone.says(phone.request("INVITE", 1, body))
        check(heard.encode().endswith(body) and "Contact: <sip:alice@" + OUTSIDE in heard, "not as documented: %s" % heard[:500])
    phone.close()


@test
def sip_an_answer_that_nobody_asked_for():
    phone = Phone()
    phone.says(phone.request("OPTIONS", 1))
    with grants_nothing("unasked"):
        phone.hears(phone.reply("200 OK", 1, "INVITE", sdp(SERVER, audio(40000))))
    phone.close()


@test
def sip_of_a_stranger_is_of_no_connection():
    phone = Phone()
    phone.rings(audio(30000))
    stays_out(udp(STRANGER, 5060), phone.client, *phone.peer, text=phone.reply("200 OK", 1, "INVITE", sdp(STRANGER, audio(40000))))
    check(not expected(17), "something is expected: %s" % expected(17))
    phone.answers(audio(40000))
    check(len(expected(17)) == 4, "the right answer is not taken")
    phone.hangs_up()
    phone.close()


def calls(phone, n):
    """n calls of four streams each, answered."""
    for i in range(n):
        phone.call = "flood%d@%s" % (i, CLIENT)
        phone.says(phone.request("INVITE", 1, sdp(CLIENT, *[audio(30000 + 2 * k) for k in range(4)])))
        phone.hears(phone.reply("200 OK", 1, "INVITE", sdp(SERVER, *[audio(40000 + 2 * k) for k in range(4)])))


@test
def a_flood_of_one_master_takes_its_share_and_no_more():
    phone = Phone()
    forget()
    before = alg()["reasons"]
    calls(phone, 40)
    after = alg()["reasons"]
    check(0 < len(expected()) <= 256, "%d are expected" % len(expected()))
    check(after.get("flood", 0) >= before.get("flood", 0) + 8, "the 33rd call is not counted: %s" % after)
    check(after.get("no_port", 0) > before.get("no_port", 0), "the 257th expectation is not counted: %s" % after)
    other = Phone(port=4200)  # another master
    other.server.close()
    other.server = phone.server
    other.rings(audio(31000))
    other.answers(audio(41000))
    check(len([x for x in ctctl("expect", "list") if x["master"]["sport"] == 4200]) == 4, "another call has no room")
    end_all()
    phone.close()
    other.client.close()


def end_all():
    """Masters and data connections end, and what was set aside for them goes back."""
    ctctl("flow", "flush")
    until(lambda: not expected() and not ports_aside(), "something outlives its master")


def ports_aside():
    return next(t["used"] for t in ctctl("stats")["tables"] if t["table"] == "exp-ports")


@test
def a_flood_of_many_masters_has_a_limit_for_all():
    forget()
    end_all()
    ctctl("expect", "limit", "10")
    try:
        for i in range(14):
            client, server = dial(21)
            said(client, server, BANNER, ">PASV", "<227 (203,0,113,2,200,%d)" % i)
            passed(client, server, b"NOOP\r\n")
        check(len(expected()) == 10, "%d are expected" % len(expected()))
        check(alg()["reasons"].get("no_room", 0) >= 4, "not counted: %s" % alg()["reasons"])
    finally:
        ctctl("expect", "limit", "4096")


@test
def what_is_counted_is_shown():
    """ctctl alg in words: what the tests before have met."""
    out = os.popen("%s --instance %s alg" % (os.environ["CTCTL"], os.environ["INSTANCE"])).read()
    for why in ("not_protocol", "other_host", "port_low", "line_long", "header_long", "flood", "stale"):
        check(re.search(r"^%s +[1-9]" % why, out, re.M), "no %s in: %s" % (why, out))


if __name__ == "__main__":
    sys.exit(run())
