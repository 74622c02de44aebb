/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/moved_s8.c. X inputs, Y table, Z codes at rest, r25:r24 where they start, r23:r22 start of the table, r18 cells left,
 * r19 period, r20 limit, r21 runs left, r17 gap, r16 length, r1:r0 codes compared; the period's rest in r14. */

    .equ    REST, 0
    .equ    PERIOD, 2
    .equ    CELLS, 3
    .equ    CAPACITY, 4
    .equ    LIMIT, 5

    .section .text.eng_moved_s8, "ax", @progbits
    .global eng_moved_s8
    .type   eng_moved_s8, @function
eng_moved_s8:
    .irp    reg, 14,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r22, r20
    movw    r28, r20
    adiw    r28, 1
    ldd     r24, Z+REST
    ldd     r25, Z+REST+1
    ldd     r19, Z+PERIOD
    ldd     r18, Z+CELLS
    ldd     r21, Z+CAPACITY
    ldd     r20, Z+LIMIT
    clr     r17
    clr     r16
.Lcell:
    movw    r30, r24
    mov     r14, r19
1:  ld      r0, X+
    ld      r1, Z+
    cp      r0, r1
    brne    .Lmoved
    dec     r14
    brne    1b
    tst     r16
    breq    2f
    clr     r16
    clr     r17
2:  inc     r17
.Lnext:
    dec     r18
    brne    .Lcell
    movw    r26, r22
    sub     r28, r22
    lsr     r28
    st      X, r28
    ldi     r24, 1
    rjmp    .Lreturn
.Lgive_up:
    ldi     r24, 0
.Lreturn:
    clr     r1
    .irp    reg, 29,28,17,16,14
    pop     r\reg
    .endr
    ret
.Lmoved:
    dec     r14
    clr     r1
    add     r26, r14
    adc     r27, r1
    subi    r20, 1
    brcs    .Lgive_up
    inc     r16
    cpi     r16, 1
    breq    .Lopen
    sbiw    r28, 1
    st      Y+, r16
    rjmp    .Lnext
.Lopen:
    subi    r21, 1
    brcs    .Lgive_up
    st      Y+, r17
    st      Y+, r16
    rjmp    .Lnext
    .size   eng_moved_s8, . - eng_moved_s8
