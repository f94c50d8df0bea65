"""Programs that stand in for real ones: they note how they were called and answer as they are told.

The answers lie in a folder, one JSON file per program: a list of [pattern, output, exit code]; the
first pattern found in the arguments counts.
"""

import json
import sys
from pathlib import Path

SCRIPT = """#!{python}
import json, re, sys
from pathlib import Path
folder = Path({folder!r})
words = " ".join(sys.argv[1:])
with (folder / "calls").open("a") as calls:
    calls.write({name!r} + " " + words + "\\n")
for pattern, output, code in json.loads((folder / {answers!r}).read_text()):
    if re.search(pattern, words):
        sys.stdout.write(output)
        sys.exit(code)
sys.exit(0)
"""


class FakePrograms:
    """A folder for the PATH, and what its programs were called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "calls").touch()

    def add(self, name: str, *answers: tuple[str, str, int]) -> Path:
        """Make a program, or give one other answers."""
        file = self.folder / name
        (self.folder / f"{name}.json").write_text(json.dumps(answers))
        python, folder = sys.executable, str(self.folder)
        file.write_text(
            SCRIPT.format(python=python, folder=folder, name=name, answers=f"{name}.json")
        )
        file.chmod(0o755)
        return file

    def calls(self, beginning: str = "") -> list[str]:
        """What was called so far, program and arguments, in order."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(beginning)]
