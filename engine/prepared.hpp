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

class PreparedLayers
{
  public:
    // layers must have passed eng_model_check; they and all that they point to must stay where they are.
    // arena: bytes that the layers use; scratch lies behind.
    void prepare(eng_isa isa, const std::vector<eng_layer> &layers, size_t arena)
    {
        scratch_ = (arena + ENG_PREPARE_ALIGNMENT) / ENG_PREPARE_ALIGNMENT * ENG_PREPARE_ALIGNMENT;
        size_t left = MOST_PACKED;
        for (const eng_layer &layer : layers) {
            const eng_isa chosen = eng_prepare(isa, &layer).packed_size <= left ? isa : ENG_ISA_PORTABLE;
            const eng_prepared prepared = eng_prepare(chosen, &layer);
            left -= prepared.packed_size;
            AlignedBytes packed = aligned_bytes(prepared.packed_size);
            eng_prepare_pack(chosen, &layer, packed.get());
            steps_.push_back({prepared.run, &layer, packed.get()});
            packed_.push_back(std::move(packed));
            scratch_size_ = std::max(scratch_size_, prepared.scratch_size);
        }
    }

    // Bytes of an arena with its scratch, aligned as ENG_PREPARE_ALIGNMENT says.
    size_t memory() const
    {
        return scratch_ + scratch_size_;
    }

    void run(size_t i, uint8_t *arena) const
    {
        steps_[i].run(steps_[i].layer, steps_[i].packed, arena, arena + scratch_);
    }

    void run(uint8_t *arena) const
    {
        for (const Step &step : steps_) {
            step.run(step.layer, step.packed, arena, arena + scratch_);
        }
    }

  private:
    struct Step {
        eng_prepared_run run;
        const eng_layer *layer;
        const uint8_t *packed;
    };

    std::vector<Step> steps_;
    std::vector<AlignedBytes> packed_;
    size_t scratch_ = 0, scratch_size_ = 0;
};

} // namespace engine

#endif
