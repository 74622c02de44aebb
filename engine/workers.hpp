// SPDX-License-Identifier: Apache-2.0
// Threads of the process that share the samples of large batches. Nothing runs until a batch first asks for them.
#ifndef ENGINE_WORKERS_HPP
#define ENGINE_WORKERS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif

namespace engine
{

// Look for a moment whether `done`, before a thread goes to sleep: batches often follow one another, and waking up takes
// longer than many of them. Some 30 to 100 microseconds. Says whether it is.
template <typename Done> bool look(const Done &done)
{
    for (int looks = 0; looks < 2000; ++looks) {
        if (done()) {
            return true;
        }
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    return done();
}

// One batch: whoever has time claims the next few samples, fewer towards the end, so that a thread that the system holds
// back delays nobody else by more than it has claimed. Which thread computes a sample changes no bit of it.
class Job
{
  public:
    // `part(helper, first, last)` computes samples [first, last); helper 0 is the caller, others are below `helpers`.
    using Part = std::function<void(size_t helper, size_t first, size_t last)>;

    // Claims are multiples of `grain` samples but for the last one.
    Job(size_t count, size_t grain, size_t helpers, Part part)
        : count_(count), grain_(grain), helpers_(helpers), part_(std::move(part))
    {
    }

    // Work until nothing is left to claim. A part that throws ends the job; the first exception is kept.
    void help(size_t helper) noexcept
    {
        for (size_t first, last; claim(2 * helpers_, first, last);) {
            work(helper, first, last);
        }
    }

    // Work on one grain as the caller, and say how many times as much is left.
    double begin() noexcept
    {
        size_t first, last;
        if (!claim(count_, first, last)) {
            return 0.0;
        }
        work(0, first, last);
        const size_t next = next_.load(std::memory_order_relaxed);
        return next < count_ ? static_cast<double>(count_ - next) / static_cast<double>(last - first) : 0.0;
    }

    // When nobody helps any more.
    void rethrow() const
    {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

  private:
    // One of `shares` equal shares of what is left, at least a grain.
    bool claim(size_t shares, size_t &first, size_t &last) noexcept
    {
        first = next_.load(std::memory_order_relaxed);
        do {
            if (first >= count_) {
                return false;
            }
            const size_t grains = std::max<size_t>(1, (count_ - first) / (shares * grain_));
            last = std::min(count_, first + grains * grain_);
        } while (!next_.compare_exchange_weak(first, last, std::memory_order_relaxed));
        return true;
    }

    void work(size_t helper, size_t first, size_t last) noexcept
    {
        try {
            part_(helper, first, last);
        } catch (...) {
            next_.store(count_, std::memory_order_relaxed);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!failure_) {
                failure_ = std::current_exception();
            }
        }
    }

    const size_t count_, grain_, helpers_;
    const Part part_;
    std::atomic<size_t> next_{0};
    std::mutex mutex_;
    std::exception_ptr failure_;
};

// CPUs that threads may use, and where they are. Systems other than Linux place threads as they like.
#ifdef __linux__
using Cpus = cpu_set_t;

inline int current_cpu()
{
    return sched_getcpu();
}

// Keep a sleeping thread off a CPU; says whether that worked. `before`: where it was allowed to be.
inline bool keep_off(pthread_t thread, int cpu, Cpus &before)
{
    if (pthread_getaffinity_np(thread, sizeof before, &before) != 0) {
        return false;
    }
    Cpus others = before;
    CPU_CLR(static_cast<size_t>(cpu), &others);
    return CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread, sizeof others, &others) == 0;
}

inline void allow(const Cpus &cpus)
{
    (void)pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}
#else
struct Cpus {};

inline int current_cpu()
{
    return -1;
}

inline bool keep_off(pthread_t, int, Cpus &)
{
    return false;
}

inline void allow(const Cpus &)
{
}
#endif

// One thread. Its state says what it is to do: nothing (0), come to a job (the job's address), or that it works on the job
// (the address with the lowest bit set). The caller of a job offers it, the thread takes it, unless the caller has
// withdrawn it meanwhile: a caller never waits for a thread that has not come.
class Worker
{
  public:
    Worker()
    {
        std::thread thread([this] { work(); });
        thread_ = thread.native_handle();
        thread.detach();
    }

    // By a caller that runs on `cpu`; false if the thread has a job, or sleeps and shall not be woken.
    bool offer(Job &job, size_t helper, int cpu, bool may_wake)
    {
        uintptr_t idle = 0;
        if ((!may_wake && asleep_.load()) || !state_.compare_exchange_strong(idle, CLAIMED)) {
            return false;
        }
        helper_ = helper;
        state_.store(offered(job));
        if (asleep_.load()) {
            wake(cpu);
        }
        return true;
    }

    // By the same caller, when nothing is left to do. Returns when the thread does not know the job any more.
    void dismiss(Job &job)
    {
        uintptr_t state = offered(job);
        if (state_.compare_exchange_strong(state, 0)) {
            return;
        }
        const auto left = [this, &job] { return state_.load(std::memory_order_acquire) != taken(job); };
        if (!look(left)) {
            std::unique_lock<std::mutex> lock(mutex_);
            left_.wait(lock, left);
        }
    }

  private:
    static constexpr uintptr_t CLAIMED = 1;

    static uintptr_t offered(const Job &job)
    {
        return reinterpret_cast<uintptr_t>(&job);
    }

    static uintptr_t taken(const Job &job)
    {
        return offered(job) | 1;
    }

    bool has_offer() const
    {
        const uintptr_t state = state_.load();
        return state != 0 && (state & 1) == 0;
    }

    // A thread that last ran where the caller runs would often be put there again, behind the caller, although other CPUs
    // have nothing to do: the system looks for one only if its cores are mostly idle, and moves a thread that waits only
    // after many milliseconds.
    void wake(int cpu)
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (asleep_.load() && !kept_off_ && cpu == cpu_) {
                kept_off_ = keep_off(thread_, cpu, allowed_);
            }
        }
        wake_.notify_one();
    }

    void sleep()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        cpu_ = current_cpu();
        asleep_.store(true);
        wake_.wait(lock, [this] { return has_offer(); });
        asleep_.store(false);
        if (kept_off_) {
            allow(allowed_);
            kept_off_ = false;
        }
    }

    [[noreturn]] void work()
    {
        for (;;) {
            if (!look([this] { return has_offer(); })) {
                sleep();
            }
            uintptr_t state = state_.load();
            if (state == 0 || (state & 1) != 0 || !state_.compare_exchange_strong(state, state | 1)) {
                continue; // withdrawn
            }
            reinterpret_cast<Job *>(state)->help(helper_);
            {
                const std::lock_guard<std::mutex> lock(mutex_);
                state_.store(0);
            }
            left_.notify_all();
        }
    }

    std::atomic<uintptr_t> state_{0};
    std::atomic<bool> asleep_{false};
    size_t helper_ = 0; // number in the job that is offered
    std::mutex mutex_;
    std::condition_variable wake_, left_;
    int cpu_ = -1; // where it fell asleep
    bool kept_off_ = false;
    Cpus allowed_{};
    pthread_t thread_{};
};

// Whether a job is worth waking threads that have gone to sleep: always, or if it turns out to be long.
enum class Sleepers { WAKE, WAKE_FOR_LONG };

// The threads. Never destroyed: at exit they wait for work, hold nothing, and the process ends under them. A child after
// fork has none of them, and begins with a new, empty set.
class Workers
{
  public:
    static Workers &instance()
    {
        static const bool once = (slot().store(new Workers), pthread_atfork(nullptr, nullptr, renew) == 0);
        (void)once;
        return *slot().load();
    }

    // Compute `count` samples with up to `helpers` threads, the caller's among them, `grain` at a time; returns when all are
    // done and passes on what a part threw. Callers at the same time share the threads; each also works on its own job, so
    // none waits for another's.
    void share(size_t count, size_t grain, size_t helpers, Sleepers sleepers, Job::Part part)
    {
        Job job(count, grain, helpers, std::move(part));
        std::vector<Worker *> called;
        called.reserve(helpers - 1);
        call(job, helpers, sleepers == Sleepers::WAKE, called);
        if (called.size() + 1 < helpers && sleepers == Sleepers::WAKE_FOR_LONG) {
            begin(job, helpers, called);
        }
        job.help(0);
        for (Worker *worker : called) {
            worker->dismiss(job);
        }
        job.rethrow();
    }

  private:
    static std::atomic<Workers *> &slot()
    {
        static std::atomic<Workers *> current{nullptr};
        return current;
    }

    static void renew()
    {
        slot().store(new Workers);
    }

    // Offer the job to as many threads as it still wants.
    void call(Job &job, size_t helpers, bool may_wake, std::vector<Worker *> &called)
    {
        const int cpu = current_cpu();
        const std::lock_guard<std::mutex> lock(mutex_);
        if (may_wake) {
            grow(helpers - 1);
        }
        for (const auto &worker : workers_) {
            if (called.size() + 1 < helpers && worker->offer(job, called.size() + 1, cpu, may_wake)) {
                called.push_back(worker.get());
            }
        }
    }

    // Do a little of the job alone, and wake threads if all of it is long; or if it is together with the jobs just before
    // that nobody helped with, for then it is likely that more follow.
    void begin(Job &job, size_t helpers, std::vector<Worker *> &called)
    {
        const int64_t start = now();
        const int64_t before =
            start - last_.load(std::memory_order_relaxed) < PAUSE ? alone_.load(std::memory_order_relaxed) : 0;
        const double left = job.begin();
        const int64_t whole = static_cast<int64_t>(static_cast<double>(now() - start) * (1.0 + left));
        if (before + whole < LONG) {
            alone_.store(before + whole, std::memory_order_relaxed);
            last_.store(start + whole, std::memory_order_relaxed);
            return;
        }
        alone_.store(0, std::memory_order_relaxed);
        call(job, helpers, true, called);
    }

    // Nanoseconds.
    static int64_t now()
    {
        const auto since = std::chrono::steady_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
    }

    // Fewer threads than wished where the system refuses them: the caller does the rest itself.
    void grow(size_t wanted)
    {
        workers_.reserve(wanted);
        try {
            while (workers_.size() < wanted) {
                workers_.push_back(std::make_unique<Worker>());
            }
        } catch (const std::system_error &) {
            return;
        }
    }

    // Nanoseconds. Waking a thread takes the caller 9 microseconds, and the thread 50 to come, measured on a virtual machine
    // with calls a millisecond apart.
    static constexpr int64_t LONG = 100'000;
    // What ends a run of calls.
    static constexpr int64_t PAUSE = 50'000;

    std::mutex mutex_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::atomic<int64_t> last_{0},
        alone_{0}; // of the last run of jobs that nobody helped with: its end, and how long they took
};

} // namespace engine

#endif
