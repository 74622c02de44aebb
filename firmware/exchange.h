/* SPDX-License-Identifier: Apache-2.0 */
/* What link.c and training.c share: the request at hand, and answering it. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "model.h"

/* Numbers on the wire as they lie in memory: little endian, no padding. */
#define WIRE __attribute__((packed))

/* The first bytes of a request's payload, up to so many, are kept apart. */
#define EXCHANGE_HEAD 4

typedef struct {
    uint16_t size;         /* payload bytes; where upto, the most of them */
    uint8_t head;          /* of them, bytes that are no input, at most EXCHANGE_HEAD */
    bool upto;             /* from head + 1 bytes on; what follows the head goes to the beginning of the arena */
    void (*respond)(void); /* null: no such request */
} exchange_request;

extern uint8_t arena[MODEL_ARENA];
extern uint8_t exchange_head[EXCHANGE_HEAD];

/* Payload bytes and CRC of the request. */
uint16_t exchange_size(void);
uint16_t exchange_echo(void);

/* Answers: head, which starts with the echo, then body. Or refuses. */
void exchange_answer(const void *head, uint16_t head_size, const void *body, uint16_t body_size);
void exchange_refuse(link_error error, uint16_t detail);

/* u16 at a place of the head. */
static inline uint16_t exchange_u16(uint8_t at)
{
    return (uint16_t)(exchange_head[at] | (uint16_t)((uint16_t)exchange_head[at + 1] << 8));
}

#endif
