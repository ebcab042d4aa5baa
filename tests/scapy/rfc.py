#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The NAT RFCs as executable tests: one line a requirement. rfc.py [NAME...] runs
those whose name has one of the words in it; --list names them. docs/rfc-compliance.md is the table.
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "rfc"), HERE]
import natlab
import rfc4787  # noqa: F401 each registers its requirements
import rfc5382  # noqa: F401
import rfc5508  # noqa: F401
import rfc6888  # noqa: F401
import rfc7857  # noqa: F401
from ctlab import ROOT, Lab, suite


def table():
    """The table names every test, and no test that is not there. The number of what is wrong."""
    with open(os.path.join(ROOT, "docs", "rfc-compliance.md")) as f:
        named = set(re.findall(r"`(rfc\d+_\w+)`", f.read()))
    there = {natlab.name_of(rfc, number, f) for rfc, number, _, f in natlab.REQS}
    wrong = sorted(named ^ there)
    print("FAIL the_table_names_every_test: " + ", ".join(wrong) if wrong else "ok the_table_names_every_test")
    return bool(wrong)


def main():
    t0 = time.monotonic()
    if "--list" in sys.argv:
        for rfc, number, words, f in natlab.REQS:
            print("%-60s %s" % (natlab.name_of(rfc, number, f), words))
        return 0
    with Lab() as lab:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        passed, failed = natlab.run_all(lab.add(natlab.Nat()), sys.argv[1:])
    failed += table()
    print("# %d requirements hold, %d do not, %.1f s" % (passed, failed, time.monotonic() - t0))
    return 1 if failed else 0


if __name__ == "__main__":
    suite("rfc", main)
