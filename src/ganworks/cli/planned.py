"""A plan in words: what a training will be and cost, before anything is written."""

from collections.abc import Iterator

from ganworks.cli.output import Output, table
from ganworks.cli.progress import duration
from ganworks.machine import memory, sized
from ganworks.session.forecast import SAMPLED, Plan
from ganworks.settings import inline

_NOUNS = {"domains": "pictures"}
_LONGEST = 50
"""Characters of a value; --json shows all of them."""


def show(plan: Plan, output: Output) -> int:
    """Print a training that has not begun."""
    output.result({"plan": plan.as_dict()}, lambda: _plan_lines(plan))
    return 0


def _plan_lines(plan: Plan) -> Iterator[str]:
    yield from plan.notes
    yield ""
    data, networks = plan.data, plan.parameters.items()
    held = f", {data['held_out']} held out" if data["held_out"] else ""
    classes = f", {len(data['classes'])} classes" if data["classes"] else ""
    shape, noun = " x ".join(map(str, data["shape"])), _NOUNS.get(data["kind"], data["kind"])
    rows = [
        [
            "data",
            f"{data['name']}: {data['rows']} {noun} of {shape} to train on{held}{classes}",
        ],
        ["system", plan.system],
        ["steps", f"{plan.steps} of {plan.settings['batch']} samples" if plan.steps else "0: all is done before them"],
        ["device", f"{plan.settings['device']}, {plan.threads} {'thread' if plan.threads == 1 else 'threads'}"],
        ["networks", ", ".join(f"{name} {count:,} numbers" for name, count in networks) or "none"],
        ["memory", f"{sized(plan.memory_bytes)} at most, scores at the end included; {sized(memory()[1])} are free"],
        *(
            [["time", f"{duration(plan.seconds)} of training, from {SAMPLED} steps on this computer"]]
            if plan.steps
            else []
        ),
        ["disk", f"{sized(sum(plan.files.values()))} in {plan.run}"],
    ]
    yield from table(rows)
    if plan.changed:
        yield ""
        yield from table([["setting", "value", f"default of {plan.system}"], *map(list, _changed(plan))])
    yield ""
    yield from table([["file", "size"], *([name, sized(size)] for name, size in plan.files.items())])
    yield ""
    yield "nothing is written yet; to begin:"
    yield f"  {plan.command}"


def _changed(plan: Plan) -> Iterator[tuple[str, str, str]]:
    for name, (value, default) in plan.changed.items():
        yield name, _brief(value), _brief(default)


def _brief(value: object) -> str:
    text = inline(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
