"""What the operator and the pipeline agree on, and nothing else."""
