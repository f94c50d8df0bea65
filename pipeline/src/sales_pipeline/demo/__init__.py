"""The embedded demo: real servers from wheels, one sweep, one report."""
