/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/infer_s8.h"

/* To nearest, ties away from zero, |v| <= 256; without libm. v - whole is exact. */
static int16_t round_away(float v)
{
    const int16_t whole = (int16_t)v;
    const float rest = v - (float)whole;
    return (int16_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

static int8_t quantized(const eng_quantize_params *p, float x)
{
    float v = x / p->scale;
    v = v > 256.0f ? 256.0f : v;
    v = v < -256.0f ? -256.0f : v;
    const int16_t code = v == v ? (int16_t)(round_away(v) + p->zero) : p->zero; /* NaN differs from itself */
    return code < INT8_MIN ? INT8_MIN : code > INT8_MAX ? INT8_MAX : (int8_t)code;
}

void eng_quantize_f32_s8(const eng_quantize_params *p, const float *x, int8_t *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = quantized(p, x[i]);
    }
}

void eng_quantize_f32_u8(const eng_quantize_params *p, const float *x, uint8_t *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = (uint8_t)(quantized(p, x[i]) + 128);
    }
}

void eng_dequantize_s8_f32(const eng_quantize_params *p, const int8_t *x, float *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = p->scale * (float)(x[i] - p->zero);
    }
}

void eng_dequantize_u8_f32(const eng_quantize_params *p, const uint8_t *x, float *y)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        y[i] = p->scale * (float)((int16_t)x[i] - 128 - p->zero);
    }
}
