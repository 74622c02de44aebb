"""avr-gcc found or not, the image's layout and budgets, startup, and what may be linked."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from firmware.fakes import FIRMWARE

from engine.errors import DoesNotFitError
from enginekit import toolchain
from enginekit.sim import Chip
from firmware import tiny


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-f", str(FIRMWARE / "Makefile"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C", **environment}, check=False
    )


#: Tests of what stands in for a device that the compiler does not know.
stand_in = pytest.mark.skipif(toolchain.find().device == "atmega4809", reason="the toolchain brings startup and memory map")


def write_program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def built_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the core's objects already; saves compiling them in every test."""
    folder = tmp_path_factory.mktemp("shared")
    toolchain.build_firmware(tiny.files(), folder)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> toolchain.FirmwareImage:
    return toolchain.build_firmware(tiny.files(), tmp_path_factory.mktemp("tiny"))


def test_find() -> None:
    found = toolchain.find()
    assert found.gcc.name == "avr-gcc"
    assert found.device in ("atmega4809", "avrxmega3")
    assert "avr-gcc" in found.version


def test_without_avr_gcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        toolchain.ToolchainError, match=r"avr-gcc, .*make: not found on the PATH.*apt-get install gcc-avr binutils-avr"
    ):
        toolchain.build_firmware(tiny.files(), tmp_path / "out")


def test_with_a_broken_avr_gcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_program(tmp_path, "avr-gcc", "echo 'cannot find crtsomething.o' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(
        toolchain.ToolchainError, match=r"cannot build for the ATmega4809: cannot find crtsomething.o\n.*apt-get"
    ):
        toolchain.find()
    assert "apt-get install gcc-avr" in make(f"BUILD={tmp_path}/b", f"MODEL={tmp_path}").stderr


def test_the_compilers_words_are_passed_on(built_before: Path) -> None:
    files = tiny.files()
    files["model.c"] += "int stray = no_such_thing;\n"
    with pytest.raises(toolchain.ToolchainError, match=r"model.c:.*error: 'no_such_thing' undeclared"):
        toolchain.build_firmware(files, built_before)
    with pytest.raises(ValueError, match=r"files has \['model.c'\]; expected model.c and model.h"):
        toolchain.build_firmware({"model.c": ""}, built_before)
    with pytest.raises(ValueError, match="usart is 4"):
        toolchain.build_firmware(tiny.files(), built_before, usart=4)


def test_constants_are_read_where_the_chip_maps_its_flash(image: toolchain.FirmwareImage) -> None:
    rodata = image.sections[".rodata"]
    assert rodata.address == rodata.load_address + 0x4000
    assert image.sections[".bss"].address == 0x2800
    table = re.search(
        r"^\.rodata +(0x\w+) +(0x\w+) load address (0x\w+)", (image.elf.parent / "firmware.map").read_text(), re.M
    )
    assert table is not None
    address, _, load = (int(each, 16) for each in table.groups())
    assert address == load + 0x4000


def test_an_image_linked_for_another_map_is_refused(image: toolchain.FirmwareImage, tmp_path: Path) -> None:
    """As avr-gcc without the device links by default: silently, and wrong."""
    (tmp_path / "x.c").write_text("const char k[3] = {1, 2, 3}; volatile int n; int main(void) { return k[n]; }\n")
    command = ["avr-gcc", "-mmcu=avrxmega3", "-nostartfiles", "-Os", "x.c", "-o", "x.elf"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with pytest.raises(toolchain.ToolchainError, match=r"\.rodata is stored at 0x\w+ and would be read at 0x8"):
        toolchain.read_image(tmp_path / "x.elf")
    done = subprocess.run([*command, FIRMWARE / "flash_map.ld"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the ATmega4809 maps flash at 0x4000" in done.stderr


def test_sizes_add_up(image: toolchain.FirmwareImage) -> None:
    assert image.flash == sum(image.sections[name].size for name in (".text", ".rodata"))
    assert image.model_data == tiny.Y_SIZE
    assert image.code == image.flash - tiny.Y_SIZE
    assert image.ram >= 17
    names = {symbol.name: symbol for symbol in image.symbols}
    assert names["arena"].size == 17
    assert names["w"].source == "model.c"
    hexfile = image.hex.read_text().splitlines()
    assert sum(int(line[1:3], 16) for line in hexfile if line[7:9] == "00") == image.flash


@stand_in
@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ({"flash": 100_000}, {}, r"flash: (\d+) of 48640 B, of them 100005 B the model's data, (\d+) B too many$"),
        ({"arena": 7000}, {}, r"RAM: (\d+) B and 320 B for the stack of 6144 B, (\d+) B too many$"),
        ({"flash": 50_000, "arena": 6100}, {}, r"flash: .* B too many; RAM: .* B too many$"),
        ({}, {"flash": 1000}, r"flash: (\d+) of 1000 B"),
        ({}, {"ram": 100}, r"RAM: \d+ B and 320 B for the stack of 100 B"),
    ],
)
def test_what_does_not_fit_says_by_how_much(
    built_before: Path, model: dict[str, int], options: dict[str, int], message: str
) -> None:
    with pytest.raises(DoesNotFitError, match=message):
        toolchain.build_firmware(tiny.files(**model), built_before, **options)  # type: ignore[arg-type]
    assert not (built_before / "firmware.elf").exists()
    assert not (built_before / "firmware.hex").exists()


def test_the_budget_is_exact(built_before: Path) -> None:
    small = toolchain.build_firmware(tiny.files(), built_before)
    exact = toolchain.build_firmware(tiny.files(), built_before, flash=small.flash, ram=small.ram + 50, stack=50)
    assert exact.flash == small.flash
    for limits in ({"flash": small.flash - 1}, {"ram": small.ram + 50, "stack": 51}):
        with pytest.raises(DoesNotFitError, match=r", 1 B too many$"):
            toolchain.build_firmware(tiny.files(), built_before, **limits)


def test_the_makefile_alone(tmp_path: Path) -> None:
    for name, text in tiny.files().items():
        (tmp_path / name).write_text(text)
    where = (f"MODEL={tmp_path}", f"BUILD={tmp_path}/build")
    done = make(*where, "size")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^flash +\d+ of +48640 B$", done.stdout, re.M)
    assert re.search(r"^RAM +\d+ of +6144 B, with 320 B for the stack$", done.stdout, re.M)
    assert "link_receive" in done.stdout
    assert "avr-gcc" not in make(*where).stdout  # nothing to do
    over = make(*where, "FLASH=1000", "RAM=200")
    assert over.returncode != 0
    assert re.search(r"^flash +(\d+) of +1000 B: \d+ B too many$", over.stdout, re.M)
    assert re.search(r"^RAM +\d+ of +200 B, with 320 B for the stack: \d+ B too many$", over.stdout, re.M)
    assert not (tmp_path / "build/firmware.elf").exists()
    assert "-DUSART=1" in make(*where, "USART=1").stdout  # other options rebuild


ALLOWED = re.compile(
    r"__\w+|eng_\w+|model_\w+|link_\w+|usart_\w+|timer_\w+|stack_\w+|clock_\w+|main|answer\w*|refuse|respond|requests|card|arena"
    r"|raw|nothing|overhead|w|decoder|filled|exchange_\w+|request|known|has_size|place|damage\w*|note_damage|send|stuffed\w*|plain_byte|header_byte|source_byte"
    r"|block_length|check_byte|broken|delimiter|complete|body_done|mem(cpy|set|cmp)"
)


def test_nothing_else_gets_linked(image: toolchain.FirmwareImage) -> None:
    strangers = [
        symbol.name
        for symbol in image.symbols
        if not ALLOWED.fullmatch(re.sub(r"\.(constprop|isra|part)\.\d+", "", symbol.name))
    ]
    assert strangers == []
    floats = [symbol.name for symbol in image.symbols if re.search(r"__(add|sub|mul|div|float|fix)\w*sf", symbol.name)]
    assert floats == []


def test_an_assembly_twin_replaces_the_portable_file(image: toolchain.FirmwareImage) -> None:
    """make's dependency files say what each object was made of."""
    core = FIRMWARE.parent / "csrc"
    training = ("_f32", "_int", "rng_next")
    twins = {p.stem for p in (core / "avr").glob("*.S") if not p.stem.endswith(training) and not p.stem.startswith("float_")}
    objects = sorted((image.elf.parent / "core").glob("*.d"))
    assert twins <= {path.stem for path in objects}
    for path in objects:
        source = f"avr/{path.stem}.S" if path.stem in twins else f"src/{path.stem}.c"
        assert source in path.read_text(), path.name


STARTUP = """
#include <stdint.h>
#include "atmega4809.h"
volatile uint8_t initialized[3] = {7, 8, 9};
volatile uint16_t cleared[4];
const uint8_t table[4] = {11, 22, 33, 44};
volatile uint8_t seen, index, stop;
void __vector_12(void) __attribute__((signal, used));
void __vector_12(void)
{
    seen = (uint8_t)(initialized[2] + table[index] + (uint8_t)cleared[3]);
    REGISTER8(0x0a86) = 1;
    if (!stop)
        REGISTER8(0x0a85) = 0;
}
int main(void)
{
    index = 2;
    TCB_CCMP(0) = 100;
    REGISTER8(0x0a85) = 1;
    TCB_CTRLA(0) = TCB_ENABLE;
    __asm__ volatile("sei");
    while (!seen) {
    }
    __asm__ volatile("cli");
    stop = 1;
    return 0;
}
"""


def build_program(folder: Path, source: str) -> Path:
    (folder / "x.c").write_text(source)
    (folder / "Makefile").write_text(
        f"include {FIRMWARE}/toolchain.mk\nx.elf: x.c\n"
        f"\t$(AVR_CC) $(AVR_CFLAGS) -Wno-missing-prototypes -Os -I{FIRMWARE} x.c $(AVR_STARTUP) $(AVR_LDFLAGS) -o $@\n"
    )
    done = subprocess.run(["make", "-C", str(folder), "x.elf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "x.elf"


@stand_in
def test_startup_and_interrupts(tmp_path: Path) -> None:
    chip = Chip.from_elf(build_program(tmp_path, STARTUP), sram_fill=0xA5)
    stop = chip.run(100_000)
    assert stop.reason == "break"
    address, _ = chip.symbol("seen")
    assert chip.read(address, 1) == bytes([9 + 33])
    assert chip.sp == 0x3FFF  # main has returned


@stand_in
def test_an_interrupt_without_handler_stops_the_chip(tmp_path: Path) -> None:
    chip = Chip.from_elf(build_program(tmp_path, STARTUP.replace("__vector_12", "__vector_13")))
    stop = chip.run(100_000)
    assert stop.reason == "break"


COMPLETE = """
for argument; do case "$argument" in -c) compiling=1;; esac; done
for argument; do
    shift
    case "$argument" in -mmcu=atmega4809) argument=-mmcu=avrxmega3;; esac
    set -- "$@" "$argument"
done
PATH={path}  # a wrapper around the compiler must not come back here
[ -n "$compiling" ] && exec {gcc} -D__AVR_ATmega4809__ "$@"
exec {gcc} "$@" -nostartfiles -x none {startup} -Wl,--defsym=__RODATA_PM_OFFSET__=0x4000 \
    -Wl,--defsym=__DATA_REGION_ORIGIN__=0x802800 -Wl,--defsym=__DATA_REGION_LENGTH__=0x1800 \
    -Wl,--defsym=__TEXT_REGION_LENGTH__=0xC000
"""


@pytest.fixture
def complete_toolchain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An avr-gcc that knows the device: brings startup and memory map itself, and insists on both limits."""
    gcc = shutil.which("avr-gcc")
    (tmp_path / "bin").mkdir()
    subprocess.run([str(gcc), "-mmcu=avrxmega3", "-c", FIRMWARE / "startup.S", "-o", tmp_path / "crt.o"], check=True)
    write_program(tmp_path / "bin", "avr-gcc", COMPLETE.format(gcc=gcc, startup=tmp_path / "crt.o", path=os.environ["PATH"]))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@stand_in
@pytest.mark.usefixtures("complete_toolchain")
def test_a_toolchain_that_knows_the_device_brings_startup_and_map(tmp_path: Path, image: toolchain.FirmwareImage) -> None:
    assert toolchain.find().device == "atmega4809"
    built = toolchain.build_firmware(tiny.files(), tmp_path / "out")
    table = 160  # of interrupt vectors, which ours drops
    assert (built.flash - table, built.ram) == (image.flash, image.ram)
    with pytest.raises(DoesNotFitError, match=r"^the firmware does not fit the chip: flash: (\d+) B too many for 48640 B"):
        toolchain.build_firmware(tiny.files(flash=60_000), tmp_path / "out")
    with pytest.raises(DoesNotFitError, match=r"RAM: (\d+) B too many for 5824 B without the stack's$") as caught:
        toolchain.build_firmware(tiny.files(arena=7000), tmp_path / "out")
    said = re.search(r"RAM: (\d+)", str(caught.value))
    assert said is not None
    assert abs(int(said[1]) - (built.ram - 17 + 7000 - 5824)) < 4
    with pytest.raises(DoesNotFitError, match=r"flash: (\d+) of 48640 B, .*, \d+ B too many"):
        toolchain.build_firmware(tiny.files(flash=49_000 - built.flash), tmp_path / "out")


def test_sources_of_an_installed_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """setup.py copies csrc and firmware into the wheel; with them alone a firmware must build."""
    package = tmp_path / "site" / "enginekit"
    for name in ("csrc", "firmware"):
        shutil.copytree(FIRMWARE.parent / name, package / "sources" / name, ignore=shutil.ignore_patterns("build"))
    monkeypatch.setattr(toolchain, "__file__", str(package / "toolchain.py"))
    assert toolchain.sources() == package / "sources"
    assert toolchain.build_firmware(tiny.files(), tmp_path / "out").flash > 0
    shutil.rmtree(package / "sources" / "csrc")
    with pytest.raises(toolchain.ToolchainError, match=r"the firmware's sources are neither in .* reinstall engine"):
        toolchain.build_firmware(tiny.files(), tmp_path / "out")


def test_make_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    done = make(f"MODEL={tmp_path}/none", f"BUILD={tmp_path}/build")
    assert done.returncode != 0
    assert "none/model.h: give MODEL=folder, as `enginekit emit model.tflite -o folder` writes it" in done.stderr


def test_the_environment_does_not_change_a_build(
    built_before: Path, image: toolchain.FirmwareImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOT": "link", "OPT": "-O9", "F_CPU": "1", "STACK": "9999", "MAKEFLAGS": "OPT=-O9"}.items():
        monkeypatch.setenv(name, value)
    assert toolchain.build_firmware(tiny.files(), built_before).flash == image.flash


def test_a_folder_with_a_space(tmp_path: Path) -> None:
    assert toolchain.build_firmware(tiny.files(), tmp_path / "with a space").flash > 0
