"""Benchmarks. Each result is a ratio of two figures of one run, because machines differ and are shared."""
