// SPDX-License-Identifier: Apache-2.0
// Python's view of the machine: enginekit.sim._chip. The documented surface is enginekit.sim.Chip, which stands on this.
#include "machine.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

namespace py = pybind11;

namespace
{

using sim::Machine;

std::vector<uint8_t> bytes_of(const py::bytes &data, size_t limit, const char *what)
{
    const std::string text = data;
    if (text.size() > limit) {
        throw py::value_error(std::string(what) + " has " + std::to_string(text.size()) + " bytes; the chip has " +
                              std::to_string(limit));
    }
    return {text.begin(), text.end()};
}

uint16_t word_of(const Machine &m, uint32_t address, const char *what)
{
    if (address % 2 != 0 || address >= m.cpu.layout.flash_bytes) {
        throw py::value_error(std::string(what) + ": " + std::to_string(address) + " is not an even address below " +
                              std::to_string(m.cpu.layout.flash_bytes));
    }
    return static_cast<uint16_t>(address / 2);
}

void check_span(uint32_t address, size_t count)
{
    if (address + count > 0x10000) {
        throw py::value_error("addresses " + std::to_string(address) + " to " + std::to_string(address + count) +
                              " leave the data space of 65536 bytes");
    }
}

const char *text_of(sim::Stop stop)
{
    switch (stop) {
    case sim::Stop::brk:
        return "break";
    case sim::Stop::breakpoint:
        return "breakpoint";
    case sim::Stop::cycles:
        return "cycles";
    case sim::Stop::asleep:
        return "asleep";
    case sim::Stop::returned:
        return "returned";
    default:
        return "none";
    }
}

const char *text_of(sim::FaultKind kind)
{
    switch (kind) {
    case sim::FaultKind::unmapped:
        return "unmapped";
    case sim::FaultKind::illegal_opcode:
        return "illegal opcode";
    case sim::FaultKind::flash_write:
        return "write to flash";
    case sim::FaultKind::read_only:
        return "read only";
    case sim::FaultKind::jump:
        return "jump";
    case sim::FaultKind::stack:
        return "stack";
    default:
        return "not modelled";
    }
}

// (reason, None) or ("fault", (kind, address, message))
py::tuple run(Machine &m, std::optional<uint64_t> limit)
{
    sim::Stop stop = sim::Stop::none;
    std::optional<sim::Fault> fault;
    {
        const py::gil_scoped_release release;
        try {
            stop = m.run(limit.value_or(sim::NEVER));
        } catch (const sim::Fault &f) {
            fault = f;
        }
    }
    if (fault) {
        return py::make_tuple("fault", py::make_tuple(text_of(fault->kind), fault->address, fault->what()));
    }
    return py::make_tuple(text_of(stop), py::none());
}

py::bytes read_memory(Machine &m, uint32_t address, size_t count)
{
    check_span(address, count);
    std::string result(count, '\0');
    for (size_t i = 0; i < count; ++i) {
        result[i] = static_cast<char>(m.peek(static_cast<uint16_t>(address + i)));
    }
    return result;
}

void write_memory(Machine &m, uint32_t address, const py::bytes &data)
{
    const std::string text = data;
    check_span(address, text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        m.poke(static_cast<uint16_t>(address + i), static_cast<uint8_t>(text[i]));
    }
}

void check_flash(const Machine &m, uint32_t address, size_t count)
{
    if (address + count > m.cpu.layout.flash_bytes) {
        throw py::value_error("addresses " + std::to_string(address) + " to " + std::to_string(address + count) +
                              " leave the flash of " + std::to_string(m.cpu.layout.flash_bytes) + " bytes");
    }
}

py::bytes read_flash(const Machine &m, uint32_t address, size_t count)
{
    check_flash(m, address, count);
    std::string result(count, '\0');
    for (size_t i = 0; i < count; ++i) {
        result[i] = static_cast<char>(m.cpu.read_program(static_cast<uint16_t>(address + i)));
    }
    return result;
}

void write_flash(Machine &m, uint32_t address, const py::bytes &data)
{
    const std::string text = data;
    check_flash(m, address, text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        m.cpu.patch_flash(static_cast<uint16_t>(address + i), static_cast<uint8_t>(text[i]));
    }
}

void set_functions(Machine &m, const std::vector<std::tuple<std::string, uint32_t, uint32_t>> &functions)
{
    std::vector<sim::Function> list;
    for (const auto &[name, address, size] : functions) {
        list.push_back({name, word_of(m, address, "function"), static_cast<uint16_t>((size + 1) / 2)});
    }
    m.cpu.trace.set_functions(list, m.cpu.layout.flash_words());
    m.cpu.trace.restart(m.cpu.pc(), m.cpu.cycles);
}

// (calls, exclusive, inclusive) for index 0, code without a symbol, then for each function in the order of set_functions
std::vector<std::tuple<uint64_t, uint64_t, uint64_t>> accounts(const Machine &m)
{
    std::vector<std::tuple<uint64_t, uint64_t, uint64_t>> result;
    for (const auto &a : m.cpu.trace.accounts(m.cpu.cycles)) {
        result.emplace_back(a.calls, a.exclusive, a.inclusive);
    }
    return result;
}

void bind_usart(py::class_<Machine> &machine)
{
    machine.def("usart_send", [](Machine &m, unsigned n, const py::bytes &data) { m.send(n, data); })
        .def("usart_receive", [](Machine &m, unsigned n) { return py::bytes(m.usart(n).receive()); })
        .def("usart_received", [](Machine &m, unsigned n) { return m.usart(n).received(); })
        .def("usart_waiting", [](Machine &m, unsigned n) { return m.usart(n).waiting(); })
        .def("usart_discard", [](Machine &m, unsigned n) { m.usart(n).discard_line(); })
        .def("usart_overruns", [](Machine &m, unsigned n) { return m.usart(n).overruns(); })
        .def("usart_enabled", [](Machine &m, unsigned n) { return m.usart(n).enabled(); })
        .def("usart_baud", [](Machine &m, unsigned n) { return m.clock.hertz() / m.usart(n).cycles_per_bit(); });
}

void bind_state(py::class_<Machine> &machine)
{
    machine.def_property_readonly("cycles", [](const Machine &m) { return m.cpu.cycles; })
        .def_property_readonly("instructions", [](const Machine &m) { return m.cpu.instructions; })
        .def_property_readonly("seconds", [](const Machine &m) { return m.clock.seconds(m.cpu.cycles); })
        .def_property_readonly("hertz", [](const Machine &m) { return m.clock.hertz(); })
        .def_property_readonly("sleeping", [](const Machine &m) { return m.cpu.sleeping(); })
        .def_property(
            "pc", [](const Machine &m) { return 2U * m.cpu.pc(); },
            [](Machine &m, uint32_t address) { m.cpu.set_pc(word_of(m, address, "pc")); })
        .def_property(
            "sp", [](const Machine &m) { return m.cpu.sp; }, [](Machine &m, uint16_t value) { m.cpu.sp = value; })
        .def_property(
            "sreg", [](const Machine &m) { return m.cpu.sreg; }, [](Machine &m, uint8_t value) { m.cpu.sreg = value; })
        .def_property_readonly("lowest_sp", [](const Machine &m) { return m.cpu.sp_low; })
        .def("clear_stack_peak", [](Machine &m) { m.cpu.clear_stack_peak(); })
        .def_property(
            "stack_floor", [](const Machine &m) { return m.cpu.stack_floor; },
            [](Machine &m, uint16_t value) { m.cpu.stack_floor = value; })
        .def("register", [](const Machine &m, size_t n) { return m.cpu.r.at(n); })
        .def("set_register", [](Machine &m, size_t n, uint8_t value) { m.cpu.r.at(n) = value; });
}

} // namespace

PYBIND11_MODULE(_chip, module)
{
    module.doc() = "The simulated ATmega4809; see enginekit.sim.";
    py::class_<Machine> machine(module, "Machine");
    machine
        .def(py::init([](bool classic, uint32_t oscillator, uint8_t sram_fill) {
                 return std::make_unique<Machine>(classic ? sim::ATMEGA328P : sim::ATMEGA4809, oscillator, sram_fill);
             }),
             py::arg("classic"), py::arg("oscillator"), py::arg("sram_fill"))
        .def("load",
             [](Machine &m, const py::bytes &flash, const py::bytes &eeprom, uint32_t start) {
                 const sim::Layout &chip = m.cpu.layout;
                 m.load(bytes_of(flash, chip.flash_bytes, "flash"), bytes_of(eeprom, chip.eeprom_bytes, "EEPROM"),
                        word_of(m, start, "start"));
             })
        .def("power_on", &Machine::power_on)
        .def("run", &run)
        .def("read", &read_memory)
        .def("read_flash", &read_flash)
        .def("write_flash", &write_flash)
        .def("write", &write_memory)
        .def("call", [](Machine &m, uint32_t address) { m.cpu.call(word_of(m, address, "call")); })
        .def("set_breakpoint", [](Machine &m, uint32_t address,
                                  bool enabled) { m.cpu.set_breakpoint(word_of(m, address, "breakpoint"), enabled); })
        .def("set_functions", &set_functions)
        .def("accounts", &accounts)
        .def("clear_profile", [](Machine &m) { m.cpu.trace.clear(m.cpu.cycles); })
        .def("call_stack", [](const Machine &m) { return m.cpu.trace.stack(); })
        .def("watch", [](Machine &m, size_t function, bool enabled) { m.cpu.trace.watch(function, enabled); })
        .def("take_returned", [](Machine &m) { return m.cpu.trace.take_returned(); });
    bind_state(machine);
    bind_usart(machine);
}
