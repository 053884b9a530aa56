"""Names and what is close to them: every unknown name is answered with the nearest known ones."""

from collections.abc import Iterable

_LONGEST = 100
"""Letters of what may be a mistyped name; measuring how far off a longer text is would take seconds."""


def _distance(a: str, b: str) -> int:
    """Edits between two words: insertions, deletions, replacements and swaps of neighbours count one each."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def close(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names nearest to a mistyped one, best first; none where nothing is near."""
    wanted = name.lower().replace("-", "_")
    if len(wanted) > _LONGEST:
        return []
    ranked = sorted((_distance(wanted, word.lower().replace("-", "_")), word) for word in known)
    limit = max(1, (len(wanted) + 1) // 3)
    near = [word for edits, word in ranked if edits <= limit]
    return near[:most] or sorted(word for _, word in ranked if wanted and wanted in word.lower())[:most]


def suggestion(name: str, known: Iterable[str]) -> list[str]:
    """The detail line of an error about an unknown name."""
    near = close(name, known)
    return [f"names close to it: {', '.join(near)}"] if near else []
