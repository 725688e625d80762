"""Sums over images, and over pairs of them, on many devices."""
