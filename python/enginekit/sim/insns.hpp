// SPDX-License-Identifier: Apache-2.0
// Handlers, one for each instruction, as the decoder's table names them.
#pragma once

#include "cpu.hpp"

namespace sim::insn
{

using Function = const Insn *(Cpu &, const Insn *);

// insns_alu.cpp
Function add, adc, sub, sbc, subi, sbci, cp, cpc, cpi, and_, or_, eor, andi, ori, com, neg, swap, inc, dec, asr, lsr, ror;
Function adiw, sbiw, mov, movw, ldi, mul, muls, mulsu, fmul, fmuls, fmulsu, bset, bclr, bld, bst, nop;

// insns_memory.cpp
Function lds, sts, push, pop, lpm_r0, lpm, lpm_inc, in, out, sbi, cbi;
Function ld_x, ld_x_inc, ld_x_dec, ldd_y, ld_y_inc, ld_y_dec, ldd_z, ld_z_inc, ld_z_dec;
Function st_x, st_x_inc, st_x_dec, std_y, st_y_inc, st_y_dec, std_z, st_z_inc, st_z_dec;

// insns_flow.cpp
Function rjmp, jmp, ijmp, rcall, call, icall, ret, reti, brbs, brbc, cpse, sbrc, sbrs, sbic, sbis;
Function brk, sleep, spm, illegal, bad_jump, end_of_flash, breakpoint;

} // namespace sim::insn
