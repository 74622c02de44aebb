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

static uint8_t sample_is_full(const eng_runs *p, const int8_t *x)
{
    uint16_t count = 0;
    for (uint32_t k = 0; k < p->in; k += 16) {
        count = (uint16_t)(count + (x[k] != p->zero_x));
    }
    return count > p->sample_limit;
}

uint8_t eng_runs_s8(const eng_runs *p, const int8_t *x, uint8_t *runs)
{
    table t = {runs + 1, p->capacity};
    uint16_t inside = 0;
    uint16_t k = 0;
    if (sample_is_full(p, x)) {
        return 0;
    }
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
        inside = (uint16_t)(inside + (k - run_start));
        if (inside > p->limit || add_run(&t, (uint16_t)(run_start - gap_start), (uint16_t)(k - run_start)) == 0) {
            return 0;
        }
    }
    runs[0] = (uint8_t)(p->capacity - t.left);
    return 1;
}
