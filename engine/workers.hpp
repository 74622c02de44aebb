// SPDX-License-Identifier: Apache-2.0
// Threads of the process that share the samples of large batches. Nothing runs until a batch first asks for them.
#ifndef ENGINE_WORKERS_HPP
#define ENGINE_WORKERS_HPP

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <pthread.h>

namespace engine
{

// Look for a moment whether `done`, before a thread goes to sleep: batches often follow one another, and waking up takes
// longer than many of them. Some 30 to 100 microseconds.
template <typename Done> void look(const Done &done)
{
    for (int looks = 0; looks < 2000 && !done(); ++looks) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
}

// One batch: whoever has time claims the next few samples, so that a thread that the system holds back delays nobody else
// by more than it has claimed. Which thread computes a sample changes no bit of it.
class Job
{
  public:
    // `part(helper, first, last)` computes samples [first, last); helper 0 is the caller, others are below `helpers`.
    using Part = std::function<void(size_t helper, size_t first, size_t last)>;

    Job(size_t count, size_t helpers, Part part)
        : count_(count), helpers_(helpers), step_(std::max<size_t>(1, count / (4 * helpers))), part_(std::move(part))
    {
    }

    // Work until nothing is left to claim. A part that throws ends the job; the first exception is kept.
    void help(size_t helper) noexcept
    {
        try {
            for (;;) {
                const size_t first = next_.fetch_add(step_, std::memory_order_relaxed);
                if (first >= count_) {
                    return;
                }
                part_(helper, first, std::min(count_, first + step_));
            }
        } catch (...) {
            next_.store(count_, std::memory_order_relaxed);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!failure_) {
                failure_ = std::current_exception();
            }
        }
    }

    // A worker's number in this job, or 0 if it has come too late to be useful.
    size_t join()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (closed_ || joined_ + 1 >= helpers_) {
            return 0;
        }
        ++busy_;
        return ++joined_;
    }

    void leave()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (--busy_ == 0) {
            idle_.notify_one();
        }
    }

    // The caller's last act: nobody joins any more, those who did have finished.
    void finish()
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        look([this] { return busy_.load(std::memory_order_acquire) == 0; });
        std::unique_lock<std::mutex> lock(mutex_);
        idle_.wait(lock, [this] { return busy_ == 0; });
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

  private:
    const size_t count_, helpers_, step_;
    const Part part_;
    std::atomic<size_t> next_{0};
    std::mutex mutex_;
    std::condition_variable idle_;
    size_t joined_ = 0;
    std::atomic<size_t> busy_{0};
    bool closed_ = false;
    std::exception_ptr failure_;
};

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

    // Compute `count` samples with up to `helpers` threads, the caller's among them; returns when all are done and passes
    // on what a part threw. Callers at the same time share the threads; each also works on its own job, so none waits
    // for another's.
    void share(size_t count, size_t helpers, Job::Part part)
    {
        const auto job = std::make_shared<Job>(count, helpers, std::move(part));
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            grow(helpers - 1);
            jobs_.insert(jobs_.end(), std::min(helpers - 1, threads_), job);
            pending_.store(jobs_.size(), std::memory_order_release);
        }
        helpers > 2 ? wake_.notify_all() : wake_.notify_one();
        job->help(0);
        job->finish();
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

    // Fewer threads than wished where the system refuses them: the caller does the rest itself.
    void grow(size_t wanted)
    {
        try {
            for (; threads_ < wanted; ++threads_) {
                std::thread([this] { work(); }).detach();
            }
        } catch (const std::system_error &) {
            return;
        }
    }

    void work()
    {
        for (;;) {
            const std::shared_ptr<Job> job = next();
            const size_t helper = job->join();
            if (helper > 0) {
                job->help(helper);
                job->leave();
            }
        }
    }

    std::shared_ptr<Job> next()
    {
        look([this] { return pending_.load(std::memory_order_acquire) > 0; });
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return !jobs_.empty(); });
        std::shared_ptr<Job> job = std::move(jobs_.back());
        jobs_.pop_back();
        pending_.store(jobs_.size(), std::memory_order_release);
        return job;
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::shared_ptr<Job>> jobs_;
    std::atomic<size_t> pending_{0};
    size_t threads_ = 0;
};

} // namespace engine

#endif
