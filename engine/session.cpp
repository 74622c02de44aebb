// SPDX-License-Identifier: Apache-2.0
// Session: a program made ready to run. Owns the kernels' records, keeps weights alive, lends an arena to each call.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include <pybind11/numpy.h>

#include "arenas.hpp"
#include "eng/model.h"
#include "ports.hpp"
#include "prepared.hpp"
#include "records.hpp"
#include "runner.hpp"
#include "workers.hpp"

namespace engine
{
namespace
{

// Work is in multiply-adds; the fastest kernels do some 100 of them in a nanosecond, the portable ones 1 to 10.
// Shorter calls keep the interpreter lock: handing it over and back costs more than they take.
constexpr uint64_t RELEASING_WORK = 100'000;
// A thread joins for at least this much: it needs microseconds to wake up.
constexpr uint64_t THREAD_WORK = 1'000'000;

class Session final : public Runnable
{
  public:
    Session(py::iterable steps, uint32_t arena, py::iterable inputs, py::iterable outputs, py::iterable traced, uint64_t work,
            size_t threads)
        : inputs_(ports_of(inputs)), outputs_(ports_of(outputs)), traced_(ports_of(traced)), work_(work), threads_(threads),
          pool_(arena)
    {
        for (py::handle step : steps) {
            add(step);
        }
        check(arena);
        const eng_isa isa = isa_in_use();
        edges_ = eng_edges_of(isa);
        prepared_.prepare(isa, layers_, arena);
        find_ends();
        pool_.resize(prepared_.memory());
    }

    // One input and one output are the common case: no list of arrays is made for them. `out` is None or where to write.
    py::object run(py::handle x, py::handle out) override
    {
        if (inputs_.size() != 1 || outputs_.size() != 1) {
            return run_several(x, out);
        }
        const py::ssize_t batch = check_array("run", "x", x, inputs_[0]);
        const auto from = py::reinterpret_borrow<py::array>(x);
        const py::array to = out.is_none() ? outputs_[0].allocate(batch) : only_output(from, out, batch);
        const auto *read = static_cast<const uint8_t *>(from.data());
        auto *write = static_cast<uint8_t *>(const_cast<void *>(to.data()));
        const Ends ends = {in_place_ ? read : nullptr, out_in_place_ ? write : nullptr, inputs_[0].bytes, outputs_[0].bytes};
        execute(batch, [&](uint8_t *arena, size_t first, size_t last) {
            infer(
                arena, first, last, ends, [&](uint8_t *a, size_t n) { inputs_[0].load(a, read, n); },
                [&](const uint8_t *a, size_t n) { outputs_[0].store(a, write, n); });
        });
        return to;
    }

    py::array predict(py::object x)
    {
        if (inputs_.size() != 1 || outputs_.size() != 1) {
            throw py::value_error("predict: the model has several inputs or outputs; use run");
        }
        const py::ssize_t batch = check_array("predict", "x", x, real_port(inputs_[0]));
        const py::array from = py::reinterpret_borrow<py::array>(x);
        const py::array to = real_port(outputs_[0]).allocate(batch);
        const auto *read = static_cast<const float *>(from.data());
        auto *write = static_cast<float *>(const_cast<void *>(to.data()));
        execute(batch, [&](uint8_t *arena, size_t first, size_t last) {
            infer(
                arena, first, last, {},
                [&](uint8_t *a, size_t n) { load_real(edges_, a, inputs_[0], read + n * inputs_[0].quantize.count); },
                [&](const uint8_t *a, size_t n) {
                    store_real(edges_, a, outputs_[0], write + n * outputs_[0].quantize.count);
                });
        });
        return to;
    }

    py::list trace(py::object x)
    {
        py::ssize_t batch = -1;
        const auto from = arrays_of("trace", "x", x, inputs_, batch);
        py::list arrays;
        std::vector<py::array> to;
        for (const Port &port : traced_) {
            to.push_back(port.allocate(batch));
            arrays.append(to.back());
        }
        const auto read = pointers_of<const uint8_t>(from);
        const auto write = pointers_of<uint8_t>(to);
        execute(batch, [&](uint8_t *arena, size_t first, size_t last) {
            for (size_t n = first; n < last; ++n) {
                load(arena, inputs_, read, n);
                for (size_t i = 0; i < layers_.size(); ++i) {
                    infer_layer(i, arena);
                    traced_[i].store(arena, write[i], n);
                }
            }
        });
        return arrays;
    }

    // Seconds of every step, summed over the batch, one row a repetition; what reading the clock takes is subtracted.
    py::array_t<double> profile(py::object x, py::ssize_t repeats)
    {
        py::ssize_t batch = -1;
        const auto read = pointers_of<const uint8_t>(arrays_of("profile", "x", x, inputs_, batch));
        const auto steps = static_cast<py::ssize_t>(layers_.size());
        py::array_t<double> seconds({repeats, steps});
        double *row = seconds.mutable_data();
        const Lent arena(pool_);
        const py::gil_scoped_release release;
        const double clock = clock_seconds();
        for (py::ssize_t r = 0; r < repeats; ++r, row += steps) {
            std::fill(row, row + steps, 0.0);
            for (py::ssize_t n = 0; n < batch; ++n) {
                load(arena.get(), inputs_, read, static_cast<size_t>(n));
                add_times(arena.get(), clock, row);
            }
        }
        return seconds;
    }

  private:
    void add(py::handle step)
    {
        Record &record = records_.emplace_back();
        const uint8_t op = op_of(field<std::string>(step, "kernel"));
        KERNELS[op].fill(record, step.attr("params"));
        const auto [weights, biases] = constants_of(op, record);
        eng_layer layer{};
        layer.op = op;
        layer.params = &record.params;
        layer.w = constant<int8_t>(step.attr("w"), weights, record.w);
        layer.bias = constant<int32_t>(step.attr("bias"), biases, record.bias);
        layer.x = field<uint32_t>(step, "x_offset");
        layer.x2 = field<uint32_t>(step, "x2_offset");
        layer.y = field<uint32_t>(step, "y_offset");
        layer.scratch = field<uint32_t>(step, "scratch_offset");
        layers_.push_back(layer);
        names_.push_back(field<std::string>(step, "name"));
        check_sizes(layer, step);
    }

    // The planner's sizes must be the core's.
    void check_sizes(const eng_layer &layer, py::handle step) const
    {
        const bool same = eng_layer_x_size(&layer) == field<uint32_t>(step, "x_size") &&
                          eng_layer_x2_size(&layer) == field<uint32_t>(step, "x2_size") &&
                          eng_layer_y_size(&layer) == field<uint32_t>(step, "y_size") &&
                          eng_layer_scratch_size(&layer) == field<uint32_t>(step, "scratch_size");
        if (!same) {
            throw py::value_error("Session: step " + names_.back() + ": its buffers do not have the kernel's sizes");
        }
    }

    void check(uint32_t arena)
    {
        model_ = {layers_.data(), static_cast<uint16_t>(layers_.size()), arena};
        if (layers_.size() > UINT16_MAX || traced_.size() != layers_.size()) {
            throw py::value_error("Session: too many steps, or as many traced tensors as steps are needed");
        }
        for (const auto *ports : {&inputs_, &outputs_}) {
            for (const Port &port : *ports) {
                if (port.offset + port.bytes > arena) {
                    throw py::value_error("Session: " + port.name + " ends outside the arena");
                }
            }
        }
        uint16_t where = 0;
        const eng_status status = layers_.empty() ? ENG_OK : eng_model_check(&model_, &where);
        if (status != ENG_OK) {
            throw py::value_error("Session: step " + names_[where] + ": " + eng_status_text(status));
        }
        for (size_t i = 0; i < layers_.size(); ++i) {
            if (traced_[i].offset != layers_[i].y || traced_[i].bytes != eng_layer_y_size(&layers_[i])) {
                throw py::value_error("Session: step " + names_[i] + ": the traced tensor is not what the step writes");
            }
        }
    }

    // Whether the only input, or output, need not be in the arena: the first layer alone reads it, the last one writes it.
    void find_ends()
    {
        if (inputs_.size() != 1 || outputs_.size() != 1 || layers_.empty()) {
            return;
        }
        const eng_layer &first = layers_.front(), &last = layers_.back();
        in_place_ = prepared_.may_end(0) && first.x == inputs_[0].offset && eng_layer_x_size(&first) == inputs_[0].bytes &&
                    !is_read_later(inputs_[0]);
        out_in_place_ = prepared_.may_end(layers_.size() - 1) && last.y == outputs_[0].offset &&
                        eng_layer_y_size(&last) == outputs_[0].bytes;
    }

    // Whether a layer other than the first, or the caller, reads a tensor of the arena before anything is written there.
    bool is_read_later(const Port &port) const
    {
        const auto overlaps = [&port](size_t offset, size_t size) {
            return offset < port.offset + port.bytes && port.offset < offset + size;
        };
        for (size_t i = 0; i < layers_.size(); ++i) {
            const eng_layer *l = &layers_[i];
            if (i > 0 && (overlaps(l->x, eng_layer_x_size(l)) || overlaps(l->x2, eng_layer_x2_size(l)))) {
                return true;
            }
            if (overlaps(l->y, eng_layer_y_size(l))) {
                return false;
            }
        }
        return overlaps(outputs_[0].offset, outputs_[0].bytes);
    }

    // Samples [first, last), as many at once as pays: load(arena, n) and store(arena, n) move sample n in and out where
    // `ends`, of sample 0, do not say that it stays where it is.
    template <typename Load, typename Store>
    void infer(uint8_t *arena, size_t first, size_t last, const Ends &ends, const Load &load, const Store &store) const
    {
        const size_t group = prepared_.samples(), stride = prepared_.stride();
        for (size_t n = first; n < last; n += group) {
            const size_t count = std::min(group, last - n);
            for (size_t i = 0; i < count && ends.x == nullptr; ++i) {
                load(arena + i * stride, n + i);
            }
            prepared_.run(arena, count, ends.from(n));
            for (size_t i = 0; i < count && ends.y == nullptr; ++i) {
                store(arena + i * stride, n + i);
            }
        }
    }

    void infer_layer(size_t i, uint8_t *arena) const
    {
        prepared_.run(i, arena);
    }

    using Clock = std::chrono::steady_clock;

    void add_times(uint8_t *arena, double clock, double *seconds) const
    {
        auto before = Clock::now();
        for (size_t i = 0; i < layers_.size(); ++i) {
            infer_layer(i, arena);
            const auto after = Clock::now();
            seconds[i] += std::max(0.0, std::chrono::duration<double>(after - before).count() - clock);
            before = after;
        }
    }

    // Shortest time between two looks at the clock.
    static double clock_seconds()
    {
        double shortest = 1.0;
        for (int i = 0; i < 200; ++i) {
            const auto before = Clock::now();
            shortest = std::min(shortest, std::chrono::duration<double>(Clock::now() - before).count());
        }
        return shortest;
    }

    py::object run_several(py::handle x, py::handle out)
    {
        py::ssize_t batch = -1;
        const auto from = arrays_of("run", "x", x, inputs_, batch);
        const auto to = outputs_for(from, out, batch);
        const auto read = pointers_of<const uint8_t>(from);
        const auto write = pointers_of<uint8_t>(to);
        execute(batch, [&](uint8_t *arena, size_t first, size_t last) {
            infer(
                arena, first, last, {}, [&](uint8_t *a, size_t n) { load(a, inputs_, read, n); },
                [&](const uint8_t *a, size_t n) { store(a, outputs_, write, n); });
        });
        return out.is_none() ? result_of(to) : py::reinterpret_borrow<py::object>(out);
    }

    py::array only_output(const py::array &from, py::handle out, py::ssize_t batch) const
    {
        const py::ssize_t rows = check_array("run", "out", out, outputs_[0]);
        auto to = py::reinterpret_borrow<py::array>(out);
        if (rows != batch) {
            refuse_batch("run", "out", outputs_[0], rows, batch);
        }
        check_writable(to, from);
        return to;
    }

    std::vector<py::array> outputs_for(const std::vector<py::array> &from, py::handle out, py::ssize_t batch) const
    {
        if (out.is_none()) {
            std::vector<py::array> to;
            for (const Port &port : outputs_) {
                to.push_back(port.allocate(batch));
            }
            return to;
        }
        auto to = arrays_of("run", "out", out, outputs_, batch);
        for (size_t i = 0; i < to.size(); ++i) {
            for (const auto &a : from) {
                check_writable(to[i], a);
            }
            for (size_t j = 0; j < i; ++j) {
                if (overlap(to[i], to[j])) {
                    throw py::value_error("run: the arrays of out share memory");
                }
            }
        }
        return to;
    }

    static void check_writable(const py::array &to, const py::array &from)
    {
        if (!to.writeable()) {
            throw py::value_error("run: out is read-only");
        }
        if (overlap(to, from)) {
            throw py::value_error("run: out and x share memory");
        }
    }

    // `part(arena, first, last)` computes samples [first, last). Long work gives the interpreter lock back; a batch of long
    // work is split over threads. One sample is never split.
    template <typename Part> void execute(py::ssize_t batch, const Part &part)
    {
        const auto count = static_cast<size_t>(batch);
        const uint64_t work = work_ * count;
        const size_t helpers = std::min<uint64_t>({threads_, count, work / THREAD_WORK});
        const Lent arena(pool_);
        if (work < RELEASING_WORK) {
            part(arena.get(), 0, count);
        } else if (helpers < 2) {
            const py::gil_scoped_release release;
            part(arena.get(), 0, count);
        } else {
            share(count, helpers, arena, part);
        }
    }

    // A thread has the same arena in every call, near it, and computes whole groups of samples.
    template <typename Part> void share(size_t count, size_t helpers, const Lent &own, const Part &part)
    {
        std::deque<Lent> others;
        for (size_t i = 1; i < helpers; ++i) {
            others.emplace_front(pool_); // given back in the opposite order
        }
        const size_t grain = std::min(prepared_.samples(), (count + helpers - 1) / helpers);
        const py::gil_scoped_release release;
        const auto with_arena = [&](size_t helper, size_t first, size_t last) {
            part((helper == 0 ? own : others[helpers - 1 - helper]).get(), first, last);
        };
        Workers::instance().share(count, grain, helpers, Sleepers::WAKE_FOR_LONG, with_arena);
    }

    std::vector<Port> inputs_, outputs_, traced_;
    std::deque<Record> records_;
    std::vector<std::string> names_;
    std::vector<eng_layer> layers_;
    eng_model model_{};
    uint64_t work_; // of a sample
    size_t threads_;
    PreparedLayers prepared_;
    eng_edges edges_{};
    bool in_place_ = false, out_in_place_ = false;
    ArenaPool pool_;
};

} // namespace
} // namespace engine

PYBIND11_MODULE(_session, m)
{
    namespace py = pybind11;
    using engine::Session;
    m.doc() = "Runs a program: records of the core over one arena. See engine.model.Model.";
    py::class_<engine::Runnable>(m, "Runnable", "What a Runner can be attached to.");
    py::class_<Session, engine::Runnable>(m, "Session", "A program made ready to run; safe to use from several threads.")
        .def(py::init<py::iterable, uint32_t, py::iterable, py::iterable, py::iterable, uint64_t, size_t>(), py::arg("steps"),
             py::arg("arena"), py::arg("inputs"), py::arg("outputs"), py::arg("traced"), py::kw_only(), py::arg("work"),
             py::arg("threads"),
             "steps: engine.program.Step each; arena: bytes; inputs, outputs, traced: (name, dtype, shape of a sample, "
             "offset, scale or 0, zero point) each, traced one a step; work: multiply-adds of a sample; threads: how many may "
             "share a batch. Raises ValueError if the core's check refuses the program.")
        .def("predict", &Session::predict, py::arg("x"),
             "Run a batch of float32[N, ...], quantized on the way in and dequantized on the way out.")
        .def("trace", &Session::trace, py::arg("x"), "Run a batch and return what each step wrote, [N, ...] each.")
        .def("profile", &Session::profile, py::arg("x"), py::arg("repeats"),
             "Run a batch on one thread `repeats` times and return the seconds of each step, float64[repeats, steps].");
    m.attr("Runner") = engine::runner_type();
    py::list kernels;
    for (const engine::Kernel &kernel : engine::KERNELS) {
        kernels.append(py::str(kernel.name.data(), kernel.name.size()));
    }
    m.def(
        "isa", [] { return eng_isa_name(engine::isa_in_use()); },
        "Instruction set that new sessions use. Raises ValueError if ENGINE_ISA names one that is not there.");
    m.attr("KERNELS") = py::tuple(kernels);
}
