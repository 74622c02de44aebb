/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "eng/tensor_s8.h"

/* One row of pixels; returns where the next begins. Without padding of channels its pixels stay neighbours. */
static int8_t *pad_row(const eng_pad_s8_params *p, const int8_t *x, int8_t *y)
{
    const size_t pixel = (size_t)p->front + p->channels + p->back;
    const uint16_t pieces = pixel == p->channels ? 1 : p->in_w; /* of neighbours */
    const size_t size = pixel == p->channels ? p->in_w * pixel : p->channels;
    memset(y, p->value, ((size_t)p->left + p->in_w + p->right) * pixel);
    y += p->left * pixel;
    for (uint16_t i = 0; i < pieces; ++i) {
        memcpy(y + i * pixel + p->front, x + i * (size_t)p->channels, size);
    }
    return y + (p->in_w + (size_t)p->right) * pixel;
}

void eng_pad_s8(const eng_pad_s8_params *p, const int8_t *x, int8_t *y)
{
    const size_t row = ((size_t)p->left + p->in_w + p->right) * ((size_t)p->front + p->channels + p->back);
    memset(y, p->value, p->top * row);
    y += p->top * row;
    for (uint16_t i = 0; i < p->in_h; ++i) {
        y = pad_row(p, x, y);
        x += (size_t)p->in_w * p->channels;
    }
    memset(y, p->value, p->bottom * row);
}
