/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on a serial line, byte by byte in both directions, without a buffer of a frame's size.
 *
 * On the wire:   00 00 00 00 | COBS(header, payload) | check | 00
 *   header   kind, sequence, payload size (little endian): ENG_FRAME_HEADER bytes
 *   COBS     consistent overhead byte stuffing: no 00 inside (S. Cheshire, M. Baker, IEEE/ACM Trans. Netw. 7(2), 1999)
 *   check    CRC-16/IBM-3740 ("CCITT-FALSE": polynomial 0x1021, start 0xffff, not reflected) over the stuffed bytes, as
 *            4 + 6 + 6 bits, each with bit 7 set, so that the check needs no stuffing
 *
 * The check covers what is on the wire, not what it decodes to: a flipped stuffing byte is an error of one bit, not of a
 * whole frame. A frame counts only after ENG_FRAME_PREAMBLE zeros and if its size field agrees with where it ends. So an
 * error burst of up to 16 bits inside a frame is never accepted: the CRC sees it, and where it makes delimiters it leaves
 * a head whose size is wrong and a rest without preamble (clearing four non-zero bytes takes a burst of 18 bits). Nor is
 * one damaged preamble byte: no byte leaves the CRC at its start. Anything else passes with probability 2^-16. */
#ifndef ENG_FRAME_H
#define ENG_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ENG_FRAME_PREAMBLE 4
#define ENG_FRAME_HEADER   4
#define ENG_FRAME_CHECK    3
/* Largest payload: header and payload together are counted in 16 bits. */
#define ENG_FRAME_PAYLOAD_MAX 65531

#define ENG_FRAME_CRC_START 0xffffU
/* The CRC with one more byte. Start from ENG_FRAME_CRC_START. */
uint16_t eng_frame_crc(uint16_t crc, uint8_t byte);

/* The CRC with size more bytes. */
uint16_t eng_frame_crc_block(uint16_t crc, const uint8_t *data, size_t size);

typedef struct {
    uint8_t kind;
    uint8_t sequence;
    uint16_t size; /* payload bytes */
} eng_frame_header;

/* The payload is head followed by body; both must stay in place until the frame is out. Either may be empty. */
typedef struct {
    eng_frame_header header;
    const uint8_t *head;
    const uint8_t *body;
    uint16_t head_size;
    uint16_t at;   /* next byte of header and payload */
    uint16_t crc;  /* of the stuffed bytes so far */
    uint8_t phase; /* counts what is out of preamble and check */
    uint8_t left;  /* bytes left in this stuffing block */
    bool full;     /* this block has 254 bytes: no zero follows */
} eng_frame_encoder;

/* Starts a frame of head_size + body_size payload bytes, ENG_FRAME_PAYLOAD_MAX at most. */
void eng_frame_encode(eng_frame_encoder *e, uint8_t kind, uint8_t sequence, const uint8_t *head, uint16_t head_size,
                      const uint8_t *body, uint16_t body_size);

/* Gives the next byte for the wire; false when the frame is out. */
bool eng_frame_next(eng_frame_encoder *e, uint8_t *wire);

typedef enum {
    ENG_FRAME_NONE = 0, /* nothing to do */
    ENG_FRAME_START,    /* the header is in and not yet proven: decide where size bytes may go, if anywhere */
    ENG_FRAME_BYTE,     /* a payload byte; at most header.size of them come */
    ENG_FRAME_GOOD,     /* the frame ended and is proven */
    ENG_FRAME_BAD       /* what came since the last good frame, or since silence, was damaged */
} eng_frame_event;

typedef struct {
    eng_frame_header header;
    uint16_t at;  /* bytes of header and payload so far */
    uint16_t crc; /* of the stuffed bytes so far */
    uint8_t phase;
    uint8_t zeros; /* delimiters in a row, up to ENG_FRAME_PREAMBLE */
    uint8_t left;  /* bytes left in this stuffing block */
    bool zero;     /* the block ends with a zero, if another follows */
} eng_frame_decoder;

/* Forgets everything; the next frame needs its whole preamble. */
void eng_frame_reset(eng_frame_decoder *d);

/* Takes one byte off the wire. *byte is written with ENG_FRAME_BYTE only. A damaged frame is reported once, at its end or
 * earlier. After ENG_FRAME_GOOD, header and crc are the frame's, until the next byte. */
eng_frame_event eng_frame_decode(eng_frame_decoder *d, uint8_t wire, uint8_t *byte);

/* True while nothing is under way: at the start, and after a frame's end. */
bool eng_frame_at_rest(const eng_frame_decoder *d);

#ifdef __cplusplus
}
#endif

#endif
