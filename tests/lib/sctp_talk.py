#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""SCTP over raw sockets by usrsctp, as this kernel has none:

  sctp_talk.py LIBRARY serve ADDRESS PORT                prints `listening`; says whom it talks to and how many
                                                         bytes came before the line that ended them
  sctp_talk.py LIBRARY ask ADDRESS PORT SERVER PORT N    N bytes in messages of 4,000; prints the answer
"""
import ctypes
import socket
import sys
import threading

MESSAGE = 4000


class Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16), ("addr", ctypes.c_uint8 * 4), ("zero", ctypes.c_uint8 * 8)]

    def text(self):
        return "%s %d" % (socket.inet_ntoa(bytes(self.addr)), socket.ntohs(self.port))


def address(host, port):
    return Address(socket.AF_INET, socket.htons(int(port)), (ctypes.c_uint8 * 4)(*socket.inet_aton(host)))


def load(path):
    lib = ctypes.CDLL(path, use_errno=True)
    lib.usrsctp_init(0, None, None)
    # Raw sockets see everybody's packets: what is another program's is not answered.
    lib.usrsctp_sysctl_set_sctp_blackhole(2)
    lib.usrsctp_socket.restype = lib.usrsctp_accept.restype = ctypes.c_void_p
    lib.usrsctp_sendv.restype = lib.usrsctp_recvv.restype = ctypes.c_ssize_t
    return lib


class Association:
    def __init__(self, lib, so):
        self.lib, self.so = lib, ctypes.c_void_p(so)

    def send(self, data):
        n = self.lib.usrsctp_sendv(self.so, data, ctypes.c_size_t(len(data)), None, 0, None, 0, 0, 0)
        if n != len(data):
            raise OSError(ctypes.get_errno(), "send")

    def receive(self):
        buf, flags, kind = ctypes.create_string_buffer(65536), ctypes.c_int(0), ctypes.c_uint(0)
        no, nil = ctypes.c_uint(0), ctypes.c_uint(0)
        n = self.lib.usrsctp_recvv(self.so, buf, ctypes.c_size_t(len(buf)), None, ctypes.byref(nil), None, ctypes.byref(no),
                                   ctypes.byref(kind), ctypes.byref(flags))
        return buf.raw[:max(n, 0)]


def opened(lib, own):
    so = lib.usrsctp_socket(socket.AF_INET, socket.SOCK_STREAM, 132, None, None, 0, None)
    if not so or lib.usrsctp_bind(ctypes.c_void_p(so), ctypes.byref(own), ctypes.sizeof(own)):
        raise OSError(ctypes.get_errno(), "bind")
    return so


def answer(a, peer):
    got = 0
    while True:
        data = a.receive()
        if not data:
            return
        if data.endswith(b"\n"):
            a.send(("%s %d\n" % (peer, got)).encode())
        else:
            got += len(data)


def serve(lib, host, port):
    so = ctypes.c_void_p(opened(lib, address(host, port)))
    if lib.usrsctp_listen(so, 8):
        raise OSError(ctypes.get_errno(), "listen")
    print("listening", flush=True)
    while True:
        peer, size = Address(), ctypes.c_uint(ctypes.sizeof(Address))
        new = lib.usrsctp_accept(so, ctypes.byref(peer), ctypes.byref(size))
        if new:
            threading.Thread(target=answer, args=(Association(lib, new), peer.text()), daemon=True).start()


def ask(lib, host, port, server, dport, n):
    so, to, left = opened(lib, address(host, port)), address(server, dport), int(n)
    if lib.usrsctp_connect(ctypes.c_void_p(so), ctypes.byref(to), ctypes.sizeof(to)):
        raise OSError(ctypes.get_errno(), "connect")
    a = Association(lib, so)
    while left > 0:
        a.send(b"x" * min(left, MESSAGE))
        left -= min(left, MESSAGE)
    a.send(b"\n")
    print(a.receive().decode(), end="", flush=True)
    lib.usrsctp_close(ctypes.c_void_p(so))


what, rest = sys.argv[2], sys.argv[3:]
try:
    (serve if what == "serve" else ask)(load(sys.argv[1]), *rest)
except OSError as e:
    sys.exit("%s: %s" % (what, e))
