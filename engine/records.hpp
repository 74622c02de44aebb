// SPDX-License-Identifier: Apache-2.0
// From the objects of engine/program.py to the records of the core: params, and what they point to.
#ifndef ENGINE_RECORDS_HPP
#define ENGINE_RECORDS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include <pybind11/numpy.h>

#include "eng/model.h"

namespace engine
{

namespace py = pybind11;

template <typename T> T field(py::handle object, const char *name)
{
    return py::cast<T>(object.attr(name));
}

inline eng_window window_of(py::handle w)
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

inline eng_rescale rescale_of(py::handle r)
{
    return {field<int32_t>(r, "mult"), field<uint8_t>(r, "left"), field<uint8_t>(r, "right")};
}

inline eng_output_s8 output_of(py::handle y)
{
    return {field<int8_t>(y, "zero"), field<int8_t>(y, "lo"), field<int8_t>(y, "hi")};
}

// Params of one layer and what they point to. Its address must not change: layers point into it.
struct Record {
    union {
        eng_dense_s8_params dense;
        eng_dense_wide_s8_params dense_wide;
        eng_conv2d_s8_params conv2d;
        eng_conv2d_max_pool2d_s8_params conv2d_max_pool2d;
        eng_pool2d_s8_params pool2d;
        eng_requantize_s8_params requantize;
        eng_softmax_s8_params softmax;
        eng_argmax_s8_params argmax;
        eng_quantize_params quantize;
        eng_add_s8_params add;
        eng_mul_s8_params mul;
        eng_mean_s8_params mean;
        eng_copy_s8_params copy;
        eng_pad_s8_params pad;
        eng_lookup_s8_params lookup;
    } params{};
    std::vector<eng_rescale> rescale;
    std::vector<eng_ratio> ratio;
    std::vector<int32_t> table;
    std::vector<int8_t> codes;
    py::object w, bias;
};

// Rescale records, as many as the kernel will read.
inline const eng_rescale *rescales_of(Record &record, py::handle params, size_t out)
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

inline void fill_dense(Record &record, py::handle p)
{
    auto &r = record.params.dense;
    r.in = field<uint16_t>(p, "in_");
    r.out = field<uint16_t>(p, "out");
    r.rescale_step = field<uint8_t>(p, "rescale_step");
    r.y = output_of(p.attr("y"));
    r.rescale = rescales_of(record, p, r.out);
}

inline void fill_dense_wide(Record &record, py::handle p)
{
    auto &r = record.params.dense_wide;
    for (py::handle ratio : p.attr("ratio")) {
        record.ratio.push_back({field<uint32_t>(ratio, "low"), field<uint32_t>(ratio, "high")});
    }
    r.rows = field<uint32_t>(p, "rows");
    r.in = field<uint16_t>(p, "in_");
    r.out = field<uint16_t>(p, "out");
    r.ratio_step = field<uint8_t>(p, "ratio_step");
    r.y = output_of(p.attr("y"));
    r.ratio = record.ratio.data();
    if (record.ratio.size() != (r.ratio_step != 0 ? r.out : 1U)) {
        throw py::value_error("Session: ratios do not fit the layer's outputs");
    }
}

inline void fill_conv2d(Record &record, eng_conv2d_s8_params &r, py::handle p)
{
    r.window = window_of(p.attr("window"));
    r.in_c = field<uint16_t>(p, "in_c");
    r.out_c = field<uint16_t>(p, "out_c");
    r.zero_x = field<int8_t>(p, "zero_x");
    r.rescale_step = field<uint8_t>(p, "rescale_step");
    r.y = output_of(p.attr("y"));
    r.rescale = rescales_of(record, p, r.out_c);
}

inline void fill_plain_conv2d(Record &record, py::handle p)
{
    fill_conv2d(record, record.params.conv2d, p);
}

inline void fill_conv2d_max_pool2d(Record &record, py::handle p)
{
    auto &r = record.params.conv2d_max_pool2d;
    fill_conv2d(record, r.conv, p.attr("conv"));
    r.pool = window_of(p.attr("pool"));
}

inline void fill_pool2d(Record &record, py::handle p)
{
    auto &r = record.params.pool2d;
    r.window = window_of(p.attr("window"));
    r.channels = field<uint16_t>(p, "channels");
    r.lo = field<int8_t>(p, "lo");
    r.hi = field<int8_t>(p, "hi");
}

inline void fill_requantize(Record &record, py::handle p)
{
    auto &r = record.params.requantize;
    r.count = field<uint32_t>(p, "count");
    r.zero_x = field<int8_t>(p, "zero_x");
    r.rescale = rescale_of(p.attr("rescale"));
    r.y = output_of(p.attr("y"));
}

inline void fill_softmax(Record &record, py::handle p)
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

inline void fill_argmax(Record &record, py::handle p)
{
    auto &r = record.params.argmax;
    r.rows = field<uint32_t>(p, "rows");
    r.size = field<uint16_t>(p, "size");
}

inline void fill_quantize(Record &record, py::handle p)
{
    auto &r = record.params.quantize;
    r.count = field<uint32_t>(p, "count");
    r.scale = field<float>(p, "scale");
    r.zero = field<int8_t>(p, "zero");
}

inline eng_broadcast broadcast_of(py::handle b)
{
    return {field<uint32_t>(b, "size"), field<uint32_t>(b, "repeat")};
}

inline void fill_add(Record &record, py::handle p)
{
    auto &r = record.params.add;
    r.count = field<uint32_t>(p, "count");
    r.x = broadcast_of(p.attr("x"));
    r.x2 = broadcast_of(p.attr("x2"));
    r.zero_x = field<int8_t>(p, "zero_x");
    r.zero_x2 = field<int8_t>(p, "zero_x2");
    r.rescale_x = rescale_of(p.attr("rescale_x"));
    r.rescale_x2 = rescale_of(p.attr("rescale_x2"));
    r.rescale_y = rescale_of(p.attr("rescale_y"));
    r.y = output_of(p.attr("y"));
}

inline void fill_mul(Record &record, py::handle p)
{
    auto &r = record.params.mul;
    r.count = field<uint32_t>(p, "count");
    r.x = broadcast_of(p.attr("x"));
    r.x2 = broadcast_of(p.attr("x2"));
    r.zero_x = field<int8_t>(p, "zero_x");
    r.zero_x2 = field<int8_t>(p, "zero_x2");
    r.rescale = rescale_of(p.attr("rescale"));
    r.y = output_of(p.attr("y"));
}

inline void fill_mean(Record &record, py::handle p)
{
    auto &r = record.params.mean;
    r.pixels = field<uint32_t>(p, "pixels");
    r.channels = field<uint16_t>(p, "channels");
    r.zero_x = field<int8_t>(p, "zero_x");
    r.rescale = rescale_of(p.attr("rescale"));
    r.y = output_of(p.attr("y"));
}

inline void fill_copy(Record &record, py::handle p)
{
    auto &r = record.params.copy;
    r.rows = field<uint32_t>(p, "rows");
    r.size = field<uint32_t>(p, "size");
    r.stride = field<uint32_t>(p, "stride");
    r.first = field<uint32_t>(p, "first");
}

inline void fill_pad(Record &record, py::handle p)
{
    auto &r = record.params.pad;
    r.in_h = field<uint16_t>(p, "in_h");
    r.in_w = field<uint16_t>(p, "in_w");
    r.channels = field<uint16_t>(p, "channels");
    r.top = field<uint16_t>(p, "top");
    r.bottom = field<uint16_t>(p, "bottom");
    r.left = field<uint16_t>(p, "left");
    r.right = field<uint16_t>(p, "right");
    r.front = field<uint16_t>(p, "front");
    r.back = field<uint16_t>(p, "back");
    r.value = field<int8_t>(p, "value");
}

inline void fill_lookup(Record &record, py::handle p)
{
    auto &r = record.params.lookup;
    for (py::handle code : p.attr("codes")) {
        record.codes.push_back(py::cast<int8_t>(code));
    }
    r.count = field<uint32_t>(p, "count");
    r.codes = record.codes.data();
    if (record.codes.size() != 256) {
        throw py::value_error("Session: look-up table does not have 256 codes");
    }
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
    {"depthwise_conv2d_s8", fill_plain_conv2d},
    {"add_s8", fill_add},
    {"sub_s8", fill_add},
    {"mul_s8", fill_mul},
    {"mean_s8", fill_mean},
    {"copy_s8", fill_copy},
    {"pad_s8", fill_pad},
    {"lookup_s8", fill_lookup},
    {"requantize_u8_s8", fill_requantize},
    {"requantize_s8_u8", fill_requantize},
    {"quantize_f32_u8", fill_quantize},
    {"dequantize_u8_f32", fill_quantize},
    {"dense_wide_s8", fill_dense_wide},
}};

inline uint8_t op_of(const std::string &name)
{
    for (size_t op = 0; op < KERNELS.size(); ++op) {
        if (KERNELS[op].name == name) {
            return static_cast<uint8_t>(op);
        }
    }
    throw py::value_error("Session: there is no kernel '" + name + "'");
}

// Elements of weights and biases that the kernel will read.
inline std::pair<size_t, size_t> constants_of(uint8_t op, const Record &record)
{
    if (op == ENG_OP_DENSE_S8) {
        const auto &p = record.params.dense;
        return {size_t{p.in} * p.out, p.out};
    }
    if (op == ENG_OP_DENSE_WIDE_S8) {
        const auto &p = record.params.dense_wide;
        return {size_t{p.in} * p.out, p.out};
    }
    if (op == ENG_OP_ADD_S8 || op == ENG_OP_SUB_S8) { // a constant second input, if there is one
        return {record.params.add.x2.size, 0};
    }
    if (op == ENG_OP_MUL_S8) {
        return {record.params.mul.x2.size, 0};
    }
    if (op == ENG_OP_CONV2D_S8 || op == ENG_OP_CONV2D_MAX_POOL2D_S8) {
        const auto &p = op == ENG_OP_CONV2D_S8 ? record.params.conv2d : record.params.conv2d_max_pool2d.conv;
        return {size_t{p.window.kernel_h} * p.window.kernel_w * p.in_c * p.out_c, p.out_c};
    }
    if (op == ENG_OP_DEPTHWISE_CONV2D_S8) {
        const auto &p = record.params.conv2d;
        return {size_t{p.window.kernel_h} * p.window.kernel_w * p.out_c, p.out_c};
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

} // namespace engine

#endif
