# SPDX-License-Identifier: Apache-2.0
"""What rows of syscalls.tbl say about calls that wait: rest=, until=, mask=, pieces=, home-if=, wakes= and
memory-file=. Reads them into a Wait per row, checks that against the row's arguments, writes it as WaitDesc
(libom/abi/wait_desc.h). Part of gen_syscalls.py; docs/ADD_A_SYSCALL.md, "Calls that wait", explains them."""
import errno
import re

KEYS = ("rest", "until", "mask", "pieces", "home-if", "wakes", "memory-file")
RESTS = {"buffer": ("kBuffer", 2), "vector": ("kVector", 2), "message": ("kMessage", 1),
         "messages": ("kMessages", 3), "count": ("kCount", 2)}
TIMEOUTS = {"ms": "kMillis", "timespec": "kTimespec", "left": "kLeft", "kernel": "kKernel",
            "absolute": "kAbsolute", "between": "kBetween"}
SIDES = {"in": "kReceives", "out": "kSends"}
TIMES = ("timespec", "timeval")
MASKS = {"sigset": "kHere", "sigarg": "kBehind"}
TRANSFERRED = ("bytes", "iov", "msghdr", "arr<mmsghdr>")

CONST = re.compile(r"const\s+(\w+)\s+(0x[0-9a-f]+)$")
FORM = re.compile(r"(\w+)(?:\((\w+(?:,\w+)*)\))?$")
BITS = re.compile(r"(!?)(\w+)&(\w+(?:\|\w+)*)$")
EQUAL = re.compile(r"(\w+)==(-?\d+)$")
NEVER, ALWAYS = "{Condition::kNever, 0, 0}", "{Condition::kAlways, 0, 0}"


class Wait:
    """The WaitDesc of a row, member by member; names other calls until all rows are known."""

    def __init__(self):
        self.rest_if = self.socket_if = self.pieces_if = self.home_if = self.lost_if = NEVER
        self.rest, self.count, self.to, self.single = "kNone", 0, 0, None
        self.timeout, self.timeout_arg, self.between = "kNone", 0, 0
        self.socket, self.at_once, self.expired = "kNone", None, None
        self.at_once_flags, self.at_once_wraps = 0, False
        self.mask, self.mask_arg = "kNone", 0
        self.pieces, self.pieces_vector, self.offset, self.message_flags = "kNone", False, 0, 0
        self.by_memory = self.fdsets = False
        self.lost_arg = 0

    def cpp(self):
        def flag(value):
            return "true" if value else "false"

        def number(name):
            return f"kNr_{name}" if name else "0"

        return ", ".join(map(str, (
            self.rest_if, self.socket_if, self.pieces_if, self.home_if, self.lost_if,
            f"Shape::{self.rest}", self.count, self.to, number(self.single), f"Timeout::{self.timeout}",
            self.timeout_arg, self.between, f"SocketSide::{self.socket}", number(self.at_once),
            self.at_once_flags, flag(self.at_once_wraps), getattr(errno, self.expired or "", 0),
            f"MaskAt::{self.mask}", self.mask_arg, f"Pieces::{self.pieces}",
            flag(self.pieces_vector), self.offset, self.message_flags, flag(self.by_memory),
            flag(self.fdsets), self.lost_arg)))


class Reader:
    """Reads the attributes of one row."""

    def __init__(self, row, consts, errors):
        self.row, self.consts, self.errors = row, consts, errors
        self.wait, self.names = Wait(), [a.name for a in row.args]
        self.timed, self.masked = set(), set()  # arguments that an attribute names

    def refuse(self, condition, text):
        if condition:
            self.errors.add(self.row.where, text)
        return condition

    def arg(self, key, name, fits, what):
        """The number of the argument `name`, which must be `what`; 0 after a refusal."""
        index = self.names.index(name) if name in self.names else None
        good = index is not None and fits(self.row.args[index])
        self.refuse(not good, f"{key}: '{name}' is no argument that is {what}")
        return index if good else 0

    def condition(self, text):
        if text is None:
            return ALWAYS
        bits, equal = BITS.match(text), EQUAL.match(text)
        name = bits.group(2) if bits else equal.group(1) if equal else None
        constants = bits.group(3).split("|") if bits else []
        unknown = [c for c in constants if c not in self.consts]
        if self.refuse(name not in self.names or unknown,
                       f"cannot read the condition '{text}': [!]arg&CONST[|CONST] or arg==N"):
            return ALWAYS
        index = self.names.index(name)
        if equal:
            return f"{{Condition::kEquals, {index}, {equal.group(2)}}}"
        kind = "kNoneOf" if bits.group(1) else "kAnyOf"
        value = 0
        for c in constants:
            value |= self.consts[c]
        return f"{{Condition::{kind}, {index}, {value:#x}}}"

    def read(self, key, value, condition):
        if key == "home-if":
            self.wait.home_if = self.condition(value)
            return
        if key == "memory-file":
            for name in value.split(","):
                index = self.arg(key, name, lambda a: a.base == "fd", "a descriptor")
                self.row.memory_files |= 1 << index
            return
        m = FORM.match(value)
        if self.refuse(m is None, f"cannot read '{key}={value}'"):
            return
        kind, names = m.group(1), m.group(2).split(",") if m.group(2) else []
        getattr(self, "read_" + key)(kind, names, condition)

    def read_rest(self, kind, names, condition):
        w, key = self.wait, f"rest={kind}"
        if kind == "none" and not names:
            return
        if self.refuse(kind not in RESTS or len(names) != RESTS[kind][1],
                       f"unknown {key}({','.join(names)}): buffer(arg,count), vector(arg,n), "
                       "message(arg), messages(arg,n,call), count(len,fd) or none"):
            return
        w.rest, w.rest_if = RESTS[kind][0], self.condition(condition)
        if kind == "count":
            w.count = self.arg(key, names[0], lambda a: a.base == "size", "a size")
            w.to = self.arg(key, names[1], lambda a: a.base == "fd", "a descriptor")
            return
        at = self.arg(key, names[0], lambda a: a.direction or a.base == "ptr", "memory")
        self.refuse(at not in (0, 1), f"{key}: '{names[0]}' is not the second argument")
        if kind != "message":
            w.count = self.arg(key, names[1], lambda a: a.base in ("size", "u32"), "a count")
            self.refuse(w.count not in (0, 2), f"{key}: '{names[1]}' is not the third argument")
        w.single = names[2] if kind == "messages" else None

    def read_until(self, kind, names, condition):
        w, key = self.wait, f"until={kind}"
        if kind == "socket":
            self.read_socket(names, condition)
            return
        if self.refuse(kind not in TIMEOUTS or len(names) != 1,
                       f"unknown {key}({','.join(names)}): ms, timespec, left, kernel, absolute or "
                       "between, with an argument, or socket(in|out[,call][,ERRNO])"):
            return
        self.refuse(condition is not None, f"{key} has no condition")

        def fits(arg):
            if kind == "ms":
                return arg.base == "i32"
            if kind == "left":
                return (arg.base in TIMES and arg.direction == "inout" and
                        "kArgOutAlways" in arg.flags)
            if kind == "kernel":
                return arg.base == "i32" or (arg.base in TIMES and arg.direction == "in")
            return arg.base == "timespec" and arg.direction in ("in", "inout")

        index = self.arg(key, names[0], fits, "such a time")
        self.timed.add(names[0])
        if kind == "kernel":
            self.refuse(self.row.restart != "block", f"{key} needs the restart class block")
        if kind == "between":
            self.refuse(w.rest != "kMessages", f"{key} needs rest=messages(...)")
            w.between = index
        else:
            self.refuse(w.timeout != "kNone", "two attributes say until when it waits")
            w.timeout, w.timeout_arg = TIMEOUTS[kind], index

    def read_socket(self, names, condition):
        w = self.wait
        calls = [n for n in names[1:] if not hasattr(errno, n)]
        errnos = [n for n in names[1:] if hasattr(errno, n)]
        if self.refuse(not names or names[0] not in SIDES or len(calls) > 1 or len(errnos) > 1,
                       f"cannot read 'until=socket({','.join(names)})': "
                       "socket(in|out[,call][,ERRNO])"):
            return
        self.refuse(not self.row.args or self.row.args[0].base != "fd",
                    "until=socket: the first argument is no descriptor")
        w.socket, w.socket_if = SIDES[names[0]], self.condition(condition)
        w.at_once, w.expired = (calls or [None])[0], (errnos or ["EAGAIN"])[0]

    def read_mask(self, kind, names, condition):
        self.refuse(condition is not None, "mask has no condition")
        if kind == "none" and not names:
            self.masked.update(a.name for a in self.row.args if a.base in MASKS)
            return
        if self.refuse(names, f"cannot read 'mask={kind}(...)': mask=arg or mask=none"):
            return
        index = self.arg("mask", kind, lambda a: a.base in MASKS and a.direction == "in",
                         "in sigset or in sigarg")
        self.masked.add(kind)
        if kind in self.names:
            self.wait.mask = MASKS.get(self.row.args[index].base, "kHere")
        self.wait.mask_arg = index

    def read_pieces(self, kind, names, condition):
        w, key = self.wait, f"pieces={kind}"
        if self.refuse(kind not in ("file", "message") or not 1 <= len(names) <= 2 or
                       (kind == "message" and len(names) != 2),
                       f"unknown {key}({','.join(names)}): file(arg[,offset]) or "
                       "message(arg,flags)"):
            return
        w.pieces, w.pieces_if = f"k{kind.capitalize()}", self.condition(condition)
        at = self.arg(key, names[0], lambda a: a.base in ("bytes", "iov"), "bytes or iov")
        good = at == 1 and self.row.args[1].len_index == 2
        self.refuse(not good, f"{key}: '{names[0]}' is not the second argument, counted by the third")
        w.pieces_vector = self.row.args[at].base == "iov"
        if kind == "message":
            w.message_flags = self.arg(key, names[1], lambda a: a.base == "flags", "flags")
        elif len(names) == 2:
            w.offset = self.arg(key, names[1], lambda a: a.base == "off", "an offset")

    def read_wakes(self, kind, names, condition):
        if self.refuse(kind != "memory" or len(names) > 1 or (condition and not names),
                       f"cannot read 'wakes={kind}({','.join(names)})': memory or memory(arg)"):
            return
        self.wait.by_memory = True
        if names:
            self.wait.lost_arg = self.arg("wakes=memory", names[0],
                                          lambda a: a.base == "ptr" or a.base in TIMES, "such a time")
            self.wait.lost_if = self.condition(condition)


def read_row(row, consts, errors):
    """Reads the row's attributes and refuses a row that waits without saying how."""
    reader = Reader(row, consts, errors)
    waits = "blk" in row.effects
    for key, value, condition in row.waiting:
        if key == "body":
            continue  # body_rows.py
        reader.read(key, value, condition)
        reader.refuse(not waits, f"{key}= needs effect blk")
    said = {key for key, _, _ in row.waiting}
    reader.wait.fdsets = any(a.len == "kFdSet" for a in row.args)
    row.wait = reader.wait
    if not waits:
        return
    for a in row.args:
        timed = a.base == "i32" and a.name == "ms" or a.base in TIMES and a.direction != "out"
        reader.refuse(timed and a.name not in reader.timed,
                      f"it waits as long as '{a.name}' says: needs until=KIND({a.name})")
        reader.refuse(a.base in MASKS and a.name not in reader.masked,
                      f"it waits, and '{a.name}' may be its signal mask: needs mask={a.name} or "
                      "mask=none")
        sent = a.base in TRANSFERRED and a.direction in ("in", "inout")
        reader.refuse(row.ret in ("size", "count") and sent and "rest" not in said,
                      f"a stop may cut what it does with '{a.name}': needs rest=... or rest=none")


def connect_rows(rows, errors):
    """Looks up the calls that attributes name, and numbers the distinct Waits: a list whose first is empty."""
    by_name = {r.name: r for r in rows}
    waits = [Wait().cpp()]
    for row in rows:
        w = row.wait
        for name in (w.single, w.at_once):
            if name and name not in by_name:
                errors.add(row.where, f"there is no call {name}")
        other = by_name.get(w.at_once)
        if other:
            flags = [i for i, a in enumerate(other.args) if a.base == "flags"]
            if not flags:
                errors.add(row.where, f"{w.at_once} has no argument of type flags")
            w.at_once_flags = (flags or [0])[0]
            mine, its = (r.args[1].base if len(r.args) > 1 else "" for r in (row, other))
            w.at_once_wraps = mine == "iov" and its == "msghdr"
        elif w.socket != "kNone" and not w.at_once:
            w.at_once = row.ident
        text = w.cpp()
        if text not in waits:
            waits.append(text)
        row.wait_index = waits.index(text)
    if len(waits) > 255:
        errors.add(rows[0].where, "more than 255 ways to wait")
    return waits
