"""Measurements, each a ratio of two figures of one run: machines differ, and are busy."""
