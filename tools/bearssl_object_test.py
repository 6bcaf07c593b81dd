#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of bearssl_object.py: every read of the stack guard becomes a constant, and what it does not know is an error.

    bearssl_object_test.py            OM_CXX names the compiler (c++)
"""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

import bearssl_object

REGISTERS = ('rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', *(f'r{n}' for n in range(8, 16)))
COMPILER = shlex.split(os.environ.get('OM_CXX', 'c++'))


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def disassembled(path):
    """The instructions, with one space between words."""
    text = output_of('objdump', '-d', '--no-show-raw-insn', str(path))
    rows = (line.split('\t') for line in text.splitlines())
    return [' '.join(row[1].split()) for row in rows if len(row) > 1]


class Objects(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-bearssl-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assemble(self, text, name='code.o'):
        source = self.folder / 'code.S'
        source.write_text(f'.text\n{text}\n.section .note.GNU-stack, "", @progbits\n', encoding='utf-8')
        subprocess.run([*COMPILER, '-c', '-o', str(self.folder / name), str(source)], check=True)
        return self.folder / name

    def archive(self, text, members=bearssl_object.MEMBERS):
        path = self.folder / 'lib.a'
        self.assemble(text, members[0])
        empty = self.assemble('ret').read_bytes()
        for name in members[1:]:
            (self.folder / name).write_bytes(empty)
        subprocess.run(['ar', 'rc', str(path), *(str(self.folder / name) for name in members)], check=True)
        return path

    def made(self, text, **how):
        output = self.folder / 'made.o'
        bearssl_object.make(self.archive(text, **how), output)
        return output

    def refused(self, reason, text, **how):
        with self.assertRaisesRegex(bearssl_object.Broken, reason):
            self.made(text, **how)

    def test_each_register(self):
        code = disassembled(self.made('\n'.join(
            f'mov %fs:0x28, %{register}\n sub %fs:0x28, %{register}' for register in REGISTERS)))
        for place, register in enumerate(REGISTERS):
            mov, first_nop, sub, second_nop = code[4 * place:4 * place + 4]
            self.assertEqual(f'mov $0x736d6f21,%{register}', mov)
            self.assertEqual(f'sub $0x736d6f21,%{register}', sub)
            self.assertEqual(['xchg %ax,%ax'] * 2, [first_nop, second_nop])

    def test_other_use_of_the_guard(self):
        self.refused('1 reads of the stack guard, 0 replaced, 1 left', 'cmp %fs:0x28, %rax')
        self.refused('2 reads of the stack guard, 1 replaced, 1 left', 'mov %fs:0x28, %rax\n xor %fs:0x28, %rax')

    def test_other_thread_local_storage(self):
        self.refused('1 reads of the stack guard, 0 replaced', 'mov %fs:0x10, %rax')

    def test_bytes_that_look_like_a_guard(self):
        self.refused('0 reads of the stack guard, 1 replaced',
                     '.section .rodata\n .byte 0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0')

    def test_unknown_symbol(self):
        self.refused('needs malloc', 'call malloc')

    def test_missing_member(self):
        self.refused('poly1305_ctmulq.o', 'ret', members=bearssl_object.MEMBERS[:-1])

    def test_libbearssl(self):
        archive = output_of(*COMPILER, '-print-file-name=libbearssl.a').strip()
        output = self.folder / 'bearssl.o'
        bearssl_object.make(archive, output)
        code = disassembled(output)
        self.assertGreater(sum('0x736d6f21' in instruction for instruction in code), 20)
        self.assertFalse([instruction for instruction in code if '%fs' in instruction])
        self.assertTrue([instruction for instruction in code if instruction.startswith('aesenc ')])
        # Legacy SSE only.
        self.assertFalse([instruction for instruction in code if re.match(r'v\w+ |.*%[yz]mm', instruction)])
        sections = output_of('readelf', '-SW', str(output))
        self.assertEqual([bearssl_object.SECTION], re.findall(r'\] (\S+) +PROGBITS.* AX ', sections))


if __name__ == '__main__':
    unittest.main()
