// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peripheral.hpp"

#include <deque>

namespace sim
{

// An asynchronous 8N1 USART, polled or with interrupts. Time is kept in 1/64 cycle, as the fractional baud rate generator does.
// The line towards the chip waits while the receiver is off; then bytes arrive back to back at the chip's own baud rate.
class Usart final : public Peripheral
{
  public:
    Usart(std::string name, unsigned first_vector) : Peripheral(std::move(name)), vector_(first_vector)
    {
    }
    void reset() override;
    uint8_t read(uint16_t offset, uint64_t now) override;
    void write(uint16_t offset, uint8_t value, uint64_t now) override;
    uint64_t next_event() const override;
    void service(uint64_t now) override;
    uint64_t requests() const override;
    void acknowledge(unsigned vector) override;

    void send(const std::string &bytes, uint64_t now); // host to chip
    std::string receive();                             // chip to host, what was sent since the last call
    size_t waiting() const                             // bytes on the line that have not arrived yet
    {
        return line_.size() + static_cast<size_t>(arriving_);
    }
    size_t received() const
    {
        return sent_.size();
    }
    void discard_line();
    void set_baud(uint32_t value) // as BAUD: 64 f / (S f_baud)
    {
        baud_ = value;
    }
    bool enabled() const
    {
        return (control_b_ & 0xC0) != 0;
    }
    double cycles_per_bit() const;
    uint64_t overruns() const
    {
        return overruns_;
    }

  private:
    uint64_t frame() const; // 1/64 cycles
    void start_frame(uint64_t begin);
    void arrive(uint8_t byte);
    void start_sending(uint8_t byte, uint64_t begin);
    void finish_sending();
    void write_data(uint8_t value, uint64_t now);
    void write_control_b(uint8_t value, uint64_t now);
    uint8_t read_data();
    uint8_t status() const;

    unsigned vector_; // RXC; DRE and TXC follow
    uint8_t control_a_ = 0;
    uint8_t control_b_ = 0;
    uint32_t baud_ = 0;
    bool tx_busy_ = false;
    bool tx_full_ = false;
    bool tx_complete_ = false;
    uint8_t tx_shift_ = 0;
    uint8_t tx_buffer_ = 0;
    uint64_t tx_end_ = 0;
    bool arriving_ = false;
    uint8_t rx_shift_ = 0;
    uint64_t rx_end_ = 0;
    std::deque<uint8_t> fifo_; // two bytes, and a third that waits in the shift register
    bool overflow_ = false;
    uint64_t overruns_ = 0;
    std::deque<uint8_t> line_;
    std::string sent_;
};

} // namespace sim
