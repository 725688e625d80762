"""Sources of images and the loader that reads them."""
