"""A disk that refuses one operation, and a disk that forgets what was not synced when the power goes.

Both stand between the code under test and the real disk by replacing what `os` and `io` offer for changing a disk, so
that every operation below a folder is seen, whoever makes it.
"""

import contextlib
import errno
import io
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CLEANING = ("unlink", "rmdir")
_DAMAGES = ("none", "half", "torn")
"""What has reached the disk of a file that was not synced; torn: its length, and only half of its bytes."""

Tree = tuple[tuple[str, bytes | None], ...]
"""Everything below a folder by its path; None stands for a folder."""


class Disk:
    """Sees every changing operation below a folder, in order, and may refuse some.

    Args:
        root: Operations elsewhere pass unseen.
        refuse: Called with the operation's number and name before it is made; gives an errno to refuse it with.
    """

    def __init__(self, root: Path, refuse: Callable[[int, str], int | None] = lambda number, name: None) -> None:
        self.root, self.refuse = str(root), refuse
        self.seen: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.journal: list[tuple[Any, ...]] = []
        self._handles: dict[int, str] = {}

    def _path(self, path: Any, dir_fd: int | None = None) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        text = os.fsdecode(path)
        if dir_fd is not None:
            text = os.path.join(self._handles.get(dir_fd, "/elsewhere"), text)
        return text if text == self.root or text.startswith(self.root + "/") else None

    def _meet(self, name: str, path: str) -> None:
        number = len(self.seen)
        self.seen.append((name, path))
        code = self.refuse(number, name)
        if code is not None:
            self.refused.append(f"{number} {name} {os.path.relpath(path, self.root)}")
            raise OSError(code, os.strerror(code), path)

    def _simple(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def operation(path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> Any:
            place = self._path(path, dir_fd)
            if place is not None:
                self._meet(name, place)
            given = kwargs if dir_fd is None else {**kwargs, "dir_fd": dir_fd}
            done = real(path, *args, **given)
            if place is not None:
                self.journal.append((name, place))
            return done

        return operation

    def _rename(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def rename(source: Any, target: Any, **kwargs: Any) -> None:
            place = self._path(source)
            if place is not None:
                self._meet("rename", place)
            real(source, target, **kwargs)
            if place is not None:
                self.journal.append(("rename", place, os.fsdecode(target)))

        return rename

    def _opener(self) -> Callable[..., Any]:
        real = os.open

        def open_(path: Any, flags: int, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> int:
            handle = real(path, flags, *args, dir_fd=dir_fd, **kwargs)
            place = self._path(path, dir_fd)
            self._handles[handle] = place or "/elsewhere"
            return handle

        return open_

    def _syncer(self) -> Callable[[int], None]:
        real = os.fsync

        def fsync(handle: int) -> None:
            place = self._path(self._handles.get(handle, "/elsewhere"))
            if place is not None:
                self._meet("fsync", place)
            real(handle)
            if place is not None:
                self.journal.append(("fsync", place))

        return fsync

    def _file_opener(self) -> Callable[..., Any]:
        real = io.open

        def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            place = self._path(file)
            if place is None or mode.startswith("r"):
                return real(file, mode, *args, **kwargs)
            self._meet("open", place)
            opened = real(file, mode, *args, **kwargs)
            self.journal.append(("open", place))
            self._handles[opened.fileno()] = place
            return _Written(opened, self, place)

        return open_

    @contextlib.contextmanager
    def watching(self) -> Iterator["Disk"]:
        """Stand between everybody and the disk."""
        replacements: dict[tuple[Any, str], Any] = {
            (os, "mkdir"): self._simple("mkdir"),
            (os, "rmdir"): self._simple("rmdir"),
            (os, "unlink"): self._simple("unlink"),
            (os, "remove"): self._simple("remove"),
            (os, "truncate"): self._simple("truncate"),
            (os, "rename"): self._rename("rename"),
            (os, "replace"): self._rename("replace"),
            (os, "open"): self._opener(),
            (os, "fsync"): self._syncer(),
            (io, "open"): self._file_opener(),
        }
        before = {(place, name): getattr(place, name) for place, name in replacements}
        for (place, name), made in replacements.items():
            setattr(place, name, made)
        try:
            yield self
        finally:
            for (place, name), made in before.items():
                setattr(place, name, made)


class _Written:
    """A file whose writes and closing are operations too. A write is two of them: it can stop in the middle."""

    def __init__(self, file: Any, disk: Disk, place: str) -> None:
        self._file, self._disk, self._place = file, disk, place

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: Any) -> None:
        half = len(content) // 2  # of text as of bytes
        for part in (content[:half], content[half:]):
            self._disk._meet("write", self._place)
            self._file.write(part)
            self._file.flush()
            written = part.encode() if isinstance(part, str) else bytes(part)
            self._disk.journal.append(("write", self._place, written))

    def close(self) -> None:
        self._file.close()
        self._disk._meet("close", self._place)


def once(number: int, code: int) -> Callable[[int, str], int | None]:
    """Refuse one operation."""
    return lambda at, name: code if at == number else None


def from_now_on(number: int, code: int) -> Callable[[int, str], int | None]:
    """Refuse an operation and all later ones; on a full disk things can still be removed."""
    removable = code != errno.EROFS
    return lambda at, name: code if at >= number and not (removable and name in _CLEANING) else None


# What a disk holds after a power cut: names change when their folder is synced, contents when their file is.


@dataclass
class _Node:
    folder: bool
    names: dict[str, int] = field(default_factory=dict)
    content: bytes = b""
    safe: bytes = b""


@dataclass(frozen=True)
class _Change:
    """One change of names: within the folder `inode`, a name is bound or freed."""

    number: int
    folder: int
    bound: tuple[str, int] | None = None
    freed: str | None = None


class PowerCuts:
    """Every state in which a power cut may leave a folder.

    The journal of `Disk` is replayed up to each of its operations. What was not synced by then has reached the disk or
    not, name by name and file by file: all combinations where there are few, a sample of them otherwise.

    Args:
        before: The folder as it was.
        journal: Of the operations below `root`.
        root: Where they were made.
    """

    _MOST = 32

    def __init__(self, before: Path, journal: list[tuple[Any, ...]], root: Path) -> None:
        self._root = str(root)
        self._nodes: list[_Node] = [_Node(True)]
        self._journal = journal
        self._load(before, 0)
        self._draw = random.Random(0)

    def _load(self, folder: Path, inode: int) -> None:
        for each in folder.iterdir():
            content = b"" if each.is_dir() else each.read_bytes()
            self._nodes.append(_Node(each.is_dir(), {}, content, content))
            self._nodes[inode].names[each.name] = child = len(self._nodes) - 1
            if each.is_dir():
                self._load(each, child)

    def _find(self, names: list[dict[str, int]], path: str) -> int:
        inode = 0
        for part in Path(os.path.relpath(path, self._root)).parts:
            inode = names[inode][part]
        return inode

    def states(self) -> Iterator[tuple[int, str, Tree]]:
        """The number and name of the last operation, and what is there then."""
        start = [dict(node.names) for node in self._nodes]
        live = [dict(names) for names in start]
        changes: list[_Change] = []
        safe: set[int] = set()
        for number, (name, path, *more) in enumerate(self._journal):
            self._apply(number, name, path, more, live, start, changes, safe)
            for lost in self._subsets(sorted({change.number for change in changes} - safe)):
                kept = [change for change in changes if change.number not in lost]
                for damage in self._damages():
                    yield number, name, self._tree(start, kept, damage)

    def _damages(self) -> Iterator[dict[int, str]]:
        """What has become of each file that is not synced: nothing, the same of all, or of one of them."""
        loose = [inode for inode, node in enumerate(self._nodes) if node.content != node.safe]
        yield {}
        for damage in _DAMAGES if loose else ():
            yield dict.fromkeys(loose, damage)
            yield from ({inode: damage} for inode in loose if len(loose) > 1)

    def _subsets(self, numbers: list[int]) -> list[frozenset[int]]:
        if 2 ** len(numbers) <= self._MOST:
            sizes = range(len(numbers) + 1)
            return [frozenset(some) for size in sizes for some in itertools.combinations(numbers, size)]
        drawn = [frozenset(n for n in numbers if self._draw.random() < 0.5) for _ in range(self._MOST - 2)]
        return [frozenset(), frozenset(numbers), *drawn]

    def _apply(
        self,
        number: int,
        name: str,
        path: str,
        more: list[Any],
        live: list[dict[str, int]],
        start: list[dict[str, int]],
        changes: list[_Change],
        safe: set[int],
    ) -> None:
        parent, last = (0, "") if path == self._root else (self._find(live, os.path.dirname(path)), Path(path).name)
        if name in ("mkdir", "open"):
            if name == "open" and last in live[parent]:
                self._nodes[live[parent][last]].content = b""
                return
            self._nodes.append(_Node(name == "mkdir"))
            live.append({})
            start.append({})
            changes.append(_Change(number, parent, bound=(last, len(self._nodes) - 1)))
            live[parent][last] = len(self._nodes) - 1
        elif name in ("unlink", "remove", "rmdir"):
            del live[parent][last]
            changes.append(_Change(number, parent, freed=last))
        elif name == "rename":
            target = self._find(live, os.path.dirname(more[0]))
            moved = live[parent].pop(last)
            live[target][Path(more[0]).name] = moved
            changes.append(_Change(number, target, bound=(Path(more[0]).name, moved)))
            changes.append(_Change(number, parent, freed=last))
        elif name == "write":
            self._nodes[live[parent][last]].content += more[0]
        elif name == "fsync":
            inode = self._find(live, path) if last else 0
            self._nodes[inode].safe = self._nodes[inode].content
            safe |= {change.number for change in changes if change.folder == inode}

    def _tree(self, start: list[dict[str, int]], kept: list[_Change], damage: dict[int, str]) -> Tree:
        names = [dict(each) for each in start]
        for change in kept:
            if change.bound:
                names[change.folder][change.bound[0]] = change.bound[1]
            if change.freed:
                names[change.folder].pop(change.freed, None)
        found: dict[str, bytes | None] = {}

        def walk(place: str, inode: int) -> None:
            for name, child in names[inode].items():
                node = self._nodes[child]
                found[f"{place}{name}"] = None if node.folder else _content(node, damage.get(child, "all"))
                if node.folder:
                    walk(f"{place}{name}/", child)

        walk("", 0)
        return tuple(sorted(found.items()))


def _content(node: _Node, damage: str) -> bytes:
    half = len(node.content) // 2
    torn = node.content[:half] + bytes(len(node.content) - half)
    return {"all": node.content, "none": node.safe, "half": node.content[:half], "torn": torn}[damage]


def lay_out(tree: Tree, folder: Path) -> None:
    """Make a state in an empty folder."""
    for name, content in tree:
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
