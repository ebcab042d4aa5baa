"""ftp_fake.py server PORT LOG : an FTP server that says what it is told to.
ftp_fake.py client ADDRESS PORT STEP... : speaks to it (or to another), step by step.

The server writes every line that it receives to LOG. It answers PORT, EPRT and NOOP with
200, AUTH with 234, and `SITE TEXT` with TEXT; after AUTH it sends back what comes. PASV is
answered with the last `SITE PASV=TEXT`, or 227 with its own port. After `SITE CONNECT=before` it connects
to what a PORT names before it answers, with 200 or 425; after `SITE CONNECT=after` it says 200 first,
then 150 or 425.
Steps of the client: `send:TEXT` (\\r \\n \\0 \\xNN understood; no line end of its own), `line:TEXT`
(with one), `read` (prints a line), `wait:SECONDS`, `until:FILE` (until it exists), `listen:PORT`, `priority:N` (of
packets), `end` (FIN).
Who does not answer within 90 s ends the client with status 1. Nagle's algorithm is on."""
import codecs
import os
import socket
import sys
import threading
import time


def data_reply(yes, port):
    """What is said of the connection that a PORT asks for: yes, or 425."""
    n = port.split(" ")[1].split(",")
    try:
        socket.create_connection((".".join(n[:4]), int(n[4]) * 256 + int(n[5])), 1.5).close()
        return yes
    except OSError:
        return "425 no connection"


def serve_one(conn, log):
    pasv, raw, connect = "227 Entering Passive Mode (203,0,113,2,195,80)", False, None
    conn.sendall(b"220 fake\r\n")
    f = conn.makefile("rb")
    while True:
        line = conn.recv(65536) if raw else f.readline()
        if not line:
            break
        log.write(line if line.endswith(b"\n") else line + b"<end>\n")
        log.flush()
        if raw:
            conn.sendall(line)
            continue
        text = line.decode("latin-1").rstrip("\r\n")
        word = text.upper().split(" ")[0]
        if word == "SITE" and text[5:].startswith("PASV="):
            pasv, answer = text[10:], "200 ok"
        elif word == "SITE" and text[5:].startswith("CONNECT="):
            connect, answer = text[13:], "200 ok"
        elif word == "SITE":
            answer = text[5:]
        elif word == "PASV":
            answer = pasv
        elif word == "PORT" and connect == "before":
            answer = data_reply("200 connected", text)
        elif word == "PORT" and connect == "after":
            conn.sendall(b"200 ok\r\n")
            answer = data_reply("150 connected", text)
        elif word == "AUTH":
            answer, raw = "234 go on", True
        else:
            answer = "200 ok"
        conn.sendall(codecs.decode(answer, "unicode_escape").encode("latin-1") + b"\r\n")
    conn.close()


def server(port, path):
    log = open(path, "ab")
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    s.listen(64)
    while True:
        threading.Thread(target=serve_one, args=(s.accept()[0], log), daemon=True).start()


def client(address, port, steps):
    s = socket.create_connection((address, port), 90)
    f, listeners = s.makefile("rb"), []
    for step in steps:
        what, _, arg = step.partition(":")
        text = codecs.decode(arg, "unicode_escape").encode("latin-1")
        if what == "send":
            s.sendall(text)
        elif what == "line":
            s.sendall(text + b"\r\n")
        elif what == "read":
            line = f.readline()
            if not line:
                sys.exit("closed by the other side")
            print(line.decode("latin-1").rstrip("\r\n"), flush=True)
        elif what == "wait":
            time.sleep(float(arg))
        elif what == "until":
            while not os.path.exists(arg):
                time.sleep(0.05)
        elif what == "priority":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, int(arg))
        elif what == "listen":
            listeners.append(socket.create_server((s.getsockname()[0], int(arg))))
        elif what == "end":
            s.shutdown(socket.SHUT_WR)
            while f.readline():
                pass


if sys.argv[1] == "server":
    server(int(sys.argv[2]), sys.argv[3])
else:
    client(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
