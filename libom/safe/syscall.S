/* SPDX-License-Identifier: Apache-2.0
 *
 * Every syscall instruction of libom. The section has pages of its own: the body's seccomp filter compares the
 * instruction pointer with [om_gate_lo, om_gate_hi) (the kernel reports the address after the instruction).
 * Signal handlers tell the state of an interrupted call from the address, so the order of the instructions
 * between the labels is part of the interface.
 */

/* How to unwind out of the window: a handler of the program runs on top of it when a transfer that has moved continues
 * at home (HomeThread::late), and may leave by an exception or be cancelled. The next frame is the program's, found in
 * the ResumeFrame of the slot (rsp & -kSlotSize, + kSlotFrame). libom/stub/remote.cc checks the numbers against the
 * layout. */
        .macro program_register number, place_low, place_high
        .cfi_escape 0x10, \number, 11, 0x77, 0, 0x11, 0x80, 0x80, 0x70, 0x1a, 0x23, \place_low, \place_high, 1
        .endm

        .section om_gate, "ax", @progbits
        .balign 4096
        .globl om_gate_lo
        .hidden om_gate_lo
om_gate_lo:

/* long om_syscall(nr, a, b, c, d, e, f) */
        .globl om_syscall
        .hidden om_syscall
        .type om_syscall, @function
om_syscall:
        mov     %rdi, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        mov     %rcx, %rdx
        mov     %r8, %r10
        mov     %r9, %r8
        mov     8(%rsp), %r9
        syscall
        ret
        .size om_syscall, . - om_syscall

/* long om_window(volatile uint32_t* cancel, nr, const uint64_t args[6]) */
        .balign 16
        .globl om_window, om_window_lo, om_window_end, om_window_abort
        .hidden om_window, om_window_lo, om_window_end, om_window_abort
        .type om_window, @function
om_window:
        push    %rbx
        mov     %rdi, %rbx
        mov     %rsi, %rax
        mov     %rdx, %r11
        mov     (%r11), %rdi
        mov     8(%r11), %rsi
        mov     16(%r11), %rdx
        mov     24(%r11), %r10
        mov     32(%r11), %r8
        mov     40(%r11), %r9
om_window_lo:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_escape 0x0f, 12, 0x77, 0, 0x11, 0x80, 0x80, 0x70, 0x1a, 0x23, 0xf8, 0x80, 1, 0x06
        program_register 8, 0x80, 0x80    /* r8 */
        program_register 9, 0x88, 0x80    /* r9 */
        program_register 10, 0x90, 0x80    /* r10 */
        program_register 11, 0x98, 0x80    /* r11 */
        program_register 12, 0xa0, 0x80    /* r12 */
        program_register 13, 0xa8, 0x80    /* r13 */
        program_register 14, 0xb0, 0x80    /* r14 */
        program_register 15, 0xb8, 0x80    /* r15 */
        program_register 5, 0xc0, 0x80    /* rdi */
        program_register 4, 0xc8, 0x80    /* rsi */
        program_register 6, 0xd0, 0x80    /* rbp */
        program_register 3, 0xd8, 0x80    /* rbx */
        program_register 1, 0xe0, 0x80    /* rdx */
        program_register 0, 0xe8, 0x80    /* rax */
        program_register 2, 0xf0, 0x80    /* rcx */
        program_register 7, 0xf8, 0x80    /* rsp */
        program_register 16, 0x80, 0x81    /* rip */
        cmpl    $0, (%rbx)
        jne     om_window_abort
        syscall
om_window_end:
        pop     %rbx
        .cfi_endproc
        ret
om_window_abort:
        mov     $-5000, %rax
        pop     %rbx
        ret
        .size om_window, . - om_window

/* long om_clone(flags, stack, ptid, ctid, entry, arg): the child pops nothing, it calls entry(arg) */
        .balign 16
        .globl om_clone
        .hidden om_clone
        .type om_clone, @function
om_clone:
        mov     %r8, %r11               /* r11 is clobbered by syscall: keep entry in r12 */
        push    %r12
        push    %r13
        mov     %r8, %r12
        mov     %r9, %r13
        mov     %rcx, %r10
        xor     %r8d, %r8d
        mov     $56, %eax
        syscall
        test    %rax, %rax
        jz      1f
        pop     %r13
        pop     %r12
        ret
1:      xor     %ebp, %ebp
        mov     %r13, %rdi
        call    *%r12
        hlt
        .size om_clone, . - om_clone

/* void om_exit_thread(volatile uint32_t* busy, code): no stack use after the store */
        .balign 16
        .globl om_exit_thread
        .hidden om_exit_thread
        .type om_exit_thread, @function
om_exit_thread:
        mov     %rdi, %rdx
        mov     %rsi, %rdi
        mov     $60, %eax
        movl    $0, (%rdx)
        syscall
        hlt
        .size om_exit_thread, . - om_exit_thread

        .balign 16
        .globl om_restorer
        .hidden om_restorer
        .type om_restorer, @function
om_restorer:
        mov     $15, %eax
        syscall
        hlt
        .size om_restorer, . - om_restorer

/* The deputy's injected calls. If the deputy dies in the middle, the thread finds its way back by the frame
 * in its slot (rsp = slot stack). */
        .balign 16
        .globl om_inject
        .hidden om_inject
om_inject:
        syscall
        jmp     om_orphan_entry

/* The same for a thread that has no slot yet: it finds its way by FirstAid. */
        .balign 16
        .globl om_inject_first
        .hidden om_inject_first
om_inject_first:
        syscall
        jmp     om_first_entry

/* A blocked call of the program continues here: the deputy sets rip to om_transplant_end, rsp to the slot's
 * stack and leaves rax, orig_rax and the arguments alone; the kernel restarts the very same call. */
        .balign 16
        .globl om_transplant, om_transplant_end, om_transplant_abort
        .hidden om_transplant, om_transplant_end, om_transplant_abort
om_transplant:
        syscall
om_transplant_end:
        mov     %rax, %rsi
        mov     %rsp, %rdi
        xor     %ebp, %ebp
        and     $-16, %rsp
        cld
        call    om_executor_transplanted
        hlt
om_transplant_abort:
        mov     $-5000, %rax
        jmp     om_transplant_end

        .balign 4096
        .globl om_gate_hi
        .hidden om_gate_hi
om_gate_hi:
        .section .note.GNU-stack, "", @progbits
