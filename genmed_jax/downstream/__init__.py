"""Downstream tasks: segmentation, classification, and their networks."""
