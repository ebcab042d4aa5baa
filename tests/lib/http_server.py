"""http_server.py PORT DIRECTORY : files over HTTP, IPv4 and IPv6, and downloads that last.

/paced/NAME is DIRECTORY/large at a pace of the server's own, a piece every half second, until
DIRECTORY/ended.NAME is there. (A client's limit of rate lets megabytes through at once: a download is
over, or its reader pauses, just when a test counts on it.)"""
import os
import sys
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
import socket

PIECE, PAUSE = 10000, 0.5


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if not self.path.startswith("/paced/"):
            return super().do_GET()
        ended = os.path.join(self.directory, "ended." + os.path.basename(self.path))
        self.send_response(200)
        self.end_headers()
        with open(os.path.join(self.directory, "large"), "rb") as f:
            while not os.path.exists(ended) and (piece := f.read(PIECE)):
                self.wfile.write(piece)
                time.sleep(PAUSE)


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request, client_address):
        Handler(request, client_address, self, directory=sys.argv[2])


Server(("::", int(sys.argv[1])), Handler).serve_forever()
