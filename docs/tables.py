"""docs/tables.py [--check] : rewrites the tables of docs/*.md from bpf/abi/*.h and alg/alg.h.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. With --check
nothing is written and the exit status says whether all are current."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLASSES = {"INVALID": "invalid", "REFUSED": "refused", "POLICY": "policy", "FAULT": "fault"}


def header(name):
    with open(os.path.join(TOP, "bpf/abi", name), encoding="utf-8") as f:
        return f.read()


def x_list(text, macro):
    """The X(...) entries of a list macro, each a list of its arguments."""
    body = re.search(r"#define " + macro + r"\(X\)(.*?)[^\\]\n", text, re.S).group(1) + ")"
    body = body.replace("\\\n", " ")
    for entry in re.findall(r'X\(((?:[^()"]|"[^"]*")*)\)', body):
        parts = re.findall(r'"((?:[^"])*)"|([^,\s][^,]*)', entry)
        yield [a or b.strip() for a, b in parts]


def drops():
    yield "| reason | class | meaning |"
    yield "|---|---|---|"
    for _, text, cls, meaning in x_list(header("ct_drop.h"), "CT_DROP_REASONS"):
        if text != "none":
            yield f"| `{text}` | {CLASSES[cls]} | {meaning} |"


def timeouts():
    yield "| name | seconds |"
    yield "|---|---|"
    for name, secs in x_list(header("ct_table.h"), "CT_TIMEOUTS"):
        yield f"| `{name}` | {secs} |"


def stats():
    yield " ".join(f"`{text}`" for _, text in x_list(header("ct_table.h"), "CT_STATS"))


def fragstats():
    yield "| counter | counts |"
    yield "|---|---|"
    for _, text, meaning in x_list(header("frag_abi.h"), "FRAG_STATS"):
        yield f"| `{text}` | {meaning} |"


def maps():
    yield "| map | kind | holds |"
    yield "|---|---|---|"
    comment = re.search(r"/\*\n \* Map names\..*?\*/", header("ct_table.h"), re.S).group(0)
    comment += re.search(r"/\*\n \* NAT: .*?\*/", header("nat_abi.h"), re.S).group(0)
    comment += re.search(r"/\*\n \* Expectations: .*?\*/", header("expect_abi.h"), re.S).group(0)
    comment += re.search(r"/\*\n \* Helped connections: .*?\*/", header("alg_abi.h"), re.S).group(0)
    comment += "\n" + header("frag_abi.h")
    for line in comment.splitlines():
        m = re.match(r" \* ((?:ct|frag|nat)_\w+_v\d+)\s+(.*?)\s*$", line)
        if not m:
            continue
        kind, _, rest = m.group(2).partition("  ")
        if not rest:
            kind, arrow, rest = m.group(2).partition(" -> ")
            rest = arrow.strip() + " " + rest if arrow else ""
        rest = re.sub(r"\s{2,}", "; ", rest.strip()).replace("|", "\\|")
        yield f"| `{m.group(1)}` | {kind} | {rest} |"


def sizes():
    yield "| struct | bytes |"
    yield "|---|---|"
    for name in sorted(os.listdir(os.path.join(TOP, "bpf/abi"))):
        for pair in re.findall(r"sizeof\(struct (\w+)\) == (\d+)", header(name)):
            yield f"| `{pair[0]}` | {pair[1]} |"


def alg():
    whats = {"OFF": "the helper leaves the connection", "PASS": "passes, nothing granted", "NOTE": "-"}
    yield "| reason | what happens | meaning |"
    yield "|---|---|---|"
    with open(os.path.join(TOP, "alg/alg.h"), encoding="utf-8") as f:
        reasons = list(x_list(f.read(), "ALG_REASONS"))
    for _, text, what, meaning in reasons:
        if text != "none":
            yield f"| `{text}` | {whats[what]} | {meaning} |"


def fill(match):
    lines = "\n".join(globals()[match.group(1)]())
    return f"<!-- table: {match.group(1)} -->\n{lines}\n<!-- end -->"


def main():
    stale = 0
    for name in sorted(os.listdir(os.path.join(TOP, "docs"))):
        if not name.endswith(".md"):
            continue
        path = os.path.join(TOP, "docs", name)
        with open(path, encoding="utf-8") as f:
            old = f.read()
        new = re.sub(r"<!-- table: (drops|timeouts|stats|fragstats|maps|sizes|alg) -->\n.*?<!-- end -->", fill, old, flags=re.S)
        if new == old:
            continue
        stale = 1
        print(f"docs/{name}: a table differs from bpf/abi; run /usr/bin/python3 docs/tables.py")
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as f:
                f.write(new)
    return stale if "--check" in sys.argv else 0


sys.exit(main())
