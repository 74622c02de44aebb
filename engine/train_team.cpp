// SPDX-License-Identifier: Apache-2.0
#include "train_team.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "workers.hpp"

namespace
{

// Scratch of this thread, kept for the next call.
float *scratch_of(size_t bytes)
{
    static thread_local std::vector<float> kept;
    const size_t count = bytes / sizeof(float) + 1;
    if (kept.size() < count) {
        kept.resize(count);
    }
    return kept.data();
}

// Run part(i) for i in [0, count), shared by the team.
template <typename Part> void share(const engine_team *team, size_t count, const Part &part)
{
    const size_t helpers = std::min(team->threads, count);
    if (helpers <= 1) {
        for (size_t i = 0; i < count; ++i) {
            part(i);
        }
        return;
    }
    const auto parts = [&part](size_t, size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) {
            part(i);
        }
    };
    engine::Workers::instance().share(count, 1, helpers, engine::Sleepers::WAKE, parts);
}

// Run part(first, size) for as many ranges of [0, count) as there are threads, cut at multiples of grain.
template <typename Part> void share_ranges(const engine_team *team, size_t count, size_t grain, const Part &part)
{
    const size_t grains = (count + grain - 1) / grain;
    const size_t ranges = std::min(team->threads, grains);
    share(team, ranges, [&](size_t i) {
        const size_t first = std::min(count, i * grains / ranges * grain);
        const size_t last = std::min(count, (i + 1) * grains / ranges * grain);
        part(first, last - first);
    });
}

// Say whether `work` got the memory that it needs.
template <typename Work> bool with_memory(const Work &work) noexcept
{
    try {
        work();
        return true;
    } catch (const std::bad_alloc &) {
        return false;
    }
}

// Gradients of a convolution: run(first sample, samples, dw, dbias) for each group of the batch, then the groups' sums in
// order.
template <typename Run>
void share_groups(const engine_team *team, size_t batch, size_t weights, size_t outputs, float *dw, float *dbias,
                  const Run &run)
{
    const size_t groups = (batch + ENG_GROUP_F32 - 1) / ENG_GROUP_F32;
    std::vector<float> sums(groups > 1 ? (groups - 1) * (weights + outputs) : 0, 0.0f);
    share(team, groups, [&](size_t i) {
        const size_t first = i * ENG_GROUP_F32;
        const size_t count = std::min<size_t>(ENG_GROUP_F32, batch - first);
        float *const own = i == 0 ? nullptr : sums.data() + (i - 1) * (weights + outputs);
        run(first, count, own ? own : dw, own ? own + weights : dbias);
    });
    // A sum of rows is a sum in order, in the team's arithmetic.
    for (size_t i = 1; i < groups; ++i) {
        const float *const own = sums.data() + (i - 1) * (weights + outputs);
        const eng_matrix_size w_size = {1, weights}, bias_size = {1, outputs};
        team->products->sum_rows(&w_size, own, dw);
        team->products->sum_rows(&bias_size, own + weights, dbias);
    }
}

size_t image_size(const eng_window &w, size_t channels)
{
    return size_t{w.in_h} * w.in_w * channels;
}

template <typename Params> size_t weights_of(const Params &p)
{
    return size_t{p.out_c} * p.window.kernel_h * p.window.kernel_w * p.in_c;
}

float *after(float *x, size_t count)
{
    return x == nullptr ? nullptr : x + count;
}

size_t pooled_size(const eng_conv2d_max_pool2d_f32_params &p)
{
    return size_t(p.window.out_h / p.pool_h) * size_t(p.window.out_w / p.pool_w) * p.out_c;
}

// Columns that a range of them is cut at: whole vectors.
constexpr size_t COLUMNS = 32;
// Rows that a range of samples is cut at: those of the largest tile.
constexpr size_t ROWS = 8;

} // namespace

bool engine_dense(const engine_team *team, const eng_dense_f32_params *p, const float *x, const float *w, const float *bias,
                  float *y)
{
    return with_memory([&] {
        share_ranges(team, p->batch, ROWS, [&](size_t first, size_t count) {
            // A batch of a few rows takes another way in the kernel, with the same bits.
            const eng_dense_f32_params part = {count, p->in, p->out};
            float *const scratch = scratch_of(eng_dense_f32_scratch(&part));
            team->products->dense(&part, x + first * p->in, w, bias, y + first * p->out, scratch);
        });
    });
}

bool engine_dense_backward(const engine_team *team, const eng_dense_f32_params *p, const float *x, const float *w,
                           const float *dy, float *dw, float *dbias, float *dx)
{
    return with_memory([&] {
        const eng_matrix_size dy_size = {p->batch, p->out};
        team->products->sum_rows(&dy_size, dy, dbias);
        share_ranges(team, p->in, COLUMNS, [&](size_t first, size_t count) {
            const eng_matmul_f32_params product = {p->out, count, p->batch, 1, p->out, p->in, p->in};
            team->products->matmul(&product, dy, x + first, dw + first);
        });
        if (dx == nullptr) {
            return;
        }
        // Few rows at a time: what was set to 0 is still near when the product adds to it.
        share_ranges(team, p->batch, ROWS, [&](size_t first, size_t count) {
            for (size_t end = first + count; first < end; first += ROWS) {
                const size_t rows = std::min(ROWS, end - first);
                const eng_matmul_f32_params product = {rows, p->in, p->out, p->out, 1, p->in, p->in};
                std::memset(dx + first * p->in, 0, rows * p->in * sizeof *dx);
                team->products->matmul(&product, dy + first * p->out, w, dx + first * p->in);
            }
        });
    });
}

bool engine_conv2d(const engine_team *team, const eng_conv2d_f32_params *p, const float *x, const float *w, const float *bias,
                   float *y)
{
    const size_t out = size_t{p->window.out_h} * p->window.out_w * p->out_c;
    return with_memory([&] {
        share_ranges(team, p->batch, 1, [&](size_t first, size_t count) {
            eng_conv2d_f32_params part = *p;
            part.batch = count;
            team->products->conv2d(&part, x + first * image_size(p->window, p->in_c), w, bias, y + first * out,
                                   scratch_of(eng_conv2d_f32_scratch(&part)));
        });
    });
}

bool engine_conv2d_backward(const engine_team *team, const eng_conv2d_f32_params *p, const float *x, const float *w,
                            const float *dy, float *dw, float *dbias, float *dx)
{
    const size_t in = image_size(p->window, p->in_c);
    const size_t out = size_t{p->window.out_h} * p->window.out_w * p->out_c;
    return with_memory([&] {
        share_groups(team, p->batch, weights_of(*p), p->out_c, dw, dbias,
                     [&](size_t first, size_t count, float *group_dw, float *group_dbias) {
                         eng_conv2d_f32_params part = *p;
                         part.batch = count;
                         team->products->conv2d_backward(&part, x + first * in, w, dy + first * out, group_dw, group_dbias,
                                                         after(dx, first * in),
                                                         scratch_of(eng_conv2d_f32_backward_scratch(&part)));
                     });
    });
}

bool engine_conv2d_max_pool2d(const engine_team *team, const eng_conv2d_max_pool2d_f32_params *p, const float *x,
                              const float *w, const float *bias, float *y, uint8_t *winner)
{
    const size_t in = image_size(p->window, p->in_c), out = pooled_size(*p);
    return with_memory([&] {
        share_ranges(team, p->batch, 1, [&](size_t first, size_t count) {
            eng_conv2d_max_pool2d_f32_params part = *p;
            part.batch = count;
            team->kernels->conv2d_max_pool2d(&part, x + first * in, w, bias, y + first * out, winner + first * out,
                                             scratch_of(eng_conv2d_max_pool2d_f32_scratch(&part)));
        });
    });
}

bool engine_conv2d_max_pool2d_backward(const engine_team *team, const eng_conv2d_max_pool2d_f32_params *p, const float *x,
                                       const float *w, const float *y, const uint8_t *winner, const float *dy, float *dw,
                                       float *dbias, float *dx)
{
    const size_t in = image_size(p->window, p->in_c), out = pooled_size(*p);
    return with_memory([&] {
        share_groups(team, p->batch, weights_of(*p), p->out_c, dw, dbias,
                     [&](size_t first, size_t count, float *group_dw, float *group_dbias) {
                         eng_conv2d_max_pool2d_f32_params part = *p;
                         part.batch = count;
                         const size_t at = first * out;
                         team->kernels->conv2d_max_pool2d_backward(
                             &part, x + first * in, w, y + at, winner + at, dy + at, group_dw, group_dbias,
                             after(dx, first * in), scratch_of(eng_conv2d_max_pool2d_f32_backward_scratch(&part)));
                     });
    });
}

bool engine_gather(const engine_team *team, size_t count, size_t size, const uint32_t *index, const float *x, float *y)
{
    return with_memory([&] {
        share_ranges(team, count, 1, [&](size_t first, size_t rows) {
            for (size_t i = first; i < first + rows; ++i) {
                std::memcpy(y + i * size, x + size_t{index[i]} * size, size * sizeof *y);
            }
        });
    });
}
