/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "eng/encodings_depthwise.h"

/* One row of x from its run table on; returns where the plane's next row begins. */
static int8_t *copy_row(const eng_plane *p, const int8_t *x, int8_t *plane)
{
    for (uint8_t i = 0; i < p->runs; ++i) {
        const eng_plane_run *run = p->run + i;
        const int8_t *from = x + run->first;
        memset(plane, p->padding, run->left);
        plane += run->left;
        for (uint8_t n = run->inside; n != 0; --n) {
            *plane++ = *from;
            from += n == 1 ? 0 : p->step;
        }
        memset(plane, p->padding, run->right);
        plane += run->right;
    }
    return plane;
}

void eng_plane_s8(const eng_plane *p, const int8_t *x, int16_t row, uint8_t rows, int8_t *plane)
{
    for (uint8_t n = 0; n < rows; ++n) {
        const int16_t at = (int16_t)(row + n);
        if (at >= 0 && at < p->in_h) {
            plane = copy_row(p, x + (size_t)at * p->row, plane);
        } else {
            memset(plane, p->padding, p->pitch);
            plane += p->pitch;
        }
    }
}
