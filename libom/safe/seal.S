/* SPDX-License-Identifier: Apache-2.0
 *
 * long om_with_vectors(long (*function)(void*), void* argument): calls code that uses xmm0 to xmm15 by legacy SSE
 * instructions, and leaves them as they were. Those instructions do not change the rest of a vector register; a VEX
 * encoding would clear it (tools/check_fence.py). What the function leaves in registers is overwritten with that.
 */
        .section om_seal, "ax", @progbits
        .balign 16
        .globl om_with_vectors
        .hidden om_with_vectors
        .type om_with_vectors, @function
om_with_vectors:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset 6, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register 6
        sub     $256, %rsp
        and     $-16, %rsp
        .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movaps  %xmm\i, 16 * \i(%rsp)
        .endr
        mov     %rdi, %rax
        mov     %rsi, %rdi
        call    *%rax
        .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movaps  16 * \i(%rsp), %xmm\i
        .endr
        leave
        .cfi_def_cfa 7, 8
        ret
        .cfi_endproc
        .size om_with_vectors, . - om_with_vectors
        .section .note.GNU-stack, "", @progbits
