"""The benchmarks: what they make of what they have seen."""
