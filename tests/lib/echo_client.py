"""echo_client.py tcp|udp ADDRESS PORT [SOURCE-PORT [TEXT]] : one line there and back.

Prints the answer: `<address> <port> <text>` as the server saw us. Exit status 1
when no answer comes within WAIT (2) seconds; the text `quiet` awaits none. SOURCE in
the environment is the address to come from."""
import os
import socket
import sys


def main():
    proto, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    source = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    text = sys.argv[5] if len(sys.argv) > 5 else "hello"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(float(os.environ.get("WAIT", 2)))
    bind_to = os.environ.get("SOURCE", "")
    if source or bind_to:
        s.bind((bind_to, source))
    try:
        s.connect((address, port))
        s.send(text.encode() + b"\n")
        if text == "quiet":
            return 0
        print(s.recv(4096).decode().strip())
    except OSError as e:
        print(f"{proto} {address} {port}: {e}")
        return 1
    return 0


sys.exit(main())
