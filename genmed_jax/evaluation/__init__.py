"""The evaluation of generated sets."""
