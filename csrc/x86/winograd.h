/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of 3 x 3 taps with stride 1 by minimal filtering, F(4 x 4, 3 x 3): Winograd, "Arithmetic Complexity of
 * Computations", 1980; Lavin and Gray, CVPR 2016. A tile of 4 x 4 outputs costs 36 multiplications a pair of channels instead
 * of 144, of int16 instead of int8. All of it is exact integer arithmetic modulo 2^32, so that sums are those of the direct
 * kernels.
 *
 * In one dimension, with taps g[3] and codes d[6], the four sums y[i] = sum_j d[i + j] g[j] are
 *   D[i] y[i] = (A (B d . G g))[i]   with the product element by element, points 0, 1, -1, 2, -2 and infinity:
 *
 *       4  0 -5  0  1  0        6  0  0
 *       0 -4 -4  1  1  0       -1 -1 -1        1  4  4  1  1  0         24
 *   B = 0  4 -4 -1  1  0    G = -1  1 -1    A = 0  2 -2  1 -1  0     D = 12
 *       0 -2 -1  2  1  0        1  2  4        0  1  1  1  1  0          6
 *       0  2 -1 -2  1  0        1 -2  4        0  1 -1  2 -2  1          6
 *       0  4  0 -5  0  1        0  0  6
 *
 * (the textbook's G in 24ths, with its denominators and the common factors of A's rows moved to D), and in two dimensions the
 * same along rows and along columns: D[i] D[j] y[i][j], sums over channels being taken between B and A.
 *
 * Bounds.
 *   Transformed codes: a row of B has at most 10 in absolute values, codes at most 128: 10 * 10 * 128 = 12800 fits int16. What
 *   lies between may wrap: it is taken modulo 2^16.
 *   Transformed weights: a row of G has at most 7, weights at most 128: 7 * 7 * 128 = 6272 fits int16.
 *   A product of pairs: 2 * 12800 * 6272 < 2^28: what adds two of them in one instruction neither saturates nor wraps.
 *   Sums: D[i] D[j] y[i][j] is known modulo 2^32, and D[i] D[j] = 9 * 2^k with 2 <= k <= 6. Times the inverse of 9 it is
 *   2^k y[i][j] modulo 2^32, which shifted right arithmetically by k is y[i][j] if that lies in [-2^(31 - k), 2^(31 - k)), for
 *   all positions if |y[i][j]| < 2^25.
 * The y[i][j] here are a layer's sums with bias and, for the quick forms of lanes.h, the shift of at most 127.5 * 2^23 / 129 <
 * 2^23 that they have. So |bias[n]| + max|x - zero_x| * sum |w[n]| < 2^25 - 2^23 for every output n is what a layer must keep;
 * 115 channels do with any weights, if the bias allows, most layers with far more. Others are left to the direct kernels.
 *
 * A constant c is added to all y[i][j] by 36 c at the point (1, 1), where A has only ones times D[i] / 6: the bias costs
 * nothing.
 *
 * Codes are transformed along columns in rows of x as they lie (`lines`), for all columns of a row of tiles, then along rows
 * for a group of tiles, whose products with a block of outputs follow, column of points by column. Sums of a column are
 * transformed before they are stored. Padding is code zero_x like any other: its column transform is a constant, and rows of it
 * are read.
 */
#ifndef ENG_X86_WINOGRAD_H
#define ENG_X86_WINOGRAD_H

#include "eng/prepare.h"
#include "lanes.h"

#define ENG_X86_TILE    4                    /* outputs along each axis of a tile */
#define ENG_X86_TILES   4                    /* in a group */
#define ENG_X86_POINTS  6                    /* of each axis, and codes that a tile reads */
#define ENG_X86_CHUNK   16                   /* channels that are transformed together */
#define ENG_X86_EIGHT   8                    /* channels whose weights lie together: four pairs */
#define ENG_X86_INVERSE UINT32_C(0x38E38E39) /* of 9 modulo 2^32 */

/* Sizes of lines and tiles in int16, of images in codes. */
typedef struct {
    eng_x86_rounding rounding;
    eng_output_s8 y;
    eng_x86_clamp clamp;
    uint32_t out_h, out_w, out_c, blocks;
    uint32_t channels, chunks, eights;
    uint32_t x_h, top, left; /* rows of x, and padding in pixels */
    size_t x_row;
    int8_t zero_x;
    uint32_t tile_rows, tile_columns;
    uint32_t band;       /* rows of tiles whose lines are there at once: their tiles are a whole number of groups */
    size_t line;         /* from a line to the next; a row of tiles has ENG_X86_POINTS */
    size_t first, right; /* from the start of a line to x's first pixel, and int16 to write behind x's last */
    /* Byte offsets from the start of this struct. */
    size_t lane;  /* int32_t [blocks][ENG_X86_LANE][lanes] */
    size_t start; /* int32_t [blocks][lanes]: what the sums of point (1, 1) begin with */
    size_t w;     /* int16_t [blocks][point of columns][eights][point of rows][pairs of an eight][lanes][2] */
    size_t size;  /* bytes of the packed form */
    /* Byte offsets from the start of the scratch. */
    size_t lines;   /* int16_t [band][point of rows][line]; before them a row of padding */
    size_t tiles;   /* int16_t [point of columns][chunks][point of rows][tiles of a group][ENG_X86_CHUNK] */
    size_t sums;    /* int32_t [point of columns][ENG_X86_TILE][tiles of a group][lanes] */
    size_t scratch; /* bytes */
} eng_x86_winograd;

/* Sizes and offsets of a layer's packed form. False if the layer is no such convolution, is outside the bounds, has more than
 * two pixels of padding on a side or rows that are shorter than a vector, or so long that the scratch would be large. */
bool eng_x86_winograd_plan(const eng_x86_format *format, const eng_layer *l, eng_x86_winograd *p);

/* Whether it is faster than the direct kernel, by its shape. */
bool eng_x86_winograd_pays(const eng_x86_format *format, const eng_x86_winograd *p);

/* Writes the packed form of a layer that could be planned. */
void eng_x86_winograd_pack(const eng_x86_format *format, const eng_layer *l, void *packed);

/* The twins. */
void eng_avx2_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avxvnni_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);
void eng_avx512vnni_winograd(const eng_layer *l, const void *packed, uint8_t *arena, uint8_t *scratch);

#endif
