"""Findings as JUnit XML, which CI servers show as tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from harness.check.findings import Finding, Verdict, failures

# What XML 1.0 has no way to write; an escaped one is not allowed either.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(findings: Sequence[Finding], profile: str, properties: Mapping[str, str]) -> str:
    """One test case per cell; new cells are skipped tests, information is their output.

    Args:
        findings: of a check.
        profile: for the suite's name.
        properties: of the suite: baseline file, tolerance, provenance.
    """
    skipped = sum(finding.verdict is Verdict.NEW for finding in findings)
    counts = {
        "tests": str(len(findings)),
        "failures": str(len(failures(findings))),
        "errors": "0",
        "skipped": str(skipped),
        "time": "0",
    }
    name = _clean(f"harness check {profile}")
    # `testsuites` has no count of skipped tests in Jenkins' schema.
    outer = {key: value for key, value in counts.items() if key != "skipped"}
    root = ET.Element("testsuites", {"name": name, **outer})
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
    listed = ET.SubElement(suite, "properties")
    for key, value in properties.items():
        ET.SubElement(listed, "property", name=_clean(key), value=_clean(value))
    for finding in findings:
        _add_case(suite, finding, profile)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_case(suite: ET.Element, finding: Finding, profile: str) -> None:
    name = finding.place.partition(": ")[2] or "settings"
    group = f"harness.check.{profile}.{finding.experiment}"
    case = ET.SubElement(suite, "testcase", classname=_clean(group), name=_clean(name), time="0")
    reason = _clean(finding.explanation)
    if finding.fails:
        kind = finding.verdict.value
        ET.SubElement(case, "failure", message=reason, type=kind).text = _numbers(finding)
    elif finding.verdict is Verdict.NEW:
        ET.SubElement(case, "skipped", message=reason)
    else:
        ET.SubElement(case, "system-out").text = f"{_numbers(finding)}\n{reason}".strip()


def _numbers(finding: Finding) -> str:
    if finding.expected is None and finding.measured is None:
        return _clean(finding.explanation)
    return f"PSNR (dB): accepted {finding.expected}, measured {finding.measured}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
