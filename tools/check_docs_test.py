#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of check_docs.py: it reports documents that are out of date."""

import pathlib
import shutil
import tempfile
import unittest

import check_docs

ROOT = pathlib.Path(__file__).resolve().parents[1]
REASONS = '''constexpr ReasonInfo kTable[] = {
    {kAio, "AIO", "One.", "Two.", kPreflight},
    {kIoUring, "IO_URING",
     "One.", "Two.", kPreflight},
'''
HELP = '''start
Usage: om cluster dev start [OPTIONS]

Options:
  -h,--help                   Print this help message and exit
  --dir TEXT REQUIRED         directory
  --netns                     one network namespace per node

Examples:
  om cluster dev start --other
'''


class Docs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-docs-')
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in ('docs', 'common', 'test'):
            (self.root / name).mkdir()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        return path

    def test_links(self):
        self.write('docs/b.md', '# One two\n\n## Of `om run`, 3\n')
        path = self.write('docs/a.md', '[x](b.md) [y](b.md#one-two) [z](b.md#of-om-run-3)\n'
                                       '[w](https://example.org/) [here](#a-heading)\n# A heading\n')
        self.assertEqual([], list(check_docs.check_links(self.root, path)))
        path = self.write('docs/a.md', 'x\n[x](c.md)\n[y](b.md#three)\n')
        self.assertEqual(['docs/a.md:2: no file c.md', 'docs/a.md:3: no heading b.md#three'],
                         list(check_docs.check_links(self.root, path)))

    def test_named_files(self):
        self.write('common/base/log.h', '')
        path = self.write('docs/a.md', '`common/base/log.h` `common/base/log` `other/none.h` `a/b`\n')
        self.assertEqual([], list(check_docs.check_named_files(self.root, path)))
        path = self.write('docs/a.md', '`common/none.h`\n')
        self.assertEqual(['docs/a.md:1: no file common/none.h'],
                         list(check_docs.check_named_files(self.root, path)))

    def test_files_of_the_own_folder(self):
        self.write('common/base/log.h', '')
        path = self.write('common/README.md', '`base/log.h` `other/none.h`\n')
        self.assertEqual([], list(check_docs.check_named_files(self.root, path)))
        path = self.write('common/README.md', '`base/none.h` `none.cc`\n')
        self.assertEqual(['common/README.md:1: no file base/none.h', 'common/README.md:1: no file none.cc'],
                         list(check_docs.check_named_files(self.root, path)))

    def test_files_in_comments(self):
        self.write('common/base/log.h', '// base/log.h, log.h; also <linux/a.h>, linux/b.h\n#include "none.h"\n')
        self.assertEqual([], list(check_docs.check_comments(self.root)))
        self.write('common/base/log.h', 'int x;  // see base/none.cc\n// none.py\n')
        self.assertEqual(['common/base/log.h:1: no file base/none.cc', 'common/base/log.h:2: no file none.py'],
                         list(check_docs.check_comments(self.root)))

    def test_code_maps(self):
        self.write('common/base/log.cc', '')
        self.write('deputy/link.cc', '')
        self.write('deputy/main.cc', '')
        self.write('common/README.md', '| `base/log.cc` |\n')
        self.assertEqual(['deputy/link.cc:1: in no code map'], list(check_docs.check_code_maps(self.root)))
        self.write('docs/a.md', '`deputy/link.cc`\n')
        self.assertEqual([], list(check_docs.check_code_maps(self.root)))

    def test_reasons(self):
        self.write('common/movable/reasons.cc', REASONS)
        self.write('docs/REASONS.md', '| AIO | x |\n| IO_URING | x |\n')
        self.assertEqual([], list(check_docs.check_reasons(self.root)))
        self.write('docs/REASONS.md', '| AIO | x |\n| CET | x |\n')
        self.assertEqual(['docs/REASONS.md:1: no row for IO_URING',
                          'docs/REASONS.md:1: CET is no code'],
                         list(check_docs.check_reasons(self.root)))

    def test_codes_are_in_the_table(self):
        self.write('common/movable/reasons.cc', REASONS)
        self.write('docs/REASONS.md', '| AIO | x |\n| IO_URING | x |\n')
        self.write('common/x.cc', 'a(getenv("OM_X"), "RLIMIT_AS");\n'
                                  '// "AIO"\nfailure(ExitCode::kFailure,\n "AIO", "");  // "IO_URING"\nb("UP_HERE");\n')
        self.write('deputy/x.h', 'if (code == "IO_URING") a("GET");\n')
        self.assertEqual(['common/x.cc:4: "AIO" is spelled out, say ReasonCode',
                          'common/x.cc:5: UP_HERE is no code of common/movable/reasons.cc',
                          'deputy/x.h:1: "IO_URING" is spelled out, say ReasonCode'],
                         list(check_docs.check_reasons(self.root)))

    def test_options(self):
        self.assertEqual((['--help', '--dir', '--netns'], []), check_docs.parsed_help(HELP))
        options = {'--dir': 'om x', '--netns': 'om x', '--help': 'om x', 'om ps': 'om'}
        self.write('docs/CLI.md', '`om ps`, --netns\n')
        self.assertEqual(['docs/CLI.md:1: --dir of "om x --help" is not described'],
                         list(check_docs.check_command_line(self.root, options)))
        self.write('docs/CLI.md', '`om ps`, --netns-x, --dir D\n')
        self.assertEqual(['docs/CLI.md:1: --netns of "om x --help" is not described'],
                         list(check_docs.check_command_line(self.root, options)))

    def test_verbs(self):
        self.assertEqual(([], ['migrate', 'ps']), check_docs.parsed_help(
            'x\n\nSubcommands:\n  migrate    move\n  ps         list\n\nExit status: 0\n'))

    def test_table_of_calls(self):
        (self.root / 'tools').mkdir()
        for part in ('gen_syscalls.py', 'body_rows.py', 'wait_rows.py'):
            shutil.copy(ROOT / 'tools' / part, self.root / 'tools')
        shutil.copytree(ROOT / 'libom/abi', self.root / 'libom/abi')
        self.write('docs/syscalls.md', 'old\n')
        found = list(check_docs.check_syscalls(self.root))
        self.assertEqual(1, len(found), found)
        self.assertIn('not up to date', found[0])


if __name__ == '__main__':
    unittest.main()
