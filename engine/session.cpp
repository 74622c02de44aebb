// SPDX-License-Identifier: Apache-2.0
// Session: a program made ready to run. Owns the kernels' records, keeps weights alive, lends an arena to each call.
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include <pybind11/numpy.h>

#include "eng/model.h"

namespace py = pybind11;

namespace
{

// ---- from engine/program.py to the core's records ----------------------------------------------------------------

template <typename T> T field(py::handle object, const char *name)
{
    return py::cast<T>(object.attr(name));
}

eng_window window_of(py::handle w)
{
    eng_window r{};
    r.in_h = field<uint16_t>(w, "in_h");
    r.in_w = field<uint16_t>(w, "in_w");
    r.out_h = field<uint16_t>(w, "out_h");
    r.out_w = field<uint16_t>(w, "out_w");
    r.kernel_h = field<uint16_t>(w, "kernel_h");
    r.kernel_w = field<uint16_t>(w, "kernel_w");
    r.stride_h = field<uint16_t>(w, "stride_h");
    r.stride_w = field<uint16_t>(w, "stride_w");
    r.dilation_h = field<uint16_t>(w, "dilation_h");
    r.dilation_w = field<uint16_t>(w, "dilation_w");
    r.pad_top = field<uint16_t>(w, "pad_top");
    r.pad_left = field<uint16_t>(w, "pad_left");
    return r;
}

eng_rescale rescale_of(py::handle r)
{
    return {field<int32_t>(r, "mult"), field<uint8_t>(r, "left"), field<uint8_t>(r, "right")};
}

eng_output_s8 output_of(py::handle y)
{
    return {field<int8_t>(y, "zero"), field<int8_t>(y, "lo"), field<int8_t>(y, "hi")};
}

// Params of one layer and what they point to. Its address must not change: layers point into it.
struct Record {
    union {
        eng_dense_s8_params dense;
        eng_conv2d_s8_params conv2d;
        eng_conv2d_max_pool2d_s8_params conv2d_max_pool2d;
        eng_pool2d_s8_params pool2d;
        eng_requantize_s8_params requantize;
        eng_softmax_s8_params softmax;
        eng_argmax_s8_params argmax;
        eng_quantize_params quantize;
    } params{};
    std::vector<eng_rescale> rescale;
    std::vector<int32_t> table;
    py::object w, bias;
};

// Rescale records, as many as the kernel will read.
const eng_rescale *rescales_of(Record &record, py::handle params, size_t out)
{
    for (py::handle r : params.attr("rescale")) {
        record.rescale.push_back(rescale_of(r));
    }
    const size_t expected = field<uint8_t>(params, "rescale_step") != 0 ? out : 1;
    if (record.rescale.size() != expected) {
        throw py::value_error("Session: rescale records do not fit the layer's outputs");
    }
    return record.rescale.data();
}

void fill_dense(Record &record, py::handle p)
{
    auto &r = record.params.dense;
    r.in = field<uint16_t>(p, "in_");
    r.out = field<uint16_t>(p, "out");
    r.rescale_step = field<uint8_t>(p, "rescale_step");
    r.y = output_of(p.attr("y"));
    r.rescale = rescales_of(record, p, r.out);
}

void fill_conv2d(Record &record, eng_conv2d_s8_params &r, py::handle p)
{
    r.window = window_of(p.attr("window"));
    r.in_c = field<uint16_t>(p, "in_c");
    r.out_c = field<uint16_t>(p, "out_c");
    r.zero_x = field<int8_t>(p, "zero_x");
    r.rescale_step = field<uint8_t>(p, "rescale_step");
    r.y = output_of(p.attr("y"));
    r.rescale = rescales_of(record, p, r.out_c);
}

void fill_plain_conv2d(Record &record, py::handle p)
{
    fill_conv2d(record, record.params.conv2d, p);
}

void fill_conv2d_max_pool2d(Record &record, py::handle p)
{
    auto &r = record.params.conv2d_max_pool2d;
    fill_conv2d(record, r.conv, p.attr("conv"));
    r.pool = window_of(p.attr("pool"));
}

void fill_pool2d(Record &record, py::handle p)
{
    auto &r = record.params.pool2d;
    r.window = window_of(p.attr("window"));
    r.channels = field<uint16_t>(p, "channels");
    r.lo = field<int8_t>(p, "lo");
    r.hi = field<int8_t>(p, "hi");
}

void fill_requantize(Record &record, py::handle p)
{
    auto &r = record.params.requantize;
    r.count = field<uint32_t>(p, "count");
    r.zero_x = field<int8_t>(p, "zero_x");
    r.rescale = rescale_of(p.attr("rescale"));
    r.y = output_of(p.attr("y"));
}

void fill_softmax(Record &record, py::handle p)
{
    auto &r = record.params.softmax;
    for (py::handle e : p.attr("table")) {
        record.table.push_back(py::cast<int32_t>(e));
    }
    r.rows = field<uint32_t>(p, "rows");
    r.size = field<uint16_t>(p, "size");
    r.table_size = field<uint16_t>(p, "table_size");
    r.table = record.table.data();
    if (record.table.size() != r.table_size) {
        throw py::value_error("Session: softmax table does not have table_size entries");
    }
}

void fill_argmax(Record &record, py::handle p)
{
    auto &r = record.params.argmax;
    r.rows = field<uint32_t>(p, "rows");
    r.size = field<uint16_t>(p, "size");
}

void fill_quantize(Record &record, py::handle p)
{
    auto &r = record.params.quantize;
    r.count = field<uint32_t>(p, "count");
    r.scale = field<float>(p, "scale");
    r.zero = field<int8_t>(p, "zero");
}

struct Kernel {
    std::string_view name;
    void (*fill)(Record &record, py::handle params);
};

// Indexed by eng_op.
constexpr std::array<Kernel, ENG_OP_COUNT> KERNELS = {{
    {"dense_s8", fill_dense},
    {"conv2d_s8", fill_plain_conv2d},
    {"conv2d_max_pool2d_s8", fill_conv2d_max_pool2d},
    {"max_pool2d_s8", fill_pool2d},
    {"average_pool2d_s8", fill_pool2d},
    {"requantize_s8", fill_requantize},
    {"softmax_s8", fill_softmax},
    {"argmax_s8", fill_argmax},
    {"quantize_f32_s8", fill_quantize},
    {"dequantize_s8_f32", fill_quantize},
}};

uint8_t op_of(const std::string &name)
{
    for (size_t op = 0; op < KERNELS.size(); ++op) {
        if (KERNELS[op].name == name) {
            return static_cast<uint8_t>(op);
        }
    }
    throw py::value_error("Session: there is no kernel '" + name + "'");
}

// Elements of weights and biases that the kernel will read.
std::pair<size_t, size_t> constants_of(uint8_t op, const Record &record)
{
    if (op == ENG_OP_DENSE_S8) {
        const auto &p = record.params.dense;
        return {size_t{p.in} * p.out, p.out};
    }
    if (op == ENG_OP_CONV2D_S8 || op == ENG_OP_CONV2D_MAX_POOL2D_S8) {
        const auto &p = op == ENG_OP_CONV2D_S8 ? record.params.conv2d : record.params.conv2d_max_pool2d.conv;
        return {size_t{p.window.kernel_h} * p.window.kernel_w * p.in_c * p.out_c, p.out_c};
    }
    return {0, 0};
}

// Data of a row-major array of T with `count` elements, kept alive through `keep`; null where the layer has none.
template <typename T> const T *constant(py::object source, size_t count, py::object &keep)
{
    if (source.is_none()) {
        return nullptr;
    }
    if (!py::isinstance<py::array_t<T, py::array::c_style>>(source)) {
        throw py::type_error("Session: weights must be row-major int8, biases int32");
    }
    const auto array = py::reinterpret_borrow<py::array>(source);
    if (static_cast<size_t>(array.size()) != count) {
        throw py::value_error("Session: weights or biases do not have the layer's shape");
    }
    keep = source;
    return static_cast<const T *>(array.data());
}

// ---- arrays in and out -------------------------------------------------------------------------------------------

// A tensor that arrays are exchanged for: one sample is `bytes` at `offset` in the arena.
struct Port {
    std::string name;
    py::dtype dtype;
    std::vector<py::ssize_t> shape; // of one sample, without the batch dimension
    size_t bytes;
    size_t offset;
    eng_quantize_params quantize; // scale 0 where the tensor is not quantized

    std::string text(const char *batch) const
    {
        std::string s = py::cast<std::string>(py::str(py::object(dtype))) + "[" + batch;
        for (const py::ssize_t n : shape) {
            s += ", " + std::to_string(n);
        }
        return s + "]";
    }

    std::vector<py::ssize_t> batched(py::ssize_t n) const
    {
        std::vector<py::ssize_t> full{n};
        full.insert(full.end(), shape.begin(), shape.end());
        return full;
    }
};

Port port_of(py::handle source)
{
    const auto tuple = py::cast<py::tuple>(source);
    Port port{py::cast<std::string>(tuple[0]), py::dtype::from_args(tuple[1]), {}, 0, py::cast<size_t>(tuple[3]), {}};
    size_t count = 1;
    for (py::handle n : tuple[2]) {
        port.shape.push_back(py::cast<py::ssize_t>(n));
        count *= static_cast<size_t>(port.shape.back());
    }
    port.bytes = count * static_cast<size_t>(port.dtype.itemsize());
    port.quantize = {static_cast<uint32_t>(count), py::cast<float>(tuple[4]), py::cast<int8_t>(tuple[5])};
    return port;
}

// The same tensor as real numbers: what a caller of predict exchanges for it.
Port real_port(const Port &port)
{
    Port real = port;
    real.dtype = py::dtype::of<float>();
    real.bytes = size_t{port.quantize.count} * sizeof(float);
    return real;
}

std::vector<Port> ports_of(py::handle source)
{
    std::vector<Port> ports;
    for (py::handle p : source) {
        ports.push_back(port_of(p));
    }
    return ports;
}

std::string shape_text(const py::array &a)
{
    std::string s = py::cast<std::string>(py::str(py::object(a.dtype()))) + "[";
    for (py::ssize_t i = 0; i < a.ndim(); ++i) {
        s += (i ? ", " : "") + std::to_string(a.shape(i));
    }
    return s + "]";
}

std::string type_text(py::handle object)
{
    return py::cast<std::string>(py::type::handle_of(object).attr("__name__"));
}

bool has_shape(const py::array &a, const Port &port)
{
    bool fits = static_cast<size_t>(a.ndim()) == port.shape.size() + 1;
    for (size_t i = 0; fits && i < port.shape.size(); ++i) {
        fits = a.shape(static_cast<py::ssize_t>(i) + 1) == port.shape[i];
    }
    return fits;
}

bool has_dtype(const py::array &a, const Port &port)
{
    return a.dtype().is(port.dtype) || a.dtype().equal(port.dtype);
}

[[noreturn]] void refuse(const char *function, const char *argument, py::handle object, const Port &port)
{
    const std::string where = std::string(function) + ": " + argument + " (" + port.name + ") ";
    if (!py::isinstance<py::array>(object)) {
        throw py::type_error(where + "is a " + type_text(object) + "; expected a NumPy array " + port.text("N"));
    }
    const auto a = py::reinterpret_borrow<py::array>(object);
    const std::string found = where + "is " + shape_text(a) + "; expected " + port.text("N");
    if (!has_dtype(a, port)) {
        throw py::type_error(found + ": nothing is converted silently");
    }
    if (!has_shape(a, port)) {
        throw py::value_error(found + " with the batch as first dimension");
    }
    throw py::value_error(where + "is strided; pass numpy.ascontiguousarray of it");
}

// Checks dtype, shape and layout; never converts. Returns the batch size.
py::ssize_t check_array(const char *function, const char *argument, py::handle object, const Port &port)
{
    if (!py::isinstance<py::array>(object)) {
        refuse(function, argument, object, port);
    }
    const auto a = py::reinterpret_borrow<py::array>(object);
    if (!has_dtype(a, port) || !has_shape(a, port) || (a.flags() & py::array::c_style) == 0) {
        refuse(function, argument, object, port);
    }
    return a.shape(0);
}

// One array, or a sequence with one for each port.
std::vector<py::array> arrays_of(const char *function, const char *argument, py::handle object, const std::vector<Port> &ports,
                                 py::ssize_t &batch)
{
    std::vector<py::object> items;
    if (ports.size() == 1) {
        items.push_back(py::reinterpret_borrow<py::object>(object));
    } else {
        if (!py::isinstance<py::sequence>(object) || py::isinstance<py::array>(object) || py::len(object) != ports.size()) {
            throw py::type_error(std::string(function) + ": " + argument + " must be a tuple of " +
                                 std::to_string(ports.size()) + " arrays, one for each");
        }
        for (py::handle item : object) {
            items.push_back(py::reinterpret_borrow<py::object>(item));
        }
    }
    std::vector<py::array> arrays;
    for (size_t i = 0; i < ports.size(); ++i) {
        const py::ssize_t n = check_array(function, argument, items[i], ports[i]);
        if (batch >= 0 && n != batch) {
            throw py::value_error(std::string(function) + ": " + argument + " (" + ports[i].name + ") has a batch of " +
                                  std::to_string(n) + ", the others of " + std::to_string(batch));
        }
        batch = n;
        arrays.push_back(py::reinterpret_borrow<py::array>(items[i]));
    }
    return arrays;
}

py::object result_of(const std::vector<py::array> &arrays)
{
    if (arrays.size() == 1) {
        return arrays[0];
    }
    py::tuple t(arrays.size());
    for (size_t i = 0; i < arrays.size(); ++i) {
        t[i] = arrays[i];
    }
    return t;
}

bool overlap(const py::array &a, const py::array &b)
{
    const auto *p = static_cast<const uint8_t *>(a.data());
    const auto *q = static_cast<const uint8_t *>(b.data());
    return p < q + b.nbytes() && q < p + a.nbytes();
}

// ---- arenas ------------------------------------------------------------------------------------------------------

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

// ---- the session -------------------------------------------------------------------------------------------------

// Bytes of arrays, one pointer a port; advanced sample by sample.
template <typename Byte> std::vector<Byte *> pointers_of(const std::vector<py::array> &arrays)
{
    std::vector<Byte *> pointers;
    for (const auto &a : arrays) {
        pointers.push_back(static_cast<Byte *>(const_cast<void *>(a.data())));
    }
    return pointers;
}

void load(uint8_t *arena, const std::vector<Port> &ports, std::vector<const uint8_t *> &from)
{
    for (size_t i = 0; i < ports.size(); ++i) {
        std::memcpy(arena + ports[i].offset, from[i], ports[i].bytes);
        from[i] += ports[i].bytes;
    }
}

void store(const uint8_t *arena, const Port &port, uint8_t *&to)
{
    std::memcpy(to, arena + port.offset, port.bytes);
    to += port.bytes;
}

void load_real(uint8_t *arena, const Port &port, const float *from)
{
    if (port.quantize.scale > 0.0F) {
        eng_quantize_f32_s8(&port.quantize, from, reinterpret_cast<int8_t *>(arena + port.offset));
    } else {
        std::memcpy(arena + port.offset, from, port.bytes);
    }
}

void store_real(const uint8_t *arena, const Port &port, float *to)
{
    if (port.quantize.scale > 0.0F) {
        eng_dequantize_s8_f32(&port.quantize, reinterpret_cast<const int8_t *>(arena + port.offset), to);
    } else {
        std::memcpy(to, arena + port.offset, port.bytes);
    }
}

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

PYBIND11_MODULE(_session, m)
{
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
    for (const Kernel &kernel : KERNELS) {
        kernels.append(py::str(kernel.name.data(), kernel.name.size()));
    }
    m.attr("KERNELS") = py::tuple(kernels);
}
