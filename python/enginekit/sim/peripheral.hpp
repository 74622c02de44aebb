// SPDX-License-Identifier: Apache-2.0
// What the bus knows of a peripheral, and the small ones: clock, reset, sleep, interrupt controller, ports, plain registers.
#pragma once

#include "cpu.hpp"

namespace sim
{

constexpr uint8_t CCP_IOREG = 0xD8;
constexpr uint8_t CCP_SPM = 0x9D;

// A register that is reserved on the chip, or whose function is not modelled.
[[noreturn]] void reserved(const std::string &name, uint16_t offset);
[[noreturn]] void unsupported(const std::string &what);

class Peripheral
{
  public:
    explicit Peripheral(std::string name) : name_(std::move(name))
    {
    }
    virtual ~Peripheral() = default;
    Peripheral(const Peripheral &) = delete;
    Peripheral &operator=(const Peripheral &) = delete;

    virtual void reset() = 0;
    virtual uint8_t read(uint16_t offset, uint64_t now) = 0;
    virtual void write(uint16_t offset, uint8_t value, uint64_t now) = 0;
    virtual uint64_t next_event() const
    {
        return NEVER;
    }
    virtual void service(uint64_t)
    {
    }
    virtual uint64_t requests() const
    {
        return 0;
    }
    virtual void acknowledge(unsigned)
    {
    }
    const std::string &name() const
    {
        return name_;
    }

  private:
    std::string name_;
};

constexpr uint64_t vector_bit(unsigned vector)
{
    return uint64_t{1} << vector;
}

// Registers that keep what is written: GPIOR0-3, PORTMUX.
class Storage final : public Peripheral
{
  public:
    Storage(std::string name, uint16_t size) : Peripheral(std::move(name)), bytes_(size, 0)
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;

  private:
    std::vector<uint8_t> bytes_;
};

// Signature row, fuses, lock bits, user row, revision: read only here.
class Constants final : public Peripheral
{
  public:
    Constants(std::string name, std::vector<uint8_t> bytes) : Peripheral(std::move(name)), bytes_(std::move(bytes))
    {
    }
    void reset() override
    {
    }
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;

  private:
    std::vector<uint8_t> bytes_;
};

// The main clock: oscillator divided by the prescaler, which out of reset is 6, or 1 where the chip has none to begin with.
class Clock final : public Peripheral
{
  public:
    Clock(const Cpu &cpu, uint32_t oscillator, bool divided)
        : Peripheral("CLKCTRL"), cpu_(cpu), oscillator_(oscillator), divided_(divided), divider_(divided ? 6 : 1)
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    double hertz() const;
    double seconds(uint64_t now) const;

  private:
    void set_prescaler(uint8_t value);
    const Cpu &cpu_;
    uint32_t oscillator_;
    bool divided_;
    uint8_t control_b_ = 0x11;
    uint8_t lock_ = 0;
    unsigned divider_;
    uint64_t ticks_ = 0; // of the oscillator, at cycle since_
    uint64_t since_ = 0;
};

class ResetController final : public Peripheral
{
  public:
    explicit ResetController(const Cpu &cpu) : Peripheral("RSTCTRL"), cpu_(cpu)
    {
    }
    void reset() override
    {
    }
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    bool take_request();
    void set_cause(uint8_t flags) // power-on clears the others; they stay until then or until written
    {
        flags_ = (flags & 1) != 0 ? flags : static_cast<uint8_t>(flags_ | flags);
    }

  private:
    const Cpu &cpu_;
    uint8_t flags_ = 0x01;
    bool requested_ = false;
};

// Idle sleep only: the other modes stop the clocks of what would wake the chip.
class SleepController final : public Peripheral
{
  public:
    SleepController() : Peripheral("SLPCTRL")
    {
    }
    void reset() override
    {
        control_ = 0;
    }
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    bool may_sleep() const;

  private:
    uint8_t control_ = 0;
};

class InterruptController final : public Peripheral
{
  public:
    explicit InterruptController(Cpu &cpu) : Peripheral("CPUINT"), cpu_(cpu)
    {
    }
    void reset() override
    {
        urgent_ = 0;
    }
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    unsigned urgent() const
    {
        return urgent_;
    }

  private:
    Cpu &cpu_;
    uint8_t urgent_ = 0;
};

// DIR and OUT with their SET, CLR and TGL strobes; an output pin reads back what it drives, an input pin reads 0.
class Port final : public Peripheral
{
  public:
    explicit Port(std::string name) : Peripheral(std::move(name))
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint8_t direction = 0;
    uint8_t output = 0;

  private:
    std::array<uint8_t, 0x20> control_{};
};

// The same registers where SBI and CBI reach them.
class VirtualPort final : public Peripheral
{
  public:
    VirtualPort(std::string name, Port &port) : Peripheral(std::move(name)), port_(port)
    {
    }
    void reset() override
    {
    }
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;

  private:
    Port &port_;
};

} // namespace sim
