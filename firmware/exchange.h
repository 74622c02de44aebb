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

/* The first bytes of a request's payload, as many as it says, are kept apart. */
typedef union {
    uint8_t bytes[4];
    uint16_t half[2];
    uint32_t word;
} exchange_bytes;

typedef struct {
    uint16_t size;         /* payload bytes; where upto, the most of them */
    uint8_t head;          /* of them, bytes that are no input, at most 4 */
    bool upto;             /* from head + 1 bytes on; what follows the head goes to the beginning of the arena */
    void (*respond)(void); /* null: no such request */
} exchange_request;

extern uint8_t arena[MODEL_ARENA];
extern exchange_bytes exchange_head;

/* Payload bytes and CRC of the request. */
uint16_t exchange_size(void);
uint16_t exchange_echo(void);

/* Answers: head, which starts with the echo, then body. Or refuses. */
void exchange_answer(const void *head, uint16_t head_size, const void *body, uint16_t body_size);
void exchange_refuse(link_error error, uint16_t detail);

#endif
