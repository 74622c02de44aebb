/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/rng_next.c. Z the state, r25:r22 the result, r21:r18 word 0, then word 3; r17 and r1 bits of word 1 for word 2. */

    /* Byte n of the new words 0, 1, 2; word 3's stays in \a. The carry goes from one byte of word 1 << 1 to the next. */
    .macro  mix n, a
    ldd     r26, Z+4+\n
    ldd     r27, Z+8+\n
    ldd     r0, Z+12+\n
    mov     r1, r26
    eor     r27, \a
    eor     r0, r26
    eor     r26, r27
    eor     r27, r17
    eor     \a, r0
    std     Z+\n, \a
    std     Z+4+\n, r26
    std     Z+8+\n, r27
    mov     \a, r0
    rol     r1
    mov     r17, r1
    .endm

    .section .text.eng_rng_next, "ax", @progbits
    .global eng_rng_next
    .type   eng_rng_next, @function
eng_rng_next:
    push    r17
    movw    r30, r24
    ld      r18, Z
    ldd     r19, Z+1
    ldd     r20, Z+2
    ldd     r21, Z+3
    /* the sum of words 0 and 3, a byte up */
    ldd     r23, Z+12
    ldd     r24, Z+13
    ldd     r25, Z+14
    ldd     r22, Z+15
    add     r23, r18
    adc     r24, r19
    adc     r25, r20
    adc     r22, r21
    bst     r22, 0
    lsr     r25
    ror     r24
    ror     r23
    ror     r22
    bld     r25, 7
    add     r22, r18
    adc     r23, r19
    adc     r24, r20
    adc     r25, r21
    clr     r17
    clc
    mix     0, r18
    mix     1, r19
    mix     2, r20
    mix     3, r21
    clr     r1
    .rept   3
    lsl     r18
    rol     r19
    rol     r20
    rol     r21
    adc     r18, r1
    .endr
    std     Z+12, r21
    std     Z+13, r18
    std     Z+14, r19
    std     Z+15, r20
    pop     r17
    ret
    .size   eng_rng_next, . - eng_rng_next
