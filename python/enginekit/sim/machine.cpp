// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include <algorithm>

namespace sim
{

namespace
{

constexpr uint8_t POWER_ON_RESET = 0x01; // RSTCTRL.RSTFR
constexpr uint8_t SOFTWARE_RESET = 0x10;

constexpr unsigned VECTOR_TCA0_OVF = 7;
constexpr unsigned VECTOR_TCB[] = {12, 13, 25, 36};
constexpr unsigned VECTOR_USART_RXC[] = {17, 26, 31, 37};
constexpr unsigned VECTOR_TIMER1_OVF = 13; // ATmega328P
constexpr unsigned VECTOR_USART_RX = 18;

struct Absent {
    uint16_t first;
    uint16_t last;
    const char *name;
};

// On the chip, but not modelled.
constexpr Absent ABSENT[] = {
    {0x0080, 0x008F, "BOD"}, {0x00A0, 0x00AF, "VREF"},  {0x0100, 0x010F, "WDT"},  {0x0120, 0x012F, "CRCSCAN"},
    {0x0140, 0x015F, "RTC"}, {0x0180, 0x01BF, "EVSYS"}, {0x01C0, 0x01FF, "CCL"},  {0x0600, 0x063F, "ADC0"},
    {0x0680, 0x068F, "AC0"}, {0x08A0, 0x08BF, "TWI0"},  {0x08C0, 0x08DF, "SPI0"},
};

// The same of the ATmega328P, data addresses.
constexpr Absent ABSENT_CLASSIC[] = {
    {0x003F, 0x0042, "EEPROM"}, {0x0044, 0x0048, "TIMER0"}, {0x004C, 0x004E, "SPI"},    {0x0050, 0x0050, "ACSR"},
    {0x0053, 0x0053, "SMCR"},   {0x0057, 0x0057, "SPMCSR"}, {0x0060, 0x0061, "WDT"},    {0x0064, 0x0064, "PRR"},
    {0x0068, 0x006D, "PCINT"},  {0x006E, 0x006E, "TIMSK0"}, {0x0070, 0x0070, "TIMSK2"}, {0x0078, 0x007F, "ADC"},
    {0x00B0, 0x00B6, "TIMER2"}, {0x00B8, 0x00BD, "TWI"},
};

std::vector<uint8_t> signature_row()
{
    std::vector<uint8_t> bytes(0x40, 0);
    const uint8_t head[] = {0x1E, 0x96, 0x51, 'S', 'I', 'M', 0, 0, 0, 0, 0, 0, 1}; // ATmega4809, serial number
    std::copy(std::begin(head), std::end(head), bytes.begin());
    return bytes;
}

std::vector<uint8_t> fuses(uint32_t oscillator)
{
    const uint8_t frequency = oscillator == 16'000'000 ? 0x01 : 0x02;
    return {0x00, 0x00, frequency, 0xFF, 0xFF, 0xC8, 0x07, 0x00, 0x00, 0xFF, 0xC5}; // the last one: unlocked
}

} // namespace

Machine::Machine(const Layout &layout, uint32_t oscillator, uint8_t sram_fill)
    : cpu(*this, layout), clock(cpu, oscillator, !layout.classic), nvm_(cpu, clock), reset_(cpu), interrupts_(cpu),
      tca_(VECTOR_TCA0_OVF), timer1_(VECTOR_TIMER1_OVF), windows_(1, Window{nullptr, 0, TIMED}), sram_fill_(sram_fill)
{
    if (layout.classic) {
        map_classic();
    } else {
        map_xt(oscillator);
    }
    power_on();
}

void Machine::map_xt(uint32_t oscillator)
{
    map_ports();
    map_timers_and_serial();
    map(reset_, 0x0040, 2);
    map(sleep_, 0x0050, 1);
    map(clock, 0x0060, 0x20);
    map(interrupts_, 0x0110, 4);
    map_constants("SYSCFG", 0x0F00, {0x00, 0x01});
    map_constants("SIGROW", 0x1100, signature_row());
    map_constants("FUSES", 0x1280, fuses(oscillator));
    map_constants("USERROW", 0x1300, std::vector<uint8_t>(0x40, 0xFF));
}

// I/O addresses, which are data addresses less 0x20.
void Machine::map_classic()
{
    for (unsigned n = 0; n < 3; ++n) {
        others_.push_back(std::make_unique<ClassicPort>(std::string("PORT") + static_cast<char>('B' + n)));
        map(*others_.back(), static_cast<uint16_t>(0x03 + 3 * n), 3);
    }
    const struct {
        const char *name;
        uint16_t first;
        uint16_t size;
    } kept[] = {{"GPIOR0", 0x1E, 1}, {"GPIOR1", 0x2A, 2}, {"MCUSR", 0x34, 2}};
    for (const auto &each : kept) {
        others_.push_back(std::make_unique<Storage>(each.name, each.size));
        map(*others_.back(), each.first, each.size);
    }
    usarts_.push_back(std::make_unique<Usart>("USART0", VECTOR_USART_RX));
    auto registers = std::make_unique<ClassicUsart>(*usarts_.back());
    map_timed(*registers, 0xA0, 8);
    others_.push_back(std::move(registers));
    map_timed(timer1_, ClassicTimer::COUNTER, 12);
    const size_t slot = windows_.back().slot;
    map(timer1_.flags(), ClassicTimer::FLAGS, 1);
    windows_.back().slot = slot;
    map(timer1_.mask(), ClassicTimer::MASK, 1);
    windows_.back().slot = slot;
}

void Machine::unmapped(uint16_t address) const
{
    address = static_cast<uint16_t>(address + cpu.layout.io_start);
    const auto check = [address](const Absent &absent) {
        if (address >= absent.first && address <= absent.last) {
            throw Fault(FaultKind::unsupported, address, std::string(absent.name) + " is not modelled");
        }
    };
    if (cpu.layout.classic) {
        std::for_each(std::begin(ABSENT_CLASSIC), std::end(ABSENT_CLASSIC), check);
    } else {
        std::for_each(std::begin(ABSENT), std::end(ABSENT), check);
    }
    throw Fault(FaultKind::unmapped, address, "access to an unmapped address");
}

void Machine::map(Peripheral &peripheral, uint16_t first, uint16_t size)
{
    windows_.push_back({&peripheral, first, TIMED});
    std::fill_n(window_at_.begin() + first, size, static_cast<uint8_t>(windows_.size() - 1));
}

void Machine::map_constants(const char *name, uint16_t first, std::vector<uint8_t> bytes)
{
    const auto size = static_cast<uint16_t>(bytes.size());
    others_.push_back(std::make_unique<Constants>(name, std::move(bytes)));
    map(*others_.back(), first, size);
}

void Machine::map_ports()
{
    for (unsigned n = 0; n < 6; ++n) {
        const std::string letter(1, static_cast<char>('A' + n));
        auto port = std::make_unique<Port>("PORT" + letter);
        map(*port, static_cast<uint16_t>(0x0400 + 0x20 * n), 0x20);
        others_.push_back(std::make_unique<VirtualPort>("VPORT" + letter, *port));
        map(*others_.back(), static_cast<uint16_t>(4 * n), 4);
        others_.push_back(std::move(port));
    }
    others_.push_back(std::make_unique<Storage>("GPIO", uint16_t{4}));
    map(*others_.back(), 0x001C, 4);
    others_.push_back(std::make_unique<Storage>("PORTMUX", uint16_t{0x10}));
    map(*others_.back(), 0x05E0, 0x10);
}

void Machine::map_timed(Peripheral &peripheral, uint16_t first, uint16_t size)
{
    map(peripheral, first, size);
    windows_.back().slot = timed_.size();
    timed_.push_back(&peripheral);
}

void Machine::map_timers_and_serial()
{
    map_timed(nvm_, 0x1000, 0x10);
    map_timed(tca_, 0x0A00, 0x40);
    for (unsigned n = 0; n < 4; ++n) {
        tcbs_.push_back(std::make_unique<TimerB>("TCB" + std::to_string(n), VECTOR_TCB[n], tca_));
        tca_.clocks(*tcbs_.back());
        map_timed(*tcbs_.back(), static_cast<uint16_t>(0x0A80 + 0x10 * n), 0x10);
        usarts_.push_back(std::make_unique<Usart>("USART" + std::to_string(n), VECTOR_USART_RXC[n]));
        map_timed(*usarts_.back(), static_cast<uint16_t>(0x0800 + 0x20 * n), 0x10);
    }
}

// --------------------------------------------------------------------------------------------------------------- life

void Machine::load(const std::vector<uint8_t> &flash, const std::vector<uint8_t> &eeprom, uint16_t start_word)
{
    cpu.load_flash(flash);
    nvm_.cells.fill(0xFF);
    std::copy(eeprom.begin(), eeprom.end(), nvm_.cells.begin());
    start_word_ = start_word;
    power_on();
}

void Machine::power_on()
{
    std::fill_n(cpu.data.begin() + cpu.layout.sram_start, cpu.layout.sram_bytes, sram_fill_);
    cpu.r.fill(0);
    reset_peripherals(POWER_ON_RESET);
    cpu.reset(start_word_);
    cpu.clear_stack_peak();
}

void Machine::reset_peripherals(uint8_t cause)
{
    for (const auto &window : windows_) {
        if (window.peripheral != nullptr) {
            window.peripheral->reset();
        }
    }
    reset_.set_cause(cause);
    refresh();
}

Stop Machine::run(uint64_t limit)
{
    for (;;) {
        const Stop stop = cpu.run(limit);
        if (stop != Stop::reset) {
            return stop;
        }
        reset_peripherals(SOFTWARE_RESET);
        cpu.reset(start_word_);
    }
}

// ---------------------------------------------------------------------------------------------------------------- bus

bool Machine::is_eeprom(uint16_t address) const
{
    return static_cast<uint16_t>(address - EEPROM_START) < cpu.layout.eeprom_bytes;
}

const Machine::Window &Machine::window(uint16_t address) const
{
    const uint8_t index = window_at_[address];
    if (index == 0) {
        unmapped(address);
    }
    return windows_[index];
}

uint8_t Machine::read(uint16_t address)
{
    if (is_eeprom(address)) {
        return nvm_.read_eeprom(static_cast<uint16_t>(address - EEPROM_START));
    }
    const Window &w = window(address);
    if (cpu.cycles >= next_) {
        service();
    }
    try {
        const uint8_t value = w.peripheral->read(static_cast<uint16_t>(address - w.first), cpu.cycles);
        if (w.slot < TIMED) {
            refresh_one(w.slot);
            settle();
        }
        return value;
    } catch (Fault &fault) {
        fault.address = address;
        throw;
    }
}

void Machine::write(uint16_t address, uint8_t value)
{
    if (is_eeprom(address)) {
        nvm_.write_page_buffer(static_cast<uint16_t>(address - EEPROM_START), value);
        return;
    }
    const Window &w = window(address);
    if (cpu.cycles >= next_) {
        service();
    }
    try {
        w.peripheral->write(static_cast<uint16_t>(address - w.first), value, cpu.cycles);
    } catch (Fault &fault) {
        fault.address = address;
        throw;
    }
    if (w.slot < TIMED) {
        refresh();
    }
    if (reset_.take_request()) {
        cpu.request_stop(Stop::reset);
    }
}

void Machine::service()
{
    for (Peripheral *peripheral : timed_) {
        peripheral->service(cpu.cycles);
    }
    refresh();
}

void Machine::acknowledge(unsigned vector)
{
    for (Peripheral *peripheral : timed_) {
        peripheral->acknowledge(vector);
    }
    refresh();
}

// After a write, which may also change a peripheral that another one clocks.
void Machine::refresh()
{
    for (size_t slot = 0; slot < timed_.size(); ++slot) {
        refresh_one(slot);
    }
    settle();
}

void Machine::refresh_one(size_t slot)
{
    next_of_[slot] = timed_[slot]->next_event();
    requests_of_[slot] = timed_[slot]->requests();
}

// Lets the CPU look up if an event moved closer, or a request rose or fell.
void Machine::settle()
{
    uint64_t next = NEVER;
    uint64_t requests = 0;
    for (size_t slot = 0; slot < TIMED; ++slot) {
        next = std::min(next, next_of_[slot]);
        requests |= requests_of_[slot];
    }
    if (next < next_ || requests != requests_) {
        cpu.interrupts_changed();
    }
    next_ = next;
    requests_ = requests;
}

void Machine::send(unsigned usart, const std::string &bytes)
{
    service();
    usarts_.at(usart)->send(bytes, cpu.cycles);
    refresh();
}

// ----------------------------------------------------------------------------------------------------------- debugger

uint8_t Machine::peek(uint16_t address)
{
    if (is_eeprom(address)) {
        return nvm_.cells[static_cast<size_t>(address - EEPROM_START)];
    }
    if (cpu.in_sram(address) || (!cpu.layout.classic && address >= FLASH_MAPPED)) {
        return cpu.data[address];
    }
    return cpu.read(address); // registers and I/O, which cost nothing
}

void Machine::poke(uint16_t address, uint8_t value)
{
    if (is_eeprom(address)) {
        nvm_.cells[static_cast<size_t>(address - EEPROM_START)] = value;
    } else if (!cpu.layout.classic && address >= FLASH_MAPPED) {
        cpu.patch_flash(static_cast<uint16_t>(address - FLASH_MAPPED), value);
    } else {
        cpu.write(address, value);
    }
}

} // namespace sim
