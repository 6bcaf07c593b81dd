#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lines of JSON that are nested without end, to every program that reads them: each refuses the line and none of
them ends by it. A value of 400,000 brackets once ended the daemon, by copying or printing it."""

import json
import pathlib
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'cluster'))

from harness import WAIT_LIMIT, ClusterCase, main  # noqa: E402
import om_process  # noqa: E402
from om_cluster import HOME_NODE  # noqa: E402

MIB = 1 << 20


def closed(depth):
    """A line of an object that is valid and nested that deep."""
    return b'{"a":' + b'[' * (depth - 1) + b']' * (depth - 1) + b'}\n'


LINES = (b'[' * MIB + b'\n', b'{"a":' + b'[' * MIB + b'\n', closed(MIB // 2 - 4), closed(30000), closed(33))


class DeepJson(ClusterCase):
    nodes = 1

    def ask(self, line):
        """What the control socket answers to a line; it may close before it has read all of it."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(WAIT_LIMIT)
            control.connect(self.cluster.environment()['OM_CONTROL'])
            try:
                control.sendall(line)
            except OSError:
                pass
            return json.loads(control.makefile('rb').readline())

    def test_control_socket(self):
        daemon = self.daemon_pid(HOME_NODE)
        for line in LINES:
            answer = self.ask(line)
            self.assertEqual((False, 'BAD_REQUEST'), (answer['ok'], answer['code']), line[:40])
        deep = closed(33).rstrip(b'\n')
        answer = self.ask(b'{"verb":"peers.set","peers":' + deep + b'}\n')
        self.assertEqual('BAD_REQUEST', answer['code'])
        self.om('ps')
        self.assertEqual(daemon, self.daemon_pid(HOME_NODE))
        self.assertTrue(om_process.alive(daemon))

    def test_answers_to_om(self):
        """A daemon that answers so, as somebody else's might."""
        path = self.folder / 'daemon.sock'
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            for line in LINES:
                def serve(text=line):
                    client, _ = listener.accept()
                    with client:
                        client.recv(65536)
                        try:
                            client.sendall(text)
                        except OSError:
                            pass
                server = threading.Thread(target=serve)
                server.start()
                done = subprocess.run([self.product.om, 'ps'], env={**self.cluster.environment(), 'OM_CONTROL': path},
                                      capture_output=True, text=True, timeout=WAIT_LIMIT, check=False)
                server.join()
                self.assertEqual((3, ''), (done.returncode, done.stdout), done.stderr)

    def run_helper(self, name, line, *arguments):
        """Starts a helper as the daemon does, feeds it a line and gives its exit status."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            fd = theirs.fileno()
            script = f'exec 3<&{fd} 0<&{fd}; exec "$0" "$@"'
            helper = subprocess.Popen(['/bin/bash', '-c', script, str(self.product.found[name]), *arguments],
                                      env=self.cluster.environment(), pass_fds=(fd,), stderr=subprocess.PIPE,
                                      start_new_session=True)
            self.addCleanup(self.end, helper)
            theirs.close()
            try:
                ours.sendall(line)
                ours.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            helper.communicate(timeout=WAIT_LIMIT)
            return helper.returncode

    def test_helpers(self):
        job = self.start('sleep', '1000')
        start = om_process.stat_fields(job.pid)[19]
        for line in LINES:
            self.assertEqual(1, self.run_helper('om-guest', line, '--home', '127.0.0.1:9', '--node', 'x', '--guest',
                                                '1@n1'))
            self.assertIn(self.run_helper('om-deputy', line, '--pid', str(job.pid), '--start', start, '--node', 'n1',
                                          '--listen', '127.0.0.1'), (0, 1))

    def test_files_of_the_daemon(self):
        """Its list of children, and what `om cluster dev` keeps."""
        killed = self.kill_daemon(HOME_NODE)
        children = pathlib.Path(self.cluster.directory, HOME_NODE, 'children')
        children.write_bytes(b''.join(LINES))
        self.restart_daemon(killed)
        self.om('ps')
        state = self.state_file()
        before = state.read_bytes()
        self.addCleanup(state.write_bytes, before)
        for line in LINES:
            state.write_bytes(line)
            done = self.cluster.run('cluster', 'dev', 'env', '--node', HOME_NODE, '--dir', self.cluster.directory)
            self.assertEqual((1, ''), (done.returncode, done.stdout))


if __name__ == '__main__':
    main()
