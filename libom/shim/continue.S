/* SPDX-License-Identifier: Apache-2.0
 *
 * om_continue: rsp points to a ContinueFrame (abi/continue.h). Makes the call in it and goes back to the program
 * with the result and the registers in the frame. This is program code (shim/cpu_clocks.cc says what that means):
 * the process may be stopped and moved in it, signals may arrive, and an unwinder finds the program behind it.
 */
        .section om_exports, "ax", @progbits
        .balign 16
        .globl  om_continue
        .hidden om_continue
        .type   om_continue, @function
om_continue:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_escape 0x0f, 0x04, 0x77, 0x80, 0x01, 0x06  /* the caller's rsp is the word at rsp + 128 */
        .cfi_escape 0x10, 0x10, 0x03, 0x77, 0xf8, 0x00  /* its rip is at rsp + 120 */
        mov     0(%rsp), %rax
        mov     8(%rsp), %rdi
        mov     16(%rsp), %rsi
        mov     24(%rsp), %rdx
        mov     32(%rsp), %r10
        mov     40(%rsp), %r8
        mov     48(%rsp), %r9
        syscall
        mov     56(%rsp), %rcx
        test    %rcx, %rcx
        jz      2f
        test    %rax, %rax
        jg      1f
        xor     %eax, %eax
1:      add     %rcx, %rax
2:      mov     64(%rsp), %rdi
        mov     72(%rsp), %rsi
        mov     80(%rsp), %rdx
        mov     88(%rsp), %r10
        mov     96(%rsp), %r8
        mov     104(%rsp), %r9
        pushq   112(%rsp)
        popfq
        /* As behind a system call: rcx is its return address, r11 the flags. */
        mov     112(%rsp), %r11
        mov     120(%rsp), %rcx
        mov     128(%rsp), %rsp
        jmp     *%rcx
        .cfi_endproc
        .size   om_continue, . - om_continue
        .section .note.GNU-stack, "", @progbits
