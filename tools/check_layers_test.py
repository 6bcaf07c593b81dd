#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of check_layers.py: it reports every forbidden include of a made-up tree, and no other."""

import pathlib
import tempfile
import unittest

import check_layers


class Layers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-layers-')
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.made = ('libom/abi/layout.h', 'libom/safe/mem.h', 'libom/gate/gate.h',
                     'libom/stub/stub.h', 'common/base/log.h', 'migrator/node.h', 'guest/body.h',
                     'deputy/session/link.h', 'test/lib/om_test.h', 'common/proc/maps.h', 'migrator/peers/offer.h',
                     'migrator/moves/keepers.h')
        for name in self.made:
            self.write(name, '#pragma once\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')

    def problems(self, name, *includes):
        """The problems found when `name` has these includes."""
        pragma = '#pragma once\n' if name.endswith('.h') else ''
        self.write(name, pragma + ''.join(f'#include {include}\n' for include in includes))
        found = check_layers.check_tree(self.root)
        if name not in self.made:
            (self.root / name).unlink()
        return found

    def test_calls_by_number(self):
        row = 'its row is to say it'
        for name, text, found in (
                ('libom/stub/stub.h', 'if (nr != kNr_read) return;',
                 [f'libom/stub/stub.h:2: "!= kNr_read": {row}']),
                ('deputy/link.h', 'case SYS_poll:', [f'deputy/link.h:2: "case SYS_poll": {row}']),
                ('libom/gate/gate.h', 'if (nr == kNrResume) call(kNr_write);', [])):
            self.write(name, '#pragma once\n' + text + '\n')
            self.assertEqual(found, check_layers.check_tree(self.root))
            self.write(name, '#pragma once\n')
        self.write('libom/stub/special.cc', 'case kNr_read:\n')
        self.assertEqual([], check_layers.check_tree(self.root))

    def test_doors(self):
        for name, text, found in (
                ('libom/gate/gate.h', 'if (om_copy(&v, p, 8) != 0) return;',
                 ['libom/gate/gate.h:2: "om_copy": memory of the program is accessed by libom/gate/user_memory.h']),
                ('libom/gate/gate.h', 'char om_copy_lo[]; sys(kNr_close, t->channel.fd);', []),
                ('libom/stub/stub.h', 'sys(kNr_read, t->channel.fd);',
                 ['libom/stub/stub.h:2: "kNr_read, t->channel.fd": channels are read and written by '
                  'libom/safe/stream.h'])):
            self.write(name, '#pragma once\n' + text + '\n')
            self.assertEqual(found, check_layers.check_tree(self.root))
            self.write(name, '#pragma once\n')
        self.write('libom/gate/user_memory.cc', 'return om_touch(p);\n')
        self.assertEqual([], check_layers.check_tree(self.root))

    def allowed(self, name, *includes):
        self.assertEqual([], self.problems(name, *includes))

    def forbidden(self, reason, name, *includes):
        found = self.problems(name, *includes)
        self.assertEqual(1, len(found), found)
        self.assertIn(reason, found[0])
        self.assertTrue(found[0].startswith(name + ':'), found[0])

    def test_what_is_allowed(self):
        self.allowed('libom/gate/a.cc', '"libom/abi/layout.h"', '"libom/safe/mem.h"',
                     '"gen/syscalls_desc.h"', '<stdint.h>')
        self.allowed('deputy/b.cc', '"common/base/log.h"', '"common/schema/node.capnp.h"', '<vector>')
        self.allowed('test/unit/c.cc', '"deputy/session/link.h"', '"migrator/node.h"')

    def test_fenced_code_is_below_hosted(self):
        self.forbidden('may not include common', 'libom/gate/a.cc', '"common/base/log.h"')
        self.forbidden('may not include libom/safe', 'libom/abi/a.h', '"libom/safe/mem.h"')

    def test_halves_of_the_library_are_apart(self):
        self.forbidden('may not include libom/stub', 'libom/gate/a.cc', '"libom/stub/stub.h"')

    def test_fenced_code_includes_no_library(self):
        self.forbidden('<string.h>', 'libom/safe/a.cc', '<string.h>')
        self.forbidden('<vector>', 'libom/safe/a.cc', '<vector>')

    def test_ciphers_have_one_door(self):
        self.allowed('libom/safe/seal.cc', '<bearssl/bearssl_aead.h>')
        self.forbidden('<bearssl/bearssl_aead.h>', 'libom/safe/a.cc', '<bearssl/bearssl_aead.h>')
        self.forbidden('<bearssl/bearssl_ssl.h>', 'libom/safe/seal.cc', '<bearssl/bearssl_ssl.h>')

    def test_hosted_code_does_not_enter_the_fence(self):
        self.forbidden('may not include libom/safe', 'common/base/a.cc', '"libom/safe/mem.h"')

    def test_programs_do_not_include_each_other(self):
        self.forbidden('may not include migrator', 'deputy/a.cc', '"migrator/node.h"')
        self.forbidden('may not include deputy', 'cli/a.cc', '"deputy/session/link.h"')

    def test_keeper_and_daemon_are_programs_of_their_own(self):
        self.forbidden('may not include migrator ', 'guest/a.cc', '"migrator/node.h"')
        self.forbidden('may not include guest', 'migrator/a.cc', '"guest/body.h"')

    def test_moved_programs_know_nothing(self):
        self.forbidden('may not include common', 'test/behaviour/a.cc', '"common/base/log.h"')

    def test_relative_or_missing(self):
        self.forbidden('is no file', 'deputy/a.cc', '"link.h"')
        self.forbidden('is no file', 'deputy/a.cc', '"common/none.h"')

    def test_own_header_comes_first(self):
        self.forbidden('first of our includes', 'deputy/session/link.cc', '"common/base/log.h"',
                       '"deputy/session/link.h"')

    def test_pragma_once(self):
        self.write('common/base/bare.h', 'int f();\n')
        self.assertEqual(['common/base/bare.h:1: no #pragma once'], check_layers.check_tree(self.root))


if __name__ == '__main__':
    unittest.main()
