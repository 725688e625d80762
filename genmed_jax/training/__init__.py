"""The training loop and its inputs and outputs."""
