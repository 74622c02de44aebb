// SPDX-License-Identifier: Apache-2.0
// TCA0 in normal mode and TCB0-3 in periodic interrupt mode. Counts are computed when they are read, not tick by tick.
#pragma once

#include "peripheral.hpp"

namespace sim
{

// Ticks of a prescaler that started with a clean phase at some cycle.
struct Prescaler {
    uint64_t start = 0;
    unsigned divider = 1;
    bool running = false;

    uint64_t ticks(uint64_t now) const
    {
        return running ? (now - start) / divider : 0;
    }
    uint64_t cycle_of(uint64_t tick) const
    {
        return start + tick * divider;
    }
};

// Counts up to `top`, wraps to zero and raises a flag as it does. A count above top runs on to 0xFFFF first, without the flag.
class UpCounter
{
  public:
    void restart(uint16_t count, const Prescaler &clock, uint64_t now)
    {
        count_ = count;
        base_ = clock.ticks(now);
    }
    uint16_t count(const Prescaler &clock, uint64_t now) const;
    // Brings the counter to `now`; true when it wrapped at top since the last time.
    bool advance(const Prescaler &clock, uint64_t now);
    uint64_t next_wrap(const Prescaler &clock) const; // cycle
    uint16_t top = 0xFFFF;

  private:
    uint64_t to_wrap() const // ticks from base to the first wrap at top
    {
        const uint64_t span = uint64_t{top} + 1;
        return count_ <= top ? span - count_ : 0x10000U - count_ + span;
    }
    uint16_t count_ = 0;
    uint64_t base_ = 0;
};

class TimerB;

class TimerA final : public Peripheral
{
  public:
    explicit TimerA(unsigned vector) : Peripheral("TCA0"), vector_(vector)
    {
    }
    void clocks(TimerB &follower) // may run on this timer's prescaler
    {
        followers_.push_back(&follower);
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override;
    void service(uint64_t now) override;
    uint64_t requests() const override;
    const Prescaler &clock() const
    {
        return clock_;
    }

  private:
    void set_control(uint8_t value, uint64_t now);
    void change_clock(const Prescaler &clock, uint64_t now);
    void command(uint8_t value, uint64_t now);
    unsigned vector_;
    uint8_t control_ = 0;
    uint8_t enabled_ = 0; // INTCTRL
    uint8_t flags_ = 0;
    uint8_t temp_ = 0;
    Prescaler clock_;
    UpCounter counter_;
    std::vector<TimerB *> followers_;
};

class TimerB final : public Peripheral
{
  public:
    TimerB(std::string name, unsigned vector, const TimerA &tca) : Peripheral(std::move(name)), vector_(vector), tca_(tca)
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override;
    void service(uint64_t now) override;
    uint64_t requests() const override;
    bool follows_tca() const
    {
        return (control_ & 0x06) == 0x04;
    }
    void freeze(uint64_t now); // before its clock changes
    void thaw(uint64_t now);   // after that

  private:
    void set_control(uint8_t value, uint64_t now);
    unsigned vector_;
    const TimerA &tca_;
    uint8_t control_ = 0;
    uint8_t enabled_ = 0;
    uint8_t flags_ = 0;
    uint8_t temp_ = 0;
    uint16_t frozen_ = 0; // the count while its clock changes
    Prescaler clock_;
    UpCounter counter_;
};

} // namespace sim
