"""Placing buffers: no overlap among those alive, alignment, and the smallest arena for chains."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arena import Buffer, Layout, most_alive, overlapping, place

BUFFERS = st.lists(
    st.builds(
        lambda size, first, length, alignment: Buffer(size * alignment, first, first + length, alignment),
        st.integers(1, 5000),
        st.integers(-1, 12),
        st.integers(0, 6),
        st.sampled_from([1, 1, 4]),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(BUFFERS)
def test_any_lifetimes(buffers):
    layout = place(buffers)
    assert overlapping(buffers, layout.offsets) is None
    assert all(offset % b.alignment == 0 for offset, b in zip(layout.offsets, buffers, strict=True))
    assert layout.size == max(offset + b.size for offset, b in zip(layout.offsets, buffers, strict=True))
    assert most_alive(buffers) <= layout.size <= sum(b.size + 3 for b in buffers)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=2, max_size=14), st.data())
def test_chains_take_the_least_possible(sizes, data):
    buffers = [Buffer(size, i - 1, i) for i, size in enumerate(sizes)]
    scratch = data.draw(st.lists(st.integers(0, 3000), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    buffers += [Buffer(size, i, i) for i, size in enumerate(scratch) if size]
    layout = place(buffers)
    assert overlapping(buffers, layout.offsets) is None
    assert layout.size == most_alive(buffers)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=2, max_size=12), st.data())
def test_chains_with_mixed_alignment_take_at_most_three_bytes_more(sizes, data):
    wide = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    buffers = [
        Buffer(size * 4 if w else size, i - 1, i, 4 if w else 1) for i, (size, w) in enumerate(zip(sizes, wide, strict=True))
    ]
    layout = place(buffers)
    assert overlapping(buffers, layout.offsets) is None
    assert all(offset % b.alignment == 0 for offset, b in zip(layout.offsets, buffers, strict=True))
    assert layout.size <= most_alive(buffers) + 3


def test_a_long_lived_buffer_beside_a_chain():
    buffers = [Buffer(100, -1, 4), Buffer(50, 0, 1), Buffer(60, 1, 2), Buffer(40, 2, 3), Buffer(30, 3, 4)]
    layout = place(buffers)
    assert overlapping(buffers, layout.offsets) is None
    assert layout.size == most_alive(buffers) == 210


def test_overlapping_names_the_first_pair():
    buffers = [Buffer(10, 0, 1), Buffer(10, 2, 3), Buffer(10, 1, 2)]
    assert overlapping(buffers, [0, 0, 10]) is None
    assert overlapping(buffers, [0, 0, 9]) == (0, 2)


def test_nothing_to_place():
    assert place([]) == Layout((), 0)


@settings(max_examples=200, deadline=None)
@given(BUFFERS, st.integers(0, 9000))
def test_buffers_that_lie_where_they_lie(buffers, offset):
    start = offset // 4 * 4
    layout = place(buffers, {0: start})
    assert layout.offsets[0] == start
    assert overlapping(buffers, layout.offsets) is None
    assert all(at % b.alignment == 0 for at, b in zip(layout.offsets, buffers, strict=True))
    assert layout.size == max(at + b.size for at, b in zip(layout.offsets, buffers, strict=True))
