"""options_client.py tcp|udp ADDRESS PORT KIND : one line there and back from a socket
with IPv4 options or IPv6 extension headers; prints what tests/lib/echo_server.py
answers. KIND is a key of OPTIONS below; TCP carries them on every segment."""
import socket
import sys

PADDED = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # PadN
LONGER = bytes([0, 1, 0x1E, 12]) + bytes(12)  # an unknown option that is to be skipped
V4, V6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
OPTIONS = {
    "nops": [(V4, socket.IP_OPTIONS, b"\1" * 4)],
    "timestamp": [(V4, socket.IP_OPTIONS, bytes([68, 12, 5, 0]) + bytes(8))],
    "record_route": [(V4, socket.IP_OPTIONS, bytes([7, 39, 4]) + bytes(36) + b"\0")],
    "hop_by_hop": [(V6, socket.IPV6_HOPOPTS, PADDED)],
    "destination": [(V6, socket.IPV6_DSTOPTS, LONGER)],
    "chain": [(V6, socket.IPV6_HOPOPTS, LONGER), (V6, socket.IPV6_DSTOPTS, PADDED)],
}


def main():
    proto, address, port, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(2)
    for level, name, value in OPTIONS[kind]:
        s.setsockopt(level, name, value)
        if not s.getsockopt(level, name, 256):
            print("the socket took no options")
            return 1
    try:
        s.connect((address, port))
        s.send(b"hello\n")
        print(s.recv(4096).decode().strip())
    except OSError as e:
        print(f"{proto} {address} {port}: {e}")
        return 1
    return 0


sys.exit(main())
