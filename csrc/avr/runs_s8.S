/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of src/runs_s8.c. X inputs, Z table, r17:r16 start of the gap or run, r23:r22 end of x, r25:r24 last place where four
 * inputs are left, r20 zero_x, r21 runs left, r29:r28 balance, r15:r14 table's first entry, r13:r12 where a run ends at the
 * latest, r11:r10 last place where eight inputs are left before that, r9 gain. */

    .equ    IN, 0
    .equ    SLACK, 2
    .equ    CAPACITY, 4
    .equ    GAIN, 5
    .equ    ZERO_X, 6
    .equ    RUN_PRICE, 8

    .section .text.eng_runs_s8, "ax", @progbits
    .global eng_runs_s8
    .type   eng_runs_s8, @function
eng_runs_s8:
    .irp    reg, 9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    movw    r30, r24
    movw    r26, r22
    movw    r16, r22
    ldd     r18, Z+IN
    ldd     r19, Z+IN+1
    add     r22, r18
    adc     r23, r19
    movw    r18, r20
    ldd     r20, Z+ZERO_X
    ldd     r21, Z+CAPACITY
    ldd     r9, Z+GAIN
    ldd     r28, Z+SLACK
    ldd     r29, Z+SLACK+1
    movw    r30, r18
    adiw    r30, 1
    movw    r14, r30
    movw    r24, r22
    sbiw    r24, 3
.Lgap:
    cp      r26, r24
    cpc     r27, r25
    brsh    .Lgap_one
    ld      r18, X+
    ld      r19, X+
    ld      r0, X+
    ld      r1, X+
    cp      r18, r20
    cpc     r19, r20
    cpc     r0, r20
    cpc     r1, r20
    breq    .Lgap
    sbiw    r26, 4
    cp      r18, r20
    brne    .Lfound
    adiw    r26, 1
    cp      r19, r20
    brne    .Lfound
    adiw    r26, 1
    cp      r0, r20
    brne    .Lfound
    adiw    r26, 1
    rjmp    .Lfound
.Lgap_one:
    cp      r26, r22
    cpc     r27, r23
    brsh    .Ldone
    ld      r18, X+
    cp      r18, r20
    breq    .Lgap_one
    sbiw    r26, 1
.Lfound:
    movw    r18, r26
    sub     r18, r16
    sbc     r19, r17
    mul     r18, r9
    add     r28, r0
    adc     r29, r1
    mul     r19, r9
    add     r29, r0
    sbiw    r28, RUN_PRICE
    brcs    .Lgive_up
    tst     r19
    breq    .Lgap_fits
    ldi     r16, 255
    ldi     r17, 1
.Lgap_long:
    subi    r21, 1
    brcs    .Lgive_up
    st      Z+, r16
    st      Z+, r17
    dec     r19
    brne    .Lgap_long
    rjmp    .Lgap_fits
.Ldone:
    movw    r26, r14
    sub     r30, r26
    sbc     r31, r27
    lsr     r31
    ror     r30
    sbiw    r26, 1
    st      X, r30
    ldi     r24, 1
    rjmp    .Lreturn
.Lgive_up:
    ldi     r24, 0
.Lreturn:
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9
    pop     r\reg
    .endr
    clr     r1
    ret
.Lgap_fits:
    movw    r16, r26
    movw    r12, r26
    add     r12, r28
    adc     r13, r29
    ldi     r19, 1
    add     r12, r19
    brcc    1f
    inc     r13
1:  cp      r12, r22
    cpc     r13, r23
    brlo    2f
    movw    r12, r22
2:  movw    r10, r12
    ldi     r19, 7
    sub     r10, r19
    brcc    .Lrun
    dec     r11
.Lrun:
    cp      r26, r10
    cpc     r27, r11
    brsh    .Lrun_one
    .rept   8
    ld      r19, X+
    cp      r19, r20
    breq    .Lzero
    .endr
    rjmp    .Lrun
.Lrun_one:
    cp      r26, r12
    cpc     r27, r13
    brsh    .Lrun_end
    ld      r19, X+
    cp      r19, r20
    brne    .Lrun_one
.Lzero:
    sbiw    r26, 1
.Lrun_end:
    movw    r0, r26
    sub     r0, r16
    sbc     r1, r17
    sub     r28, r0
    sbc     r29, r1
    brcs    .Ltoo_many
    movw    r16, r26
.Lrun_entry:
    subi    r21, 1
    brcs    .Ltoo_many
    st      Z+, r18
    tst     r1
    breq    .Lrun_fits
    ldi     r18, 255
    st      Z+, r18
    sub     r0, r18
    ldi     r18, 0
    sbc     r1, r18
    rjmp    .Lrun_entry
.Lrun_fits:
    st      Z+, r0
    rjmp    .Lgap
.Ltoo_many:
    rjmp    .Lgive_up
    .size   eng_runs_s8, . - eng_runs_s8
