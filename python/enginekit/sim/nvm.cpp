// SPDX-License-Identifier: Apache-2.0
#include "nvm.hpp"

#include <algorithm>

namespace sim
{

namespace
{
constexpr uint16_t CTRLA = 0x00;
constexpr uint16_t CTRLB = 0x01;
constexpr uint16_t STATUS = 0x02;
constexpr uint16_t INTCTRL = 0x03;
constexpr uint16_t INTFLAGS = 0x04;
constexpr uint16_t DATA_FIRST = 0x06;
constexpr uint16_t ADDR_LAST = 0x09;

constexpr uint8_t CMD_NONE = 0;
constexpr uint8_t CMD_WRITE = 1;
constexpr uint8_t CMD_ERASE = 2;
constexpr uint8_t CMD_ERASE_WRITE = 3;
constexpr uint8_t CMD_CLEAR_BUFFER = 4;
constexpr uint8_t CMD_ERASE_EEPROM = 6;

constexpr uint8_t EEBUSY = 0x02;
constexpr uint8_t WRERROR = 0x04;
constexpr unsigned VECTOR_EE = 30;
constexpr uint16_t PAGE = 64;
constexpr double ERASE_OR_WRITE_SECONDS = 2e-3; // erase and write together take twice as long
} // namespace

void Nvm::reset()
{
    busy_until_ = 0;
    error_ = enabled_ = control_b_ = 0;
    address_and_data_.fill(0);
    clear_buffer();
}

void Nvm::clear_buffer()
{
    buffer_.fill(0xFF);
    loaded_ = 0;
}

uint8_t Nvm::read(uint16_t offset, uint64_t)
{
    switch (offset) {
    case CTRLA:
        return 0;
    case CTRLB:
        return control_b_;
    case STATUS:
        return static_cast<uint8_t>((busy() ? EEBUSY : 0) | error_);
    case INTCTRL:
        return enabled_;
    case INTFLAGS:
        return busy() ? 0 : 1;
    default:
        if (offset < DATA_FIRST || offset > ADDR_LAST) {
            reserved(name(), offset);
        }
        return address_and_data_[offset - DATA_FIRST];
    }
}

void Nvm::write(uint16_t offset, uint8_t value, uint64_t now)
{
    switch (offset) {
    case CTRLA:
        if (cpu_.unlocked(CCP_SPM)) {
            command(value & 7, now);
        }
        break;
    case CTRLB:
        if (cpu_.unlocked(CCP_IOREG)) {
            control_b_ = value & 3;
        }
        break;
    case INTCTRL:
        enabled_ = value & 1;
        break;
    case STATUS:
    case INTFLAGS:
        break;
    default:
        if (offset < DATA_FIRST || offset > ADDR_LAST) {
            reserved(name(), offset);
        }
        address_and_data_[offset - DATA_FIRST] = value;
    }
}

void Nvm::command(uint8_t which, uint64_t now)
{
    error_ = 0;
    if (busy()) {
        error_ = WRERROR;
        return;
    }
    const double unit = ERASE_OR_WRITE_SECONDS * clock_.hertz();
    switch (which) {
    case CMD_NONE:
        return;
    case CMD_WRITE:
    case CMD_ERASE:
    case CMD_ERASE_WRITE:
        program((which & CMD_ERASE) != 0, (which & CMD_WRITE) != 0);
        busy_until_ = now + static_cast<uint64_t>(which == CMD_ERASE_WRITE ? 2 * unit : unit);
        break;
    case CMD_CLEAR_BUFFER:
        break;
    case CMD_ERASE_EEPROM:
        cells.fill(0xFF);
        busy_until_ = now + static_cast<uint64_t>(2 * unit);
        break;
    default:
        unsupported("NVMCTRL.CTRLA: chip erase and fuse programming are not modelled");
    }
    clear_buffer();
}

// Only bytes that were loaded into the page buffer are erased and written; writing without erasing clears bits.
void Nvm::program(bool erase, bool store)
{
    for (uint16_t i = 0; i < PAGE; ++i) {
        uint8_t &cell = cells[static_cast<size_t>(page_ + i)];
        if ((loaded_ >> i & 1) == 0) {
            continue;
        }
        cell = erase ? uint8_t{0xFF} : cell;
        cell = store ? static_cast<uint8_t>(cell & buffer_[i]) : cell;
    }
}

uint8_t Nvm::read_eeprom(uint16_t offset)
{
    cpu_.cycles = std::max(cpu_.cycles, busy_until_);
    return cells[offset];
}

void Nvm::write_page_buffer(uint16_t offset, uint8_t value)
{
    cpu_.cycles = std::max(cpu_.cycles, busy_until_);
    page_ = static_cast<uint16_t>(offset - offset % PAGE);
    buffer_[offset % PAGE] = static_cast<uint8_t>(buffer_[offset % PAGE] & value);
    loaded_ |= uint64_t{1} << (offset % PAGE);
}

uint64_t Nvm::next_event() const
{
    return enabled_ != 0 && busy() ? busy_until_ : NEVER;
}

uint64_t Nvm::requests() const
{
    return enabled_ != 0 && !busy() ? vector_bit(VECTOR_EE) : 0;
}

} // namespace sim
