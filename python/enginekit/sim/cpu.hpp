// SPDX-License-Identifier: Apache-2.0
// The core: registers, data space, stack, interrupts and the loop that executes decoded instructions. AVRxt as in the
// ATmega4809, and the classic AVRe+ of the ATmega328P, which has the same instructions with other cycles.
#pragma once

#include "trace.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace sim
{

constexpr uint64_t NEVER = std::numeric_limits<uint64_t>::max();

// What differs between the chips.
struct Layout {
    const char *name;
    uint32_t flash_bytes;
    uint32_t eeprom_bytes; // modelled
    uint16_t sram_start;
    uint16_t sram_bytes;
    uint16_t io_start; // data address of I/O address 0
    bool classic;      // AVRe+: registers in data space, flash only by LPM, interrupts by SREG.I alone, cycles of its own
    uint8_t interrupt_cycles; // to enter one: two stores of the program counter and more; the jump in the vector comes on top
    uint8_t wake_cycles;      // before an interrupt that ends sleep

    constexpr uint16_t flash_words() const
    {
        return static_cast<uint16_t>(flash_bytes / 2);
    }
    constexpr uint16_t ram_end() const
    {
        return static_cast<uint16_t>(sram_start + sram_bytes - 1);
    }
};

constexpr Layout ATMEGA4809{"ATmega4809", 0xC000, 0x100, 0x2800, 0x1800, 0x00, false, 2, 5};
constexpr Layout ATMEGA328P{"ATmega328P", 0x8000, 0, 0x0100, 0x0800, 0x20, true, 4, 4};

constexpr uint16_t EEPROM_START = 0x1400; // of the ATmega4809
constexpr uint16_t EEPROM_BYTES = 0x100;
constexpr uint16_t IO_END = 0x2800;       // I/O addresses are below
constexpr uint16_t FLASH_MAPPED = 0x4000; // where flash lies in data space, or is kept though the program does not see it there

// Addresses of the CPU's own registers in I/O space.
constexpr uint16_t IO_CCP = 0x34;
constexpr uint16_t IO_SPL = 0x3D;
constexpr uint16_t IO_SPH = 0x3E;
constexpr uint16_t IO_SREG = 0x3F;

// SREG bits.
constexpr uint8_t FLAG_C = 0x01;
constexpr uint8_t FLAG_Z = 0x02;
constexpr uint8_t FLAG_N = 0x04;
constexpr uint8_t FLAG_V = 0x08;
constexpr uint8_t FLAG_S = 0x10;
constexpr uint8_t FLAG_H = 0x20;
constexpr uint8_t FLAG_T = 0x40;
constexpr uint8_t FLAG_I = 0x80;

class Cpu;
struct Insn;

// Executes one decoded instruction and gives the next one.
using Handler = const Insn *(*)(Cpu &, const Insn *);

// One flash word, decoded as the first word of an instruction.
struct Insn {
    Handler run;
    uint16_t k;     // immediate, displacement, I/O or data address, or target in words
    uint8_t a;      // register d, or I/O address of SBI and its kin
    uint8_t b;      // register r, or bit mask
    uint8_t cycles; // before what the handler adds: branch taken, words skipped, load from flash
    uint8_t size;   // words
};

enum class Stop : uint8_t { none, brk, breakpoint, cycles, asleep, returned, reset };

enum class FaultKind : uint8_t { unmapped, illegal_opcode, flash_write, read_only, jump, stack, unsupported };

// The program did what the chip cannot do, or what is not modelled.
struct Fault : std::runtime_error {
    Fault(FaultKind kind_, uint32_t address_, const std::string &what)
        : std::runtime_error(what), kind(kind_), address(address_)
    {
    }
    FaultKind kind;
    uint32_t address; // data address, or byte address in flash for illegal opcodes and jumps
};

// What lies in I/O space, and everything that happens by itself.
class Bus
{
  public:
    virtual uint8_t read(uint16_t address) = 0;
    virtual void write(uint16_t address, uint8_t value) = 0;
    virtual uint64_t next_event() const = 0; // cycle of the earliest event
    virtual void service() = 0;              // do all events that are due
    virtual uint64_t requests() const = 0;   // bit n: vector n asks for an interrupt
    virtual void acknowledge(unsigned vector) = 0;
    virtual bool may_sleep() = 0;
    virtual unsigned urgent_vector() const = 0; // vector raised to level 1, 0 for none

  protected:
    ~Bus() = default;
};

class Cpu
{
  public:
    Cpu(Bus &bus, const Layout &chip);

    const Layout layout;

    // ---- program and control
    void load_flash(const std::vector<uint8_t> &image);
    void patch_flash(uint16_t address, uint8_t value);
    void reset(uint16_t start_word);
    Stop run(uint64_t limit); // until `limit` cycles are reached or something stops it
    void set_breakpoint(uint16_t word, bool enabled);
    void request_stop(Stop why)
    {
        stop_ = why;
        horizon_ = 0;
    }
    void interrupts_changed()
    {
        horizon_ = 0;
    }

    // ---- data space
    uint8_t read(uint16_t address)
    {
        if (in_sram(address)) {
            return data[address];
        }
        if (address >= mapped_from_) {
            ++cycles;
            return data[address];
        }
        return read_elsewhere(address);
    }
    void write(uint16_t address, uint8_t value)
    {
        if (in_sram(address)) {
            data[address] = value;
            return;
        }
        write_elsewhere(address, value);
    }
    bool in_sram(uint16_t address) const
    {
        return static_cast<uint16_t>(address - layout.sram_start) < layout.sram_bytes;
    }
    uint8_t read_io(uint16_t address); // I/O address
    void write_io(uint16_t address, uint8_t value);
    uint8_t read_program(uint16_t address) const;

    // ---- stack
    void push(uint8_t value)
    {
        if (sp < stack_floor) {
            full_stack();
        }
        write(sp, value);
        --sp;
        sp_low = std::min(sp_low, sp);
    }
    uint8_t pop()
    {
        if (sp >= layout.ram_end()) {
            empty_stack();
        }
        return read(++sp);
    }
    void push_pc(const Insn *next)
    {
        const auto word = word_of(next);
        push(static_cast<uint8_t>(word & 0xFF));
        push(static_cast<uint8_t>(word >> 8));
    }
    const Insn *pop_pc()
    {
        const unsigned high = pop();
        return at(static_cast<uint16_t>(high << 8 | pop()));
    }
    void clear_stack_peak()
    {
        sp_low = sp;
    }

    // ---- program counter
    const Insn *at(uint16_t word) const
    {
        if (word >= layout.flash_words()) {
            jump_fault(word);
        }
        return &code_[word];
    }
    uint16_t word_of(const Insn *insn) const
    {
        return static_cast<uint16_t>(insn - code_.data());
    }
    uint16_t pc() const
    {
        return word_of(ip_);
    }
    void set_pc(uint16_t word)
    {
        ip_ = at(word);
        left_off_ = nullptr;
    }

    void call(uint16_t word) // as a debugger does: the program goes on where it is when the function has returned
    {
        const Insn *target = at(word);
        push_pc(ip_);
        note_call(target);
        set_pc(word);
    }

    // ---- calls, for the profile
    void note_call(const Insn *target)
    {
        trace.call(word_of(target), static_cast<uint16_t>(sp + 2), cycles);
    }
    void note_return()
    {
        if (trace.leave(sp, cycles)) {
            request_stop(Stop::returned);
        }
    }

    // ---- interrupts and protection
    void hold_interrupts(uint64_t count) // for the next `count` instructions
    {
        hold_until_ = instructions + count;
        horizon_ = 0;
    }
    void return_from_interrupt();
    bool unlocked(uint8_t signature) const // is a protected write with this CCP signature allowed now?
    {
        return ccp_ == signature && instructions <= ccp_until_;
    }
    void sleep();
    void set_sreg(uint8_t value);
    uint8_t interrupt_levels() const
    {
        return static_cast<uint8_t>((in_level0_ ? 1 : 0) | (in_level1_ ? 2 : 0));
    }
    bool sleeping() const
    {
        return sleeping_;
    }

    // ---- state that handlers work on
    uint64_t cycles = 0;
    uint64_t instructions = 0;
    std::array<uint8_t, 32> r{};
    uint8_t sreg = 0;
    uint16_t sp;
    uint16_t sp_low;      // lowest SP seen
    uint16_t stack_floor; // first byte that the stack may use
    uint16_t vectors = 0; // word address of the vector table
    std::array<uint8_t, 0x10000> data{};
    Trace trace;

    uint16_t pair(unsigned low) const
    {
        return static_cast<uint16_t>(r[low] | r[low + 1] << 8);
    }
    void set_pair(unsigned low, unsigned value)
    {
        r[low] = static_cast<uint8_t>(value & 0xFF);
        r[low + 1] = static_cast<uint8_t>(value >> 8 & 0xFF);
    }

  private:
    uint8_t read_elsewhere(uint16_t address);
    void write_elsewhere(uint16_t address, uint8_t value);
    uint16_t io_address(uint16_t address) const;
    void write_sp(uint16_t value, unsigned half);
    [[noreturn]] void full_stack() const;
    [[noreturn]] void empty_stack() const;
    Insn decode_at(uint16_t word) const;
    [[noreturn]] void jump_fault(uint16_t word) const;
    unsigned ready_vector() const;
    void enter_interrupt(unsigned vector);
    void execute();
    void step_over();
    void doze(uint64_t limit);

    Bus &bus_;
    uint32_t mapped_from_; // first data address that reads flash
    std::vector<Insn> code_;
    std::vector<bool> breakpoints_;
    const Insn *ip_ = nullptr;
    const Insn *left_off_ = nullptr; // the breakpoint that ended the last run
    uint64_t horizon_ = 0;           // the inner loop leaves when cycles reach this
    uint64_t hold_until_ = 0;        // no interrupt before this many instructions
    uint64_t ccp_until_ = 0;
    uint8_t ccp_ = 0;
    unsigned sp_halves_ = 0;
    bool in_level0_ = false;
    bool in_level1_ = false;
    bool sleeping_ = false;
    Stop stop_ = Stop::none;
};

// Decodes the instruction at `word`, whose second word is `second`; what is not in the table gets a handler that faults.
Insn decode(uint16_t opcode, uint16_t second, uint16_t word, const Layout &layout);
// The entries after the last word of flash: running into them faults.
Insn decode_end();
// Stops before the instruction under it.
Insn decode_breakpoint(uint8_t size);

} // namespace sim
