"""The platform on a real cluster."""
