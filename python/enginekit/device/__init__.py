"""Talking to a board, or to the simulated chip, that runs this project's firmware."""

from enginekit.device.boards import BOARDS, Board
from enginekit.device.client import Client, Port
from enginekit.device.ports import candidates, connect
from enginekit.device.protocol import (
    Batch,
    Card,
    DeviceError,
    Learner,
    ModelMismatchError,
    NoAnswerError,
    ProtocolError,
    Reply,
    RequestError,
    Selftest,
    Stats,
    StepError,
    TensorCard,
)
from enginekit.device.trainee import Lesson, Trainee

__all__ = [
    "BOARDS",
    "Batch",
    "Board",
    "Card",
    "Client",
    "DeviceError",
    "Learner",
    "Lesson",
    "ModelMismatchError",
    "NoAnswerError",
    "Port",
    "ProtocolError",
    "Reply",
    "RequestError",
    "Selftest",
    "Stats",
    "StepError",
    "TensorCard",
    "Trainee",
    "candidates",
    "connect",
]
