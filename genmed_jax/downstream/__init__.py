"""What synthetic images are for: networks that are trained and applied."""
