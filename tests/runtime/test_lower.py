"""Lowering: fusion only where it is exact, proven accumulators, folded zero points, offsets, refusals."""

from dataclasses import fields, replace

import int8_graphs
import numpy as np
import pytest
import random_graphs
from int8_graphs import Chain, frozen
from tflite_builder import Judge, tensor

import engine
from engine import lower as lowering
from engine import tflite
from engine._session import KERNELS as SESSION_KERNELS
from engine.arena import Buffer, overlapping
from engine.graph import Activation, DenseOptions, Graph, Layer, NoOptions, Padding
from engine.lower import lower
from engine.names import identifiers
from engine.program import KERNELS, DenseParams


def kernels(graph):
    return [step.kernel for step in lower(graph).steps]


def check_bytes(graph, seed=0, count=32):
    """Model and reference agree; returns the model."""
    model = engine.Model(graph)
    x = np.random.default_rng(seed).integers(-128, 128, (count, *model.input.shape[1:])).astype(np.int8)
    want = Judge(tflite.write(graph)).run(x)
    got = model.run(x)
    assert np.array_equal(got, want), f"{graph.name}, seed {seed}: {np.argwhere(got != want)[0]}"
    return model


def with_tensor(graph, index, **changes):
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(graph, tensors=tuple(tensors))


class TestFusion:
    def conv(self, seed=0, **options):
        return Chain((1, 12, 10, 3), seed=seed).conv2d(5, (3, 3), (10, 8), **options)

    def test_convolution_and_pool(self):
        graph = self.conv(activation=Activation.RELU).pool("max_pool2d", (2, 2), (2, 2), (5, 4)).graph()
        assert kernels(graph) == ["conv2d_max_pool2d_s8"]
        model = check_bytes(graph)
        assert model.program.steps[0].layers == (0, 1)
        assert model.program.arena == 12 * 10 * 3 + 5 * 4 * 5

    def test_pool_with_gaps_and_padding(self):
        chain = self.conv().pool("max_pool2d", (2, 3), (3, 4), (4, 2), padding=Padding.SAME, activation=Activation.RELU6)
        assert kernels(chain.graph()) == ["conv2d_max_pool2d_s8"]
        check_bytes(chain.graph())

    def test_relu_and_pool_join_the_convolution(self):
        graph = self.conv().relu().relu("relu6").pool("max_pool2d", (2, 2), (2, 2), (5, 4)).graph()
        assert kernels(graph) == ["conv2d_max_pool2d_s8"]
        assert check_bytes(graph).program.steps[0].layers == (0, 1, 2, 3)

    def test_overlapping_windows_stay_apart(self):
        graph = self.conv().pool("max_pool2d", (3, 3), (2, 2), (4, 3)).graph()
        assert kernels(graph) == ["conv2d_s8", "max_pool2d_s8"]
        check_bytes(graph)

    def test_average_pool_stays_apart(self):
        assert kernels(self.conv().pool("average_pool2d", (2, 2), (2, 2), (5, 4)).graph()) == ["conv2d_s8", "average_pool2d_s8"]

    def test_a_map_that_is_used_twice_is_kept(self):
        graph = self.conv().pool("max_pool2d", (2, 2), (2, 2), (5, 4)).graph()
        graph = replace(graph, outputs=(graph.layers[0].outputs[0], *graph.outputs))
        assert kernels(graph) == ["conv2d_s8", "max_pool2d_s8"]

    def test_a_reshape_between_convolution_and_pool_prevents_it(self):
        graph = self.conv().reshape((1, 8, 10, 5)).pool("max_pool2d", (2, 2), (2, 2), (4, 5)).graph()
        assert kernels(graph) == ["conv2d_s8", "max_pool2d_s8"]
        check_bytes(graph)

    def test_a_shift_that_could_wrap_prevents_it(self):
        graph = self.conv(scale=1e-6).pool("max_pool2d", (2, 2), (2, 2), (5, 4)).graph()
        assert max(r.left for r in lower(graph).steps[0].params.conv.rescale) > 5
        assert kernels(graph) == ["conv2d_max_pool2d_s8"]
        huge = frozen(np.full(5, 1 << 29, np.int32))
        graph = with_tensor(graph, 2, data=huge)
        assert kernels(graph) == ["conv2d_s8", "max_pool2d_s8"]
        check_bytes(graph)

    @pytest.mark.parametrize("op", ["relu", "relu6", "relu_n1_to_1"])
    @pytest.mark.parametrize("zero", [-128, -15, 40])
    def test_relu_joins_every_kernel_with_a_range(self, op, zero):
        dense = Chain((1, 9)).dense(6, zero=zero).relu(op).graph()
        assert kernels(dense) == ["dense_s8"]
        check_bytes(dense)
        pool = Chain((1, 4, 4, 3), zero=zero).pool("average_pool2d", (2, 2), (2, 2), (2, 2)).relu(op).graph()
        assert kernels(pool) == ["average_pool2d_s8"]
        check_bytes(pool)
        twice = Chain((1, 9), zero=zero).relu(op).relu().graph()
        assert kernels(twice) == ([] if (op, zero) == ("relu", -128) else ["requantize_s8"])
        check_bytes(twice)

    def test_relu_with_another_scale_stays(self):
        graph = Chain((1, 9)).dense(6).relu(scale=0.11).graph()
        assert kernels(graph) == ["dense_s8", "requantize_s8"]
        check_bytes(graph)

    def test_relu_behind_a_reshape_joins(self):
        graph = self.conv().reshape((1, 400)).relu().graph()
        assert kernels(graph) == ["conv2d_s8"]
        check_bytes(graph)

    def test_a_requantization_that_changes_nothing_has_no_step(self):
        graph = Chain((1, 9), scale=0.07, zero=9).quantize().softmax().graph()
        assert kernels(graph) == ["softmax_s8"]
        check_bytes(graph)
        behind = Chain((1, 9)).softmax().quantize(scale=1 / 256, zero=-128).graph()
        assert kernels(behind) == ["softmax_s8"]
        check_bytes(behind)
        nothing = Chain((1, 9), scale=0.07, zero=9).quantize().graph()
        assert kernels(nothing) == []
        check_bytes(nothing)

    def test_a_relu_of_what_is_not_negative_has_no_step(self):
        graph = Chain((1, 9)).softmax().relu().graph()
        assert kernels(graph) == ["softmax_s8"]
        check_bytes(graph)

    def test_a_requantization_that_only_shifts_codes_stays(self):
        graph = Chain((1, 9), scale=0.07, zero=9).quantize(zero=8).softmax().graph()
        assert kernels(graph) == ["requantize_s8", "softmax_s8"]
        check_bytes(graph)

    @pytest.mark.parametrize("op", ["logistic", "tanh", "hard_swish"])
    def test_tables_join_their_unary_neighbours(self, op):
        chain = random_graphs.Chain((40,)).quantize(0.03, 4)
        scale, zero = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0), "hard_swish": (0.03, -100)}[op]
        chain.call(op, (), chain.activation(chain.shape, scale, zero), NoOptions()).quantize(0.02, 11).quantize(0.05, -3)
        graph = chain.graph()
        assert kernels(graph) == ["lookup_s8"]
        step = check_bytes(graph).program.steps[0]
        assert step.layers == (0, 1, 2, 3)

    def test_two_requantizations_stay_two(self):
        graph = Chain((1, 9)).quantize().quantize(scale=0.03).graph()
        assert kernels(graph) == ["requantize_s8", "requantize_s8"]
        check_bytes(graph)


class TestProofs:
    def naive_bound(self, w, bias, lo, hi, zero):
        """Largest partial sum over all orders, term by term."""
        worst = 0
        for row, b in zip(w.reshape(len(w), -1).astype(int), bias.astype(int), strict=True):
            ends = [sorted((c * (lo - zero), c * (hi - zero))) for c in row]
            worst = max(worst, abs(b + sum(max(0, e[1]) for e in ends)), abs(b + sum(min(0, e[0]) for e in ends)))
        return worst

    def test_dense_bound_is_reached(self):
        graph = Chain((1, 30), zero=-128).dense(8).graph()
        step = lower(graph).steps[0]
        assert step.acc_bound == self.naive_bound(step.w, step.bias, -128, 127, 0)
        w, bias = step.w.astype(int), step.bias.astype(int)
        reached = max(
            max(abs(b + row @ np.where(row > 0, 127, -128)), abs(b + row @ np.where(row > 0, -128, 127)))
            for row, b in zip(w, bias, strict=True)
        )
        assert step.acc_bound == reached

    def test_input_range_of_a_clamped_layer_counts(self):
        wide = lower(Chain((1, 10)).dense(20, zero=0).dense(5).graph()).steps[1].acc_bound
        step = lower(Chain((1, 10)).dense(20, zero=0, activation=Activation.RELU).dense(5).graph()).steps[1]
        assert step.acc_bound == self.naive_bound(step.w, step.bias, 0, 127, 0) < wide

    def test_padded_convolution_keeps_its_zero_point(self):
        chain = Chain((1, 5, 6, 2), zero=-20).conv2d(3, (3, 3), (5, 6), padding=Padding.SAME)
        step = lower(chain.graph()).steps[0]
        assert step.params.zero_x == -20
        assert step.acc_bound == self.naive_bound(step.w, step.bias, -128, 127, -20)

    def test_same_padding_that_pads_nothing_is_folded(self):
        graph = Chain((1, 5, 6, 2), zero=-20).conv2d(3, (1, 1), (5, 6), padding=Padding.SAME).graph()
        step = lower(graph).steps[0]
        assert step.params.zero_x == 0
        assert np.array_equal(step.bias, graph.tensors[2].data + 20 * step.w.reshape(3, -1).sum(axis=1, dtype=np.int64))
        check_bytes(graph)

    @pytest.mark.parametrize("bias", [(1 << 31) - 1000, -(1 << 31) + 1000])
    def test_an_accumulator_beyond_int32_is_refused_by_channel(self, bias):
        graph = Chain((1, 30), zero=0).dense(4).graph()
        data = graph.tensors[2].data.copy()
        data[2] = bias
        with pytest.raises(
            engine.QuantError, match=r"layer 'dense_0' \(dense\): the accumulator of output channel 2 .* beyond int32"
        ):
            lower(with_tensor(graph, 2, data=frozen(data)))

    def test_a_bias_that_overflows_by_folding_is_refused(self):
        graph = Chain((1, 30), zero=-128).dense(4).graph()
        w = frozen(np.full((4, 30), 127, np.int8))
        data = frozen(np.full(4, (1 << 31) - 100, np.int32))
        with pytest.raises(engine.QuantError, match=r"layer 'dense_0'.*output 0"):
            lower(with_tensor(with_tensor(graph, 1, data=w), 2, data=data))

    def test_a_ratio_that_is_too_large_is_refused(self):
        with pytest.raises(engine.QuantError, match=r"layer 'conv2d_0' \(conv2d\): rescale ratio"):
            lower(Chain((1, 4, 4, 1), scale=1e5).conv2d(3, (2, 2), (3, 3), scale=1e-12).graph())

    def test_what_no_31_bit_multiplier_represents_takes_the_wide_kernel(self):
        assert kernels(Chain((1, 4), scale=1e5).dense(3, scale=1e-12).graph()) == ["dense_wide_s8"]
        graph = Chain((1, 4), scale=1.0, zero=0).dense(3, scale=98.0, bias=False, per_channel=False).graph()
        graph = with_tensor(graph, 1, scale=np.float32([1.0]))
        assert kernels(graph) == ["dense_wide_s8"]
        assert engine.Model(graph).program.steps[0].params.ratio[0].high >> 20 == 1023 - 7

    def test_largest_bias_and_dead_channels(self):
        graph = Chain((1, 8), zero=0).dense(3).graph()
        w = graph.tensors[1].data.copy()
        w[1] = 0
        scale = graph.tensors[1].scale.copy()
        scale[1] = 2e-11
        product = (0.05 * scale).astype(np.float32)
        data = graph.tensors[2].data.copy()
        data[1] = 1 << 30
        graph = with_tensor(graph, 1, data=frozen(w), scale=scale)
        graph = with_tensor(graph, 2, data=frozen(data), scale=product)
        model = check_bytes(graph)
        assert model.program.steps[0].acc_bound >= 1 << 30


class TestArena:
    @pytest.mark.parametrize("make", [int8_graphs.digits_like, int8_graphs.every_operator])
    def test_steps_read_what_was_written_and_nothing_alive_is_overwritten(self, make):
        program = lower(make())
        for before, step in zip(program.steps, program.steps[1:], strict=False):
            assert step.x_offset == before.y_offset
            assert step.x_size == before.y_size
        for step in program.steps:
            apart = step.x_offset + step.x_size <= step.y_offset or step.y_offset + step.y_size <= step.x_offset
            in_place = step.kernel in ("requantize_s8", "softmax_s8") and step.x_offset == step.y_offset
            assert apart or in_place, step.name
            assert max(step.x_offset + step.x_size, step.y_offset + step.y_size) <= program.arena

    def test_float_edges_are_aligned(self):
        program = lower(int8_graphs.every_operator())
        assert program.steps[0].kernel == "quantize_f32_s8"
        assert program.steps[0].x_offset % 4 == 0
        assert program.steps[-1].kernel == "dequantize_s8_f32"
        assert program.steps[-1].y_offset % 4 == 0

    def test_requantization_works_in_place(self):
        graph = Chain((1, 50)).dense(40).quantize().softmax().graph()
        program = lower(graph)
        assert [s.kernel for s in program.steps] == ["dense_s8", "requantize_s8", "softmax_s8"]
        assert program.steps[1].x_offset == program.steps[1].y_offset == program.steps[2].y_offset
        assert program.arena == 90
        check_bytes(graph)

    def test_not_in_place_when_the_input_is_an_output_too(self):
        graph = Chain((1, 50)).dense(40).quantize().graph()
        graph = replace(graph, outputs=(graph.layers[0].outputs[0], graph.outputs[0]))
        step = lower(graph).steps[1]
        assert step.x_offset != step.y_offset

    def test_two_heads_from_one_input(self):
        chain = Chain((1, 50)).dense(20).relu(scale=0.2)
        chain._last = 0
        graph = chain.dense(9).dense(30).graph()
        graph = replace(graph, outputs=(graph.layers[1].outputs[0], *graph.outputs))
        program = lower(graph)
        spans = [Buffer(50, -1, 2), Buffer(20, 0, 4), Buffer(9, 2, 3), Buffer(30, 3, 4)]
        offsets = [program.input_offsets[0], program.output_offsets[0], program.steps[2].y_offset, program.output_offsets[1]]
        assert overlapping(spans, offsets) is None
        x = np.random.default_rng(3).integers(-128, 128, (7, 50)).astype(np.int8)
        first, second = engine.Model(graph).run(x)
        for y, output in ((first, graph.outputs[0]), (second, graph.outputs[1])):
            alone = replace(graph, outputs=(output,))
            assert np.array_equal(y, Judge(tflite.write(alone)).run(x))

    def test_two_inputs(self):
        one, other = tensor((1, 6), 0.1, 0, name="a"), tensor((1, 4), 0.1, 0, name="b")
        chain = Chain((1, 6)).dense(3)
        w = chain._tensors[1]
        second = tensor((3, 4), 0.01, data=frozen(np.arange(12, dtype=np.int8).reshape(3, 4)))
        ends = [tensor((1, 3), 0.1, 1), tensor((1, 3), 0.1, 2)]
        layers = (
            Layer("dense", "first", (0, 2, -1), (4,), DenseOptions()),
            Layer("dense", "second", (1, 3, -1), (5,), DenseOptions()),
        )
        graph = Graph("two", (one, other, w, second, *ends), layers, (0, 1), (4, 5))
        model = engine.Model(graph)
        rng = np.random.default_rng(1)
        a, b = (rng.integers(-128, 128, (5, n)).astype(np.int8) for n in (6, 4))
        y, z = model.run((a, b))
        alone = engine.Model(
            Graph("one", (one, w, ends[0]), (replace(layers[0], inputs=(0, 1, -1), outputs=(2,)),), (0,), (2,))
        )
        assert np.array_equal(y, alone.run(a))
        alone = engine.Model(
            Graph("one", (other, second, ends[1]), (replace(layers[1], inputs=(0, 1, -1), outputs=(2,)),), (0,), (2,))
        )
        assert np.array_equal(z, alone.run(b))
        with pytest.raises(TypeError, match="x must be a tuple of 2 arrays"):
            model.run(a)
        with pytest.raises(ValueError, match=r"x \(b\) has a batch of 4, the others of 5"):
            model.run((a, b[:4]))
        with pytest.raises(engine.UnsupportedError, match="the model has 2 inputs"):
            _ = model.input

    def test_reshape_alone(self):
        graph = Chain((1, 2, 3, 4)).reshape((1, 24)).graph()
        model = engine.Model(graph)
        assert model.program.steps == ()
        x = np.arange(48, dtype=np.int8).reshape(2, 2, 3, 4)
        assert np.array_equal(model.run(x), x.reshape(2, 24))


def test_kernels_of_session_program_and_lowering_agree():
    assert list(KERNELS) == list(SESSION_KERNELS)
    assert set(KERNELS) >= lowering._IN_PLACE
    assert [f.name for f in fields(DenseParams)][:2] == ["in_", "out"]


def test_step_names_are_unique_c_identifiers():
    graph = int8_graphs.digits_like()
    named = replace(graph, layers=tuple(replace(layer, name="ä/conv 1:0;x") for layer in graph.layers))
    names = [step.name for step in lower(named).steps]
    assert names == identifiers(names)
    assert len(set(names)) == len(names)


def test_weights_are_frozen():
    graph = Chain((1, 6)).dense(4).graph()
    w = graph.tensors[1].data.copy()
    model = engine.Model(with_tensor(graph, 1, data=w))
    x = np.full((1, 6), 100, np.int8)
    before = model.run(x)
    w[:] = 0
    assert np.array_equal(model.run(x), before)
    assert not model.program.steps[0].w.flags.writeable


def test_unused_layers_do_no_harm():
    chain = Chain((1, 6)).dense(4)
    chain._last = 0
    graph = chain.dense(5).graph()
    check_bytes(graph)
    assert len(lower(graph).steps) == 2


def test_unknown_options_are_refused():
    graph = Chain((1, 6)).dense(4).graph()
    wrong = replace(graph, layers=(replace(graph.layers[0], options=NoOptions()),))
    with pytest.raises(engine.UnsupportedError, match=r"layer 'dense_0' \(dense\): not an operator with its options"):
        lower(wrong)
