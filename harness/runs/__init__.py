"""Runs: an experiment under a profile, from its plan to its rows."""
