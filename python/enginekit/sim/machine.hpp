// SPDX-License-Identifier: Apache-2.0
// The whole chip: core, memory map, peripherals, events.
#pragma once

#include "classic.hpp"
#include "nvm.hpp"
#include "peripheral.hpp"
#include "timers.hpp"
#include "usart.hpp"

#include <memory>

namespace sim
{

class Machine final : public Bus
{
  public:
    Machine(const Layout &layout, uint32_t oscillator, uint8_t sram_fill);
    ~Machine() = default;
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    void load(const std::vector<uint8_t> &flash, const std::vector<uint8_t> &eeprom, uint16_t start_word);
    void power_on();
    Stop run(uint64_t limit);

    // The data space as a debugger sees it: no cycles pass, and flash may be written too.
    uint8_t peek(uint16_t address);
    void poke(uint16_t address, uint8_t value);

    Cpu cpu;
    Clock clock;
    Usart &usart(unsigned n)
    {
        return *usarts_.at(n);
    }
    void send(unsigned usart, const std::string &bytes);

    // Bus
    uint8_t read(uint16_t address) override;
    void write(uint16_t address, uint8_t value) override;
    uint64_t next_event() const override
    {
        return next_;
    }
    void service() override;
    uint64_t requests() const override
    {
        return requests_;
    }
    void acknowledge(unsigned vector) override;
    bool may_sleep() override
    {
        return sleep_.may_sleep();
    }
    unsigned urgent_vector() const override
    {
        return interrupts_.urgent();
    }

  private:
    struct Window {
        Peripheral *peripheral;
        uint16_t first;
        size_t slot; // in timed_, or its size
    };
    void map(Peripheral &peripheral, uint16_t first, uint16_t size);
    void map_timed(Peripheral &peripheral, uint16_t first, uint16_t size);
    void map_xt(uint32_t oscillator);
    void map_classic();
    void map_constants(const char *name, uint16_t first, std::vector<uint8_t> bytes);
    void map_ports();
    void map_timers_and_serial();
    const Window &window(uint16_t address) const;
    [[noreturn]] void unmapped(uint16_t address) const;
    bool is_eeprom(uint16_t address) const;
    void reset_peripherals(uint8_t cause);
    void refresh();
    void refresh_one(size_t slot);
    void settle();

    Nvm nvm_;
    ResetController reset_;
    SleepController sleep_;
    InterruptController interrupts_;
    TimerA tca_;
    ClassicTimer timer1_;
    std::vector<std::unique_ptr<TimerB>> tcbs_;
    std::vector<std::unique_ptr<Usart>> usarts_;
    std::vector<std::unique_ptr<Peripheral>> others_;
    static constexpr size_t TIMED = 10;
    std::vector<Peripheral *> timed_; // those that have events or interrupts, and what they said last
    std::array<uint64_t, TIMED> next_of_{};
    std::array<uint64_t, TIMED> requests_of_{};
    std::vector<Window> windows_;
    std::array<uint8_t, IO_END> window_at_{}; // index into windows_, 0 for none
    uint64_t next_ = NEVER;
    uint64_t requests_ = 0;
    uint16_t start_word_ = 0;
    uint8_t sram_fill_;
};

} // namespace sim
