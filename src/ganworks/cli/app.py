"""The command as a whole: its verbs, the renderer of every error, and the exit codes."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Literal

from cyclopts import App, Parameter

from ganworks.cli import options
from ganworks.cli.complaint import complain, explain
from ganworks.cli.output import discard_output
from ganworks.cli.resume import resume
from ganworks.cli.sample import sample
from ganworks.cli.systems import systems
from ganworks.cli.train import train
from ganworks.errors import error
from ganworks.registry import suggestion

BUILT: dict[str, Callable[..., int]] = {"train": train, "resume": resume, "sample": sample, "systems": systems}
PLANNED = (
    "eval", "diagnose", "failure", "explain", "data", "runs", "compare", "interpolate", "invert", "inpaint",
    "translate", "upscale", "speak", "augment", "features", "export", "sweep", "studio", "doctor",
)  # fmt: skip

EXAMPLES = """\
ganworks trains generative adversarial networks, measures them, and uses them.

  ganworks train                                          real digits, on the CPU, in about three minutes
  ganworks train ring --system gan --time 30s             eight points of a ring: see the game, break it
  ganworks train digits:7 --steps 3000                    one digit only
  ganworks sample runs/digits-0001 -n 64 --out samples    what the generator makes
  ganworks resume runs/digits-0001 --time 10m             go on, as if it had never stopped
  ganworks systems r3gan                                  every setting of a system

ganworks --help lists the verbs, ganworks VERB --help the options of one."""


def _show_examples() -> int:
    print(EXAMPLES)
    return 0


def _default_of(value: Any) -> Any:
    """What help shows as a default: nothing for a switch that is off."""
    return None if value is False else value


def _color_system(tokens: Sequence[str]) -> Literal["auto"] | None:
    """Of help pages: no escape codes at all where colour is not wanted."""
    plain = "--no-color" in tokens or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return None if plain else "auto"


def build(tokens: Sequence[str] = ()) -> App:
    """The command with its verbs."""
    from rich.console import Console

    app = App(
        name="ganworks",
        help="Train, measure, diagnose and use generative adversarial networks.",
        help_epilogue=f"Not built yet: {', '.join(PLANNED)}.",
        help_format="plaintext",
        version=lambda: version("ganworks"),
        default_command=_show_examples,
        default_parameter=Parameter(negative=(), show_default=_default_of),
        console=Console(color_system=_color_system(tokens)),
        suppress_keyboard_interrupt=False,
    )
    for verb, run in BUILT.items():
        app.command(run, name=verb, help_epilogue="")
    return app


def _verb(tokens: Sequence[str]) -> str:
    return next((token for token in tokens if not token.startswith("-")), "")


def _verb_first(tokens: Sequence[str]) -> list[str]:
    """`ganworks -q train` means `ganworks train -q`.

    Raises: UsageError where the verb is not known, or not built yet.
    """
    verb = _verb(tokens)
    if verb in PLANNED:
        raise error("E-USE-02", verb=verb)
    if verb and verb not in BUILT:
        raise error("E-USE-04", verb=verb, details=suggestion(verb, [*BUILT, *PLANNED]))
    place = tokens.index(verb) if verb else 0
    return [*tokens[place : place + 1], *tokens[:place], *tokens[place + 1 :]]


def _run(tokens: Sequence[str]) -> int:
    ordered = options.spread(_verb_first(tokens))
    code = build(tokens)(ordered, exit_on_error=False, print_error=False, result_action="return_value")
    return code if isinstance(code, int) else 0


def _guarded(tokens: Sequence[str]) -> int:
    try:
        return _run(tokens)
    except (BrokenPipeError, SystemExit):
        return 0  # whoever read the help page went away, which is their right; rich calls that an exit
    except KeyboardInterrupt:
        return 130
    except Exception as caught:
        return complain(explain(caught, _verb(tokens)), tokens)


def main(tokens: Sequence[str]) -> int:
    """Run the command on its arguments and give its exit code. No traceback gets past it unless --debug asks for it."""
    try:
        code = _guarded(tokens)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 0
    except OSError as caught:
        discard_output()
        return complain(explain(caught, _verb(tokens)), [])
    return code


def command() -> None:
    """The entry point `ganworks`."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - closed by the caller, open as long as we live
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that lacks a letter gets '?', not a crash
    sys.exit(main(sys.argv[1:]))
