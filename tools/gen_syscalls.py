#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the system call table (libom/abi/*.tbl) into everything that knows about system calls.

    gen_syscalls.py [--unistd FILE] [--require-tests CALLS] KIND TABLE_DIR OUT

KIND: desc   numbers, SyscallDesc and CommandDesc arrays, look-up functions (freestanding header)
      gate   the gate functions that rows name, and their dispatch (freestanding header)
      home   the same for the executor at home
      body   what the filter of a body lets through (freestanding header)
      names  names, signatures and notes for printers (hosted header)
      docs   docs/syscalls.md
      tests  X-macro lists for the table-driven tests

Every kind first checks the whole table and refuses it with one "file:line: reason" per error, exit code 1. The output
is written only if it has changed. docs/ADD_A_SYSCALL.md explains the grammar; tools/gen_syscalls_test.py has one test
per refusal. Over 500 lines in one file, because parser, checks and writers share the row classes, nothing else uses
them, and a third of it is output templates.
"""
import argparse
import errno
import glob
import os
import re
import sys

import body_rows  # beside this file
import wait_rows

# Scalar types: name in the table -> (ArgType, bytes of one element behind a pointer).
SCALARS = {
    "i32": ("kI32", 4), "u32": ("kU32", 4), "i64": ("kI64", 8), "u64": ("kU64", 8),
    "fd": ("kFd", 4), "atfd": ("kAtFd", 4), "pid": ("kPid", 4), "tid": ("kTid", 4),
    "uid": ("kUid", 4), "gid": ("kGid", 4), "size": ("kSize", 8), "off": ("kOff", 8),
    "flags": ("kFlags", 8), "mode": ("kMode", 4), "sig": ("kSig", 4), "ptr": ("kPtr", 8),
    "cmd": ("kCmd", 4), "clock": ("kClock", 4), "dev": ("kDev", 8),
}
LENGTH_TYPES = ("i32", "u32", "i64", "u64", "size")
ROUTES = ("local", "virt", "fwd", "split", "home", "deny")
COMMAND_ROUTES = ("fwd", "home", "deny", "local")
LEVELS = ("none", "part", "full")
RESTARTS = {"-": "kNone", "sys": "kSys", "nointr": "kNoIntr", "nohand": "kNoHand",
            "block": "kBlock", "eintr": "kEintr"}
RETS = ("err", "fd", "size", "count", "pid", "ptr", "val")
EFFECTS = {"fd": "kEffFd", "vm": "kEffVm", "sig": "kEffSig", "proc": "kEffProc", "blk": "kEffBlock",
           "time": "kEffTime", "pure": "kEffPure", "newfd": "kEffNewFd"}
OUT_FLAGS = {"pos": "kArgOutPositive", "zero": "kArgOutZeroOnly", "eintr": "kArgOutEintr",
             "always": "kArgOutAlways"}
DIRS = {"in": "kIn", "out": "kOut", "inout": "kInOut"}
OBJECT_USES = {"any": "kAny", "offset": "kOffset", "room": "kRoom"}
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")
ROUTE_TEXT = {
    "local": "where the program runs", "virt": "where the program runs, from a known value",
    "fwd": "at home", "split": "by special code, at home or on both sides",
    "home": "at home, after the process came home", "deny": "refused while away",
}

ROW = re.compile(r"(\d+)\s+(\w+)\s+(\w+)\s+(\w+)\s+(\S+)\s+(\S+)\s+\(([^)]*)\)\s*->\s*(\w+)(.*)$")
COMMAND = re.compile(r"(0x[0-9a-f]+|\d+)\s+(\w+)\s+(\w+)\s+(\S+)\s+\(([^)]*)\)(.*)$")
ARG = re.compile(r"(\w+):(?:(in|out|inout)\s+)?(arr<\w+>|\w+)(?:\[([^\]]*)\])?"
                 r"(?:\s+plus\s+(\d+))?((?:\s+(?:pos|zero|eintr|always))*)(\?)?$")
STRUCT = re.compile(r'struct\s+(\w+)\s+(\d+)\s+(?:-|"([^"]+)")$')
TAIL = re.compile(r'\s+(?:(gate|home|deny)=(\w+)|sub=(\w+)\(([\w,]+)\)|'
                  r'untested\s+"([^"]*)"|"([^"]*)"|'
                  r'(%s)=([^\s()]+(?:\([^)]*\))?)(?:\s+if\s+(\S+))?)' % "|".join(wait_rows.KEYS + ("body", "object")))


class Errors:
    """Collects the errors of a table so that all of them are shown at once."""

    def __init__(self):
        self.lines = []

    def add(self, where, text):
        self.lines.append(f"{where[0]}:{where[1]}: {text}")


class Arg:
    """One argument: the row's text and the ArgDesc fields that it compiles to."""

    def __init__(self, name, text):
        self.name, self.text, self.base, self.direction = name, text, None, None
        self.kind, self.type, self.dir, self.len = "kNone", "kNone", "kIn", "kConst"
        self.len_name, self.len_index, self.elem, self.plus, self.flags = None, 0, 0, 0, []

    def cpp(self):
        flags = " | ".join(self.flags) or "0"
        return (f"{{ArgKind::{self.kind}, ArgType::{self.type}, Dir::{self.dir}, "
                f"LenKind::{self.len}, {self.len_index}, {flags}, {self.elem}, {self.plus}}}")


class Row:
    """A row of syscalls.tbl, or of a sub-table (where nr is the command)."""

    def __init__(self, where, nr, name, route, effects):
        self.where, self.nr, self.name, self.route, self.effects = where, nr, name, route, effects
        self.level, self.restart, self.ret, self.args, self.signature = "full", "-", "val", [], ""
        self.attrs, self.untested, self.note = {}, None, None
        self.sub, self.sub_keys, self.cmd_arg, self.sub_arg = None, [], 0, 0
        self.waiting, self.wait, self.wait_index, self.memory_files = [], None, 0, 0
        self.object = None

    @property
    def ident(self):  # __NR__sysctl keeps its name, but the identifier must not contain two underscores
        return self.name.lstrip("_")

    def effects_cpp(self):
        return " | ".join(EFFECTS[e] for e in self.effects) or "0"

    def object_cpp(self):
        return f", ObjectUse::{OBJECT_USES[self.object]}" if self.object else ""

    def deny_errno(self):
        return getattr(errno, self.attrs["deny"]) if "deny" in self.attrs else 0


class SubTable:
    def __init__(self, name):
        self.name, self.rows, self.unlisted, self.first_arg = name, [], None, None

    @property
    def ident(self):
        return self.name.capitalize()


class Table:
    def __init__(self):
        self.rows, self.subs, self.structs, self.consts, self.waits = [], {}, [], {}, []
        self.often, self.body = [], []
        self.errors = Errors()


def parse_arg(text, structs, where, errors):
    """One `name:type`; the length's argument is resolved later, when all arguments are known."""
    m = ARG.match(text)
    if not m:
        errors.add(where, f"cannot read argument '{text}'")
        return None
    name, direction, base, length, plus, outs, nullable = m.groups()
    arg = Arg(name, text.split(":", 1)[1])
    arg.base, arg.direction, arg.plus = base, direction, int(plus or 0)
    arg.flags = [OUT_FLAGS[o] for o in outs.split()] + (["kArgNullable"] if nullable else [])
    if len(outs.split()) > 1 or (outs and direction not in ("out", "inout")):
        errors.add(where, f"argument '{name}': one of pos, zero, eintr, always, on out or inout")
    if base in ("path", "str"):
        arg.kind, arg.type, arg.elem = "kStr", "kPath" if base == "path" else "kBytes", 4096
        if base == "str":
            arg.elem = int(length) if length and length.isdigit() else 0
        if direction or plus or arg.elem == 0 or (base == "path" and length):
            errors.add(where, f"argument '{name}': a string is path or str[N], without direction")
        return check_elem(arg, where, errors)
    if not direction:
        if base not in SCALARS:
            errors.add(where, f"argument '{name}': unknown type '{base}'")
            return arg
        arg.kind, arg.type = "kVal", SCALARS[base][0]
        if length is not None or plus or nullable:
            errors.add(where, f"argument '{name}': a number has no length and is not a pointer")
        return arg
    arg.kind, arg.dir = "kBuf", DIRS[direction]
    item = base[4:-1] if base.startswith("arr<") else base
    if item in ("bytes", "iov", "fdset"):
        arg.type, size = "kBytes", {"bytes": 1, "iov": 16, "fdset": 8}[item]
        if length is None or (item != base):
            errors.add(where, f"argument '{name}': {item} needs a length")
            return arg
    elif item in SCALARS:
        arg.type, size = SCALARS[item]
    elif item in structs:
        arg.type, size = "kStruct", structs[item]
    else:
        errors.add(where, f"argument '{name}': unknown type '{item}'")
        return arg
    parse_length(arg, item, base, size, length, where, errors)
    return check_elem(arg, where, errors)


def parse_length(arg, item, base, size, length, where, errors):
    arg.elem = size
    if length is None:
        if base.startswith("arr<"):
            errors.add(where, f"argument '{arg.name}': an array needs a length")
        return
    if not base.startswith("arr<") and item not in ("bytes", "iov", "fdset"):
        errors.add(where, f"argument '{arg.name}': only bytes, iov, fdset and arr<T> have a length")
        return
    m = re.match(r"(\d+)$|(ret<=)?(\w+)$|\*(\w+)( in)?$", length)
    if not m or (item in ("iov", "fdset") and not m.group(3)) or (m.group(4) and item != "bytes"):
        errors.add(where, f"argument '{arg.name}': bad length '[{length}]'")
    elif m.group(1):
        arg.elem = size * int(m.group(1))
    elif m.group(3):
        ret = m.group(2) is not None
        arg.len_name, arg.len = m.group(3), "kRet" if ret else "kArg"
        if item == "iov":
            arg.len = "kIovRet" if ret else "kIov"
        elif item == "fdset":
            arg.len = "kFdSet"
        if ret and arg.dir != "kOut":
            errors.add(where, f"argument '{arg.name}': '[ret<=...]' is for out only")
        if item == "iov" and ret != (arg.dir == "kOut"):
            errors.add(where, f"argument '{arg.name}': iov is 'in iov[n]' or 'out iov[ret<=n]'")
    else:
        arg.len_name, arg.len = m.group(4), "kDerefIn" if m.group(5) else "kDeref"
        if (arg.dir == "kIn") != (arg.len == "kDerefIn"):
            errors.add(where, f"argument '{arg.name}': '[*arg]' is out or inout, '[*arg in]' is in")


def check_elem(arg, where, errors):
    if arg.kind != "kVal" and not 0 < arg.elem <= 0xffff or arg.plus > 0xffff:
        errors.add(where, f"argument '{arg.name}': size out of range (1..65535)")
    return arg


def parse_args(text, structs, where, errors, first=0):
    """The argument list; `first` is the system call's argument number of the first one."""
    items = text.split(",") if text.strip() else []
    args = [parse_arg(t.strip(), structs, where, errors) for t in items]
    if first + len(args) > 6:
        errors.add(where, f"{first + len(args)} arguments, a system call has at most 6")
    if None in args:
        return [a for a in args if a]
    index = {a.name: i for i, a in enumerate(args)}
    if len(index) != len(args):
        errors.add(where, "two arguments have the same name")
    for arg in args:
        if arg.len_name in index:
            arg.len_index = first + index[arg.len_name]
            check_counter(arg, args[index[arg.len_name]], where, errors)
        elif arg.len_name:
            errors.add(where, f"argument '{arg.name}': no argument is called '{arg.len_name}'")
    return args


def check_counter(arg, other, where, errors):
    """`other` is the argument that gives the length of `arg`."""
    if arg.len == "kDeref":
        if (other.base, other.direction, other.elem) != ("u32", "inout", 4):
            errors.add(where, f"argument '{arg.name}': '{other.name}' must be inout u32")
    elif arg.len == "kDerefIn":
        if other is not arg and (other.base, other.direction) != ("u32", "in"):
            errors.add(where, f"argument '{arg.name}': '{other.name}' must be in u32, or itself")
    elif other.kind != "kVal" or other.base not in LENGTH_TYPES:
        errors.add(where, f"argument '{arg.name}': its length '{other.name}' is not a number")
    if arg.len == "kFdSet" and (arg.len_index != 0 or other.base != "i32"):
        errors.add(where, f"argument '{arg.name}': an fdset is counted by the first argument, i32")


def parse_effects(text, where, errors):
    effects = [] if text == "-" else text.split(",")
    for e in effects:
        if e not in EFFECTS:
            errors.add(where, f"unknown effect '{e}'")
    if "pure" in effects and set(effects) - {"pure", "blk", "time"}:
        errors.add(where, "a pure call has no other effect than blk and time")
    return [e for e in EFFECTS if e in effects]


def parse_tail(text, row, errors):
    pos = 0
    while text[pos:].strip():
        m = TAIL.match(text, pos)
        if not m:
            errors.add(row.where, f"cannot read '{text[pos:].strip()}'")
            return
        key, value, sub, keys, untested, note, *waiting = m.groups()
        if key:
            row.attrs[key] = value
        elif waiting[0] == "object":
            row.object = waiting[1]
        elif waiting[0]:
            row.waiting.append(waiting)
        elif sub:
            row.sub, row.sub_keys = sub, keys.split(",")
        elif untested is not None:
            row.untested = untested
        else:
            row.note = note
        pos = m.end()
    if row.object not in (None, *OBJECT_USES):
        errors.add(row.where, f"unknown object={row.object}: {', '.join(OBJECT_USES)}")
    if "deny" in row.attrs and not hasattr(errno, row.attrs["deny"]):
        errors.add(row.where, f"unknown errno '{row.attrs.pop('deny')}'")
    if (row.route == "deny") != ("deny" in row.attrs):
        errors.add(row.where, "route deny and deny=ERRNO go together")


def shown(path):
    """The path in messages: relative to the current folder if it is below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def read_lines(path, table, structs):
    """The rows of one file as (where, text), after its struct and default lines."""
    short = shown(path)
    default = None
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            where, line = (short, number), line.rstrip()
            if not line or line.startswith("#"):
                continue
            m = STRUCT.match(line)
            if m:
                if m.group(1) in SCALARS or m.group(1) in structs:
                    table.errors.add(where, f"'{m.group(1)}' is already a type")
                structs[m.group(1)] = int(m.group(2))
                table.structs.append((m.group(1), int(m.group(2)), m.group(3)))
            elif wait_rows.CONST.match(line):
                name, value = wait_rows.CONST.match(line).groups()
                table.consts[name] = int(value, 16)
            elif line.startswith("often "):
                table.often += [(where, name) for name in line.split()[1:]]
            elif line.startswith("default "):
                default = line.split(None, 1)[1]
            else:
                rows.append((where, line))
    return rows, default


def check_order(rows, errors, what):
    names = {}
    for before, row in zip([None] + rows, rows):
        if before and row.nr == before.nr:
            errors.add(row.where, f"{what} {row.nr} stands here twice")
        elif before and row.nr < before.nr:
            errors.add(row.where, f"{what} {row.nr} comes after {before.nr}: rows are sorted")
        if names.setdefault(row.name, row) is not row:
            errors.add(row.where, f"the name '{row.name}' stands here twice")


def parse_syscalls(path, table):
    errors, structs = table.errors, {}
    lines, _ = read_lines(path, table, structs)
    for where, line in lines:
        m = ROW.match(line)
        if not m:
            errors.add(where, "not a row: nr name route level effects restart (args) -> ret")
            continue
        nr, name, route, level, effects, restart, args, ret, tail = m.groups()
        row = Row(where, int(nr), name, route, parse_effects(effects, where, errors))
        row.level, row.restart, row.ret = level, restart, ret
        row.args, row.signature = parse_args(args, structs, where, errors), f"({args}) -> {ret}"
        parse_tail(tail, row, errors)
        check_row(row, errors)
        wait_rows.read_row(row, table.consts, errors)
        table.rows.append(row)
    check_order(table.rows, errors, "number")
    table.waits = wait_rows.connect_rows(table.rows, errors)
    table.body = body_rows.read_rows(table.rows, table.often, errors)
    if table.rows and table.rows[-1].nr > 1023:
        errors.add(table.rows[-1].where, "the array is dense: numbers end at 1023")


def check_row(row, errors):
    def refuse(condition, text):
        if condition:
            errors.add(row.where, text)

    refuse(row.route not in ROUTES, f"unknown route '{row.route}'")
    refuse(row.level not in LEVELS, f"unknown level '{row.level}'")
    refuse(row.restart not in RESTARTS, f"unknown restart class '{row.restart}'")
    refuse(row.ret not in RETS, f"unknown result type '{row.ret}'")
    refuse(row.level != "full" and not row.note, f"level {row.level} needs a note")
    refuse(row.restart not in ("-", "nointr") and "blk" not in row.effects,
           "a restart class needs effect blk")
    refuse((row.ret == "fd") != ("newfd" in row.effects), "result fd and effect newfd go together")
    refuse("newfd" in row.effects and "fd" not in row.effects, "effect newfd needs effect fd")
    gate, home = "gate" in row.attrs, "home" in row.attrs
    refuse(row.route in ("local", "virt") and (not gate or home),
           f"route {row.route} needs gate=, not home=")
    refuse(row.route in ("fwd", "home", "deny") and (gate or home),
           f"route {row.route} has no gate= or home=")
    refuse(row.route == "split" and not (gate or home or row.sub),
           "route split needs gate=, home= or sub=")
    refuse(row.sub is not None and row.route != "split", "sub= needs route split")
    if row.sub:
        names = [a.name for a in row.args]
        at = [names.index(k) for k in row.sub_keys if k in names]
        good = (1 <= len(at) <= 2 and len(at) == len(row.sub_keys) and
                at[-1] - at[0] == len(at) - 1 and
                all(row.args[i].base in ("cmd", "i32") for i in at))
        refuse(not good, f"sub={row.sub}(...) names one or two arguments in order, cmd or i32")
        row.cmd_arg, row.sub_arg = (at[0], at[-1] + 1) if good else (0, 1)


def parse_sub(path, table, users):
    name = os.path.basename(path)[:-len(".tbl")]
    sub, errors, structs = SubTable(name), table.errors, {}
    table.subs[name] = sub
    lines, default = read_lines(path, table, structs)
    first = {r.sub_arg for r in users}
    where0 = (shown(path), 1)
    if not users:
        errors.add(where0, f"no row of syscalls.tbl says sub={name}(...)")
    elif len(first) > 1:
        errors.add(where0, f"the rows with sub={name} name keys in different places")
    sub.first_arg = min(first or {0})
    sub.unlisted = {"home": "kHome", "row": "kFwd"}.get(default)
    if sub.unlisted is None:
        errors.add(where0, "needs a line 'default home' or 'default row'")
    for where, line in lines:
        m = COMMAND.match(line)
        if not m:
            errors.add(where, "not a row: cmd name route effects (args)")
            continue
        cmd, cname, route, effects, args, tail = m.groups()
        row = Row(where, int(cmd, 0), cname, route, parse_effects(effects, where, errors))
        row.args = parse_args(args, structs, where, errors, sub.first_arg)
        row.signature = f"({args})"
        parse_tail(tail, row, errors)
        if route not in COMMAND_ROUTES:
            errors.add(where, f"unknown route '{route}' for a command")
        if set(row.attrs) - {"deny"} or row.sub or row.waiting or row.untested is not None:
            errors.add(where, "a command has no other attribute than deny= and object=")
        if len(row.args) > 4 or row.nr > 0xffffffff:
            errors.add(where, "a command has at most 4 arguments and 32 bits")
        if route == "local" and not all("gate" in r.attrs for r in users):
            errors.add(where, "route local needs gate= in the system call's row")
        sub.rows.append(row)
    check_order(sub.rows, errors, "command")


def check_header(table, path, where):
    """Every number of the installed kernel header has a row, and its name is the header's."""
    with open(path, encoding="utf-8") as f:
        header = {int(n): name for name, n in re.findall(r"#define\s+__NR_(\w+)\s+(\d+)", f.read())}
    numbers = {name: nr for nr, name in header.items()}
    rows = {r.nr: r for r in table.rows}
    for nr in sorted(set(header) - set(rows)):
        table.errors.add(where, f"no row for {nr} {header[nr]}, which the kernel header has")
    for row in table.rows:
        if numbers.get(row.name, row.nr) != row.nr or header.get(row.nr, row.name) != row.name:
            table.errors.add(row.where, f"{row.nr} {row.name} is not what the kernel header says")


def read_calls(path, errors):
    """The calls and commands (ioctl:0x5401) in calls.txt that an existing program makes."""
    calls, folder = set(), os.path.dirname(path)
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            call, *programs = line.split()
            gone = [p for p in programs if not os.path.exists(os.path.join(folder, p + ".cc"))]
            for program in gone:
                errors.add((shown(path), number), f"there is no {program}.cc")
            if len(gone) < len(programs):
                calls.add(call)
    return calls


def check_tests(table, path):
    """Each row and command served away, except for ENOSYS, must be called by a behaviour program after its first point,
    as recorded by test/lib/call_coverage.py. untested "why" excuses a row."""
    calls = read_calls(path, table.errors)

    def served(row):
        return row.route != "home" and row.attrs.get("deny") != "ENOSYS" and row.untested is None

    for row in table.rows:
        if served(row) and row.name not in calls and f"nr{row.nr}" not in calls:
            table.errors.add(row.where, f"no behaviour program calls {row.name} ({shown(path)})")
        for command in table.subs[row.sub].rows if row.sub in table.subs else ():
            if served(command) and f"{row.name}:{command.nr:#x}" not in calls:
                table.errors.add(command.where, f"no behaviour program calls {row.name} with "
                                                f"{command.name} ({shown(path)})")


def load(directory, unistd, tests):
    table = Table()
    main = os.path.join(directory, "syscalls.tbl")
    parse_syscalls(main, table)
    where = (shown(main), 1)
    paths = sorted(p for p in glob.glob(os.path.join(directory, "*.tbl")) if p != main)
    known = {os.path.basename(p)[:-len(".tbl")] for p in paths}
    for row in table.rows:
        if row.sub and row.sub not in known:
            table.errors.add(row.where, f"there is no sub-table {row.sub}.tbl")
    for path in paths:
        name = os.path.basename(path)[:-len(".tbl")]
        parse_sub(path, table, [r for r in table.rows if r.sub == name])
    if unistd:
        check_header(table, unistd, where)
    else:
        table.errors.add(where, "no <asm/unistd_64.h> found; name it with --unistd")
    if tests:
        check_tests(table, tests)
    return table


def functions(table, which):
    """The functions that rows name with gate= or home=, sorted; a function's number is its index + 1."""
    return sorted({r.attrs[which] for r in table.rows if which in r.attrs})


# ---- writers: each returns the text of one output ---------------------------------------------

HEAD = """// SPDX-License-Identifier: Apache-2.0
//
// Generated by tools/gen_syscalls.py from libom/abi/*.tbl. Do not edit.
"""

LOOKUP = """
// The row of a number; numbers without a row (holes, newer kernels, the x32 bit) give an empty row,
// whose route is Route::kUnknown.
constexpr const SyscallDesc& syscall_desc(uint64_t nr) {
  return nr < kSyscallCount ? kSyscalls[nr] : kNoSyscall;
}

// What a call is like while it waits; all zero for one that does not, or says nothing of it.
constexpr const WaitDesc& wait_desc(const SyscallDesc& desc) { return kWaits[desc.wait]; }
constexpr const WaitDesc& wait_desc(uint64_t nr) { return wait_desc(syscall_desc(nr)); }

// The key of a call in its sub-table: the command, or level << 16 | option.
constexpr uint32_t command_key(const SyscallDesc& desc, const uint64_t* args) {
  const uint32_t key = static_cast<uint32_t>(args[desc.cmd_arg]);
  if (desc.sub_arg - desc.cmd_arg < 2) return key;
  const uint32_t low = static_cast<uint32_t>(args[desc.cmd_arg + 1]);
  return (key | low) > 0xffff ? 0xffffffffu : key << 16 | low;
}

// Binary search in a sub-table; nullptr if the key is not listed.
constexpr const CommandDesc* find_in(const CommandDesc* rows, uint32_t count, uint32_t key) {
  uint32_t low = 0;
  for (uint32_t high = count; low < high;) {
    const uint32_t middle = low + (high - low) / 2;
    if (rows[middle].cmd < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && rows[low].cmd == key ? rows + low : nullptr;
}

// The sub-table row of a call; nullptr if the call has no sub-table or the command is not listed.
constexpr const CommandDesc* find_command(const SyscallDesc& desc, const uint64_t* args) {
  switch (desc.sub) {
@FIND@    default: return nullptr;
  }
}

// What happens to a command that its sub-table does not list: kHome, or kFwd by the call's own row.
constexpr Route unlisted_route(uint8_t sub) {
  switch (sub) {
@UNLISTED@    default: return Route::kUnknown;
  }
}

// Argument i of a call, as the sub-table's row (may be nullptr) or else its own row describes it.
constexpr const ArgDesc& arg_desc(const SyscallDesc& desc, const CommandDesc* command, unsigned i) {
  const bool listed = command != nullptr && i >= desc.sub_arg && i - desc.sub_arg < command->nargs;
  return listed ? command->args[i - desc.sub_arg] : desc.args[i];
}

}  // namespace om
"""

DISPATCH = """#pragma once

#include <stdint.h>

namespace om::@SPACE@ {

struct @STRUCT@;

// One definition each; a row that names a function nobody wrote is a link error.
@DECLARATIONS@
// Calls the function of SyscallDesc::@WHICH@_fn. A switch and not an array of pointers: its jump
// table is relative, so libom.so needs no relocation for it. A number that no row has: -ENOSYS.
inline long dispatch_@WHICH@(uint8_t fn, @STRUCT@& call) {
  switch (fn) {
@CASES@    default: return -@ENOSYS@;
  }
}

}  // namespace om::@SPACE@
"""

NAMES_HEAD = """#pragma once

#include <stdint.h>

namespace om {

// For printers and documentation; never linked into libom.
struct SyscallText {
  const char* name;       // nullptr in holes of the number space
  const char* signature;
  const char* note;       // "" if there is none
  const char* args[6];    // names, nullptr after the last
};

struct CommandText {
  uint32_t cmd;
  const char* name;
  const char* note;
};

"""

NAMES_TAIL = """
// The name of a number, nullptr if it has no row.
inline const char* syscall_name(uint64_t nr) {
  return nr < sizeof(kSyscallTexts) / sizeof(kSyscallTexts[0]) ? kSyscallTexts[nr].name : nullptr;
}

// The name of a command; `sub` is SyscallDesc::sub. nullptr if it is not listed.
inline const char* command_name(uint8_t sub, uint32_t cmd) {
  const auto find = [cmd](const auto& texts) -> const char* {
    for (const CommandText& text : texts)
      if (text.cmd == cmd) return text.name;
    return nullptr;
  };
  switch (sub) {
@CASES@    default: return nullptr;
  }
}

}  // namespace om
"""

DOCS_HEAD = """# System calls

Generated by `tools/gen_syscalls.py` from `libom/abi/*.tbl`; do not edit. How to change a row:
[ADD_A_SYSCALL.md](ADD_A_SYSCALL.md).

At home every call is the kernel's own. This page says what happens to a call **while the program is
away**.

| route | calls | served |
|---|---|---|
@ROUTES@
Level: *full* behaves as at home; *part* differs in the way the note says; *none* fails while away.
A call that brings the process home is *full*: it runs natively there. Numbers without a row answer
ENOSYS while away and are counted. *Restart* is the class of a blocking call that a signal
interrupts: sys (SA_RESTART restarts it), nohand and eintr (EINTR after a handler), block (the
kernel keeps the remaining time), nointr (always restarts).

## Calls

| nr | call | route | level | effects | restart | note |
|---|---|---|---|---|---|---|
"""

NAMESPACES = {"gate": "gate", "home": "stub"}

TEST_MACROS = ("OM_TEST_NUMBER(header_number, table_number, name)", "OM_TEST_ROW(nr, name)",
               "OM_TEST_STRUCT(name, bytes, type)",
               "OM_TEST_CONST(name, value, header_value)",
               "OM_TEST_COMMAND(table, cmd, name, header_value)")


def fill(template, **values):
    for key, value in values.items():
        template = template.replace(f"@{key}@", str(value))
    return template


def quote(text):
    return '"' + (text or "").replace("\\", "\\\\").replace('"', '\\"') + '"'


def cpp_enum(prefix, names):
    lines = "".join(f"  {prefix}{name} = {i},\n" for i, name in enumerate(names))
    return f"\nenum : uint8_t {{\n{lines}}};\n"


def args_cpp(row):
    return "{" + "".join(a.cpp() + ", " for a in row.args) + "}"


def row_cpp(row, gates, homes, subs):
    numbers = [len(row.args), gates.index(row.attrs.get("gate", "none")),
               homes.index(row.attrs.get("home", "none")), row.deny_errno(),
               subs.index(row.sub or "none"), row.cmd_arg, row.sub_arg, row.wait_index,
               row.memory_files]
    return (f"Route::k{row.route.capitalize()}, Level::k{row.level.capitalize()}, "
            f"Restart::{RESTARTS[row.restart]}, RetType::k{row.ret.capitalize()}, "
            f"{', '.join(map(str, numbers))}, {row.effects_cpp()}, {args_cpp(row)}{row.object_cpp()}")


def write_desc(table):
    gates = ["none"] + functions(table, "gate")
    homes = ["none"] + functions(table, "home")
    subs = ["none"] + list(table.subs)
    rows = {r.nr: r for r in table.rows}
    count = table.rows[-1].nr + 1
    out = [HEAD, "#pragma once\n\n#include <asm/unistd_64.h>\n#include <stdint.h>\n\n",
           '#include "libom/abi/syscall_desc.h"\n\nnamespace om {\n\nenum : uint32_t {\n']
    out += [f"  kNr_{r.ident} = {r.nr},\n" for r in table.rows]
    out.append("};\n\n")
    for r in table.rows:
        check = f"static_assert(__NR_{r.name} == kNr_{r.ident});"
        out.append(f"#ifdef __NR_{r.name}\n{check}\n#endif\n")
    out += [cpp_enum("kGateFn_", gates), cpp_enum("kHomeFn_", homes), cpp_enum("kSub_", subs)]
    out.append("\ninline constexpr WaitDesc kWaits[] = {\n")
    out += [f"  {{{text}}},\n" for text in table.waits]
    out.append("};\n")
    out.append(f"\nconstexpr uint32_t kSyscallCount = {count};\n"
               "inline constexpr SyscallDesc kNoSyscall = {};\n"
               "inline constexpr SyscallDesc kSyscalls[kSyscallCount] = {\n")
    for nr in range(count):
        if nr in rows:
            out.append(f"  {{{row_cpp(rows[nr], gates, homes, subs)}}},  // {nr} {rows[nr].name}\n")
        else:
            out.append(f"  {{}},  // {nr}\n")
    out.append("};\n")
    find = unlisted = ""
    for sub in table.subs.values():
        out.append(f"\ninline constexpr CommandDesc k{sub.ident}[] = {{\n")
        for r in sub.rows:
            out.append(f"  {{{r.nr:#x}u, Route::k{r.route.capitalize()}, {len(r.args)}, "
                       f"{r.deny_errno()}, {r.effects_cpp()}, {args_cpp(r)}{r.object_cpp()}}},  // {r.name}\n")
        out.append("};\n")
        find += (f"    case kSub_{sub.name}: "
                 f"return find_in(k{sub.ident}, {len(sub.rows)}, command_key(desc, args));\n")
        unlisted += f"    case kSub_{sub.name}: return Route::{sub.unlisted};\n"
    out.append(fill(LOOKUP, FIND=find, UNLISTED=unlisted))
    return "".join(out)


def write_dispatch(table, which):
    struct, fns = which.capitalize() + "Call", functions(table, which)
    declarations = "".join(f"long {which}_{fn}({struct}& call);\n" for fn in fns)
    cases = "".join(f"    case {i}: return {which}_{fn}(call);\n" for i, fn in enumerate(fns, 1))
    return HEAD + fill(DISPATCH, STRUCT=struct, WHICH=which, SPACE=NAMESPACES[which],
                       DECLARATIONS=declarations, CASES=cases, ENOSYS=errno.ENOSYS)


def write_names(table):
    rows = {r.nr: r for r in table.rows}
    count = table.rows[-1].nr + 1
    out = [HEAD, NAMES_HEAD, f"inline constexpr SyscallText kSyscallTexts[{count}] = {{\n"]
    for nr in range(count):
        r = rows.get(nr)
        if r is None:
            out.append("  {},\n")
            continue
        args = "".join(quote(a.name) + ", " for a in r.args)
        out.append(f"  {{{quote(r.name)}, {quote(r.signature)}, {quote(r.note)}, {{{args}}}}},\n")
    out.append("};\n")
    cases = ""
    for i, sub in enumerate(table.subs.values(), 1):
        out.append(f"\ninline constexpr CommandText k{sub.ident}Texts[] = {{\n")
        out += [f"  {{{r.nr:#x}u, {quote(r.name)}, {quote(r.note)}}},\n" for r in sub.rows]
        out.append("};\n")
        cases += f"    case {i}: return find(k{sub.ident}Texts);\n"
    out.append(fill(NAMES_TAIL, CASES=cases))
    return "".join(out)


def md(text):
    return (text or "").replace("|", "\\|").replace("*", "\\*")


def write_docs(table):
    counts = [(r, sum(x.route == r for x in table.rows), ROUTE_TEXT[r]) for r in ROUTES]
    out = [fill(DOCS_HEAD, ROUTES="".join("| %s | %d | %s |\n" % c for c in counts))]
    for r in table.rows:
        name = f"[{r.name}](#{r.sub})" if r.sub else r.name
        cells = (r.nr, name, r.route, r.level, " ".join(r.effects),
                 "" if r.restart == "-" else r.restart, md(r.note))
        out.append("| " + " | ".join(map(str, cells)) + " |\n")
    for sub in table.subs.values():
        users = " and ".join(f"`{r.name}`" for r in table.rows if r.sub == sub.name)
        rest = "brings the process home" if sub.unlisted == "kHome" else "is forwarded"
        out.append(f"\n## {sub.name}\n\nCommands of {users}. Any other {rest}.\n\n"
                   "| command | name | route | arguments | note |\n|---|---|---|---|---|\n")
        for r in sub.rows:
            cells = (f"{r.nr:#x}", r.name, r.route, md(r.signature[1:-1]), md(r.note))
            out.append("| " + " | ".join(cells) + " |\n")
    return "".join(out)


def write_tests(table):
    names = [m.split("(")[0] for m in TEST_MACROS]
    out = [HEAD, "//\n// Define the macros that are wanted, then include this file:\n"]
    out += [f"//   {m}\n" for m in TEST_MACROS]
    out += [f"#ifndef {n}\n#define {n}(...)\n#endif\n" for n in names]
    for r in table.rows:
        number = f"OM_TEST_NUMBER(__NR_{r.name}, kNr_{r.ident}, {quote(r.name)})"
        row = f"OM_TEST_ROW({r.nr}, {quote(r.name)})"
        out.append(f"#ifdef __NR_{r.name}\n{number}\n#endif\n{row}\n")
    for name, size, ctype in table.structs:
        if ctype:
            out.append(f"OM_TEST_STRUCT({quote(name)}, {size}, {ctype})\n")
    for name, value in table.consts.items():
        out.append(f"#ifdef {name}\nOM_TEST_CONST({quote(name)}, {value:#x}, {name})\n#endif\n")
    for sub in table.subs.values():
        for r in sub.rows:
            command = f"OM_TEST_COMMAND(k{sub.ident}, {r.nr:#x}u, {quote(r.name)}, {r.name})"
            out.append(f"#ifdef {r.name}\n{command}\n#endif\n")
    out += [f"#undef {n}\n" for n in names]
    return "".join(out)


WRITERS = {"desc": write_desc, "gate": lambda t: write_dispatch(t, "gate"),
           "home": lambda t: write_dispatch(t, "home"), "names": write_names, "docs": write_docs,
           "tests": write_tests, "body": lambda t: body_rows.write(HEAD, t.body)}


def write_if_changed(path, text):
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except OSError:
        pass
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser(description="compile libom/abi/*.tbl")
    parser.add_argument("--unistd", help="the kernel's <asm/unistd_64.h>")
    parser.add_argument("--require-tests", metavar="CALLS",
                        help="test/behaviour/calls.txt: what is served away needs a program there")
    parser.add_argument("kind", choices=sorted(WRITERS))
    parser.add_argument("tables")
    parser.add_argument("out")
    options = parser.parse_args()
    unistd = options.unistd or next((h for h in HEADERS if os.path.exists(h)), None)
    table = load(options.tables, unistd, options.require_tests)
    if table.errors.lines:
        print("\n".join(table.errors.lines), file=sys.stderr)
        return 1
    write_if_changed(options.out, WRITERS[options.kind](table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
