"""Sensitivity studies: what metrics see of controlled damage to real images."""
