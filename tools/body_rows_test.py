#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden tests of tools/body_rows.py: what body= compiles to, the order, and one test per refusal."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
import gen_syscalls_test  # noqa: E402  (beside this file)

SPIN = "0 spin local full - - (op:cmd, n:i32) -> err gate=spin"


class Body(gen_syscalls_test.Case):
    def table(self, *lines):
        self.write("unistd_64.h", "")
        self.write("syscalls.tbl", "".join(line + "\n" for line in lines))
        if os.path.exists("ioctls.tbl"):
            os.unlink("ioctls.tbl")

    def rules(self, *lines):
        self.table(*lines)
        return [line.strip() for line in self.text("body").splitlines() if "filter." in line]

    def test_every_form(self):
        for text, expected in (
                ("none", []),
                ("allow", ["filter.allow(kNr_spin);"]),
                ("allow(n in kList)", ["filter.allow_if(kNr_spin, 1, kList);"]),
                ("allow(int op in kList)", ["filter.allow_command(kNr_spin, 0, 0, kList);"]),
                ("allow(int op&~kFlags in kList)",
                 ["filter.allow_command(kNr_spin, 0, kFlags, kList);"]),
                ("allow(int n not kFd)", ["filter.allow_but(kNr_spin, 1, kFd);"]),
                ("allow(n from kLeast to kMost)",
                 ["filter.allow_flags(kNr_spin, 1, kLeast, kMost);"])):
            with self.subTest(text=text):
                self.assertEqual(self.rules(f"{SPIN} body={text}"), expected)

    def test_order(self):
        rows = [f"{i} {name} fwd full - - () -> err body=allow" for i, name in enumerate("abcd")]
        self.assertEqual(self.rules("often d b", *rows),
                         [f"filter.allow(kNr_{name});" for name in "dbac"])

    def test_refusals(self):
        for line, reason in (
                (SPIN, "route local needs body=allow, body=allow(...) or body=none"),
                (SPIN + " body=deny", "cannot read 'body=deny': allow, none, allow(arg in LIST), "
                 "allow(int arg[&~BITS] in LIST), allow(int arg not N) or allow(arg from BITS to BITS)"),
                (SPIN + " body=allow(m in kList)", "body: no argument is called 'm'"),
                (SPIN + " body=allow(n not kFd)",
                 "body: 'int' goes with in and with not, '&~' with 'int ... in': 'allow(n not kFd)'"),
                (SPIN + " body=allow(n&~kBits in kList)", "body: 'int' goes with in and with not, "
                 "'&~' with 'int ... in': 'allow(n&~kBits in kList)'"),
                (SPIN + " body=none\noften spin", "often: the row of 'spin' has no body=allow"),
                (SPIN + " body=allow\noften spin spin", "often: 'spin' stands here twice")):
            with self.subTest(line=line):
                self.table(line)
                self.refused(f"syscalls.tbl:{1 + line.count(chr(10))}: {reason}")


if __name__ == "__main__":
    unittest.main()
