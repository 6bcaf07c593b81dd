#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""om run and om check: exit status, signals, terminal, environment. Without a daemon, and with an empty library as
libom.so.

    om_run_test.py --build DIR [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

LIMIT = float(os.environ.get("OM_TEST_LIMIT", "30"))
BUILD = None


def wait_for(condition, what):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for: " + what)
        time.sleep(0.02)


def state(pid):
    """As in /proc/PID/stat; '-' for none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "-"


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # a background job of a script would ignore them
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="om-run-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.library = cls.dir / "libom.so"
        subprocess.run(["gcc", "-shared", "-x", "c", "/dev/null", "-o", cls.library], check=True)
        cls.om = str(BUILD / "cli" / "om")
        cls.env = {**os.environ, "OM_PRELOAD": str(cls.library), "OM_CONTROL": str(cls.dir / "none.sock"),
                   "PATH": "/usr/local/bin:/usr/bin:/bin"}  # no unreadable ones: execvp would report those
        for name in ("LD_PRELOAD", "GLIBC_TUNABLES", "OM_CPU"):
            cls.env.pop(name, None)

    def run_om(self, *arguments, **more):
        more.setdefault("env", self.env)
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([self.om, "run", *map(str, arguments)], text=True, capture_output=True,
                              timeout=LIMIT, **more)

    def compile(self, name, *flags, text="int main(void) { return 4; }\n"):
        (self.dir / "x.c").write_text(text)
        subprocess.run(["gcc", self.dir / "x.c", *flags, "-o", self.dir / name], check=True)
        return self.dir / name

    def start(self, script, **more):
        """Starts a shell job under om run, which writes its pid; returns (om's process, the job's pid)."""
        runner = subprocess.Popen([self.om, "run", "--", "sh", "-c", "echo $$; " + script], env=self.env,
                                  stdout=subprocess.PIPE, text=True, **more)
        self.addCleanup(runner.stdout.close)
        self.addCleanup(runner.wait)
        self.addCleanup(runner.kill)
        return runner, int(runner.stdout.readline())

    def test_status_is_the_jobs(self):
        for script, status in (("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143),
                               ("kill -KILL $$", 137), ("kill -SEGV $$", 139)):
            done = self.run_om("--", "sh", "-c", script)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (status, "", ""), script)

    def test_om_s_own_failures(self):
        self.assertEqual(self.run_om().returncode, 125)
        self.assertEqual(self.run_om("--no-such-option", "ls").returncode, 125)
        self.assertEqual(self.run_om("--cpu", "pentium", "true").returncode, 125)
        self.assertEqual(self.run_om("true", env={**self.env, "OM_PRELOAD": "/nowhere/libom.so"}).returncode, 125)
        done = self.run_om("om-no-such-program")
        self.assertEqual(done.returncode, 127)
        self.assertIn("om-no-such-program", done.stderr)
        self.assertEqual(self.run_om("./no-such-file").returncode, 127)
        self.assertEqual(self.run_om(self.dir).returncode, 126)
        (self.dir / "data").write_text("x")
        self.assertEqual(self.run_om(self.dir / "data").returncode, 126)

    def test_arguments_and_streams_pass_through(self):
        done = self.run_om("printf", "%s|", "--json", "--", "-x", "a b")
        self.assertEqual(done.stdout, "--json|--|-x|a b|")
        done = self.run_om("--", "sh", "-c", "cat; echo oops >&2", stdin=None, input="text\n")
        self.assertEqual((done.stdout, done.stderr), ("text\n", "oops\n"))
        (self.dir / "script").write_text("echo from a script $1\n")
        (self.dir / "script").chmod(0o755)
        self.assertEqual(self.run_om(self.dir / "script", "x").stdout, "from a script x\n")

    def test_library_is_loaded_behind_others(self):
        done = self.run_om("grep", "-c", "libom.so", "/proc/self/maps")
        self.assertEqual(done.returncode, 0)
        shutil.copy(self.library, self.dir / "other.so")
        done = self.run_om("sh", "-c", "echo $LD_PRELOAD", env={**self.env, "LD_PRELOAD": str(self.dir / "other.so")})
        self.assertEqual(done.stdout, f"{self.dir}/other.so:{self.library}\n")

    def test_baseline(self):
        done = self.run_om("--cpu", "x86-64-v3", "--", "sh", "-c",
                           "echo $OM_CPU $LD_BIND_NOW $GLIBC_TUNABLES $OPENSSL_ia32cap")
        words = done.stdout.split()
        self.assertEqual(words[:2], ["x86-64-v3", "1"])
        self.assertIn("-AVX512F", words[2])
        self.assertRegex(words[3], "^~0x[0-9a-f]+:~0x[0-9a-f]+$")
        # This libc knows the tunable: the loader's own list of active features loses AVX2.
        loader = "/lib64/ld-linux-x86-64.so.2"
        def active(*options):
            return re.findall(r"features\[0x1\].active\[0x1\]=(\w+)",
                              self.run_om(*options, loader, "--list-diagnostics").stdout)
        avx2 = 1 << 5
        self.assertFalse(int(active("--cpu", "x86-64-v2")[0], 16) & avx2)
        if " avx2 " in pathlib.Path("/proc/cpuinfo").read_text():
            self.assertTrue(int(active("--cpu", "host")[0], 16) & avx2)
        self.assertEqual(self.run_om("--cpu", "x86-64-v2", "openssl", "version").returncode, 0)

    def test_programs_that_stay_at_home_run(self):
        static = self.compile("static", "-static")
        done = self.run_om(static)
        self.assertEqual(done.returncode, 4)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("STATIC_BINARY", done.stderr)
        sanitized = self.compile("sanitized", "-fsanitize=address")
        done = self.run_om(sanitized)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("SANITIZER", done.stderr)

    def test_check(self):
        def check(*arguments):
            return subprocess.run([self.om, "check", *map(str, arguments)], env=self.env, text=True,
                                  capture_output=True)
        done = check("--", "sleep", "5")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answer = json.loads(check("--json", "--", "sleep").stdout)
        self.assertEqual((answer["can_move"], answer["reasons"]), (True, []))
        static = self.compile("static2", "-static")
        done = check("--", static)
        self.assertEqual(done.returncode, 6)
        self.assertIn("STATIC_BINARY: ", done.stdout)
        self.assertGreater(len(done.stdout.splitlines()), 1)  # the remedy
        done = check("--json", static)
        self.assertEqual(done.returncode, 6)
        self.assertEqual(set(json.loads(done.stdout)["reasons"][0]), {"code", "message", "remedy"})
        self.assertEqual(check("--", "om-no-such-program").returncode, 1)
        self.assertEqual(check().returncode, 2)

    def test_signals_are_passed_on(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            runner, job = self.start("exec sleep 1000")
            runner.send_signal(number)
            self.assertEqual(runner.wait(LIMIT), 128 + number)
            self.assertEqual(state(job), "-")
        runner, job = self.start("trap 'echo got usr1' USR1; trap 'exit 9' TERM; echo ready; "
                                 "while :; do sleep 0.05; done")
        self.assertEqual(runner.stdout.readline(), "ready\n")
        runner.send_signal(signal.SIGUSR1)
        self.assertEqual(runner.stdout.readline(), "got usr1\n")
        runner.send_signal(signal.SIGTERM)
        self.assertEqual(runner.wait(LIMIT), 9)

    def test_job_ends_with_om_run(self):
        runner, job = self.start("exec sleep 1000")
        runner.kill()
        runner.wait(LIMIT)
        wait_for(lambda: state(job) in "-Z", "the job's end")

    def test_ignored_signals_stay_ignored(self):
        runner, job = self.start("kill -INT $$; echo alive",
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        self.assertEqual(runner.stdout.readline(), "alive\n")
        self.assertEqual(runner.wait(LIMIT), 0)

    def test_ignored_sigchld_is_no_obstacle(self):
        runner, job = self.start("exit 5", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual(runner.wait(LIMIT), 5)

    def test_stop_and_continue(self):
        # A group of its own with a parent in the same session: the kernel does not stop orphaned groups with SIGTSTP.
        runner, job = self.start("exec sleep 1000", process_group=0)
        os.kill(job, signal.SIGSTOP)
        wait_for(lambda: state(runner.pid) == "T", "om run stopped with its job")
        runner.send_signal(signal.SIGCONT)
        wait_for(lambda: state(runner.pid) == "S" and state(job) == "S", "both going on")
        runner.send_signal(signal.SIGTSTP)
        wait_for(lambda: state(job) == "T", "the job stopped through om run")
        runner.send_signal(signal.SIGCONT)
        wait_for(lambda: state(job) == "S", "the job going on")

    def test_in_a_pipeline(self):
        done = subprocess.run(["sh", "-c", f"'{self.om}' run -- seq 3 | '{self.om}' run -- tail -n 1"], env=self.env,
                              text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "3\n", ""))


class Terminal:
    """An interactive bash on a pty."""

    def __init__(self, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**env, "PS1": "PROMPT> ", "TERM": "dumb"})
        self.seen = ""
        self.expect("PROMPT> ")

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern):
        deadline = time.monotonic() + LIMIT
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} on the terminal, but {self.seen!r}")
            self.seen += os.read(self.fd, 4096).decode(errors="replace")

    def command(self, text, pattern="PROMPT> "):
        self.send(text + "\n")
        return self.expect(pattern)

    def wait_foreground(self):
        """Waits until a job has the terminal and runs: the shell may discard what is typed earlier."""
        wait_for(lambda: os.tcgetpgrp(self.fd) != self.pid and state(os.tcgetpgrp(self.fd)) == "S", "a foreground job")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class JobControl(Run):
    def setUp(self):
        self.terminal = Terminal(self.env)
        self.addCleanup(self.terminal.close)

    def test_stop_foreground_interrupt(self):
        terminal = self.terminal
        terminal.command(f"{self.om} run -- cat", "cat\r\n")
        terminal.wait_foreground()
        terminal.command("one", "one\r\none\r\n")
        terminal.send("\x1a")
        terminal.expect(r"Stopped[^\r]*run -- cat")
        terminal.expect("PROMPT> ")
        terminal.command("fg", "run -- cat\r\n")
        terminal.wait_foreground()
        terminal.command("two", "two\r\ntwo\r\n")
        terminal.send("\x03")
        terminal.expect("PROMPT> ")
        terminal.command("echo status=$?", "status=130\r\n")

    def test_background_reader_stops_and_comes_back(self):
        terminal = self.terminal
        terminal.command(f"{self.om} run -- cat &")
        terminal.command("wait %1; jobs", r"Stopped[^\r]*run -- cat")
        terminal.command("fg", "run -- cat\r\n")
        terminal.wait_foreground()
        terminal.command("hello", "hello\r\nhello\r\n")
        terminal.send("\x04")
        terminal.expect("PROMPT> ")
        terminal.command("echo status=$?", "status=0\r\n")

    def test_signal_to_the_job_by_number(self):
        terminal = self.terminal
        terminal.command(f"{self.om} run -- sleep 1000 &")
        terminal.command("kill $!; wait $!; echo status=$?", "status=143\r\n")

    def test_bg_goes_on_without_the_terminal(self):
        terminal = self.terminal
        flag = self.dir / "go"
        # Builtins only: a shell that has just called vfork cannot stop, with or without om.
        terminal.command(f"{self.om} run -- sh -c 'echo started; until [ -e {flag} ]; do :; done; echo finished'",
                         "started\r\n")
        terminal.send("\x1a")
        terminal.expect("Stopped")
        terminal.command("bg")
        flag.touch()
        terminal.expect("finished\r\n")
        wait_for(lambda: not pathlib.Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text(), "the end")


# The base class's tests run once.
for name in [name for name in vars(Run) if name.startswith("test_")]:
    setattr(JobControl, name, None)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    known, rest = parser.parse_known_args()
    BUILD = known.build.resolve()
    unittest.main(argv=[sys.argv[0], *rest])
