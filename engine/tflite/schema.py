"""Facts of TensorFlow Lite's flatbuffer schema (version 3): codes, names and field numbers.

Field numbers are the slots of a table's vtable, in the order of the schema's declarations.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from engine.graph import Activation, Padding

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS
SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG
ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST
BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
#: Names of the builtin operators; the index is the code.
OPERATOR_NAMES: tuple[str, ...] = tuple(_OPERATORS.split())

_TYPES = """
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant uint32
uint16 int4 bfloat16 int2 uint4
"""
#: Names of element types; the index is the code.
TYPE_NAMES: tuple[str, ...] = tuple(_TYPES.split())

#: Element types that a :class:`engine.graph.Tensor` can have, by code.
DTYPES: dict[int, np.dtype] = {
    TYPE_NAMES.index(name): np.dtype(name) for name in ("float32", "int32", "uint8", "int64", "int8")
}

ACTIVATIONS: dict[int, Activation] = {
    0: Activation.NONE,
    1: Activation.RELU,
    2: Activation.RELU_N1_TO_1,
    3: Activation.RELU6,
}
ACTIVATION_NAMES = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

PADDINGS: dict[int, Padding] = {0: Padding.SAME, 1: Padding.VALID}

#: Our operators by TensorFlow Lite's name; operators of engine.graph.OPERATORS and no others. The first of several
#: names is the one that is written.
OPERATOR_OF_NAME: dict[str, str] = {
    "FULLY_CONNECTED": "dense",
    "CONV_2D": "conv2d",
    "DEPTHWISE_CONV_2D": "depthwise_conv2d",
    "MAX_POOL_2D": "max_pool2d",
    "AVERAGE_POOL_2D": "average_pool2d",
    "SOFTMAX": "softmax",
    "RESHAPE": "reshape",
    "SQUEEZE": "reshape",
    "EXPAND_DIMS": "reshape",
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": "relu_n1_to_1",
    "LEAKY_RELU": "leaky_relu",
    "HARD_SWISH": "hard_swish",
    "LOGISTIC": "logistic",
    "TANH": "tanh",
    "ADD": "add",
    "SUB": "sub",
    "MUL": "mul",
    "MEAN": "mean",
    "CONCATENATION": "concatenation",
    "PAD": "pad",
    "PADV2": "pad",
    "QUANTIZE": "quantize",
    "DEQUANTIZE": "dequantize",
    "ARG_MAX": "argmax",
}
NAME_OF_OPERATOR: dict[str, str] = {ours: theirs for theirs, ours in reversed(OPERATOR_OF_NAME.items())}


class OptionsType(IntEnum):
    """Codes of the union ``BuiltinOptions`` that the supported operators use."""

    NONE = 0
    CONV_2D = 1
    DEPTHWISE_CONV_2D = 2
    POOL_2D = 5
    FULLY_CONNECTED = 8
    SOFTMAX = 9
    CONCATENATION = 10
    ADD = 11
    RESHAPE = 17
    MUL = 21
    PAD = 22
    REDUCER = 27
    SUB = 28
    SQUEEZE = 30
    DEQUANTIZE = 38
    ARG_MAX = 40
    PAD_V2 = 43
    EXPAND_DIMS = 52
    LEAKY_RELU = 75
    QUANTIZE = 89
    HARD_SWISH = 91


#: Options table of each operator; those without an entry have none.
OPTIONS_TYPE: dict[str, OptionsType] = {
    "FULLY_CONNECTED": OptionsType.FULLY_CONNECTED,
    "CONV_2D": OptionsType.CONV_2D,
    "DEPTHWISE_CONV_2D": OptionsType.DEPTHWISE_CONV_2D,
    "MAX_POOL_2D": OptionsType.POOL_2D,
    "AVERAGE_POOL_2D": OptionsType.POOL_2D,
    "SOFTMAX": OptionsType.SOFTMAX,
    "RESHAPE": OptionsType.RESHAPE,
    "SQUEEZE": OptionsType.SQUEEZE,
    "EXPAND_DIMS": OptionsType.EXPAND_DIMS,
    "LEAKY_RELU": OptionsType.LEAKY_RELU,
    "HARD_SWISH": OptionsType.HARD_SWISH,
    "ADD": OptionsType.ADD,
    "SUB": OptionsType.SUB,
    "MUL": OptionsType.MUL,
    "MEAN": OptionsType.REDUCER,
    "CONCATENATION": OptionsType.CONCATENATION,
    "PAD": OptionsType.PAD,
    "PADV2": OptionsType.PAD_V2,
    "QUANTIZE": OptionsType.QUANTIZE,
    "DEQUANTIZE": OptionsType.DEQUANTIZE,
    "ARG_MAX": OptionsType.ARG_MAX,
}


class ModelField(IntEnum):
    """Table Model."""

    VERSION = 0
    OPERATOR_CODES = 1
    SUBGRAPHS = 2
    DESCRIPTION = 3
    BUFFERS = 4
    METADATA = 6


class OperatorCodeField(IntEnum):
    """Table OperatorCode. The code is the larger of the two: the deprecated one is a byte that stops at 127."""

    DEPRECATED_BUILTIN_CODE = 0
    CUSTOM_CODE = 1
    VERSION = 2
    BUILTIN_CODE = 3


class SubGraphField(IntEnum):
    """Table SubGraph."""

    TENSORS = 0
    INPUTS = 1
    OUTPUTS = 2
    OPERATORS = 3
    NAME = 4


class TensorField(IntEnum):
    """Table Tensor."""

    SHAPE = 0
    TYPE = 1
    BUFFER = 2
    NAME = 3
    QUANTIZATION = 4
    IS_VARIABLE = 5
    SPARSITY = 6
    SHAPE_SIGNATURE = 7
    HAS_RANK = 8
    EXTERNAL_BUFFER = 10


class QuantizationField(IntEnum):
    """Table QuantizationParameters."""

    SCALE = 2
    ZERO_POINT = 3
    DETAILS_TYPE = 4
    QUANTIZED_DIMENSION = 6


class OperatorField(IntEnum):
    """Table Operator."""

    OPCODE_INDEX = 0
    INPUTS = 1
    OUTPUTS = 2
    BUILTIN_OPTIONS_TYPE = 3
    BUILTIN_OPTIONS = 4


class BufferField(IntEnum):
    """Table Buffer. OFFSET and SIZE place the bytes in the file but outside the flatbuffer."""

    DATA = 0
    OFFSET = 1
    SIZE = 2


class MetadataField(IntEnum):
    """Table Metadata."""

    NAME = 0
    BUFFER = 1


class DenseField(IntEnum):
    """Table FullyConnectedOptions."""

    ACTIVATION = 0
    WEIGHTS_FORMAT = 1
    KEEP_NUM_DIMS = 2


class Conv2DField(IntEnum):
    """Table Conv2DOptions."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    ACTIVATION = 3
    DILATION_W = 4
    DILATION_H = 5


class DepthwiseConv2DField(IntEnum):
    """Table DepthwiseConv2DOptions."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    DEPTH_MULTIPLIER = 3
    ACTIVATION = 4
    DILATION_W = 5
    DILATION_H = 6


class ElementwiseField(IntEnum):
    """Tables AddOptions, SubOptions and MulOptions."""

    ACTIVATION = 0


class ReducerField(IntEnum):
    """Table ReducerOptions."""

    KEEP_DIMS = 0


class GatherField(IntEnum):
    """Table GatherOptions."""

    AXIS = 0
    BATCH_DIMS = 1


class PackField(IntEnum):
    """Table PackOptions."""

    AXIS = 1


class StridedSliceField(IntEnum):
    """Table StridedSliceOptions."""

    BEGIN_MASK = 0
    END_MASK = 1
    ELLIPSIS_MASK = 2
    NEW_AXIS_MASK = 3
    SHRINK_AXIS_MASK = 4


class ConcatenationField(IntEnum):
    """Table ConcatenationOptions."""

    AXIS = 0
    ACTIVATION = 1


class LeakyReluField(IntEnum):
    """Table LeakyReluOptions."""

    ALPHA = 0


class Pool2DField(IntEnum):
    """Table Pool2DOptions."""

    PADDING = 0
    STRIDE_W = 1
    STRIDE_H = 2
    KERNEL_W = 3
    KERNEL_H = 4
    ACTIVATION = 5


class SoftmaxField(IntEnum):
    """Table SoftmaxOptions."""

    BETA = 0


class ReshapeField(IntEnum):
    """Table ReshapeOptions."""

    NEW_SHAPE = 0


class ArgMaxField(IntEnum):
    """Table ArgMaxOptions."""

    OUTPUT_TYPE = 0


#: Name of the metadata entry that carries layer names, which the schema has no place for: UTF-8, separated by newlines.
LAYER_NAMES_METADATA = "engine.layer_names"
