"""Timings beside the peers, as absl-flag scripts that write JSON lines."""
