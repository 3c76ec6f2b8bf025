"""Prediction of memory, time and disk. Light (no torch), except `account` and `measure`, which make the table."""

from trainer.memory.choose import apply_rung, choose_rung, fitted, rungs_below
from trainer.memory.plan import Plan, RungPlan, make_plan

__all__ = ["Plan", "RungPlan", "apply_rung", "choose_rung", "fitted", "make_plan", "rungs_below"]
