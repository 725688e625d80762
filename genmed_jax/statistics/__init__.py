"""Intervals and rankings: numbers, whatever they are of."""
