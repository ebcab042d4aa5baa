"""Calls in the forms that phones give them, word by word, with the media that belongs to them (tests/netns/alg_said.sh)."""
import contextlib
import re
import sys

from alg_lab import (CLIENT, OUTSIDE, SERVER, Phone, audio, check, dial, expected, forget, ports, reaches, run, sdp, stays_out, test, udp,
                     until)


class Call(Phone):
    """A phone, and sockets for the media of both: streams at 30000, 30002... here and 40000, 40002... there, RTCP one above."""

    def __init__(self, pair=None, streams=1):
        forget()
        super().__init__(pair)
        self.here = [udp(CLIENT, 30000 + i) for i in range(2 * streams)]
        self.there = [udp(SERVER, 40000 + i) for i in range(2 * streams)]

    def close(self):
        super().close()
        for s in self.here + self.there:
            s.close()

    def talks(self, at, i=0):
        """Media both ways: i counts RTP and RTCP of each stream; the other side was told the port `at`."""
        check(reaches(self.there[i], self.here[i], OUTSIDE, at), "what comes to port %d does not get in" % at)
        sender = reaches(self.here[i], self.there[i], SERVER, 40000 + i)
        check(sender == (OUTSIDE, at), "the other side hears it from %s, not port %d" % (sender, at))

    def silent(self, at, i=0):
        stays_out(self.there[i], self.here[i], OUTSIDE, at)


@contextlib.contextmanager
def call(pair=None, streams=1):
    c = Call(pair, streams)
    try:
        yield c
    finally:
        c.close()


@test
def media_closes_with_the_dialog():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.silent(at)  # nobody has agreed
        c.answers(audio(40000))
        check(at % 2 == 0, "RTP has an odd port: %d" % at)
        c.talks(at)
        c.talks(at + 1, 1)
        stays_out(udp(SERVER, 45000), c.here[0], OUTSIDE, at + 2)
        c.hangs_up()
        c.silent(at)
        c.silent(at + 1, 1)


@test
def the_other_side_hangs_up():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.answers(audio(40000))
        c.talks(at)
        bye = c.reply("x", 1, "BYE").replace(b"SIP/2.0 x", b"BYE sip:alice@%s:%d SIP/2.0" % (OUTSIDE.encode(), c.peer[1]))
        heard = c.hears(re.sub(rb"Via: [^;]*", b"Via: SIP/2.0/UDP " + SERVER.encode() + b":5060", bye))
        check(heard.startswith("BYE sip:alice@%s:%d " % (CLIENT, c.port)), "the phone is called by another name: %s" % heard)
        c.says(c.reply("200 OK", 1, "BYE"))
        c.silent(at)


@test
def what_is_said_again_over_udp_is_passed_on_the_same():
    with call() as c:
        invite = c.request("INVITE", 1, sdp(CLIENT, audio(30000)))
        first = c.says(invite)
        check(c.says(invite) == first, "the server is told something else")
        answer = c.reply("200 OK", 1, "INVITE", sdp(SERVER, audio(40000)))
        heard = c.hears(answer)
        waiting = expected(17)
        check(c.hears(answer) == heard and c.says(invite) == first, "told something else after the answer")
        check(expected(17) == waiting and len(waiting) == 4, "expected: %s, then %s" % (waiting, expected(17)))
        c.talks(ports(first)[0])
        c.hangs_up()
        c.hears(c.reply("200 OK", 9, "BYE"))  # again, when all is over
        c.silent(ports(first)[0])


@test
def early_media():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.answers(audio(40000), status="183 Session Progress")
        c.talks(at)
        c.answers(audio(40000))
        c.talks(at)
        c.hangs_up()
        c.silent(at)


@test
def cancel_closes_early_media():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.answers(audio(40000), status="183 Session Progress")
        c.talks(at)
        c.says(c.request("CANCEL", 1))
        c.hears(c.reply("200 OK", 1, "CANCEL"))
        c.talks(at)  # not over until the INVITE is answered
        c.hears(c.reply("487 Request Terminated", 1, "INVITE"))
        c.silent(at)
        check(not expected(17), "expected: %s" % expected(17))


@test
def several_streams_one_declined_one_without_rtcp():
    with call(streams=3) as c:
        told = c.rings(audio(30000), "m=video 30002 RTP/AVP 96", "m=image 30004 udptl t38")
        check(len(set(told)) == 3, "told: %s" % told)
        c.answers(audio(40000), "m=video 0 RTP/AVP 96", "m=image 40004 udptl t38")
        c.talks(told[0])
        c.talks(told[0] + 1, 1)
        c.talks(told[2], 4)
        c.silent(told[1], 2)
        c.hangs_up()
        c.silent(told[2], 4)


@test
def hold_keeps_the_ports_and_takes_the_call_up_again():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.answers(audio(40000))
        c.talks(at)
        heard = c.says(c.request("INVITE", 2, sdp("0.0.0.0", audio(30000))))  # as RFC 2543 held
        check(ports(heard) == [at] and "c=IN IP4 0.0.0.0" in heard, "held: %s" % heard)
        c.answers(audio(40000, "a=recvonly"), cseq=2)
        check(c.rings(audio(30000, "a=sendonly"), cseq=3) == [at], "another port when held")
        c.answers(audio(40000, "a=recvonly"), cseq=3)
        check(c.rings(audio(30000), cseq=4) == [at], "another port when taken up again")
        c.answers(audio(40000), cseq=4)
        c.talks(at)
        c.hangs_up()


@test
def rtcp_mux_opens_one_port():
    with call() as c:
        at = c.rings(audio(30000, "a=rtcp-mux"))[0]
        c.answers(audio(40000, "a=rtcp-mux"))
        check(set(expected(17)) == {at, 40000}, "expected: %s" % expected(17))
        c.talks(at)
        c.silent(at + 1, 1)
        c.hangs_up()


@test
def rtcp_elsewhere():
    with call(streams=2) as c:
        heard = c.says(c.request("INVITE", 1, sdp(CLIENT, audio(30000, "a=rtcp:30003 IN IP4 " + CLIENT))))
        at, rtcp = ports(heard)[0], int(re.search(r"a=rtcp:(\d+) IN IP4 " + OUTSIDE, heard).group(1))
        c.answers(audio(40000, "a=rtcp:40003"))
        c.talks(at)
        c.talks(rtcp, 3)
        c.hangs_up()


@test
def compact_and_folded_headers():
    with call() as c:
        body = sdp(CLIENT, audio(30000))
        heard = c.says(("INVITE sip:bob@%s SIP/2.0\r\nv: SIP / 2.0 / UDP\r\n %s:%d\r\n\t;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
                        "f: \"A, <b>\"\r\n <sip:alice@%s:%d>\r\n ;tag=a\r\nt:<sip:bob@%s>\r\ni: %s\r\nCSeq:\r\n 1\r\n INVITE\r\n"
                        "m: \"x\\\"<sip:no@10.0.0.2>\"\r\n <sip:alice@%s:%d>\r\nc: application/sdp\r\nl: %d\r\n\r\n" %
                        (SERVER, CLIENT, c.port, CLIENT, c.port, SERVER, c.call, CLIENT, c.port, len(body))).encode() + body)
        outside = "%s:%d" % c.peer
        for text in ("v: SIP / 2.0 / UDP\r\n %s\r\n\t;branch=z9hG4bK1;rport\r\n" % outside, "m: \"x\\\"<sip:no@10.0.0.2>\"\r\n <sip:alice@%s>\r\n" % outside,
                     "f: \"A, <b>\"\r\n <sip:alice@%s>\r\n ;tag=a\r\n" % outside):
            check(text in heard, "no %r in %s" % (text, heard))
        check(int(re.search(r"\r\nl: (\d+)", heard).group(1)) == len(heard.partition("\r\n\r\n")[2]), "a wrong length: %s" % heard)
        at = ports(heard)[0]
        c.answers(audio(40000))
        c.talks(at)
        c.hangs_up()


@test
def the_body_is_one_part_of_several():
    with call() as c:
        body = (b"--b 1\r\nContent-Type: text/plain\r\n\r\nc=IN IP4 10.0.0.2\r\n--b 1\r\nContent-Type: application/sdp\r\n\r\n" +
                sdp(CLIENT, audio(30000)) + b"\r\n--b 1--\r\n")
        heard = c.says(c.request("INVITE", 1, body, kind='multipart/mixed;boundary="b 1"'))
        check("text/plain\r\n\r\nc=IN IP4 10.0.0.2\r\n--b 1" in heard and "c=IN IP4 %s\r\n" % OUTSIDE in heard, "heard: %s" % heard)
        c.answers(audio(40000))
        c.talks(ports(heard)[0])
        c.hangs_up()


@test
def a_reply_finds_its_way_by_received_and_rport():
    with call() as c:
        c.rings(audio(30000))
        text = c.reply("180 Ringing", 1, "INVITE", more=["Record-Route: <sip:%s;lr>" % SERVER])
        heard = c.hears(text.replace(b";rport", b";received=%s;rport=%d" % (OUTSIDE.encode(), c.peer[1])))
        check("Via: SIP/2.0/UDP %s:%d;branch=z9hG4bK1;received=%s;rport=%d\r\n" % (CLIENT, c.port, CLIENT, c.port) in heard, "heard: %s" % heard)
        check("Record-Route: <sip:%s;lr>\r\n" % SERVER in heard, "heard: %s" % heard)
        c.hears(c.reply("486 Busy Here", 1, "INVITE"))


@test
def several_messages_in_a_segment_and_one_over_many():
    with call(dial(5060)) as c:
        ack = c.request("OPTIONS", 2, b"INVITE sip:no@10.0.0.2 SIP/2.0\r\n\r\n", kind="text/plain")
        c.client.sendall(b"\r\n\r\n" + c.request("INVITE", 1, sdp(CLIENT, audio(30000))) + ack + b"\r\n" + c.request("INFO", 3))
        c.peer = c.server.getpeername()
        first, second, third = (c.message(False) for _ in range(3))
        check(second.endswith("INVITE sip:no@10.0.0.2 SIP/2.0\r\n\r\n") and third.startswith("INFO "), "heard: %s %s" % (second, third))
        at = ports(first)[0]
        answer = c.reply("200 OK", 1, "INVITE", sdp(SERVER, audio(40000)))
        for i in range(0, len(answer), 60):
            c.server.sendall(answer[i:i + 60])
        check("m=audio 40000 " in c.message(True), "another answer")
        c.talks(at)
        c.hangs_up()
        c.silent(at)


@test
def a_call_that_is_refused_leaves_nothing():
    with call() as c:
        at = c.rings(audio(30000))[0]
        c.hears(c.reply("486 Busy Here", 1, "INVITE"))
        check(not expected(17), "expected: %s" % expected(17))
        c.silent(at)


@test
def a_stream_that_is_switched_off_closes_alone():
    with call(streams=2) as c:
        told = c.rings(audio(30000), "m=video 30002 RTP/AVP 96")
        c.answers(audio(40000), "m=video 40002 RTP/AVP 96")
        c.talks(told[0])
        c.talks(told[1], 2)
        c.rings(audio(30000), "m=video 0 RTP/AVP 96", cseq=2)
        c.answers(audio(40000), "m=video 0 RTP/AVP 96", cseq=2)
        c.talks(told[0])
        c.silent(told[1], 2)
        c.hangs_up()


@test
def the_answer_may_come_in_the_ack():
    with call() as c:
        c.says(c.request("INVITE", 1))
        c.hears(c.reply("200 OK", 1, "INVITE", sdp(SERVER, audio(40000))))
        at = ports(c.says(c.request("ACK", 1, sdp(CLIENT, audio(30000)))))[0]
        until(lambda: at in expected(17), "not expected: %s" % expected(17))
        c.talks(at)
        c.hangs_up()
        c.silent(at)


if __name__ == "__main__":
    sys.exit(run())
