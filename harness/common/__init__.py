"""Files, locks, errors, progress and devices: what every room needs."""
