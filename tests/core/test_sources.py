"""The C sources as such: every header alone, every source with avr-gcc, undefined symbols, and twins in Python."""

import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

import engine
from engine import kernels, program

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "csrc" / "include"
HEADERS = sorted(p.relative_to(INCLUDE).as_posix() for p in INCLUDE.rglob("*.h"))
SOURCES = sorted((ROOT / "csrc" / "src").glob("*.c"))
COMMON = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wundef",
    "-Werror",
    f"-I{INCLUDE}",
]
STRICT = [*COMMON, "-Wcast-qual", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wdouble-promotion", "-std=c11"]
CC, CXX, AVR = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++"), "avr-gcc"
#: What the core may need from outside: compiler helpers, two of the C library, and float functions of libm.
ALLOWED = re.compile(
    r"__\w+|_GLOBAL_OFFSET_TABLE_|memcpy|memset|memmove|memcmp|(sqrt|exp|log|pow|fabs|floor|ceil|round|rint|lrint|tanh|cos|sin)f"
)
AVR_OPTIONS = ["-mmcu=avrxmega3", "-ffunction-sections", "-fdata-sections"]


def compile_to(out: Path, command: list[str], source: Path) -> Path:
    done = subprocess.run([*command, "-c", str(source), "-o", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} {source.name}:\n{done.stderr}"
    return out


def undefined(compiler_nm: str, objects: list[Path]) -> set[str]:
    """Symbols that the objects need and none of them defines."""
    listing = subprocess.run([compiler_nm, *map(str, objects)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines() if line.strip() and not line.endswith(":")]
    defined = {row[-1] for row in rows if row[-2] not in "Uw"}
    return {row[-1] for row in rows if row[-2] in "Uw"} - defined


def changing(size: str, objects: list[Path]) -> list[str]:
    """Sections of variables that could change."""
    sections = subprocess.run([size, "-A", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    return [line for line in sections.splitlines() if re.match(r"\.(data|bss)(?!\.rel\.ro)\S*\s+[1-9]", line)]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("compiler", "suffix", "options"), [(CC, ".c", STRICT), (CXX, ".cpp", [*COMMON, "-std=c++17"])])
def test_header_compiles_alone(tmp_path, header, compiler, suffix, options):
    source = tmp_path / f"alone{suffix}"
    source.write_text(f'#include "{header}"\nint alone_exists(void);\nint alone_exists(void) {{ return 0; }}\n')
    compile_to(tmp_path / "alone.o", [compiler, *options], source)


def test_host_needs_nothing_but_what_is_allowed(tmp_path):
    objects = [compile_to(tmp_path / f"{s.stem}.o", [CC, *STRICT, "-O2", "-fPIC"], s) for s in SOURCES]
    assert {s for s in undefined("nm", objects) if not ALLOWED.fullmatch(s)} == set()
    assert changing("size", objects) == [], "the core must not have globals that change"


@pytest.mark.parametrize("optimize", ["-Os", "-O2"])
def test_avr_compiles_every_source(tmp_path, optimize):
    assert shutil.which(AVR), "avr-gcc is missing; on Debian: apt-get install gcc-avr binutils-avr avr-libc"
    command = [AVR, *AVR_OPTIONS, *STRICT, optimize]
    objects = [compile_to(tmp_path / f"{s.stem}.o", command, s) for s in SOURCES]
    assert {s for s in undefined("avr-nm", objects) if not ALLOWED.fullmatch(s)} == set()
    assert changing("avr-size", objects) == [], "constants must stay in flash, and nothing may change"


def test_classic_avr_reads_flash_by_lpm(tmp_path):
    """ATmega328P: the inference kernels compile with ENG_FLASH_LPM, and then do read by LPM."""
    command = [AVR, "-mmcu=atmega328p", "-DENG_FLASH_LPM", *STRICT, "-O2"]
    for name in ("dot_s8", "dense_s8", "conv2d_patch_sum_s8", "softmax_s8", "depthwise_conv2d_s8", "lookup_s8"):
        code = compile_to(tmp_path / f"{name}.o", command, ROOT / "csrc" / "src" / f"{name}.c")
        listing = subprocess.run(["avr-objdump", "-d", str(code)], capture_output=True, text=True, check=True).stdout
        assert re.search(r"\blpm\b", listing), name


def test_dense_engine_is_small(tmp_path):
    """Dense, softmax and what they call from the library, linked: the whole arithmetic of a dense network on the chip."""
    source = tmp_path / "main.c"
    source.write_text(
        '#include "eng.h"\nstatic eng_dense_s8_params d;\nstatic eng_softmax_s8_params s;\n'
        "static int8_t x[4];\nstatic int32_t b[4];\n"
        "int main(void) { eng_dense_s8(&d, x, x, b, x); eng_softmax_s8(&s, x, x); return 0; }\n"
    )
    elf = tmp_path / "main.elf"
    flags = [*AVR_OPTIONS, *STRICT, "-O2", "-nostartfiles", "-Wl,--gc-sections", "-Wl,-e,main"]
    subprocess.run([AVR, *flags, str(source), *map(str, SOURCES), "-o", str(elf)], check=True)
    text = int(
        subprocess.run(["avr-size", str(elf)], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()[0]
    )
    assert text <= 2300, f"{text} B"


def test_versions_agree():
    header = (INCLUDE / "eng.h").read_text()
    text = re.search(r'#define ENG_VERSION\s+"([^"]+)"', header)
    parts = [re.search(rf"#define ENG_VERSION_{part}\s+(\d+)", header) for part in ("MAJOR", "MINOR", "PATCH")]
    assert text is not None
    assert text[1] == engine.__version__ == ".".join(m[1] for m in parts if m)


STRUCTS = {
    "eng_window": program.Window,
    "eng_rescale": program.Rescale,
    "eng_output_s8": program.OutputS8,
    "eng_ratio": program.Ratio,
    "eng_dense_s8_params": program.DenseParams,
    "eng_dense_wide_s8_params": program.DenseWideParams,
    "eng_conv2d_s8_params": program.Conv2DParams,
    "eng_conv2d_max_pool2d_s8_params": program.Conv2DMaxPool2DParams,
    "eng_pool2d_s8_params": program.Pool2DParams,
    "eng_requantize_s8_params": program.RequantizeParams,
    "eng_softmax_s8_params": program.SoftmaxParams,
    "eng_argmax_s8_params": program.ArgmaxParams,
    "eng_quantize_params": program.QuantizeParams,
    "eng_broadcast": program.Broadcast,
    "eng_add_s8_params": program.AddParams,
    "eng_mul_s8_params": program.MulParams,
    "eng_mean_s8_params": program.MeanParams,
    "eng_copy_s8_params": program.CopyParams,
    "eng_pad_s8_params": program.PadParams,
    "eng_lookup_s8_params": program.LookupParams,
}


def c_members(struct: str) -> list[str]:
    """Names of a struct's members in order, from the headers."""
    text = "".join((INCLUDE / h).read_text() for h in HEADERS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    body = re.search(rf"typedef struct \{{([^}}]*)\}} {struct};", text)
    assert body is not None, struct
    return [name for line in body[1].split(";") for name in re.findall(r"(\w+)\s*(?:,|$)", line.strip())]


@pytest.mark.parametrize("struct", STRUCTS)
def test_python_twins_have_the_same_members(struct):
    assert [f.name.rstrip("_") for f in fields(STRUCTS[struct])] == c_members(struct)


def test_kernels_are_the_operators_of_the_core():
    text = (INCLUDE / "eng" / "model.h").read_text()
    body = re.search(r"typedef enum \{(.*?)\} eng_op;", text, re.DOTALL)
    assert body is not None
    names = re.findall(r"ENG_OP_(\w+)", body[1])
    assert [*(kernel.upper() for kernel in program.KERNELS), "COUNT"] == names


@pytest.mark.parametrize("kernel", program.KERNELS)
def test_every_kernel_is_declared_and_bound(kernel):
    headers = "".join((INCLUDE / "eng" / name).read_text() for name in ("infer_s8.h", "tensor_s8.h"))
    assert re.search(rf"\bvoid eng_{kernel}\(", headers)
    assert callable(getattr(kernels, kernel))
