/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/frame.h"

enum { BLOCK = 254, MARK = 0x80, MARK_MASK = 0xc0 };

uint16_t eng_frame_crc(uint16_t crc, uint8_t byte)
{
    uint8_t x = (uint8_t)((crc >> 8) ^ byte);
    x = (uint8_t)(x ^ (x >> 4));
    return (uint16_t)((uint16_t)(crc << 8) ^ (uint16_t)((uint16_t)x << 12) ^ (uint16_t)((uint16_t)x << 5) ^ x);
}

uint16_t eng_frame_crc_block(uint16_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; ++i)
        crc = eng_frame_crc(crc, data[i]);
    return crc;
}

/* Group 0, 1, 2 of the check: 4, 6, 6 bits of the CRC, never zero. */
static uint8_t check_byte(uint16_t crc, uint8_t group)
{
    const uint8_t bits = (uint8_t)(group == 0 ? crc >> 12 : group == 1 ? (crc >> 6) & 0x3fU : crc & 0x3fU);
    return bits | MARK;
}

/* Phases of an encoder: counting down from the first preamble byte. */
enum { DONE = 0, STOP = 1, CHECK_LAST = 2, BODY = CHECK_LAST + ENG_FRAME_CHECK, FIRST = BODY + ENG_FRAME_PREAMBLE };

void eng_frame_encode(eng_frame_encoder *e, uint8_t kind, uint8_t sequence, const uint8_t *head, uint16_t head_size,
                      const uint8_t *body, uint16_t body_size)
{
    e->header.kind = kind;
    e->header.sequence = sequence;
    e->header.size = (uint16_t)(head_size + body_size);
    e->head = head;
    e->body = body;
    e->head_size = head_size;
    e->at = 0;
    e->crc = ENG_FRAME_CRC_START;
    e->phase = FIRST;
    e->left = 0;
    e->full = true;
}

static uint8_t source_byte(const eng_frame_encoder *e, uint16_t at)
{
    switch (at) {
    case 0:
        return e->header.kind;
    case 1:
        return e->header.sequence;
    case 2:
        return (uint8_t)e->header.size;
    case 3:
        return (uint8_t)(e->header.size >> 8);
    default:
        break;
    }
    at = (uint16_t)(at - ENG_FRAME_HEADER);
    return at < e->head_size ? e->head[at] : e->body[at - e->head_size];
}

/* Non-zero bytes from here on, up to a block's length. */
static uint8_t block_length(const eng_frame_encoder *e)
{
    const uint16_t end = (uint16_t)(ENG_FRAME_HEADER + e->header.size);
    uint8_t n = 0;
    while (n < BLOCK && e->at + n < end && source_byte(e, (uint16_t)(e->at + n)) != 0)
        ++n;
    return n;
}

/* The next stuffed byte; at a block's end the code byte of the next. */
static uint8_t stuffed_byte(eng_frame_encoder *e)
{
    if (e->left > 0) {
        --e->left;
        return source_byte(e, e->at++);
    }
    if (!e->full)
        ++e->at;
    e->left = block_length(e);
    e->full = e->left == BLOCK;
    return (uint8_t)(e->left + 1);
}

/* A block is out, and header and payload with it. The very first block never is: the header has not been sent. */
static bool body_done(const eng_frame_encoder *e)
{
    return e->left == 0 && e->at == (uint16_t)(ENG_FRAME_HEADER + e->header.size);
}

bool eng_frame_next(eng_frame_encoder *e, uint8_t *wire)
{
    if (e->phase == BODY) {
        if (!body_done(e)) {
            *wire = stuffed_byte(e);
            e->crc = eng_frame_crc(e->crc, *wire);
            return true;
        }
        --e->phase;
    }
    if (e->phase == DONE)
        return false;
    *wire = e->phase >= CHECK_LAST && e->phase < BODY ? check_byte(e->crc, (uint8_t)(BODY - 1 - e->phase)) : 0;
    --e->phase;
    return true;
}

/* Phases of a decoder. Those below BODY are at rest; CHECK_FIRST and the two after it await the check. */
enum { WAIT, SKIP, IN_BODY, CHECK_FIRST, AWAIT_STOP = CHECK_FIRST + ENG_FRAME_CHECK };

void eng_frame_reset(eng_frame_decoder *d)
{
    d->phase = WAIT;
    d->zeros = 0;
}

bool eng_frame_at_rest(const eng_frame_decoder *d)
{
    return d->phase < IN_BODY;
}

static eng_frame_event broken(eng_frame_decoder *d)
{
    d->phase = SKIP;
    return ENG_FRAME_BAD;
}

static eng_frame_event delimiter(eng_frame_decoder *d)
{
    const uint8_t phase = d->phase;
    d->phase = WAIT;
    if (d->zeros < ENG_FRAME_PREAMBLE)
        ++d->zeros;
    if (phase < IN_BODY)
        return ENG_FRAME_NONE;
    return phase == AWAIT_STOP ? ENG_FRAME_GOOD : ENG_FRAME_BAD;
}

static eng_frame_event header_byte(eng_frame_decoder *d, uint8_t value)
{
    switch (d->at++) {
    case 0:
        d->header.kind = value;
        return ENG_FRAME_NONE;
    case 1:
        d->header.sequence = value;
        return ENG_FRAME_NONE;
    case 2:
        d->header.size = value;
        return ENG_FRAME_NONE;
    default:
        d->header.size = (uint16_t)(d->header.size | (uint16_t)((uint16_t)value << 8));
        return d->header.size <= ENG_FRAME_PAYLOAD_MAX ? ENG_FRAME_START : broken(d);
    }
}

static bool complete(const eng_frame_decoder *d)
{
    return d->at >= ENG_FRAME_HEADER && (uint16_t)(d->at - ENG_FRAME_HEADER) == d->header.size;
}

static eng_frame_event plain_byte(eng_frame_decoder *d, uint8_t value, uint8_t *byte)
{
    if (d->at < ENG_FRAME_HEADER)
        return header_byte(d, value);
    if (complete(d))
        return broken(d);
    ++d->at;
    *byte = value;
    return ENG_FRAME_BYTE;
}

static eng_frame_event stuffed(eng_frame_decoder *d, uint8_t wire, uint8_t *byte)
{
    eng_frame_event event = ENG_FRAME_NONE;
    d->crc = eng_frame_crc(d->crc, wire);
    if (d->left > 0) {
        --d->left;
        event = plain_byte(d, wire, byte);
    } else {
        const bool zero = d->zero;
        d->left = (uint8_t)(wire - 1);
        d->zero = d->left < BLOCK;
        if (zero)
            event = plain_byte(d, 0, byte);
    }
    if (d->phase == IN_BODY && d->left == 0 && complete(d))
        d->phase = CHECK_FIRST;
    return event;
}

eng_frame_event eng_frame_decode(eng_frame_decoder *d, uint8_t wire, uint8_t *byte)
{
    if (wire == 0)
        return delimiter(d);
    const uint8_t zeros = d->zeros;
    d->zeros = 0;
    switch (d->phase) {
    case SKIP:
        return ENG_FRAME_NONE;
    case WAIT:
        if (zeros < ENG_FRAME_PREAMBLE)
            return broken(d);
        d->phase = IN_BODY;
        d->at = 0;
        d->crc = ENG_FRAME_CRC_START;
        d->left = 0;
        d->zero = false;
        return stuffed(d, wire, byte);
    case IN_BODY:
        return stuffed(d, wire, byte);
    case AWAIT_STOP:
        return broken(d);
    default:
        if (wire != check_byte(d->crc, (uint8_t)(d->phase - CHECK_FIRST)))
            return broken(d);
        ++d->phase;
        return ENG_FRAME_NONE;
    }
}
