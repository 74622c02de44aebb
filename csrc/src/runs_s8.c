/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings.h"

#define LONGEST 255U

typedef struct {
    uint8_t *next;
    uint8_t left;
} table;

static uint8_t add(table *t, uint8_t gap, uint8_t length)
{
    if (t->left == 0) {
        return 0;
    }
    --t->left;
    *t->next++ = gap;
    *t->next++ = length;
    return 1;
}

/* A run of any length after a gap of any length: more than one entry if either does not fit a byte. */
static uint8_t add_run(table *t, uint16_t gap, uint16_t length)
{
    for (; gap > LONGEST; gap = (uint16_t)(gap - LONGEST - 1)) {
        if (add(t, LONGEST, 1) == 0) {
            return 0;
        }
    }
    for (; length > LONGEST; length = (uint16_t)(length - LONGEST)) {
        if (add(t, (uint8_t)gap, LONGEST) == 0) {
            return 0;
        }
        gap = 0;
    }
    return add(t, (uint8_t)gap, (uint8_t)length);
}

uint8_t eng_runs_s8(const eng_runs *p, const int8_t *x, uint8_t *runs)
{
    table t = {runs + 1, p->capacity};
    uint16_t balance = p->slack;
    uint16_t k = 0;
    for (;;) {
        const uint16_t gap_start = k;
        while (k < p->in && x[k] == p->zero_x) {
            ++k;
        }
        if (k == p->in) {
            break;
        }
        const uint16_t run_start = k;
        while (k < p->in && x[k] != p->zero_x) {
            ++k;
        }
        const uint16_t gap = (uint16_t)(run_start - gap_start);
        const uint16_t length = (uint16_t)(k - run_start);
        balance = (uint16_t)(balance + (uint16_t)((uint32_t)gap * p->gain));
        if (balance < ENG_RUN_PRICE || length > balance - ENG_RUN_PRICE || add_run(&t, gap, length) == 0) {
            return 0;
        }
        balance = (uint16_t)(balance - ENG_RUN_PRICE - length);
    }
    runs[0] = (uint8_t)(p->capacity - t.left);
    return 1;
}
