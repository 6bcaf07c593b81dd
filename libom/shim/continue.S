/* SPDX-License-Identifier: Apache-2.0
 *
 * om_continue: rsp points to a ContinueFrame (abi/continue.h). Carries out the rest of the call in it (continue.cc) and
 * returns to the program with the result and the registers in the frame. This is program code (shim/cpu_clocks.cc says
 * what that means): the process may be stopped and moved in it, signals may arrive, and an unwinder finds the program
 * behind it.
 */
        .section om_exports, "ax", @progbits
        .balign 16
        .globl  om_continue
        .hidden om_continue
        .type   om_continue, @function
om_continue:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_escape 0x0f, 0x04, 0x77, 0xc0, 0x00, 0x06  /* the caller's rsp is the word at rsp + 64 */
        .cfi_escape 0x10, 0x10, 0x02, 0x77, 0x38        /* its rip is at rsp + 56 */
        cld
        mov     %rsp, %rdi
        call    om_continue_call
        mov     0(%rsp), %rdi
        mov     8(%rsp), %rsi
        mov     16(%rsp), %rdx
        mov     24(%rsp), %r10
        mov     32(%rsp), %r8
        mov     40(%rsp), %r9
        pushq   48(%rsp)
        popfq
        /* As after a system call: rcx is its return address, r11 the flags. */
        mov     48(%rsp), %r11
        mov     56(%rsp), %rcx
        mov     64(%rsp), %rsp
        jmp     *%rcx
        .cfi_endproc
        .size   om_continue, . - om_continue
        .section .note.GNU-stack, "", @progbits
