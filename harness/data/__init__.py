"""Images: finding datasets, reading files, making LR images and training patches."""
