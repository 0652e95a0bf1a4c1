"""The `harness` command group; every command is a file or a folder here."""

from __future__ import annotations

import io
import os
import sys
import warnings
from importlib import import_module

import click

from harness import __version__
from harness.commands.options import echo
from harness.common.errors import HarnessError, is_shortage
from harness.common.stopping import interruptible

INTERRUPTED = 130
# Modules of `harness.commands`, and their commands, in the order of `harness --help`.
_COMMANDS = (
    *("run", "report", "check", "train", "evaluate", "versus", "flops", "bench", "upscale", "cmsr"),
    *("methods", "data", "status", "doctor", "import_checkpoint", "export_checkpoint", "ship"),
)
_MEMORY_REMEDY = (
    "Lower --memory, or `evaluation: memory_mib` or `training: batch` in the profile, cut the "
    "image into parts, or use a machine with more memory."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Train, measure, compare and publish arbitrary-scale super-resolution.

    Start with `harness run table1`: it measures networks that come with the package and writes
    reports/table1.html. `--profile quick` trains LIIF, LTE and MoEISR on embedded photographs
    in a few minutes; `--profile paper` is the paper's own setting.
    """
    from harness.outside.plugins import load

    load()


for _name in _COMMANDS:
    cli.add_command(getattr(import_module(f"harness.commands.{_name}"), _name))


def _fail(message: str, status: int) -> int:
    """Print why a command ends, and return its exit status; a stop is nobody's error."""
    echo(message if status == INTERRUPTED else f"Error: {message}", err=True)
    return status


def _run(command: click.Command, name: str) -> int:
    """Run a command line and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # Escape what the terminal cannot show, and bytes of file names that are not UTF-8.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Hide Pillow's warnings of damaged metadata, which do not name the file.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    try:
        # A kill too is to release locks and remove temporary files, whatever the command is doing.
        with interruptible():
            status = command.main(prog_name=name, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HarnessError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "Stopped. What is finished is kept; the same command goes on from there.", INTERRUPTED
        )
    except BrokenPipeError:
        # The reader of our output has ended (`| head`); there is nothing left to print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ValueError as error:
        from baselines import UnknownMethodError  # imports torch: not for every --help

        if isinstance(error, UnknownMethodError):
            return _fail(str(error), 2)
        raise
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_shortage(error):
            raise
        reason = str(error).partition("\n")[0]
        return _fail(f"Not enough memory{f' ({reason})' if reason else ''}.\n{_MEMORY_REMEDY}", 1)
    except OSError as error:
        if error.errno is None:
            raise
        return _fail(f"{error.strerror}: {error.filename or 'a file'}", 1)


def main(command: click.Command = cli, name: str = "harness") -> None:
    """Run the console script, or another command with the same handling of errors."""
    sys.exit(_run(command, name))
