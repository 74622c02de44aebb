/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings_moved.h"
#include "eng/flash.h"

static uint8_t differs(const eng_moved *p, const int8_t *x)
{
    for (uint8_t k = 0; k < p->period; ++k) {
        if (x[k] != eng_flash_s8(p->rest + k)) {
            return 1;
        }
    }
    return 0;
}

uint8_t eng_moved_s8(const eng_moved *p, const int8_t *x, uint8_t *moved)
{
    uint8_t *next = moved + 1;
    uint8_t runs = 0;
    uint8_t gap = 0;
    uint8_t length = 0;
    uint8_t limit = p->limit;
    for (uint8_t cell = 0; cell < p->cells; ++cell) {
        const uint8_t differing = differs(p, x);
        x += p->period;
        if (differing == 0) {
            gap = length != 0 ? 1 : (uint8_t)(gap + 1);
            length = 0;
            continue;
        }
        if (limit == 0 || (length == 0 && runs == p->capacity)) {
            return 0;
        }
        --limit;
        if (length == 0) {
            ++runs;
            *next++ = gap;
            *next++ = 0;
        }
        next[-1] = ++length;
    }
    moved[0] = runs;
    return 1;
}
