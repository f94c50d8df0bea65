"""Programs that stand in for real ones: they note how they were called and answer as they are told.

The answers lie in a folder, one JSON file per program: a list of [pattern, output, exit code]; the
first pattern found in the arguments counts. What has to do more than answer is a script.
"""

import json
import sys
from pathlib import Path

ANSWERING = """#!{python} -IS
import json, os, re, sys
words = " ".join(sys.argv[1:])
with open({here!r} + "/calls", "a") as calls:
    calls.write({name!r} + " " + words + "\\n")
with open({here!r} + "/engines", "a") as engines:
    engines.write(os.environ.get("DOCKER_HOST", "") + "\\n")
with open({here!r} + "/{name}.json") as answers:
    found = [rest for pattern, *rest in json.load(answers) if re.search(pattern, words)]
output, code = found[0] if found else ("", 0)
sys.stdout.write(output)
sys.exit(code)
"""
SCRIPT = """#!/bin/sh
PATH=$PATH:/usr/bin:/bin
HERE='{here}'
echo "{name} $*" >>"$HERE/calls"
echo "$DOCKER_HOST" >>"$HERE/engines"
{body}
"""


class FakePrograms:
    """A folder for the PATH, and what its programs were called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "calls").touch()

    def add(self, name: str, *answers: tuple[str, str, int]) -> Path:
        """Make a program, or give one other answers."""
        (self.folder / f"{name}.json").write_text(json.dumps(answers))
        return self._write(name, ANSWERING.format(python=sys.executable, **self._words(name)))

    def script(self, name: str, body: str) -> Path:
        """Make a program of shell commands, for which $HERE is the folder."""
        return self._write(name, SCRIPT.format(body=body, **self._words(name)))

    def calls(self, beginning: str = "") -> list[str]:
        """What was called so far, program and arguments, in order."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(beginning)]

    def engines(self) -> set[str]:
        """What DOCKER_HOST was in those calls; empty text where it was not set."""
        return set((self.folder / "engines").read_text().splitlines())

    def _words(self, name: str) -> dict[str, str]:
        return {"here": str(self.folder), "name": name}

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        file.chmod(0o755)
        return file
