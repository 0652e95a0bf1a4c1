"""Launchers: how several processes are started for one plan, on this machine or by Slurm.

Each of them is an ordinary `harness run` or `harness train` of the same results folder, where locks
share out trainings and units. So launchers only start commands, and have no state of their own.
"""
