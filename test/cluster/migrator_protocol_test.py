#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""om-migrator and om end to end, without moving anything: om-deputy and om-guest are stand-ins, which this test writes
into a separate directory and which only speak the protocols of docs/ARCHITECTURE.md, the first through deputy_lines.cc.

    migrator_protocol_test.py --build DIR [unittest arguments]

It is one file because all of it needs the stand-ins below and the same cluster.

The stand-ins read MODE (a file beside them) at every command, so that a test can make them misbehave.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import om_process  # noqa: E402
from om_cluster import daemons_of  # noqa: E402

PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
RECORD_KEYS = {"pid", "from", "to", "mode", "freeze_ms", "total_ms", "bytes_raw", "bytes_wire", "pages",
               "threads", "result", "code", "message", "moved"}
LIMIT = 30  # seconds before something that must happen counts as not happening

FAKE_DEPUTY = r'''#!%(python)s
import argparse, json, os, pathlib, secrets, select, socket, subprocess, sys, threading, time
parser = argparse.ArgumentParser()
for name in ("--pid", "--start", "--node", "--listen", "--wire"):
    parser.add_argument(name, required=True)
options = parser.parse_args()
here = pathlib.Path(__file__).parent
keeper = None
speaker = None

def speak():
    # Through a program that knows the daemon's protocol, on descriptor 3.
    global speaker
    speaker = subprocess.Popen([here / "deputy_lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               pass_fds=(3,))

def mode():
    return (here / "MODE").read_text().strip()

def write(**line):
    try:
        speaker.stdin.write(json.dumps(line) + "\n")
        speaker.stdin.flush()
    except BrokenPipeError:
        pass  # the daemon has gone

def say(what, **more):
    write(say=what, **more)

def answer(command, **data):
    write(answer=command["id"], data=data)

def state(at, word):
    say("state", at=at, state=word)

def end(status):
    # What has been said reaches the daemon before.
    speaker.stdin.close()
    speaker.wait()
    os._exit(status)

def leave_keeper():
    global keeper
    if keeper is not None:
        keeper.close()
        keeper = None

def need_guest(to, port, key, features, uid=12345, memory=1 << 20):
    say("need_guest", to=to, port=port, session=key, secret=2 * key[::-1],
        cipher=0 if options.wire == "plain" else 2,
        offer={"abi": %(abi)d, "pid": 1, "uid": uid, "command": "job", "memory_bytes": memory, "threads": 2,
               "cpus": os.cpu_count(), "cpu_features": features})

def depart(command):
    global keeper
    state("home" if keeper is None else current, "moving")
    if mode() == "begin":
        end(3)  # before it has asked for anything
    listener = socket.create_server((options.listen, 0))
    key = secrets.token_hex(8)
    need_guest(command["to"], listener.getsockname()[1], key,
               ["fpu"] + (["imaginary_feature"] if mode() == "imaginary" else []))
    verdict = json.loads(speaker.stdout.readline())
    assert verdict["verb"] == "guest", verdict
    if not verdict["ok"]:
        state("home", "home")
        answer(command, result="refused", code=verdict["code"], detail=verdict["detail"])
        return False
    leave_keeper()
    keeper, _ = listener.accept()
    hello = json.loads(keeper.makefile("r").readline())
    assert bytes.fromhex(hello["session"]).decode() == key and bytes.fromhex(hello["secret"]).decode() == 2 * key[::-1]
    assert (hello["cipher"] == 0) == (options.wire == "plain"), hello["cipher"]
    (here / ("guest-of-" + options.pid)).write_text(json.dumps(hello))
    state(command["to"], "away")
    say("stats", cpu_ms=1000, rss_bytes=123456, threads=7, calls=1)
    answer(command, result="moved", mode="full", freeze_ms=1.5, total_ms=9, bytes_raw=4096, bytes_wire=5000, pages=1,
           threads=2)
    return True

def come_home(command):
    leave_keeper()
    state("home", "home")
    answer(command, result="moved", total_ms=3)

def misbehave(command):
    what = command["what"]
    if what == "note":
        say("note", code="HOME_MEMORY", message="waits too often")
    if what == "crash":
        os._exit(9)
    if what in ("no message", "large message"):
        # Behind the speaker's back; from then on the daemon listens no more.
        os.write(3, b"\xff" * 4096 if what == "no message" else b"\0\0\0\0\xff\xff\xff\x7f" + b"x" * 4096)
        return
    if what == "forge":
        say("note", code="X\n2026-11-30T00:00:00.000Z sshd[1]: forged\x1b[31m", message="m")
    if what == "notes":
        for number in range(3000):
            say("note", code="HOME_MEMORY", message="X" * 1000)
    if what == "greedy":
        for _ in range(2):
            need_guest("n2", 9, "k" * 16, [], 0, 0)
        answers = [json.loads(speaker.stdout.readline()) for _ in range(2)]
        (here / "greedy").write_text(json.dumps(answers))
    answer(command)

def watch():
    # Ends with the process.
    try:
        select.select([os.pidfd_open(int(options.pid))], [], [])
    except ProcessLookupError:
        pass
    os._exit(0)

threading.Thread(target=watch, daemon=True).start()
current = "home"
(here / ("deputy-of-" + options.pid)).write_text(json.dumps(
    {"pid": os.getpid(), "uid": os.getuid(), "groups": os.getgroups(), "sid": os.getsid(0),
     "preload": "LD_PRELOAD" in os.environ, "control": os.environ.get("OM_CONTROL")}))
speak()
for text in speaker.stdout:
    command = json.loads(text)
    if mode() == "hang" and command["verb"] in ("depart", "home"):
        continue
    if mode() == "quit" and command["verb"] in ("depart", "take over"):
        end(3)
    if command["verb"] == "take over":
        current = command["at"]
        state(current, "away")
        continue
    if mode() == "shy" and command["verb"] == "depart":
        (here / "MODE").write_text("good")
        end(0)  # as one that has just brought its process home
    if mode() == "slow":
        with open(here / "slow-log", "a") as log:
            log.write("begin %%d\n" %% command["id"]); log.flush()
            time.sleep(0.3)
            log.write("end %%d\n" %% command["id"])
    if command["verb"] == "depart":
        if depart(command):
            current = command["to"]
        elif current == "home":
            end(0)
    elif command["verb"] == "home":
        come_home(command)
        end(0)
    elif command["verb"] == "cut":
        misbehave(command)
# The daemon has gone: keep the session and look for the next one.
while keeper is not None:
    control = socket.socket(socket.AF_UNIX)
    try:
        control.connect(os.environ["OM_CONTROL"])
        control.sendall(json.dumps({"verb": "deputy.attach", "pid": int(options.pid),
                                    "secret": os.environ["OM_ATTACH"]}).encode() + b"\n")
        said = b""
        while not said.endswith(b"\n"):
            said += control.recv(1) or b"\n"
        accepted = json.loads(said)["ok"]
    except (OSError, ValueError):
        accepted = False
    if not accepted:
        time.sleep(0.05)
        continue
    os.dup2(control.fileno(), 3)
    control.close()
    speak()
    state(current, "away")
    for text in speaker.stdout:
        command = json.loads(text)
        if command["verb"] == "home":
            come_home(command)
            end(0)
'''

FAKE_GUEST = r'''#!%(python)s
import argparse, json, os, socket, sys
parser = argparse.ArgumentParser()
for name in ("--home", "--node", "--guest", "--headroom", "--namespaces", "--memory", "--threads", "--cpu"):
    parser.add_argument(name, required=True)
options = parser.parse_args()
hello = json.loads(sys.stdin.readline())
hello["uid"] = os.getuid()
hello["node"] = options.node
hello["headroom"] = options.headroom
hello["namespaces"] = options.namespaces
hello["limits"] = [options.memory, options.threads, options.cpu]
host, port = options.home.rsplit(":", 1)
home = socket.create_connection((host, int(port)))
home.sendall((json.dumps(hello) + "\n").encode())
home.recv(1)
'''


def wait_for(condition, what):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for: " + what)
        time.sleep(0.02)


def alive(pid):
    """Whether it runs; zombies do not count."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Cluster(unittest.TestCase):
    """One cluster for all tests of a class; classes whose tests spoil it set `fresh` to get one per test."""
    build = None
    nodes = 3
    start_arguments = []
    fresh = False

    @classmethod
    def setUpClass(cls):
        if not cls.fresh:
            cls.start(cls)
            cls.addClassCleanup(cls.stop, cls)

    def setUp(self):
        if self.fresh:
            self.start()
            self.addCleanup(self.stop)
        self.set_mode("good")
        self.env = dict(self.env)
        self.jobs = []
        self.addCleanup(self.end_jobs)

    # `self` is the class or, with `fresh`, the test.
    def start(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="om-protocol-"))
        self.dir.chmod(0o755)  # keepers of a root daemon run as nobody
        self.libexec = self.dir / "libexec"
        self.libexec.mkdir()
        self.preload = self.build / "libom" / "libom.so"
        self.om_path = self.build / "cli" / "om"
        versions = json.loads(subprocess.check_output([self.om_path, "version", "--json"]))
        for name, text in (("om-deputy", FAKE_DEPUTY), ("om-guest", FAKE_GUEST)):
            (self.libexec / name).write_text(text % {"python": PYTHON, "abi": versions["keeper_gate_abi"]})
            (self.libexec / name).chmod(0o755)
        (self.libexec / "deputy_lines").symlink_to(self.build / "test" / "cluster" / "deputy_lines")
        (self.libexec / "om-migrator").symlink_to(self.build / "migrator" / "om-migrator")
        (self.libexec / "MODE").write_text("good")
        self.env = {**os.environ, "OM_LIBEXEC": str(self.libexec), "OM_PRELOAD": str(self.preload),
                    "PATH": f"{self.build}/cli:{self.build}/migrator:{os.environ['PATH']}"}
        self.env.pop("OM_CONTROL", None)
        self.cluster = self.dir / "cluster"
        subprocess.run([self.om_path, "cluster", "dev", "start", "--nodes", str(self.nodes), "--dir", self.cluster,
                        *self.start_arguments], env=self.env, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT)
        self.env["OM_CONTROL"] = str(self.cluster / "n1" / "control.sock")

    def stop(self):
        with om_process.reaping(daemons_of(self.cluster)):
            done = subprocess.run([self.om_path, "cluster", "dev", "stop", "--dir", self.cluster], env=self.env,
                                  timeout=120)
        if done.returncode == 0:
            shutil.rmtree(self.dir)
        else:
            raise AssertionError(f"om cluster dev stop: status {done.returncode}; kept {self.dir}")

    def end_jobs(self):
        for job in self.jobs:
            if job.poll() is None:
                job.kill()
            job.wait()

    def set_mode(self, mode):
        (self.libexec / "MODE").write_text(mode)
        (self.libexec / "MODE").chmod(0o666)

    def om(self, *arguments, **more):
        more.setdefault("env", self.env)
        stopped = daemons_of(arguments[-1]) if arguments[:3] == ("cluster", "dev", "stop") else []
        with om_process.reaping(stopped):
            return subprocess.run([self.om_path, *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, timeout=120, **more)

    def om_json(self, *arguments, code=0, **more):
        done = self.om(*arguments, "--json", **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def job(self, *command, program="sleep", preload=True):
        env = dict(self.env)
        if preload:
            env["LD_PRELOAD"] = str(self.preload)
        job = subprocess.Popen(command or ["sleep", "1000"], env=env)
        self.jobs.append(job)
        # Before exec it is still this test.
        wait_for(lambda: os.path.realpath(f"/proc/{job.pid}/exe") == os.path.realpath(shutil.which(program)), "exec")
        if preload:
            wait_for(lambda: "libom.so" in pathlib.Path(f"/proc/{job.pid}/maps").read_text(), "libom.so in the job")
        return job.pid

    def deputy_of(self, pid):
        said = self.libexec / f"deputy-of-{pid}"
        wait_for(lambda: said.exists() and said.read_text().endswith("}"), "the deputy's start")
        return json.loads(said.read_text())

    def where(self, pid):
        return self.om("where", pid).stdout.strip()

    def raw(self, *lines):
        """The control socket's answers to these bytes, line by line until it closes."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.env["OM_CONTROL"])
            control.settimeout(LIMIT)
            try:
                control.sendall(b"".join(lines))
            except BrokenPipeError:
                pass  # it has been answered already: what is too long is not read to its end
            control.shutdown(socket.SHUT_WR)
            answers = []
            try:
                for line in control.makefile("rb"):
                    answers.append(json.loads(line))
            except ConnectionResetError:
                pass  # it closed before reading all of a bad line
            return answers


class Moves(Cluster):
    def test_there_and_on_and_back(self):
        def keepers_on(node):
            lines = (self.cluster / node / "children").read_text().splitlines()
            return sum(json.loads(line)["about"] == pid for line in lines)

        pid = self.job()
        self.assertEqual(self.where(pid), "n1")
        record = self.om_json("migrate", pid, "n2")
        self.assertEqual(set(record), RECORD_KEYS)
        self.assertEqual((record["pid"], record["from"], record["to"], record["result"], record["moved"]),
                         (pid, "n1", "n2", "moved", True))
        self.assertEqual((record["mode"], record["freeze_ms"], record["bytes_raw"], record["pages"]),
                         ("full", 1.5, 4096, 1))
        self.assertEqual(self.where(pid), "n2")
        (row,) = [row for row in self.om_json("ps") if row["pid"] == pid]
        self.assertEqual(set(row), {"pid", "home", "at", "threads", "rss_bytes", "cpu_percent", "cpu_ms", "running",
                                    "calls_per_cpu_s", "state", "command"})
        self.assertEqual((row["home"], row["at"], row["state"], row["command"]), ("n1", "n2", "away", "sleep 1000"))
        self.assertEqual((row["rss_bytes"], row["threads"]), (123456, 7))
        self.assertEqual(keepers_on("n2"), 1)
        nodes = self.om_json("nodes", env={**self.env, "OM_CONTROL": str(self.cluster / "n2/control.sock")})
        self.assertGreaterEqual({node["name"]: node["guests"] for node in nodes}["n2"], 1)

        record = self.om_json("migrate", pid, "n3")
        self.assertEqual((record["from"], record["to"]), ("n2", "n3"))
        record = self.om_json("migrate", pid, "home")
        self.assertEqual((record["from"], record["to"], record["result"]), ("n3", "n1", "moved"))
        self.assertEqual(self.where(pid), "n1")
        deputy = self.deputy_of(pid)
        wait_for(lambda: not alive(deputy["pid"]), "the deputy's end")
        wait_for(lambda: keepers_on("n2") + keepers_on("n3") == 0, "the keepers' end")
        kinds = [event["kind"] for event in self.om_json("events", pid)]
        self.assertEqual(kinds.count("moved"), 3)
        # Once more with a new deputy.
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        self.assertNotEqual(self.deputy_of(pid)["pid"], deputy["pid"])
        self.assertEqual(self.om("migrate", pid, "n1").returncode, 0)

    def test_children_of_the_daemon(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        deputy = self.deputy_of(pid)
        self.assertEqual(deputy["uid"], os.getuid())
        self.assertEqual(deputy["sid"], deputy["pid"])
        self.assertFalse(deputy["preload"])
        self.assertEqual(deputy["control"], self.env["OM_CONTROL"])
        guest = json.loads((self.libexec / f"guest-of-{pid}").read_text())
        self.assertEqual((guest["node"], guest["headroom"], guest["namespaces"]), ("n2", str(64 << 20), "try"))
        self.assertEqual(guest["limits"], ["0", "0", "normal"])
        # The daemon replaces the deputy's claims about the process by what it sees itself.
        self.assertEqual((guest["offer"]["pid"], guest["offer"]["uid"]), (pid, os.getuid()))
        if os.getuid() == 0:
            self.assertEqual(deputy["groups"], [])
            self.assertNotEqual(guest["uid"], 0)

    def test_nothing_to_do(self):
        pid = self.job()
        for target in ("home", "n1"):
            done = self.om("migrate", pid, target)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
            self.assertIn("already", done.stderr)
        record = self.om_json("migrate", pid, "home")
        self.assertEqual((record["code"], record["moved"]), ("ALREADY_THERE", False))
        self.om_json("migrate", pid, "n2")
        self.assertEqual(self.om_json("migrate", pid, "n2")["code"], "ALREADY_THERE")
        self.assertEqual(set(record), RECORD_KEYS)

    def test_exit_codes(self):
        pid = self.job()
        plain = self.job(preload=False)
        for arguments, code in (((pid, "n9"), 4), ((pid, "N9 x"), 4), ((2 ** 22, "n2"), 4), (("x", "n2"), 2),
                                ((0, "n2"), 2), ((-5, "n2"), 2), ((pid,), 2), ((pid, "n2", "--timeout", "0"), 2),
                                ((plain, "n2"), 6), ((plain, "home"), 6)):
            with self.subTest(arguments=arguments):
                done = self.om("migrate", *arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr.startswith("om: "))
        record = self.om_json("migrate", plain, "n2", code=6)
        self.assertEqual((record["result"], record["code"]), ("refused", "NOT_PRELOADED"))
        self.assertEqual(set(self.om_json("migrate", pid, "n9", code=4)), RECORD_KEYS)
        self.assertEqual(self.om("where", plain).returncode, 4)
        nowhere = {**self.env, "OM_CONTROL": str(self.dir / "nobody.sock")}
        for verb in (("ps",), ("where", pid), ("migrate", pid, "n2"), ("nodes",), ("events",), ("why", pid)):
            self.assertEqual(self.om(*verb, env=nowhere).returncode, 3, verb)

    def test_refused_by_the_target(self):
        pid = self.job()
        self.set_mode("imaginary")
        done = self.om("migrate", pid, "n2")
        self.assertEqual(done.returncode, 6)
        self.assertIn("CPU_FEATURE", done.stderr)
        self.assertIn("imaginary_feature", done.stderr)
        self.assertEqual(self.where(pid), "n1")
        self.set_mode("good")
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)

    def test_baseline_is_offered(self):
        pid = self.job("env", "OM_CPU=x86-64-v2", "sleep", "1000")
        self.set_mode("imaginary")
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)

    def test_requests_for_one_process_wait_in_order(self):
        pid = self.job()
        self.set_mode("slow")
        codes = []
        threads = [threading.Thread(target=lambda to=to: codes.append(self.om("migrate", pid, to).returncode))
                   for to in ("n2", "n3", "n2", "n3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, [0, 0, 0, 0])
        words = [line.split() for line in (self.libexec / "slow-log").read_text().splitlines()]
        self.assertGreaterEqual(len(words), 2)
        for begin, end in zip(words[::2], words[1::2]):
            self.assertEqual((begin[0], end[0], begin[1]), ("begin", "end", end[1]))

    def test_timeout(self):
        pid = self.job()
        self.set_mode("hang")
        done = self.om("migrate", pid, "n2", "--timeout", "0.2")
        self.assertEqual(done.returncode, 7)
        self.assertIn("TIMEOUT", done.stderr)
        # The next one waits for the first, and then gives up too.
        record = self.om_json("migrate", pid, "n3", "--timeout", "0.2", code=7)
        self.assertEqual(record["code"], "TIMEOUT")
        os.kill(self.deputy_of(pid)["pid"], signal.SIGKILL)
        self.set_mode("good")
        wait_for(lambda: self.om("migrate", pid, "n2", "--timeout", "5").returncode == 0, "a new deputy")


class Failures(Cluster):
    nodes = 2

    def test_deputy_that_fails_at_home(self):
        pid = self.job()
        self.set_mode("quit")
        record = self.om_json("migrate", pid, "n2", code=1)
        self.assertEqual((record["result"], record["code"]), ("failed", "DEPUTY_LOST"))
        self.assertEqual(self.where(pid), "n1")
        self.set_mode("good")
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)

    def test_deputy_that_fails_before_it_has_asked_for_a_guest(self):
        """Nothing has left home: the process is there, and another deputy may move it."""
        pid = self.job()
        self.set_mode("begin")
        record = self.om_json("migrate", pid, "n2", code=1)
        self.assertEqual((record["result"], record["code"]), ("failed", "DEPUTY_LOST"))
        self.assertEqual(self.om_json("where", pid)["state"], "home")
        self.assertEqual(self.where(pid), "n1")
        self.set_mode("good")
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)

    def test_command_that_meets_a_leaving_deputy(self):
        pid = self.job()
        self.set_mode("shy")
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)

    def test_another_deputy_takes_over(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        first = self.deputy_of(pid)["pid"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: self.deputy_of(pid)["pid"] != first, "another deputy")
        wait_for(lambda: self.om_json("where", pid)["state"] == "away", "its word")
        self.assertEqual(self.where(pid), "n2")
        self.assertEqual([e["kind"] for e in self.om_json("events", pid)][-1], "adopt")
        self.assertEqual(self.om("migrate", pid, "home").returncode, 0)
        self.assertEqual(self.where(pid), "n1")

    def test_deputies_lost_while_away(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        self.set_mode("quit")  # so does every one that takes over
        os.kill(self.deputy_of(pid)["pid"], signal.SIGKILL)
        wait_for(lambda: any(e["kind"] == "lost" for e in self.om_json("events", pid)), "the event")
        (row,) = [row for row in self.om_json("ps") if row["pid"] == pid]
        self.assertEqual((row["state"], row["at"]), ("lost", "n2"))
        why = self.om_json("why", pid)
        self.assertFalse(why["can_move"])
        self.assertEqual(why["reasons"][0]["code"], "DEPUTY_LOST")
        self.assertEqual(self.om("migrate", pid, "home").returncode, 1)

    def test_process_that_ends_while_away(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        self.jobs[0].kill()
        self.jobs[0].wait()
        wait_for(lambda: all(row["pid"] != pid for row in self.om_json("ps")), "the process gone from om ps")
        self.assertEqual(self.om("where", pid).returncode, 4)

    def test_notes_and_debug(self):
        pid = self.job()
        self.assertEqual(self.om("debug", "cut", pid).returncode, 4)  # no deputy
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        self.assertEqual(json.loads(self.om("debug", "cut", pid).stdout), {"result": "cut"})
        self.assertEqual(self.om("debug", "note", pid).returncode, 0)
        why = self.om_json("why", pid)
        self.assertEqual([reason["code"] for reason in why["reasons"]], ["HOME_MEMORY"])
        self.assertTrue(why["reasons"][0]["remedy"])
        self.assertIn("HOME_MEMORY", self.om("events").stdout)

    def test_om_run_says_why_its_job_was_lost(self):
        runner = subprocess.Popen([self.om_path, "run", "--", "sleep", "1000"], env=self.env, text=True,
                                  stderr=subprocess.PIPE)
        self.jobs.append(runner)
        # The shell knows only the pid of om run; om follows it to the job.
        wait_for(lambda: self.om("where", runner.pid).stdout == "n1\n", "the job")
        record = self.om_json("migrate", runner.pid, "n2")
        pid = record["pid"]
        self.assertNotEqual(pid, runner.pid)
        self.assertEqual(self.where(runner.pid), "n2")
        self.om("debug", "note", runner.pid)
        os.kill(pid, signal.SIGKILL)
        _, said = runner.communicate(timeout=LIMIT)
        self.assertEqual(runner.returncode, 128 + signal.SIGKILL)
        self.assertEqual(said, f"om: process {pid}: HOME_MEMORY: waits too often\n")

    @unittest.skipUnless(os.getuid() == 0, "needs root")
    def test_other_users(self):
        pid = self.job()
        done = self.om("migrate", pid, "n2", user="nobody", group="nogroup", extra_groups=[])
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("PERMISSION", done.stderr)
        self.assertEqual(self.om("debug", "recall", user="nobody", group="nogroup", extra_groups=[]).returncode, 5)
        self.assertEqual(self.om("ps", user="nobody", group="nogroup", extra_groups=[]).returncode, 0)
        theirs = subprocess.Popen(["sleep", "1000"], user="nobody", group="nogroup", extra_groups=[],
                                  env={**self.env, "LD_PRELOAD": str(self.preload)})
        self.jobs.append(theirs)
        wait_for(lambda: "libom.so" in pathlib.Path(f"/proc/{theirs.pid}/maps").read_text(), "libom.so")
        self.libexec.chmod(0o777)
        done = self.om("migrate", theirs.pid, "n2", user="nobody", group="nogroup", extra_groups=[])
        self.assertEqual(done.returncode, 0, done.stderr)
        deputy = self.deputy_of(theirs.pid)
        self.assertEqual((deputy["uid"], deputy["groups"]), (os.stat(f"/proc/{theirs.pid}").st_uid, []))


class HostileDeputies(Cluster):
    """A deputy belongs to its user, who can make it say anything."""
    fresh = True

    def away(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        return pid

    def daemon(self):
        (answer,) = self.raw(b'{"verb":"version"}\n')
        return answer["data"]["pid"]

    def log_lines(self):
        return (self.cluster / "n1" / "log").read_text(errors="replace").splitlines()

    def test_bytes_that_are_no_message(self):
        before = self.daemon()
        seen = 0
        for what in ("no message", "large message"):
            pid = self.away()
            control = socket.socket(socket.AF_UNIX)
            self.addCleanup(control.close)
            control.connect(self.env["OM_CONTROL"])
            control.sendall(json.dumps({"verb": "debug", "what": what, "pid": pid}).encode() + b"\n")
            wait_for(lambda: f"connection to the deputy of process {pid}: " in "".join(self.log_lines()[seen:]),
                     "the bytes to be refused")
            seen = len(self.log_lines())
            self.assertEqual(self.daemon(), before)
            # The misbehaving deputy comes back, or another one takes over.
            wait_for(lambda: self.om("migrate", pid, "home").returncode == 0, "the way home")

    def test_what_is_no_code_forges_no_line(self):
        pid = self.away()
        self.assertEqual(self.om("debug", "forge", pid).returncode, 0)
        for line in self.log_lines():
            self.assertNotIn("\x1b", line)
            self.assertFalse(line.startswith("2026-11-30T00:00:00.000Z sshd"), line)
        self.assertFalse([event for event in self.om_json("events") if "forged" in event["code"]])

    def test_a_flood_of_notes_fills_neither_log_nor_events(self):
        other = self.away()
        self.om("debug", "note", other)
        pid = self.away()
        before = len(self.log_lines())
        self.assertEqual(self.om("debug", "notes", pid).returncode, 0)
        # A burst, and what the bucket has regained meanwhile.
        self.assertLess(len(self.log_lines()) - before, 1000)
        self.assertIn("HOME_MEMORY", [event["code"] for event in self.om_json("events", pid)])
        self.assertLessEqual(len(self.om_json("events")), 2200)

    def test_one_guest_is_asked_for_at_a_time(self):
        pid = self.away()
        self.assertEqual(self.om("debug", "greedy", pid).returncode, 0)
        answers = json.loads((self.libexec / "greedy").read_text())
        self.assertIn("asked for already", answers[0]["detail"])  # the second question is answered at once


class Restarts(Cluster):
    fresh = True

    def test_node_down(self):
        pid = self.job()
        state = json.loads((self.cluster / "cluster.json").read_text())
        os.kill(state["nodes"][1]["pid"], signal.SIGKILL)
        wait_for(lambda: {n["name"]: n["state"] for n in self.om_json("nodes")}["n2"] == "down", "n2 down")
        record = self.om_json("migrate", pid, "n2", code=6)
        self.assertEqual((record["result"], record["code"]), ("refused", "TARGET_UNREACHABLE"))
        self.assertEqual(self.om("migrate", pid, "n3").returncode, 0)

    def test_restart_of_the_daemon(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        deputy = self.deputy_of(pid)["pid"]
        path = self.cluster / "cluster.json"
        state = json.loads(path.read_text())
        old = state["nodes"][0]["pid"]
        arguments = pathlib.Path(f"/proc/{old}/cmdline").read_text().rstrip("\0").split("\0")
        keepers = [json.loads(line)["pid"] for line in (self.cluster / "n2/children").read_text().splitlines()]
        os.kill(old, signal.SIGTERM)
        wait_for(lambda: not alive(old), "the daemon's end")
        self.assertTrue(alive(deputy))
        self.assertEqual(self.om("ps").returncode, 3)
        at = arguments.index("--ready-fd")
        arguments[at:at + 2] = ["--ready-file", str(self.dir / "ready")]
        daemon = subprocess.Popen(arguments, env=self.env, start_new_session=True, stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        wait_for((self.dir / "ready").exists, "the new daemon")
        wait_for(lambda: self.where(pid) == "n2", "the deputy's coming back")
        self.assertTrue(all(alive(keeper) for keeper in keepers))
        self.assertEqual(self.om("migrate", pid, "home").returncode, 0)
        self.assertEqual(self.where(pid), "n1")


class Control(Cluster):
    nodes = 1

    def test_bad_requests_cost_only_their_connection(self):
        for line in (b"nonsense\n", b"[]\n", b"{\n", b"x" * 100000 + b"\n", b"\xff\xfe\n", b"\0\n",
                     b"[" * 50000 + b"\n"):
            (answer,) = self.raw(line)
            self.assertEqual((answer["ok"], answer["exit"]), (False, 2), line[:20])
        for request in ({}, {"verb": 1}, {"verb": "nothing"}, {"verb": "migrate"},
                        {"verb": "migrate", "pid": "1", "to": "n2"}, {"verb": "migrate", "pid": 1},
                        {"verb": "migrate", "pid": 1, "to": "x" * 100}, {"verb": "where", "pid": -1},
                        {"verb": "migrate", "pid": 1, "to": "home", "timeout_ms": 0}, {"verb": "events", "pid": 1.5},
                        {"verb": "epitaph"}, {"verb": "peers.set"}, {"verb": "debug", "pid": 1},
                        {"verb": "peers.set", "peers": [{"name": "../x", "address": "127.0.0.1:1"}]}):
            (answer,) = self.raw(json.dumps(request).encode() + b"\n")
            self.assertEqual((answer["ok"], answer["exit"]), (False, 2), request)
        self.assertEqual(len(self.raw(b'{"verb":"ps"}\n' * 50)), 50)
        self.assertEqual(self.om("ps").returncode, 0)

    def test_attach_is_for_the_owner_of_a_member(self):
        for pid in (1, os.getpid(), 2 ** 22):
            (answer,) = self.raw(json.dumps({"verb": "deputy.attach", "pid": pid}).encode() + b"\n")
            self.assertFalse(answer["ok"])

    def test_processes_of_other_nodes_are_not_listed(self):
        mine = self.job()
        self.env["OM_CONTROL"] = str(self.dir / "other.sock")
        other = self.job()
        self.env["OM_CONTROL"] = str(self.cluster / "n1" / "control.sock")
        pids = [row["pid"] for row in self.om_json("ps")]
        self.assertIn(mine, pids)
        self.assertNotIn(other, pids)
        done = self.om("migrate", other, "home")
        self.assertEqual(done.returncode, 6)
        self.assertIn("OTHER_NODE", done.stderr)

    def test_cpu_percent(self):
        busy = self.job("sh", "-c", "while :; do :; done", program="sh")
        idle = self.job()
        rows = {}

        def is_seen():
            rows.update((row["pid"], row["cpu_percent"]) for row in self.om_json("ps"))
            return rows.get(busy, 0) > 1  # whatever else the machine does

        wait_for(is_seen, "a busy job")
        self.assertLess(rows[idle], rows[busy])

    def test_second_daemon_for_the_same_socket(self):
        done = subprocess.run([self.build / "migrator/om-migrator", "--name", "x", "--control", self.env["OM_CONTROL"]],
                              capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another om-migrator", done.stderr)

    def test_plain_text_beyond_loopback_is_refused(self):
        for address in ("192.0.2.1", "0.0.0.0", "10.77.0.1"):
            done = subprocess.run([self.build / "migrator/om-migrator", "--name", "x", "--listen", address,
                                   "--wire", "plain", "--netns-private", "10.77.0.0/24",
                                   "--control", self.dir / "x.sock"],
                                  capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 1, address)
            self.assertIn(address if address != "10.77.0.1" else "--netns-private", done.stderr)

    def test_human_output(self):
        pid = self.job()
        out = self.om("ps").stdout
        self.assertIn(str(pid), out)
        self.assertNotIn("\x1b", out)
        self.assertRegex(self.om("nodes").stdout, r"n1\*\s+up")
        self.assertEqual(self.om_json("why", pid)["can_move"], True)
        self.assertIn("can move", self.om("why", pid).stdout)
        self.assertIn("daemon of node n1", self.om("version").stdout)


class ClusterDev(Cluster):
    nodes = 2
    fresh = True

    def test_stop_ends_everything(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        state = json.loads((self.cluster / "cluster.json").read_text())
        pids = [node["pid"] for node in state["nodes"]]
        for node in ("n1", "n2"):
            pids += [json.loads(line)["pid"] for line in (self.cluster / node / "children").read_text().splitlines()]
        self.assertEqual(len(pids), 4)  # two daemons, a deputy, a keeper
        done = self.om("cluster", "dev", "stop", "--dir", self.cluster)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse([p for p in pids if alive(p)])
        self.assertFalse(self.cluster.exists())
        self.assertTrue(alive(pid))  # brought home first
        self.assertEqual(self.om("cluster", "dev", "stop", "--dir", self.cluster).returncode, 0)

    def test_stop_ends_deputies_that_cannot_come_home(self):
        pid = self.job()
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        deputy = self.deputy_of(pid)["pid"]
        os.kill(deputy, signal.SIGSTOP)
        path = self.cluster / "cluster.json"
        state = json.loads(path.read_text())
        for node in state["nodes"]:
            os.kill(node["pid"], signal.SIGKILL)
        done = self.om("cluster", "dev", "stop", "--dir", self.cluster)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(alive(deputy))

    def test_recycled_pids_are_not_touched(self):
        victim = subprocess.Popen(["sleep", "1000"])
        self.jobs.append(victim)
        path = self.cluster / "cluster.json"
        state = json.loads(path.read_text())
        real = dict(state["nodes"][0])
        state["nodes"].append({**real, "name": "n3", "pid": victim.pid, "start": real["start"]})
        path.write_text(json.dumps(state) + "\n")
        self.assertEqual(self.om("cluster", "dev", "stop", "--dir", self.cluster).returncode, 0)
        self.assertIsNone(victim.poll())

    def test_start_refuses_a_used_directory_and_env_a_wrong_node(self):
        done = self.om("cluster", "dev", "start", "--dir", self.cluster)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.om("cluster", "dev", "env", "--dir", self.cluster, "--node", "n9").returncode, 4)
        self.assertEqual(self.om("cluster", "dev", "env", "--dir", self.dir / "none", "--node", "n1").returncode, 1)
        self.assertEqual(self.om("cluster", "dev", "start", "--dir", self.dir / "x", "--nodes", "0").returncode, 2)

    def test_env_is_for_the_shell(self):
        out = self.om("cluster", "dev", "env", "--dir", self.cluster, "--node", "n2").stdout
        shown = subprocess.run(["sh", "-c", out + 'echo "$OM_CONTROL|$OM_PRELOAD|$OM_NODE"'], text=True,
                               capture_output=True, check=True).stdout.strip()
        self.assertEqual(shown, f"{self.cluster}/n2/control.sock|{self.preload}|n2")

    def test_a_failed_start_leaves_nothing(self):
        target = self.dir / "broken"
        # A directory in place of the peers file: the second step fails.
        target.mkdir()
        (target / "peers").mkdir()
        done = self.om("cluster", "dev", "start", "--dir", target)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(sorted(p.name for p in target.iterdir() if p.name != "peers"), [])

    def test_long_names_of_directories(self):
        target = self.dir / ("a name with 'quotes' and blanks " * 4)
        done = self.om("cluster", "dev", "start", "--nodes", "2", "--dir", target)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = self.om("cluster", "dev", "env", "--dir", target, "--node", "n1").stdout
        shown = subprocess.run(["sh", "-c", out + f'"{self.om_path}" nodes --json'], env=self.env, text=True,
                               capture_output=True, check=True).stdout
        self.assertEqual([node["state"] for node in json.loads(shown)], ["up", "up"])
        self.assertEqual(self.om("cluster", "dev", "stop", "--dir", target).returncode, 0)
        self.assertFalse(target.exists())


def can_make_namespaces():
    if os.getuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"om-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    return made and subprocess.run(["ip", "netns", "delete", name], capture_output=True).returncode == 0


@unittest.skipUnless(can_make_namespaces(), "needs root and network namespaces")
class NetworkNamespaces(Cluster):
    nodes = 2
    fresh = True
    start_arguments = ["--netns"]

    def test_moves_between_namespaces(self):
        pid = self.job()
        self.assertTrue(all(node["address"].startswith("10.77.0.") for node in self.om_json("nodes")))
        self.assertEqual(self.om("migrate", pid, "n2").returncode, 0)
        state = json.loads((self.cluster / "cluster.json").read_text())
        spaces = {os.stat(f"/proc/{node['pid']}/ns/net").st_ino for node in state["nodes"]}
        self.assertEqual(len(spaces | {os.stat("/proc/self/ns/net").st_ino}), 3)
        self.assertEqual(self.om("cluster", "dev", "stop", "--dir", self.cluster).returncode, 0)
        self.assertFalse([name for name in os.listdir("/run/netns") if name in
                          [node["namespace"] for node in state["nodes"]] + [state["switch_namespace"]]])

    def test_two_clusters_at_once(self):
        other = self.dir / "other"
        done = self.om("cluster", "dev", "start", "--nodes", "2", "--dir", other, "--netns")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.om("cluster", "dev", "stop", "--dir", other).returncode, 0)
        self.assertEqual([node["state"] for node in self.om_json("nodes")], ["up", "up"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    known, rest = parser.parse_known_args()
    Cluster.build = known.build.resolve()
    om_process.become_subreaper()
    del Cluster  # a base, not a test
    unittest.main(argv=[sys.argv[0], *rest])
