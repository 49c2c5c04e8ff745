"""A Weights & Biases workspace for the runs of a project."""
