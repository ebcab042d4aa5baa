"""kernel_modules.py FROM TO NAME... : modules of a kernel, with what they depend on.

FROM is an unpacked package's /lib/modules/<release>. TO gets plain .ko files whose
names begin with a number, in the order in which they can be loaded. A name that
the package lacks is left out: it may be built in."""
import lzma
import os
import struct
import sys


def find_all(top):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            stem, dot, kind = name.partition(".ko")
            if dot and kind in ("", ".xz"):
                found[stem.replace("-", "_")] = os.path.join(folder, name)
    return found


def content(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as f:
        return f.read()


def depends(elf):
    """The names in the `depends=` line of the section .modinfo."""
    table, = struct.unpack_from("<Q", elf, 40)
    size, count, strings = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    names = headers[strings][4]
    for name, _, _, _, offset, length in headers:
        start = names + name
        if elf[start:elf.index(b"\0", start)] != b".modinfo":
            continue
        for line in elf[offset:offset + length].split(b"\0"):
            if line.startswith(b"depends="):
                return [n.replace("-", "_") for n in line[8:].decode().split(",") if n]
    return []


def main():
    source, target, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    known, done = find_all(source), []

    def take(name):
        if name in done or name not in known:
            return
        elf = content(known[name])
        for other in depends(elf):
            take(other)
        with open(os.path.join(target, f"{len(done):03}-{name}.ko"), "wb") as f:
            f.write(elf)
        done.append(name)

    os.makedirs(target)
    for name in wanted:
        take(name.replace("-", "_"))
    return not done


sys.exit(main())
