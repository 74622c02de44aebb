// SPDX-License-Identifier: Apache-2.0
#include "peripheral.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace sim
{

void reserved(const std::string &name, uint16_t offset)
{
    char text[64];
    std::snprintf(text, sizeof text, "%s + 0x%02X is not modelled", name.c_str(), static_cast<unsigned>(offset));
    throw Fault(FaultKind::unsupported, offset, text);
}

void unsupported(const std::string &what)
{
    throw Fault(FaultKind::unsupported, 0, what);
}

// ------------------------------------------------------------------------------------------------- storage, constants

void Storage::reset()
{
    std::fill(bytes_.begin(), bytes_.end(), uint8_t{0});
}

uint8_t Storage::read(uint16_t offset, uint64_t)
{
    return bytes_[offset];
}

void Storage::write(uint16_t offset, uint8_t value, uint64_t)
{
    bytes_[offset] = value;
}

uint8_t Constants::read(uint16_t offset, uint64_t)
{
    return bytes_[offset];
}

void Constants::write(uint16_t offset, uint8_t, uint64_t)
{
    throw Fault(FaultKind::read_only, offset, "write to " + name() + ", which is read only");
}

// -------------------------------------------------------------------------------------------------------------- clock

namespace
{
constexpr uint16_t MCLKCTRLA = 0x00;
constexpr uint16_t MCLKCTRLB = 0x01;
constexpr uint16_t MCLKLOCK = 0x02;
constexpr uint16_t MCLKSTATUS = 0x03;
constexpr uint16_t OSC20MCTRLA = 0x10;
constexpr uint8_t OSC20M_STABLE = 0x10;
constexpr unsigned DIVIDERS[16] = {2, 4, 8, 16, 32, 64, 0, 0, 6, 10, 12, 24, 48, 0, 0, 0};
} // namespace

void Clock::reset()
{
    lock_ = 0;
    set_prescaler(divided_ ? 0x11 : 0x10);
}

void Clock::set_prescaler(uint8_t value)
{
    const unsigned divider = (value & 1) != 0 ? DIVIDERS[value >> 1 & 15] : 1;
    if (divider == 0) {
        unsupported("CLKCTRL.MCLKCTRLB: reserved prescaler");
    }
    ticks_ += (cpu_.cycles - since_) * divider_;
    since_ = cpu_.cycles;
    divider_ = divider;
    control_b_ = value & 0x1F;
}

uint8_t Clock::read(uint16_t offset, uint64_t)
{
    switch (offset) {
    case MCLKCTRLA:
    case OSC20MCTRLA:
        return 0;
    case MCLKCTRLB:
        return control_b_;
    case MCLKLOCK:
        return lock_;
    case MCLKSTATUS:
        return OSC20M_STABLE;
    default:
        reserved(name(), offset);
    }
}

// Writes without the CCP signature, or after locking, have no effect.
void Clock::write(uint16_t offset, uint8_t value, uint64_t)
{
    if (!cpu_.unlocked(CCP_IOREG) || lock_ != 0) {
        return;
    }
    switch (offset) {
    case MCLKCTRLA:
        if (value != 0) {
            unsupported("CLKCTRL.MCLKCTRLA: only the 16/20 MHz oscillator, without CLKOUT");
        }
        break;
    case MCLKCTRLB:
        set_prescaler(value);
        break;
    case MCLKLOCK:
        lock_ = value & 1;
        break;
    case OSC20MCTRLA:
        break;
    default:
        reserved(name(), offset);
    }
}

double Clock::hertz() const
{
    return static_cast<double>(oscillator_) / divider_;
}

double Clock::seconds(uint64_t now) const
{
    return static_cast<double>(ticks_ + (now - since_) * divider_) / oscillator_;
}

// ------------------------------------------------------------------------------------------------ reset, sleep, CPUINT

uint8_t ResetController::read(uint16_t offset, uint64_t)
{
    return offset == 0 ? flags_ : uint8_t{0};
}

void ResetController::write(uint16_t offset, uint8_t value, uint64_t)
{
    if (offset == 0) {
        flags_ = static_cast<uint8_t>(flags_ & ~static_cast<unsigned>(value));
    } else if (cpu_.unlocked(CCP_IOREG) && (value & 1) != 0) {
        requested_ = true;
    }
}

bool ResetController::take_request()
{
    return std::exchange(requested_, false);
}

uint8_t SleepController::read(uint16_t, uint64_t)
{
    return control_;
}

void SleepController::write(uint16_t, uint8_t value, uint64_t)
{
    control_ = value & 7;
}

bool SleepController::may_sleep() const
{
    if ((control_ & 1) == 0) {
        return false;
    }
    if ((control_ & 6) != 0) {
        unsupported("SLPCTRL.CTRLA: only idle sleep is modelled");
    }
    return true;
}

uint8_t InterruptController::read(uint16_t offset, uint64_t)
{
    switch (offset) {
    case 1:
        return cpu_.interrupt_levels();
    case 3:
        return urgent_;
    default:
        return 0;
    }
}

void InterruptController::write(uint16_t offset, uint8_t value, uint64_t)
{
    if (offset == 3) {
        urgent_ = value;
    } else if (value != 0 && offset != 1) {
        unsupported("CPUINT: only the standard vector table with fixed priorities and LVL1VEC");
    }
}

// -------------------------------------------------------------------------------------------------------------- ports

void Port::reset()
{
    direction = output = 0;
    control_.fill(0);
}

uint8_t Port::read(uint16_t offset, uint64_t)
{
    if (offset < 4) {
        return direction;
    }
    if (offset < 8) {
        return output;
    }
    if (offset == 8) {
        return output & direction;
    }
    return control_[offset];
}

void Port::write(uint16_t offset, uint8_t value, uint64_t)
{
    if (offset >= 8) {
        if (offset == 8) {
            output ^= value;
        } else if (offset != 9) { // flags never rise, so that clearing them changes nothing
            control_[offset] = value;
        }
        return;
    }
    uint8_t &target = offset < 4 ? direction : output;
    switch (offset & 3) {
    case 0:
        target = value;
        break;
    case 1:
        target |= value;
        break;
    case 2:
        target = static_cast<uint8_t>(target & ~static_cast<unsigned>(value));
        break;
    default:
        target ^= value;
    }
}

uint8_t VirtualPort::read(uint16_t offset, uint64_t now)
{
    return port_.read(static_cast<uint16_t>(offset < 3 ? 4 * offset : 9), now);
}

void VirtualPort::write(uint16_t offset, uint8_t value, uint64_t now)
{
    port_.write(static_cast<uint16_t>(offset < 3 ? 4 * offset : 9), value, now);
}

} // namespace sim
