"""Training: samples, losses, one step, and the loop that can be stopped at any moment."""
