/* SPDX-License-Identifier: Apache-2.0
 *
 * The ELF note "openMosix" by which the daemons find the Anchor of a mapped libom.so: one 64-bit distance from
 * the note's descriptor to the anchor, so that it holds wherever the library lies.
 */
        .section .note.openmosix, "a", @note
        .balign 4
        .long   2f - 1f
        .long   4f - 3f
        .long   1                       /* type: anchor */
1:      .asciz  "openMosix"
2:      .balign 4
3:      .quad   om_anchor - .
4:      .balign 4
        .section .note.GNU-stack, "", @progbits
