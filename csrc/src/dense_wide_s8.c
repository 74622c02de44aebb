/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

static void one_vector(const eng_dense_wide_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    const eng_ratio *ratio = p->ratio;
    for (uint16_t n = 0; n < p->out; ++n) {
        const int32_t acc = eng_flash_s32(bias + n) + eng_dot_s8(x, w, p->in);
        const eng_ratio r = {eng_flash_u32(&ratio->low), eng_flash_u32(&ratio->high)};
        y[n] = eng_requant_wide_s8(acc, &r, &p->y);
        w += p->in;
        ratio += p->ratio_step;
    }
}

void eng_dense_wide_s8(const eng_dense_wide_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    for (uint32_t row = 0; row < p->rows; ++row) {
        one_vector(p, x, w, bias, y);
        x += p->in;
        y += p->out;
    }
}
