"""echo_server.py PORT... : TCP and UDP on each port, v4 and v6.

TCP answers each line with `<peer address> <peer port> <line>`; a UDP datagram
likewise, but `quiet` is not answered."""
import asyncio
import socket
import sys

SO_RCVBUFFORCE = 33

async def tcp(reader, writer):
    peer = writer.get_extra_info("peername")
    try:
        while line := await reader.readline():
            writer.write(f"{peer[0]} {peer[1]} ".encode() + line)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if not data.startswith(b"quiet"):
            self.transport.sendto(f"{addr[0]} {addr[1]} ".encode() + data, addr)


async def main():
    loop = asyncio.get_running_loop()
    for port in map(int, sys.argv[1:]):
        for family, any_addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            s = socket.socket(family, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((any_addr, port))
            await asyncio.start_server(tcp, sock=s, backlog=4096)
            u = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            u.bind((any_addr, port))
            u.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
            await loop.create_datagram_endpoint(Udp, sock=u)
    await asyncio.Event().wait()


asyncio.run(main())
