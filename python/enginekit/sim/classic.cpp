// SPDX-License-Identifier: Apache-2.0
#include "classic.hpp"

namespace sim
{

namespace
{
// ClassicUsart
constexpr uint16_t UCSRA = 0;
constexpr uint16_t UCSRB = 1;
constexpr uint16_t UCSRC = 2;
constexpr uint16_t UBRRL = 4;
constexpr uint16_t UBRRH = 5;
constexpr uint16_t UDR = 6;
constexpr uint8_t TXC = 0x40;
constexpr uint8_t DOR = 0x08;
constexpr uint8_t U2X = 0x02;
constexpr uint8_t RXEN = 0x10;
constexpr uint8_t TXEN = 0x08;
constexpr uint8_t INTERRUPTS = 0xE0;
constexpr uint8_t ASYNC_8N1 = 0x06;

// Usart
constexpr uint16_t RXDATAL = 0;
constexpr uint16_t RXDATAH = 1;
constexpr uint16_t TXDATAL = 2;
constexpr uint16_t STATUS = 4;
constexpr uint16_t CTRLA = 5;
constexpr uint16_t CTRLB = 6;
constexpr uint8_t BUFOVF = 0x40;
constexpr uint32_t FRACTION = 64;

// ClassicTimer
constexpr uint16_t TCCRA = 0;
constexpr uint16_t TCCRB = 1;
constexpr uint16_t TCCRC = 2;
constexpr uint16_t TCNTL = 4;
constexpr uint16_t TCNTH = 5;
constexpr uint8_t TOV = 0x01;
constexpr unsigned DIVIDERS[] = {0, 1, 8, 64, 256, 1024};
} // namespace

// --------------------------------------------------------------------------------------------------------------- port

void ClassicPort::reset()
{
    direction_ = output_ = 0;
}

uint8_t ClassicPort::read(uint16_t offset, uint64_t)
{
    const uint8_t pins = output_ & direction_;
    return offset == 0 ? pins : offset == 1 ? direction_ : output_;
}

void ClassicPort::write(uint16_t offset, uint8_t value, uint64_t)
{
    if (offset == 1) {
        direction_ = value;
    } else {
        output_ = offset == 0 ? output_ ^ value : value;
    }
}

// -------------------------------------------------------------------------------------------------------------- USART

void ClassicUsart::reset()
{
    line_.reset();
    double_speed_ = false;
    control_b_ = 0;
    divider_ = 0;
    line_.set_baud(FRACTION);
}

uint8_t ClassicUsart::read(uint16_t offset, uint64_t now)
{
    switch (offset) {
    case UCSRA: {
        const bool overflow = (line_.read(RXDATAH, now) & BUFOVF) != 0;
        return static_cast<uint8_t>(line_.read(STATUS, now) | (overflow ? DOR : 0) | (double_speed_ ? U2X : 0));
    }
    case UCSRB:
        return control_b_;
    case UCSRC:
        return ASYNC_8N1;
    case UBRRL:
        return static_cast<uint8_t>(divider_ & 0xFF);
    case UBRRH:
        return static_cast<uint8_t>(divider_ >> 8);
    case UDR:
        return line_.read(RXDATAL, now);
    default:
        reserved(name(), offset);
    }
}

void ClassicUsart::write(uint16_t offset, uint8_t value, uint64_t now)
{
    switch (offset) {
    case UCSRA:
        line_.write(STATUS, value & TXC, now);
        double_speed_ = (value & U2X) != 0;
        control(now);
        break;
    case UCSRB:
        if ((value & ~static_cast<unsigned>(INTERRUPTS | RXEN | TXEN)) != 0) {
            unsupported(name() + ".UCSR0B: only frames of 8 bits");
        }
        control_b_ = value;
        control(now);
        break;
    case UCSRC:
        if (value != ASYNC_8N1) {
            unsupported(name() + ".UCSR0C: only asynchronous frames of 8 bits, no parity, 1 stop bit (0x06)");
        }
        break;
    case UBRRL:
    case UBRRH:
        divider_ = static_cast<uint16_t>(offset == UBRRL ? (divider_ & 0x0F00) | value : (divider_ & 0xFF) | (value & 15) << 8);
        line_.set_baud(FRACTION * (divider_ + 1U));
        break;
    case UDR:
        line_.write(TXDATAL, value, now);
        break;
    default:
        reserved(name(), offset);
    }
}

void ClassicUsart::control(uint64_t now)
{
    line_.write(CTRLA, control_b_ & INTERRUPTS, now);
    const unsigned enabled = static_cast<unsigned>(control_b_ & (RXEN | TXEN)) << 3; // where CTRLB has them
    line_.write(CTRLB, static_cast<uint8_t>(enabled | (double_speed_ ? U2X : 0U)), now);
}

// -------------------------------------------------------------------------------------------------------------- timer

ClassicTimer::ClassicTimer(unsigned overflow_vector)
    : Peripheral("TIMER1"), vector_(overflow_vector), flags_("TIFR1", *this), mask_("TIMSK1", *this)
{
}

void ClassicTimer::reset()
{
    control_ = temp_ = enabled_ = 0;
    overflowed_ = false;
    clock_ = {};
    counter_.restart(0, clock_, 0);
}

void ClassicTimer::set_clock(uint8_t value, uint64_t now)
{
    const unsigned select = value & 7U;
    if ((value & ~7U) != 0 || select > 5) {
        unsupported("TCCR1B: only normal mode on the internal clock");
    }
    const uint16_t count = counter_.count(clock_, now);
    control_ = value;
    clock_ = Prescaler{now, select == 0 ? 1 : DIVIDERS[select], select != 0};
    counter_.restart(count, clock_, now);
}

uint8_t ClassicTimer::read(uint16_t offset, uint64_t now)
{
    switch (offset) {
    case TCCRA:
    case TCCRC:
        return 0;
    case TCCRB:
        return control_;
    case TCNTL: {
        const uint16_t count = counter_.count(clock_, now);
        temp_ = static_cast<uint8_t>(count >> 8);
        return static_cast<uint8_t>(count & 0xFF);
    }
    case TCNTH:
        return temp_;
    default:
        reserved(name(), offset);
    }
}

void ClassicTimer::write(uint16_t offset, uint8_t value, uint64_t now)
{
    switch (offset) {
    case TCCRA:
    case TCCRC:
        if (value != 0) {
            unsupported("TCCR1A, TCCR1C: only normal mode without outputs");
        }
        break;
    case TCCRB:
        service(now);
        set_clock(value, now);
        break;
    case TCNTH:
        temp_ = value;
        break;
    case TCNTL:
        service(now);
        counter_.restart(static_cast<uint16_t>(temp_ << 8 | value), clock_, now);
        break;
    default:
        reserved(name(), offset);
    }
}

uint64_t ClassicTimer::next_event() const
{
    return clock_.running ? counter_.next_wrap(clock_) : NEVER;
}

void ClassicTimer::service(uint64_t now)
{
    if (counter_.advance(clock_, now)) {
        overflowed_ = true;
    }
}

uint64_t ClassicTimer::requests() const
{
    return overflowed_ && (enabled_ & TOV) != 0 ? vector_bit(vector_) : 0;
}

void ClassicTimer::acknowledge(unsigned vector)
{
    if (vector == vector_) {
        overflowed_ = false;
    }
}

uint8_t ClassicTimer::Lone::read(uint16_t, uint64_t now)
{
    timer_.service(now);
    return this == &timer_.mask_ ? timer_.enabled_ : static_cast<uint8_t>(timer_.overflowed_ ? TOV : 0);
}

// Flags are cleared by writing ones.
void ClassicTimer::Lone::write(uint16_t, uint8_t value, uint64_t now)
{
    timer_.service(now);
    if (this != &timer_.mask_) {
        timer_.overflowed_ = timer_.overflowed_ && (value & TOV) == 0;
    } else if ((value & ~static_cast<unsigned>(TOV)) != 0) {
        unsupported("TIMSK1: only TOIE1");
    } else {
        timer_.enabled_ = value;
    }
}

} // namespace sim
