/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

#include "steps_int.h"

enum { NEVER = 48, BIAS_MOST = 30 };

/* n in [0, 16], or -1 for no step. Beyond 16 the upper n - 16 bits of a number are all 0 with the probability wanted. */
static int8_t step_shift(const eng_step_int *step, int16_t exponent, eng_rng *rng)
{
    const int16_t n = (int16_t)(step->shift - exponent);
    if (n <= WHOLE) {
        return (int8_t)(n < 0 ? 0 : n);
    }
    const uint32_t u = eng_rng_next(rng);
    return n < NEVER && u >> (NEVER - n) == 0 ? WHOLE : -1;
}

static void move_bias(const eng_step_int *step, int8_t n, eng_rng *rng, int32_t gradient, int32_t *bias)
{
    const int16_t sum = (int16_t)(n + step->bias_shift);
    const uint8_t shift = (uint8_t)(sum < 0 ? 0 : sum);
    if (gradient == 0 || shift > BIAS_MOST) {
        return;
    }
    const int32_t r = (int32_t)(eng_rng_next(rng) & ((UINT32_C(1) << shift) - 1));
    const int32_t next = *bias - ((gradient * step->bias_mult + r) >> shift);
    const int32_t above = next < -ENG_BIAS_MAX ? -ENG_BIAS_MAX : next;
    *bias = above > ENG_BIAS_MAX ? ENG_BIAS_MAX : above;
}

void eng_sgd_int(const eng_dense_int_params *p, const eng_step_int *step, int16_t exponent, eng_rng *rng, const int32_t *dw,
                 const int32_t *dbias, int16_t *w, int32_t *bias)
{
    const int8_t shift = step_shift(step, exponent, rng);
    eng_bits_int bits = {rng, 0, false};
    if (shift < 0) {
        return;
    }
    for (uint16_t n = 0; n < p->out; ++n) {
        for (uint16_t k = 0; k < p->in; ++k) {
            if (dw[k] != 0) {
                const int32_t r = (int32_t)((uint32_t)draw(&bits) >> (WHOLE - shift));
                w[k] = moved(w[k], (dw[k] + r) >> shift);
            }
        }
        move_bias(step, shift, rng, dbias[n], bias + n);
        w += p->in;
        dw += p->in;
    }
}

void eng_dense_int_step(const eng_dense_int_params *p, const eng_step_int *step, int16_t exponent, eng_rng *rng,
                        const int8_t *x, const int8_t *h, int16_t *w, int32_t *bias)
{
    const int8_t shift = step_shift(step, exponent, rng);
    eng_bits_int bits = {rng, 0, false};
    if (shift < 0) {
        return;
    }
    for (uint16_t n = 0; n < p->out; ++n) {
        if (h[n] != 0) {
            eng_move_row_int(p, (int32_t)h[n] * (INT32_C(1) << (WHOLE - shift)), x, &bits, w);
            move_bias(step, shift, rng, h[n], bias + n);
        }
        w += p->in;
    }
}
