/* SPDX-License-Identifier: Apache-2.0 */
#include "training.h"

#include <string.h>

#include "eeprom.h"
#include "eng/frame.h"
#include "timer.h"

typedef struct {
    uint16_t crc; /* of all that follows, the state included */
    uint16_t size;
    uint8_t hash[4];
} WIRE record_head;

enum { RECORD_SIZE = sizeof(record_head) + MODEL_STATE_SIZE, NOTHING = 0, OTHER = 1, DAMAGED = 2, SOUND = 3 };

static const uint8_t hash[8] = MODEL_HASH;

static bool learned;
/* The answer to the last step, in case its request comes again. */
static struct {
    uint16_t echo;
    uint32_t cycles;
    uint8_t outcome[MODEL_OUTCOME_SIZE];
} WIRE last;
static bool repeatable;

static uint8_t *const state = arena + MODEL_STATE_OFFSET;

static uint32_t steps(void)
{
    uint32_t n;
    memcpy(&n, state, sizeof n);
    return n;
}

static void changed(bool by_learning)
{
    learned = by_learning;
    repeatable = false;
}

/* ---- EEPROM ---- */

static uint16_t crc_behind(const record_head *head, const uint8_t *data)
{
    const uint8_t *const rest = (const uint8_t *)head + sizeof head->crc;
    const uint16_t crc = eng_frame_crc_block(ENG_FRAME_CRC_START, rest, sizeof *head - sizeof head->crc);
    return eng_frame_crc_block(crc, data, MODEL_STATE_SIZE);
}

static uint8_t record_kind(void)
{
    record_head head;
    const uint8_t *const cells = eeprom_cells();
    memcpy(&head, cells, sizeof head);
    if (head.crc == UINT16_MAX && head.size == UINT16_MAX)
        return NOTHING;
    if (memcmp(head.hash, hash, sizeof head.hash) != 0)
        return OTHER;
    if (head.size != MODEL_STATE_SIZE || RECORD_SIZE > EEPROM_SIZE)
        return DAMAGED;
    return crc_behind(&head, cells + sizeof head) == head.crc ? SOUND : DAMAGED;
}

static bool load(void)
{
    if (record_kind() != SOUND)
        return false;
    memcpy(state, eeprom_cells() + sizeof(record_head), MODEL_STATE_SIZE);
    changed(true);
    return true;
}

/* The head last: until it is there, the old one does not fit the new state. */
static void store(void)
{
    record_head head = {0, MODEL_STATE_SIZE, {0}};
    memcpy(head.hash, hash, sizeof head.hash);
    head.crc = crc_behind(&head, state);
    eeprom_write(sizeof head, state, MODEL_STATE_SIZE);
    eeprom_write(0, (const uint8_t *)&head, sizeof head);
}

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
    load();
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
        exchange_echo(),  steps(),
        MODEL_STATE_SIZE, eng_frame_crc_block(ENG_FRAME_CRC_START, state, MODEL_STATE_SIZE),
        TRAINING_CHUNK,   record_kind() == SOUND ? RECORD_SIZE : 0,
    };
    exchange_answer(&head, sizeof head, NULL, 0);
}

#if MODEL_CLASSES
static bool has_label(void)
{
    uint16_t label;
    memcpy(&label, arena + MODEL_TARGET_OFFSET, sizeof label);
    if (label < MODEL_CLASSES)
        return true;
    exchange_refuse(LINK_ERR_LABEL, MODEL_CLASSES);
    return false;
}
#else
static bool has_label(void)
{
    return true;
}
#endif

static void learn(void)
{
    last.cycles = timer_measure(model_train_step, arena);
    memcpy(last.outcome, arena + MODEL_OUTCOME_OFFSET, sizeof last.outcome);
    last.echo = exchange_echo();
    learned = true;
    repeatable = true;
}

void training_train(void)
{
    uint32_t before;
    memcpy(&before, exchange_head, sizeof before);
    const bool again = repeatable && before + 1 == steps() && last.echo == exchange_echo();
    if (!again) {
        if (before != steps()) {
            exchange_refuse(LINK_ERR_STEP, (uint16_t)steps());
            return;
        }
        if (!has_label())
            return;
        learn();
    }
    exchange_answer(&last, sizeof last, NULL, 0);
}

void training_evaluate(void)
{
    if (!has_label())
        return;
    const struct {
        uint16_t echo;
        uint32_t cycles;
    } WIRE head = {exchange_echo(), timer_measure(model_evaluate, arena)};
    exchange_answer(&head, sizeof head, arena + MODEL_OUTCOME_OFFSET, MODEL_OUTCOME_SIZE);
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
    const uint16_t offset = exchange_u16(0), size = exchange_u16(2);
    const uint16_t echo = exchange_echo();
    if (in_state(offset, size))
        exchange_answer(&echo, sizeof echo, state + offset, size);
}

void training_write(void)
{
    const uint16_t offset = exchange_u16(0), size = (uint16_t)(exchange_size() - 2);
    if (!in_state(offset, size))
        return;
    memcpy(state + offset, arena, size);
    changed(true);
    done();
}

void training_save(void)
{
#if MODEL_STATE_SIZE + 8 > EEPROM_SIZE
    exchange_refuse(LINK_ERR_ROOM, RECORD_SIZE - EEPROM_SIZE);
    (void)store;
#else
    store();
    if (record_kind() == SOUND)
        done();
    else
        exchange_refuse(LINK_ERR_RECORD, DAMAGED);
#endif
}

void training_load(void)
{
    if (load())
        done();
    else
        exchange_refuse(LINK_ERR_RECORD, record_kind());
}

void training_restart(void)
{
    model_start(arena);
    changed(false);
    done();
}
