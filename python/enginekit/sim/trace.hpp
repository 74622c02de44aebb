// SPDX-License-Identifier: Apache-2.0
// Who runs: a shadow call stack that attributes every cycle to a function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sim
{

struct Function {
    std::string name;
    uint16_t first; // word address
    uint16_t words;
};

struct Account {
    uint64_t calls = 0;
    uint64_t exclusive = 0; // cycles in the function itself
    uint64_t inclusive = 0; // cycles from entry to return, recursion counted once
};

// A frame ends when a return raises SP to the value that it had before the call. A jump to the start of another function
// (tail call) opens a frame that ends together with the one below it. Index 0 stands for code without a symbol.
class Trace
{
  public:
    void set_functions(const std::vector<Function> &functions, uint32_t flash_words);
    void restart(uint16_t word, uint64_t now); // empties the stack and starts in the function at `word`
    void clear(uint64_t now);                  // zeroes the accounts, keeps the stack

    void call(uint16_t target, uint16_t return_sp, uint64_t now)
    {
        enter(function_at_[target], return_sp, now);
    }
    void jump(uint16_t target, uint64_t now); // a jump that may be a tail call
    bool leave(uint16_t sp, uint64_t now);    // after a return; true when a watched function ended

    bool starts_function(uint16_t word) const
    {
        return starts_[word];
    }
    void watch(size_t function, bool enabled);
    std::vector<size_t> take_returned(); // watched functions that ended since the last call, innermost first
    size_t function_at(uint16_t word) const
    {
        return function_at_[word];
    }
    std::vector<Account> accounts(uint64_t now) const;
    std::vector<size_t> stack() const; // functions, outermost first

  private:
    struct Frame {
        uint16_t function;
        uint16_t return_sp;
    };
    void enter(uint16_t function, uint16_t return_sp, uint64_t now);
    void switch_to(uint16_t function, uint64_t now);
    bool end_top(uint64_t now);

    std::vector<uint16_t> function_at_;
    std::vector<bool> starts_;
    std::vector<Account> accounts_;
    std::vector<uint32_t> active_;
    std::vector<uint64_t> entered_;
    std::vector<bool> watched_;
    std::vector<Frame> frames_;
    std::vector<size_t> returned_;
    uint16_t current_ = 0;
    uint64_t since_ = 0;
};

} // namespace sim
