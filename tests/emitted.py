"""Compiles emitted C together with the core for the host, and calls it."""

import ctypes
import functools
import re
import tempfile
from pathlib import Path

import compilers
import numpy as np

#: Sources of the core that inference needs.
CORE = sorted(
    path
    for path in (compilers.ROOT / "csrc" / "src").glob("*.c")
    if path.stem == "quantize_f32"
    or not path.stem.endswith(("_f32", "_f16", "_int", "model", "model_check", "random", "rng_next"))
)
HEADERS = ("eng/infer_s8.h", "eng/tensor_s8.h")
TEXT = "".join((compilers.ROOT / "csrc/include" / header).read_text() for header in HEADERS)
KERNELS = re.findall(r"^void (eng_\w+)\(", TEXT, re.MULTILINE)


@functools.cache
def core_objects():
    """The core, compiled once."""
    folder = Path(tempfile.mkdtemp())
    compilers.run([*compilers.host(), "-c", *CORE], cwd=folder)
    return sorted(folder.glob("*.o"))


def tracing_header(folder):
    """A header that makes every kernel call in model_run save the arena behind it."""
    lines = [*(f'#include "{header}"' for header in HEADERS), "void save(const uint8_t *arena);"]
    lines += [f"#define {kernel}(...) ({kernel}(__VA_ARGS__), save(arena))" for kernel in KERNELS]
    path = folder / "tracing.h"
    path.write_text("\n".join(lines) + "\n")
    return path


class Emitted:
    """Emitted C as a library: `run`, `selftest`, and `trace`, the arena after every kernel call."""

    def __init__(self, files, name, model, folder):
        self.model, self.name = model, name
        for file, text in files.items():
            (folder / file).write_text(text)
        header = tracing_header(folder)
        library = folder / f"{name}.so"
        command = [*compilers.host(), "-I", folder, "-include", header, "-c", folder / f"{name}.c", "-o", folder / f"{name}.o"]
        compilers.run(command)
        extra = folder / "save.c"
        extra.write_text(
            "#include <stdint.h>\nvoid save(const uint8_t *);\nvoid (*hook)(const uint8_t *);\n"
            "void save(const uint8_t *arena) { if (hook) hook(arena); }\n"
        )
        compilers.run([*compilers.host(), "-shared", extra, folder / f"{name}.o", *core_objects(), "-lm", "-o", library])
        self.library = ctypes.CDLL(str(library))
        size = int(self.macro(files, "ARENA").rstrip("u"))
        self.arena = np.zeros(size // 4 + 1, np.uint32).view(np.uint8)[:size]

    def macro(self, files, suffix):
        return re.search(rf"#define {self.name.upper()}_{suffix} (.*)", files[f"{self.name}.h"])[1]

    def run(self, x):
        """Run one input; return the output and a copy of the arena after every kernel call."""
        traces = []
        hook_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        hook = hook_type(lambda _: traces.append(self.arena.copy()))
        pointer = ctypes.c_void_p.in_dll(self.library, "hook")
        pointer.value = ctypes.cast(hook, ctypes.c_void_p).value
        self.arena[:] = 0xA5
        start = self.model.program.input_offsets[0]
        data = np.ascontiguousarray(x).view(np.uint8).ravel()
        self.arena[start : start + data.size] = data
        self.library[f"{self.name}_run"](self.arena.ctypes.data_as(ctypes.c_void_p))
        pointer.value = None
        return self.read(self.model.program.output_offsets[0], self.model.output), traces

    def read(self, offset, tensor, arena=None):
        arena = self.arena if arena is None else arena
        size = int(np.prod(tensor.shape)) * tensor.dtype.itemsize
        return arena[offset : offset + size].copy().view(tensor.dtype).reshape(tensor.shape)

    def selftest(self):
        return self.library[f"{self.name}_selftest"](self.arena.ctypes.data_as(ctypes.c_void_p))
