// SPDX-License-Identifier: Apache-2.0
// Arenas that no call is using; as many exist as calls and their threads ran at once.
#ifndef ENGINE_ARENAS_HPP
#define ENGINE_ARENAS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace engine
{

struct ArenaDelete {
    void operator()(uint8_t *p) const
    {
        ::operator delete[](p, std::align_val_t{64});
    }
};
using Arena = std::unique_ptr<uint8_t[], ArenaDelete>;

// Taken and given back under the interpreter lock, which guards it.
class ArenaPool
{
  public:
    explicit ArenaPool(size_t size) : size_(size)
    {
    }

    Arena take()
    {
        if (!free_.empty()) {
            Arena arena = std::move(free_.back());
            free_.pop_back();
            return arena;
        }
        Arena arena(new (std::align_val_t{64}) uint8_t[size_ + 1]);
        std::memset(arena.get(), 0, size_ + 1);
        return arena;
    }

    // Before the first is taken.
    void resize(size_t size)
    {
        size_ = size;
    }

    void give(Arena arena)
    {
        free_.push_back(std::move(arena));
    }

  private:
    size_t size_;
    std::vector<Arena> free_;
};

// An arena for the length of a scope that begins and ends under the interpreter lock.
class Lent
{
  public:
    explicit Lent(ArenaPool &pool) : pool_(&pool), arena_(pool.take())
    {
    }

    Lent(Lent &&) noexcept = default;
    Lent(const Lent &) = delete;
    Lent &operator=(const Lent &) = delete;
    Lent &operator=(Lent &&) = delete;

    ~Lent()
    {
        if (arena_) {
            pool_->give(std::move(arena_));
        }
    }

    uint8_t *get() const
    {
        return arena_.get();
    }

  private:
    ArenaPool *pool_;
    Arena arena_;
};

} // namespace engine

#endif
