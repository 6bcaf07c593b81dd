/* SPDX-License-Identifier: Apache-2.0
 *
 * The only instructions of the gate that touch program memory (user_memory.h). The fault
 * handler moves rip from [om_copy_lo, om_copy_hi) to om_copy_fault: -EFAULT to the caller. No stack use
 * inside the range, so that the return address is on top whatever instruction faulted.
 */
        .text
        .globl om_copy_lo, om_copy_hi, om_copy_fault, om_copy, om_string_length, om_touch, om_peek
        .hidden om_copy_lo, om_copy_hi, om_copy_fault, om_copy, om_string_length, om_touch, om_peek
        .type om_copy, @function
        .type om_string_length, @function
        .type om_touch, @function
        .type om_peek, @function
om_copy_lo:
om_copy:
        mov     %rdx, %rcx
        cmp     $16, %rdx
        jb      1f
        cmp     $64, %rdx
        ja      2f
3:      mov     (%rsi), %rax
        mov     %rax, (%rdi)
        add     $8, %rsi
        add     $8, %rdi
        sub     $8, %rcx
        cmp     $8, %rcx
        jae     3b
1:      rep movsb
        xor     %eax, %eax
        ret
2:      rep movsb
        xor     %eax, %eax
        ret
om_string_length:
        xor     %eax, %eax
1:      cmp     %rsi, %rax
        jae     2f
        cmpb    $0, (%rdi,%rax)
        lea     1(%rax), %rax
        jne     1b
        ret
2:      mov     $-36, %rax
        ret
om_touch:
        lock orb $0, (%rdi)
        xor     %eax, %eax
        ret
om_peek:
        movb    (%rdi), %al
        xor     %eax, %eax
        ret
om_copy_hi:
om_copy_fault:
        mov     $-14, %rax
        ret
        .section .note.GNU-stack, "", @progbits
