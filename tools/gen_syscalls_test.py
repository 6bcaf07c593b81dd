#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden tests of tools/gen_syscalls.py: what each signature compiles to, every output of a small
table, and one test per refusal,
    with the line that the message names. Tables are written to a folder
of the test's own. OM_CXX names the compiler that the generated headers must compile with."""
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import gen_syscalls  # noqa: E402  (beside this file)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GENERATOR = os.path.abspath(gen_syscalls.__file__)
HEADER = "#define __NR_read 0\n#define __NR_ioctl 2\n"
STRUCTS = 'struct stat 144 "struct stat"\nstruct sigset 8 -\n'
READ = ("0 read fwd full blk sys (fd:fd, buf:out bytes[ret<=count], count:size) -> size\n")
IOCTL = "2 ioctl split full blk sys (fd:fd, cmd:cmd, arg:u64) -> val sub=ioctls(cmd) gate=ioctl\n"
IOCTLS = ("default home\nstruct termios 36 -\n\n"
          "0x5401 TCGETS fwd pure (t:out termios)\n0x5409 TCSBRK fwd blk (drain:i32)\n"
          '0x5412 TIOCSTI deny - () deny=EPERM "not while away"\n')
FREESTANDING = ["-std=c++20", "-fsyntax-only", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
                "-mgeneral-regs-only", "-Wall", "-Wextra", "-Wshadow", "-Wold-style-cast",
                "-Wswitch-enum", "-Wpedantic", "-Werror", "-Wno-missing-field-initializers"]


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.addCleanup(os.chdir, ROOT)
        self.dir = self.folder.name
        os.chdir(self.dir)
        self.write("unistd_64.h", HEADER)
        self.write("syscalls.tbl", STRUCTS + READ + IOCTL)
        self.write("ioctls.tbl", IOCTLS)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def errors(self, tests=None):
        table = gen_syscalls.load(self.dir, os.path.join(self.dir, "unistd_64.h"), tests)
        return table.errors.lines, table

    def text(self, kind):
        errors, table = self.errors()
        self.assertEqual(errors, [])
        return gen_syscalls.WRITERS[kind](table)

    def run_generator(self, *arguments):
        return subprocess.run([sys.executable, GENERATOR, *arguments], capture_output=True,
                              text=True,
                              check=False)

    def refused(self, expected, tests=None):
        self.assertIn(expected, self.errors(tests)[0])

    def row_refused(self, row, reason, line=4):
        """The row is alone, in the fourth line of a table whose header has no numbers."""
        self.write("unistd_64.h", "")
        self.write("syscalls.tbl", STRUCTS + "# comment\n" + row + "\n")
        os.unlink(os.path.join(self.dir, "ioctls.tbl"))
        self.refused(f"syscalls.tbl:{line}: {reason}")

    def arg_refused(self, args, reason):
        self.row_refused(f"0 read fwd full - - ({args}) -> err", reason)

    def command_refused(self, rows, reason, line=1):
        self.write("ioctls.tbl", rows)
        self.refused(f"ioctls.tbl:{line}: {reason}")


class Signatures(Case):
    """name:type -> the ArgDesc that it compiles to; n is a u32 before it."""

    KINDS = {
        "a:fd": "kVal, kFd, kIn, kConst, 0, 0, 0, 0",
        "a:path": "kStr, kPath, kIn, kConst, 0, 0, 4096, 0",
        "a:str[16]": "kStr, kBytes, kIn, kConst, 0, 0, 16, 0",
        "a:out stat": "kBuf, kStruct, kOut, kConst, 0, 0, 144, 0",
        "a:in stat?": "kBuf, kStruct, kIn, kConst, 0, kArgNullable, 144, 0",
        "a:inout u64?": "kBuf, kU64, kInOut, kConst, 0, kArgNullable, 8, 0",
        "a:out i32 pos?": "kBuf, kI32, kOut, kConst, 0, kArgOutPositive | kArgNullable, 4, 0",
        "a:out stat eintr": "kBuf, kStruct, kOut, kConst, 0, kArgOutEintr, 144, 0",
        "a:out stat zero": "kBuf, kStruct, kOut, kConst, 0, kArgOutZeroOnly, 144, 0",
        "a:inout stat always": "kBuf, kStruct, kInOut, kConst, 0, kArgOutAlways, 144, 0",
        "a:out bytes[16]": "kBuf, kBytes, kOut, kConst, 0, 0, 16, 0",
        "a:in bytes[n]": "kBuf, kBytes, kIn, kArg, 1, 0, 1, 0",
        "a:in bytes[n] plus 8": "kBuf, kBytes, kIn, kArg, 1, 0, 1, 8",
        "a:out bytes[ret<=n] plus 8": "kBuf, kBytes, kOut, kRet, 1, 0, 1, 8",
        "a:out bytes[*w]": "kBuf, kBytes, kOut, kDeref, 2, 0, 1, 0",
        "a:inout bytes[*w]?": "kBuf, kBytes, kInOut, kDeref, 2, kArgNullable, 1, 0",
        "a:in bytes[*a in] plus 8": "kBuf, kBytes, kIn, kDerefIn, 3, 0, 1, 8",
        "a:out arr<fd>[2]": "kBuf, kFd, kOut, kConst, 0, 0, 8, 0",
        "a:inout arr<stat>[n]": "kBuf, kStruct, kInOut, kArg, 1, 0, 144, 0",
        "a:out arr<gid>[ret<=n]": "kBuf, kGid, kOut, kRet, 1, 0, 4, 0",
        "a:inout fdset[z]?": "kBuf, kBytes, kInOut, kFdSet, 0, kArgNullable, 8, 0",
        "a:in iov[n]": "kBuf, kBytes, kIn, kIov, 1, 0, 16, 0",
        "a:out iov[ret<=n]": "kBuf, kBytes, kOut, kIovRet, 1, 0, 16, 0",
    }

    def test_every_form(self):
        rows = [f"{i} call{i} fwd full - - (z:i32, n:u32, w:inout u32, {text}) -> err\n"
                for i, text in enumerate(self.KINDS)]
        self.write("unistd_64.h", "")
        self.write("syscalls.tbl", STRUCTS + "".join(rows))
        os.unlink(os.path.join(self.dir, "ioctls.tbl"))
        lines = [line for line in self.text("desc").splitlines() if line.startswith("  {Route")]
        self.assertEqual(len(lines), len(self.KINDS))
        for line, (text, expected) in zip(lines, self.KINDS.items()):
            kind, atype, direction, length, rest = expected.split(", ", 4)
            compiled = (f"{{ArgKind::{kind}, ArgType::{atype}, Dir::{direction}, "
                        f"LenKind::{length}, {rest}}}, ")
            self.assertIn(compiled + "}}", line, text)


class Outputs(Case):
    def test_desc(self):
        text = self.text("desc")
        for line in (
                "  kNr_ioctl = 2,",
                "static_assert(__NR_ioctl == kNr_ioctl);",
                "constexpr uint32_t kSyscallCount = 3;",
                "  kGateFn_ioctl = 1,",
                "  kSub_ioctls = 1,",
                "  {},  // 1",
                "  {Route::kSplit, Level::kFull, Restart::kSys, RetType::kVal, 3, 1, 0, 0, 1, 1, 2, "
                "0, 0, kEffBlock, {{ArgKind::kVal, ArgType::kFd, Dir::kIn, LenKind::kConst, 0, 0, 0, 0}, "
                "{ArgKind::kVal, ArgType::kCmd, Dir::kIn, LenKind::kConst, 0, 0, 0, 0}, "
                "{ArgKind::kVal, ArgType::kU64, Dir::kIn, LenKind::kConst, 0, 0, 0, 0}, }},"
                "  // 2 ioctl",
                "  {0x5401u, Route::kFwd, 1, 0, kEffPure, {{ArgKind::kBuf, ArgType::kStruct, "
                "Dir::kOut, LenKind::kConst, 0, 0, 36, 0}, }},  // TCGETS",
                "  {0x5412u, Route::kDeny, 0, 1, 0, {}},  // TIOCSTI",
                "    case kSub_ioctls: return find_in(kIoctls, 3, command_key(desc, args));",
                "    case kSub_ioctls: return Route::kHome;"):
            self.assertIn(line, text.splitlines())

    def test_gate_and_home(self):
        self.write("syscalls.tbl", STRUCTS + READ +
                   IOCTL.replace("gate=ioctl", "gate=ioctl home=io"))
        gate, home = self.text("gate"), self.text("home")
        self.assertIn("namespace om::gate {\n\nstruct GateCall;\n", gate)
        self.assertIn("long gate_ioctl(GateCall& call);\n", gate)
        self.assertIn("    case 1: return gate_ioctl(call);\n    default: return -38;\n", gate)
        self.assertIn("namespace om::stub {\n\nstruct HomeCall;\n", home)
        self.assertIn("    case 1: return home_io(call);\n", home)

    def test_a_function_named_twice_is_declared_once(self):
        self.write("unistd_64.h", "")
        self.write("syscalls.tbl",
                   "0 a local full - - () -> err gate=same body=none\n"
                   "1 b local full - - () -> err gate=same body=none\n")
        os.unlink(os.path.join(self.dir, "ioctls.tbl"))
        self.assertEqual(self.text("gate").count("long gate_same("), 1)

    def test_names(self):
        text = self.text("names")
        self.assertIn('  {"read", "(fd:fd, buf:out bytes[ret<=count], count:size) -> size", "", '
                      '{"fd", "buf", "count", }},\n  {},\n', text)
        self.assertIn('  {0x5412u, "TIOCSTI", "not while away"},\n', text)
        self.assertIn("    case 1: return find(kIoctlsTexts);\n", text)

    def test_docs(self):
        text = self.text("docs")
        self.assertIn("| fwd | 1 | at home |\n", text)
        self.assertIn("| 0 | read | fwd | full | blk | sys |  |\n", text)
        self.assertIn("| 2 | [ioctl](#ioctls) | split | full | blk | sys |  |\n", text)
        self.assertIn("## ioctls\n\nCommands of `ioctl`. Any other brings the process home.\n",
                      text)
        self.assertIn("| 0x5412 | TIOCSTI | deny |  | not while away |\n", text)

    def test_tests(self):
        text = self.text("tests")
        self.assertIn('#ifdef __NR_read\nOM_TEST_NUMBER(__NR_read, kNr_read, "read")\n#endif\n'
                      'OM_TEST_ROW(0, "read")\n', text)
        self.assertIn('OM_TEST_STRUCT("stat", 144, struct stat)\n', text)
        self.assertNotIn('OM_TEST_STRUCT("sigset"', text)
        self.assertIn('#ifdef TCGETS\n'
                      'OM_TEST_COMMAND(kIoctls, 0x5401u, "TCGETS", TCGETS)\n#endif\n', text)

    def test_leading_underscores_stay_out_of_identifiers(self):
        self.write("unistd_64.h", "#define __NR__sysctl 0\n")
        self.write("syscalls.tbl", "0 _sysctl fwd full - - () -> err\n")
        os.unlink(os.path.join(self.dir, "ioctls.tbl"))
        self.assertIn("static_assert(__NR__sysctl == kNr_sysctl);", self.text("desc"))

    def test_an_unchanged_output_is_not_written(self):
        command = ("--unistd", "unistd_64.h", "desc", ".", "out")
        self.assertEqual(self.run_generator(*command).returncode, 0)
        os.utime("out", (1, 1))
        self.assertEqual(self.run_generator(*command).returncode, 0)
        self.assertEqual(os.stat("out").st_mtime, 1)
        self.write("ioctls.tbl", IOCTLS.replace("36", "40"))
        self.assertEqual(self.run_generator(*command).returncode, 0)
        self.assertNotEqual(os.stat("out").st_mtime, 1)

    def test_a_refused_table_leaves_no_output(self):
        self.write("syscalls.tbl", READ.replace("fwd", "send"))
        run = self.run_generator("--unistd", "unistd_64.h", "desc", ".", "out")
        self.assertEqual(run.returncode, 1)
        self.assertIn("syscalls.tbl:1: unknown route 'send'", run.stderr.splitlines())
        self.assertFalse(os.path.exists("out"))

    def test_the_real_table_compiles_freestanding(self):
        kinds = ("desc", "body", "gate", "home")
        for kind in kinds:
            self.write(f"libom/abi/gen/syscalls_{kind}.h", "")
            run = self.run_generator(kind, os.path.join(ROOT, "libom/abi"),
                                     f"libom/abi/gen/syscalls_{kind}.h")
            self.assertEqual(run.stderr, "")
        self.write("all.cc", "".join(f'#include "libom/abi/gen/syscalls_{k}.h"\n' for k in kinds) +
                   "constexpr uint64_t kArgs[6] = {0, 0x5401, 0};\n"
                   "static_assert(om::find_command(om::syscall_desc(om::kNr_ioctl), kArgs)"
                   "->args[0].elem == 36);\n")
        compiler = shlex.split(os.environ.get("OM_CXX", "c++"))
        run = subprocess.run(compiler + FREESTANDING + ["-I", self.dir, "-I", ROOT, "all.cc"],
                             capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))


class Refusals(Case):
    def test_rows(self):
        for row, reason in (
                ("0 read fwd full -",
                 "not a row: nr name route level effects restart (args) -> ret"),
                ("0 read send full - - () -> err", "unknown route 'send'"),
                ("0 read fwd good - - () -> err", "unknown level 'good'"),
                ("0 read fwd full blk later () -> err", "unknown restart class 'later'"),
                ("0 read fwd full loud - () -> err", "unknown effect 'loud'"),
                ("0 read fwd full - - () -> long", "unknown result type 'long'"),
                ("0 read fwd part - - () -> err", "level part needs a note"),
                ("0 read fwd none - - () -> err", "level none needs a note"),
                ("0 read fwd full - sys () -> err", "a restart class needs effect blk"),
                ("0 read fwd full fd - () -> fd", "result fd and effect newfd go together"),
                ("0 read fwd full newfd - () -> fd", "effect newfd needs effect fd"),
                ("0 read fwd full pure,vm - () -> err",
                 "a pure call has no other effect than blk and time"),
                ("0 read local full - - () -> err", "route local needs gate=, not home="),
                ("0 read virt full - - () -> err gate=a home=b",
                 "route virt needs gate=, not home="),
                ("0 read fwd full - - () -> err gate=a", "route fwd has no gate= or home="),
                ("0 read home full - - () -> err home=a", "route home has no gate= or home="),
                ("0 read split full - - () -> err", "route split needs gate=, home= or sub="),
                ("0 read deny full - - () -> err", "route deny and deny=ERRNO go together"),
                ("0 read fwd full - - () -> err deny=EPERM",
                 "route deny and deny=ERRNO go together"),
                ("0 read deny full - - () -> err deny=EWHAT", "unknown errno 'EWHAT'"),
                ("0 read fwd full - - (c:cmd) -> err sub=ioctls(c)", "sub= needs route split"),
                ("0 read split full - - (c:cmd) -> err sub=other(c)",
                 "there is no sub-table other.tbl"),
                ("0 read split full - - (c:u64) -> err sub=other(c)",
                 "sub=other(...) names one or two arguments in order, cmd or i32"),
                ("0 read fwd full - - (fd:fd) -> err object=all",
                 "unknown object=all: any, offset, room"),
                ("0 read fwd full - - () -> err note", "cannot read 'note'"),
                ("2000 read fwd full - - () -> err", "the array is dense: numbers end at 1023")):
            with self.subTest(row=row):
                self.setUp()
                self.row_refused(row, reason)

    def test_arguments(self):
        for args, reason in (
                ("a", "cannot read argument 'a'"),
                ("a:in bytes[n", "cannot read argument 'a:in bytes[n'"),
                ("a:int", "argument 'a': unknown type 'int'"),
                ("a:out what", "argument 'a': unknown type 'what'"),
                ("a:i32, b:i32, c:i32, d:i32, e:i32, f:i32, g:i32",
                 "7 arguments, a system call has at most 6"),
                ("a:i32, a:i32", "two arguments have the same name"),
                ("a:i32?", "argument 'a': a number has no length and is not a pointer"),
                ("a:in path", "argument 'a': a string is path or str[N], without direction"),
                ("a:str", "argument 'a': a string is path or str[N], without direction"),
                ("a:out bytes", "argument 'a': bytes needs a length"),
                ("a:out arr<stat>", "argument 'a': an array needs a length"),
                ("a:out stat[2]", "argument 'a': only bytes, iov, fdset and arr<T> have a length"),
                ("a:out bytes[n]", "argument 'a': no argument is called 'n'"),
                ("a:out bytes[n], n:ptr", "argument 'a': its length 'n' is not a number"),
                ("a:in bytes[ret<=n], n:size", "argument 'a': '[ret<=...]' is for out only"),
                ("a:out iov[n], n:size", "argument 'a': iov is 'in iov[n]' or 'out iov[ret<=n]'"),
                ("a:in iov[4]", "argument 'a': bad length '[4]'"),
                ("a:out bytes[n+1], n:size", "argument 'a': bad length '[n+1]'"),
                ("a:out arr<stat>[*n], n:inout u32", "argument 'a': bad length '[*n]'"),
                ("a:out bytes[*n], n:u32", "argument 'a': 'n' must be inout u32"),
                ("a:out bytes[*n], n:out u32", "argument 'a': 'n' must be inout u32"),
                ("a:out bytes[*n], n:inout u64", "argument 'a': 'n' must be inout u32"),
                ("a:in bytes[*n], n:inout u32",
                 "argument 'a': '[*arg]' is out or inout, '[*arg in]' is in"),
                ("a:out bytes[*n in], n:in u32",
                 "argument 'a': '[*arg]' is out or inout, '[*arg in]' is in"),
                ("a:in bytes[*n in], n:inout u64", "argument 'a': 'n' must be in u32, or itself"),
                ("n:i32, a:in stat pos",
                 "argument 'a': one of pos, zero, eintr, always, on out or inout"),
                ("a:out stat pos zero",
                 "argument 'a': one of pos, zero, eintr, always, on out or inout"),
                ("a:i32, n:i32, b:in fdset[n]",
                 "argument 'b': an fdset is counted by the first argument, i32"),
                ("a:out bytes[0]", "argument 'a': size out of range (1..65535)"),
                ("a:out arr<stat>[500]", "argument 'a': size out of range (1..65535)")):
            with self.subTest(args=args):
                self.setUp()
                self.arg_refused(args, reason)

    def test_order_and_names(self):
        one, two = "0 read fwd full - - () -> err\n", "1 write fwd full - - () -> err\n"
        for rows, reason in ((two + one, "number 0 comes after 1: rows are sorted"),
                             (one + one.replace("read", "write"), "number 0 stands here twice"),
                             (one + two.replace("write", "read"),
                              "the name 'read' stands here twice")):
            with self.subTest(rows=rows):
                self.setUp()
                self.row_refused(rows, reason, 5)
        self.setUp()
        self.write("syscalls.tbl", STRUCTS + "struct stat 8 -\n" + READ + IOCTL)
        self.refused("syscalls.tbl:3: 'stat' is already a type")

    def test_kernel_header(self):
        self.write("unistd_64.h", HEADER + "#define __NR_stat 4\n")
        self.refused("syscalls.tbl:1: no row for 4 stat, which the kernel header has")
        self.write("unistd_64.h", "#define __NR_read 0\n#define __NR_ioctl 16\n")
        self.refused("syscalls.tbl:4: 2 ioctl is not what the kernel header says")
        self.write("unistd_64.h", "#define __NR_pread 0\n#define __NR_ioctl 2\n")
        self.refused("syscalls.tbl:3: 0 read is not what the kernel header says")

    def test_sub_tables(self):
        row = "0x5401 TCGETS fwd pure (t:u32)\n"
        for rows, line, reason in (
                (row, 1, "needs a line 'default home' or 'default row'"),
                ("default away\n" + row, 1, "needs a line 'default home' or 'default row'"),
                ("default home\nTCGETS 0x5401 fwd - ()\n", 2,
                 "not a row: cmd name route effects (args)"),
                ("default home\n" + row + row.replace("0x5401 TCGETS", "0 OTHER"), 3,
                 "command 0 comes after 21505: rows are sorted"),
                ("default home\n" + row + row.replace("TCGETS", "OTHER"), 3,
                 "command 21505 stands here twice"),
                ("default home\n" + row.replace("fwd", "split"), 2,
                 "unknown route 'split' for a command"),
                ("default home\n" + row.replace("\n", " gate=x\n"), 2,
                 "a command has no other attribute than deny= and object="),
                ("default home\n" + row.replace("fwd", "deny"), 2,
                 "route deny and deny=ERRNO go together"),
                ("default home\n" + row.replace("t:u32", "a:u32, b:u32, c:u32, d:u32, e:u32"), 2,
                 "7 arguments, a system call has at most 6"),
                ("default home\n" + row.replace("0x5401", "0x100000000"), 2,
                 "a command has at most 4 arguments and 32 bits")):
            with self.subTest(rows=rows):
                self.command_refused(rows, reason, line)
        self.write("syscalls.tbl", STRUCTS + READ + IOCTL.replace(" gate=ioctl", ""))
        self.command_refused("default home\n" + row.replace("fwd", "local"),
                             "route local needs gate= in the system call's row", 2)
        self.write("orphans.tbl", "default home\n")
        self.refused("orphans.tbl:1: no row of syscalls.tbl says sub=orphans(...)")

    def test_all_mistakes_are_shown(self):
        self.write("syscalls.tbl",
                   "0 read send good - - () -> err\n1 write fwd full - - (a:int) -> err\n")
        errors, _ = self.errors()
        for line in ("syscalls.tbl:1: unknown route 'send'", "syscalls.tbl:1: unknown level 'good'",
                     "syscalls.tbl:2: argument 'a': unknown type 'int'"):
            self.assertIn(line, errors)

    def test_required_tests(self):
        def calls(*lines):
            self.write("calls.txt", "# head\n" + "".join(line + "\n" for line in lines))
            return os.path.join(self.dir, "calls.txt")
        for name in ("reads", "asks"):
            self.write(name + ".cc", "")
        commands = [f"ioctl:{c}" for c in ("0x5401", "0x5409", "0x5412")]
        found = calls("read reads asks", "nr2 asks", *(c + " asks" for c in commands))
        self.assertEqual(self.errors(found)[0], [])
        name = gen_syscalls.shown(found)
        self.refused(f"syscalls.tbl:3: no behaviour program calls read ({name})",
                     calls("ioctl asks", *(c + " asks" for c in commands)))
        missing = self.errors(calls("read reads", "ioctl asks"))[0]
        self.assertEqual(len(missing), len(commands))
        self.assertIn("no behaviour program calls ioctl with ", missing[0])
        self.refused(f"{name}:2: there is no gone.cc", calls("read gone reads"))
        self.write("syscalls.tbl", STRUCTS + READ.replace("fwd", "home") +
                   IOCTL.replace("\n", ' untested "needs a device"\n'))
        found = calls(*(c + " asks" for c in commands))
        self.assertEqual(self.errors(found)[0], [])


if __name__ == "__main__":
    unittest.main()
