"""notified.py SOCKET COMMAND... : stands in for systemd at NOTIFY_SOCKET.

Prints each message on a line. When READY=1 comes, also what COMMAND prints
then, each line after `| `: the state that READY promised."""
import socket
import subprocess
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    text = s.recv(4096).decode().strip()
    print(text.replace("\n", " "), flush=True)
    if "READY=1" in text.split("\n"):
        out = subprocess.run(sys.argv[2:], capture_output=True, text=True, check=False)
        for line in (out.stdout + out.stderr).splitlines():
            print("|", line, flush=True)
