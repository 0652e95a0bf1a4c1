"""Images: find datasets, read files, and make LR images and training patches."""
