/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/train_int.h"

enum { OCTAVE = 64, ONE_BITS = 15 };
#define ONE (INT32_C(1) << ONE_BITS)

/* round(2^15 * 2^(-i/64)) */
static const uint16_t powers[OCTAVE] = {
    32768, 32415, 32066, 31720, 31379, 31041, 30706, 30376, 30048, 29725, 29405, 29088, 28774, 28464, 28158, 27855,
    27554, 27258, 26964, 26674, 26386, 26102, 25821, 25543, 25268, 24995, 24726, 24460, 24196, 23936, 23678, 23423,
    23170, 22921, 22674, 22430, 22188, 21949, 21713, 21479, 21247, 21019, 20792, 20568, 20347, 20127, 19911, 19696,
    19484, 19274, 19066, 18861, 18658, 18457, 18258, 18061, 17867, 17674, 17484, 17296, 17109, 16925, 16743, 16562,
};

/* 2^15 * 2^(-d/64), cut. */
static uint16_t exponential(uint32_t d)
{
    const uint32_t octaves = d / OCTAVE;
    if (octaves > ONE_BITS) {
        return 0;
    }
    return (uint16_t)(powers[d % OCTAVE] >> octaves);
}

/* log2(v / 2^15) in 1/64 octaves, cut; v >= 2^15. */
static uint32_t logarithm(uint32_t v)
{
    uint32_t log = 0;
    for (; v >= 2 * (uint32_t)ONE; v >>= 1) {
        log += OCTAVE;
    }
    uint8_t i = 0;
    while (i < OCTAVE && powers[i] > v / 2) {
        ++i;
    }
    return log + (uint32_t)(OCTAVE - i);
}

/* z of the row into dy, or nowhere; returns their maximum. */
static int32_t largest(const eng_softmax_int_params *p, const int32_t *acc)
{
    int32_t best = acc[0];
    for (uint16_t k = 1; k < p->classes; ++k) {
        best = acc[k] > best ? acc[k] : best;
    }
    return eng_rescale_single(best, &p->rescale); /* monotone */
}

static uint32_t below(const eng_softmax_int_params *p, int32_t best, int32_t acc)
{
    return (uint32_t)best - (uint32_t)eng_rescale_single(acc, &p->rescale);
}

static void gradient(uint16_t classes, uint16_t label, uint32_t sum, int32_t *dy)
{
    for (uint16_t k = 0; k < classes; ++k) {
        const uint32_t share = (((uint32_t)dy[k] << ONE_BITS) + sum / 2) / sum;
        dy[k] = (int32_t)share - (k == label ? ONE : 0);
    }
}

void eng_softmax_cross_entropy_int(const eng_softmax_int_params *p, const int32_t *acc, const uint16_t *label, uint32_t *loss,
                                   int32_t *dy)
{
    for (size_t i = 0; i < p->rows; ++i) {
        const int32_t best = largest(p, acc);
        uint32_t sum = 0;
        for (uint16_t k = 0; k < p->classes; ++k) {
            const uint16_t e = exponential(below(p, best, acc[k]));
            sum += e;
            if (dy) {
                dy[k] = e;
            }
        }
        loss[i] = logarithm(sum) + below(p, best, acc[label[i]]);
        acc += p->classes;
        if (dy) {
            gradient(p->classes, label[i], sum, dy);
            dy += p->classes;
        }
    }
}
