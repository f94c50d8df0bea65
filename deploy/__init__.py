"""The whole platform on one cluster: `python -m deploy up`, `status`, `down`."""
