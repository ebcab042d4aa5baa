"""initramfs.py OUT NAME=PATH... : a newc cpio of these files; no cpio(1) needed."""
import os
import sys


def entry(out, ino, name, mode, data=b"", rdev=(0, 0)):
    raw = name.encode() + b"\0"
    head = [ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
    out.write(b"070701" + b"".join(b"%08x" % v for v in head) + raw)
    out.write(b"\0" * (-(110 + len(raw)) % 4) + data + b"\0" * (-len(data) % 4))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def main():
    target, files = sys.argv[1], [a.split("=", 1) for a in sys.argv[2:]]
    folders = ["dev"] + sorted({os.path.dirname(name) for name, _ in files} - {""})
    with open(target, "wb") as out:
        for i, name in enumerate(folders):
            entry(out, 1 + i, name, 0o040755)
        entry(out, 1 + len(folders), "dev/console", 0o020600, rdev=(5, 1))
        for i, (name, path) in enumerate(files):
            mode = 0o100755 if name == "init" else 0o100644
            entry(out, 2 + len(folders) + i, name, mode, read(path))
        entry(out, 0, "TRAILER!!!", 0)
    return os.path.getsize(target) == 0


sys.exit(main())
