// SPDX-License-Identifier: Apache-2.0
// Jumps, calls, branches, skips and stops.
#include "insns.hpp"

#include <cstdio>

namespace sim::insn
{

namespace
{

inline const Insn *go(Cpu &c, uint16_t word)
{
    const Insn *target = c.at(word);
    if (c.trace.starts_function(word)) {
        c.trace.jump(word, c.cycles);
    }
    return target;
}

inline const Insn *branch(Cpu &c, const Insn *i, bool taken)
{
    if (!taken) {
        return i + 1;
    }
    ++c.cycles;
    return c.at(i->k);
}

inline const Insn *call_to(Cpu &c, const Insn *next, uint16_t word)
{
    const Insn *target = c.at(word);
    c.push_pc(next);
    c.note_call(target);
    return target;
}

inline const Insn *skip(Cpu &c, const Insn *i, bool taken)
{
    const Insn *next = i + 1;
    if (!taken) {
        return next;
    }
    c.cycles += next->size;
    return next + next->size;
}

} // namespace

const Insn *rjmp(Cpu &c, const Insn *i)
{
    return go(c, i->k);
}

const Insn *jmp(Cpu &c, const Insn *i)
{
    return go(c, i->k);
}

const Insn *ijmp(Cpu &c, const Insn *)
{
    return go(c, c.pair(30));
}

const Insn *rcall(Cpu &c, const Insn *i)
{
    if (i->k == c.word_of(i + 1)) { // to the next instruction: room on the stack, as compilers make it
        c.push_pc(i + 1);
        return i + 1;
    }
    return call_to(c, i + 1, i->k);
}

const Insn *call(Cpu &c, const Insn *i)
{
    return call_to(c, i + 2, i->k);
}

const Insn *icall(Cpu &c, const Insn *i)
{
    return call_to(c, i + 1, c.pair(30));
}

const Insn *ret(Cpu &c, const Insn *)
{
    const Insn *target = c.pop_pc();
    c.note_return();
    return target;
}

const Insn *reti(Cpu &c, const Insn *)
{
    const Insn *target = c.pop_pc();
    c.note_return();
    c.return_from_interrupt();
    return target;
}

const Insn *brbs(Cpu &c, const Insn *i)
{
    return branch(c, i, (c.sreg & i->b) != 0);
}

const Insn *brbc(Cpu &c, const Insn *i)
{
    return branch(c, i, (c.sreg & i->b) == 0);
}

const Insn *cpse(Cpu &c, const Insn *i)
{
    return skip(c, i, c.r[i->a] == c.r[i->b]);
}

const Insn *sbrc(Cpu &c, const Insn *i)
{
    return skip(c, i, (c.r[i->a] & i->b) == 0);
}

const Insn *sbrs(Cpu &c, const Insn *i)
{
    return skip(c, i, (c.r[i->a] & i->b) != 0);
}

const Insn *sbic(Cpu &c, const Insn *i)
{
    return skip(c, i, (c.read_io(i->a) & i->b) == 0);
}

const Insn *sbis(Cpu &c, const Insn *i)
{
    return skip(c, i, (c.read_io(i->a) & i->b) != 0);
}

const Insn *brk(Cpu &c, const Insn *i)
{
    c.request_stop(Stop::brk);
    return i + 1;
}

const Insn *sleep(Cpu &c, const Insn *i)
{
    c.sleep();
    return i + 1;
}

const Insn *spm(Cpu &c, const Insn *)
{
    throw Fault(FaultKind::flash_write, c.pair(30), "SPM: programming flash is not modelled");
}

const Insn *illegal(Cpu &c, const Insn *i)
{
    char text[32];
    std::snprintf(text, sizeof text, "illegal opcode 0x%04X", static_cast<unsigned>(i->k));
    throw Fault(FaultKind::illegal_opcode, 2U * c.word_of(i), text);
}

const Insn *bad_jump(Cpu &, const Insn *i)
{
    throw Fault(FaultKind::jump, 2U * i->k, "jump outside flash");
}

const Insn *end_of_flash(Cpu &c, const Insn *)
{
    throw Fault(FaultKind::jump, c.layout.flash_bytes, "ran past the end of flash");
}

const Insn *breakpoint(Cpu &c, const Insn *i)
{
    --c.instructions;
    c.request_stop(Stop::breakpoint);
    return i;
}

} // namespace sim::insn
