/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/flash.h"
#include "eng/infer_s8.h"

void eng_dense_s8(const eng_dense_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y)
{
    const eng_rescale *rescale = p->rescale;
    for (uint16_t n = 0; n < p->out; ++n) {
        const int32_t acc = eng_flash_s32(bias + n) + eng_dot_s8(x, w, p->in);
        const eng_rescale r = eng_flash_rescale(rescale);
        y[n] = eng_requant_single_s8(acc, &r, &p->y);
        w += p->in;
        rescale += p->rescale_step;
    }
}
