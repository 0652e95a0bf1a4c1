"""SR images of networks, and of image files, in strips."""
