"""Turns one sales file into committed star rows, exactly once."""
