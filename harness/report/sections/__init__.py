"""Sections of a report: one class in one file each, which makes tables and figures.

A new kind is a new file here (or anywhere): a subclass of `SectionMaker`, named in the `sections`
of an experiment.
"""

from harness.report.sections.costs import Latency as Latency
from harness.report.sections.costs import Memory as Memory
from harness.report.sections.costs import Overview as Overview
from harness.report.sections.counts import Counts as Counts
from harness.report.sections.counts import Reference as Reference
from harness.report.sections.curves import Curves as Curves
from harness.report.sections.limits import Limits as Limits
from harness.report.sections.macs import MacsTable as MacsTable
from harness.report.sections.macs import OtherMacs as OtherMacs
from harness.report.sections.networks import Networks as Networks
from harness.report.sections.pareto import Pareto as Pareto
from harness.report.sections.pictures import Crops as Crops
from harness.report.sections.pictures import ExpertMaps as ExpertMaps
from harness.report.sections.scores import ScoreTable as ScoreTable
from harness.report.sections.shares import Shares as Shares
