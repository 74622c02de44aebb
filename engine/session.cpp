// SPDX-License-Identifier: Apache-2.0
// Session: a program made ready to run. Owns the kernels' records, keeps weights alive, lends an arena to each call.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include <pybind11/numpy.h>

#include "eng/model.h"
#include "ports.hpp"
#include "records.hpp"

namespace engine
{
namespace
{

struct ArenaDelete {
    void operator()(uint8_t *p) const
    {
        ::operator delete[](p, std::align_val_t{64});
    }
};
using Arena = std::unique_ptr<uint8_t[], ArenaDelete>;

// Arenas that no call is using; as many exist as calls ran at once.
class ArenaPool
{
  public:
    explicit ArenaPool(size_t size) : size_(size)
    {
    }

    Arena take()
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!free_.empty()) {
                Arena arena = std::move(free_.back());
                free_.pop_back();
                return arena;
            }
        }
        Arena arena(new (std::align_val_t{64}) uint8_t[size_ + 1]);
        std::memset(arena.get(), 0, size_ + 1);
        return arena;
    }

    void give(Arena arena)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(arena));
    }

  private:
    size_t size_;
    std::mutex mutex_;
    std::vector<Arena> free_;
};

class Session
{
  public:
    Session(py::iterable steps, uint32_t arena, py::iterable inputs, py::iterable outputs, py::iterable traced)
        : inputs_(ports_of(inputs)), outputs_(ports_of(outputs)), traced_(ports_of(traced)), pool_(arena)
    {
        for (py::handle step : steps) {
            add(step);
        }
        check(arena);
    }

    py::object run(py::object x, py::object out)
    {
        py::ssize_t batch = -1;
        const auto from = arrays_of("run", "x", x, inputs_, batch);
        const auto to = outputs_for(from, out, batch);
        execute(from, to, batch);
        return out.is_none() ? result_of(to) : out;
    }

    py::array predict(py::object x)
    {
        if (inputs_.size() != 1 || outputs_.size() != 1) {
            throw py::value_error("predict: the model has several inputs or outputs; use run");
        }
        const py::ssize_t batch = check_array("predict", "x", x, real_port(inputs_[0]));
        const py::array from = py::reinterpret_borrow<py::array>(x);
        const Port real_output = real_port(outputs_[0]);
        py::array to(real_output.dtype, real_output.batched(batch));
        const auto *read = static_cast<const float *>(from.data());
        auto *write = static_cast<float *>(to.mutable_data());
        Arena arena = pool_.take();
        {
            const py::gil_scoped_release release;
            for (py::ssize_t n = 0; n < batch; ++n) {
                load_real(arena.get(), inputs_[0], read);
                eng_model_run(&model_, arena.get());
                store_real(arena.get(), outputs_[0], write);
                read += inputs_[0].quantize.count;
                write += outputs_[0].quantize.count;
            }
        }
        pool_.give(std::move(arena));
        return to;
    }

    py::list trace(py::object x)
    {
        py::ssize_t batch = -1;
        const auto from = arrays_of("trace", "x", x, inputs_, batch);
        py::list arrays;
        std::vector<py::array> to;
        for (const Port &port : traced_) {
            to.emplace_back(port.dtype, port.batched(batch));
            arrays.append(to.back());
        }
        auto read = pointers_of<const uint8_t>(from);
        auto write = pointers_of<uint8_t>(to);
        Arena arena = pool_.take();
        {
            const py::gil_scoped_release release;
            for (py::ssize_t n = 0; n < batch; ++n) {
                load(arena.get(), inputs_, read);
                for (size_t i = 0; i < layers_.size(); ++i) {
                    eng_layer_run(&layers_[i], arena.get());
                    store(arena.get(), traced_[i], write[i]);
                }
            }
        }
        pool_.give(std::move(arena));
        return arrays;
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

    std::vector<py::array> outputs_for(const std::vector<py::array> &from, py::object out, py::ssize_t batch) const
    {
        if (out.is_none()) {
            std::vector<py::array> to;
            for (const Port &port : outputs_) {
                to.emplace_back(port.dtype, port.batched(batch));
            }
            return to;
        }
        const auto to = arrays_of("run", "out", out, outputs_, batch);
        for (const auto &a : to) {
            if (!a.writeable()) {
                throw py::value_error("run: out is read-only");
            }
            for (const auto &b : from) {
                if (overlap(a, b)) {
                    throw py::value_error("run: out and x share memory");
                }
            }
        }
        return to;
    }

    void execute(const std::vector<py::array> &from, const std::vector<py::array> &to, py::ssize_t batch)
    {
        auto read = pointers_of<const uint8_t>(from);
        auto write = pointers_of<uint8_t>(to);
        Arena arena = pool_.take();
        {
            const py::gil_scoped_release release;
            for (py::ssize_t n = 0; n < batch; ++n) {
                load(arena.get(), inputs_, read);
                eng_model_run(&model_, arena.get());
                for (size_t i = 0; i < outputs_.size(); ++i) {
                    store(arena.get(), outputs_[i], write[i]);
                }
            }
        }
        pool_.give(std::move(arena));
    }

    std::vector<Port> inputs_, outputs_, traced_;
    std::deque<Record> records_;
    std::vector<std::string> names_;
    std::vector<eng_layer> layers_;
    eng_model model_{};
    ArenaPool pool_;
};

} // namespace
} // namespace engine

PYBIND11_MODULE(_session, m)
{
    namespace py = pybind11;
    using engine::Session;
    m.doc() = "Runs a program: records of the core over one arena. See engine.model.Model.";
    py::class_<Session>(m, "Session", "A program made ready to run; calls from several threads at once are safe.")
        .def(py::init<py::iterable, uint32_t, py::iterable, py::iterable, py::iterable>(), py::arg("steps"), py::arg("arena"),
             py::arg("inputs"), py::arg("outputs"), py::arg("traced"),
             "steps: engine.program.Step each; arena: bytes; inputs, outputs, traced: (name, dtype, shape of a sample, "
             "offset, scale or 0, zero point) each, traced one a step. Raises ValueError if the core's check refuses the "
             "program.")
        .def("run", &Session::run, py::arg("x"), py::arg("out"),
             "Run a batch: one array, or a tuple of them, each [N, ...]; results go to out or to new arrays.")
        .def("predict", &Session::predict, py::arg("x"),
             "Run a batch of float32[N, ...], quantized on the way in and dequantized on the way out.")
        .def("trace", &Session::trace, py::arg("x"), "Run a batch and return what each step wrote, [N, ...] each.");
    py::list kernels;
    for (const engine::Kernel &kernel : engine::KERNELS) {
        kernels.append(py::str(kernel.name.data(), kernel.name.size()));
    }
    m.attr("KERNELS") = py::tuple(kernels);
}
