// SPDX-License-Identifier: Apache-2.0
// Handlers, one for each instruction, as the decoder's table names them.
#pragma once

#include "cpu.hpp"

namespace sim::insn
{

#define SIM_HANDLERS(X)                                                                                                        \
    X(add)                                                                                                                     \
    X(adc)                                                                                                                     \
    X(sub) X(sbc) X(subi) X(sbci) X(cp) X(cpc) X(cpi) X(and_) X(or_) X(eor) X(andi) X(ori) X(com) X(neg) X(swap) X(inc) X(dec) \
        X(asr) X(lsr) X(ror) X(adiw) X(sbiw) X(mov) X(movw) X(ldi) X(mul) X(muls) X(mulsu) X(fmul) X(fmuls) X(fmulsu) X(bset)  \
            X(bclr) X(bld) X(bst) X(nop) X(lds) X(sts) X(ld_x) X(ld_x_inc) X(ld_x_dec) X(ldd_y) X(ld_y_inc) X(ld_y_dec)        \
                X(ldd_z) X(ld_z_inc) X(ld_z_dec) X(st_x) X(st_x_inc) X(st_x_dec) X(std_y) X(st_y_inc) X(st_y_dec) X(std_z)     \
                    X(st_z_inc) X(st_z_dec) X(push) X(pop) X(lpm_r0) X(lpm) X(lpm_inc) X(in) X(out) X(sbi) X(cbi) X(rjmp)      \
                        X(jmp) X(ijmp) X(rcall) X(call) X(icall) X(ret) X(reti) X(brbs) X(brbc) X(cpse) X(sbrc) X(sbrs)        \
                            X(sbic) X(sbis) X(brk) X(sleep) X(spm) X(illegal) X(bad_jump) X(end_of_flash) X(breakpoint)

#define SIM_DECLARE(name) const Insn *name(Cpu &c, const Insn *i);
SIM_HANDLERS(SIM_DECLARE)
#undef SIM_DECLARE

} // namespace sim::insn
