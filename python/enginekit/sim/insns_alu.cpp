// SPDX-License-Identifier: Apache-2.0
// Arithmetic, logic, bits and moves. Flags follow the formulas of the AVR instruction set manual.
#include "insns.hpp"

namespace sim::insn
{

namespace
{

constexpr uint8_t byte(unsigned value)
{
    return static_cast<uint8_t>(value & 0xFF);
}

// N, Z, V and S of a result; v is 0 or FLAG_V.
constexpr unsigned nzvs(unsigned result, unsigned v)
{
    const unsigned n = result >> 5 & FLAG_N;
    const unsigned z = static_cast<unsigned>(result == 0) << 1;
    const unsigned s = ((n << 1) ^ v) << 1;
    return n | z | v | s;
}

constexpr unsigned ARITHMETIC = FLAG_C | FLAG_Z | FLAG_N | FLAG_V | FLAG_S | FLAG_H;
constexpr unsigned LOGIC = FLAG_Z | FLAG_N | FLAG_V | FLAG_S;
constexpr unsigned SHIFT = LOGIC | FLAG_C;

inline void set_flags(Cpu &c, unsigned which, unsigned value)
{
    c.sreg = byte((c.sreg & ~which) | value);
}

// Bit n of `carries` is the carry (borrow) out of bit n.
inline unsigned add_flags(unsigned result, unsigned carries)
{
    const unsigned v = (carries >> 4 ^ carries >> 3) & FLAG_V;
    return (carries >> 7 & FLAG_C) | (carries << 2 & FLAG_H) | nzvs(result, v);
}

inline uint8_t sum(Cpu &c, unsigned a, unsigned b, unsigned carry)
{
    const unsigned result = (a + b + carry) & 0xFF;
    const unsigned carries = (a & b) | ((a | b) & ~result);
    set_flags(c, ARITHMETIC, add_flags(result, carries));
    return byte(result);
}

inline uint8_t difference(Cpu &c, unsigned a, unsigned b)
{
    const unsigned result = (a - b) & 0xFF;
    const unsigned borrows = (~a & b) | ((~a | b) & result);
    set_flags(c, ARITHMETIC, add_flags(result, borrows));
    return byte(result);
}

// Z only survives: a chain of bytes is zero when each of them is.
inline uint8_t difference_with_borrow(Cpu &c, unsigned a, unsigned b)
{
    const unsigned result = (a - b - (c.sreg & FLAG_C)) & 0xFF;
    const unsigned borrows = (~a & b) | ((~a | b) & result);
    const unsigned flags = add_flags(result, borrows);
    set_flags(c, ARITHMETIC, flags & (c.sreg | ~static_cast<unsigned>(FLAG_Z)));
    return byte(result);
}

inline uint8_t logic(Cpu &c, unsigned result)
{
    set_flags(c, LOGIC, nzvs(result, 0));
    return byte(result);
}

// V = N xor C, as after every shift right.
inline uint8_t shifted(Cpu &c, unsigned result, unsigned carry)
{
    const unsigned v = ((result >> 7) ^ carry) << 3;
    set_flags(c, SHIFT, carry | nzvs(result, v));
    return byte(result);
}

inline const Insn *product(Cpu &c, const Insn *i, unsigned value, unsigned shift)
{
    const unsigned carry = value >> 15 & FLAG_C;
    const unsigned result = value << shift & 0xFFFF;
    set_flags(c, FLAG_C | FLAG_Z, carry | static_cast<unsigned>(result == 0) << 1);
    c.set_pair(0, result);
    return i + 1;
}

inline int signed_byte(uint8_t value)
{
    return static_cast<int8_t>(value);
}

} // namespace

const Insn *add(Cpu &c, const Insn *i)
{
    c.r[i->a] = sum(c, c.r[i->a], c.r[i->b], 0);
    return i + 1;
}

const Insn *adc(Cpu &c, const Insn *i)
{
    c.r[i->a] = sum(c, c.r[i->a], c.r[i->b], c.sreg & FLAG_C);
    return i + 1;
}

const Insn *sub(Cpu &c, const Insn *i)
{
    c.r[i->a] = difference(c, c.r[i->a], c.r[i->b]);
    return i + 1;
}

const Insn *sbc(Cpu &c, const Insn *i)
{
    c.r[i->a] = difference_with_borrow(c, c.r[i->a], c.r[i->b]);
    return i + 1;
}

const Insn *subi(Cpu &c, const Insn *i)
{
    c.r[i->a] = difference(c, c.r[i->a], i->k);
    return i + 1;
}

const Insn *sbci(Cpu &c, const Insn *i)
{
    c.r[i->a] = difference_with_borrow(c, c.r[i->a], i->k);
    return i + 1;
}

const Insn *cp(Cpu &c, const Insn *i)
{
    difference(c, c.r[i->a], c.r[i->b]);
    return i + 1;
}

const Insn *cpc(Cpu &c, const Insn *i)
{
    difference_with_borrow(c, c.r[i->a], c.r[i->b]);
    return i + 1;
}

const Insn *cpi(Cpu &c, const Insn *i)
{
    difference(c, c.r[i->a], i->k);
    return i + 1;
}

const Insn *and_(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, c.r[i->a] & c.r[i->b]);
    return i + 1;
}

const Insn *or_(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, c.r[i->a] | c.r[i->b]);
    return i + 1;
}

const Insn *eor(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, c.r[i->a] ^ c.r[i->b]);
    return i + 1;
}

const Insn *andi(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, static_cast<unsigned>(c.r[i->a] & i->k));
    return i + 1;
}

const Insn *ori(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, static_cast<unsigned>(c.r[i->a] | i->k));
    return i + 1;
}

const Insn *com(Cpu &c, const Insn *i)
{
    c.r[i->a] = logic(c, ~static_cast<unsigned>(c.r[i->a]) & 0xFF);
    set_flags(c, FLAG_C, FLAG_C);
    return i + 1;
}

const Insn *neg(Cpu &c, const Insn *i)
{
    c.r[i->a] = difference(c, 0, c.r[i->a]);
    return i + 1;
}

const Insn *swap(Cpu &c, const Insn *i)
{
    const unsigned value = c.r[i->a];
    c.r[i->a] = byte(value << 4 | value >> 4);
    return i + 1;
}

const Insn *inc(Cpu &c, const Insn *i)
{
    const unsigned result = byte(c.r[i->a] + 1U);
    set_flags(c, LOGIC, nzvs(result, result == 0x80 ? FLAG_V : 0));
    c.r[i->a] = byte(result);
    return i + 1;
}

const Insn *dec(Cpu &c, const Insn *i)
{
    const unsigned result = byte(c.r[i->a] - 1U);
    set_flags(c, LOGIC, nzvs(result, result == 0x7F ? FLAG_V : 0));
    c.r[i->a] = byte(result);
    return i + 1;
}

const Insn *asr(Cpu &c, const Insn *i)
{
    const unsigned value = c.r[i->a];
    c.r[i->a] = shifted(c, value >> 1 | (value & 0x80), value & 1);
    return i + 1;
}

const Insn *lsr(Cpu &c, const Insn *i)
{
    const unsigned value = c.r[i->a];
    c.r[i->a] = shifted(c, value >> 1, value & 1);
    return i + 1;
}

const Insn *ror(Cpu &c, const Insn *i)
{
    const unsigned value = c.r[i->a];
    const unsigned carry = c.sreg & FLAG_C;
    c.r[i->a] = shifted(c, value >> 1 | carry << 7, value & 1);
    return i + 1;
}

const Insn *adiw(Cpu &c, const Insn *i)
{
    const unsigned before = c.pair(i->a);
    const unsigned result = (before + i->k) & 0xFFFF;
    const unsigned v = (~before & result) >> 12 & FLAG_V;
    const unsigned carry = (before & ~result) >> 15 & FLAG_C;
    const unsigned flags = nzvs(result >> 8, v) & ~static_cast<unsigned>(FLAG_Z);
    set_flags(c, SHIFT, flags | carry | static_cast<unsigned>(result == 0) << 1);
    c.set_pair(i->a, result);
    return i + 1;
}

const Insn *sbiw(Cpu &c, const Insn *i)
{
    const unsigned before = c.pair(i->a);
    const unsigned result = (before - i->k) & 0xFFFF;
    const unsigned v = (before & ~result) >> 12 & FLAG_V;
    const unsigned carry = (~before & result) >> 15 & FLAG_C;
    const unsigned flags = nzvs(result >> 8, v) & ~static_cast<unsigned>(FLAG_Z);
    set_flags(c, SHIFT, flags | carry | static_cast<unsigned>(result == 0) << 1);
    c.set_pair(i->a, result);
    return i + 1;
}

const Insn *mov(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.r[i->b];
    return i + 1;
}

const Insn *movw(Cpu &c, const Insn *i)
{
    c.set_pair(i->a, c.pair(i->b));
    return i + 1;
}

const Insn *ldi(Cpu &c, const Insn *i)
{
    c.r[i->a] = byte(i->k);
    return i + 1;
}

const Insn *mul(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(c.r[i->a]) * c.r[i->b], 0);
}

const Insn *muls(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(signed_byte(c.r[i->a]) * signed_byte(c.r[i->b])), 0);
}

const Insn *mulsu(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(signed_byte(c.r[i->a]) * c.r[i->b]), 0);
}

const Insn *fmul(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(c.r[i->a]) * c.r[i->b], 1);
}

const Insn *fmuls(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(signed_byte(c.r[i->a]) * signed_byte(c.r[i->b])), 1);
}

const Insn *fmulsu(Cpu &c, const Insn *i)
{
    return product(c, i, static_cast<unsigned>(signed_byte(c.r[i->a]) * c.r[i->b]), 1);
}

const Insn *bset(Cpu &c, const Insn *i)
{
    c.set_sreg(byte(c.sreg | i->b));
    return i + 1;
}

const Insn *bclr(Cpu &c, const Insn *i)
{
    c.set_sreg(byte(c.sreg & ~static_cast<unsigned>(i->b)));
    return i + 1;
}

const Insn *bld(Cpu &c, const Insn *i)
{
    const unsigned cleared = c.r[i->a] & ~static_cast<unsigned>(i->b);
    c.r[i->a] = byte((c.sreg & FLAG_T) != 0 ? cleared | i->b : cleared);
    return i + 1;
}

const Insn *bst(Cpu &c, const Insn *i)
{
    set_flags(c, FLAG_T, (c.r[i->a] & i->b) != 0 ? FLAG_T : 0);
    return i + 1;
}

const Insn *nop(Cpu &, const Insn *i)
{
    return i + 1;
}

} // namespace sim::insn
