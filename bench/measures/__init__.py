"""Rows -> figures; nothing here knows how a row came about."""
