"""The forms in which images and features are given."""
