/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways into and out of the gate. Offsets are those of struct BodyThread (libom/abi/body.h, asserted there).
 *
 * SIGSYS: the frame lies on the landing stack (SA_ONSTACK, SA_NODEFER, empty mask). The registers are copied
 * off, the vector state is loaded back at once (the kernel resets it on delivery; this code does not touch
 * it), and the landing stack is free again before anything else happens. A kick that arrives meanwhile nests
 * below on the landing stack, sees rip inside libom, and only sets T_KICK.
 */
#define T_GATE_SP   8
#define T_REGS      16
#define R(i)        (T_REGS + 8 * (i))
#define T_KICK      160
#define T_FULL      188

/* order of struct sigcontext */
#define iR8 0
#define iR9 1
#define iR10 2
#define iR11 3
#define iR12 4
#define iR13 5
#define iR14 6
#define iR15 7
#define iRDI 8
#define iRSI 9
#define iRBP 10
#define iRBX 11
#define iRDX 12
#define iRAX 13
#define iRCX 14
#define iRSP 15
#define iRIP 16
#define iFLAGS 17

#define UC_MCONTEXT 40
#define UC_FPSTATE  224

        .text
        .globl om_sigsys_entry, om_gate_exit, om_exit_lo, om_exit_hi, om_exit_kicked, om_fault_entry
        .hidden om_sigsys_entry, om_gate_exit, om_exit_lo, om_exit_hi, om_exit_kicked, om_fault_entry

.macro copy_reg i
        mov     (UC_MCONTEXT + 8 * \i)(%rdx), %rax
        mov     %rax, R(\i)(%r8)
.endm

        .balign 64
        .type om_sigsys_entry, @function
om_sigsys_entry:                        /* rdi = signal, rsi = siginfo, rdx = ucontext */
        cmpl    $1, 8(%rsi)             /* si_code SYS_SECCOMP; a kill(SIGSYS) from outside is ignored */
        jne     9f
        mov     %gs:0, %r8
        .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
        copy_reg \i
        .endr
        mov     24(%rsi), %r10d         /* si_syscall */
        mov     28(%rsi), %r11d         /* si_arch */
        mov     UC_FPSTATE(%rdx), %r9
        mov     $-1, %eax
        mov     $-1, %edx
        xrstor64 (%r9)
        mov     T_GATE_SP(%r8), %rsp
        xor     %ebp, %ebp
        cld
        mov     %r8, %rbx
        mov     %r8, %rdi
        mov     %r10d, %esi
        mov     %r11d, %edx
        call    om_gate_syscall
        mov     %rbx, %rdi
        jmp     om_gate_exit
9:      ret

/* rdi = thread. Two exits. If a kick hits one of them, all of regs is still in the block, so the handler
 * simply sends the thread to om_exit_kicked. */
        .balign 16
om_gate_exit:
        cmpl    $0, T_FULL(%rdi)
        jne     om_exit_full
om_exit_lo:
        cmpl    $0, T_KICK(%rdi)
        jne     om_exit_kicked
        mov     R(iR15)(%rdi), %r15
        mov     R(iR14)(%rdi), %r14
        mov     R(iR13)(%rdi), %r13
        mov     R(iR12)(%rdi), %r12
        mov     R(iRBP)(%rdi), %rbp
        mov     R(iRBX)(%rdi), %rbx
        mov     R(iR10)(%rdi), %r10
        mov     R(iR9)(%rdi), %r9
        mov     R(iR8)(%rdi), %r8
        mov     R(iRAX)(%rdi), %rax
        mov     R(iRDX)(%rdi), %rdx
        mov     R(iRSI)(%rdi), %rsi
        mov     R(iR11)(%rdi), %r11
        mov     R(iRIP)(%rdi), %rcx     /* what the syscall instruction leaves in rcx */
        pushq   R(iFLAGS)(%rdi)
        popfq
        mov     R(iRSP)(%rdi), %rsp
        mov     R(iRDI)(%rdi), %rdi
        jmp     *%rcx
om_exit_full:
        cmpl    $0, T_KICK(%rdi)
        jne     om_exit_kicked
        mov     T_GATE_SP(%rdi), %rsp
        pushq   $0x2b
        pushq   R(iRSP)(%rdi)
        pushq   R(iFLAGS)(%rdi)
        pushq   $0x33
        pushq   R(iRIP)(%rdi)
        mov     R(iR15)(%rdi), %r15
        mov     R(iR14)(%rdi), %r14
        mov     R(iR13)(%rdi), %r13
        mov     R(iR12)(%rdi), %r12
        mov     R(iR11)(%rdi), %r11
        mov     R(iR10)(%rdi), %r10
        mov     R(iR9)(%rdi), %r9
        mov     R(iR8)(%rdi), %r8
        mov     R(iRBP)(%rdi), %rbp
        mov     R(iRBX)(%rdi), %rbx
        mov     R(iRAX)(%rdi), %rax
        mov     R(iRCX)(%rdi), %rcx
        mov     R(iRDX)(%rdi), %rdx
        mov     R(iRSI)(%rdi), %rsi
        mov     R(iRDI)(%rdi), %rdi
        iretq
om_exit_hi:

/* rdi = thread, regs are the program's, vector state is live. */
        .balign 16
om_exit_kicked:
        mov     T_GATE_SP(%rdi), %rsp
        xor     %ebp, %ebp
        cld
        mov     %rdi, %rbx
        call    om_gate_kicked
        mov     %rbx, %rdi
        jmp     om_gate_exit

/* rdi = thread, regs and fault_* are filled in. */
        .balign 16
om_fault_entry:
        mov     T_GATE_SP(%rdi), %rsp
        xor     %ebp, %ebp
        cld
        mov     %rdi, %rbx
        call    om_gate_fault
        mov     %rbx, %rdi
        jmp     om_gate_exit

/* void om_body_start(thread, xsave): first instructions of a restored thread once everything is set up */
        .balign 16
        .globl om_body_start
        .hidden om_body_start
        .type om_body_start, @function
om_body_start:
        mov     %rdi, %rbx
        mov     $-1, %eax
        mov     $-1, %edx
        xrstor64 (%rsi)
        mov     T_GATE_SP(%rbx), %rsp
        xor     %ebp, %ebp
        mov     %rbx, %rdi
        call    om_gate_first
        mov     %rbx, %rdi
        jmp     om_gate_exit

/* void om_thread_go(thread): a new thread, on its gate stack, starts at regs */
        .balign 16
        .globl om_thread_go
        .hidden om_thread_go
        .type om_thread_go, @function
om_thread_go:
        jmp     om_gate_exit

/* void om_xsave(area): header cleared by the caller; void om_xrstor(area) */
        .balign 16
        .globl om_xsave, om_xrstor
        .hidden om_xsave, om_xrstor
        .type om_xsave, @function
        .type om_xrstor, @function
om_xsave:
        mov     $-1, %eax
        mov     $-1, %edx
        xsave64 (%rdi)
        ret
om_xrstor:
        mov     $-1, %eax
        mov     $-1, %edx
        xrstor64 (%rdi)
        ret
        .section .note.GNU-stack, "", @progbits
