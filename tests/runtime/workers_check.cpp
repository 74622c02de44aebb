// SPDX-License-Identifier: Apache-2.0
// Checks of engine/workers.hpp, compiled and run by test_workers.py: every sample is computed once, by whom it may be,
// whatever the system does with the threads. Prints the line of the first check that fails.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <set>
#include <stdexcept>
#include <string>

#include "workers.hpp"

using engine::Sleepers;
using engine::Workers;

#define CHECK(condition) check((condition), __LINE__)

static void check(bool holds, int line)
{
    if (!holds) {
        std::printf("line %d\n", line);
        std::exit(1);
    }
}

static void fall_asleep()
{
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

// Share `count` samples and check that each was computed once, in whole grains but for the last ones.
static void share(size_t count, size_t grain, size_t helpers, Sleepers sleepers)
{
    std::vector<std::atomic<int>> done(count);
    std::vector<std::atomic<int>> inside(helpers);
    Workers::instance().share(count, grain, helpers, sleepers, [&](size_t helper, size_t first, size_t last) {
        CHECK(helper < helpers && first < last && last <= count);
        CHECK(first % grain == 0 && (last % grain == 0 || last == count));
        CHECK(inside[helper]++ == 0); // a number, and so an arena, is one thread's
        for (size_t i = first; i < last; ++i) {
            ++done[i];
        }
        --inside[helper];
    });
    for (const auto &times : done) {
        CHECK(times == 1);
    }
}

static void sizes()
{
    for (const size_t count : std::initializer_list<size_t>{1, 2, 3, 16, 17, 255, 256, 1000}) {
        for (const size_t grain : std::initializer_list<size_t>{1, 2, 16, 300}) {
            for (const size_t helpers : std::initializer_list<size_t>{2, 3, 7}) {
                share(count, grain, helpers, Sleepers::WAKE);
                share(count, grain, helpers, Sleepers::WAKE_FOR_LONG);
            }
        }
    }
}

static void sleepers()
{
    for (int i = 0; i < 30; ++i) {
        fall_asleep();
        share(100, 4, 3, i % 2 == 0 ? Sleepers::WAKE : Sleepers::WAKE_FOR_LONG);
    }
}

// Work until two threads are at it: each waits for the other, so that the job ends only if a sleeping thread was woken.
static void company(Sleepers sleepers)
{
    std::mutex mutex;
    std::condition_variable arrived;
    std::set<size_t> present;
    Workers::instance().share(64, 1, 2, sleepers, [&](size_t helper, size_t first, size_t) {
        if (first == 0 && sleepers == Sleepers::WAKE_FOR_LONG) {
            fall_asleep(); // the caller's first grain: a long job
            return;
        }
        std::unique_lock<std::mutex> lock(mutex);
        present.insert(helper);
        arrived.notify_all();
        arrived.wait(lock, [&] { return present.size() == 2; });
    });
}

static void waking()
{
    for (int i = 0; i < 10; ++i) {
        company(Sleepers::WAKE);
        fall_asleep();
        company(Sleepers::WAKE_FOR_LONG);
        fall_asleep();
    }
}

static void exceptions()
{
    for (int i = 0; i < 200; ++i) {
        std::atomic<int> parts{0};
        std::string text;
        try {
            Workers::instance().share(100, 1, 3, i % 2 == 0 ? Sleepers::WAKE : Sleepers::WAKE_FOR_LONG,
                                      [&](size_t, size_t first, size_t last) {
                                          ++parts;
                                          if (first <= 50 && last > 50) {
                                              throw std::runtime_error("sample 50");
                                          }
                                      });
        } catch (const std::runtime_error &error) {
            text = error.what();
        }
        CHECK(text == "sample 50" && parts <= 100);
        share(20, 1, 3, Sleepers::WAKE);
    }
}

static void callers_at_once()
{
    std::vector<std::thread> callers;
    for (size_t c = 0; c < 5; ++c) {
        callers.emplace_back([c] {
            for (size_t i = 0; i < 300; ++i) {
                share(1 + (7 * i + c) % 90, 1 + i % 5, 2 + (c + i) % 3,
                      (c + i) % 2 == 0 ? Sleepers::WAKE : Sleepers::WAKE_FOR_LONG);
                if (i % 50 == c) {
                    fall_asleep();
                }
            }
        });
    }
    for (auto &caller : callers) {
        caller.join();
    }
}

// A part may share work of its own.
static void nested()
{
    for (int i = 0; i < 20; ++i) {
        Workers::instance().share(6, 1, 3, Sleepers::WAKE, [](size_t, size_t, size_t) { share(40, 1, 3, Sleepers::WAKE); });
    }
}

#ifdef __linux__
static cpu_set_t allowed_here()
{
    cpu_set_t cpus;
    CHECK(pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus) == 0);
    return cpus;
}

// Threads that are kept off the caller's CPU while they wake up may use all of the process's again when they work.
static void affinity()
{
    const cpu_set_t all = allowed_here();
    for (int i = 0; i < 40; ++i) {
        fall_asleep();
        Workers::instance().share(200, 1, 3, Sleepers::WAKE, [&](size_t, size_t, size_t) {
            const cpu_set_t here = allowed_here();
            CHECK(CPU_EQUAL(&here, &all) != 0);
        });
    }
}

// A process that has one CPU only.
static void one_cpu()
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0);
    std::thread([] {
        sizes();
        sleepers();
        waking();
        affinity();
    }).join();
}
#endif

int main(int argc, char **argv)
{
    if (argc > 1 && std::string(argv[1]) == "one CPU") {
#ifdef __linux__
        one_cpu();
#endif
        return 0;
    }
    sizes();
    sleepers();
    waking();
    exceptions();
    callers_at_once();
    nested();
#ifdef __linux__
    affinity();
#endif
    return 0;
}
