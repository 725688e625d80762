"""Features of images under a network."""
