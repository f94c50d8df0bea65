"""A real kind cluster with or without an image registry. Standard library only: it comes first."""
