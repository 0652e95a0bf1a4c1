"""Sections of a report: one class in one file each, which makes tables and figures.

A new kind is a new file here (or anywhere): a subclass of `SectionMaker`, named in the `sections`
of an experiment.
"""
