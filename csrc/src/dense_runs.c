/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/encodings.h"
#include "eng/flash.h"

/* start + sum of w * (x - zero_x) of one row over all runs, modulo 2^32 of which 24 bits count. */
static uint32_t row_sum(uint32_t start, const int8_t *w, uint8_t rows, const int8_t *x, int8_t zero_x, const uint8_t *runs)
{
    uint32_t sum = start;
    const uint8_t count = *runs++;
    for (uint8_t run = 0; run < count; ++run) {
        x += runs[0];
        w += (uint16_t)runs[0] * rows;
        for (uint8_t k = 0; k < runs[1]; ++k) {
            sum += (uint32_t)((int32_t)eng_flash_s8(w) * (int16_t)(*x - zero_x));
            ++x;
            w += rows;
        }
        runs += 2;
    }
    return sum;
}

static void dense_runs(const eng_dense_rows *p, uint8_t rows, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    const uint8_t *start = p->start;
    for (uint8_t block = 0; block < p->blocks; ++block) {
        const int8_t *w = p->w + (size_t)block * p->in * rows;
        for (uint8_t n = 0; n < rows; ++n) {
            const uint32_t bits = row_sum(eng_flash_split_s24(start), w + n, rows, x, zero_x, runs);
            *sum++ = (uint8_t)bits;
            *sum++ = (uint8_t)(bits >> 8);
            *sum++ = (uint8_t)(bits >> 16);
            start += 3;
        }
    }
}

void eng_dense_runs1_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 1, x, zero_x, runs, sum);
}

void eng_dense_runs2_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 2, x, zero_x, runs, sum);
}

void eng_dense_runs3_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 3, x, zero_x, runs, sum);
}

void eng_dense_runs4_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 4, x, zero_x, runs, sum);
}

void eng_dense_runs5_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 5, x, zero_x, runs, sum);
}

void eng_dense_runs8_s24(const eng_dense_rows *p, const int8_t *x, int8_t zero_x, const uint8_t *runs, uint8_t *sum)
{
    dense_runs(p, 8, x, zero_x, runs, sum);
}
