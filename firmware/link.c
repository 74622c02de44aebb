/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"
#include "chip.h"
#include "clock.h"
#include "eng.h"
#include "eng/frame.h"
#include "exchange.h"
#include "model.h"
#include "stack.h"
#include "timer.h"
#include "usart.h"

#ifdef MODEL_TRAINER
#include "training.h"
#else
#define MODEL_TRAINER 0
#endif

/* What the device is and runs. Text ends with a zero byte; its length is known by that. */
typedef struct {
    uint8_t engine[3]; /* version of the core */
    uint8_t hash[8];   /* first bytes of the model's digest */
    uint16_t arena;
    float x_scale;
    int8_t x_zero;
    uint16_t x_size;
    uint8_t x_rank;
    uint16_t x_shape[MODEL_X_RANK];
    float y_scale;
    int8_t y_zero;
    uint16_t y_size;
    uint8_t y_rank;
    uint16_t y_shape[MODEL_Y_RANK];
    char x_dtype[sizeof MODEL_X_DTYPE];
    char y_dtype[sizeof MODEL_Y_DTYPE];
    char name[sizeof MODEL_NAME];
    char mcu[sizeof MCU_NAME];
    uint8_t trainer; /* 0 none, 1 in integers, 2 in float32 */
} WIRE link_card;

static const link_card card = {
    .engine = {ENG_VERSION_MAJOR, ENG_VERSION_MINOR, ENG_VERSION_PATCH},
    .hash = MODEL_HASH,
    .arena = MODEL_ARENA,
    .x_scale = MODEL_X_SCALE,
    .x_zero = (int8_t)MODEL_X_ZERO, /* of uint8, its bits */
    .x_size = MODEL_X_SIZE,
    .x_rank = MODEL_X_RANK,
    .x_shape = MODEL_X_SHAPE,
    .y_scale = MODEL_Y_SCALE,
    .y_zero = (int8_t)MODEL_Y_ZERO,
    .y_size = MODEL_Y_SIZE,
    .y_rank = MODEL_Y_RANK,
    .y_shape = MODEL_Y_SHAPE,
    .x_dtype = MODEL_X_DTYPE,
    .y_dtype = MODEL_Y_DTYPE,
    .name = MODEL_NAME,
    .mcu = MCU_NAME,
    .trainer = MODEL_TRAINER,
};

/* Initialized, so that older compilers do not make them common symbols, whose places the linker chooses. */
uint8_t arena[MODEL_ARENA] __attribute__((aligned(4))) = {0};
exchange_bytes exchange_head = {{0}};
static eng_frame_decoder decoder;
static const exchange_request *request; /* what this frame asks for; null if it is nothing, or has the wrong size */
static uint16_t filled;                 /* payload bytes of this frame so far */
static bool damaged;                    /* something came in damaged and has not been answered */
static uint16_t damages;                /* how often since reset */

static void send(uint8_t kind, uint8_t sequence, const void *head, uint16_t head_size, const void *body, uint16_t body_size)
{
    eng_frame_encoder encoder;
    uint8_t wire;
    eng_frame_encode(&encoder, kind, sequence, head, head_size, body, body_size);
    while (eng_frame_next(&encoder, &wire))
        usart_send(wire);
}

uint16_t exchange_size(void)
{
    return decoder.header.size;
}

uint16_t exchange_echo(void)
{
    return decoder.crc;
}

void exchange_answer(const void *head, uint16_t head_size, const void *body, uint16_t body_size)
{
    send(decoder.header.kind | LINK_ANSWER, decoder.header.sequence, head, head_size, body, body_size);
}

static void refuse(uint8_t sequence, uint16_t echo, link_error error, uint16_t detail)
{
    const struct {
        uint16_t echo;
        uint8_t error;
        uint16_t detail;
    } WIRE head = {echo, (uint8_t)error, detail};
    send(LINK_ERROR, sequence, &head, sizeof head, NULL, 0);
}

void exchange_refuse(link_error error, uint16_t detail)
{
    refuse(decoder.header.sequence, decoder.crc, error, detail);
}

static void answer_hello(void)
{
    const struct {
        uint16_t echo;
        uint8_t protocol;
        uint32_t clock;
    } WIRE head = {decoder.crc, LINK_PROTOCOL, clock_hz()};
    if (exchange_head.bytes[0] != LINK_PROTOCOL)
        exchange_refuse(LINK_ERR_PROTOCOL, LINK_PROTOCOL);
    else
        exchange_answer(&head, sizeof head, &card, sizeof card);
}

static void answer_run(void)
{
    const struct {
        uint16_t echo;
        uint32_t cycles;
    } WIRE head = {decoder.crc, timer_measure(model_run, arena)};
    exchange_answer(&head, sizeof head, arena + MODEL_Y_OFFSET, MODEL_Y_SIZE);
}

static void answer_selftest(void)
{
#if MODEL_TRAINER
    if (training_learned()) {
        exchange_refuse(LINK_ERR_LEARNED, 0);
        return;
    }
#endif
    const struct {
        uint16_t echo;
        uint8_t status;
    } WIRE head = {decoder.crc, (uint8_t)model_selftest(arena)};
    exchange_answer(&head, sizeof head, NULL, 0);
}

static void answer_stats(void)
{
    const struct {
        uint16_t echo, ram, data, arena, stack, damages;
    } WIRE head = {decoder.crc, STACK_RAM, (uint16_t)(STACK_RAM - stack_room()), MODEL_ARENA, stack_peak(), damages};
    exchange_answer(&head, sizeof head, NULL, 0);
}

/* By kind, from 1 on. */
static const exchange_request requests[] = {[LINK_HELLO - 1] = {1, 1, false, answer_hello},
                                            [LINK_RUN - 1] = {MODEL_X_SIZE, 0, false, answer_run},
                                            [LINK_SELFTEST - 1] = {0, 0, false, answer_selftest},
                                            [LINK_STATS - 1] = {0, 0, false, answer_stats},
#if MODEL_TRAINER
                                            TRAINING_REQUESTS
#endif
};

static const exchange_request *known(uint8_t kind)
{
    const uint8_t at = (uint8_t)(kind - 1);
    return at < sizeof requests / sizeof requests[0] ? &requests[at] : NULL;
}

static bool has_size(const exchange_request *r, uint16_t size)
{
    return size == r->size || (r->upto && size > r->head && size < r->size);
}

static void respond(void)
{
    const exchange_request *r = known(decoder.header.kind);
    if (request)
        request->respond();
    else if (r)
        exchange_refuse(LINK_ERR_LENGTH, r->size);
    else
        exchange_refuse(LINK_ERR_KIND, decoder.header.kind);
}

/* Where a payload byte behind the head goes. */
static uint8_t *place(uint16_t at)
{
#if MODEL_TRAINER
    if (request->upto)
        return arena + at;
    if (at >= MODEL_X_SIZE)
        return arena + MODEL_TARGET_OFFSET + (at - MODEL_X_SIZE);
#endif
    return arena + MODEL_X_OFFSET + at;
}

void link_init(void)
{
    eng_frame_reset(&decoder);
    damaged = false;
    damages = 0;
#if MODEL_TRAINER
    training_init();
#endif
}

static void note_damage(void)
{
    damaged = true;
    ++damages;
}

void link_receive(uint8_t wire)
{
    uint8_t byte;
    switch (eng_frame_decode(&decoder, wire, &byte)) {
    case ENG_FRAME_START:
        filled = 0;
        request = known(decoder.header.kind);
        if (request && !has_size(request, decoder.header.size))
            request = NULL;
        break;
    case ENG_FRAME_BYTE:
        if (request) {
            if (filled < request->head)
                exchange_head.bytes[filled] = byte;
            else
                *place((uint16_t)(filled - request->head)) = byte;
        }
        ++filled;
        break;
    case ENG_FRAME_GOOD:
        damaged = false;
        respond();
        break;
    case ENG_FRAME_BAD:
        note_damage();
        break;
    case ENG_FRAME_NONE:
        break;
    }
}

void link_silence(void)
{
    if (!eng_frame_at_rest(&decoder)) {
        note_damage();
        eng_frame_reset(&decoder);
    }
    if (!damaged)
        return;
    damaged = false;
    refuse(0, 0, LINK_ERR_DAMAGED, 0);
}
