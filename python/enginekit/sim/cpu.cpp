// SPDX-License-Identifier: Apache-2.0
#include "cpu.hpp"

#include <algorithm>

namespace sim
{

namespace
{
constexpr uint64_t PROTECTED_INSTRUCTIONS = 4;
constexpr unsigned BOTH_HALVES = 3;
} // namespace

// Two entries beyond flash: a skip at its end may land on the second.
Cpu::Cpu(Bus &bus, const Layout &chip)
    : layout(chip), sp(chip.ram_end()), sp_low(chip.ram_end()), stack_floor(chip.sram_start), bus_(bus),
      mapped_from_(chip.classic ? 0x10000 : FLASH_MAPPED), code_(chip.flash_words() + 2U, decode_end()),
      breakpoints_(chip.flash_words() + 2U, false)
{
    trace.set_functions({}, layout.flash_words());
    load_flash({});
}

void Cpu::load_flash(const std::vector<uint8_t> &image)
{
    std::fill(data.begin() + FLASH_MAPPED, data.end(), uint8_t{0xFF});
    std::copy(image.begin(), image.end(), data.begin() + FLASH_MAPPED);
    for (uint16_t word = 0; word < layout.flash_words(); ++word) {
        set_breakpoint(word, breakpoints_[word]);
    }
}

void Cpu::patch_flash(uint16_t address, uint8_t value)
{
    data[static_cast<size_t>(FLASH_MAPPED) + address] = value;
    const auto word = static_cast<uint16_t>(address / 2);
    set_breakpoint(word, breakpoints_[word]);
    if (word > 0) { // it may be the second word of an instruction
        const auto before = static_cast<uint16_t>(word - 1);
        set_breakpoint(before, breakpoints_[before]);
    }
}

Insn Cpu::decode_at(uint16_t word) const
{
    const auto fetch = [&](size_t w) {
        return static_cast<uint16_t>(data[FLASH_MAPPED + 2 * w] | data[FLASH_MAPPED + 2 * w + 1] << 8);
    };
    return decode(fetch(word), word + 1U < layout.flash_words() ? fetch(word + 1U) : uint16_t{0xFFFF}, word, layout);
}

void Cpu::set_breakpoint(uint16_t word, bool enabled)
{
    breakpoints_.at(word) = enabled;
    const Insn insn = decode_at(word);
    code_.at(word) = enabled ? decode_breakpoint(insn.size) : insn;
}

void Cpu::reset(uint16_t start_word)
{
    sreg = 0;
    sp = layout.ram_end();
    vectors = start_word;
    sp_halves_ = 0;
    in_level0_ = in_level1_ = sleeping_ = false;
    hold_until_ = ccp_until_ = 0;
    ccp_ = 0;
    horizon_ = 0;
    ip_ = at(start_word);
    left_off_ = nullptr;
    trace.restart(start_word, cycles);
}

// ---------------------------------------------------------------------------------------------------------- execution

Stop Cpu::run(uint64_t limit)
{
    stop_ = Stop::none;
    if (left_off_ == ip_ && cycles < limit) {
        step_over();
    }
    left_off_ = nullptr;
    while (stop_ == Stop::none) {
        if (cycles >= bus_.next_event()) {
            bus_.service();
        }
        if (cycles >= limit) {
            return Stop::cycles;
        }
        const unsigned vector = ready_vector();
        if (vector != 0 && instructions >= hold_until_) {
            enter_interrupt(vector);
        } else if (sleeping_) {
            doze(limit);
        } else {
            horizon_ = vector != 0 ? 0 : std::min(limit, bus_.next_event());
            execute();
        }
    }
    left_off_ = stop_ == Stop::breakpoint ? ip_ : nullptr;
    return stop_;
}

// Executes the instruction under the breakpoint that ended the last run.
void Cpu::step_over()
{
    const Insn insn = decode_at(pc());
    horizon_ = 0;
    cycles += insn.cycles;
    ++instructions;
    code_[pc()] = insn; // handlers reckon from their place in the table
    const uint16_t word = pc();
    const bool again = breakpoints_[word];
    try {
        ip_ = insn.run(*this, ip_);
    } catch (...) {
        set_breakpoint(word, again);
        throw;
    }
    set_breakpoint(word, again);
}

// At least one instruction, then on until the horizon.
void Cpu::execute()
{
    do {
        const Insn *insn = ip_;
        cycles += insn->cycles;
        ++instructions;
        ip_ = insn->run(*this, insn);
    } while (cycles < horizon_);
}

void Cpu::sleep()
{
    if (bus_.may_sleep()) {
        sleeping_ = true;
        hold_until_ = instructions;
        horizon_ = 0;
    }
}

// Time passes without instructions until the next event. When nothing can wake the chip, it passes to the limit if there is
// one.
void Cpu::doze(uint64_t limit)
{
    const bool forever = (sreg & FLAG_I) == 0 || bus_.next_event() == NEVER;
    const uint64_t next = forever ? limit : std::min(limit, bus_.next_event());
    if (next != NEVER) {
        cycles = std::max(cycles, next);
    }
    if (forever) {
        stop_ = Stop::asleep;
    }
}

// --------------------------------------------------------------------------------------------------------- interrupts

// The vector that would be served now, 0 for none. Lower numbers go first, the vector raised to level 1 before all.
unsigned Cpu::ready_vector() const
{
    const uint64_t requests = bus_.requests();
    if (requests == 0 || (sreg & FLAG_I) == 0 || in_level1_) {
        return 0;
    }
    const unsigned urgent = bus_.urgent_vector();
    if (urgent != 0 && (requests >> urgent & 1) != 0) {
        return urgent;
    }
    if (in_level0_) {
        return 0;
    }
    unsigned vector = 0;
    while ((requests >> vector & 1) == 0) {
        ++vector;
    }
    return vector;
}

void Cpu::enter_interrupt(unsigned vector)
{
    cycles += sleeping_ ? layout.wake_cycles : 0;
    sleeping_ = false;
    if (layout.classic) {
        sreg = static_cast<uint8_t>(sreg & ~FLAG_I);
    } else {
        (vector == bus_.urgent_vector() ? in_level1_ : in_level0_) = true;
    }
    push_pc(ip_);
    cycles += layout.interrupt_cycles;
    ip_ = at(static_cast<uint16_t>(vectors + 2 * vector));
    note_call(ip_);
    bus_.acknowledge(vector);
}

// On AVRxt neither entry nor RETI changes I of SREG; on the classic core they clear and set it.
void Cpu::return_from_interrupt()
{
    (in_level1_ ? in_level1_ : in_level0_) = false;
    if (layout.classic) {
        sreg |= FLAG_I;
    }
    hold_interrupts(1);
}

void Cpu::set_sreg(uint8_t value)
{
    if ((value & ~sreg & FLAG_I) != 0) {
        hold_interrupts(1);
    }
    sreg = value;
}

// --------------------------------------------------------------------------------------------------------- data space

uint8_t Cpu::read_io(uint16_t address)
{
    switch (address) {
    case IO_SREG:
        return sreg;
    case IO_SPL:
        return static_cast<uint8_t>(sp & 0xFF);
    case IO_SPH:
        return static_cast<uint8_t>(sp >> 8);
    case IO_CCP:
        if (!layout.classic) {
            return instructions > ccp_until_ ? 0 : static_cast<uint8_t>(ccp_ == 0xD8 ? 1 : 2);
        }
        return bus_.read(address);
    default:
        return bus_.read(address);
    }
}

void Cpu::write_io(uint16_t address, uint8_t value)
{
    switch (address) {
    case IO_SREG:
        set_sreg(value);
        break;
    case IO_SPL:
        write_sp(static_cast<uint16_t>((sp & 0xFF00) | value), 1);
        hold_interrupts(PROTECTED_INSTRUCTIONS);
        break;
    case IO_SPH:
        write_sp(static_cast<uint16_t>((sp & 0x00FF) | value << 8), 2);
        hold_interrupts(0);
        break;
    case IO_CCP:
        if (layout.classic) {
            bus_.write(address, value);
            break;
        }
        ccp_ = value;
        if (value == 0xD8 || value == 0x9D) {
            ccp_until_ = instructions + PROTECTED_INSTRUCTIONS;
            hold_interrupts(PROTECTED_INSTRUCTIONS);
        }
        break;
    default:
        bus_.write(address, value);
    }
}

// Of a data address outside registers, SRAM and flash.
uint16_t Cpu::io_address(uint16_t address) const
{
    if (layout.classic && address > layout.ram_end()) {
        throw Fault(FaultKind::unmapped, address, "access beyond the end of SRAM");
    }
    return static_cast<uint16_t>(address - layout.io_start);
}

uint8_t Cpu::read_elsewhere(uint16_t address)
{
    return address < layout.io_start ? r[address] : read_io(io_address(address));
}

void Cpu::write_elsewhere(uint16_t address, uint8_t value)
{
    if (address >= mapped_from_) {
        throw Fault(FaultKind::flash_write, address, "write to flash");
    }
    if (address < layout.io_start) {
        r[address] = value;
    } else {
        write_io(io_address(address), value);
    }
}

uint8_t Cpu::read_program(uint16_t address) const
{
    if (address >= layout.flash_bytes) {
        throw Fault(FaultKind::unmapped, address, "LPM beyond the end of flash");
    }
    return data[static_cast<size_t>(FLASH_MAPPED) + address];
}

// -------------------------------------------------------------------------------------------------------------- stack

// Between its two writes SP holds a mixture of old and new, which says nothing about the depth of the stack.
void Cpu::write_sp(uint16_t value, unsigned half)
{
    sp = value;
    sp_halves_ |= half;
    if (sp_halves_ != BOTH_HALVES) {
        return;
    }
    sp_halves_ = 0;
    if (sp < sp_low) {
        sp_low = sp;
    }
    if (sp + 1 < stack_floor) {
        full_stack();
    }
}

void Cpu::full_stack() const
{
    throw Fault(FaultKind::stack, sp, "stack has run into static data");
}

void Cpu::empty_stack() const
{
    throw Fault(FaultKind::stack, sp, "return or POP from an empty stack");
}

void Cpu::jump_fault(uint16_t word) const
{
    throw Fault(FaultKind::jump, 2U * word, "jump outside flash");
}

} // namespace sim
