"""Published rows of the field: which tables have them, and by which protocol each was measured.

A value is shown beside ours only where its protocol is known, and is the same. What is said here of
a system is from its paper or its project's scripts; what is not known there is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.published import Printed, System, look_up, systems

_EVERY = (1.0, 1000.0)
_UP_TO_4 = (1.0, 4.0)  # LR images of MATLAB's resize, which are LIIF's up to x4 only


@dataclass(frozen=True)
class FieldRow:
    """Systems of a published table that were measured by one protocol.

    Attributes:
        file: file of this folder.
        table: value of its `table` column.
        methods: names of the systems in the table, over any backbone.
        protocol: family of the protocol (`harness.metrics.FAMILIES`).
        roles: sets that it is known of.
        scales: least and largest scale that it is known of.
        why: how it is known, or what differs.
    """

    file: str
    table: str
    methods: tuple[str, ...]
    protocol: str
    roles: tuple[str, ...]
    scales: tuple[float, float] = _EVERY
    why: str = ""

    def systems(self) -> list[System]:
        """List its systems, in the order of the table."""
        return [each for each in systems(self.file, self.table) if each.method in self.methods]

    def printed(self, system: System, role: str, scale: float, metric: str) -> Printed | None:
        """Find the value of a system; None where the table has none of this protocol."""
        low, high = self.scales
        if system.method not in self.methods or role not in self.roles or not low <= scale <= high:
            return None
        return look_up(self.file, self.table, system, role, scale, metric)


_DIV2K = ("DIV2K_valid",)
_Y = ("Set5", "Set14", "B100", "Urban100", "Manga109")
_QUOTED = ("MetaSR", "LIIF", "LTE")
_ROTATED = ("Thera Air", "Thera Plus", "Thera Pro", "CUF")
_ONE_PASS = "Thera Plus, one pass"
_OF_CIAOSR = "measured anew by Thera, in one pass, on MATLAB's LR images"

FIELD = (
    # LIIF's own evaluation, as these projects' test scripts have it.
    FieldRow("survey_table4.csv", "4", (*_QUOTED, "CLIT", "OPE-SR", "LINF t=0"), "liif", _DIV2K),
    FieldRow("survey_table4.csv", "4", ("UltraSR",), "liif", _DIV2K, why="inferred"),
    FieldRow("thera_table1.csv", "1", ("MSIT",), "liif", _DIV2K, why="code derived from CLIT's"),
    FieldRow("thera_table1.csv", "1", ("CiaoSR",), "liif", _DIV2K, _UP_TO_4, _OF_CIAOSR),
    FieldRow("thera_table3.csv", "3", (_ONE_PASS,), "liif", _DIV2K, _UP_TO_4),
    # Its script makes all LR images by Pillow's bicubic, which LIIF's are from x4 on.
    FieldRow("survey_table4.csv", "4", ("SRNO",), "liif", _DIV2K, (4.5, 1000.0)),
    FieldRow("thera_table1.csv", "1", _ROTATED, "thera", _DIV2K),
    *(
        FieldRow(f"thera_table{table}.csv", table, methods, protocol, _Y)
        for table in ("2", "5")
        for methods, protocol in (
            ((*_QUOTED, "CLIT", "MSIT"), "liif"),
            (("CiaoSR",), "ciaosr"),
            (_ROTATED, "thera"),
        )
    ),
)
"""Tables that came since; the first that has a value of a system is used."""


def shown(protocol: str, roles: tuple[str, ...]) -> tuple[FieldRow, ...]:
    """List the rows of some sets that were measured by a protocol."""
    return tuple(row for row in FIELD if row.protocol == protocol and set(row.roles) & set(roles))


def left_out(protocol: str, role: str) -> dict[str, list[str]]:
    """List the systems that were measured on a set by other protocols, by protocol."""
    found: dict[str, list[str]] = {}
    for row in FIELD:
        if row.protocol != protocol and role in row.roles:
            own = found.setdefault(row.protocol, [])
            own += [method for method in row.methods if method not in own]
    return found
