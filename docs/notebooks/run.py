"""Run the notebooks from top to bottom and write them with what they print and draw (dependency group ``docs``).

    python docs/notebooks/run.py [NOTEBOOK ...]

They need no network. Tests run them with ``executed`` at a small size and keep nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PARAMETERS = "parameters"  # tag of the cell whose values may be replaced
LONGEST = 1200  # seconds of a cell


def executed(path: Path, folder: Path, parameters: Mapping[str, int] | None = None) -> NotebookNode:
    """A notebook after it has run in a folder, with this tree's packages.

    Args:
        path: Of the notebook.
        folder: Where it runs.
        parameters: Values that stand in the place of those of its cell of parameters.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
        ValueError: if parameters are given and the notebook has no cell for them.
    """
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        places = [place for place, cell in enumerate(notebook.cells) if PARAMETERS in cell.metadata.get("tags", ())]
        if len(places) != 1:
            raise ValueError(f"{path} has {len(places)} cells tagged {PARAMETERS!r}; it must have one")
        lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        notebook.cells.insert(places[0] + 1, nbformat.v4.new_code_cell(lines))
    searched = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": searched, "PYTHONWARNINGS": "ignore"}
    client = NotebookClient(
        notebook,
        timeout=LONGEST,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
    )
    return client.execute(env=environment)


def main() -> None:
    """Run notebooks and write them."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    for path in parser.parse_args().notebooks:
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # when each cell ran
        notebook.metadata.language_info = {"name": "python"}
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
