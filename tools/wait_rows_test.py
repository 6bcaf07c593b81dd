#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden tests of tools/wait_rows.py: what the attributes of calls that wait compile to, and one test per refusal."""
import os
import re
import sys
import unittest

sys.dont_write_bytecode = True
import gen_syscalls_test  # noqa: E402  (beside this file)
import wait_rows  # noqa: E402

STRUCTS = gen_syscalls_test.STRUCTS


class Waiting(gen_syscalls_test.Case):
    """Attributes of calls that wait -> the WaitDesc that they compile to."""

    HEAD = ("struct timespec 16 -\nstruct sigarg 16 -\nstruct msghdr 56 -\nstruct mmsghdr 64 -\n"
            "const MSG_A 0x1\nconst MSG_B 0x200\n")
    SEND = "0 send fwd full blk sys (fd:fd, buf:in bytes[n], n:size, flags:flags) -> size"
    # Besides them: sendmsg, whose flags and msghdr until=socket(out,sendmsg) checks.
    SENDMSG = "9 sendmsg split full blk sys (fd:fd, msg:in msghdr, flags:flags) -> size home=x rest=none\n"
    FIELDS = ("rest_if", "socket_if", "pieces_if", "home_if", "lost_if", "rest", "count", "to", "single",
              "timeout", "timeout_arg", "between", "socket", "at_once", "at_once_flags",
              "at_once_wraps", "expired", "mask", "mask_arg", "pieces", "pieces_vector", "offset",
              "message_flags", "by_memory", "fdsets", "lost_arg")

    def rows(self, row):
        self.write("unistd_64.h", "")
        self.write("syscalls.tbl", STRUCTS + self.HEAD + row + "\n" + self.SENDMSG)
        if os.path.exists("ioctls.tbl"):
            os.unlink("ioctls.tbl")

    def compiled(self, row):
        self.rows(row)
        errors, table = self.errors()
        self.assertEqual(errors, [])
        return table.rows[0]

    def test_every_form(self):
        vector = self.SEND.replace("bytes[n]", "iov[n]")
        batch = "0 batch fwd full blk sys (fd:fd, v:inout arr<mmsghdr>[n], n:u32, t:in timespec?) -> count"
        for row, expected in (
                (self.SEND + " rest=none", {}),
                (self.SEND + " rest=buffer(buf,n) if flags&MSG_A",
                 {"rest": "Shape::kBuffer", "count": "2", "rest_if": "{Condition::kAnyOf, 3, 0x1}"}),
                (self.SEND + " rest=buffer(buf,n) until=socket(out,send,EINPROGRESS) if !flags&MSG_A|MSG_B",
                 {"rest": "Shape::kBuffer", "count": "2", "rest_if": "{Condition::kAlways, 0, 0}",
                  "socket": "SocketSide::kSends", "at_once": "kNr_send", "at_once_flags": "3",
                  "expired": "115", "socket_if": "{Condition::kNoneOf, 3, 0x201}"}),
                (vector + " rest=vector(buf,n) until=socket(out,sendmsg)",
                 {"rest": "Shape::kVector", "count": "2", "rest_if": "{Condition::kAlways, 0, 0}",
                  "socket": "SocketSide::kSends", "socket_if": "{Condition::kAlways, 0, 0}",
                  "at_once": "kNr_sendmsg", "at_once_flags": "2", "at_once_wraps": "true",
                  "expired": "11"}),
                (batch + " rest=messages(v,n,sendmsg) until=between(t)",
                 {"rest": "Shape::kMessages", "count": "2", "single": "kNr_sendmsg", "between": "3",
                  "rest_if": "{Condition::kAlways, 0, 0}"}),
                ("0 copy fwd full blk sys (a:fd, b:fd, n:size) -> size rest=count(n,b) memory-file=a,b",
                 {"rest": "Shape::kCount", "count": "2", "to": "1",
                  "rest_if": "{Condition::kAlways, 0, 0}"}),
                ("0 wait fwd full blk eintr (ms:i32, m:in sigset?) -> err until=ms(ms) mask=m",
                 {"timeout": "Timeout::kMillis", "mask": "MaskAt::kHere", "mask_arg": "1"}),
                ("0 wait fwd full blk eintr (t:in timespec?, m:in sigarg?) -> err until=timespec(t) mask=m",
                 {"timeout": "Timeout::kTimespec", "mask": "MaskAt::kBehind", "mask_arg": "1"}),
                ("0 wait fwd full blk nohand (n:i32, s:inout fdset[n]?, t:inout timespec always?) -> count "
                 "until=left(t)", {"timeout": "Timeout::kLeft", "timeout_arg": "2", "fdsets": "true"}),
                ("0 wait fwd full blk block (t:in timespec) -> err until=kernel(t)",
                 {"timeout": "Timeout::kKernel"}),
                ("0 wait fwd full blk sys (s:in sigset, t:in timespec) -> err until=absolute(t) mask=none",
                 {"timeout": "Timeout::kAbsolute", "timeout_arg": "1"}),
                ("0 wait home full blk sys (a:ptr) -> err wakes=memory", {"by_memory": "true"}),
                ("0 wait home full blk block (a:ptr, op:cmd, t:ptr) -> err wakes=memory(t) if !op&MSG_A",
                 {"by_memory": "true", "lost_arg": "2", "lost_if": "{Condition::kNoneOf, 1, 0x1}"}),
                (self.SEND + " rest=none pieces=message(buf,flags) home-if=flags&MSG_B",
                 {"pieces": "Pieces::kMessage", "message_flags": "3",
                  "pieces_if": "{Condition::kAlways, 0, 0}",
                  "home_if": "{Condition::kAnyOf, 3, 0x200}"}),
                ("0 get fwd full blk sys (fd:fd, v:out iov[ret<=n], n:size, at:off, flags:flags) -> size "
                 "pieces=file(v,at) if flags==0",
                 {"pieces": "Pieces::kFile", "pieces_vector": "true", "offset": "3",
                  "pieces_if": "{Condition::kEquals, 4, 0}"})):
            with self.subTest(row=row):
                values = re.findall(r"\{[^}]*\}|[^,{} ]+", self.compiled(row).wait.cpp())
                plain = re.findall(r"\{[^}]*\}|[^,{} ]+", wait_rows.Wait().cpp())
                self.assertEqual(dict(zip(self.FIELDS, values)),
                                 {**dict(zip(self.FIELDS, plain)), **expected})

    def test_files_that_may_show_memory(self):
        row = self.compiled("0 copy fwd full blk sys (a:fd, n:i32, b:fd) -> err memory-file=a,b")
        self.assertEqual(row.memory_files, 5)

    def test_rows_that_do_not_say_how_they_wait(self):
        for row, reason in (
                (self.SEND, "a stop may cut what it does with 'buf': needs rest=... or rest=none"),
                ("0 wait fwd full blk eintr (a:fd, ms:i32) -> err",
                 "it waits as long as 'ms' says: needs until=KIND(ms)"),
                ("0 wait fwd full blk eintr (t:in timespec?) -> err",
                 "it waits as long as 't' says: needs until=KIND(t)"),
                ("0 wait fwd full blk nohand (m:in sigset?) -> err",
                 "it waits, and 'm' may be its signal mask: needs mask=m or mask=none")):
            with self.subTest(row=row):
                self.rows(row)
                self.refused("syscalls.tbl:9: " + reason)

    def test_attributes(self):
        wait = "0 wait fwd full blk eintr (ms:i32, t:in timespec?, fd:fd) -> err "
        for row, reason in (
                ("0 read fwd full - - (t:in timespec) -> err until=absolute(t)",
                 "until= needs effect blk"),
                (self.SEND + " rest=bufer(buf,n)", "unknown rest=bufer(buf,n): buffer(arg,count), "
                 "vector(arg,n), message(arg), messages(arg,n,call), count(len,fd) or none"),
                (self.SEND + " rest=buffer(flags,n)", "rest=buffer: 'flags' is no argument that is memory"),
                (self.SEND + " rest=buffer(buf,flags)",
                 "rest=buffer: 'flags' is no argument that is a count"),
                (self.SEND + " rest=buffer(buf,n) if flags&MSG_C",
                 "cannot read the condition 'flags&MSG_C': [!]arg&CONST[|CONST] or arg==N"),
                (self.SEND + " rest=none until=socket(out,gone)", "there is no call gone"),
                (self.SEND + " rest=none until=socket(up)",
                 "cannot read 'until=socket(up)': socket(in|out[,call][,ERRNO])"),
                (wait + "until=ms(t)", "until=ms: 't' is no argument that is such a time"),
                (wait + "until=soon(t)", "unknown until=soon(t): ms, timespec, left, kernel, absolute "
                 "or between, with an argument, or socket(in|out[,call][,ERRNO])"),
                (wait + "until=left(t)", "until=left: 't' is no argument that is such a time"),
                (wait + "until=kernel(t)", "until=kernel needs the restart class block"),
                (wait + "until=between(t)", "until=between needs rest=messages(...)"),
                (wait + "until=ms(ms) until=timespec(t)", "two attributes say until when it waits"),
                (wait + "mask=t", "mask: 't' is no argument that is in sigset or in sigarg"),
                (wait + "memory-file=t", "memory-file: 't' is no argument that is a descriptor"),
                (wait + "wakes=disk", "cannot read 'wakes=disk()': memory or memory(arg)"),
                (wait + "wakes=memory(fd)", "wakes=memory: 'fd' is no argument that is such a time"),
                (wait + "pieces=all(t)", "unknown pieces=all(t): file(arg[,offset]) or message(arg,flags)"),
                (wait + "pieces=file(fd)", "pieces=file: 'fd' is no argument that is bytes or iov")):
            with self.subTest(row=row):
                self.rows(row)
                self.refused("syscalls.tbl:9: " + reason)


if __name__ == "__main__":
    unittest.main()
