"""What the project promises about itself: its wheel, its arrow of imports, its ban on code in data."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "ganworks"
MODULES = sorted(SOURCES.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_holds_every_file_of_the_package_and_no_other(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    copy = tmp_path / "copy"  # the build writes beside its sources
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    files = [path for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(copy)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith("LICENSE") for name in archive.namelist())
    assert held == {path.relative_to(ROOT / "src").as_posix() for path in files}


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_constraints_keep_the_floors() -> None:
    """Each pin of the environment is one that pyproject.toml allows, and every dependency has one."""
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(line for extra in ("features", "tensorboard", "test") for line in
              project["optional-dependencies"][extra])]  # fmt: skip
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    for line in wanted:
        name, _, floor = re.fullmatch(r"([\w.-]+)([>=]=)([\d.]+)", line).groups()  # type: ignore[union-attr]
        if name == "setuptools":
            continue
        pin = tuple(map(int, pins[name].split(".")))
        assert pin >= tuple(map(int, floor.split("."))), name


def test_safety_floors() -> None:
    """Older torch, pillow and safetensors have published holes in reading files."""
    assert {"torch>=2.10", "pillow>=12.3", "safetensors>=0.8"} <= set(PROJECT["project"]["dependencies"])


FORBIDDEN = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("pickle", "load"), ("pickle", "loads"), ("yaml", "load"), ("os", "system"), ("torch", "save"),
}  # fmt: skip


def offences(path: Path) -> list[str]:
    """Calls in a module that could run code out of data, with their lines."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{path}:{node.lineno} imports {name}" for name in names if name.split(".")[0] in
                      {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}]  # fmt: skip
        if not isinstance(node, ast.Call):
            continue
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        called = ast.unparse(node.func)
        if called in FORBIDDEN or tuple(called.split(".")) in FORBIDDEN_ATTRIBUTES:
            found.append(f"{path}:{node.lineno} calls {called}")
        if called == "torch.load" and keywords.get("weights_only") != "True":
            found.append(f"{path}:{node.lineno} loads without weights_only=True")
        if keywords.get("allow_pickle") == "True" or keywords.get("shell") == "True" or called.endswith(".extractall"):
            found.append(f"{path}:{node.lineno} calls {called} unsafely")
    return found


def test_no_module_can_run_code_out_of_data() -> None:
    assert [offence for path in MODULES for offence in offences(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(path)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert offences(tmp_path / "module.py")


def test_weights_in_pth_files_are_read_in_one_place() -> None:
    readers = [path for path in MODULES if re.search(r"(?<![.\w])torch\.load\(", path.read_text())]
    assert len(readers) <= 1


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


def test_public_names_are_there() -> None:
    import ganworks

    assert set(ganworks.__all__) <= set(dir(ganworks))
    for name in ganworks.__all__:
        assert getattr(ganworks, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Gan'"):
        ganworks.Gan  # noqa: B018
