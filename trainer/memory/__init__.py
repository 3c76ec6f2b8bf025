"""Prediction of memory, time and disk. Light (no torch), except `account` and `measure`, which make the table."""

from trainer.memory.plan import Plan, make_plan

__all__ = ["Plan", "make_plan"]
