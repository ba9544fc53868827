"""Measure and compare ways of serving a TensorFlow model."""

from __future__ import annotations

__version__ = "0.1.0"
