# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Random sequences that a tracker finds hard: two endpoints that mostly behave,
and an unruly one that knows where their windows end."""
from ctpkt import IcmpErr, Icmp, Gre, Raw, Sctp, Tcp, Udp, echo, echo_reply
from ctseq import Seq

BAD_FLAGS = ["", "F", "SF", "SR", "FR", "FPU", "FSRPAU", "P", "U", "PU", "SFA", "RF", "SRA", "FRA", "SP", "E", "SAR"]
ODD_FLAGS = ["SU", "SEC", "SAE", "RP", "RAP", "AU", "FAU", "FAP", "APU", "RE", "SAP", "SAU", "RU", "RAU"]


class End:
    """What one endpoint has done, and what the other's window lets it do."""

    def __init__(self, rng):
        self.nxt = 0        # next sequence number, from its ISN
        self.ack = 0        # highest acknowledgement it has sent
        self.maxend = 0     # as the peer's ack and window allow
        self.maxwin = 1     # largest window it has advertised
        self.ws = rng.choice([None, None, 0, 1, 3, 7, 10, 14, 15])
        self.sackok = rng.random() < 0.6
        self.win = rng.choice([64000, 64000, 65535, 8192, 1000, 100, 1, 29200])
        self.ts = rng.random() < 0.2
        self.syn = False
        self.fin = False


class TcpGen:
    def __init__(self, rng):
        self.r = rng
        self.e = {"c": End(rng), "s": End(rng)}
        self.out = []
        self.scaled = False

    def peer(self, d):
        return "s" if d == "c" else "c"

    def scale(self, d):
        return min(self.e[d].ws or 0, 14) if self.scaled else 0

    def emit(self, d, fl, seq=None, ack=None, n=0, win=None, move=True, **kw):
        e, p = self.e[d], self.e[self.peer(d)]
        seq = e.nxt if seq is None else seq
        ack = p.nxt if ack is None else ack
        if win is None:
            win = e.win
        if e.ts and "S" not in fl and "ts" not in kw and self.r.random() < 0.8:
            kw["ts"] = (1000 + len(self.out), 1000)
        self.out.append(Tcp(d, fl, seq, ack if "A" in fl else 0, n=n, win=win, **kw))
        if not move:
            return
        end = seq + n + ("S" in fl) + ("F" in fl)
        if end > e.nxt:
            e.nxt = end
        if "A" in fl:
            e.ack = max(e.ack, ack)
            w = win << (0 if "S" in fl else self.scale(d))
            e.maxwin = max(e.maxwin, w)
            p.maxend = max(p.maxend, ack + max(w, 1))

    def syn_opts(self, d):
        e = self.e[d]
        o = {"ws": e.ws, "sackok": e.sackok, "mss": 1460}
        if e.ts:
            o["ts"] = (1000, 0)
        return o

    def open(self):
        r = self.r
        kind = r.choices(["normal", "simultaneous", "pickup", "pickup_s", "half", "odd", "lost_ack", "syn_ack_first",
                          "syn_data", "rst_answer"], [56, 9, 8, 3, 5, 5, 5, 3, 3, 3])[0]
        c, s = self.e["c"], self.e["s"]
        if kind in ("normal", "lost_ack", "half", "rst_answer", "syn_data"):
            for _ in range(r.choices([1, 2, 4], [85, 10, 5])[0]):
                self.out.append(Tcp("c", "S", 0, 0, n=20 if kind == "syn_data" else 0, win=c.win, **self.syn_opts("c")))
            c.nxt = 1 + (20 if kind == "syn_data" else 0)
            if kind == "half":
                return
            if kind == "rst_answer":
                self.out.append(Tcp("s", r.choice(["RA", "R"]), 0, r.choice([1, 1, 0, 2])))
                return
            for _ in range(r.choices([1, 2], [90, 10])[0]):
                self.emit("s", "SA", 0, r.choices([c.nxt, 0, 2, 5], [94, 2, 2, 2])[0], **self.syn_opts("s"))
            self.scaled = c.ws is not None and s.ws is not None
            if kind != "lost_ack":
                self.emit("c", "A", 1, 1)
        elif kind == "simultaneous":
            self.out.append(Tcp("c", "S", 0, 0, win=c.win, **self.syn_opts("c")))
            c.nxt = 1
            self.out.append(Tcp("s", "S", 0, 0, win=s.win, **self.syn_opts("s")))
            s.nxt = 1
            self.scaled = c.ws is not None and s.ws is not None
            first, second = r.choice([("c", "s"), ("s", "c")])
            self.emit(first, r.choice(["SA", "SA", "A"]), 0, 1, **self.syn_opts(first))
            if r.random() < 0.7:
                self.emit(second, r.choice(["SA", "SA", "A"]), 0, 1, **self.syn_opts(second))
            if r.random() < 0.7:
                self.emit(r.choice("cs"), "A")
        elif kind in ("pickup", "pickup_s"):
            c.nxt, s.nxt = r.randrange(1, 5000), r.randrange(1, 5000)
            d = "c" if kind == "pickup" else "s"
            self.emit(d, r.choice(["A", "A", "PA", "FA"]), n=r.choice([0, 1, 500]))
            if r.random() < 0.8:
                self.emit(self.peer(d), "A", n=r.choice([0, 1, 500]))
        elif kind == "syn_ack_first":
            self.emit("s", "SA", 0, 1, **self.syn_opts("s"))
            self.emit("c", "A", 1, 1)
        else:
            self.emit(r.choice("cs"), r.choice(BAD_FLAGS + ODD_FLAGS + ["R", "RA", "FA", "SA"]), 0, 0, move=False)

    def edge(self):
        return self.r.choice([-1000, -2, -1, 0, 1, 2, 1000])

    def act(self):
        r = self.r
        d = r.choice("cs")
        e, p = self.e[d], self.e[self.peer(d)]
        kind = r.choices(
            ["data", "ack", "answer", "repeat", "seq_high", "seq_low", "ack_high", "ack_low", "sack", "zero", "update", "rst",
             "syn", "challenge", "fin", "bad", "odd", "icmp", "reopen", "synack", "close", "hole", "shrink"],
            [20, 10, 10, 6, 6, 4, 4, 4, 4, 3, 3, 8, 4, 5, 5, 2, 2, 2, 3, 2, 5, 3, 2])[0]
        if kind == "data":
            self.emit(d, r.choice(["A", "PA"]), n=r.choice([1, 10, 100, 536, 1400]))
        elif kind == "ack":
            self.emit(d, "A")
        elif kind == "answer":
            self.emit(d, "PA", n=r.choice([1, 100]))
            self.emit(self.peer(d), "A")
        elif kind == "repeat":
            if self.out:
                last = self.out[-1]
                self.out.extend([last] * r.choice([1, 2, 3, 3, 4]))
                if r.random() < 0.5:
                    self.emit(self.peer(last.d), "A")
        elif kind == "seq_high":
            base = r.choice([e.maxend, e.maxend, e.maxend + p.maxwin, e.maxend + 2 * p.maxwin, e.nxt + p.maxwin])
            n = r.choice([0, 1, 100])
            self.emit(d, "A", max(0, base + self.edge() - r.choice([0, n])), n=n, move=r.random() < 0.3)
        elif kind == "seq_low":
            base = r.choice([e.nxt - p.maxwin, p.ack, e.nxt - 1, 0])
            n = r.choice([0, 1, 100])
            self.emit(d, "A", base + self.edge() - r.choice([0, n]), n=n, move=False)
        elif kind == "ack_high":
            self.emit(d, "A", ack=p.nxt + r.choice([1, 2, 1000, 100000]), n=r.choice([0, 10]), move=False)
        elif kind == "ack_low":
            base = r.choice([p.nxt - max(66000, e.maxwin), p.nxt - 66000, e.ack, 0])
            self.emit(d, "A", ack=base + self.edge(), n=r.choice([0, 10]), move=False)
        elif kind == "sack":
            top = p.nxt + r.choice([0, -1, 0, 1, 100])
            low = top - r.choice([1, 10, 100])
            blocks = [(low, top)]
            if r.random() < 0.3:
                blocks.append((low - 50, low - 20))
            self.emit(d, "A", ack=e.ack, sack=blocks, n=r.choice([0, 0, 50]))
        elif kind == "zero":
            self.emit(d, "A", win=0)
            if r.random() < 0.5:
                self.emit(self.peer(d), "A", n=1, move=False)
        elif kind == "update":
            self.emit(d, "A", win=r.choice([1, 10, 1000, 65535]))
        elif kind == "shrink":
            self.emit(d, "A", win=r.choice([0, 1, 5]), n=r.choice([0, 10]))
        elif kind == "hole":
            n = r.choice([10, 100])
            at = e.nxt
            self.emit(d, "A", at + n, n=n)
            if r.random() < 0.7:
                self.emit(self.peer(d), "A", ack=at, sack=[(at + n, at + 2 * n)])
            self.emit(d, "A", at, n=n)
        elif kind == "rst":
            base = r.choice([p.ack, p.ack, e.nxt, e.nxt, e.maxend, e.nxt + p.maxwin, p.ack - p.maxwin, 0, 10 ** 6])
            fl = r.choice(["R", "RA", "RA"])
            self.emit(d, fl, base + r.choice([0, 0, 0, 1, -1, 2, 10]), ack=p.nxt + r.choice([0, 0, 0, 1, -1, 1000]),
                      n=r.choice([0, 0, 0, 5]), win=r.choice([0, 0, 1000]), move=False)
        elif kind == "syn":
            self.emit(d, "S", r.choice([0, e.nxt, e.nxt + 1000, 0x70000000, e.maxend + 1, e.nxt - 1]), move=False,
                      **(self.syn_opts(d) if r.random() < 0.7 else {}))
        elif kind == "synack":
            self.emit(d, "SA", r.choice([0, e.nxt, e.nxt + 5]), ack=r.choice([p.nxt, 1, p.nxt + 1]), move=False,
                      **(self.syn_opts(d) if r.random() < 0.7 else {}))
        elif kind == "challenge":
            # a peer that forgot: SYN, the other answers with an ACK, or takes it and answers SYN/ACK
            seq = r.choice([e.nxt + 100000, 0x60000000, e.nxt - 2, e.nxt])
            self.emit(d, "S", seq, move=False, **self.syn_opts(d))
            way = r.choice(["ack", "ack_rst", "synack", "rst", "none"])
            o = self.peer(d)
            if way in ("ack", "ack_rst"):
                self.emit(o, "A")
                if way == "ack_rst":
                    self.emit(d, "R", p.ack + r.choice([0, 0, 1]), move=False)
            elif way == "synack":
                new = r.choice([0x50000000, p.nxt])
                self.emit(o, "SA", new, ack=seq + r.choice([1, 1, 1, 2]), move=False, **self.syn_opts(o))
                e.nxt, p.nxt = seq + 1, new + 1
                e.ack, p.ack = new + 1, seq + 1
                self.emit(d, "A")
            elif way == "rst":
                self.emit(o, "RA", r.choice([0, p.nxt]), ack=seq + r.choice([1, 1, 0]), move=False)
        elif kind == "fin":
            self.emit(d, "FA", n=r.choice([0, 0, 10]))
        elif kind == "close":
            self.emit(d, "FA", n=r.choice([0, 0, 10]))
            if r.random() < 0.8:
                self.emit(self.peer(d), "A")
            if r.random() < 0.7:
                self.emit(self.peer(d), "FA")
            if r.random() < 0.8:
                self.emit(d, "A")
        elif kind == "bad":
            self.emit(d, r.choice(BAD_FLAGS), move=False)
        elif kind == "odd":
            fl = r.choice(ODD_FLAGS)
            self.emit(d, fl, move=False, n=r.choice([0, 10]))
        elif kind == "icmp":
            about = [x for x in self.out if isinstance(x, Tcp)]
            if about:
                x = r.choice(about[-4:])
                self.out.append(IcmpErr(self.peer(x.d), x, *r.choice([(3, 1, 3), (3, 1, 1), (11, 3, 0), (12, 4, 0), (3, 2, 4)]),
                                        mid=r.random() < 0.5, n4=r.choice([8, 20, 64]),
                                        to="other" if r.random() < 0.1 else "peer"))
        elif kind == "reopen":
            base = e.nxt + r.choice([1, 100000, 0x40000000, -50000])
            self.emit(d, "S", base, move=False, **self.syn_opts(d))
            if r.random() < 0.7:
                nb = p.nxt + 0x30000000
                self.emit(self.peer(d), "SA", nb, ack=base + 1, move=False, **self.syn_opts(self.peer(d)))
                e.nxt, p.nxt = base + 1, nb + 1
                e.ack, p.ack = nb + 1, base + 1
                e.maxend = base + 1 + p.win
                p.maxend = nb + 1 + e.win
                if r.random() < 0.9:
                    self.emit(d, "A")

    def make(self):
        self.open()
        n = self.r.randrange(8, 20)
        while len(self.out) < n:
            self.act()
        return self.out[:20]


def sctp_pkts(r):
    ct, st = r.getrandbits(32) | 1, r.getrandbits(32) | 1
    tag = {"c": st, "s": ct}  # what packets sent by that side carry
    out = [Sctp("c", "INIT", itag=ct)]
    plan = [Sctp("s", "INIT_ACK", vtag=ct, itag=st), Sctp("c", "COOKIE_ECHO", vtag=st), Sctp("s", "COOKIE_ACK", vtag=ct)]
    stop = r.choices([3, 0, 1, 2], [80, 7, 7, 6])[0]
    out += plan[:stop]
    names = ["DATA", "SACK", "HEARTBEAT", "HEARTBEAT_ACK", "ABORT", "SHUTDOWN", "SHUTDOWN_ACK", "ERROR", "COOKIE_ECHO",
             "COOKIE_ACK", "SHUTDOWN_COMPLETE", "INIT", "INIT_ACK", "ASCONF"]
    weights = [10, 8, 5, 5, 2, 4, 4, 1, 1, 1, 3, 2, 2, 1]
    if r.random() < 0.12:  # no INIT seen: heartbeats of a multi-homed peer, or rubbish
        out = [Sctp("c", r.choice(["HEARTBEAT", "HEARTBEAT", "DATA", "ABORT", "SHUTDOWN_ACK", "COOKIE_ECHO"]), vtag=st)]
        if r.random() < 0.7:
            out.append(Sctp("s", "HEARTBEAT_ACK", vtag=ct))
    while len(out) < r.randrange(6, 16):
        if r.random() < 0.2:
            d = r.choice("cs")
            o = "s" if d == "c" else "c"
            out += [Sctp(d, "SHUTDOWN", vtag=tag[d]), Sctp(o, "SHUTDOWN_ACK", vtag=tag[o]),
                    Sctp(d, "SHUTDOWN_COMPLETE", vtag=tag[d])]
            continue
        d = r.choice("cs")
        name = r.choices(names, weights)[0]
        v = tag[d] if r.random() < 0.88 else r.choice([0, tag["s" if d == "c" else "c"], 12345])
        kw = {}
        if name == "INIT":
            v = 0 if r.random() < 0.9 else v
            kw["itag"] = r.getrandbits(32) | 1
        elif name == "INIT_ACK":
            kw["itag"] = r.getrandbits(32) | 1
        chunks = [name]
        if name in ("DATA", "SACK") and r.random() < 0.3:
            chunks.append("DATA")
        if name == "COOKIE_ECHO" and r.random() < 0.5:
            chunks.append("DATA")
        if name in ("ABORT", "SHUTDOWN_COMPLETE") and r.random() < 0.2:
            chunks = [(name, 1, b"")]
            v = tag["s" if d == "c" else "c"]
        out.append(Sctp(d, *chunks, vtag=v, **kw))
    return out[:20]


def other_pkts(r, fam):
    kind = r.choice(["udp", "udp", "icmp", "icmp", "udplite", "gre", "generic"])
    out = []
    for _ in range(r.randrange(4, 10)):
        d = r.choices("cs", [60, 40])[0]
        if kind in ("udp", "udplite"):
            p = Udp(d, n=r.choice([0, 1, 100, 1000]), lite=kind == "udplite")
        elif kind == "icmp":
            ident = r.choice([77, 77, 77, 78, 0, 65535])
            t = r.choices([(8, 128), (0, 129), (13, 128), (14, 129), (17, 128), (18, 129), (15, 139), (5, 137), (9, 144), (40, 200)],
                          [30, 30, 5, 5, 3, 3, 1, 1, 1, 1])[0]
            p = Icmp(d, t[0], t[1], ident=ident, code=r.choices([0, 1], [95, 5])[0], n=r.choice([0, 16, 56]))
        elif kind == "gre":
            p = Gre(d, key=r.choice([None, None, 5, 6]))
        else:
            p = Raw(d, r.choice([50, 51 if fam == 4 else 52, 99, 253]) if r.random() < 0.3 else 253, b"z" * r.choice([0, 4, 30]))
        out.append(p)
        if r.random() < 0.15:
            out.append(IcmpErr("s" if d == "c" else "c", p, *r.choice([(3, 1, 3), (11, 3, 0), (3, 2, 4), (4, 4, 0), (12, 4, 0)]),
                               mid=r.random() < 0.5, to="other" if r.random() < 0.1 else "peer"))
    return out[:10]


def random_seq(rng, number):
    """Sequence `number` of a run: rng must be seeded from the run's seed and it."""
    fam = rng.choice([4, 6])
    kind = rng.choices(["tcp", "sctp", "other"], [80, 10, 10])[0]
    isn = lambda: rng.choice([1000, rng.getrandbits(32), 0xFFFFFF00, 0x7FFFFF00])
    cisn, sisn = isn(), isn()
    if kind == "tcp":
        pkts = TcpGen(rng).make()
    elif kind == "sctp":
        pkts = sctp_pkts(rng)
    else:
        pkts = other_pkts(rng, fam)
    return Seq("random_%s_%d" % (kind, number), fam, pkts, cisn, sisn, rng.randrange(1024, 65000), rng.choice([80, 443, 5001]))
