"""open_many.py udp|tcp SERVER PORT COUNT ADDRESS... : COUNT connections at once.

From each ADDRESS in turn, source ports as --port says (default: the kernel's
choice), to an echo server, each with a line there and back. No two may appear at
the server as one. Then one line: `ok: N open` or `bad: ...`. Reads commands
after that, as long as there are any, and answers each with one line:
  check     a line there and back on every one
  open N    N more
  close     ends them all"""
import argparse
import resource
import select
import socket
import sys
import time

p = argparse.ArgumentParser()
p.add_argument("proto")
p.add_argument("server")
p.add_argument("server_port", type=int)
p.add_argument("count", type=int)
p.add_argument("address", nargs="+")
p.add_argument("--port", type=int, default=0)
p.add_argument("--wait", type=float, default=10)
args = p.parse_args()
family = socket.AF_INET6 if ":" in args.server else socket.AF_INET
kind = socket.SOCK_STREAM if args.proto == "tcp" else socket.SOCK_DGRAM
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
conns = {}  # descriptor: (socket, external endpoint)
opened = 0
wrong = []


def fresh():
    global opened
    s = socket.socket(family, kind)
    port = args.port + opened // len(args.address) if args.port else 0
    s.bind((args.address[opened % len(args.address)], port))
    opened += 1
    s.setblocking(False)
    s.connect_ex((args.server, args.server_port))
    return s


def turn(sockets, seconds):
    """A line on each. Those that were answered, with what the server saw."""
    poller = select.epoll()
    waiting, good = {}, {}
    for s in sockets:
        waiting[s.fileno()] = s
        poller.register(s.fileno(), select.EPOLLOUT)
    sent = {}
    end = time.monotonic() + seconds
    again = time.monotonic() + 3
    while waiting and time.monotonic() < end:
        if kind == socket.SOCK_DGRAM and time.monotonic() >= again:  # lost by a machine that stalls
            again = time.monotonic() + 3
            for fd in waiting:
                poller.modify(fd, select.EPOLLIN | select.EPOLLOUT)
        for fd, what in poller.poll(0.2):
            s = waiting[fd]
            try:
                if what & select.EPOLLIN:
                    got = s.recv(4096).decode().split()
                    if len(got) == 4 and got[2] == str(fd) and int(got[3]) < int(sent[fd]):
                        continue  # the answer to what was sent before
                    if len(got) != 4 or got[2] != str(fd) or got[3] != sent[fd]:
                        wrong.append(f"answer {got}")
                    good[fd] = (s, tuple(got[:2]))
                    poller.unregister(fd)
                    del waiting[fd]
                else:
                    sent.setdefault(fd, str(time.monotonic_ns()))
                    s.send(f"{fd} {sent[fd]}\n".encode())
                    poller.modify(fd, select.EPOLLIN)
            except OSError:
                poller.unregister(fd)
                del waiting[fd]
    return good


def open_more(n):
    left = n
    while left:  # in parts, as the server's backlog and socket buffer are bounded
        part = [fresh() for _ in range(min(left, 500))]
        good = turn(part, args.wait)
        for s in part:
            if s.fileno() not in good:
                s.close()
        conns.update(good)
        left -= len(part)
        if not good:
            break
    seen = [e for _, e in conns.values()]
    if len(set(seen)) != len(seen):
        wrong.append(f"{len(seen) - len(set(seen))} share an endpoint with another")


def answer():
    if wrong:
        print(f"bad: {len(wrong)}: {wrong[0]}", flush=True)
        wrong.clear()
    else:
        print(f"ok: {len(conns)} open", flush=True)


open_more(args.count)
answer()
for line in sys.stdin:
    word, _, n = line.strip().partition(" ")
    if word == "open":
        open_more(int(n))
    elif word == "close":
        for s, _ in conns.values():
            s.close()
        conns.clear()
    else:
        before = {fd: e for fd, (_, e) in conns.items()}
        good = turn([s for s, _ in conns.values()], 20)
        wrong += [f"moved from {before[fd]} to {e}" for fd, (_, e) in good.items() if e != before[fd]]
        if len(good) != len(conns):
            wrong.append(f"{len(conns) - len(good)} without answer")
    answer()
