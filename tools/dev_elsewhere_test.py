#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of what ./dev does for an ordinary user in a tree that only root can read (tools/dev_base.sh,
tools/dev_elsewhere.sh): nothing is rebuilt, and everything that a test needs is readable elsewhere."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
NOBODY = 65534
SKIPPED = 77
FILES = {'dev': '', 'test/a test.py': 'print("right")\n', '.git/config': '', 'build/build.ninja': '',
         'build/cli/om': '#!/bin/sh\necho "$0" "$@"\n', 'build/cli/om.p/main.o': '', 'build/libx.a': '',
         'build/meson-private/coredata.dat': ''}


class Elsewhere(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-else where-')  # readable by root alone
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='ascii')
            path.chmod(0o700)

    def shell(self, script, **how):
        """Runs script lines with the functions of tools/dev_base.sh."""
        environment = {**os.environ, 'OM_ROOT': str(self.root), 'OM_BUILD': str(self.root / 'build')}
        done = subprocess.run(['bash', '-euo', 'pipefail', '-c', f'source "$0"; {script}', HERE / 'dev_base.sh'],
                              env=environment, capture_output=True, text=True, timeout=60, check=False, **how)
        return done.returncode, done.stdout.splitlines(), done.stderr

    def test_a_tree_of_roots(self):
        status, lines, said = self.shell(
            'readable_by_others "$OM_BUILD" && echo readable; install_for_others "$OM_BUILD"; '
            'echo "$OM_PLACE"; end_with 3')
        self.assertEqual((3, 1), (status, len(lines)), said)
        place = pathlib.Path(lines[0])
        self.addCleanup(subprocess.run, ['rm', '-rf', place], check=True)
        found = {str(path.relative_to(place)) for path in place.rglob('*') if path.is_file()}
        self.assertEqual({'tree/dev', 'tree/test/a test.py', 'build/cli/om'}, found)
        self.assertIn(f'kept {place}', said)
        done = subprocess.run([HERE / 'dev_elsewhere.sh', self.root / 'build', self.root, place, 'setpriv',
                               f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', self.root / 'build/cli/om',
                               f'{self.root}/build/../test/a test.py', 'x', self.root / 'build'],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((0, f'{place}/build/cli/om {place}/tree/test/a test.py x {place}/build\n'),
                         (done.returncode, done.stdout), done.stderr)

    def test_nothing_is_left_when_all_is_well(self):
        status, lines, said = self.shell('install_for_others "$OM_BUILD"; echo "$OM_PLACE"; end_with 0')
        self.assertEqual((0, False), (status, os.path.exists(lines[0])), said)

    def test_a_tree_that_all_can_read(self):
        self.root.chmod(0o755)
        self.assertEqual(1, self.shell('readable_by_others "$OM_BUILD"')[0])
        for name in ('dev', 'build', 'build/build.ninja'):
            (self.root / name).chmod(0o755)
        self.assertEqual(0, self.shell('readable_by_others "$OM_BUILD"')[0])


if __name__ == '__main__':
    if os.geteuid() != 0:
        print('skipped: only root has such trees')
        sys.exit(SKIPPED)
    unittest.main()
