"""Launcher `slurm`: trainings and measurements as jobs of a cluster, by submitit.

Each training is a job, then the units of each method, which depend on its trainings, then the
report. A job that is preempted or reaches its time limit is put back in the queue by Slurm or
submitit, and goes on from the last checkpoint. Jobs that depend on one that failed are removed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.common.errors import HarnessError, UsageError

# Every job imports this file: quickly, without torch.
if TYPE_CHECKING:
    from submitit import SlurmExecutor
    from submitit.helpers import DelayedSubmission

    from harness.runs.job import Job
    from harness.training.loop import Run

STOPPED = 130
# A process that was killed (no memory, a fault of the machine) is started so often in one job.
TRIES = 3
# Seconds between the signal and the end of a job at its time limit, in which it saves its work.
NOTICE = 120
# A training may need many times the time limit.
TIMEOUTS = 10_000


class Command:
    """Command of the harness as a job, in a process of its own, which saves its work when told."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)
        self.process = 0  # its number, while there is one

    def __call__(self) -> None:
        """Run the command.

        Raises:
            RuntimeError: it failed; its output is the job's.
        """
        for _ in range(TRIES):
            command = [sys.executable, "-m", "harness", *self.arguments]
            # Slurm sends its signal to every process of the job; this one passes it on.
            self.process = os.posix_spawn(
                sys.executable, command, os.environ, setsigmask=[signal.SIGUSR2]
            )
            status = _ending(self.process)
            if status >= 0:
                break
            print(f"killed by {signal.Signals(-status).name}; again", file=sys.stderr, flush=True)
        if status == STOPPED:
            # By Slurm, which now ends the job, and puts it back in the queue if it preempted it.
            time.sleep(600)
        if status:
            raise RuntimeError(f"harness {' '.join(self.arguments)}: status {status}")

    def checkpoint(self) -> DelayedSubmission:
        """Save the work when the job is to end, and go on in another one; called by submitit."""
        from submitit.helpers import DelayedSubmission

        with suppress(ProcessLookupError, ChildProcessError):  # it has just ended
            if self.process:
                os.kill(self.process, signal.SIGTERM)
                _ending(self.process)
        return DelayedSubmission(Command(self.arguments))


def _ending(process: int) -> int:
    """Wait for a process, and return its exit status; minus the signal that ended it.

    A signal handler that interrupts the waiting may wait for the same process. It could not with
    `Popen.wait`, which holds a lock meanwhile.
    """
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.2)


@dataclass(frozen=True)
class Submission:
    """Job of the cluster to be.

    Attributes:
        name: name in the queue.
        arguments: of `harness`.
        after: names of the jobs that must have ended well.
        trains: whether it takes the GPUs of a training.
    """

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    trains: bool = False


def submissions(job: Job, command: Sequence[str], gpus: int | None) -> Iterator[Submission]:
    """List the jobs of a plan, each after those that it depends on.

    Args:
        job: what is to be trained and measured.
        command: arguments of `harness run` that do the whole job, without a launcher.
        gpus: GPUs of a training.
    """
    runs = [run for run in job.runs() if not run.is_finished()]
    for run in runs:
        yield Submission(_name(run), tuple(_training(job, run, gpus)), trains=True)
    for method in job.methods:
        own = tuple(_name(run) for run in runs if run.recipe.method == method.weights)
        arguments = (*command, "--methods", method.name, "--no-figures")
        yield Submission(f"measure-{method.name}", arguments, own)
    yield Submission(
        "report", tuple(command), tuple(f"measure-{method.name}" for method in job.methods)
    )


def _name(run: Run) -> str:
    return f"train-{run.recipe.method}-s{run.recipe.seed}"


def _training(job: Job, run: Run, gpus: int | None) -> Iterator[str]:
    yield from ("train", run.recipe.method, "--seed", str(run.recipe.seed), "--wait")
    yield from ("--profile", job.profile.source, "--results", str(job.places.results))
    if job.places.data_root:
        yield from ("--data-root", str(job.places.data_root))
    yield from ("--device", job.device.type)
    if gpus:
        yield from ("--devices", str(gpus))


def launch(
    job: Job,
    command: Sequence[str],
    *,
    partition: str | None = None,
    account: str | None = None,
    minutes: int = 1440,
    gpus: int | None = None,
    concurrency: int | None = None,
) -> dict[str, str]:
    """Submit the jobs of a plan.

    Args:
        job: what is to be trained and measured.
        command: arguments of `harness run` that do the whole job, without a launcher.
        partition: of the cluster.
        account: of the cluster.
        minutes: time limit of each job.
        gpus: GPUs of a training; a measurement takes one. None: the cluster has none.
        concurrency: largest number of jobs that run at once; None for any.

    Returns:
        The number of each job, by name.

    Raises:
        UsageError: submitit is not installed.
        HarnessError: there is no Slurm, or it refuses a job.
    """
    for run in job.runs():
        run.folder.mkdir(parents=True, exist_ok=True)  # `harness status` shows that it waits
    executor = _executor(job)
    executor.update_parameters(
        partition=partition, account=account, time=minutes, signal_delay_s=NOTICE
    )
    submitted: dict[str, str] = {}
    for step in submissions(job, command, gpus):
        wanted = [f"afterok:{submitted[name]}" for name in step.after]
        if concurrency and len(submitted) >= concurrency:
            # Lanes: each job follows the one that many places before it.
            wanted.append(f"afterany:{list(submitted.values())[-concurrency]}")
        executor.update_parameters(**_parameters(step, gpus, wanted))
        submitted[step.name] = _submit(executor, step)
    return submitted


def _executor(job: Job) -> SlurmExecutor:
    try:
        from submitit import SlurmExecutor
    except ImportError as error:
        raise UsageError(
            f"--launcher slurm needs submitit, which is not installed ({error}).",
            "pip install 'moeisr-harness[slurm]'",
        ) from error
    try:
        return SlurmExecutor(folder=job.logs.absolute(), max_num_timeout=TIMEOUTS)
    except RuntimeError as error:
        raise HarnessError(
            "There is no Slurm here: srun was not found.",
            "Run this on a login node of the cluster, or use --launcher local.",
        ) from error


def _parameters(step: Submission, gpus: int | None, wanted: Sequence[str]) -> dict[str, Any]:
    more: dict[str, Any] = {"requeue": True, "kill-on-invalid-dep": "yes"}
    if wanted:
        more["dependency"] = ",".join(wanted)
    return {
        "job_name": step.name,
        "gpus_per_node": gpus if step.trains or not gpus else 1,
        "additional_parameters": more,
    }


def _submit(executor: SlurmExecutor, step: Submission) -> str:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return str(executor.submit(Command(step.arguments)).job_id)
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        reason = str(error).strip().splitlines()[-1:]
        raise HarnessError(
            f"Slurm did not take the job {step.name}: {' '.join(reason) or repr(error)}",
            "Check --partition, --account, --time and --gpus; `scancel` removes earlier jobs.",
        ) from error
