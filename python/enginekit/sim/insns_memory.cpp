// SPDX-License-Identifier: Apache-2.0
// Loads, stores, stack and I/O. A load from mapped flash costs one cycle more; Cpu::read adds it.
#include "insns.hpp"

namespace sim::insn
{

namespace
{

constexpr unsigned X = 26;
constexpr unsigned Y = 28;
constexpr unsigned Z = 30;

template <unsigned P> inline const Insn *load(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.read(static_cast<uint16_t>(c.pair(P) + i->k));
    return i + 1;
}

template <unsigned P> inline const Insn *load_increment(Cpu &c, const Insn *i)
{
    const uint16_t address = c.pair(P);
    c.set_pair(P, address + 1U);
    c.r[i->a] = c.read(address);
    return i + 1;
}

template <unsigned P> inline const Insn *load_decrement(Cpu &c, const Insn *i)
{
    const auto address = static_cast<uint16_t>(c.pair(P) - 1U);
    c.set_pair(P, address);
    c.r[i->a] = c.read(address);
    return i + 1;
}

template <unsigned P> inline const Insn *store(Cpu &c, const Insn *i)
{
    c.write(static_cast<uint16_t>(c.pair(P) + i->k), c.r[i->a]);
    return i + 1;
}

template <unsigned P> inline const Insn *store_increment(Cpu &c, const Insn *i)
{
    const uint16_t address = c.pair(P);
    c.write(address, c.r[i->a]);
    c.set_pair(P, address + 1U);
    return i + 1;
}

template <unsigned P> inline const Insn *store_decrement(Cpu &c, const Insn *i)
{
    const auto address = static_cast<uint16_t>(c.pair(P) - 1U);
    c.write(address, c.r[i->a]);
    c.set_pair(P, address);
    return i + 1;
}

} // namespace

const Insn *lds(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.read(i->k);
    return i + 2;
}

const Insn *sts(Cpu &c, const Insn *i)
{
    c.write(i->k, c.r[i->a]);
    return i + 2;
}

#define SIM_POINTER(name, handler, pointer)                                                                                    \
    const Insn *name(Cpu &c, const Insn *i)                                                                                    \
    {                                                                                                                          \
        return handler<pointer>(c, i);                                                                                         \
    }
SIM_POINTER(ld_x, load, X)
SIM_POINTER(ld_x_inc, load_increment, X)
SIM_POINTER(ld_x_dec, load_decrement, X)
SIM_POINTER(ldd_y, load, Y)
SIM_POINTER(ld_y_inc, load_increment, Y)
SIM_POINTER(ld_y_dec, load_decrement, Y)
SIM_POINTER(ldd_z, load, Z)
SIM_POINTER(ld_z_inc, load_increment, Z)
SIM_POINTER(ld_z_dec, load_decrement, Z)
SIM_POINTER(st_x, store, X)
SIM_POINTER(st_x_inc, store_increment, X)
SIM_POINTER(st_x_dec, store_decrement, X)
SIM_POINTER(std_y, store, Y)
SIM_POINTER(st_y_inc, store_increment, Y)
SIM_POINTER(st_y_dec, store_decrement, Y)
SIM_POINTER(std_z, store, Z)
SIM_POINTER(st_z_inc, store_increment, Z)
SIM_POINTER(st_z_dec, store_decrement, Z)
#undef SIM_POINTER

const Insn *push(Cpu &c, const Insn *i)
{
    c.push(c.r[i->a]);
    return i + 1;
}

const Insn *pop(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.pop();
    return i + 1;
}

const Insn *lpm_r0(Cpu &c, const Insn *i)
{
    c.r[0] = c.read_program(c.pair(Z));
    return i + 1;
}

const Insn *lpm(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.read_program(c.pair(Z));
    return i + 1;
}

const Insn *lpm_inc(Cpu &c, const Insn *i)
{
    const uint16_t address = c.pair(Z);
    c.set_pair(Z, address + 1U);
    c.r[i->a] = c.read_program(address);
    return i + 1;
}

const Insn *in(Cpu &c, const Insn *i)
{
    c.r[i->a] = c.read_io(i->k);
    return i + 1;
}

const Insn *out(Cpu &c, const Insn *i)
{
    c.write_io(i->k, c.r[i->a]);
    return i + 1;
}

const Insn *sbi(Cpu &c, const Insn *i)
{
    c.write_io(i->a, static_cast<uint8_t>(c.read_io(i->a) | i->b));
    return i + 1;
}

const Insn *cbi(Cpu &c, const Insn *i)
{
    c.write_io(i->a, static_cast<uint8_t>(c.read_io(i->a) & ~static_cast<unsigned>(i->b)));
    return i + 1;
}

} // namespace sim::insn
