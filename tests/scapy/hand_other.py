# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Hand-written sequences: UDP, UDP-Lite, ICMP and ICMPv6, SCTP, GRE, any other."""
from ctpkt import Gre, Icmp, IcmpErr, Raw, Sctp, Udp, UdpFragment, echo, echo_reply
from ctseq import Pause, Seq

OUT = []


def add(name, pkts, want=None, fams=(4, 6), **kw):
    for fam in fams:
        OUT.append(Seq("%s_v%d" % (name, fam), fam, pkts, want=want, **kw))


def udp():
    for lite in (False, True):
        U = lambda d, **kw: Udp(d, lite=lite, **kw)
        n = "udplite" if lite else "udp"
        p = "proto17"
        # nf_conntrack takes no UDP-Lite checksum that is right: see allowed.py
        w = lambda state, v, lite=lite: None if lite else (state, v)
        add(n + "_one_way", [U("c")] * 4, want=w(p + ",UNREPLIED", "pppp"))
        add(n + "_answered", [U("c"), U("s"), U("c"), U("s")], want=w(p, "pppp"))
        add(n + "_server_begins", [U("s"), U("c"), U("s")], want=w(p, "ppp"))
        add(n + "_stream_after_two_seconds", [U("c"), U("s"), Pause(2.3), U("c"), U("s"), U("c")], want=w(p + ",ASSURED", None))
        add(n + "_first_answer_after_two_seconds", [U("c"), U("c"), Pause(2.3), U("s"), U("c"), U("s")])
        add(n + "_one_way_long", [U("c"), U("c"), Pause(2.3), U("c"), U("c"), U("s")])
        add(n + "_stream_by_reply", [U("c"), U("s"), Pause(2.3), U("s"), U("s"), U("c")])
        add(n + "_empty", [U("c", n=0), U("s", n=0)])
        add(n + "_bad_checksum", [U("c", badsum=True), U("c"), U("s", badsum=True), U("s")])
        for cut in (0, 1, 4, 7):
            add("%s_cut_%d" % (n, cut), [U("c", cut=cut), U("c"), U("s", cut=cut)])
        for ln in (0, 1, 7, 8, 17, 18, 19, 100, 65535):
            add("%s_length_%d" % (n, ln), [U("c", length=ln), U("c"), U("s")])
        for port in (0, 1, 65535):
            add("%s_port_%d" % (n, port), [U("c"), U("s"), U("c")], cport=port)
            add("%s_server_port_%d" % (n, port), [U("c"), U("s"), U("c")], sport=port)
        add(n + "_two_flows", [U("c"), U("c", dport=81), U("s"), U("s", sport=81)])
        q = U("c", n=30)
        for t4, t6, code in ((3, 1, 3), (3, 1, 1), (3, 2, 4), (11, 3, 0), (12, 4, 0), (4, 3, 1)):
            add("%s_icmp_error_%d_%d_%d" % (n, t4, t6, code), [q, IcmpErr("s", q, t4, t6, code), U("s"), IcmpErr("c", U("s"), t4, t6, code), IcmpErr("s", q, t4, t6, code, mid=True),
                                                              IcmpErr("s", q, t4, t6, code, to="other")])
        for n4 in (0, 4, 7, 8):
            add("%s_icmp_error_quotes_%d" % (n, n4), [q, IcmpErr("s", q, n4=n4)])
        add(n + "_icmp_error_unknown", [IcmpErr("s", q), q])
        add(n + "_icmp_error_own", [q, IcmpErr("c", q, own=True)])
    add("udp_fragments", [UdpFragment("c", 0), UdpFragment("c", 1)])
    add("udp_no_checksum", [Udp("c", nosum=True), Udp("s", nosum=True), Udp("c")])
    for cover in (1, 7, 8, 12, 18, 19, 100):
        add("udplite_coverage_%d" % cover, [Udp("c", lite=True, cover=cover), Udp("s", lite=True, cover=cover)])


def icmp():
    add("ping", [echo("c"), echo_reply("s"), echo("c"), echo_reply("s")], want=(None, "pppp"))
    add("ping_unanswered", [echo("c")] * 3)
    add("ping_reply_only", [echo_reply("s"), echo_reply("c")], want=("", "dd"))
    add("ping_wrong_id", [echo("c"), echo_reply("s", ident=78), echo_reply("s")])
    add("ping_wrong_direction", [echo("c"), echo_reply("c"), echo_reply("s")])
    add("ping_each_other_one_id", [echo("c"), echo("s"), echo_reply("s"), echo_reply("c"), echo("c"), echo("s")])
    add("ping_many_replies", [echo("c"), echo_reply("s"), echo_reply("s"), echo_reply("s")])
    add("ping_two_ids", [echo("c", ident=1), echo("c", ident=2), echo_reply("s", ident=2), echo_reply("s", ident=1)])
    add("ping_code", [Icmp("c", 8, 128, code=1), Icmp("s", 0, 129, code=1), Icmp("s", 0, 129, code=0), echo("c"), echo_reply("s")])
    for ident in (0, 65535):
        add("ping_id_%d" % ident, [echo("c", ident=ident), echo_reply("s", ident=ident)])
    add("ping_bad_checksum", [echo("c", badsum=True), echo("c"), echo_reply("s", badsum=True), echo_reply("s")])
    for cut in (0, 1, 4, 7):
        add("ping_cut_%d" % cut, [Icmp("c", 8, 128, cut=cut), echo("c"), echo_reply("s")])
    add("ping_big", [echo("c", n=1400), echo_reply("s", n=1400)])
    add("ping_big_bad_checksum", [echo("c", n=1400, badsum=True), echo("c", n=2000, badsum=True)])
    for name, a, b in (("timestamp", 13, 14), ("information", 15, 16), ("address_mask", 17, 18)):
        add("icmp_" + name, [Icmp("c", a), Icmp("s", b), Icmp("s", b), Icmp("c", a)], fams=(4,))
        add("icmp_%s_reply_only" % name, [Icmp("s", b), Icmp("c", a)], fams=(4,))
        add("icmp_%s_mixed_with_ping" % name, [Icmp("c", a), echo_reply("s"), echo("c"), Icmp("s", b), echo_reply("s")], fams=(4,))
    for t in list(range(0, 44)) + [100, 254, 255]:
        add("icmp_type_%d" % t, [Icmp("c", t), Icmp("s", t), Icmp("c", t, code=1)], fams=(4,))
    # ND, RA and MLD (130-137, 143) are not forwarded traffic: packets.py has them
    for t in list(range(0, 12)) + [100, 101, 127, 128, 129] + list(range(138, 143)) + list(range(144, 162)) + [200, 201, 255]:
        add("icmpv6_type_%d" % t, [Icmp("c", t), Icmp("s", t), Icmp("c", t, code=1)], fams=(6,))
    add("icmpv6_node_information", [Icmp("c", 139), Icmp("s", 140), Icmp("s", 140), Icmp("c", 139)], fams=(6,))
    add("icmpv6_node_information_reply_only", [Icmp("s", 140), Icmp("c", 139)], fams=(6,))
    q = echo("c")
    for t4, t6, code in ((3, 1, 3), (3, 1, 1), (3, 2, 4), (11, 3, 0), (12, 4, 0), (4, 3, 1), (5, 137, 0)):
        add("ping_error_%d_%d_%d" % (t4, t6, code), [q, IcmpErr("s", q, t4, t6, code), echo_reply("s"), IcmpErr("c", echo_reply("s"), t4, t6, code), echo("c")])
    add("ping_error_unknown", [IcmpErr("s", q), IcmpErr("s", echo("c", ident=5)), q])
    add("ping_error_own", [q, IcmpErr("c", q, own=True)])
    add("ping_error_does_not_refresh", [q, IcmpErr("s", q, mid=True), IcmpErr("s", q, mid=True), IcmpErr("s", q, 11, 3, 0, mid=True)])
    add("ping_error_other_address", [q, IcmpErr("s", q, to="other"), IcmpErr("s", q, to="other", mid=True)])


CT, ST = 0x11111111, 0x22222222
INIT = Sctp("c", "INIT", itag=CT)
INIT_ACK = Sctp("s", "INIT_ACK", vtag=CT, itag=ST)
ECHO = Sctp("c", "COOKIE_ECHO", vtag=ST)
CACK = Sctp("s", "COOKIE_ACK", vtag=CT)
UP = [INIT, INIT_ACK, ECHO, CACK]
TAG = {"c": ST, "s": CT}


def X(d, *chunks, **kw):
    kw.setdefault("vtag", TAG[d])
    return Sctp(d, *chunks, **kw)


def sctp():
    add("sctp_association", UP + [X("c", "DATA"), X("s", "SACK"), X("s", "DATA"), X("c", "SACK")])
    add("sctp_shutdown_by_client", UP + [X("c", "SHUTDOWN"), X("s", "SHUTDOWN_ACK"), X("c", "SHUTDOWN_COMPLETE")])
    add("sctp_shutdown_by_server", UP + [X("s", "SHUTDOWN"), X("c", "SHUTDOWN_ACK"), X("s", "SHUTDOWN_COMPLETE")])
    add("sctp_shutdown_both", UP + [X("c", "SHUTDOWN"), X("s", "SHUTDOWN"), X("c", "SHUTDOWN_ACK"), X("s", "SHUTDOWN_ACK"), X("c", "SHUTDOWN_COMPLETE"), X("s", "SHUTDOWN_COMPLETE")])
    setup = {"none": [], "cookie_wait": UP[:1], "cookie_wait_answered": UP[:2], "cookie_echoed": UP[:3], "established": UP,
             "shutdown_sent": UP + [X("c", "SHUTDOWN")], "shutdown_recd": UP + [X("s", "SHUTDOWN")],
             "shutdown_ack_sent": UP + [X("c", "SHUTDOWN"), X("s", "SHUTDOWN_ACK")],
             "closed": UP + [X("c", "ABORT")], "heartbeat_sent": [X("c", "HEARTBEAT")]}
    names = ["DATA", "SACK", "HEARTBEAT", "HEARTBEAT_ACK", "ABORT", "SHUTDOWN", "SHUTDOWN_ACK", "ERROR", "COOKIE_ECHO", "COOKIE_ACK", "SHUTDOWN_COMPLETE", "ASCONF", "AUTH", "FORWARD_TSN", 99]
    for st, pre in setup.items():
        add("sctp_state_" + st, pre + [X("c", "DATA"), X("s", "DATA")])
        for d in "cs":
            o = "s" if d == "c" else "c"
            for ch in names:
                add("sctp_cell_%s_%s_%s" % (st, str(ch).lower(), "orig" if d == "c" else "reply"),
                    pre + [X(d, ch if isinstance(ch, str) else (ch, 0, b"")), X(o, "DATA"), X(d, "DATA"), X(o, "HEARTBEAT"), X(d, "HEARTBEAT_ACK"), X("c", "SHUTDOWN_COMPLETE")])
            add("sctp_cell_%s_init_%s" % (st, d), pre + [Sctp(d, "INIT", itag=0x33333333), Sctp(o, "INIT_ACK", vtag=0x33333333, itag=0x44444444),
                                                       Sctp(d, "COOKIE_ECHO", vtag=0x44444444), Sctp(o, "COOKIE_ACK", vtag=0x33333333), X("c", "DATA"), Sctp(d, "DATA", vtag=0x44444444)])
            add("sctp_cell_%s_init_same_%s" % (st, d), pre + [Sctp(d, "INIT", itag=TAG[o]), X(o, "DATA"), X(d, "DATA"), X(o, "COOKIE_ACK")])
            add("sctp_cell_%s_init_ack_%s" % (st, d), pre + [Sctp(d, "INIT_ACK", vtag=TAG[d], itag=0x33333333), X(o, "COOKIE_ECHO"), Sctp(o, "COOKIE_ECHO", vtag=0x33333333), X(d, "COOKIE_ACK")])
            for ch in ("DATA", "SHUTDOWN_ACK", "ABORT", "COOKIE_ECHO", "HEARTBEAT", "SHUTDOWN_COMPLETE", "COOKIE_ACK", "HEARTBEAT_ACK"):
                add("sctp_wrong_vtag_%s_%s_%s" % (st, ch.lower(), d), pre + [Sctp(d, ch, vtag=0x55555555), X(d, "DATA"), Sctp(d, ch, vtag=0), X(o, "DATA")])
            for ch in ("ABORT", "SHUTDOWN_COMPLETE"):
                add("sctp_t_bit_%s_%s_%s" % (st, ch.lower(), d), pre + [Sctp(d, (ch, 1, b""), vtag=TAG[o]), X(d, "DATA"), X(o, "DATA")])
                add("sctp_t_bit_own_tag_%s_%s_%s" % (st, ch.lower(), d), pre + [Sctp(d, (ch, 1, b""), vtag=TAG[d]), X(d, "DATA"), X(o, "DATA")])
                add("sctp_no_t_bit_%s_%s_%s" % (st, ch.lower(), d), pre + [Sctp(d, ch, vtag=TAG[o]), X(d, "DATA"), X(o, "DATA")])
    add("sctp_init_repeated", [INIT, INIT, INIT, INIT_ACK, INIT_ACK, ECHO, ECHO, CACK, CACK])
    add("sctp_init_collision", [INIT, Sctp("s", "INIT", itag=ST), Sctp("c", "INIT_ACK", vtag=ST, itag=CT), INIT_ACK, ECHO, X("s", "COOKIE_ECHO"), CACK, X("c", "COOKIE_ACK"), X("c", "DATA")])
    add("sctp_init_vtag_not_zero", [Sctp("c", "INIT", vtag=5, itag=CT), INIT_ACK, ECHO])
    add("sctp_init_tag_zero", [Sctp("c", "INIT", itag=0), INIT_ACK, ECHO])
    add("sctp_init_bundled", [Sctp("c", "INIT", "DATA", itag=CT), INIT_ACK])
    add("sctp_init_ack_bundled", [INIT, Sctp("s", "INIT_ACK", "DATA", vtag=CT, itag=ST), ECHO])
    add("sctp_data_then_init", UP + [X("c", "DATA", "INIT", itag=7)])
    add("sctp_shutdown_complete_bundled", UP + [X("c", "SHUTDOWN"), X("s", "SHUTDOWN_ACK"), X("c", "SHUTDOWN_COMPLETE", "DATA")])
    add("sctp_cookie_echo_bundled", UP[:2] + [X("c", "COOKIE_ECHO", "DATA"), X("s", "COOKIE_ACK", "SACK", "DATA")])
    add("sctp_sack_and_data", UP + [X("c", "SACK", "DATA", "DATA"), X("s", "DATA", "SHUTDOWN"), X("c", "SHUTDOWN_ACK")])
    add("sctp_many_chunks", UP + [X("c", *["DATA"] * 20), X("s", *["SACK"] * 30)])
    add("sctp_many_chunks_then_shutdown", UP + [X("c", *(["DATA"] * 20 + ["SHUTDOWN"])), X("s", "SHUTDOWN_ACK")])
    big = lambda **kw: X("c", ("DATA", 0, b"\0" * 9400), **kw)
    add("sctp_big", UP + [big(), big()])
    add("sctp_big_bad_checksum", UP + [big(badsum=True)])
    add("sctp_more_chunks_than_we_look_at", UP + [X("c", *(["DATA"] * 30 + ["SHUTDOWN"])), X("s", "SHUTDOWN_ACK")])
    add("sctp_bad_checksum", [Sctp("c", "INIT", itag=CT, badsum=True)] + UP + [X("c", "ABORT", badsum=True), X("c", "DATA")])
    for cut in (0, 4, 8, 11, 12, 13, 15):
        add("sctp_cut_%d" % cut, [Sctp("c", "INIT", itag=CT, cut=cut)] + UP + [X("c", "DATA", cut=cut)])
    add("sctp_chunk_length_zero", [Sctp("c", "INIT", itag=CT, length0=True)] + UP + [X("c", "DATA", length0=True), X("s", "DATA")])
    add("sctp_port_zero", [Sctp("c", "INIT", itag=CT)], cport=0)
    add("sctp_server_port_zero", [Sctp("c", "INIT", itag=CT)], sport=0)
    add("sctp_heartbeat_path", [X("c", "HEARTBEAT"), X("s", "HEARTBEAT_ACK"), X("c", "DATA"), X("s", "SACK")])
    add("sctp_heartbeat_path_server", [X("s", "HEARTBEAT"), X("c", "HEARTBEAT_ACK"), X("c", "DATA")])
    add("sctp_heartbeat_wrong_tag", UP + [Sctp("s", "HEARTBEAT", vtag=9), Sctp("s", "HEARTBEAT_ACK", vtag=9), X("s", "HEARTBEAT")])
    add("sctp_heartbeat_after_restart", UP + [X("c", "HEARTBEAT"), Sctp("s", "HEARTBEAT_ACK", vtag=0x99), X("s", "HEARTBEAT_ACK")])
    for t4, t6, code in ((3, 1, 2), (3, 2, 4), (11, 3, 0)):
        add("sctp_icmp_error_%d_%d_%d" % (t4, t6, code), [INIT, IcmpErr("s", INIT, t4, t6, code)] + UP[1:] + [IcmpErr("c", X("s", "DATA"), t4, t6, code), IcmpErr("s", X("c", "DATA"), t4, t6, code, to="other")])


def rest():
    add("gre", [Gre("c"), Gre("s"), Gre("c"), Gre("s")])
    add("gre_one_way", [Gre("c")] * 3)
    add("gre_server_begins", [Gre("s"), Gre("c")])
    add("gre_key", [Gre("c", key=5), Gre("s", key=5), Gre("c", key=6)])
    add("gre_stream", [Gre("c"), Gre("s"), Pause(2.3), Gre("c"), Gre("s")])
    add("gre_cut", [Raw("c", 47, b"\0"), Raw("c", 47, b""), Gre("c")])
    add("gre_pptp", [Gre("c", pptp=7), Gre("s", pptp=9), Gre("c", pptp=7), Gre("s", pptp=9)])
    for proto in (2, 4, 33, 50, 51, 88, 89, 94, 99, 103, 112, 115, 253, 254):
        fams = (4,) if proto == 51 else (4, 6)
        body = b"\x3b\x02\0\0" + b"\0" * 20 if proto == 51 else b"y" * 20
        add("proto_%d" % proto, [Raw("c", proto, body), Raw("s", proto, body), Raw("c", proto, body)], fams=fams)
    add("ah_beyond_packet", [Raw("c", 51, b"\xfd\x7a" + b"\0" * 28)], fams=(6,))
    for k in (6, 7):
        add("ipv6_%d_headers" % k, [Raw("c", 60, b"\x3c\0\1\4\0\0\0\0" * (k - 1) + b"\xfd\0\1\4\0\0\0\0"), Raw("s", 253)], fams=(6,))
    add("ipv6_no_next_header", [Raw("c", 59, b""), Raw("s", 59, b"")], fams=(6,))
    add("proto_empty", [Raw("c", 253, b""), Raw("s", 253, b"")])
    add("proto_one_way", [Raw("c", 253)] * 3)
    add("proto_server_begins", [Raw("s", 253), Raw("c", 253)])
    p = Raw("c", 253)
    add("proto_icmp_error", [p, IcmpErr("s", p), IcmpErr("s", p, mid=True), IcmpErr("c", Raw("s", 253)), IcmpErr("s", p, n4=0), IcmpErr("s", p, to="other")])
    g = Gre("c")
    add("gre_icmp_error", [g, IcmpErr("s", g), IcmpErr("s", g, n4=8), IcmpErr("s", g, n4=4), IcmpErr("s", g, to="other")])


def sequences():
    if not OUT:
        for f in (udp, icmp, sctp, rest):
            f()
    return OUT
