/* SPDX-License-Identifier: Apache-2.0 */
#include "training.h"

#include <string.h>

#include "eeprom.h"
#include "eng/frame.h"
#include "timer.h"

typedef struct {
    uint16_t crc; /* of all that follows */
    uint16_t size;
    uint8_t hash[4];
    uint8_t state[MODEL_STATE_SIZE];
} WIRE record;

enum { HEAD_SIZE = sizeof(record) - MODEL_STATE_SIZE, CRC_SIZE = 2 };
enum { NOTHING = 0, OTHER = 1, DAMAGED = 2, SOUND = 3 };

static bool learned;
/* The answer to the last step, in case its request comes again. */
static struct {
    uint16_t echo;
    uint32_t cycles;
    uint8_t outcome[MODEL_OUTCOME_SIZE];
} WIRE last;
static bool repeatable;

static uint8_t *const state = arena + MODEL_STATE_OFFSET;
static const uint32_t *const steps = (const uint32_t *)(arena + MODEL_STATE_OFFSET);

static void changed(bool by_learning)
{
    learned = by_learning;
    repeatable = false;
}

/* ---- EEPROM ---- */

#if MODEL_STATE_SIZE + 8 <= EEPROM_SIZE
static const struct {
    uint16_t size;
    uint8_t hash[8]; /* a record has the first 4 */
} WIRE own = {MODEL_STATE_SIZE, MODEL_HASH};

static uint16_t record_crc(const record *r)
{
    return eng_frame_crc_block(ENG_FRAME_CRC_START, (const uint8_t *)r + CRC_SIZE, sizeof *r - CRC_SIZE);
}

static uint8_t record_kind(const record *r)
{
    if (r->crc == UINT16_MAX && r->size == UINT16_MAX)
        return NOTHING;
    if (memcmp(r->hash, own.hash, sizeof r->hash) != 0)
        return OTHER;
    return r->crc == record_crc(r) ? SOUND : DAMAGED;
}

static const record *saved(void)
{
    return (const record *)eeprom_cells();
}

/* The CRC last: until it is there, the old one does not fit what is new. */
static bool store(void)
{
    const uint16_t head_crc = eng_frame_crc_block(ENG_FRAME_CRC_START, (const uint8_t *)&own, HEAD_SIZE - CRC_SIZE);
    const uint16_t crc = eng_frame_crc_block(head_crc, state, MODEL_STATE_SIZE);
    eeprom_write(CRC_SIZE, (const uint8_t *)&own, HEAD_SIZE - CRC_SIZE);
    eeprom_write(HEAD_SIZE, state, MODEL_STATE_SIZE);
    eeprom_write(0, (const uint8_t *)&crc, CRC_SIZE);
    return record_kind(saved()) == SOUND;
}

static uint8_t load(void)
{
    const uint8_t kind = record_kind(saved());
    if (kind == SOUND) {
        memcpy(state, saved()->state, MODEL_STATE_SIZE);
        changed(true);
    }
    return kind;
}
#else
static uint8_t record_kind(const void *r)
{
    (void)r;
    return NOTHING;
}

static const void *saved(void)
{
    return NULL;
}

static uint8_t load(void)
{
    return NOTHING;
}
#endif

/* ---- answers ---- */

static void done(void)
{
    const uint16_t echo = exchange_echo();
    exchange_answer(&echo, sizeof echo, NULL, 0);
}

void training_init(void)
{
    model_start(arena);
    changed(false);
    (void)load();
}

bool training_learned(void)
{
    return learned;
}

void training_tell(void)
{
    const struct {
        uint16_t echo;
        uint32_t steps;
        uint16_t state, crc, chunk, saved;
    } WIRE head = {
        exchange_echo(),  *steps,
        MODEL_STATE_SIZE, eng_frame_crc_block(ENG_FRAME_CRC_START, state, MODEL_STATE_SIZE),
        TRAINING_CHUNK,   record_kind(saved()) == SOUND ? sizeof(record) : 0,
    };
    exchange_answer(&head, sizeof head, NULL, 0);
}

static bool has_label(void)
{
#if MODEL_CLASSES
    uint16_t label;
    memcpy(&label, arena + MODEL_TARGET_OFFSET, sizeof label);
    if (label >= MODEL_CLASSES) {
        exchange_refuse(LINK_ERR_LABEL, MODEL_CLASSES);
        return false;
    }
#endif
    return true;
}

static void run(void (*work)(uint8_t *arena))
{
    last.echo = exchange_echo();
    last.cycles = timer_measure(work, arena);
    memcpy(last.outcome, arena + MODEL_OUTCOME_OFFSET, sizeof last.outcome);
}

static void answer_last(void)
{
    exchange_answer(&last, sizeof last, NULL, 0);
}

void training_train(void)
{
    const uint32_t before = exchange_head.word;
    if (repeatable && before + 1 == *steps && last.echo == exchange_echo()) {
        answer_last();
    } else if (before != *steps) {
        exchange_refuse(LINK_ERR_STEP, (uint16_t)*steps);
    } else if (has_label()) {
        run(model_train_step);
        learned = repeatable = true;
        answer_last();
    }
}

void training_evaluate(void)
{
    if (has_label()) {
        repeatable = false;
        run(model_evaluate);
        answer_last();
    }
}

/* Whether size bytes from offset on are in the state; else says so. */
static bool in_state(uint16_t offset, uint16_t size)
{
    if (size > 0 && size <= MODEL_STATE_SIZE && offset <= MODEL_STATE_SIZE - size)
        return true;
    exchange_refuse(LINK_ERR_RANGE, MODEL_STATE_SIZE);
    return false;
}

void training_read(void)
{
    const uint16_t offset = exchange_head.half[0], size = exchange_head.half[1];
    const uint16_t echo = exchange_echo();
    if (in_state(offset, size))
        exchange_answer(&echo, sizeof echo, state + offset, size);
}

void training_write(void)
{
    const uint16_t offset = exchange_head.half[0], size = (uint16_t)(exchange_size() - 2);
    if (in_state(offset, size)) {
        memcpy(state + offset, arena, size);
        changed(true);
        done();
    }
}

void training_save(void)
{
#if MODEL_STATE_SIZE + 8 <= EEPROM_SIZE
    if (store())
        done();
    else
        exchange_refuse(LINK_ERR_RECORD, DAMAGED);
#else
    exchange_refuse(LINK_ERR_ROOM, sizeof(record) - EEPROM_SIZE);
#endif
}

void training_load(void)
{
    const uint8_t kind = load();
    if (kind == SOUND)
        done();
    else
        exchange_refuse(LINK_ERR_RECORD, kind);
}

void training_restart(void)
{
    model_start(arena);
    changed(false);
    done();
}
