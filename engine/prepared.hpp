// SPDX-License-Identifier: Apache-2.0
// Layers made ready for the instruction set in use: packed weights, and the scratch that they need beside the arena.
#ifndef ENGINE_PREPARED_HPP
#define ENGINE_PREPARED_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "eng/prepare.h"

namespace engine
{

struct AlignedDelete {
    void operator()(uint8_t *p) const
    {
        ::operator delete[](p, std::align_val_t{ENG_PREPARE_ALIGNMENT});
    }
};
using AlignedBytes = std::unique_ptr<uint8_t[], AlignedDelete>;

inline AlignedBytes aligned_bytes(size_t size)
{
    return AlignedBytes(new (std::align_val_t{ENG_PREPARE_ALIGNMENT}) uint8_t[size]);
}

// The best that the processor has, or what the environment variable ENGINE_ISA names.
inline eng_isa isa_in_use()
{
    const char *const wanted = std::getenv("ENGINE_ISA");
    std::string available;
    eng_isa best = ENG_ISA_PORTABLE;
    for (int i = 0; i < ENG_ISA_COUNT; ++i) {
        const auto isa = static_cast<eng_isa>(i);
        if (!eng_isa_available(isa)) {
            continue;
        }
        if (wanted != nullptr && std::strcmp(wanted, eng_isa_name(isa)) == 0) {
            return isa;
        }
        available += (available.empty() ? "" : ", ") + std::string(eng_isa_name(isa));
        best = isa;
    }
    if (wanted != nullptr && *wanted != '\0') {
        throw std::invalid_argument("ENGINE_ISA is " + std::string(wanted) + ", but this processor has " + available +
                                    "; set one of these, or unset it for the best");
    }
    return best;
}

// Packed weights of a model, in bytes; layers beyond run portably. Models share weights between layers, packed ones not.
constexpr size_t MOST_PACKED = size_t{1} << 30;

// Where the first layer finds its samples, x_step bytes apart, and the last one leaves its own; null: in their arenas.
struct Ends {
    const uint8_t *x = nullptr;
    uint8_t *y = nullptr;
    size_t x_step = 0, y_step = 0;

    Ends from(size_t n) const
    {
        return {x == nullptr ? nullptr : x + n * x_step, y == nullptr ? nullptr : y + n * y_step, x_step, y_step};
    }
};

class PreparedLayers
{
  public:
    // layers must have passed eng_model_check; they and all that they point to must stay where they are.
    // arena: bytes that the layers use for a sample.
    void prepare(eng_isa isa, const std::vector<eng_layer> &layers, size_t arena)
    {
        size_t left = MOST_PACKED, shared = 0;
        stride_ = (arena + ENG_PREPARE_ALIGNMENT) / ENG_PREPARE_ALIGNMENT * ENG_PREPARE_ALIGNMENT;
        for (const eng_layer &layer : layers) {
            const eng_isa chosen = eng_prepare(isa, &layer).packed_size <= left ? isa : ENG_ISA_PORTABLE;
            const eng_prepared prepared = eng_prepare(chosen, &layer);
            left -= prepared.packed_size;
            AlignedBytes packed = aligned_bytes(prepared.packed_size);
            eng_prepare_pack(chosen, &layer, packed.get());
            steps_.push_back({prepared.run, prepared.batch, &layer, packed.get()});
            packed_.push_back(std::move(packed));
            scratch_size_ = std::max(scratch_size_, prepared.scratch_size);
            shared += prepared.batch == nullptr ? 0 : prepared.packed_size;
        }
        // Passing weights once for many samples saves `shared` a sample; their arenas must stay in the nearer caches for it.
        if (shared > stride_) {
            samples_ = std::max(std::clamp<size_t>(GROUP_BYTES / stride_, 1, FEW), most_near(stride_));
        }
    }

    // Bytes of the arenas of a group of samples with their scratch, aligned as ENG_PREPARE_ALIGNMENT says.
    size_t memory() const
    {
        return samples_ * stride_ + scratch_size_;
    }

    // How many samples run at once, at most, and bytes between their arenas.
    size_t samples() const
    {
        return samples_;
    }

    size_t stride() const
    {
        return stride_;
    }

    void run(size_t i, uint8_t *arena) const
    {
        steps_[i].run(steps_[i].layer, steps_[i].packed, arena, scratch(arena));
    }

    // Whether layer i may find its samples, or leave them, elsewhere than in their arenas.
    bool may_end(size_t i) const
    {
        return steps_[i].batch != nullptr;
    }

    // The first `samples` of a group, layer by layer.
    void run(uint8_t *arena, size_t samples, const Ends &ends) const
    {
        for (const Step &step : steps_) {
            if (step.batch != nullptr) {
                const eng_samples all = samples_of(step, arena, samples, ends);
                step.batch(step.layer, step.packed, &all, scratch(arena));
                continue;
            }
            for (size_t n = 0; n < samples; ++n) {
                step.run(step.layer, step.packed, arena + n * stride_, scratch(arena));
            }
        }
    }

  private:
    static constexpr size_t GROUP_BYTES = 128 * 1024, NEAR_BYTES = 64 * 1024, FEW = 16;

    // Whole sixteens: groups of points in a pass divide them best.
    static size_t most_near(size_t stride)
    {
        return std::min<size_t>(NEAR_BYTES / stride, ENG_PREPARE_SAMPLES) / FEW * FEW;
    }

    struct Step {
        eng_prepared_run run;
        eng_prepared_batch batch;
        const eng_layer *layer;
        const uint8_t *packed;
    };

    eng_samples samples_of(const Step &step, uint8_t *arena, size_t samples, const Ends &ends) const
    {
        eng_samples all = {arena + step.layer->x, arena + step.layer->y, stride_, stride_, static_cast<uint32_t>(samples)};
        if (&step == &steps_.front() && ends.x != nullptr) {
            all.x = ends.x;
            all.x_step = ends.x_step;
        }
        if (&step == &steps_.back() && ends.y != nullptr) {
            all.y = ends.y;
            all.y_step = ends.y_step;
        }
        return all;
    }

    uint8_t *scratch(uint8_t *arena) const
    {
        return arena + samples_ * stride_;
    }

    std::vector<Step> steps_;
    std::vector<AlignedBytes> packed_;
    size_t stride_ = 0, samples_ = 1, scratch_size_ = 0;
};

} // namespace engine

#endif
