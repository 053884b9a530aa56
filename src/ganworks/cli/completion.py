"""Completion for bash, zsh and fish. The scripts only ask `ganworks --complete`, so they never grow old."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganworks.cli.candidates import complete
from ganworks.cli.output import DEFAULT, Output
from ganworks.errors import error

if TYPE_CHECKING:
    from cyclopts import App

Shell = Literal["bash", "zsh", "fish"]
ASK = "--complete"
"""The hidden first word by which a shell asks."""

_BASH = r"""
_ganworks() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        printf -v line %q "${line%%$'\t'*}"
        COMPREPLY+=("$line")
    done < <(command ganworks --complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && $COMPREPLY == *[=/,] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _ganworks ganworks
"""
_ZSH = r"""#compdef ganworks
_ganworks() {
    local line value
    local -a whole shown open
    for line in "${(@f)$(command ganworks --complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        value=${line%%$'\t'*}
        if [[ -z $value ]]; then
            continue
        elif [[ $value == *[=/,] ]]; then
            open+=("$value")
        else
            whole+=("$value")
            shown+=("$value${${line#$value}:+  ${line#*$'\t'}}")
        fi
    done
    (( $#whole )) && compadd -l -d shown -- "${whole[@]}"
    (( $#open )) && compadd -S '' -- "${open[@]}"
    return 0
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _ganworks ganworks
"""
_FISH = r"""
function __ganworks_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    command ganworks --complete fish $words "$current" 2>/dev/null
end
complete -c ganworks -f -a '(__ganworks_complete)'
"""
SCRIPTS: dict[Shell, str] = {"bash": _BASH.lstrip(), "zsh": _ZSH, "fish": _FISH.lstrip()}


def show(shell: Shell, /, *, output: Output = DEFAULT) -> int:
    """Print the completion script of a shell: bash, zsh or fish.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    output.result({"shell": shell, "script": SCRIPTS[shell]}, lambda: SCRIPTS[shell].splitlines())
    return 0


def install(shell: Shell | None = None, /, *, output: Output = DEFAULT) -> int:
    """Complete verbs, options, settings, data and runs with the Tab key. Says which files it writes.

    Parameters
    ----------
    shell
        bash, zsh or fish; without it the one in the variable SHELL.
    """
    chosen = shell or _own_shell()
    script, start = _places(chosen)
    script.parent.mkdir(parents=True, exist_ok=True)
    beside = script.with_name(f".{script.name}.partial")
    beside.write_text(SCRIPTS[chosen])
    beside.replace(script)
    told = [f"wrote {_short(script)}"]
    if start is not None:
        line = f"[ -f {shlex.quote(str(script))} ] && . {shlex.quote(str(script))}  # completion of ganworks"
        if line in (start.read_text(errors="surrogateescape").splitlines() if start.exists() else ()):
            told.append(f"{_short(start)} reads it already")
        else:
            with start.open("a") as file:  # added to and never rewritten: it is somebody else's
                file.write(f"\n{line}\n")
            told.append(f"added one line to {_short(start)}, its last")
    told.append(f"It begins with the next {chosen}. To undo it delete what was written.")
    output.result({"shell": chosen, "script": script, "start": start}, lambda: told)
    return 0


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in SCRIPTS:
        if name == shell:
            return shell
    raise error("E-USE-01", verb="", reason="name your shell: ganworks --install-completion bash, zsh or fish")


def _places(shell: Shell) -> tuple[Path, Path | None]:
    """Where a script goes, and the file that has to read it; fish finds it alone."""
    home = Path.home()
    if shell == "fish":
        settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return settings / "fish" / "completions" / "ganworks.fish", None
    script = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "ganworks" / f"completion.{shell}"
    if shell == "zsh":
        return script, Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    return script, home / ".bashrc"


def _short(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def answer(tokens: Sequence[str], app: "App") -> int:
    """What a shell is told: a line for each candidate, with a tab before its help. Whatever fails is no candidate.

    Args:
        tokens: The shell, then the words behind `ganworks`, the last one unfinished. From bash: the line so far, and
            the part of its last word that is to be replaced, because bash breaks words at '=' and ':'.
    """
    try:
        shell, *words = tokens
        cut = 0
        if shell == "bash":
            line, current = words
            words = _split(line)[1:]
            cut = len(words[-1]) - len(current) if words[-1].endswith(current) else 0
        for value, meaning in complete(words, app):
            sys.stdout.write(f"{value[cut:]}\t{' '.join(meaning.split())}\n" if meaning else f"{value[cut:]}\n")
        sys.stdout.flush()
    except Exception:  # a shell has no use for a message of ours
        return 1
    return 0


def _split(line: str) -> list[str]:
    """A command line as a shell splits it; the last word may be empty, or a quotation not yet closed."""
    for closing in ("", '"', "'"):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return words if words and not (line[-1:].isspace() and not closing) else [*words, ""]
    return [*line.split(), ""]
