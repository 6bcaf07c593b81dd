// SPDX-License-Identifier: Apache-2.0
//
// All general registers and the direction flag hold live values while the thread spins in user
// code.
#include "test/lib/om_test.h"

extern "C" {
int g_go = 0;
void spin_with_registers(uint64_t* out);
}

asm(R"(
.pushsection .text
spin_with_registers:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi
  movabs $0x1111111111111111, %rax
  movabs $0x2222222222222222, %rcx
  movabs $0x3333333333333333, %rdx
  movabs $0x4444444444444444, %rbx
  movabs $0x5555555555555555, %rbp
  movabs $0x6666666666666666, %rsi
  movabs $0x7777777777777777, %rdi
  movabs $0x8888888888888888, %r8
  movabs $0x9999999999999999, %r9
  movabs $0xaaaaaaaaaaaaaaaa, %r10
  movabs $0xbbbbbbbbbbbbbbbb, %r11
  movabs $0xcccccccccccccccc, %r12
  movabs $0xdddddddddddddddd, %r13
  movabs $0xeeeeeeeeeeeeeeee, %r14
  movabs $0x0123456789abcdef, %r15
  std
1: cmpl $0, g_go(%rip)
  je 1b
  pushfq
  push %rax
  mov 16(%rsp), %rax
  popq (%rax)
  mov %rcx, 8(%rax);   mov %rdx, 16(%rax);  mov %rbx, 24(%rax);  mov %rbp, 32(%rax)
  mov %rsi, 40(%rax);  mov %rdi, 48(%rax);  mov %r8, 56(%rax);   mov %r9, 64(%rax)
  mov %r10, 72(%rax);  mov %r11, 80(%rax);  mov %r12, 88(%rax);  mov %r13, 96(%rax)
  mov %r14, 104(%rax); mov %r15, 112(%rax); popq 120(%rax)
  cld
  pop %rdi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
.popsection
)");

int main() {
  uint64_t got[16] = {};
  om_test_ready();
  OmThread waiter([] {
    om_test_wait_moved();
    __atomic_store_n(&g_go, 1, __ATOMIC_SEQ_CST);
  });
  spin_with_registers(got);
  for (uint64_t i = 0; i < 14; ++i) OM_CHECK_EQ(got[i], (i + 1) * 0x1111111111111111ull);
  OM_CHECK_EQ(got[14], 0x0123456789abcdefull);
  OM_CHECK_EQ(got[15] & 0x400, 0x400);
}
