"""Figures that are written down rather than asserted, each printed as a Markdown table by its own command.

`python -m tests.benchmarks` runs all of them in turn.
"""
