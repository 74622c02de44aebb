"""Frames against the independent packages cobs and crc, and against damage on the wire."""

from __future__ import annotations

import doctest
import random
from itertools import pairwise

import pytest
from cobs import cobs
from crc import Calculator, Crc16
from hypothesis import given, settings
from hypothesis import strategies as st

from enginekit.device import frame

ORACLE = Calculator(Crc16.IBM_3740)
payloads = st.one_of(
    st.binary(max_size=80),
    st.integers(0, 1100).map(lambda n: b"\x00" * n),
    st.integers(245, 520).map(lambda n: b"\x81" * n),
    st.lists(st.tuples(st.integers(250, 258), st.integers(0, 2)), max_size=4).map(
        lambda runs: b"".join(b"\x07" * n + b"\x00" * zeros for n, zeros in runs)
    ),
)
octets = st.integers(0, 255)


def receive(wire: bytes) -> list[frame.Frame]:
    return frame.Decoder().feed(wire)


@given(st.binary(max_size=300))
def test_crc_is_that_of_the_crc_package(data: bytes) -> None:
    assert frame.crc(data) == ORACLE.checksum(data)


@given(octets, octets, payloads)
def test_wire_is_what_cobs_and_crc_make_of_it(kind: int, sequence: int, payload: bytes) -> None:
    stuffed = cobs.encode(bytes([kind, sequence]) + len(payload).to_bytes(2, "little") + payload)
    check = ORACLE.checksum(stuffed)
    groups = bytes([0x80 | check >> 12, 0x80 | check >> 6 & 0x3F, 0x80 | check & 0x3F])
    assert frame.encode(kind, sequence, payload) == (bytes(frame.PREAMBLE) + stuffed + groups + b"\x00", check)


@given(octets, octets, payloads, st.lists(st.integers(0, 2000), max_size=5))
def test_round_trip_however_the_stream_is_cut(kind: int, sequence: int, payload: bytes, cuts: list[int]) -> None:
    wire, check = frame.encode(kind, sequence, payload)
    decoder = frame.Decoder()
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    got = [each for a, b in pairwise(edges) for each in decoder.feed(wire[a:b])]
    assert got == [(kind, sequence, payload, check)]
    assert decoder.damaged == 0
    assert decoder.at_rest


def test_the_largest_payload_and_one_more() -> None:
    payload = random.Random(1).randbytes(frame.PAYLOAD_MAX)
    assert receive(frame.encode(9, 8, payload).wire)[0].payload == payload
    with pytest.raises(ValueError, match="65532 bytes; at most 65531"):
        frame.encode(1, 1, payload + b"x")


@pytest.mark.parametrize(("kind", "sequence"), [(-1, 0), (256, 0), (0, -1), (0, 256)])
def test_numbers_out_of_range(kind: int, sequence: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 255"):
        frame.encode(kind, sequence, b"")


SAMPLES = [
    frame.encode(2, 7, payload).wire
    for payload in (b"", b"\x00" * 5, bytes(range(60)), b"\x80" * 300, random.Random(2).randbytes(40))
]


def undamaged(wire: bytes) -> set[frame.Frame]:
    return set(receive(wire))


@pytest.mark.parametrize("wire", SAMPLES, ids=lambda wire: f"{len(wire)}B")
def test_no_error_of_one_bit_or_one_byte_is_accepted(wire: bytes) -> None:
    """Exhaustive over two frames in a row: the damaged one is lost, the other arrives."""
    both = wire + wire
    original = receive(wire)[0]
    for at in range(len(both)):
        for xor in range(1, 256) if len(wire) < 100 else (1, 2, 4, 8, 16, 32, 64, 128):
            damaged = bytearray(both)
            damaged[at] ^= xor
            got = receive(bytes(damaged))
            assert set(got) <= {original}, (at, xor, got)
            assert len(got) >= 1, (at, xor)
            if xor in (1, 2, 4, 8, 16, 32, 64, 128):
                assert len(got) == 1, (at, xor)


@given(st.binary(min_size=1, max_size=60), st.data())
@settings(max_examples=400)
def test_bursts_of_16_bits_inside_a_frame_are_never_accepted(payload: bytes, data: st.DataObject) -> None:
    wire = frame.encode(3, 1, payload).wire
    shift = data.draw(st.integers(0, (len(wire) - frame.PREAMBLE) * 8 - 16))
    pattern = data.draw(st.integers(1, 0xFFFF))
    damaged = int.from_bytes(wire, "big") ^ pattern << shift
    assert receive(damaged.to_bytes(len(wire), "big")) == []


def test_an_embedded_frame_never_comes_alive() -> None:
    """A payload that carries a whole frame, with the byte before it damaged into any other, a zero included."""
    inner = frame.encode(1, 2, b"inner")
    outer = frame.encode(4, 5, b"\x33" * 3 + inner.wire[frame.PREAMBLE : -1] + b"\x33" * 3).wire
    for at in range(len(outer)):
        for value in range(256):
            damaged = bytes([*outer[:at], value, *outer[at + 1 :]])
            assert all(each.kind == 4 for each in receive(damaged)), (at, value)


Damage = st.tuples(st.sampled_from(["flip", "drop", "double", "insert", "zero", "cut", "garbage"]), st.floats(0, 1), octets)


def damage(wire: bytes, kind: str, where: float, value: int) -> bytes:
    at = int(where * (len(wire) - 1)) if wire else 0
    head, tail = wire[:at], wire[at:]
    return {
        "flip": lambda: head + bytes([tail[0] ^ (value or 1)]) + tail[1:] if tail else wire,
        "drop": lambda: head + tail[1:],
        "double": lambda: head + tail[:1] + tail,
        "insert": lambda: head + bytes([value]) + tail,
        "zero": lambda: head + b"\x00" + tail[1:],
        "cut": lambda: head,
        "garbage": lambda: head + random.Random(value).randbytes(value % 40) + tail,
    }[kind]()


@given(st.lists(st.tuples(octets, payloads), min_size=1, max_size=4), st.lists(Damage, min_size=1, max_size=5))
@settings(max_examples=400, derandomize=True)
def test_nothing_is_accepted_that_was_not_sent_and_the_next_frame_arrives(
    sent: list[tuple[int, bytes]], damages: list[tuple[str, float, int]]
) -> None:
    """The same examples each time: of frames damaged in several places, one in 65,536 passes any CRC of 16 bits."""
    wires = [frame.encode(kind, n, payload) for n, (kind, payload) in enumerate(sent)]
    originals = {(kind, n, payload, wires[n].crc) for n, (kind, payload) in enumerate(sent)}
    stream = b"".join(each.wire for each in wires)
    for each in damages:
        stream = damage(stream, *each)
    last = frame.encode(200, 77, b"last")
    decoder = frame.Decoder()
    got = decoder.feed(stream)
    assert set(got) <= originals
    # The delimiter of the last frame's preamble ends whatever hangs.
    assert (200, 77, b"last", last.crc) in decoder.feed(last.wire)


def test_noise_alone_yields_nothing() -> None:
    decoder = frame.Decoder()
    assert decoder.feed(random.Random(3).randbytes(200_000)) == []
    assert decoder.damaged > 0


def test_a_frame_needs_its_whole_preamble() -> None:
    wire = frame.encode(1, 2, b"abc").wire
    for zeros in range(frame.PREAMBLE):
        assert receive(wire[frame.PREAMBLE - zeros :]) == []
    assert len(receive(b"\x00" * 50 + wire)) == 1


def test_a_size_beyond_what_a_frame_holds_is_damage() -> None:
    stuffed = cobs.encode(b"\x01\x02\xff\xff" + bytes(40))
    decoder = frame.Decoder()
    assert decoder.feed(bytes(frame.PREAMBLE) + stuffed + b"\x00") == []
    assert decoder.damaged == 1


def test_examples() -> None:
    """pytest does not look for examples in compiled modules."""
    result = doctest.testmod(frame)
    assert (result.failed, result.attempted >= 4) == (0, True)
