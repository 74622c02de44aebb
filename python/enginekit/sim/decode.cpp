// SPDX-License-Identifier: Apache-2.0
// The decoder: the opcode table of the instruction set manual, as text.
#include "insns.hpp"

#include <array>
#include <cstring>

namespace sim
{

namespace
{

// Letters in a pattern: d, r registers (5 bits 0-31, 4 bits 16-31, 3 bits 16-23, d with 2 bits 24, 26, 28 or 30);
// D, R register pairs; K, q constants; A I/O address; b, s bit numbers, kept as masks; j relative, k absolute target or
// address.
struct Row {
    const char *pattern;
    Handler run;
    uint8_t cycles; // of AVRxt; the classic core's differ in CLASSIC
    uint8_t words;
};

const Row TABLE[] = {
    {"0000000000000000", insn::nop, 1, 1},      {"00000001DDDDRRRR", insn::movw, 1, 1},
    {"00000010ddddrrrr", insn::muls, 2, 1},     {"000000110ddd0rrr", insn::mulsu, 2, 1},
    {"000000110ddd1rrr", insn::fmul, 2, 1},     {"000000111ddd0rrr", insn::fmuls, 2, 1},
    {"000000111ddd1rrr", insn::fmulsu, 2, 1},   {"000001rdddddrrrr", insn::cpc, 1, 1},
    {"000010rdddddrrrr", insn::sbc, 1, 1},      {"000011rdddddrrrr", insn::add, 1, 1},
    {"000100rdddddrrrr", insn::cpse, 1, 1},     {"000101rdddddrrrr", insn::cp, 1, 1},
    {"000110rdddddrrrr", insn::sub, 1, 1},      {"000111rdddddrrrr", insn::adc, 1, 1},
    {"001000rdddddrrrr", insn::and_, 1, 1},     {"001001rdddddrrrr", insn::eor, 1, 1},
    {"001010rdddddrrrr", insn::or_, 1, 1},      {"001011rdddddrrrr", insn::mov, 1, 1},
    {"0011KKKKddddKKKK", insn::cpi, 1, 1},      {"0100KKKKddddKKKK", insn::sbci, 1, 1},
    {"0101KKKKddddKKKK", insn::subi, 1, 1},     {"0110KKKKddddKKKK", insn::ori, 1, 1},
    {"0111KKKKddddKKKK", insn::andi, 1, 1},     {"10q0qq0ddddd1qqq", insn::ldd_y, 2, 1},
    {"10q0qq0ddddd0qqq", insn::ldd_z, 2, 1},    {"10q0qq1ddddd1qqq", insn::std_y, 1, 1},
    {"10q0qq1ddddd0qqq", insn::std_z, 1, 1},    {"1001000ddddd0000", insn::lds, 3, 2},
    {"1001000ddddd0001", insn::ld_z_inc, 2, 1}, {"1001000ddddd0010", insn::ld_z_dec, 2, 1},
    {"1001000ddddd0100", insn::lpm, 3, 1},      {"1001000ddddd0101", insn::lpm_inc, 3, 1},
    {"1001000ddddd1001", insn::ld_y_inc, 2, 1}, {"1001000ddddd1010", insn::ld_y_dec, 2, 1},
    {"1001000ddddd1100", insn::ld_x, 2, 1},     {"1001000ddddd1101", insn::ld_x_inc, 2, 1},
    {"1001000ddddd1110", insn::ld_x_dec, 2, 1}, {"1001000ddddd1111", insn::pop, 2, 1},
    {"1001001ddddd0000", insn::sts, 2, 2},      {"1001001ddddd0001", insn::st_z_inc, 1, 1},
    {"1001001ddddd0010", insn::st_z_dec, 1, 1}, {"1001001ddddd1001", insn::st_y_inc, 1, 1},
    {"1001001ddddd1010", insn::st_y_dec, 1, 1}, {"1001001ddddd1100", insn::st_x, 1, 1},
    {"1001001ddddd1101", insn::st_x_inc, 1, 1}, {"1001001ddddd1110", insn::st_x_dec, 1, 1},
    {"1001001ddddd1111", insn::push, 1, 1},     {"1001010ddddd0000", insn::com, 1, 1},
    {"1001010ddddd0001", insn::neg, 1, 1},      {"1001010ddddd0010", insn::swap, 1, 1},
    {"1001010ddddd0011", insn::inc, 1, 1},      {"1001010ddddd0101", insn::asr, 1, 1},
    {"1001010ddddd0110", insn::lsr, 1, 1},      {"1001010ddddd0111", insn::ror, 1, 1},
    {"1001010ddddd1010", insn::dec, 1, 1},      {"100101000sss1000", insn::bset, 1, 1},
    {"100101001sss1000", insn::bclr, 1, 1},     {"1001010000001001", insn::ijmp, 2, 1},
    {"1001010100001001", insn::icall, 2, 1},    {"1001010100001000", insn::ret, 4, 1},
    {"1001010100011000", insn::reti, 4, 1},     {"1001010110001000", insn::sleep, 1, 1},
    {"1001010110011000", insn::brk, 1, 1},      {"1001010110101000", insn::nop, 1, 1}, // WDR: the watchdog is always off
    {"1001010111001000", insn::lpm_r0, 3, 1},   {"1001010111101000", insn::spm, 1, 1},
    {"1001010111111000", insn::spm, 1, 1},      {"1001010kkkkk110k", insn::jmp, 3, 2},
    {"1001010kkkkk111k", insn::call, 3, 2},     {"10010110KKddKKKK", insn::adiw, 2, 1},
    {"10010111KKddKKKK", insn::sbiw, 2, 1},     {"10011000AAAAAbbb", insn::cbi, 1, 1},
    {"10011001AAAAAbbb", insn::sbic, 1, 1},     {"10011010AAAAAbbb", insn::sbi, 1, 1},
    {"10011011AAAAAbbb", insn::sbis, 1, 1},     {"100111rdddddrrrr", insn::mul, 2, 1},
    {"10110AAdddddAAAA", insn::in, 1, 1},       {"10111AAdddddAAAA", insn::out, 1, 1},
    {"1100jjjjjjjjjjjj", insn::rjmp, 2, 1},     {"1101jjjjjjjjjjjj", insn::rcall, 2, 1},
    {"1110KKKKddddKKKK", insn::ldi, 1, 1},      {"111100jjjjjjjsss", insn::brbs, 1, 1},
    {"111101jjjjjjjsss", insn::brbc, 1, 1},     {"1111100ddddd0bbb", insn::bld, 1, 1},
    {"1111101ddddd0bbb", insn::bst, 1, 1},      {"1111110ddddd0bbb", insn::sbrc, 1, 1},
    {"1111111ddddd0bbb", insn::sbrs, 1, 1},
};

// Where the classic core takes other cycles: stores and PUSH read or write memory in a cycle of their own.
struct Classic {
    Handler run;
    uint8_t cycles;
};

const Classic CLASSIC[] = {
    {insn::std_y, 2},    {insn::std_z, 2},    {insn::st_x, 2},     {insn::st_x_inc, 2},
    {insn::st_x_dec, 2}, {insn::st_y_inc, 2}, {insn::st_y_dec, 2}, {insn::st_z_inc, 2},
    {insn::st_z_dec, 2}, {insn::lds, 2},      {insn::push, 2},     {insn::rcall, 3},
    {insn::icall, 3},    {insn::call, 4},     {insn::sbi, 2},      {insn::cbi, 2},
};

uint8_t cycles_of(const Row &row, const Layout &layout)
{
    for (const Classic &other : CLASSIC) {
        if (layout.classic && other.run == row.run) {
            return other.cycles;
        }
    }
    return row.cycles;
}

bool matches(const Row &row, uint16_t opcode)
{
    for (unsigned i = 0; i < 16; ++i) {
        const char expected = row.pattern[i];
        const char bit = (opcode >> (15 - i) & 1) != 0 ? '1' : '0';
        if ((expected == '0' || expected == '1') && expected != bit) {
            return false;
        }
    }
    return true;
}

struct Field {
    unsigned value = 0;
    unsigned bits = 0;
};

Field field(const Row &row, uint16_t opcode, char letter)
{
    Field result;
    for (unsigned i = 0; i < 16; ++i) {
        if (row.pattern[i] == letter) {
            result.value = result.value << 1 | (opcode >> (15 - i) & 1U);
            ++result.bits;
        }
    }
    return result;
}

uint8_t register_number(const Field &f)
{
    switch (f.bits) {
    case 2:
        return static_cast<uint8_t>(24 + 2 * f.value);
    case 3:
    case 4:
        return static_cast<uint8_t>(16 + f.value);
    default:
        return static_cast<uint8_t>(f.value);
    }
}

// Relative targets are counted from the next word.
uint16_t relative(const Field &f, uint16_t word)
{
    const unsigned sign = 1U << (f.bits - 1);
    return static_cast<uint16_t>((word + 1U + (f.value ^ sign) - sign) & 0xFFFF);
}

void set_operands(Insn &insn, const Row &row, uint16_t opcode, uint16_t word, uint16_t second)
{
    const auto get = [&](char letter) { return field(row, opcode, letter); };
    insn.a = register_number(get('d'));
    insn.b = register_number(get('r'));
    if (const auto f = get('D'); f.bits != 0) {
        insn.a = static_cast<uint8_t>(2 * f.value);
        insn.b = static_cast<uint8_t>(2 * get('R').value);
    }
    insn.k = static_cast<uint16_t>(get('K').value | get('q').value);
    if (const auto f = get('A'); f.bits == 6) {
        insn.k = static_cast<uint16_t>(f.value);
    } else if (f.bits == 5) {
        insn.a = static_cast<uint8_t>(f.value);
    }
    for (const char letter : {'b', 's'}) {
        if (const auto f = get(letter); f.bits != 0) {
            insn.b = static_cast<uint8_t>(1U << f.value);
        }
    }
    if (const auto f = get('j'); f.bits != 0) {
        insn.k = relative(f, word);
    }
    if (row.words == 2) {
        insn.k = second;
    }
}

// The row of each opcode, found once; -1 for illegal ones.
std::array<int8_t, 0x10000> make_index()
{
    std::array<int8_t, 0x10000> index{};
    constexpr int rows = static_cast<int>(sizeof TABLE / sizeof TABLE[0]);
    for (unsigned opcode = 0; opcode < index.size(); ++opcode) {
        int row = 0;
        while (row < rows && !matches(TABLE[row], static_cast<uint16_t>(opcode))) {
            ++row;
        }
        index[opcode] = static_cast<int8_t>(row < rows ? row : -1);
    }
    return index;
}

} // namespace

Insn decode(uint16_t opcode, uint16_t second, uint16_t word, const Layout &layout)
{
    static const auto INDEX = make_index();
    const int row = INDEX[opcode];
    if (row < 0) {
        return {insn::illegal, opcode, 0, 0, 0, 1};
    }
    Insn insn{TABLE[row].run, 0, 0, 0, cycles_of(TABLE[row], layout), TABLE[row].words};
    set_operands(insn, TABLE[row], opcode, word, second);
    const bool jumps = insn.run == insn::jmp || insn.run == insn::call;
    if (insn.size == 2 && word + 1U == layout.flash_words()) {
        insn.run = insn::end_of_flash;
    } else if (jumps && (field(TABLE[row], opcode, 'k').value != 0 || insn.k >= layout.flash_words())) {
        insn.run = insn::bad_jump;
    }
    return insn;
}

Insn decode_end()
{
    return {insn::end_of_flash, 0, 0, 0, 0, 1};
}

Insn decode_breakpoint(uint8_t size)
{
    return {insn::breakpoint, 0, 0, 0, 0, size};
}

} // namespace sim
