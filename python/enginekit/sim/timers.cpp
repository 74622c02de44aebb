// SPDX-License-Identifier: Apache-2.0
#include "timers.hpp"

namespace sim
{

namespace
{
constexpr uint8_t ENABLE = 0x01;

constexpr uint16_t word_of(uint8_t high, uint8_t low)
{
    return static_cast<uint16_t>(high << 8 | low);
}
} // namespace

// ------------------------------------------------------------------------------------------------------------ counter

uint16_t UpCounter::count(const Prescaler &clock, uint64_t now) const
{
    if (!clock.running) {
        return count_;
    }
    const uint64_t elapsed = clock.ticks(now) - base_;
    if (elapsed < to_wrap()) {
        return static_cast<uint16_t>(count_ + elapsed);
    }
    return static_cast<uint16_t>((elapsed - to_wrap()) % (uint64_t{top} + 1));
}

bool UpCounter::advance(const Prescaler &clock, uint64_t now)
{
    if (!clock.running) {
        return false;
    }
    const bool wrapped = clock.ticks(now) - base_ >= to_wrap();
    restart(count(clock, now), clock, now);
    return wrapped;
}

uint64_t UpCounter::next_wrap(const Prescaler &clock) const
{
    return clock.running ? clock.cycle_of(base_ + to_wrap()) : NEVER;
}

// --------------------------------------------------------------------------------------------------------------- TCA0

namespace tca
{
constexpr uint16_t CTRLA = 0x00;
constexpr uint16_t CTRLB = 0x01;
constexpr uint16_t CTRLD = 0x03;
constexpr uint16_t CTRLECLR = 0x04;
constexpr uint16_t CTRLESET = 0x05;
constexpr uint16_t EVCTRL = 0x09;
constexpr uint16_t INTCTRL = 0x0A;
constexpr uint16_t INTFLAGS = 0x0B;
constexpr uint16_t DBGCTRL = 0x0E;
constexpr uint16_t TEMP = 0x0F;
constexpr uint16_t CNTL = 0x20;
constexpr uint16_t CNTH = 0x21;
constexpr uint16_t PERL = 0x26;
constexpr uint16_t PERH = 0x27;
constexpr unsigned DIVIDERS[8] = {1, 2, 4, 8, 16, 64, 256, 1024};
constexpr uint8_t OVF = 0x01;
} // namespace tca

void TimerA::reset()
{
    control_ = enabled_ = flags_ = temp_ = 0;
    clock_ = Prescaler{};
    counter_ = UpCounter{};
}

void TimerA::service(uint64_t now)
{
    if (counter_.advance(clock_, now)) {
        flags_ |= tca::OVF;
    }
}

uint64_t TimerA::next_event() const
{
    return (enabled_ & ~flags_ & tca::OVF) != 0 ? counter_.next_wrap(clock_) : NEVER;
}

uint64_t TimerA::requests() const
{
    return (enabled_ & flags_ & tca::OVF) != 0 ? vector_bit(vector_) : 0;
}

uint8_t TimerA::read(uint16_t offset, uint64_t now)
{
    service(now);
    switch (offset) {
    case tca::CTRLA:
        return control_;
    case tca::INTCTRL:
        return enabled_;
    case tca::INTFLAGS:
        return flags_;
    case tca::TEMP:
    case tca::CNTH:
    case tca::PERH:
        return temp_;
    case tca::CNTL: {
        const uint16_t count = counter_.count(clock_, now);
        temp_ = static_cast<uint8_t>(count >> 8);
        return static_cast<uint8_t>(count & 0xFF);
    }
    case tca::PERL:
        temp_ = static_cast<uint8_t>(counter_.top >> 8);
        return static_cast<uint8_t>(counter_.top & 0xFF);
    case tca::CTRLB:
    case tca::CTRLD:
    case tca::CTRLECLR:
    case tca::CTRLESET:
    case tca::EVCTRL:
    case tca::DBGCTRL:
        return 0;
    default:
        reserved(name(), offset);
    }
}

void TimerA::write(uint16_t offset, uint8_t value, uint64_t now)
{
    service(now);
    switch (offset) {
    case tca::CTRLA:
        set_control(value, now);
        break;
    case tca::INTCTRL:
        if ((value & ~unsigned{tca::OVF}) != 0) {
            unsupported("TCA0.INTCTRL: only the overflow interrupt");
        }
        enabled_ = value;
        break;
    case tca::INTFLAGS:
        flags_ = static_cast<uint8_t>(flags_ & ~unsigned{value});
        break;
    case tca::TEMP:
    case tca::CNTL:
    case tca::PERL:
        temp_ = value;
        break;
    case tca::CNTH:
        counter_.restart(word_of(value, temp_), clock_, now);
        break;
    case tca::PERH:
        counter_.top = word_of(value, temp_);
        break;
    case tca::CTRLESET:
        command(value, now);
        break;
    case tca::DBGCTRL:
        break;
    case tca::CTRLB:
    case tca::CTRLD:
    case tca::CTRLECLR:
    case tca::EVCTRL:
        if (value != 0) {
            unsupported("TCA0: only normal mode, counting up clock ticks (CTRLB, CTRLD and EVCTRL 0)");
        }
        break;
    default:
        reserved(name(), offset);
    }
}

void TimerA::set_control(uint8_t value, uint64_t now)
{
    control_ = value & 0x0F;
    change_clock({now, tca::DIVIDERS[value >> 1 & 7], (value & ENABLE) != 0}, now);
}

void TimerA::change_clock(const Prescaler &clock, uint64_t now)
{
    for (TimerB *follower : followers_) {
        follower->freeze(now);
    }
    const uint16_t count = counter_.count(clock_, now);
    clock_ = clock;
    counter_.restart(count, clock_, now);
    for (TimerB *follower : followers_) {
        follower->thaw(now);
    }
}

void TimerA::command(uint8_t value, uint64_t now)
{
    if ((value & 3) != 0) {
        unsupported("TCA0.CTRLESET: neither counting down nor locked updates");
    }
    const unsigned which = value >> 2 & 3;
    if (which == 2) {
        counter_.restart(0, clock_, now);
    } else if (which == 3) {
        change_clock(Prescaler{}, now);
        reset();
    }
}

// --------------------------------------------------------------------------------------------------------------- TCBn

namespace tcb
{
constexpr uint16_t CTRLA = 0x00;
constexpr uint16_t CTRLB = 0x01;
constexpr uint16_t EVCTRL = 0x04;
constexpr uint16_t INTCTRL = 0x05;
constexpr uint16_t INTFLAGS = 0x06;
constexpr uint16_t STATUS = 0x07;
constexpr uint16_t DBGCTRL = 0x08;
constexpr uint16_t TEMP = 0x09;
constexpr uint16_t CNTL = 0x0A;
constexpr uint16_t CNTH = 0x0B;
constexpr uint16_t CCMPL = 0x0C;
constexpr uint16_t CCMPH = 0x0D;
constexpr uint8_t CAPT = 0x01;
} // namespace tcb

void TimerB::reset()
{
    control_ = enabled_ = flags_ = temp_ = 0;
    clock_ = Prescaler{};
    counter_ = UpCounter{};
    counter_.top = 0;
}

void TimerB::service(uint64_t now)
{
    if (counter_.advance(clock_, now)) {
        flags_ |= tcb::CAPT;
    }
}

uint64_t TimerB::next_event() const
{
    return (enabled_ & ~flags_ & tcb::CAPT) != 0 ? counter_.next_wrap(clock_) : NEVER;
}

uint64_t TimerB::requests() const
{
    return (enabled_ & flags_ & tcb::CAPT) != 0 ? vector_bit(vector_) : 0;
}

uint8_t TimerB::read(uint16_t offset, uint64_t now)
{
    service(now);
    switch (offset) {
    case tcb::CTRLA:
        return control_;
    case tcb::INTCTRL:
        return enabled_;
    case tcb::INTFLAGS:
        return flags_;
    case tcb::STATUS:
        return clock_.running ? 1 : 0;
    case tcb::TEMP:
    case tcb::CNTH:
    case tcb::CCMPH:
        return temp_;
    case tcb::CNTL: {
        const uint16_t count = counter_.count(clock_, now);
        temp_ = static_cast<uint8_t>(count >> 8);
        return static_cast<uint8_t>(count & 0xFF);
    }
    case tcb::CCMPL:
        temp_ = static_cast<uint8_t>(counter_.top >> 8);
        return static_cast<uint8_t>(counter_.top & 0xFF);
    case tcb::CTRLB:
    case tcb::EVCTRL:
    case tcb::DBGCTRL:
        return 0;
    default:
        reserved(name(), offset);
    }
}

void TimerB::write(uint16_t offset, uint8_t value, uint64_t now)
{
    service(now);
    switch (offset) {
    case tcb::CTRLA:
        set_control(value, now);
        break;
    case tcb::INTCTRL:
        enabled_ = value & tcb::CAPT;
        break;
    case tcb::INTFLAGS:
        flags_ = static_cast<uint8_t>(flags_ & ~unsigned{value});
        break;
    case tcb::TEMP:
    case tcb::CNTL:
    case tcb::CCMPL:
        temp_ = value;
        break;
    case tcb::CNTH:
        counter_.restart(word_of(value, temp_), clock_, now);
        break;
    case tcb::CCMPH:
        counter_.top = word_of(value, temp_);
        break;
    case tcb::STATUS:
    case tcb::DBGCTRL:
        break;
    case tcb::CTRLB:
    case tcb::EVCTRL:
        if (value != 0) {
            unsupported(name() + ": only periodic interrupt mode (CTRLB and EVCTRL 0)");
        }
        break;
    default:
        reserved(name(), offset);
    }
}

void TimerB::set_control(uint8_t value, uint64_t now)
{
    if ((value >> 1 & 3) == 3) {
        unsupported(name() + ".CTRLA: reserved clock");
    }
    freeze(now);
    control_ = value & 0x57;
    const unsigned divider = (value >> 1 & 3) + 1U;
    clock_ = follows_tca() ? tca_.clock() : Prescaler{now, divider, false};
    thaw(now);
}

void TimerB::freeze(uint64_t now)
{
    service(now);
    frozen_ = counter_.count(clock_, now);
}

void TimerB::thaw(uint64_t now)
{
    const bool enabled = (control_ & ENABLE) != 0;
    if (follows_tca()) {
        clock_ = tca_.clock();
        clock_.running = clock_.running && enabled;
    } else if (clock_.running != enabled) {
        clock_.start = now;
        clock_.running = enabled;
    }
    counter_.restart(frozen_, clock_, now);
}

} // namespace sim
