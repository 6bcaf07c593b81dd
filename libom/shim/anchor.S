/* SPDX-License-Identifier: Apache-2.0
 *
 * The ELF notes "openMosix" by which the daemons find objects in a mapped libom.so (abi/start.h): one 64-bit distance
 * from the note's descriptor to the object, which holds wherever the library lies.
 */
        .macro om_note type, thing
        .balign 4
        .long   2f - 1f
        .long   4f - 3f
        .long   \type
1:      .asciz  "openMosix"
2:      .balign 4
3:      .quad   \thing - .
4:
        .endm

        .section .note.openmosix, "a", @note
        om_note 1, om_anchor
        om_note 2, om_start
        .balign 4
        .section .note.GNU-stack, "", @progbits
