// SPDX-License-Identifier: Apache-2.0
// The base class of engine.Model: a Python type whose `run` goes from the interpreter to a session without pybind11's
// dispatcher and without a Python frame, which cost more than a small network does.
#ifndef ENGINE_RUNNER_HPP
#define ENGINE_RUNNER_HPP

#include <array>
#include <exception>
#include <new>
#include <string>

#include <pybind11/pybind11.h>

namespace engine
{

namespace py = pybind11;

// What a Runner runs.
class Runnable
{
  public:
    Runnable() = default;
    Runnable(const Runnable &) = delete;
    Runnable &operator=(const Runnable &) = delete;
    virtual ~Runnable() = default;
    virtual py::object run(py::handle x, py::handle out) = 0;
};

struct Runner {
    PyObject_HEAD PyObject *session; // keeps `runnable` alive; null until attached
    Runnable *runnable;
};

constexpr const char *RUN_DOCUMENTATION = R"(run($self, x, *, out=None)
--

Run a batch.

Parameters
----------
x : int8[N, ...] or float32[N, ...]
    Element type and shape of :attr:`input`, with any batch N as first dimension; row-major. A tuple of arrays for a
    model with several inputs.
out : array, optional
    Where to write: element type and shape of the result exactly, row-major, writeable, apart from `x`.

Returns
-------
array
    ``[N, ...]`` like :attr:`output`, the bytes of TensorFlow Lite's reference kernels; `out` if it was given. A tuple
    for a model with several outputs.

Raises
------
TypeError
    If `x` or `out` is no array or has another element type: nothing is converted silently.
ValueError
    If a shape differs, an array is strided, or `out` cannot be written.

Notes
-----
Batches of much work are split over the model's threads; see :func:`engine.load`. The bytes are the same whatever the
number of threads.
)";

// Values of `x` and `out` as the interpreter passes them: positions first, then `names`.
struct RunArguments {
    PyObject *x = nullptr;
    PyObject *out = nullptr;

    RunArguments(PyObject *const *args, Py_ssize_t count, PyObject *names)
    {
        if (count > 1) {
            throw py::type_error("run: takes one positional argument, x; " + std::to_string(count) + " were given");
        }
        x = count > 0 ? args[0] : nullptr;
        const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
        for (Py_ssize_t i = 0; i < named; ++i) {
            take(PyTuple_GET_ITEM(names, i), args[count + i]);
        }
        if (x == nullptr) {
            throw py::type_error("run: x is missing");
        }
        out = out == nullptr ? Py_None : out;
    }

  private:
    void take(PyObject *name, PyObject *value)
    {
        if (PyUnicode_CompareWithASCIIString(name, "out") == 0) {
            out = value;
        } else if (PyUnicode_CompareWithASCIIString(name, "x") == 0 && x == nullptr) {
            x = value;
        } else {
            throw py::type_error("run: unexpected or repeated argument " + py::cast<std::string>(py::repr(name)) +
                                 "; it takes x and out");
        }
    }
};

// The Python exception for the C++ exception being handled.
inline void set_error()
{
    try {
        throw;
    } catch (py::error_already_set &error) {
        error.restore();
    } catch (const py::builtin_exception &error) {
        error.set_error();
    } catch (const std::bad_alloc &) {
        PyErr_NoMemory();
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
}

inline PyObject *runner_run(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    try {
        auto *runner = reinterpret_cast<Runner *>(self);
        const RunArguments given(args, count, names);
        if (runner->runnable == nullptr) {
            throw py::type_error("run: the model has not been initialized");
        }
        const auto alive = py::reinterpret_borrow<py::object>(runner->session);
        return runner->runnable->run(given.x, given.out).release().ptr();
    } catch (...) {
        set_error();
        return nullptr;
    }
}

inline PyObject *runner_attach(PyObject *self, PyObject *session)
{
    try {
        auto *runner = reinterpret_cast<Runner *>(self);
        runner->runnable = py::cast<Runnable *>(py::handle(session));
        Py_INCREF(session);
        Py_XSETREF(runner->session, session);
        Py_RETURN_NONE;
    } catch (...) {
        set_error();
        return nullptr;
    }
}

inline void runner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(reinterpret_cast<Runner *>(self)->session);
    type->tp_free(self);
    Py_DECREF(type);
}

inline py::object runner_type()
{
    static std::array<PyMethodDef, 3> methods = {{
        {"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(runner_run)), METH_FASTCALL | METH_KEYWORDS,
         RUN_DOCUMENTATION},
        {"_attach", runner_attach, METH_O, "_attach($self, session, /)\n--\n\nSay which session runs."},
        {nullptr, nullptr, 0, nullptr},
    }};
    static std::array<PyType_Slot, 5> slots = {{
        {Py_tp_methods, methods.data()},
        {Py_tp_dealloc, reinterpret_cast<void *>(runner_dealloc)},
        {Py_tp_new, reinterpret_cast<void *>(PyType_GenericNew)},
        {Py_tp_doc, const_cast<char *>("What a session is attached to so that it runs; base class of engine.Model.")},
        {0, nullptr},
    }};
    static PyType_Spec spec = {"engine._session.Runner", sizeof(Runner), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                               slots.data()};
    PyObject *type = PyType_FromSpec(&spec);
    if (type == nullptr) {
        throw py::error_already_set();
    }
    return py::reinterpret_steal<py::object>(type);
}

} // namespace engine

#endif
