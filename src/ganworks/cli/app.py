"""The command as a whole: its verbs, the renderer of every error, and the exit codes."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Literal

from cyclopts import App, Group, Parameter

from ganworks.cli import completion, options
from ganworks.cli.compare import compare
from ganworks.cli.complaint import as_ours, complain
from ganworks.cli.data import SUB_VERBS as DATA_SUB_VERBS
from ganworks.cli.data import data
from ganworks.cli.diagnose import diagnose
from ganworks.cli.doctor import doctor
from ganworks.cli.eval import evaluate
from ganworks.cli.explain import explain
from ganworks.cli.failure import failure
from ganworks.cli.features import features
from ganworks.cli.output import DEFAULT, Output, discard_output
from ganworks.cli.resume import resume
from ganworks.cli.runs import runs
from ganworks.cli.sample import sample
from ganworks.cli.systems import systems
from ganworks.cli.train import train
from ganworks.cli.translate import translate
from ganworks.errors import error
from ganworks.registry import suggestion

BUILT: dict[str, Callable[..., int]] = {
    "train": train, "resume": resume, "sample": sample, "eval": evaluate, "runs": runs, "compare": compare,
    "translate": translate, "features": features, "data": data,
    "diagnose": diagnose, "failure": failure,
    "systems": systems, "explain": explain, "doctor": doctor,
}  # fmt: skip
PLANNED = (
    "interpolate", "invert", "inpaint", "upscale", "speak", "augment", "export", "sweep", "studio",
)  # fmt: skip

SUB_VERBS: dict[str, dict[str, Callable[..., int]]] = {"data": DATA_SUB_VERBS}
"""Verbs that are followed by another one: `ganworks data check`."""

ROOT: dict[str, Callable[..., int]] = {
    "--install-completion": completion.install,
    "--show-completion": completion.show,
}
"""What stands in a verb's place without being one."""

EXAMPLES = """\
ganworks trains generative adversarial networks, measures them, and uses them.

  ganworks train ring --system gan --time 30s             learn: the game on eight points, in half a minute
  ganworks explain mode collapse                          learn: what a word, a setting or an error means
  ganworks data check photos                              make: what a folder of pictures holds, before you train
  ganworks train photos --time 10m                        make: a generator of such pictures, chosen to suit them
  ganworks eval runs/photos-0001                          research: scores with intervals, beside real data
  ganworks sample runs/photos-0001 -n 64 --out samples    use: new pictures from a trained generator

ganworks train alone draws handwritten digits in about three minutes. After a stop, ganworks resume RUN goes on.
ganworks --help lists the verbs, ganworks VERB --help the options of one. If something fails: ganworks doctor."""


def _show_examples(*, output: Output = DEFAULT) -> int:
    commands = [line.split("   ")[0].strip() for line in EXAMPLES.splitlines() if line.startswith("  ")]
    output.result({"examples": commands}, EXAMPLES.splitlines)
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
        group_parameters=Group("Options", sort_key=10),
        default_parameter=Parameter(negative=(), show_default=_default_of),
        console=Console(color_system=_color_system(tokens)),
        suppress_keyboard_interrupt=False,
    )
    for place, (verb, run) in enumerate(BUILT.items()):
        app.command(run, name=verb, help_epilogue="", sort_key=place)
        for inner, (name, sub_verb) in enumerate(SUB_VERBS.get(verb, {}).items()):
            app[verb].command(sub_verb, name=name, help_epilogue="", sort_key=inner)
    for name, run in ROOT.items():
        app.command(run, name=name, help_epilogue="", sort_key=len(BUILT))
    return app


def _verb(tokens: Sequence[str]) -> str:
    return next((token for token in tokens if not token.startswith("-")), "")


def _verb_first(tokens: Sequence[str]) -> list[str]:
    """`ganworks -q train` means `ganworks train -q`.

    Raises: UsageError where the verb is not known, or not built yet.
    """
    verb = "" if tokens and tokens[0] in ROOT else _verb(tokens)
    if verb in PLANNED:
        raise error("E-USE-02", verb=verb)
    if verb and verb not in BUILT:
        raise error("E-USE-04", verb=verb, details=suggestion(verb, [*BUILT, *PLANNED]))
    place = tokens.index(verb) if verb else 0
    rest = [*tokens[:place], *tokens[place + 1 :]]
    return [*tokens[place : place + 1], *_sub_verb_first(verb, rest)]


def _sub_verb_first(verb: str, rest: list[str]) -> list[str]:
    """`ganworks data --json list` means `ganworks data list --json`.

    Raises: UsageError where the verb has others only.
    """
    known, word = SUB_VERBS.get(verb, {}), _verb(rest)
    if not known or not word:
        return rest
    if word not in known:
        details = suggestion(word, known) or [f"known: {', '.join(known)}"]
        raise error("E-USE-01", verb=verb, reason=f"'{verb}' is not followed by '{word}'", details=details)
    rest.remove(word)
    return [word, *rest]


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
        return complain(as_ours(caught, _verb(tokens)), tokens)


def main(tokens: Sequence[str]) -> int:
    """Run the command on its arguments and give its exit code. No traceback gets past it unless --debug asks for it."""
    if tokens[:1] == [completion.ASK]:
        return completion.answer(tokens[1:], build())
    try:
        code = _guarded(tokens)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 0
    except OSError as caught:
        discard_output()
        return complain(as_ours(caught, _verb(tokens)), [])
    return code


def command() -> None:
    """The entry point `ganworks`."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - closed by the caller, open as long as we live
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that lacks a letter gets '?', not a crash
    sys.exit(main(sys.argv[1:]))
