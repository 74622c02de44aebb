// SPDX-License-Identifier: Apache-2.0
#include "usart.hpp"

#include <algorithm>
#include <utility>

namespace sim
{

namespace
{
constexpr uint16_t RXDATAL = 0x00;
constexpr uint16_t RXDATAH = 0x01;
constexpr uint16_t TXDATAL = 0x02;
constexpr uint16_t TXDATAH = 0x03;
constexpr uint16_t STATUS = 0x04;
constexpr uint16_t CTRLA = 0x05;
constexpr uint16_t CTRLB = 0x06;
constexpr uint16_t CTRLC = 0x07;
constexpr uint16_t BAUDL = 0x08;
constexpr uint16_t BAUDH = 0x09;

constexpr uint8_t RXC = 0x80; // STATUS, RXDATAH and CTRLA
constexpr uint8_t TXC = 0x40;
constexpr uint8_t DRE = 0x20;
constexpr uint8_t BUFOVF = 0x40; // RXDATAH
constexpr uint8_t LOOPBACK = 0x08;
constexpr uint8_t RXEN = 0x80;
constexpr uint8_t TXEN = 0x40;
constexpr uint8_t CLK2X = 0x02;
constexpr uint8_t ASYNC_8N1 = 0x03;

constexpr unsigned FRAME_BITS = 10;
constexpr size_t FIFO_DEPTH = 2;
constexpr unsigned FRACTION = 64;
} // namespace

void Usart::reset()
{
    control_a_ = control_b_ = 0;
    baud_ = 0;
    tx_busy_ = tx_full_ = tx_complete_ = arriving_ = overflow_ = false;
    fifo_.clear();
}

// f_baud = 64 f / (S BAUD), S = 16 samples a bit, 8 with CLK2X: one bit is S BAUD / 64 cycles.
uint64_t Usart::frame() const
{
    const unsigned samples = (control_b_ & CLK2X) != 0 ? 8 : 16;
    return uint64_t{FRAME_BITS} * samples * std::max<uint32_t>(baud_, FRACTION);
}

double Usart::cycles_per_bit() const
{
    return static_cast<double>(frame()) / (FRAME_BITS * FRACTION);
}

// ---------------------------------------------------------------------------------------------------------- registers

uint8_t Usart::status() const
{
    return static_cast<uint8_t>((fifo_.empty() ? 0 : RXC) | (tx_complete_ ? TXC : 0) | (tx_full_ ? 0 : DRE));
}

uint8_t Usart::read_data()
{
    const uint8_t byte = fifo_.empty() ? uint8_t{0} : fifo_.front();
    if (!fifo_.empty()) {
        fifo_.pop_front();
    }
    overflow_ = false;
    return byte;
}

uint8_t Usart::read(uint16_t offset, uint64_t)
{
    switch (offset) {
    case RXDATAL:
        return read_data();
    case RXDATAH:
        return static_cast<uint8_t>((fifo_.empty() ? 0 : RXC) | (overflow_ ? BUFOVF : 0));
    case TXDATAL:
    case TXDATAH:
        return 0;
    case STATUS:
        return status();
    case CTRLA:
        return control_a_;
    case CTRLB:
        return control_b_;
    case CTRLC:
        return ASYNC_8N1;
    case BAUDL:
        return static_cast<uint8_t>(baud_ & 0xFF);
    case BAUDH:
        return static_cast<uint8_t>(baud_ >> 8);
    default:
        reserved(name(), offset);
    }
}

void Usart::write(uint16_t offset, uint8_t value, uint64_t now)
{
    switch (offset) {
    case TXDATAL:
        write_data(value, now);
        break;
    case TXDATAH:
    case RXDATAL:
    case RXDATAH:
        break;
    case STATUS:
        tx_complete_ = tx_complete_ && (value & TXC) == 0;
        break;
    case CTRLA:
        if ((value & 0x17) != 0) {
            unsupported(name() + ".CTRLA: only RXCIE, TXCIE, DREIE and LBME");
        }
        control_a_ = value;
        break;
    case CTRLB:
        write_control_b(value, now);
        break;
    case CTRLC:
        if (value != ASYNC_8N1) {
            unsupported(name() + ".CTRLC: only asynchronous frames of 8 bits, no parity, 1 stop bit (0x03)");
        }
        break;
    case BAUDL:
        baud_ = (baud_ & 0xFF00) | value;
        break;
    case BAUDH:
        baud_ = (baud_ & 0x00FF) | static_cast<uint32_t>(value) << 8;
        break;
    default:
        reserved(name(), offset);
    }
}

void Usart::write_control_b(uint8_t value, uint64_t now)
{
    if ((value & 0x3D) != 0) {
        unsupported(name() + ".CTRLB: only RXEN, TXEN and RXMODE normal or CLK2X");
    }
    control_b_ = value;
    if ((value & RXEN) == 0) { // the receiver's buffer is flushed, a frame under way is lost
        fifo_.clear();
        arriving_ = overflow_ = false;
    } else if (!arriving_) {
        start_frame(now * FRACTION);
    }
}

// ------------------------------------------------------------------------------------------------------- transmitter

void Usart::write_data(uint8_t value, uint64_t now)
{
    if ((control_b_ & TXEN) == 0 || tx_full_) {
        return;
    }
    if (tx_busy_) {
        tx_buffer_ = value;
        tx_full_ = true;
    } else {
        start_sending(value, now * FRACTION);
    }
}

void Usart::start_sending(uint8_t byte, uint64_t begin)
{
    tx_shift_ = byte;
    tx_busy_ = true;
    tx_end_ = begin + frame();
}

void Usart::finish_sending()
{
    tx_busy_ = false;
    if ((control_a_ & LOOPBACK) == 0) {
        sent_.push_back(static_cast<char>(tx_shift_));
    } else if ((control_b_ & RXEN) != 0) {
        arrive(tx_shift_);
    }
    if (tx_full_) {
        tx_full_ = false;
        start_sending(tx_buffer_, tx_end_);
    } else {
        tx_complete_ = true;
    }
}

// ----------------------------------------------------------------------------------------------------------- receiver

// The next byte's start bit, if there is one on the line. A byte that still waits in the shift register is lost to it.
void Usart::start_frame(uint64_t begin)
{
    if (line_.empty() || (control_b_ & RXEN) == 0 || (control_a_ & LOOPBACK) != 0) {
        return;
    }
    if (fifo_.size() > FIFO_DEPTH) {
        fifo_.pop_back();
        overflow_ = true;
        ++overruns_;
    }
    rx_shift_ = line_.front();
    line_.pop_front();
    arriving_ = true;
    rx_end_ = begin + frame();
}

void Usart::arrive(uint8_t byte)
{
    if (fifo_.size() > FIFO_DEPTH) {
        fifo_.pop_back();
        overflow_ = true;
        ++overruns_;
    }
    fifo_.push_back(byte);
}

void Usart::send(const std::string &bytes, uint64_t now)
{
    for (const char c : bytes) {
        line_.push_back(static_cast<uint8_t>(c));
    }
    if (!arriving_) {
        start_frame(now * FRACTION);
    }
}

std::string Usart::receive()
{
    return std::exchange(sent_, {});
}

void Usart::discard_line()
{
    line_.clear();
}

// ------------------------------------------------------------------------------------------------------------- events

uint64_t Usart::next_event() const
{
    const uint64_t next = std::min(tx_busy_ ? tx_end_ : NEVER, arriving_ ? rx_end_ : NEVER);
    return next == NEVER ? NEVER : (next + FRACTION - 1) / FRACTION;
}

void Usart::service(uint64_t now)
{
    const uint64_t fine = now * FRACTION;
    while (tx_busy_ && tx_end_ <= fine) {
        finish_sending();
    }
    while (arriving_ && rx_end_ <= fine) {
        arriving_ = false;
        arrive(rx_shift_);
        start_frame(rx_end_);
    }
}

uint64_t Usart::requests() const
{
    const unsigned asked = control_a_ & status();
    return ((asked & RXC) != 0 ? vector_bit(vector_) : 0) | ((asked & DRE) != 0 ? vector_bit(vector_ + 1) : 0) |
           ((asked & TXC) != 0 ? vector_bit(vector_ + 2) : 0);
}

// Entering the handler of TXC clears its flag; the other two flags follow the buffers.
void Usart::acknowledge(unsigned vector)
{
    if (vector == vector_ + 2) {
        tx_complete_ = false;
    }
}

} // namespace sim
