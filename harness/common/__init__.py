"""Files, locks, errors, progress and devices: helpers that every room needs."""
