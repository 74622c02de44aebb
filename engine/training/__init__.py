"""Train small float networks with the core's own kernels, ready to be quantized.

>>> import numpy as np
>>> from engine import training
>>> x = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
>>> y = np.array([0, 1, 1, 0])
>>> net = training.Sequential((2,), [training.Dense(8, activation="relu"), training.Dense(2)], seed=1)
>>> history = net.fit(x, y, optimizer=training.Adam(0.05), epochs=100, batch_size=4)
>>> net.evaluate(x, y).accuracy
1.0
"""

from engine.training.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint, TensorBoard
from engine.training.fitting import History
from engine.training.integer import IntegerSequential
from engine.training.layers import (
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Elu,
    Exponential,
    Flatten,
    Layer,
    LeakyRelu,
    MaxPool2D,
    Relu,
    Residual,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from engine.training.losses import (
    MAE,
    MSE,
    MSLE,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    Loss,
    SoftmaxCrossEntropy,
    SquaredHinge,
)
from engine.training.metrics import Metrics
from engine.training.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Nadam, Optimizer, RMSprop
from engine.training.schedules import CosineDecay, ExponentialDecay, PiecewiseConstant, Schedule, WarmUp
from engine.training.sequential import Sequential, from_network
from engine.training.storage import load

__all__ = [
    "MAE",
    "MSE",
    "MSLE",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragePool2D",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossEntropy",
    "Conv2D",
    "CosineDecay",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "EarlyStopping",
    "Elu",
    "Exponential",
    "ExponentialDecay",
    "Flatten",
    "Ftrl",
    "History",
    "Huber",
    "IntegerSequential",
    "Layer",
    "LeakyRelu",
    "Loss",
    "MaxPool2D",
    "Metrics",
    "ModelCheckpoint",
    "Nadam",
    "Optimizer",
    "PiecewiseConstant",
    "RMSprop",
    "Relu",
    "Residual",
    "Schedule",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SquaredHinge",
    "Tanh",
    "TensorBoard",
    "WarmUp",
    "from_network",
    "load",
]
