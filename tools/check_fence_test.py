#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of check_fence.py: it reports each deliberate error, in source or as built, and nothing else.

    check_fence_test.py            OM_CXX names the compiler (c++)
"""

import os
import pathlib
import shlex
import subprocess
import tempfile
import unittest

import check_fence

FENCED = ['-ffreestanding', '-fno-builtin', '-fno-exceptions', '-fno-rtti', '-fno-stack-protector',
          '-fno-asynchronous-unwind-tables', '-mgeneral-regs-only', '-fcf-protection=none', '-O2',
          '-fPIC', '-fvisibility=hidden']
LINK = ['-shared', '-nostdlib', '-Wl,-Bsymbolic', '-Wl,-z,noseparate-code', '-Wl,-z,norelro']
KEPT = '__attribute__((used)) '


class Library(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='om-fence-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def build(self, source, compile_more=(), link_more=(), without=()):
        (self.folder / 'bad.cc').write_text(source, encoding='utf-8')
        library = self.folder / 'bad.so'
        compiler = shlex.split(os.environ.get('OM_CXX', 'c++'))
        flags = [flag for flag in FENCED if flag not in without]
        subprocess.run([*compiler, *flags, *compile_more, *LINK, '-Wl,-z,noexecstack', *link_more,
                        '-o', str(library), str(self.folder / 'bad.cc')], check=True)
        return library

    def problems(self, *arguments, **how):
        return [problem.partition(': ')[2]
                for problem in check_fence.check_library(self.build(*arguments, **how))]

    def reported(self, expected, *arguments, **how):
        found = self.problems(*arguments, **how)
        self.assertTrue(any(expected in problem for problem in found), f'{expected}: {found}')

    def test_sound_code_passes(self):
        source = ('namespace { int g_count; int* g_at = &g_count; }' + KEPT +
                  'static int next() { return ++*g_at; }' +
                  KEPT + '__attribute__((section("om_gate"))) static long call() {'
                  '  long r; asm volatile("syscall" : "=a"(r) : "0"(39) : "rcx", "r11"); return r; }')
        self.assertEqual([], self.problems(source))

    def test_undefined_symbol(self):
        self.reported('needs the symbol malloc',
                      'extern "C" void* malloc(unsigned long);' + KEPT +
                      'static void* f() { return malloc(8); }')

    def test_other_library(self):
        self.reported('needs another library', KEPT + 'static int f() { return 1; }',
                      link_more=['-Wl,--no-as-needed', '-lm'])

    def test_exported_symbol(self):
        self.reported('shows the symbol f',
                      'extern "C" __attribute__((visibility("default"))) int f() { return 1; }')

    def test_what_is_shown_on_purpose_passes(self):
        self.assertEqual([], self.problems(
            'extern "C" int* __errno_location() noexcept;'
            'extern "C" __attribute__((visibility("default"))) long clock() {'
            ' *__errno_location() = 22; return -1; }', compile_more=['-fno-plt']))

    def test_relocation(self):
        self.reported('has a relocation R_X86_64_', 'extern "C" int free(void*);' + KEPT +
                      'static int (*f())(void*) { return free; }')

    def test_thread_local(self):
        self.reported('thread-local storage', 'static thread_local int g_own;' + KEPT +
                      'static int* f() { return &g_own; }',
                      compile_more=['-ftls-model=initial-exec'])

    def test_writable_code(self):
        self.reported('writable and executable', KEPT +
                      '__attribute__((section("om_mixed,\\"awx\\",@progbits#"))) static int f() {'
                      ' return 1; }')

    def test_executable_stack(self):
        self.reported('GNU_STACK segment is writable and executable', KEPT +
                      'static int f() { return 1; }', link_more=['-Wl,-z,execstack'])

    def test_vector_registers(self):
        self.reported('uses vector registers: ',
                      KEPT + 'static void f(double* a, const double* b) { *a += *b; }',
                      without=['-mgeneral-regs-only'])

    def test_x87(self):
        self.reported('uses vector registers: fninit',
                      KEPT + 'static void f() { asm volatile("fninit"); }')

    def test_mask_register(self):
        self.reported('uses vector registers: kmovw',
                      KEPT + 'static void f() { asm volatile("kmovw %eax, %k1"); }')

    def test_saving_all_is_allowed(self):
        self.assertEqual([], self.problems(
            KEPT + 'static void f(void* p) { asm volatile("xsave64 (%0)\\n xrstor64 (%0)" :: "r"(p)); }'))

    def test_saved_registers_in_the_ciphers_are_allowed(self):
        self.assertEqual([], self.problems(
            KEPT + '__attribute__((section("om_seal"))) static void f() {'
            ' asm volatile("pxor %xmm1, %xmm15"); }'))

    def test_registers_that_are_not_saved_in_the_ciphers(self):
        for code in ('vpxor %xmm1, %xmm2, %xmm3', 'pxor %mm1, %mm2', 'fninit', 'ldmxcsr (%rsp)',
                     'vpxor %ymm1, %ymm2, %ymm3', 'vmovdqu64 (%rsp), %xmm16', 'vzeroupper'):
            with self.subTest(code):
                self.reported('uses vector registers: ' + code.split()[0],
                              KEPT + '__attribute__((section("om_seal"))) static void f() {'
                              f' asm volatile("{code}"); }}')

    def test_thread_local_storage_of_the_program(self):
        self.reported('uses thread-local storage: mov %fs:0x28,%rax',
                      KEPT + 'static void f() { asm volatile("mov %%fs:0x28, %%rax" ::: "rax"); }')

    def test_system_call_elsewhere(self):
        self.reported('makes a system call outside the gate',
                      KEPT + 'static void f() { asm volatile("syscall" ::: "rcx", "r11"); }')

    def test_finalizer(self):
        self.reported('has FINI_ARRAY', '__attribute__((destructor)) static void f() { asm volatile("nop"); }')


class Source(unittest.TestCase):
    def reported(self, text):
        return [problem.rpartition(' ')[2] for problem in check_fence.check_source('x.cc', text)]

    def test_poison(self):
        for word in ('malloc', 'errno', 'std', 'thread_local', 'throw', 'printf'):
            self.assertEqual([word], self.reported(f'int a;\n  {word} (1);\n'))

    def test_comments_strings_members_and_own_names_pass(self):
        for text in ('// malloc\n', '/* throw\n errno */', 'say("free");', 'x.free();',
                     'x->free();', 'om::safe::free(1);', 'X(const X&) = delete;',
                     '#include <errno.h>', 'int free_slots = 1;'):
            self.assertEqual([], self.reported(text), text)

    def test_line_is_named(self):
        self.assertEqual(['x.cc:3: fenced code may not use free'],
                         list(check_fence.check_source('x.cc', '/*\n*/\nfree(p);')))


if __name__ == '__main__':
    unittest.main()
