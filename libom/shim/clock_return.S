/* SPDX-License-Identifier: Apache-2.0
 *
 * om_clock_return: where a vDSO function returns while the deputy waits for it (deputy/home/leave_vdso.cc), instead of
 * to the program, whose address is in g_first_aid. The thread waits here until the deputy stops it and sets its rip. It
 * makes no system call and has all signals blocked. If the deputy dies the thread continues by itself after some
 * seconds (at the latest: the next deputy looks after it). This is program code: it changes only registers that a
 * function may change; rax and rdx hold the function's result.
 */
        .section om_exports, "ax", @progbits
        .balign 16
        .globl  om_clock_return
        .hidden om_clock_return
        .type   om_clock_return, @function
om_clock_return:
        .cfi_startproc
        .cfi_undefined rip
        mov     $1 << 27, %ecx
1:      pause
        dec     %ecx
        jnz     1b
        jmp     *_ZN2om4stub11g_first_aidE(%rip)
        .cfi_endproc
        .size   om_clock_return, . - om_clock_return
        .globl  om_clock_return_end
        .hidden om_clock_return_end
om_clock_return_end:
        .section .note.GNU-stack, "", @progbits
