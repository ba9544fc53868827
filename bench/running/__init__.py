"""Measuring: materials, launch after launch, trial after trial, written down as it goes."""
