# SPDX-License-Identifier: Apache-2.0
"""A forked process that runs one function and returns its result through a pipe.

Every case runs in one, so that a case's leftover processes are descendants of its worker alone. A worker leads its own
session; when it is stopped, or its parent ends, it first ends its own program.
"""

import os
import pickle
import signal
import sys
import traceback

import om_process


class Worker:
    def __init__(self, function):
        self.fd, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.fd)
            self._work(function, writer)
        os.close(writer)
        self.data = bytearray()

    @staticmethod
    def _work(function, writer):
        status = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            om_process.become_subreaper()
            om_process.follow_parent(signal.SIGTERM)
            data = pickle.dumps(function())
            with os.fdopen(writer, 'wb') as pipe:
                pipe.write(data)
            status = 0
        except SystemExit:
            pass
        except BaseException:  # nothing may return into the parent's code
            traceback.print_exc()
        finally:
            os._exit(status)

    def feed(self):
        """Reads what is available; True if the worker has closed the pipe."""
        part = os.read(self.fd, 1 << 16)
        self.data += part
        return not part

    def wait(self):
        """The function's result; None if the worker died without one."""
        while not self.feed():
            pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)
        return pickle.loads(self.data) if self.data else None

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
