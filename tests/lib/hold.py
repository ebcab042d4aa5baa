"""hold.py ADDRESS PORT : keeps many TCP connections to an echo server.

Reads commands, answers each with one line that begins with `ok` or `bad`:
  open N    N more connections, each with a line there and back
  check     a line there and back on every one
  close N   closes the first N"""
import resource
import select
import socket
import sys
import time

address, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
held = []


def turn(conns, seconds):
    """Sends a line on each, awaits its echo. What went wrong."""
    wrong, waiting = [], {}
    poller = select.epoll()
    for s in conns:
        text = f"{s.fileno()} {time.monotonic_ns()}"
        try:
            s.send(text.encode() + b"\n")
        except OSError as e:
            wrong.append(str(e))
            continue
        waiting[s.fileno()] = (s, text)
        poller.register(s.fileno(), select.EPOLLIN)
    end = time.monotonic() + seconds
    while waiting and time.monotonic() < end:
        for fd, _ in poller.poll(1):
            s, text = waiting.pop(fd)
            poller.unregister(fd)
            try:
                got = s.recv(4096).decode().strip()
            except OSError as e:
                wrong.append(str(e))
                continue
            if not got.endswith(text):
                wrong.append(f"answer '{got}'")
    return wrong + ["no answer"] * len(waiting)


def open_more(n):
    new, wrong = [], []
    for _ in range(n):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.connect((address, port))
        except OSError as e:
            wrong.append(str(e))
            continue
        new.append(s)
    wrong += turn(new, 20)
    held.extend(new)
    return wrong


def close_some(n):
    for s in held[:n]:
        s.close()
    del held[:n]
    return []


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
for line in sys.stdin:
    word, _, n = line.strip().partition(" ")
    if word == "open":
        result = open_more(int(n))
    elif word == "check":
        result = turn(held, 20)
    else:
        result = close_some(int(n))
    if result:
        print(f"bad: {len(result)} of {len(held)}: {result[0]}", flush=True)
    else:
        print(f"ok: {len(held)} held", flush=True)
