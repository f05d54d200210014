"""Benchmarks: each contestant in a process of its own, interleaved, compared by ratio."""
