"""Loading programs: what is taken, what is refused and how."""

import subprocess

import pytest
from tools.sim.programs import HEAD

from engine.errors import DoesNotFitError, FormatError
from enginekit.sim import Chip, read_elf

PROGRAM = """
const char text[] = "in flash";
volatile uint8_t initialized[3] = {7, 8, 9}, zeroed[5];
__attribute__((section(".eeprom"), used)) uint8_t cells[4] = {1, 2, 3, 4};
volatile char first;
int main(void)
{
    first = text[zeroed[0] + initialized[0] - 7];
    finish();
}
"""


@pytest.fixture(scope="module")
def elf(build):
    return build(HEAD + PROGRAM)


def test_data_is_copied_and_constants_are_read_from_flash(elf):
    chip = Chip.from_elf(elf)
    chip.run(until="finish")
    assert chip.read(chip.symbol("initialized")[0], 3) == b"\x07\x08\x09"
    assert chip.symbol("initialized")[1] == 3
    assert chip.symbol("text")[0] >= 0x4000
    assert chip.read(*chip.symbol("text")) == b"in flash\0"
    assert chip.read(chip.symbol("first")[0], 1) == b"i"
    assert chip.read(0x1400, 5) == b"\x01\x02\x03\x04\xff"
    assert chip.flash_used + chip.flash_free == 49152


def test_size_as_binutils_sees_it(elf):
    lines = subprocess.run(["avr-size", "-A", elf], check=True, capture_output=True, text=True).stdout.splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(".")}
    assert Chip.from_elf(elf).ram_static == sizes[".data"] + sizes[".bss"]
    assert Chip.from_elf(elf).flash_used == sizes[".text"] + sizes[".rodata"] + sizes[".data"]


def test_hex_runs_like_elf(elf, tmp_path):
    hex_file = tmp_path / "program.hex"
    subprocess.run(["avr-objcopy", "-O", "ihex", "-R", ".eeprom", elf, hex_file], check=True)
    one, other = Chip.from_elf(elf), Chip.from_hex(hex_file)
    one.run(2000)
    other.run(2000)
    assert one.image.flash == other.image.flash
    assert one.read(0x2800, 0x1800) == other.read(0x2800, 0x1800)


@pytest.mark.parametrize("line", ["nonsense", ":0100000055AB", ":01000000GGAA", ":02000000AA54"])
def test_broken_hex(line, tmp_path):
    file = tmp_path / "broken.hex"
    file.write_text(f":0100000055AA\n{line}\n")
    with pytest.raises(FormatError, match=r"broken\.hex:2: not an Intel HEX record"):
        Chip.from_hex(file)


def test_hex_beyond_flash(tmp_path):
    file = tmp_path / "large.hex"
    file.write_text(":020000040000FA\n:02C00000AAAAEA\n:00000001FF\n")
    with pytest.raises(DoesNotFitError, match="needs 49154 bytes, 2 more"):
        Chip.from_hex(file)


def test_not_an_elf_file(tmp_path):
    for content in (b"", b"plain text, and long enough to be a header of something", b"\x7fELF"):
        file = tmp_path / "no.elf"
        file.write_bytes(content)
        with pytest.raises(FormatError, match=r"no\.elf: not a readable ELF file"):
            read_elf(file)


def test_garbled_elf_never_crashes(elf, tmp_path):
    """Whatever is wrong with a file, the error is one of ours."""
    good = elf.read_bytes()
    file = tmp_path / "garbled.elf"
    outcomes = set()
    for cut in range(0, len(good), 997):
        file.write_bytes(good[:cut])
        with pytest.raises((FormatError, DoesNotFitError)):
            read_elf(file)
    for position in range(16, 400):
        file.write_bytes(good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :])
        try:
            read_elf(file)
            outcomes.add("fine")
        except (FormatError, DoesNotFitError) as error:
            outcomes.add(type(error).__name__)
    assert "FormatError" in outcomes


def test_program_of_another_machine(tmp_path):
    source, program = tmp_path / "host.c", tmp_path / "host"
    source.write_text("int main(void) { return 0; }")
    subprocess.run(["cc", source, "-o", program], check=True)
    with pytest.raises(FormatError, match=r"made for EM_.*expected EM_AVR"):
        read_elf(program)


def test_object_file(tmp_path):
    source, program = tmp_path / "part.c", tmp_path / "part.o"
    source.write_text("int f(void) { return 0; }")
    subprocess.run(["avr-gcc", "-mmcu=avrxmega3", "-c", source, "-o", program], check=True)
    with pytest.raises(FormatError, match="an object file"):
        read_elf(program)


def link(tmp_path, source, *flags):
    file, program = tmp_path / "program.c", tmp_path / "program.elf"
    file.write_text("#include <stdint.h>\n" + source)
    command = ["avr-gcc", "-mmcu=avrxmega3", "-nostartfiles", "-Os", "-fdata-sections", file, "-o", program]
    subprocess.run([*command, *(f"-Wl,{flag}" for flag in flags)], check=True)
    return program


RODATA = "--defsym=__RODATA_PM_OFFSET__=0x4000"
DATA = "--defsym=__DATA_REGION_ORIGIN__=0x802800"
BIG = ("--defsym=__DATA_REGION_LENGTH__=0x4000", "--defsym=__TEXT_REGION_LENGTH__=0x20000")


def test_constants_linked_for_another_chip(tmp_path):
    program = link(
        tmp_path, "const uint8_t table[9] = {1, 2}; int main(void) { return table[*(volatile uint8_t *)0x1C]; }", DATA
    )
    with pytest.raises(FormatError, match=r"\.rodata is linked for data address 0x8\w\w\w but.*0x4\w\w\w; link with"):
        read_elf(program)


def test_data_linked_for_another_chip(tmp_path):
    program = link(tmp_path, "volatile uint8_t table[9]; int main(void) { return table[0]; }", RODATA)
    with pytest.raises(FormatError, match=r"\.bss is linked for data address 0x2000, below SRAM; link with"):
        read_elf(program)


@pytest.mark.parametrize("size", [6145, 7000])
def test_too_much_ram(size, tmp_path):
    program = link(tmp_path, f"volatile uint8_t a[{size}]; int main(void) {{ return a[0]; }}", RODATA, DATA, *BIG)
    with pytest.raises(DoesNotFitError, match=f"static data needs {size} bytes, {size - 6144} more than the 6144"):
        read_elf(program)


def test_too_much_flash(tmp_path):
    tables = "".join(f"const uint8_t t{n}[30000] = {{1}};" for n in range(2))
    use = "int main(void) { uint8_t i = *(volatile uint8_t *)0x1C; return t0[i] + t1[i]; }"
    program = link(tmp_path, tables + use, RODATA, DATA, *BIG)
    with pytest.raises(DoesNotFitError, match=r"flash needs 6\d\d\d\d bytes, 1\d\d\d\d more than the 49152"):
        read_elf(program)


def test_too_much_eeprom(tmp_path):
    source = '__attribute__((section(".eeprom"), used)) uint8_t cells[300] = {1}; int main(void) { return 0; }'
    with pytest.raises(DoesNotFitError, match="EEPROM needs 300 bytes, 44 more than the 256"):
        read_elf(link(tmp_path, source, RODATA, DATA))
