"""The commands together, and how each way in which one can end becomes a message and an exit code.

Nothing but click is imported until a command runs, so `bench --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from bench.cli.commands.ab import ab
from bench.cli.commands.calibrate import calibrate
from bench.cli.commands.check import check
from bench.cli.commands.compare import compare
from bench.cli.commands.doctor import doctor
from bench.cli.commands.forms import forms
from bench.cli.commands.history import history
from bench.cli.commands.install import install
from bench.cli.commands.list import list_
from bench.cli.commands.report import report
from bench.cli.commands.run import run
from bench.cli.commands.serve import serve
from bench.cli.commands.worker import worker
from bench.cli.speak import complain
from bench.errors import BenchError

BUG = 1
WRONG_USAGE = 2


def carry_out(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code.   Raises: KeyboardInterrupt."""
    try:
        code = bench.main(args=list(arguments), prog_name="bench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.Abort:  # click's name for an interrupt that came while it was at work
        raise KeyboardInterrupt from None
    except click.ClickException as failure:
        return _say_usage(failure)
    except BenchError as failure:
        complain(str(failure))
        return failure.exit_code
    except SystemExit:  # click's answer to a closed pipe: whoever read our output has seen enough
        return 0
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- for the interpreter's own last flush
        return 0
    except Exception as failure:
        return _say_bug(failure, show="--debug" in arguments)


class _InOrder(click.Group):
    """Commands in the order in which a person meets them, not in that of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(self.commands)


@click.group(
    cls=_InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="serving-bench", prog_name="bench")
@click.option("--debug", is_flag=True, help="Show what modules log, and the traceback of a bug.")
def bench(*, debug: bool) -> None:
    """Measure and compare ways of serving a TensorFlow model: latency, throughput and cost per request.

    Begin with `bench run smoke`, then `bench run scenarios/efficientnet.yaml`.
    """
    if debug:
        import logging

        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format="%(name)s: %(message)s")


# In the order in which a person meets them.
for _command in (run, check, report, ab, compare, history, serve, forms, worker, list_, doctor, install, calibrate):
    bench.add_command(_command)


def _say_usage(failure: click.ClickException) -> int:
    if isinstance(failure, click.exceptions.NoArgsIsHelpError):
        click.echo(failure.format_message())
        return WRONG_USAGE
    context = getattr(failure, "ctx", None)
    command = context.command_path if context is not None else "bench"
    if isinstance(failure, click.NoSuchOption):
        message, near = f"no such option: {failure.option_name}", failure.possibilities or ()
        hint = f"did you mean {near[0]}? {command} --help" if near else f"{command} --help"
    else:
        message, hint = failure.format_message(), f"{command} --help"
    complain(f"{command}: {message[:1].lower()}{message[1:].rstrip('.')}\n  hint: {hint}")
    return WRONG_USAGE


def _say_bug(failure: Exception, *, show: bool) -> int:
    """Keeps the traceback in a file, so that a person sees one line and a maintainer gets everything."""
    import tempfile
    import traceback

    trace = "".join(traceback.format_exception(failure))
    if show:
        complain(trace)
    what = f"bug in bench: {type(failure).__name__}: {failure}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="bench-traceback-", suffix=".txt", delete=False
        ) as file:
            file.write(trace)
    except OSError:
        complain(f"{what}\n  hint: run it again with `bench --debug ...` and report the traceback")
    else:
        complain(f"{what}\n  hint: the traceback is in {file.name}; please report it")
    return BUG
