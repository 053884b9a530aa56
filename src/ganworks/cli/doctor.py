"""`ganworks doctor`: whether ganworks can work here, and what to do where not."""

from ganworks.cli.output import DEFAULT, Output, table

PROBLEM_CODE = 4
"""The exit code of surroundings that do not allow it, as of every error about them."""


def doctor(*, output: Output = DEFAULT) -> int:
    """Look at versions, processor, memory, disk and rights, and train three steps.

    What it prints is made to be pasted into an issue: it holds no path, no name of yours and no token.

    Examples:
      ganworks doctor
      ganworks doctor --json
    """
    from ganworks.cli import checkup

    found = list(checkup.findings())
    problems = sum(each.level == "PROBLEM" for each in found)

    def lines() -> list[str]:
        rows = table([[each.level, each.what, each.found] for each in found])
        told = [line for each, row in zip(found, rows, strict=True) for line in (row, f"         do:  {each.do}")]
        told = [line for line in told if line.removeprefix("         do:  ")]
        things = "1 problem" if problems == 1 else f"{problems} problems"
        return [*told, "", f"{things}: see above what to do" if problems else "no problem: ganworks can work here"]

    output.result({"usable": not problems, "findings": [each._asdict() for each in found]}, lines)
    return PROBLEM_CODE if problems else 0
