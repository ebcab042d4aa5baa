# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What OVS's tests/test-l7.py asks of tftpy, which Debian 12 does not have: a server
that sends files (RFC 1350), each transfer from a port of its own."""
import os
import socket
import struct
import threading

RRQ, DATA, ACK, ERROR = 1, 3, 4, 5
BLOCK = 512
TRIES = 5


class TftpShared:
    DEF_TFTP_PORT = 69


class TftpServer:
    def __init__(self, tftproot="/tftpboot"):
        self.root = os.path.realpath(tftproot)

    def listen(self, ip="", port=TftpShared.DEF_TFTP_PORT):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((ip, port))
        while True:
            request, client = sock.recvfrom(BLOCK)
            threading.Thread(target=self._answer, args=(ip, client, request), daemon=True).start()

    def _answer(self, ip, client, request):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((ip, 0))
        sock.settimeout(1)
        if struct.unpack("!H", request[:2])[0] != RRQ:
            sock.sendto(struct.pack("!HH", ERROR, 4) + b"reading only\0", client)
            return
        path = os.path.realpath(os.path.join(self.root, request[2:].split(b"\0")[0].decode()))
        try:
            if os.path.dirname(path) != self.root:
                raise FileNotFoundError
            with open(path, "rb") as f:
                content = f.read()
        except OSError:
            sock.sendto(struct.pack("!HH", ERROR, 1) + b"no such file\0", client)
            return
        for number in range(1, len(content) // BLOCK + 2):
            if not self._block(sock, client, number & 0xffff, content[(number - 1) * BLOCK:number * BLOCK]):
                return

    @staticmethod
    def _block(sock, client, number, data):
        for _ in range(TRIES):
            sock.sendto(struct.pack("!HH", DATA, number) + data, client)
            try:
                answer = sock.recv(BLOCK)
            except OSError:
                continue
            if answer[:4] == struct.pack("!HH", ACK, number):
                return True
        return False
