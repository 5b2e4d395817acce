"""Triggers decide which tags fire."""
