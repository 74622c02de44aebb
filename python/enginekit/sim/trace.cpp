// SPDX-License-Identifier: Apache-2.0
#include "trace.hpp"

#include <algorithm>
#include <utility>

namespace sim
{

void Trace::set_functions(const std::vector<Function> &functions, uint32_t flash_words)
{
    function_at_.assign(flash_words + 1, 0);
    starts_.assign(flash_words + 1, false);
    for (size_t i = 0; i < functions.size(); ++i) {
        const auto &f = functions[i];
        const uint32_t end = std::min<uint32_t>(flash_words, f.first + static_cast<uint32_t>(f.words));
        for (uint32_t word = f.first; word < end; ++word) {
            function_at_[word] = static_cast<uint16_t>(i + 1);
        }
        if (f.first < flash_words) {
            starts_[f.first] = true;
        }
    }
    accounts_.assign(functions.size() + 1, Account{});
    active_.assign(functions.size() + 1, 0);
    entered_.assign(functions.size() + 1, 0);
    watched_.assign(functions.size() + 1, false);
    frames_.clear();
    returned_.clear();
    current_ = 0;
}

void Trace::restart(uint16_t word, uint64_t now)
{
    while (!frames_.empty()) {
        end_top(now);
    }
    returned_.clear();
    enter(function_at_[word], 0xFFFF, now);
}

void Trace::clear(uint64_t now)
{
    std::fill(accounts_.begin(), accounts_.end(), Account{});
    std::fill(entered_.begin(), entered_.end(), now);
    since_ = now;
}

void Trace::switch_to(uint16_t function, uint64_t now)
{
    accounts_[current_].exclusive += now - since_;
    since_ = now;
    current_ = function;
}

void Trace::enter(uint16_t function, uint16_t return_sp, uint64_t now)
{
    switch_to(function, now);
    ++accounts_[function].calls;
    if (active_[function]++ == 0) {
        entered_[function] = now;
    }
    frames_.push_back({function, return_sp});
}

bool Trace::end_top(uint64_t now)
{
    const uint16_t function = frames_.back().function;
    frames_.pop_back();
    switch_to(frames_.empty() ? uint16_t{0} : frames_.back().function, now);
    if (--active_[function] == 0) {
        accounts_[function].inclusive += now - entered_[function];
    }
    if (watched_[function]) {
        returned_.push_back(function);
    }
    return watched_[function];
}

void Trace::jump(uint16_t target, uint64_t now)
{
    const uint16_t function = function_at_[target];
    if (!starts_[target] || function == current_) {
        return;
    }
    const uint16_t return_sp = frames_.back().return_sp;
    // Functions that jump to each other in a ring must not grow the stack without end.
    for (size_t i = frames_.size(); i-- > 0 && frames_[i].return_sp == return_sp;) {
        if (frames_[i].function == function) {
            frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(i));
            frames_.push_back({function, return_sp});
            switch_to(function, now);
            ++accounts_[function].calls;
            return;
        }
    }
    enter(function, return_sp, now);
}

bool Trace::leave(uint16_t sp, uint64_t now)
{
    bool watched = false;
    while (frames_.size() > 1 && frames_.back().return_sp <= sp) {
        watched |= end_top(now);
    }
    return watched;
}

void Trace::watch(size_t function, bool enabled)
{
    watched_.at(function) = enabled;
}

std::vector<size_t> Trace::take_returned()
{
    return std::exchange(returned_, {});
}

std::vector<Account> Trace::accounts(uint64_t now) const
{
    auto result = accounts_;
    result[current_].exclusive += now - since_;
    for (size_t i = 0; i < result.size(); ++i) {
        if (active_[i] != 0) {
            result[i].inclusive += now - entered_[i];
        }
    }
    return result;
}

std::vector<size_t> Trace::stack() const
{
    std::vector<size_t> result;
    for (const auto &frame : frames_) {
        result.push_back(frame.function);
    }
    return result;
}

} // namespace sim
