"""What goes wrong in a run, and how the run goes on.

A supervisor without torch holds the run's lock and log and starts the worker as its child. When the child ends
before its time, the supervisor judges how, changes the settings where that helps, and starts the next one.
`pipe` carries the child's events, `changes` keeps what was changed, `decide` judges, `supervisor` acts.
"""
