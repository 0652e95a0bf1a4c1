"""The SR image of a network, and of an image file, in strips."""
