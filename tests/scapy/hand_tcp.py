# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Hand-written TCP sequences: one or more for each rule of the tracker."""
import itertools
import struct

from ctpkt import IcmpErr, Tcp, csum
from ctseq import Seq

SYN_OPTS = dict(mss=1460, ws=7, sackok=True)
OUT = []


def C(fl, seq=0, ack=0, **kw):
    return Tcp("c", fl, seq, ack, **kw)


def S(fl, seq=0, ack=0, **kw):
    return Tcp("s", fl, seq, ack, **kw)


def from_(d):
    return C if d == "c" else S


def add(name, pkts, want=None, **kw):
    for fam in (4, 6):
        OUT.append(Seq("tcp_%s_v%d" % (name, fam), fam, pkts, want=want, **kw))


def hs(cwin=64000, swin=64000, **opts):
    o = opts or {}
    return [C("S", win=cwin, **o), S("SA", 0, 1, win=swin, **o), C("A", 1, 1, win=cwin)]


HS = hs(**SYN_OPTS)
EST = "ESTABLISHED,ASSURED"

# How to reach each state, and the next sequence numbers of both ends there.
SETUP = {
    "NONE": ([], 1, 1),
    "SYN_SENT": ([C("S", **SYN_OPTS)], 1, 1),
    "SYN_SENT2": ([C("S", **SYN_OPTS), S("S", **SYN_OPTS)], 1, 1),
    "SYN_RECV": (HS[:2], 1, 1),
    "ESTABLISHED": (HS, 1, 1),
    "FIN_WAIT": (HS + [C("FA", 1, 1)], 2, 1),
    "CLOSE_WAIT": (HS + [C("FA", 1, 1), S("A", 1, 2)], 2, 1),
    "LAST_ACK": (HS + [C("FA", 1, 1), S("A", 1, 2), S("FA", 1, 2)], 2, 2),
    "TIME_WAIT": (HS + [C("FA", 1, 1), S("A", 1, 2), S("FA", 1, 2), C("A", 2, 2)], 2, 2),
    "CLOSE": (HS + [S("R", 1)], 1, 1),
}
SHOWN = {"NONE": "", "SYN_SENT": "SYN_SENT,UNREPLIED", "SYN_SENT2": "SYN_SENT2", "SYN_RECV": "SYN_RECV"}


def handshake():
    add("handshake", HS, want=(EST, "ppp"))
    add("handshake_no_options", hs(), want=(EST, "ppp"))
    add("handshake_isn_wraps", HS + [C("PA", 1, 1, n=400), S("A", 1, 401), S("PA", 1, 401, n=400), C("A", 401, 401)],
        want=(EST, "ppppppp"), cisn=0xFFFFFFF0, sisn=0xFFFFFFFF)
    add("handshake_isn_half", HS + [C("PA", 1, 1, n=400), S("A", 1, 401)], want=(EST, "ppppp"), cisn=0x7FFFFFF0, sisn=0x80000000)
    add("syn_repeated", [HS[0]] * 5 + HS[1:], want=(EST, "ppppppp"))
    add("syn_ack_repeated", [HS[0]] + [HS[1]] * 5 + HS[2:] + [S("A", 1, 1)])
    add("last_ack_repeated", HS + [HS[2]] * 4)
    add("syn_sent_new_isn", [HS[0], C("S", 5000), S("SA", 0, 5001), C("A", 5001, 1)])
    add("syn_sent_old_isn", [HS[0], C("S", -5000), S("SA", 0, -4999), C("A", -4999, 1)])
    for ack in (0, 2, 1000, 70000, -70000, -1):
        add("syn_ack_acks_%d" % ack, [HS[0], S("SA", 0, ack, **SYN_OPTS), C("R", ack), C("S"), S("SA", 0, 1), C("A", 1, 1)])
    add("syn_ack_no_ack_field", [HS[0], S("SA", 0, rawack=0), C("A", 1, 1)])
    add("handshake_ack_lost_then_data", HS[:2] + [C("PA", 1, 1, n=100), S("A", 1, 101)], want=(EST, "pppp"))
    add("handshake_server_speaks_first", HS[:2] + [S("PA", 1, 1, n=10), C("A", 1, 11)])
    add("handshake_data_with_syn", [C("S", n=50), S("SA", 0, 51), C("A", 51, 1), S("A", 1, 51)], want=(EST, "pppp"))
    add("handshake_tfo_partial", [C("S", n=50), S("SA", 0, 1), C("A", 1, 1, n=50), S("A", 1, 51)])
    add("handshake_syn_urg", [C("SU"), S("SA", 0, 1), C("A", 1, 1)])
    add("handshake_ecn", [C("SEC"), S("SAE", 0, 1), C("A", 1, 1)], want=(EST, "ppp"))
    add("handshake_client_fin", HS[:2] + [C("FA", 1, 1), S("A", 1, 2)])
    add("handshake_server_fin", HS[:2] + [S("FA", 1, 1), C("A", 1, 2)])
    add("handshake_client_rst", HS[:2] + [C("R", 1), S("SA", 0, 1)])
    add("handshake_server_rst_after_syn_ack", HS[:2] + [S("R", 1), C("A", 1, 1)])
    add("syn_from_server_in_syn_recv", HS[:2] + [S("S", 0), C("A", 1, 1)])
    add("syn_again_in_syn_recv", HS[:2] + [HS[0], HS[1], HS[2]])
    add("syn_new_isn_in_syn_recv", HS[:2] + [C("S", 9000), S("SA", 20000, 9001), C("A", 9001, 20001)])
    add("ack_from_client_in_syn_sent", [HS[0], C("A", 1, 1), C("PA", 1, 1, n=10), S("SA", 0, 1), C("A", 1, 1)])
    add("ack_from_server_in_syn_sent", [HS[0], S("A", 500, 1), C("R", 1), C("S"), S("SA", 0, 1), C("A", 1, 1)])
    add("challenge_ack_to_syn_rst_closes", [HS[0], S("A", 5000, 900), C("R", 900), C("S")])
    add("rst_answers_syn", [HS[0], S("RA", 0, 1)], want=("", "pp"))
    add("rst_answers_syn_wrong_ack", [HS[0], S("RA", 0, 2), S("RA", 0, 0), S("RA", 0, 1)])
    add("rst_answers_syn_no_ack", [HS[0], S("R", 0), HS[0]])
    add("rst_answers_syn_seq_not_zero", [HS[0], S("RA", 777, 1), HS[0], HS[1], HS[2]])
    add("rst_answers_second_syn", [HS[0], HS[0], S("RA", 0, 1), HS[0], HS[1], HS[2]])
    add("rst_of_client_in_syn_sent", [HS[0], C("R", 1), HS[1], HS[0], HS[1], HS[2]])
    add("rst_ack_of_client_in_syn_sent", [HS[0], C("RA", 1, 0), C("S", 7000)])
    add("first_is_syn_ack", [S("SA", 0, 1), C("A", 1, 1), S("A", 1, 1)])
    add("first_is_rst", [C("R", 1), C("RA", 1, 1), S("R", 1)], want=("", "ddd"))
    add("first_is_fin", [C("FA", 1, 1), S("A", 1, 2), S("FA", 1, 2), C("A", 2, 2)])


def table():
    """Every cell: state x packet class x direction, then what both ends say next."""
    for state, (pkts, c, s) in SETUP.items():
        add("state_%s" % state.lower(), pkts or [C("R", 1)],
            want=None if state == "CLOSE" else (SHOWN.get(state, state + ",ASSURED"), None))
        for d in "cs":
            F = from_(d)
            mine, other = (c, s) if d == "c" else (s, c)
            events = {
                "syn": F("S", mine + 100000, **SYN_OPTS), "syn_same_isn": F("S", 0, **SYN_OPTS),
                "syn_ack": F("SA", 0, other, **SYN_OPTS), "syn_ack_new": F("SA", mine + 100000, other, **SYN_OPTS),
                "fin": F("FA", mine, other), "ack": F("A", mine, other), "data": F("PA", mine, other, n=100),
                "rst": F("R", mine), "rst_ack": F("RA", mine, other), "none": F("", mine), "fin_only": F("F", mine),
            }
            for ev, p in events.items():
                add("cell_%s_%s_%s" % (state.lower(), ev, "orig" if d == "c" else "reply"),
                    pkts + [p, C("A", c, s), S("A", s, c), C("PA", c, s, n=10), S("PA", s, c, n=10)])
                o = S if d == "c" else C
                add("cell_%s_%s_%s_answered" % (state.lower(), ev, "orig" if d == "c" else "reply"),
                    pkts + [p, o("A", other, mine), o("FA", other, mine), F("A", mine, other + 1), F("R", mine), C("S", 900000)])


def windows():
    # The client advertises 1000, the server 2000: the server may send up to 1001, the client up to 2001.
    base = hs(1000, 2000)
    for off, n in itertools.product((-2, -1, 0, 1, 2, 998, 999, 1000, 1001, 1002, 1999, 2000, 2001, 3000, 100000), (0, 1, 10)):
        add("seq_high_reply_%d_%d" % (off, n), base + [S("A", 1001 + off, 1, n=n), S("A", 1001 + off, 1, n=n), C("A", 1, 1, n=10),
                                                      S("A", 1, 11), S("A", 1, 11, n=1000)])
    for off, n in itertools.product((-1, 0, 1, 999, 1000, 1001, 1998, 1999, 2000, 2001, 2002, 4000), (0, 1, 10)):
        add("seq_high_orig_%d_%d" % (off, n), base + [C("A", 2001 + off, 1, n=n), S("A", 1, 1, n=10), C("A", 1, 11, n=2000)])
        add("end_high_orig_%d_%d" % (off, n), base + [C("A", 2001 + off - n, 1, n=n), S("A", 1, 1), C("A", 1, 1, n=2000)])
    # Old data: below what the receiver's largest window may still hold.
    grown = base + [S("A", 1, 1, n=1000), C("A", 1, 1001), S("A", 1001, 1, n=1000), C("A", 1, 2001), S("A", 2001, 1, n=1000), C("A", 1, 3001)]
    for off, n in itertools.product((-2, -1, 0, 1, 2), (0, 1, 10)):
        add("seq_low_reply_%d_%d" % (off, n), grown + [S("A", 3001 - 1000 + off - n, 1, n=n), S("A", 3001, 1, n=10), C("A", 1, 3011)])
        add("seq_low_start_%d_%d" % (off, n), grown + [S("A", 3001 - 1000 + off, 1, n=n), S("A", 3001, 1, n=10), C("A", 1, 3011)])
    add("keep_alive", base + [S("A", 0, 1), C("A", 1, 1), S("A", 0, 1, n=1), C("A", 1, 1), C("A", 0, 1), S("A", 1, 1)])
    add("window_probe", base + [C("A", 1, 1, win=0), S("A", 1, 1, n=1), C("A", 1, 1, win=0), S("A", 1, 1, n=1), C("A", 1, 1, win=1000)])
    # Acknowledgements
    sent = base + [S("A", 1, 1, n=500)]
    for off in (-1, 0, 1, 2, 10, 1000, 100000, 0x7FFFFFFF, 0x80000001):
        add("ack_high_%d" % off, sent + [C("A", 1, 501 + off), C("A", 1, 501 + off, n=10), C("A", 1, 501), S("A", 501, 1, n=10)])
    big = hs(60000, 60000)
    much = list(big)
    pos = 1
    for _ in range(3):
        much += [S("A", pos, 1, n=1), C("A", 1, pos + 1)]
        pos += 1
    # jump: the server has sent 150,000 bytes and had them acknowledged
    for i in range(3):
        much += [S("A", pos + 49999, 1, n=1), C("A", 1, pos + 50000)]
        pos += 50000
    for off in (-2, -1, 0, 1, 2, 50, 6000):
        add("ack_low_66000_%d" % off, much + [C("A", 1, pos - 66000 + off), C("A", 1, pos - 66000 + off, n=10), C("A", 1, pos)])
    wide = hs(60000, 60000, ws=2)
    for off in (-2, -1, 0, 1, 2):
        add("ack_low_maxwin_%d" % off, wide + [S("A", 200000, 1, n=1), C("A", 1, 200001), S("A", 300000, 1, n=1), C("A", 1, 300001),
                                              C("A", 1, 300001 - 240000 + off), C("A", 1, 300001)])
    # SACK
    so = hs(2000, 2000, sackok=True)
    for top in (99, 100, 101, 102, 200, 1100, 100000):
        add("sack_edge_%d" % top, so + [S("A", 11, 1, n=90), C("A", 1, 1, sack=[(50, top)]), C("A", 1, 1, n=5), S("A", 101, 6)])
        add("sack_edge_%d_not_permitted" % top, base + [S("A", 11, 1, n=90), C("A", 1, 1, sack=[(50, top)]), C("A", 1, 1, n=5)])
        add("sack_two_blocks_%d" % top, so + [S("A", 11, 1, n=90), C("A", 1, 1, sack=[(20, 30), (50, top)]), C("A", 1, 1, n=5)])
        add("sack_with_timestamp_%d" % top, so + [S("A", 11, 1, n=90), C("A", 1, 1, sack=[(50, top)], ts=(5, 5)), C("A", 1, 1, n=5)])
        add("sack_below_ack_%d" % top, so + [S("A", 1, 1, n=100), C("A", 1, 101, sack=[(top - 60, top)]), C("A", 1, 101, n=5)])
    add("hole_is_filled", so + [S("A", 101, 1, n=100), C("A", 1, 1, sack=[(101, 201)]), S("A", 1, 1, n=100), C("A", 1, 201)])
    # Shrinking, growing, zero windows
    add("window_shrinks", base + [S("A", 1, 1, n=500), C("A", 1, 501, win=10), S("A", 501, 1, n=500), S("A", 1001, 1, n=1)])
    add("window_grows", base + [C("A", 1, 1, win=5000), S("A", 4001, 1, n=1000), S("A", 5001, 1, n=1), S("A", 5001, 1, n=5000)])
    add("zero_window_update", base + [C("A", 1, 1, win=0), S("A", 1, 1), C("A", 1, 1, win=1000), S("A", 1, 1, n=1000)])
    # Scaling
    for cw, sw in itertools.product((None, 0, 3, 14, 15), repeat=2):
        def syn(F, fl, ack, ws):
            return F(fl, 0, ack, win=1000, ws=ws)
        eff = min(cw, 14) if cw is not None and sw is not None else 0
        edge = 1 + (1000 << eff)
        pre = [syn(C, "S", 0, cw), syn(S, "SA", 1, sw), C("A", 1, 1, win=1000)]
        for off in (0, 1, 2, 1000, 1001):
            add("scale_%s_%s_%d" % (cw, sw, off), pre + [S("A", edge + off, 1, n=1), S("A", edge + off, 1), C("A", 1, 1, n=1), S("A", 1, 2, n=5)])
    add("scale_syn_ack_unscaled", [C("S", win=65535, ws=14), S("SA", 0, 1, win=65535, ws=14), S("A", 1 + 65535, 1, n=1), S("A", 1 + 2 * 65535, 1, n=1),
                                  C("A", 1, 1, win=65535), S("A", 1 + (65535 << 14), 1, n=1)])
    add("scale_changes_in_repeated_syn", [C("S", ws=2), C("S", ws=7), S("SA", 0, 1, ws=3), C("A", 1, 1, win=100), S("A", 1 + 12800, 1, n=1), S("A", 402, 1, n=1)])
    # Malformed options
    for name, raw in {"len0": b"\x03\x00\x00\x00", "len1": b"\x03\x01\x00\x00", "beyond": b"\x05\xff\x00\x00", "ws_len4": b"\x03\x04\x0e\x00",
                      "eol_then_ws": b"\x00\x03\x03\x07", "nops": b"\x01\x01\x01\x01", "sackok_len4": b"\x04\x04\x00\x00",
                      "unknown": b"\xfd\x04\x12\x34", "sack_len9": b"\x05\x09" + b"\x10" * 10, "sack_len2": b"\x05\x02\x01\x01", "full": b"\x01" * 40,
                      "two_ws": b"\x03\x03\x02\x03\x03\x07\x01\x01", "ws_at_end": b"\x01" * 37 + b"\x03\x03\x05", "cut_at_end": b"\x01" * 39 + b"\x03",
                      "ts_odd": b"\x08\x0a" + b"\x01" * 10 + b"\x05\x0a" + b"\x01" * 10}.items():
        add("option_%s" % name, [C("S", raw=raw, win=500), S("SA", 0, 1, win=500, ws=2, sackok=True), C("A", 1, 1, win=500), S("A", 501, 1, n=1), S("A", 2001, 1, n=1),
                                S("A", 502, 1, raw=raw, n=5), C("A", 1, 2, raw=raw)])


def resets():
    base = HS + [C("PA", 1, 1, n=100), S("A", 1, 101), S("PA", 1, 101, n=200), C("A", 101, 201)]
    quiet = hs(1000, 2000) + [S("A", 1, 1, n=200), C("A", 1, 201)]
    for d in "cs":
        F, O = from_(d), from_("s" if d == "c" else "c")
        mine, other = (101, 201) if d == "c" else (201, 101)
        for fl in ("R", "RA"):
            for off in (-100000, -1000, -200, -101, -100, -2, -1, 0, 1, 2, 100, 10000, 63999, 64000, 64001, 8191999, 8192000, 10000000, 100000000):
                tag = "%s_%s_%d" % (fl.lower(), "orig" if d == "c" else "reply", off)
                r = F(fl, mine + off, other, win=0)
                add("rst_%s" % tag, base + [r, O("A", other, mine), F("A", mine, other), C("S", 500000, **SYN_OPTS), S("SA", 90000, 500001, **SYN_OPTS)])
                if off in (-1, 0, 1, 100, 100000000):
                    add("rst_twice_%s" % tag, base + [r, r, r, O("A", other, mine), F("R", mine)])
                    add("rst_after_own_data_%s" % tag, base + [F("PA", mine, other, n=50), F(fl, mine + 50 + off, other, win=0), O("A", other, mine + 50)])
                    add("rst_after_own_data_at_old_%s" % tag, base + [F("PA", mine, other, n=50), F(fl, mine + off, other, win=0), O("A", other, mine + 50)])
        for off in (-1, 0, 1, 100, 1000, 100000):
            add("rst_ack_field_%s_%d" % ("orig" if d == "c" else "reply", off), base + [F("RA", mine, other + off, win=0), O("A", other, mine)])
        add("rst_with_data_%s" % d, base + [F("RA", mine, other, n=30), O("A", other, mine)])
        add("rst_with_psh_%s" % d, base + [F("RAP", mine, other), O("A", other, mine)])
        add("rst_with_urg_%s" % d, base + [F("RAU", mine, other), O("A", other, mine)])
        # RST that follows its sender's last segment directly
        add("rst_follows_ack_%s" % d, base + [F("A", mine, other), F("R", mine), O("A", other, mine)])
        add("rst_follows_fin_%s" % d, base + [F("FA", mine, other), F("R", mine + 1), O("A", other, mine)])
        add("rst_answers_data_%s" % d, base + [O("PA", other, mine, n=10), F("R", mine), O("A", other + 10, mine)])
        add("rst_answers_data_not_exact_%s" % d, base + [O("PA", other, mine, n=10), F("R", mine + 1), O("A", other + 10, mine), F("R", mine), O("A", other, mine)])
        for state in ("FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "SYN_RECV", "SYN_SENT2"):
            pkts, c, s = SETUP[state]
            m = c if d == "c" else s
            for off in (-2, -1, 0, 1, 1000, 100000, 100000000):
                add("rst_in_%s_%s_%d" % (state.lower(), d, off), pkts + [F("R", m + off), C("A", c, s), S("A", s, c)])
    for off in (-1, 0, 1, 999, 1000, 1001, 2000, 2001):
        add("rst_window_edge_reply_%d" % off, quiet + [S("R", 201 + off), C("A", 1, 201), S("A", 201, 1)])
        add("rst_window_edge_orig_%d" % off, quiet + [C("R", 1 + off), C("A", 1, 201), S("A", 201, 1)])
    add("rst_far_out_twice_assured", base + [S("R", 500000000), S("R", 500000000), S("R", 500000000), C("A", 101, 201)])
    add("fin_far_out_twice_assured", base + [S("FA", 500000000, 101), S("FA", 500000000, 101), S("FA", 500000000, 101), C("A", 101, 201)])
    add("fin_low_twice_assured", base + [S("FA", -500000, 101), S("FA", -500000, 101), C("A", 101, 201)])
    add("fin_ack_wrong_twice_assured", base + [S("FA", 201, 500000), S("FA", 201, 500000), C("A", 101, 201), S("A", 201, 101)])
    # Both ends end what the tracker thinks is out of window: it has lost them, and gives up soon.
    for x, y in itertools.product(("FA", "RA", "R"), repeat=2):
        n = "%s_%s" % (x.lower(), y.lower())
        far = [C(x, 500000000, 201), S(y, 500000000, 101)]
        add("out_of_window_end_both_sides_%s" % n, base + far + [C("A", 101, 201), S("A", 201, 101)])
        add("out_of_window_end_other_order_%s" % n, base + far[::-1] + far)
        add("out_of_window_end_not_assured_%s" % n, HS[:2] + far)
    add("syn_far_out_twice", base + [S("S", 500000000), S("S", 500000000), C("A", 101, 201)])
    add("rst_then_syn", base + [S("R", 201), C("S", 700000), S("SA", 800000, 700001), C("A", 700001, 800001)])
    add("rst_then_data", base + [S("R", 201), C("PA", 101, 201, n=10), S("R", 201), C("PA", 101, 201, n=10)])
    add("rst_then_rst", base + [S("R", 201), S("R", 201), C("R", 101), C("R", 101)])
    add("rst_seq_zero", base + [S("R", -5000), C("R", -1000), S("RA", -5000, 101), C("A", 101, 201)])


def challenge():
    base = HS + [C("PA", 1, 1, n=100), S("A", 1, 101), S("PA", 1, 101, n=200), C("A", 101, 201)]
    for d in "cs":
        F, O = from_(d), from_("s" if d == "c" else "c")
        mine, other = (101, 201) if d == "c" else (201, 101)
        n = "orig" if d == "c" else "reply"
        for at in (mine, mine + 1, mine - 1, mine + 100, 3000000, -3000000):
            syn = F("S", at, **SYN_OPTS)
            add("syn_in_established_%s_%d" % (n, at), base + [syn, O("A", other, mine), F("A", mine, other), O("A", other, mine)])
            add("syn_challenged_rst_%s_%d" % (n, at), base + [syn, O("A", other, mine), F("R", mine), O("A", other, mine), F("S", at + 5), O("SA", 9000000, at + 6),
                                                             F("A", at + 6, 9000001)])
            add("syn_challenged_rst_wrong_%s_%d" % (n, at), base + [syn, O("A", other, mine), F("R", mine + 1), O("A", other, mine), F("A", mine, other)])
            add("syn_accepted_%s_%d" % (n, at), base + [syn, O("SA", 9000000, at + 1, **SYN_OPTS), F("A", at + 1, 9000001), F("PA", at + 1, 9000001, n=50), O("A", 9000001, at + 51)])
            add("syn_accepted_wrong_ack_%s_%d" % (n, at), base + [syn, O("SA", 9000000, at + 2, **SYN_OPTS), F("A", at + 1, 9000001), F("A", mine, other), O("A", other, mine)])
            add("syn_accepted_no_options_%s_%d" % (n, at), base + [syn, O("SA", 9000000, at + 1, win=300), F("A", at + 1, 9000001, win=300), F("A", at + 301, 9000001, n=1),
                                                                  F("A", at + 302, 9000001, n=1), O("A", 9000301, at + 1, n=1)])
            add("syn_without_options_accepted_%s_%d" % (n, at), base + [F("S", at), O("SA", 9000000, at + 1, win=300, **SYN_OPTS), F("A", at + 1, 9000001, win=300),
                                                                       O("A", 9000301, at + 1, n=1), O("A", 9000601, at + 1, n=1)])
            add("syn_refused_%s_%d" % (n, at), base + [syn, O("RA", 0, at + 1), F("A", mine, other)])
            add("syn_refused_exact_%s_%d" % (n, at), base + [syn, O("RA", other, at + 1), F("A", mine, other)])
        add("syn_ack_unasked_%s" % n, base + [F("SA", mine, other, **SYN_OPTS), O("A", other, mine), F("R", mine), O("A", other, mine)])
        add("syn_then_other_traffic_%s" % n, base + [F("S", 3000000), F("A", mine, other), O("SA", 9000000, 3000001), F("A", 3000001, 9000001)])
        add("syn_twice_then_accepted_%s" % n, base + [F("S", 3000000), F("S", 4000000), O("SA", 9000000, 4000001), F("A", 4000001, 9000001)])
        for state in ("FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"):
            pkts, c, s = SETUP[state]
            m, o = (c, s) if d == "c" else (s, c)
            add("syn_in_%s_%s_then_ack" % (state.lower(), n), pkts + [F("S", 3000000, **SYN_OPTS), O("A", o, m), F("R", m), C("S", 4000000)])
            add("syn_in_%s_%s_then_syn_ack" % (state.lower(), n), pkts + [F("S", 3000000, **SYN_OPTS), O("SA", 9000000, 3000001, **SYN_OPTS), F("A", 3000001, 9000001)])
            add("syn_in_%s_%s_then_own_ack" % (state.lower(), n), pkts + [F("S", 3000000, **SYN_OPTS), F("A", m, o), O("A", o, m)])
    # LAST_ACK: the ACK that answers a SYN is a challenge, not the last one
    pkts, c, s = SETUP["LAST_ACK"]
    add("last_ack_challenge_ack", pkts + [C("S", 700000, **SYN_OPTS), S("A", 2, 2), C("R", 2), S("A", 2, 2), C("S", 700000)])
    add("last_ack_then_really_last", pkts + [C("S", 700000, **SYN_OPTS), S("A", 2, 2), C("A", 2, 2)])


def simultaneous():
    cs, ss = C("S", **SYN_OPTS), S("S", **SYN_OPTS)
    csa, ssa = C("SA", 0, 1, **SYN_OPTS), S("SA", 0, 1, **SYN_OPTS)
    ca, sa = C("A", 1, 1), S("A", 1, 1)
    add("simultaneous_open", [cs, ss, ssa, csa], want=None)
    for i, order in enumerate(itertools.permutations([csa, ssa, ca, sa], 3)):
        add("simultaneous_order_%d" % i, [cs, ss] + list(order) + [C("PA", 1, 1, n=10), S("PA", 1, 11, n=10)])
    add("simultaneous_acks", [cs, ss, ca, sa, C("PA", 1, 1, n=10), S("A", 1, 11)])
    add("simultaneous_reversed", [ss, cs, csa, ssa, C("PA", 1, 1, n=10), S("A", 1, 11)])
    add("simultaneous_repeated_syns", [cs, ss, cs, ss, ssa, csa, ca])
    add("simultaneous_rst_orig", [cs, ss, C("R", 1), S("SA", 0, 1)])
    add("simultaneous_rst_reply", [cs, ss, S("R", 1), C("SA", 0, 1)])
    add("simultaneous_rst_ack_reply", [cs, ss, S("RA", 0, 1), cs])
    add("simultaneous_fin", [cs, ss, ssa, C("FA", 1, 1), S("A", 1, 2)])
    add("simultaneous_new_isn", [cs, ss, C("S", 5000), S("SA", 0, 5001), C("SA", 5000, 1)])
    add("simultaneous_no_options", [C("S"), S("S"), S("SA", 0, 1), C("SA", 0, 1), C("A", 1, 1)])
    add("simultaneous_then_close", [cs, ss, ssa, csa, ca, C("FA", 1, 1), S("A", 1, 2), S("FA", 1, 2), C("A", 2, 2)])


def closing():
    base = HS + [C("PA", 1, 1, n=100), S("A", 1, 101)]
    add("close_by_client", base + [C("FA", 101, 1), S("A", 1, 102), S("FA", 1, 102), C("A", 102, 2)], want=("TIME_WAIT,ASSURED", None))
    add("close_by_server", base + [S("FA", 1, 101), C("A", 101, 2), C("FA", 101, 2), S("A", 2, 102)], want=("TIME_WAIT,ASSURED", None))
    add("close_fin_ack_together", base + [C("FA", 101, 1), S("FA", 1, 102), C("A", 102, 2)])
    add("close_simultaneous", base + [C("FA", 101, 1), S("FA", 1, 101), C("A", 102, 2), S("A", 2, 102)])
    add("half_close_data_goes_on", base + [C("FA", 101, 1), S("A", 1, 102), S("PA", 1, 102, n=1000), C("A", 102, 1001), S("PA", 1001, 102, n=1000), C("A", 102, 2001),
                                          S("FA", 2001, 102), C("A", 102, 2002)], want=("TIME_WAIT,ASSURED", None))
    add("half_close_closer_sends", base + [C("FA", 101, 1), S("A", 1, 102), C("PA", 102, 1, n=10), S("A", 1, 112), S("FA", 1, 102), C("A", 102, 2)])
    add("fin_with_data", base + [C("FA", 101, 1, n=50), S("A", 1, 152), S("FA", 1, 152, n=50), C("A", 152, 52)], want=("TIME_WAIT,ASSURED", None))
    add("fin_repeated", base + [C("FA", 101, 1)] * 1 + [C("FA", 101, 1)] * 4 + [S("A", 1, 102), S("FA", 1, 102), S("FA", 1, 102), C("A", 102, 2), S("FA", 1, 102), C("A", 102, 2)])
    add("fin_ack_not_of_fin", base + [C("FA", 101, 1), S("A", 1, 101), S("A", 1, 50), S("A", 1, 102)])
    add("fin_before_data", base + [C("FA", 201, 1), C("PA", 101, 1, n=100), S("A", 1, 202)])
    add("fin_out_of_window", base + [C("FA", 900000000, 1), S("A", 1, 101), C("FA", 101, 1)])
    add("fin_urg", base + [C("FAU", 101, 1), S("A", 1, 102)])
    add("time_wait_repeated_fin", SETUP["TIME_WAIT"][0] + [S("FA", 1, 2), C("A", 2, 2), C("FA", 1, 1), S("A", 2, 2)])
    add("time_wait_late_data", SETUP["TIME_WAIT"][0] + [S("PA", 1, 2, n=10), C("A", 2, 2), S("R", 2)])
    add("last_ack_repeated", SETUP["LAST_ACK"][0] + [S("FA", 1, 2), S("A", 2, 2), C("A", 2, 1), C("A", 2, 2)])
    for isn in (100000, 0, 1, 2, -100000, 0x7FFFFFFF, 0x80000000):
        for st in ("TIME_WAIT", "CLOSE", "LAST_ACK", "CLOSE_WAIT", "FIN_WAIT"):
            pkts = SETUP[st][0]
            add("reopen_%s_isn_%d" % (st.lower(), isn), pkts + [C("S", isn, **SYN_OPTS), S("SA", 50000, isn + 1, **SYN_OPTS), C("A", isn + 1, 50001), C("PA", isn + 1, 50001, n=10),
                                                               S("A", 50001, isn + 11)])
            add("reopen_by_server_%s_isn_%d" % (st.lower(), isn), pkts + [S("S", isn, **SYN_OPTS), C("SA", 50000, isn + 1, **SYN_OPTS), S("A", isn + 1, 50001)])
    add("reopen_twice", SETUP["TIME_WAIT"][0] + [C("S", 100000), C("S", 100000), S("SA", 5000, 100001), C("A", 100001, 5001), S("R", 5001), C("S", 200000), S("SA", 7000, 200001)])
    add("close_then_ack_both", SETUP["CLOSE"][0] + [C("A", 1, 1), S("A", 1, 1), S("R", 1), C("FA", 1, 1)])
    add("close_client_rst_after_fin", base + [S("FA", 1, 101), C("A", 101, 2), C("R", 101), S("A", 2, 101), C("R", 101)])


def pickup():
    for d in "cs":
        F, O = from_(d), from_("s" if d == "c" else "c")
        for fl, n in (("A", 0), ("PA", 100), ("A", 1400), ("FA", 0), ("FA", 10), ("AU", 0)):
            tag = "%s_%s_%d" % (d, fl.lower(), n)
            f = 1 if "F" in fl else 0
            add("pickup_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 7000, 5000 + n + f), F("A", 5000 + n + f, 7000), O("PA", 7000, 5000 + n + f, n=100), F("A", 5000 + n + f, 7100)])
            add("pickup_one_way_%s" % tag, [F(fl, 5000, 7000, n=n), F("A", 5000 + n, 7000, n=100), F("A", 5100 + n, 7000, n=100), F("A", 5200 + n, 7000, n=100)])
            add("pickup_answer_elsewhere_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 900000, 90000000), F("A", 5000 + n, 7000), O("A", 7000, 5000 + n)])
            add("pickup_then_rst_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 7000, 5000 + n), O("R", 7000), F("A", 5000 + n, 7000)])
            add("pickup_then_rst_at_once_%s" % tag, [F(fl, 5000, 7000, n=n), O("R", 7000), F("A", 5000 + n, 7000), F("S", 100000)])
            add("pickup_then_rst_wrong_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 7000, 5000 + n), O("R", 7001), O("R", 6999), O("R", 700000), F("A", 5000 + n, 7000)])
            add("pickup_then_close_%s" % tag, [F(fl, 5000, 7000, n=n), O("FA", 7000, 5000 + n), F("A", 5000 + n, 7001), F("FA", 5000 + n, 7001), O("A", 7001, 5001 + n)])
            add("pickup_then_syn_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 7000, 5000 + n), F("S", 100000, **SYN_OPTS), O("SA", 200000, 100001, **SYN_OPTS), F("A", 100001, 200001)])
            add("pickup_wild_sequence_%s" % tag, [F(fl, 5000, 7000, n=n), O("A", 7000, 5000 + n), F("A", 100000000, 7000, n=10), O("A", 100000000, 5000, n=10), F("FA", 5000, 7000)])
            add("pickup_big_windows_%s" % tag, [F(fl, 5000, 7000, n=n, win=65535), O("A", 7000, 5000 + n, win=65535), F("A", 5000 + 1000000, 7000, n=10), O("A", 7000 + 1000000, 5000, n=10)])
        add("pickup_zero_window_%s" % d, [F("A", 5000, 7000, win=0), O("A", 7000, 5000, win=0), F("A", 5000, 7000, n=1), O("A", 7000, 5001, n=1)])


def timeouts():
    est = HS + [C("PA", 1, 1, n=100), S("A", 1, 101)]
    rep = C("PA", 101, 1, n=50)
    for k in range(1, 7):
        add("repeat_%d_times" % k, est + [rep] * k + [S("A", 1, 151), C("PA", 151, 1, n=10), S("A", 1, 161)])
        add("repeat_%d_times_ack_only" % k, est + [C("A", 101, 1)] * k + [S("A", 1, 101), C("A", 101, 1)])
        add("repeat_%d_in_syn_recv" % k, HS[:2] + [HS[1]] * k + [HS[2], S("A", 1, 1)])
        add("repeat_%d_fin" % k, est + [C("FA", 101, 1)] * (k + 1) + [S("A", 1, 102), S("FA", 1, 102), C("A", 102, 2)])
        add("repeat_%d_fin_reply" % k, est + [S("FA", 1, 101)] * (k + 1) + [C("A", 101, 2)])
        add("repeat_%d_time_wait" % k, SETUP["TIME_WAIT"][0] + [C("A", 2, 2)] * k + [S("FA", 1, 2)])
    add("repeat_interrupted", est + [rep, rep, rep, S("A", 1, 101), rep, rep, rep, rep])
    add("repeat_other_ack", est + [rep, rep, rep, C("PA", 101, 2, n=50), rep])
    add("repeat_other_window", est + [rep, rep, rep, C("PA", 101, 1, n=50, win=100), rep, rep])
    add("repeat_other_length", est + [rep, rep, rep, C("PA", 101, 1, n=51), rep, rep])
    add("repeat_ack_psh_differ", est + [rep, C("A", 101, 1, n=50), rep, C("A", 101, 1, n=50), rep])
    add("repeat_both_sides", est + [rep, S("A", 1, 101), rep, S("A", 1, 101), rep, S("A", 1, 101), rep, S("A", 1, 101), rep])
    add("unacknowledged_data", est + [C("PA", 101, 1, n=10), C("PA", 111, 1, n=10), S("A", 1, 111), S("A", 1, 121)])
    add("unacknowledged_reply", est + [S("PA", 1, 101, n=10), S("PA", 11, 101, n=10), C("A", 101, 21)])
    add("unacknowledged_both", est + [C("PA", 101, 1, n=10), S("PA", 1, 101, n=10), C("A", 111, 11), S("A", 11, 111)])
    add("unacknowledged_partly", est + [C("PA", 101, 1, n=100), S("A", 1, 150), S("A", 1, 200), S("A", 1, 201)])
    add("unacknowledged_close_wait", SETUP["CLOSE_WAIT"][0] + [S("PA", 1, 2, n=10), C("A", 2, 11)])
    add("unacknowledged_in_handshake", HS[:2] + [C("PA", 1, 1, n=10), C("PA", 11, 1, n=10), S("A", 1, 21)])
    for d in "cs":
        F, O = from_(d), from_("s" if d == "c" else "c")
        m, o = (101, 1) if d == "c" else (1, 101)
        add("zero_window_shortens_%s" % d, est + [F("A", m, o, win=0), O("A", o, m), F("A", m, o, win=0), F("A", m, o, win=100), O("A", o, m)])
        add("zero_window_with_fin_%s" % d, est + [F("FA", m, o, win=0), O("A", o, m + 1), O("A", o, m + 1, win=0)])
    add("zero_window_syn_ack", [HS[0], S("SA", 0, 1, win=0, **SYN_OPTS), C("A", 1, 1), S("A", 1, 1, win=1000), C("A", 1, 1)])
    add("zero_window_syn", [C("S", win=0), S("SA", 0, 1), C("A", 1, 1, win=0), C("A", 1, 1, win=1000)])
    add("ignored_does_not_refresh", est + [C("S", 999999), C("S", 999999), S("SA", 1, 1), C("A", 101, 1)])
    add("syn_repeated_does_not_refresh", [HS[0]] * 8)
    add("syn_new_isn_does_not_refresh", [HS[0], C("S", 10), C("S", 20), C("S", 30)])
    add("invalid_does_not_refresh", est + [C("", 101), C("FSR", 101), C("A", 900000000, 1, n=10), C("A", 101, 90000000)])
    add("low_ack_does_not_refresh", est + [S("A", 1, -500000), S("A", -500000, 101), C("A", 101, 1)])


def flags():
    for bits in range(64):
        fl = "".join(c for i, c in enumerate("FSRPAU") if bits & (1 << i))
        n = fl.lower() or "null"
        add("flags_new_%s" % n, [C(fl, 0, 1), S("SA", 0, 1), C("A", 1, 1)])
        add("flags_established_orig_%s" % n, HS + [C(fl, 1, 1), S("A", 1, 1), C("A", 1, 1)])
        add("flags_established_reply_%s" % n, HS + [S(fl, 1, 1), C("A", 1, 1), S("A", 1, 1)])
        add("flags_ece_cwr_%s" % n, HS + [C(fl + "EC", 1, 1), S("A", 1, 1), C("A", 1, 1)])
    for res in (1, 2, 4, 8, 15):
        add("reserved_bits_%d" % res, [C("S", res=res), S("SA", 0, 1, res=res), C("A", 1, 1, res=res), C("PA", 1, 1, n=10, res=res)])


def headers():
    for doff in range(0, 16):
        add("doff_%d_syn" % doff, [C("S", doff=doff, n=8), S("SA", 0, 1), C("A", 1, 1)])
        add("doff_%d_established" % doff, HS + [C("PA", 1, 1, doff=doff, n=8), S("A", 1, 9)])
    for cut in (0, 1, 4, 8, 12, 16, 19):
        add("cut_at_%d" % cut, [C("S", cut=cut)] + HS + [C("A", 1, 1, cut=cut)])
    add("bad_checksum_syn", [C("S", badsum=True)] + HS)
    add("bad_checksum_established", HS + [C("PA", 1, 1, n=10, badsum=True), S("A", 1, 1)])
    add("bad_checksum_rst", HS + [S("R", 1, badsum=True), S("A", 1, 1)])
    for port in (0, 1, 65535):
        add("port_%d" % port, HS, cport=port)
        add("server_port_%d" % port, HS, sport=port)
    add("same_ports", HS + [S("FA", 1, 1)], cport=80, sport=80)


def fragment(quoted, field):
    """An IPv4 packet with that fragment field, its header checksum right."""
    h = quoted[:6] + struct.pack("!H", field) + quoted[8:10] + b"\0\0" + quoted[12:20]
    return h[:10] + struct.pack("!H", ~csum(h) & 0xFFFF) + h[12:] + quoted[20:]


def errors():
    syn = HS[0]
    data = C("PA", 1, 1, n=100)
    for t4, t6, code in ((3, 1, 0), (3, 1, 1), (3, 1, 3), (3, 2, 4), (3, 1, 13), (4, 3, 0), (5, 137, 1), (11, 3, 0), (11, 3, 1), (12, 4, 0)):
        tag = "%d_%d_%d" % (t4, t6, code)
        for mid in (False, True):
            m = "_router" if mid else ""
            e = lambda d, p, **kw: IcmpErr(d, p, t4, t6, code, mid=mid, **kw)
            add("icmp_error_%s_about_syn%s" % (tag, m), [syn, e("s", syn), HS[1], HS[2]])
            add("icmp_error_%s_established%s" % (tag, m), HS + [data, e("s", data), S("A", 1, 101), S("PA", 1, 101, n=10), e("c", S("PA", 1, 101, n=10)), C("A", 101, 11)])
    for n4 in (0, 1, 4, 7, 8, 12, 19, 20, 28):
        add("icmp_error_quotes_%d" % n4, HS + [data, IcmpErr("s", data, n4=n4), S("A", 1, 101)])
    add("icmp_error_unknown", [IcmpErr("s", syn), syn, HS[1], HS[2]])
    add("icmp_error_other_address", HS + [IcmpErr("s", data, to="other"), IcmpErr("s", data, to="other", mid=True), S("A", 1, 1)])
    add("icmp_error_own_packet", HS + [IcmpErr("c", data, own=True), IcmpErr("s", S("A", 1, 1), own=True), S("A", 1, 1)])
    add("icmp_error_bad_checksum", HS + [data, IcmpErr("s", data, badsum=True), S("A", 1, 101)])
    add("icmp_error_inner_bad_checksum", HS + [data, IcmpErr("s", data, inner_badsum=True), S("A", 1, 101)])
    add("icmp_error_inner_l4_bad_checksum", HS + [data, IcmpErr("s", data, inner_l4_badsum=True), S("A", 1, 101)])
    add("icmp_error_wrong_sequence", HS + [IcmpErr("s", C("PA", 900000000, 1, n=10)), S("A", 1, 1)])
    add("icmp_error_about_closed", SETUP["TIME_WAIT"][0] + [IcmpErr("s", C("A", 2, 2)), IcmpErr("c", S("A", 2, 2))])
    add("icmp_error_about_error", HS + [IcmpErr("c", IcmpErr("s", data)), IcmpErr("s", IcmpErr("c", S("A", 1, 1)))])
    add("icmp_error_inner_other_version", HS + [IcmpErr("s", data, inner_mangle=lambda f, q: bytes([q[0] ^ 0x20]) + q[1:])])
    add("icmp_error_inner_short_ihl", HS + [IcmpErr("s", data, inner_mangle=lambda f, q: bytes([q[0] & 0xF0 | 3]) + q[1:] if f.fam == 4 else q[:30])])
    add("icmp_error_inner_fragment", HS + [IcmpErr("s", data, inner_mangle=lambda f, q: fragment(q, 0x2010) if f.fam == 4 else q)])
    add("icmp_error_inner_first_fragment", HS + [IcmpErr("s", data, inner_mangle=lambda f, q: fragment(q, 0x2000) if f.fam == 4 else q)])


def sequences():
    if not OUT:
        for f in (handshake, table, windows, resets, challenge, simultaneous, closing, pickup, timeouts, flags, headers, errors):
            f()
    return OUT
