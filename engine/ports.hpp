// SPDX-License-Identifier: Apache-2.0
// Arrays in and out of a session: what a caller may pass for a tensor, and the messages when something does not fit.
#ifndef ENGINE_PORTS_HPP
#define ENGINE_PORTS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>

#include <pybind11/numpy.h>

#include "eng/prepare.h"

namespace engine
{

namespace py = pybind11;

constexpr size_t MOST_DIMENSIONS = 32;

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

    // A new array for a batch. NumPy's own constructor, since pybind11's computes strides first.
    py::array allocate(py::ssize_t batch) const
    {
        std::array<py::ssize_t, MOST_DIMENSIONS> full;
        full[0] = batch;
        std::copy(shape.begin(), shape.end(), full.begin() + 1);
        const auto &numpy = py::detail::npy_api::get();
        PyObject *made =
            numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, py::dtype(dtype).release().ptr(),
                                        static_cast<int>(shape.size()) + 1, full.data(), nullptr, nullptr, 0, nullptr);
        if (made == nullptr) {
            throw py::error_already_set();
        }
        return py::reinterpret_steal<py::array>(made);
    }

    // Sample n of a batch, in and out of the arena.
    void load(uint8_t *arena, const uint8_t *batch, size_t n) const
    {
        std::memcpy(arena + offset, batch + n * bytes, bytes);
    }

    void store(const uint8_t *arena, uint8_t *batch, size_t n) const
    {
        std::memcpy(batch + n * bytes, arena + offset, bytes);
    }
};

inline Port port_of(py::handle source)
{
    const auto tuple = py::cast<py::tuple>(source);
    Port port{py::cast<std::string>(tuple[0]), py::dtype::from_args(tuple[1]), {}, 0, py::cast<size_t>(tuple[3]), {}};
    size_t count = 1;
    for (py::handle n : tuple[2]) {
        port.shape.push_back(py::cast<py::ssize_t>(n));
        count *= static_cast<size_t>(port.shape.back());
    }
    if (port.shape.size() >= MOST_DIMENSIONS) {
        throw py::value_error("Session: " + port.name + " has more than " + std::to_string(MOST_DIMENSIONS) + " dimensions");
    }
    port.bytes = count * static_cast<size_t>(port.dtype.itemsize());
    port.quantize = {static_cast<uint32_t>(count), py::cast<float>(tuple[4]), py::cast<int8_t>(tuple[5])};
    return port;
}

// The same tensor as real numbers: what a caller of predict exchanges for it.
inline Port real_port(const Port &port)
{
    Port real = port;
    real.dtype = py::dtype::of<float>();
    real.bytes = size_t{port.quantize.count} * sizeof(float);
    return real;
}

inline std::vector<Port> ports_of(py::handle source)
{
    std::vector<Port> ports;
    for (py::handle p : source) {
        ports.push_back(port_of(p));
    }
    return ports;
}

inline std::string shape_text(const py::array &a)
{
    std::string s = py::cast<std::string>(py::str(py::object(a.dtype()))) + "[";
    for (py::ssize_t i = 0; i < a.ndim(); ++i) {
        s += (i ? ", " : "") + std::to_string(a.shape(i));
    }
    return s + "]";
}

inline std::string type_text(py::handle object)
{
    return py::cast<std::string>(py::type::handle_of(object).attr("__name__"));
}

inline bool has_shape(const py::array &a, const Port &port)
{
    bool fits = static_cast<size_t>(a.ndim()) == port.shape.size() + 1;
    for (size_t i = 0; fits && i < port.shape.size(); ++i) {
        fits = a.shape(static_cast<py::ssize_t>(i) + 1) == port.shape[i];
    }
    return fits;
}

inline bool has_dtype(const py::array &a, const Port &port)
{
    const py::dtype dtype = a.dtype();
    return dtype.is(port.dtype) || dtype.equal(port.dtype);
}

[[noreturn]] inline void refuse(const char *function, const char *argument, py::handle object, const Port &port)
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

[[noreturn]] inline void refuse_batch(const char *function, const char *argument, const Port &port, py::ssize_t found,
                                      py::ssize_t expected)
{
    throw py::value_error(std::string(function) + ": " + argument + " (" + port.name + ") has a batch of " +
                          std::to_string(found) + ", the others of " + std::to_string(expected));
}

// Checks dtype, shape and layout; never converts. Returns the batch size.
inline py::ssize_t check_array(const char *function, const char *argument, py::handle object, const Port &port)
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
inline std::vector<py::array> arrays_of(const char *function, const char *argument, py::handle object,
                                        const std::vector<Port> &ports, py::ssize_t &batch)
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
            refuse_batch(function, argument, ports[i], n, batch);
        }
        batch = n;
        arrays.push_back(py::reinterpret_borrow<py::array>(items[i]));
    }
    return arrays;
}

inline py::object result_of(const std::vector<py::array> &arrays)
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

inline bool overlap(const py::array &a, const py::array &b)
{
    const auto *p = static_cast<const uint8_t *>(a.data());
    const auto *q = static_cast<const uint8_t *>(b.data());
    return p < q + b.nbytes() && q < p + a.nbytes();
}

// Bytes of arrays, one pointer a port.
template <typename Byte> std::vector<Byte *> pointers_of(const std::vector<py::array> &arrays)
{
    std::vector<Byte *> pointers;
    for (const auto &a : arrays) {
        pointers.push_back(static_cast<Byte *>(const_cast<void *>(a.data())));
    }
    return pointers;
}

inline void load(uint8_t *arena, const std::vector<Port> &ports, const std::vector<const uint8_t *> &from, size_t n)
{
    for (size_t i = 0; i < ports.size(); ++i) {
        ports[i].load(arena, from[i], n);
    }
}

inline void store(const uint8_t *arena, const std::vector<Port> &ports, const std::vector<uint8_t *> &to, size_t n)
{
    for (size_t i = 0; i < ports.size(); ++i) {
        ports[i].store(arena, to[i], n);
    }
}

inline void load_real(const eng_edges &edges, uint8_t *arena, const Port &port, const float *from)
{
    if (port.quantize.scale > 0.0F) {
        edges.quantize_f32_s8(&port.quantize, from, reinterpret_cast<int8_t *>(arena + port.offset));
    } else {
        std::memcpy(arena + port.offset, from, port.bytes);
    }
}

inline void store_real(const eng_edges &edges, const uint8_t *arena, const Port &port, float *to)
{
    if (port.quantize.scale > 0.0F) {
        edges.dequantize_s8_f32(&port.quantize, reinterpret_cast<const int8_t *>(arena + port.offset), to);
    } else {
        std::memcpy(to, arena + port.offset, port.bytes);
    }
}

} // namespace engine

#endif
