"""Run a `harness` command; its peak memory goes to the file that is named first.

A script and no part of the package, so that a process starts with it alone.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    from harness.checkpoints import trained
    from harness.commands import main
    from harness.common.device import process_peak
    from harness.upscale import enlarge

    del enlarge, trained  # imported for the command: a time limit counts its work
    # A shell's background job, and all that it starts, would ignore the interruption.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, report, *arguments = sys.argv
    sys.argv = ["harness", *arguments]
    Path(report).write_text(json.dumps({"peak": process_peak()}))
    try:
        main()
    finally:
        Path(report).write_text(json.dumps({"peak": process_peak()}))
