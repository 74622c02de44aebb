"""The report's pictures: what is drawn, and that it is well formed."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import image

from enginekit.report import charts

SVG = "{http://www.w3.org/2000/svg}"


def parse(markup):
    return ET.fromstring(str(markup))


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 7)])
def test_png_reads_back(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    uri = charts.png(pixels)
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    back = image.imread(io.BytesIO(base64.b64decode(body)), format="png")
    np.testing.assert_array_equal(np.rint(back * 255), pixels)


def test_histogram_counts_every_code_once():
    codes = np.random.default_rng(2).integers(-128, 128, 5000, np.int8)
    titles = [title.text for title in parse(charts.histogram(codes, bins=32)).iter("title")]
    counts = {tuple(int(n) for n in re.match(r"(-?\d+) to (-?\d+)", t).groups()): int(t.split(": ")[1]) for t in titles}
    assert sum(counts.values()) == 5000
    for (low, high), count in counts.items():
        assert high - low == 7
        assert count == np.count_nonzero((codes >= low) & (codes <= high))


def test_histogram_of_ends_and_of_one_value():
    assert len(list(parse(charts.histogram(np.array([-128, 127], np.int8))).iter("rect"))) == 2
    assert len(list(parse(charts.histogram(np.zeros(9, np.int8))).iter("rect"))) == 1


def test_arena_map_places_blocks_in_bytes_and_time():
    blocks = [
        charts.Block("a<b", 0, 600, 0, 1),
        charts.Block("c", 600, 400, 1, 2),
        charts.Block("s", 0, 50, 2, 2, scratch=True),
    ]
    root = parse(charts.arena_map(blocks, ["input", "dense", "output"], 1000, width=660))
    boxes = {box.find("title").text.split(":")[0]: box for box in root.iter("rect")}
    assert set(boxes) == {"a<b", "c", "s"}
    a, c = boxes["a<b"], boxes["c"]
    assert float(a.get("height")) / float(c.get("height")) == pytest.approx(1.5, abs=0.01)
    assert float(c.get("y")) + float(c.get("height")) == pytest.approx(float(a.get("y")), abs=0.2)
    assert float(a.get("x")) < float(c.get("x"))
    assert boxes["s"].get("stroke-dasharray")
    assert {text.text for text in root.iter("text")} >= {"input", "dense", "output", "a<b · 600 B"}


def test_curves_say_the_last_value():
    root = parse(charts.curves([("train", [0.9, 0.5, 0.25]), ("test", [0.8, 0.5, 0.26])]))
    assert len(list(root.iter("polyline"))) == 2
    texts = [text.text for text in root.iter("text")]
    assert {"train 0.2500", "test 0.2600", "0.25", "0.9", "3"} <= set(texts)


@pytest.mark.parametrize("points", [[0.5], [0.5, 0.5]])
def test_curves_of_constant_values(points):
    assert "nan" not in str(charts.curves([("loss", points)])).lower()
