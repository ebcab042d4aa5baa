"""UDP segmentation offload through a router: one send of many datagrams.

udp_gso.py serve PORT             answers a burst with a burst as large
udp_gso.py burst ADDRESS PORT N   sends N datagrams of 1,000 bytes with one call and
                                  checks all that come back, to the byte"""
import socket
import sys

SIZE, UDP_SEGMENT, SOL_UDP = 1000, 103, 17


def datagrams(n):
    return [bytes([i]) * SIZE for i in range(n)]


def send_burst(s, data, *to):
    """As one packet of len(data) segments, where the stack can."""
    s.sendmsg([b"".join(data)], [(SOL_UDP, UDP_SEGMENT, SIZE.to_bytes(2, sys.byteorder))], 0, *to)


def receive(s, n):
    got, peer = [], None
    while len(got) < n:
        one, peer = s.recvfrom(65536)
        got.append(one)
    return got, peer


def serve(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("::", port))
    while True:
        head, peer = s.recvfrom(65536)
        n = int(head)
        s.sendto(f"{peer[0]} {peer[1]}".encode(), peer)
        got, peer = receive(s, n)
        send_burst(s, got, peer)


def burst(address, port, n):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.settimeout(5)
    s.connect((address, port))
    s.send(str(n).encode())
    seen = s.recv(100).decode()
    send_burst(s, datagrams(n))
    got, _ = receive(s, n)
    print(seen)
    if got != datagrams(n):
        print("wrong: %s" % [len(g) for g in got])
        return 1
    return 0


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
sys.exit(burst(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
