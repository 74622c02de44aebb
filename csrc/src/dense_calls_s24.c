/* SPDX-License-Identifier: Apache-2.0 */
/* Computes with the widths of the generated code, and gives up where it does, so that a wrong proof shows on the host. */
#include "eng/encodings_dense.h"
#include "eng/flash.h"

typedef struct {
    uint16_t position; /* inputs before the next stop */
    uint8_t left;      /* stops left, that one included */
    int16_t balance;
    int16_t room; /* gaps that may still be kept */
} stop;

static uint32_t start_of(const uint8_t *start)
{
    return ((uint32_t)eng_flash_u8(start + 2) << 16) | ((uint32_t)eng_flash_u8(start + 1) << 8) | eng_flash_u8(start);
}

/* On to the next stop; 0 if there was none but the end. */
static uint8_t next_stop(const eng_dense_calls *p, stop *s)
{
    if (--s->left == 0) {
        return 0;
    }
    s->balance = (int16_t)(s->balance - (int16_t)p->cost);
    s->position = (uint16_t)(s->position + p->step);
    return 1;
}

/* The next input after `from` that is not zero_x, not the one at `hidden`; p->in if there is none. */
static uint16_t next_run(const eng_dense_calls *p, const int8_t *x, uint16_t from, uint16_t hidden)
{
    uint16_t k = (uint16_t)(from + 1);
    while (k < p->in && (k == hidden || x[k] == p->zero_x)) {
        ++k;
    }
    return k;
}

/* Walks runs and gaps up to the stop where multiplying one by one is given up; returns the stops left there, 0 if it is not. */
static uint8_t gives_up(const eng_dense_calls *p, const int8_t *x, stop *s)
{
    const uint16_t enough = (uint16_t)(p->cost + p->price);
    const uint16_t evidence = enough < ENG_CALLS_EVIDENCE ? enough : ENG_CALLS_EVIDENCE;
    uint16_t k = 0;
    uint8_t known = 0; /* that a long gap follows */
    for (;;) {
        while (k != s->position && x[k] != p->zero_x) {
            ++k;
        }
        if (k == s->position) {
            if (!next_stop(p, s)) {
                return 0;
            }
            if (s->balance < 0 && !known) {
                s->position = k;
                return s->left;
            }
            known = 0;
            continue;
        }
        uint16_t run = next_run(p, x, k, s->position);
        if (run > s->position && s->position < p->in && x[s->position] != p->zero_x) {
            known = (run < p->in ? run : run + 1) - s->position >= evidence;
            run = s->position;
        }
        while (run > s->position || run >= p->in) {
            if (!next_stop(p, s)) {
                return 0;
            }
        }
        s->balance = (int16_t)(s->balance + (int16_t)(run - k) - p->price);
        --s->room;
        k = run;
    }
}

/* Adds inputs from `from` to `to`, one by one, to what a row has. */
static uint32_t one_by_one(const eng_dense_calls *p, const int8_t *x, const int8_t *w, uint16_t from, uint16_t to)
{
    uint32_t acc = 0;
    for (uint16_t k = from; k < to; ++k) {
        if (x[k] != p->zero_x) {
            const uint8_t input = (uint8_t)(x[k] - p->zero_x);
            acc += (uint32_t)((int32_t)eng_flash_s8(w + (uint32_t)k * p->rows) * input);
        }
    }
    return acc;
}

/* The same by groups; each leaves 32768 more. */
static uint32_t by_groups(const eng_dense_calls *p, const int8_t *x, const int8_t *w, uint16_t from, const uint8_t *lengths)
{
    uint16_t low = 0, high = 0, k = from;
    for (uint8_t length = eng_flash_u8(lengths++); length != 0; length = eng_flash_u8(lengths++)) {
        if (length > ENG_CALLS_OVER) {
            k = (uint16_t)(k + length - ENG_CALLS_OVER);
            continue;
        }
        uint16_t acc = (uint16_t)(0x8000U | low);
        for (uint8_t n = 0; n < length; ++n, ++k) {
            acc = (uint16_t)(acc + (uint16_t)(int16_t)(x[k] * eng_flash_s8(w + (uint32_t)k * p->rows)));
        }
        low = acc & 0xFFU;
        high = (uint16_t)(high + (acc >> 8));
    }
    return ((uint32_t)high << 8) + low;
}

static uint8_t *store(uint8_t *sum, uint32_t acc)
{
    *sum++ = (uint8_t)acc;
    *sum++ = (uint8_t)(acc >> 8);
    *sum++ = (uint8_t)(acc >> 16);
    return sum;
}

/* Past the groups up to input `to`, and of all if there are fewer. */
static const uint8_t *lengths_from(const uint8_t *lengths, uint16_t from, uint16_t to)
{
    while (from < to && eng_flash_u8(lengths) != 0) {
        const uint8_t length = eng_flash_u8(lengths++);
        from = (uint16_t)(from + length - (length > ENG_CALLS_OVER ? ENG_CALLS_OVER : 0));
    }
    return lengths;
}

void eng_dense_calls_s24(const eng_dense_calls *p, const int8_t *x, uint8_t *sum)
{
    stop s = {p->first, p->stops, (int16_t)-(int16_t)p->first_cost, p->capacity};
    const uint8_t variants = p->stops > 1 ? (uint8_t)(p->stops - 1) : 1;
    const uint8_t left = p->stops > 0 ? gives_up(p, x, &s) : 1;
    const uint8_t *lengths = p->lengths;
    const int8_t *w = p->w;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        const uint8_t groups = left > 0 || (block > 0 && s.room < 0);
        const uint16_t begin = block == 0 && p->stops > 0 ? p->first : 0;
        const uint16_t from = !groups ? p->in : block == 0 && p->stops > 0 ? s.position : 0;
        const uint8_t variant = (uint8_t)(block > 0 ? variants + block - 1 : left - 1);
        const uint16_t first_row = (uint16_t)((groups ? variant : block) * p->rows);
        const uint8_t *bias = (groups ? p->dense : p->bias) + 3U * first_row;
        const uint8_t *const here = lengths_from(lengths, begin, from);
        for (uint8_t n = 0; n < p->rows; ++n) {
            uint32_t acc = start_of(bias + 3U * n) + one_by_one(p, x, w + n, 0, from);
            if (groups) {
                acc += by_groups(p, x, w + n, from, here);
            }
            sum = store(sum, acc);
        }
        lengths = lengths_from(lengths, begin, UINT16_MAX) + 1;
        w += (uint32_t)p->in * p->rows;
    }
}
