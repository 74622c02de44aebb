// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peripheral.hpp"

namespace sim
{

// NVMCTRL with the EEPROM: page buffer, erase and write commands and the time that they take. Programming flash is refused.
class Nvm final : public Peripheral
{
  public:
    explicit Nvm(Cpu &cpu, const Clock &clock) : Peripheral("NVMCTRL"), cpu_(cpu), clock_(clock)
    {
        cells.fill(0xFF);
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override;
    uint64_t requests() const override;

    uint8_t read_eeprom(uint16_t offset); // waits while a command is running
    void write_page_buffer(uint16_t offset, uint8_t value);
    std::array<uint8_t, EEPROM_BYTES> cells;

  private:
    void command(uint8_t which, uint64_t now);
    void program(bool erase, bool store);
    void clear_buffer();
    bool busy() const
    {
        return cpu_.cycles < busy_until_;
    }

    Cpu &cpu_;
    const Clock &clock_;
    uint64_t busy_until_ = 0;
    uint8_t error_ = 0;
    uint8_t enabled_ = 0;
    uint8_t control_b_ = 0;
    std::array<uint8_t, 4> address_and_data_{};
    uint16_t page_ = 0; // offset of the page that the buffer was last loaded for
    std::array<uint8_t, 64> buffer_{};
    uint64_t loaded_ = 0; // bit n: byte n of the buffer
};

} // namespace sim
