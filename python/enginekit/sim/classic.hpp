// SPDX-License-Identifier: Apache-2.0
// Peripherals of the ATmega328P. Offsets are within the registers that each is mapped at.
#pragma once

#include "timers.hpp"
#include "usart.hpp"

namespace sim
{

// PIN, DDR and PORT; writing ones to PIN toggles PORT. An output pin reads back what it drives, an input pin reads 0.
class ClassicPort final : public Peripheral
{
  public:
    explicit ClassicPort(std::string name) : Peripheral(std::move(name))
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;

  private:
    uint8_t direction_ = 0;
    uint8_t output_ = 0;
};

// UCSRnA, B, C, UBRRn and UDRn in front of the serial line that both families have.
class ClassicUsart final : public Peripheral
{
  public:
    explicit ClassicUsart(Usart &line) : Peripheral(line.name()), line_(line)
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override
    {
        return line_.next_event();
    }
    void service(uint64_t now) override
    {
        line_.service(now);
    }
    uint64_t requests() const override
    {
        return line_.requests();
    }
    void acknowledge(unsigned vector) override
    {
        line_.acknowledge(vector);
    }

  private:
    void control(uint64_t now);
    Usart &line_;
    bool double_speed_ = false;
    uint8_t control_b_ = 0;
    uint16_t divider_ = 0;
};

// TIMER1 in normal mode: prescaler, count, overflow flag and interrupt. Its registers lie in three places.
class ClassicTimer final : public Peripheral
{
  public:
    static constexpr uint16_t FLAGS = 0x16; // TIFR1, I/O addresses
    static constexpr uint16_t MASK = 0x4F;  // TIMSK1
    static constexpr uint16_t COUNTER = 0x60;

    explicit ClassicTimer(unsigned overflow_vector);
    Peripheral &flags()
    {
        return flags_;
    }
    Peripheral &mask()
    {
        return mask_;
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override;
    void service(uint64_t now) override;
    uint64_t requests() const override;
    void acknowledge(unsigned vector) override;

  private:
    // A register that lies elsewhere.
    class Lone final : public Peripheral
    {
      public:
        Lone(std::string name, ClassicTimer &timer) : Peripheral(std::move(name)), timer_(timer)
        {
        }
        void reset() override
        {
        }
        uint8_t read(uint16_t offset, uint64_t now) override;
        void write(uint16_t offset, uint8_t value, uint64_t now) override;

      private:
        ClassicTimer &timer_;
    };

    void set_clock(uint8_t value, uint64_t now);
    unsigned vector_;
    uint8_t control_ = 0;
    uint8_t temp_ = 0;
    uint8_t enabled_ = 0;
    bool overflowed_ = false;
    Prescaler clock_;
    UpCounter counter_;
    Lone flags_;
    Lone mask_;
};

} // namespace sim
