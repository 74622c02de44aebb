"""Trainers on the chip: a network that learns where it runs, as C from the same kernels as on the host."""

from enginekit.trainer.base import Field, Outcome, Trainer, Twin
from enginekit.trainer.make import make_trainer
from enginekit.trainer.plan import TrainerPlan, check_trainer_fits, plan_trainer
from enginekit.trainer.sources import emit_trainer

__all__ = [
    "Field",
    "Outcome",
    "Trainer",
    "TrainerPlan",
    "Twin",
    "check_trainer_fits",
    "emit_trainer",
    "make_trainer",
    "plan_trainer",
]
