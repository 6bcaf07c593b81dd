#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of check_text.py: every rule has a sample that breaks it and one that does not."""

import pathlib
import tempfile
import unittest

import check_text

HEAD = '// SPDX-License-Identifier: Apache-2.0\n//\n// What it is for.\n'
HASH_HEAD = '# SPDX-License-Identifier: Apache-2.0\n'


class Text(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-text-')
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def problems(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = check_text.check_tree(self.root)
        path.unlink()
        return found

    def good(self, name, text):
        self.assertEqual([], self.problems(name, text))

    def bad(self, expected, name, text):
        found = self.problems(name, text)
        self.assertEqual(1, len(found), found)
        self.assertIn(expected, found[0])

    def test_licence(self):
        self.good('a/x.cc', HEAD)
        self.good('a/x.py', '#!/usr/bin/env python3\n' + HASH_HEAD)
        self.bad('SPDX', 'a/x.py', '#!/usr/bin/env python3\nimport os\n')
        self.bad('SPDX', 'a/meson.build', "project('x')\n")
        self.good('README.md', '# x\n')

    def test_head_comment(self):
        self.bad('no comment at the head', 'a/x.h', HEAD.splitlines()[0] + '\nint f();\n')

    def test_source_of_a_header_needs_no_head(self):
        (self.root / 'x.h').write_text(HEAD)
        self.good('x.cc', HEAD.splitlines()[0] + '\nint f();\n')

    def test_columns(self):
        self.good('a/x.cc', HEAD + '/' * check_text.MOST_COLUMNS + '\n')
        self.bad('columns', 'a/x.cc', HEAD + '/' * (check_text.MOST_COLUMNS + 1) + '\n')
        self.good('a/x.tbl', HASH_HEAD + 'x' * 300 + '\n')

    def test_size(self):
        self.good('a/x.cc', HEAD + 'int f();\n' * 400)
        self.bad('500 lines', 'a/x.cc', HEAD + 'int f();\n' * 600)
        self.good('a/x.cc', HEAD + '// Over 500 lines, because.\n' + 'int f();\n' * 600)
        self.bad('900 lines', 'a/x.cc', HEAD + '// Over 500 lines, because.\n' + 'int f();\n' * 900)

    def test_blanks_tabs_ends(self):
        self.bad('blanks', 'a/x.cc', HEAD + 'int f(); \n')
        self.bad('a tab', 'a/x.cc', HEAD + '\tint f();\n')
        self.bad('no newline', 'a/x.cc', HEAD + 'int f();')
        self.bad('UTF-8', 'a/x.cc', b'\xff\xfe')

    def test_kinds_of_todo(self):
        self.good('a/x.cc', HEAD + '// TO' + 'DO(perf): measure.\n')
        self.bad('TODO(kind)', 'a/x.cc', HEAD + '// TO' + 'DO: measure.\n')
        self.bad('TODO(kind)', 'a/x.cc', HEAD + '// TO' + 'DO(now): measure.\n')
        self.bad('TODO(kind)', 'a/x.cc', HEAD + '// FIX' + 'ME\n')
        self.good('a/x.cc', HEAD + '// "/tmp/x-XXXXXX"\n')

    def test_paths_of_one_machine(self):
        self.bad('a path', 'a/x.cc', HEAD + '// see /wo' + 'rk/main\n')
        self.bad('a path', 'docs/x.md', 'see /ro' + 'ot/x\n')
        self.good('a/x.cc', HEAD + '// test/wo' + 'rk/a\n')

    def test_numbers_of_issues(self):
        self.bad('a number', 'docs/x.md', 'see issue ' + '#12\n')
        self.bad('a number', 'docs/x.md', 'as issue' + ' 3 says\n')

    def test_file_names(self):
        self.bad('snake_case', 'a/SomeThing.cc', HEAD)
        self.good('a/entry.S', '/* SPDX-License-Identifier: Apache-2.0\n *\n */\n')

    def test_builds_and_caches_are_skipped(self):
        self.good('build-x/x.cc', 'x')
        self.good('a/__pycache__/x.py', 'x')
        self.good('.git/x.py', 'x')
        self.good('b/.git', 'gitdir: elsewhere')


if __name__ == '__main__':
    unittest.main()
