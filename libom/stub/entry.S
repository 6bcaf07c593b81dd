/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the deputy sends the threads of the original process. rsp is the top of the slot's stack; masking it
 * gives the slot.
 */
        .text
        .globl om_executor_entry, om_orphan_entry, om_remote_entry, om_first_entry
        .hidden om_executor_entry, om_orphan_entry, om_remote_entry, om_first_entry
        .type om_executor_entry, @function
om_executor_entry:
        mov     %rsp, %rdi
        xor     %ebp, %ebp
        and     $-16, %rsp
        cld
        call    om_executor_main
        hlt
        .type om_orphan_entry, @function
om_orphan_entry:
        mov     %rsp, %rdi
        xor     %ebp, %ebp
        and     $-16, %rsp
        cld
        call    om_orphan_main
        hlt
        .type om_first_entry, @function
om_first_entry:
        lea     om_first_stack + 4096(%rip), %rsp
        xor     %ebp, %ebp
        cld
        call    om_first_main
        hlt
        .type om_remote_entry, @function
om_remote_entry:                        /* rdi = function, rsi = argument */
        mov     %rsp, %rdx
        xor     %ebp, %ebp
        and     $-16, %rsp
        cld
        call    om_remote_main
        hlt

/* void om_resume_user(const ResumeFrame* frame): vector state, registers, IRETQ. Preserves the kernel's
 * restart state of an interrupted call, which rt_sigreturn would drop. */
        .globl om_resume_user
        .hidden om_resume_user
        .type om_resume_user, @function
om_resume_user:
        mov     $-1, %eax
        mov     $-1, %edx
        xrstor64 256(%rdi)
/* void om_resume_registers(const ResumeFrame* frame): the same without vector state. */
        .globl om_resume_registers
        .hidden om_resume_registers
        .type om_resume_registers, @function
om_resume_registers:
        pushq   $0x2b
        pushq   (8 * 15)(%rdi)          /* rsp */
        pushq   (8 * 17)(%rdi)          /* flags */
        pushq   $0x33
        pushq   (8 * 16)(%rdi)          /* rip */
        mov     (8 * 0)(%rdi), %r8
        mov     (8 * 1)(%rdi), %r9
        mov     (8 * 2)(%rdi), %r10
        mov     (8 * 3)(%rdi), %r11
        mov     (8 * 4)(%rdi), %r12
        mov     (8 * 5)(%rdi), %r13
        mov     (8 * 6)(%rdi), %r14
        mov     (8 * 7)(%rdi), %r15
        mov     (8 * 9)(%rdi), %rsi
        mov     (8 * 10)(%rdi), %rbp
        mov     (8 * 11)(%rdi), %rbx
        mov     (8 * 12)(%rdi), %rdx
        mov     (8 * 13)(%rdi), %rax
        mov     (8 * 14)(%rdi), %rcx
        mov     (8 * 8)(%rdi), %rdi
        iretq

        .local om_first_stack
        .comm om_first_stack, 4096, 16
        .section .note.GNU-stack, "", @progbits
