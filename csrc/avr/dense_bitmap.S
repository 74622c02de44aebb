/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/dense_bitmap.c for AVRxt.
 *
 * Sums lie in memory as lo, mid, top with mid signed: a product is added to the lower two, and when it overflows them, top counts
 * up or down. The bits of a record come right before the weights of their byte.
 *
 * X inputs, Y sums, Z records, r14 zero, r15 bytes of bits, r17:r16 first sum, r18 weight, r19 input less base, r20 base, r21
 * bits, r22 bytes left, r23 part of a sum, r25:r24 records left, r1:r0 products. */

    .equ    START_AT, 2
    .equ    RECORDS, 4
    .equ    BYTES, 6
    .equ    BASE_AT, 7

    .macro  bit row
    lsr     r21
    brcc    .Lback\row
    ld      r18, Z+
    mulsu   r18, r19
    ldd     r23, Y+3*\row
    add     r23, r0
    std     Y+3*\row, r23
    ldd     r23, Y+3*\row+1
    adc     r23, r1
    std     Y+3*\row+1, r23
    brvs    .Lover\row
.Lback\row:
    .endm

    .macro  overflow row
.Lover\row:
    ldd     r23, Y+3*\row+2
    brpl    1f
    inc     r23
    inc     r23
1:  dec     r23
    std     Y+3*\row+2, r23
    rjmp    .Lback\row
    .endm

    .section .text.eng_dense_bitmap_s24, "ax", @progbits
    .global eng_dense_bitmap_s24
    .type   eng_dense_bitmap_s24, @function
eng_dense_bitmap_s24:
    .irp    reg, 14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r26, r24
    movw    r16, r20
    movw    r28, r20
    movw    r18, r22
    adiw    r26, BYTES
    ld      r15, X+
    ld      r20, X
    sbiw    r26, BYTES+1-START_AT
    ld      r30, X+
    ld      r31, X+
    ld      r24, X+
    ld      r25, X
    sbiw    r26, RECORDS+1
    mov     r22, r15
    lsl     r22
    lsl     r22
    lsl     r22
1:  ld      r0, Z+
    st      Y+, r0
    ld      r0, Z+
    st      Y+, r0
    ld      r0, Z+
    st      Y+, r0
    dec     r22
    brne    1b
    ld      r30, X+
    ld      r31, X
    movw    r26, r18
    clr     r14
    adiw    r24, 0
    brne    .Lrecord
    rjmp    .Lsums
    .irp    row, 0,1,2
    overflow \row
    .endr
.Lempty:
    adiw    r28, 24
    dec     r22
    brne    .Lbyte
    rjmp    3f
.Lpassed:
    add     r30, r0
    adc     r31, r14
    sbiw    r24, 1
    brne    .Lrecord
    rjmp    .Lsums
.Lrecord:
    ld      r0, Z+
    add     r26, r0
    adc     r27, r14
    ld      r19, X
    ld      r0, Z+
    sub     r19, r20
    breq    .Lpassed
    movw    r28, r16
    mov     r22, r15
.Lbyte:
    ld      r21, Z+
    tst     r21
    breq    .Lempty
    .irp    row, 0,1,2,3,4,5,6,7
    bit     \row
    .endr
    adiw    r28, 24
    dec     r22
    breq    3f
    rjmp    .Lbyte
3:  sbiw    r24, 1
    breq    .Lsums
    rjmp    .Lrecord
    .irp    row, 3,4,5,6,7
    overflow \row
    .endr
.Lsums:
    movw    r28, r16
    mov     r22, r15
    lsl     r22
    lsl     r22
    lsl     r22
4:  ldd     r23, Y+1
    ldd     r18, Y+2
    sbrc    r23, 7
    dec     r18
    std     Y+2, r18
    adiw    r28, 3
    dec     r22
    brne    4b
    .irp    reg, 29,28,17,16,15,14
    pop     r\reg
    .endr
    clr     r1
    ret
    .size   eng_dense_bitmap_s24, . - eng_dense_bitmap_s24
