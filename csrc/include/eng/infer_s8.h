/* SPDX-License-Identifier: Apache-2.0 */
/* int8 inference kernels. Layouts: activations HWC, conv weights [out][kernel_h][kernel_w][in], dense weights [out][in],
 * row-major. Kernels are total over the domain that eng_model_check establishes, need no scratch unless a function
 * eng_<op>_scratch says so, and keep no state.
 * Weights, biases, rescale records and tables may lie in flash: kernels read them through eng/flash.h only. The params
 * structs themselves are read plainly. */
#ifndef ENG_INFER_S8_H
#define ENG_INFER_S8_H

#include "eng/quant.h"
#include "eng/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rescale_step: 0 = one rescale record for all outputs, 1 = one a output channel. */
typedef struct {
    uint16_t in, out;
    uint8_t rescale_step;
    eng_output_s8 y;
    const eng_rescale *rescale;
} eng_dense_s8_params;

/* Dense layer, int8:  y[n] = requant_single(bias[n] + sum_k w[n][k] * x[k])
 *   x    [in]       codes. The input zero point is already inside bias: bias -= zero_x * sum_k w.
 *   w    [out][in]  codes, symmetric, one row per output.
 *   bias [out]      int32 in units scale_x * scale_w.
 *   y    [out]      codes; must not overlap x.
 * Bound, proven per output from the actual weights: |bias[n]| + 128 * sum_k |w[n][k]| < 2^31.
 * Cost: in*out multiply-adds, out requantizations. */
void eng_dense_s8(const eng_dense_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* ratio_step: 0 = one ratio for all outputs, 1 = one an output. */
typedef struct {
    uint32_t rows;
    uint16_t in, out;
    uint8_t ratio_step;
    eng_output_s8 y;
    const eng_ratio *ratio;
} eng_dense_wide_s8_params;

/* Dense layer over `rows` vectors, with ratios in full: for several vectors, and for ratios that no eng_rescale represents
 * exactly.  y[r][n] = requant_wide(bias[n] + sum_k w[n][k] * x[r][k])
 *   x    [rows][in]   codes; bias and w as in eng_dense_s8.
 *   y    [rows][out]  codes; must not overlap x.
 * Bound as in eng_dense_s8. Cost: rows*in*out multiply-adds, rows*out requantizations of 84-bit products. */
void eng_dense_wide_s8(const eng_dense_wide_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* sum_k x[k] * w[k], k < n; no partial sum may leave int32. w may lie in flash. */
int32_t eng_dot_s8(const int8_t *x, const int8_t *w, uint16_t n);

typedef struct {
    eng_window window;
    uint16_t in_c, out_c;
    int8_t zero_x; /* 0 when the zero point has been folded into bias (only right without padding) */
    uint8_t rescale_step;
    eng_output_s8 y;
    const eng_rescale *rescale;
} eng_conv2d_s8_params;

/* 2-D convolution, int8:  y[r][q][n] = requant_double(bias[n] + sum_{i,j,c} w[n][i][j][c] * (x[..][..][c] - zero_x))
 * over the taps inside the image: padding holds zero_x and adds nothing.
 *   x    [in_h][in_w][in_c]                 codes
 *   w    [out_c][kernel_h][kernel_w][in_c]  codes, symmetric
 *   bias [out_c]                            int32 in units scale_x * scale_w
 *   y    [out_h][out_w][out_c]              codes; must not overlap x
 * Bound, proven per output channel: |bias[n]| + max|x - zero_x| * sum |w[n]| < 2^31. kernel_h*kernel_w*in_c <= 65535.
 * Cost: out_h*out_w*out_c*kernel_h*kernel_w*in_c multiply-adds, out_h*out_w*out_c requantizations. */
void eng_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* Depthwise convolution, int8: each input channel has its own out_c / in_c outputs, which must be a whole number.
 *   y[r][q][n] = requant_double(bias[n] + sum_{i,j} w[i][j][n] * (x[..][..][n / (out_c / in_c)] - zero_x))
 * over the taps inside the image.
 *   x    [in_h][in_w][in_c]             codes
 *   w    [kernel_h][kernel_w][out_c]    codes, symmetric; unlike eng_conv2d_s8, channels are innermost
 *   bias [out_c]                        int32 in units scale_x * scale_w
 *   y    [out_h][out_w][out_c]          codes; must not overlap x
 * Bound, proven per output channel: |bias[n]| + max|x - zero_x| * sum |w[..][..][n]| < 2^31. kernel_h*kernel_w <= 65535.
 * Cost: out_h*out_w*out_c*kernel_h*kernel_w multiply-adds, out_h*out_w*out_c requantizations. */
void eng_depthwise_conv2d_s8(const eng_conv2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* Where the taps of one output position lie: `rows` rows of `runs` runs of `run` codes that are neighbours in x and in w.
 * `taps` codes in all. Undilated taps of a row are one run; dilated ones are a run of in_c each. Steps and w_first in elements.
 */
typedef struct {
    const int8_t *x;  /* first tap inside the image */
    uint16_t w_first; /* its place among a channel's weights */
    uint16_t rows, runs, run, taps;
    uint16_t w_row, w_run;
    size_t x_row, x_run;
} eng_conv2d_patch;

/* The patch of output position (row, column) of the image x. */
eng_conv2d_patch eng_conv2d_patch_at(const eng_conv2d_s8_params *p, const int8_t *x, const eng_span *rows,
                                     const eng_span *columns);

/* One accumulator: bias + sum w * (x - zero_x) over a patch, w the weights of one output channel. */
int32_t eng_conv2d_patch_sum(const eng_conv2d_patch *patch, int8_t zero_x, const int8_t *w, int32_t bias);

typedef struct {
    eng_window window;
    uint16_t channels;
    int8_t lo, hi; /* range of the fused activation */
} eng_pool2d_s8_params;

/* Max pool:  y[r][q][c] = clamp(max of the taps inside the image, lo, hi).  y must not overlap x. */
void eng_max_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y);

/* Average pool:  y[r][q][c] = clamp(sum / count of the taps inside the image, rounded half away from zero, lo, hi).
 * |sum| <= 128 * count < 2^31: kernel_h * kernel_w < 2^24 is part of the domain.  y must not overlap x. */
void eng_average_pool2d_s8(const eng_pool2d_s8_params *p, const int8_t *x, int8_t *y);

/* Neighbouring positions in a row of a pool's outputs whose windows have the same taps inside the image. Steps in codes.
 * Averages, with count = rows * columns: half = count / 2; below = 128 * count + half if count is even, else 0;
 * mult = ceil(2^24 / count) if 2 <= count <= 255, else 0. Maxima do not read these. On AVR count < 2^15. */
typedef struct {
    const int8_t *x;              /* first tap of the first window */
    size_t row, column, position; /* from a row of taps to the next, from tap to tap, from window to window */
    uint16_t rows, columns;       /* taps of a window inside the image */
    uint16_t channels, positions;
    int8_t lo, hi;
    uint32_t count, half, below, mult;
} eng_pool_run;

/* y [positions][channels] = clamp(max of the taps, lo, hi).
 * Cost (AVRxt): 83 a call, 26 a position, 16 a row of taps, 19 each two taps of it; an output 14 and each two taps more 16; 9
 * more if hi < 127. Stack (AVR): 20 bytes. */
void eng_max_pool_run_s8(const eng_pool_run *run, int8_t *y);

/* y [positions][channels] = clamp(sum / count, rounded half away from zero, lo, hi).
 * With s = sum + 128 * count + half, less one if that is below `below` (count is even, the sum negative: ties go down), the
 * mean is floor(s / count) - 128, and s < 256 * count. For count <= 255 the floor is s * mult / 2^24: mult = (2^24 + e) / count
 * with e < count, so that s * mult / 2^24 exceeds s / count by s * e / (2^24 * count) < 256 * count / 2^24 < 1 / count.
 * Cost (AVRxt): 113 a call, 24 a position; an output 51, a row of taps 7, each two taps of it 20; 22 more if count is no power
 * of two, 93 if it has no mult. Stack (AVR): 20 bytes. */
void eng_average_pool_run_s8(const eng_pool_run *run, int8_t *y);

/* Taps of a pool whose convolutions share one pass over the weights. */
#define ENG_POOL_PATCHES 4

typedef struct {
    eng_conv2d_s8_params conv; /* conv.y: the clamps of convolution and pool composed */
    eng_window pool;           /* over the convolution's output: pool.in_h = conv.window.out_h, and so on */
} eng_conv2d_max_pool2d_s8_params;

/* Convolution and max pool in one: y = max_pool2d(conv2d(x)) without the full map in memory.
 * Exact because requantization is monotone: the maximum is taken over accumulators and requantized once. So the bound
 * |acc| * 2^left < 2^31 must hold beside that of eng_conv2d_s8.
 *   y [pool.out_h][pool.out_w][out_c]; must not overlap x.
 * Cost: as eng_conv2d_s8 on the pooled positions (positions in overlapping windows are computed again), a requantization
 * per pooled output and ENG_POOL_PATCHES taps. */
void eng_conv2d_max_pool2d_s8(const eng_conv2d_max_pool2d_s8_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                              int8_t *y);

typedef struct {
    uint32_t count;
    int8_t zero_x;
    eng_rescale rescale;
    eng_output_s8 y;
} eng_requantize_s8_params;

/* y[i] = requant_double(x[i] - zero_x): int8 to int8 with another scale (QUANTIZE), and stand-alone ReLU, ReLU6, whose
 * limits are in y.lo and y.hi. May work in place (x == y). */
void eng_requantize_s8(const eng_requantize_s8_params *p, const int8_t *x, int8_t *y);

/* The same with uint8 codes on one side. The uint8 code u counts as the int8 code u - 128: the zero point zero_x of the first,
 * and zero point and limits y of the second, are given less 128. May work in place (x == y). */
void eng_requantize_u8_s8(const eng_requantize_s8_params *p, const uint8_t *x, int8_t *y);
void eng_requantize_s8_u8(const eng_requantize_s8_params *p, const int8_t *x, uint8_t *y);

/* table[d] = exp(-scale * beta * d) in Q0.31 as the reference's fixed-point polynomial gives it (engine/rescale.py makes
 * it), 0 <= d < table_size <= 256, table[0] = 2^31 - 1; larger differences count as exp = 0. May lie in flash. */
typedef struct {
    uint32_t rows;
    uint16_t size; /* of one row, 1 ... 4095, so that a row's sum of exponentials stays below 4096 = 2^31 / 2^19 */
    uint16_t table_size;
    const int32_t *table;
} eng_softmax_s8_params;

/* Softmax, int8, integers only; y has scale 1/256 and zero point -128. For each row with maximum m, e[i] = table[m - x[i]]:
 *   sum  = sum of rdiv(e[i], 12)                      Q12.19
 *   y[i] = min(rdiv(hi(e[i], reciprocal(sum)), k) - 128, 127)
 * where reciprocal(sum) and k give 256 / sum by three Newton steps in fixed point; hi and rdiv as in eng/quant.h.
 *   x    [rows][size]  codes; only differences matter, so the zero point does not
 *   y    [rows][size]  codes; may be x
 * The reference aborts where a row's exponentials sum to 512 or more; here such a row gives -128 for 1/512 and less.
 * Cost: size table look-ups and multiplications of 32 x 32 bits a row, and eight more for the reciprocal. */
void eng_softmax_s8(const eng_softmax_s8_params *p, const int8_t *x, int8_t *y);

typedef struct {
    uint32_t rows;
    uint16_t size; /* of one row, 1 ... 65535 */
} eng_argmax_s8_params;

/* y[r] = index of the first largest of x[r][0 ... size-1], int32.  y must not overlap x. */
void eng_argmax_s8(const eng_argmax_s8_params *p, const int8_t *x, int32_t *y);

typedef struct {
    uint32_t count;
    float scale; /* > 0, finite */
    int8_t zero;
} eng_quantize_params;

/* y[i] = clamp(round(x[i] / scale) + zero, -128, 127), ties away from zero; NaN gives zero. y must not overlap x. */
void eng_quantize_f32_s8(const eng_quantize_params *p, const float *x, int8_t *y);

/* y[i] = scale * (x[i] - zero), in float. y must not overlap x. */
void eng_dequantize_s8_f32(const eng_quantize_params *p, const int8_t *x, float *y);

/* The same between float and uint8, zero less 128. */
void eng_quantize_f32_u8(const eng_quantize_params *p, const float *x, uint8_t *y);
void eng_dequantize_u8_f32(const eng_quantize_params *p, const uint8_t *x, float *y);

#ifdef __cplusplus
}
#endif

#endif
