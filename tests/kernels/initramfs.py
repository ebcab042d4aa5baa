"""initramfs.py OUT INIT OBJECT... : a newc cpio of /init and /obj/<name>; no cpio(1) needed."""
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
    target, init, objects = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(target, "wb") as out:
        entry(out, 1, "dev", 0o040755)
        entry(out, 2, "dev/console", 0o020600, rdev=(5, 1))
        entry(out, 3, "obj", 0o040755)
        entry(out, 4, "init", 0o100755, read(init))
        for i, path in enumerate(objects):
            name = path.removeprefix("build/").replace("/", "_")
            entry(out, 5 + i, "obj/" + name, 0o100644, read(path))
        entry(out, 0, "TRAILER!!!", 0)
    return os.path.getsize(target) == 0


sys.exit(main())
