/* SPDX-License-Identifier: Apache-2.0 */
/* What the float kernels in assembly have in common, where code is rarer than time. */

/* Floats between registers and memory: r21:r18 from Z, r25:r22 to Z; Z moves on. */
    .section .text.eng_float_load, "ax", @progbits
    .global eng_float_load
    .type   eng_float_load, @function
eng_float_load:
    ld      r18, Z+
    ld      r19, Z+
    ld      r20, Z+
    ld      r21, Z+
    ret
    .size   eng_float_load, . - eng_float_load

    .section .text.eng_float_store, "ax", @progbits
    .global eng_float_store
    .type   eng_float_store, @function
eng_float_store:
    st      Z+, r22
    st      Z+, r23
    st      Z+, r24
    st      Z+, r25
    ret
    .size   eng_float_store, . - eng_float_store

/* Leaves all registers that belong to the caller's caller on the stack, 18 bytes; changes r30 and r31 alone. */
    .section .text.eng_float_enter, "ax", @progbits
    .global eng_float_enter
    .type   eng_float_enter, @function
eng_float_enter:
    pop     r31
    pop     r30
    .irp    reg, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,28,29
    push    r\reg
    .endr
    ijmp
    .size   eng_float_enter, . - eng_float_enter

/* Takes them back, and returns for its caller. */
    .section .text.eng_float_leave, "ax", @progbits
    .global eng_float_leave
    .type   eng_float_leave, @function
eng_float_leave:
    .irp    reg, 29,28,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2
    pop     r\reg
    .endr
    ret
    .size   eng_float_leave, . - eng_float_leave
