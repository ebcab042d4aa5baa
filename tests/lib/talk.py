"""talk.py tcp|udp SOURCE SOURCE-PORT ADDRESS PORT : one socket to an echo server, kept.

Each line of standard input is sent; what comes back is printed, line by line."""
import select
import socket
import sys

proto, source, sport, address, port = sys.argv[1:6]
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                  socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((source, int(sport)))
s.settimeout(20)
s.connect((address, int(port)))
s.settimeout(None)
while True:
    readable = select.select([s, sys.stdin], [], [])[0]
    try:
        if s in readable:
            got = s.recv(4096)
            if not got and proto == "tcp":
                sys.exit("closed by the other side")
            sys.stdout.write(got.decode())
            sys.stdout.flush()
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                break
            s.send(line.encode())
    except ConnectionRefusedError as e:  # of a datagram: the next may fare better
        print(e, file=sys.stderr)
