# SPDX-License-Identifier: Apache-2.0
"""Where the built programs are, which user runs them, and their environment.

Used by all Python parts of the tests. Nothing here starts a process. The tests run as an ordinary user without
capabilities: if started as root they first become another user (drop_privileges), because a test that works only as
root proves nothing for the users of the program.
"""

import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ('om', 'om-migrator', 'om-deputy', 'om-guest', 'om-body')
PRELOAD = 'libom.so'
DEFAULT_UID = 65534
# As on an ordinary system; libom keeps its descriptors above the soft limit of open files.
SOFT_FILES, HARD_FILES, SOFT_STACK, SOFT_SIGNALS = 1024, 4096, 8 << 20, 1000

EXIT_OK, EXIT_FAILED, EXIT_SKIP, EXIT_BROKEN = 0, 1, 77, 99


class BrokenSetup(Exception):
    """The test cannot be judged: something in its surroundings is missing or wrong."""
    kind, status = 'broken set-up', EXIT_BROKEN


class MachineLacks(BrokenSetup):
    """This machine cannot run the test, which is skipped with this reason."""
    kind, status = 'skipped', EXIT_SKIP


class Product:
    """Paths of one build directory."""

    def __init__(self, build=None):
        build = build or os.environ.get('OM_TEST_BUILD') or ROOT / 'build'
        self.build = pathlib.Path(build).resolve()
        if not self.build.is_dir():
            raise BrokenSetup(f'no build directory {self.build} (--build DIR or $OM_TEST_BUILD)')
        self.found = {}
        for folder, folders, files in os.walk(self.build):
            depth = len(pathlib.Path(folder).relative_to(self.build).parts)
            folders[:] = sorted(f for f in folders if depth < 3 and not f.startswith('meson-') and
                                not f.endswith('.p') and f != 'libexec')
            for name in PROGRAMS + (PRELOAD,):
                path = pathlib.Path(folder, name)
                if name in files and (name == PRELOAD or os.access(path, os.X_OK)):
                    self.found.setdefault(name, path)

    def missing(self):
        """Names of the parts that are not built yet."""
        return [name for name in PROGRAMS + (PRELOAD,) if name not in self.found]

    def require(self, *names):
        for name in names or PROGRAMS + (PRELOAD,):
            if name not in self.found:
                raise BrokenSetup(f'{name} is not built in {self.build}')

    @property
    def om(self):
        self.require('om')
        return str(self.found['om'])

    @property
    def preload(self):
        self.require(PRELOAD)
        return str(self.found[PRELOAD])

    def path(self):
        """PATH with the built programs first."""
        folders = dict.fromkeys(str(self.found[n].parent) for n in PROGRAMS if n in self.found)
        return ':'.join([*folders, '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'])

    def environment(self, home):
        """The small, fixed environment of clusters and of programs under test."""
        result = {'PATH': self.path(), 'HOME': str(home), 'TMPDIR': str(home), 'LANG': 'C',
                  'LC_ALL': 'C', 'TERM': 'dumb', 'NO_COLOR': '1', 'TZ': 'UTC',
                  'OM_LIBEXEC': str(self.build / 'libexec'), 'OM_PRELOAD': self.preload}
        for name in ('OM_LOG', 'OM_SESSION_TIMEOUT_S', 'OM_FAULT', 'OM_LIBEXEC', 'OM_TEST_CPUS',
                     'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'):
            if name in os.environ:
                result[name] = os.environ[name]
        return result

    def libexec_with(self, folder, program, stand_in):
        """A folder for OM_LIBEXEC in which a script replaces `program`, which is there as real-PROGRAM."""
        folder = pathlib.Path(folder)
        for link in (self.build / 'libexec').iterdir():
            name = link.name if link.name != program else f'real-{program}'
            (folder / name).symlink_to(link.resolve())
        # A copy: om-migrator follows links.
        shutil.copy(stand_in, folder / program)
        (folder / program).chmod(0o755)

    def check_readable(self):
        """Checks that the unprivileged user can run what root built."""
        for path in self.found.values():
            if not os.access(path, os.R_OK | os.X_OK):
                raise BrokenSetup(f'uid {os.geteuid()} cannot read {path}; '
                                  'use a build directory that other users can read')


def set_process_defaults():
    """Sets what an ordinary login gives a program, whatever started the tests.

    Limits of open files, the stack and pending signals, no core files (some programs must die), the usual umask, no
    ignored or blocked signals: the programs under test inherit all of it.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD,
                   signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    set_limit(resource.RLIMIT_NOFILE, SOFT_FILES, 'open files', least=HARD_FILES)
    set_limit(resource.RLIMIT_STACK, SOFT_STACK, 'the stack')
    set_limit(resource.RLIMIT_SIGPENDING, SOFT_SIGNALS, 'pending signals')
    set_limit(resource.RLIMIT_CORE, 0, 'core files')
    os.umask(0o022)


def set_limit(kind, soft, name, least=0):
    """Sets the soft limit; the hard one must be at least that, or `least`."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY and hard < max(soft, least):
        raise MachineLacks(f'the hard limit of {name} is {hard}, {max(soft, least)} is the least')
    resource.setrlimit(kind, (soft, hard))


def drop_privileges(*writable):
    """As root: gives the named paths to uid $OM_TEST_UID (65534), becomes that user, restarts itself.

    Does nothing for an ordinary user, or with OM_TEST_AS_ROOT=1 (for tests that need root). The restart makes the
    process dumpable again, which /proc and ptrace of its children need.
    """
    if os.geteuid() != 0 or os.environ.get('OM_TEST_AS_ROOT') == '1':
        set_process_defaults()
        return
    uid = int(os.environ.get('OM_TEST_UID', DEFAULT_UID))
    if uid == 0:
        raise BrokenSetup('OM_TEST_UID must not be 0 (OM_TEST_AS_ROOT=1 keeps root)')
    for path in writable:
        if path is None:
            continue
        path = pathlib.Path(path)
        if not path.exists():
            if path.suffix:
                path.touch()
            else:
                path.mkdir(parents=True)
        os.chown(path, uid, uid)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if not os.access(__file__, os.R_OK):
        raise BrokenSetup(f'uid {uid} cannot read {__file__}; check out where other users can read')
    os.environ['HOME'] = tempfile.gettempdir()
    os.environ['USER'] = os.environ['LOGNAME'] = 'nobody'
    os.environ['PYTHONDONTWRITEBYTECODE'] = '1'
    os.execv(sys.executable, [sys.executable, *sys.argv])


def work_directory(given, name):
    """A new directory for one run, in `given` or the system's default. Its name is short, as socket paths must be."""
    if given:
        os.makedirs(given, exist_ok=True)
        given = os.path.abspath(given)
    return pathlib.Path(tempfile.mkdtemp(prefix=f'om-{name}-', dir=given))


def remove_work(path):
    """Removes the directory of a run, unless OM_TEST_KEEP=1."""
    if os.environ.get('OM_TEST_KEEP') == '1':
        print(f'kept {path}', file=sys.stderr)
    else:
        remove_tree(path)


def remove_tree(path):
    """Removes a directory; first makes readable what a test made unreadable."""
    def again(function, failed, _):
        if os.path.abspath(failed) != os.path.abspath(path):  # never its parent
            os.chmod(os.path.dirname(failed), 0o700)
        if os.path.isdir(failed) and not os.path.islink(failed):
            os.chmod(failed, 0o700)
            shutil.rmtree(failed, ignore_errors=True)
        else:
            function(failed)
    shutil.rmtree(path, onerror=again)
