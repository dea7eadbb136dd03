"""Follow a document: paste its commands, write its files, compare what it shows.

- A block of `sh` is pasted into one shell, which stays; a line `make up` in it, with
  variables before it, starts the system and goes on once that is ready.
- A block of `text` or `json` after it is what must have been printed; `…` stands for
  anything.
- A block that begins with a comment that names a file (`# docs/a.py`, `// a.mjs`) is
  that file.
- A block of `diff` is applied.

All other blocks are for reading.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from tests.support.make_up import Running, Tree

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE: Final = re.compile(r"(?:#|//|--) (\S+[./]\S+)\n")
_UP: Final = re.compile(r"^((?:[A-Z_]+=\S+ )*)make up\n", re.MULTILINE)
_VARIABLE: Final = re.compile(r"([A-Z_]+)=(\S+)")
_ADDRESS: Final = "http://localhost:8080"
_OWN_PORT: Final = "8010"
"""Where documents have a service of the reader's own listen."""
_END: Final = "<the end of a block>"


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    text: str


def blocks(document: str) -> Iterator[Block]:
    """Yield the blocks that name their language."""
    for language, text in _BLOCK.findall(document):
        yield Block(language, text)


def _environment() -> dict[str, str]:
    """Return this process's environment, but for what `make` tells those it starts."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


class Walkthrough:
    """A reader of documents in a tree of their own; a context manager."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._running: Running | None = None
        self._shell = subprocess.Popen(
            ["sh"],
            cwd=tree.folder,
            env={**_environment(), **tree.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._tree.down()
            self._running.ended()
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.communicate()

    def follow(self, document: str) -> None:
        """Do what a document says, and check what it shows."""
        printed = ""
        document = document.replace(_ADDRESS, self._tree.base_url)
        document = document.replace(_OWN_PORT, str(self._tree.ports["HELLO_PORT"]))
        for block in blocks(document):
            if block.language == "sh":
                printed = self._paste(block.text)
            elif block.language in {"text", "json"}:
                _compare(printed, block)
            else:
                _write(block, self._tree.folder)

    def _paste(self, commands: str) -> str:
        """Return what the commands print; `make up` goes on beside the rest."""
        start = _UP.search(commands)
        if start is None:
            return self._run(commands)
        printed = self._run(commands[: start.start()])
        if self._running is not None:
            self._running.ended()
        self._running = Running(self._tree, **dict(_VARIABLE.findall(start[1])))
        return printed + self._running.printed + self._run(commands[start.end() :])

    def _run(self, commands: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\necho '{_END}'\n")
        self._shell.stdin.flush()
        printed = ""
        for line in self._shell.stdout:
            if line == f"{_END}\n":
                return printed
            printed += line
        raise AssertionError(f"the shell has ended: {printed}")


def write_files(document: str, folder: Path) -> None:
    """Write the files that a document shows, and apply its patches, in a folder."""
    for block in blocks(document):
        _write(block, folder)


def _write(block: Block, folder: Path) -> None:
    if block.language == "diff":
        subprocess.run(
            ["git", "apply", "-"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "GIT_DIR": os.devnull},
            input=block.text,
            text=True,
            check=True,
        )
    elif named := _FILE.match(block.text):
        path = folder / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text[named.end() :], "utf-8")


def _compare(printed: str, block: Block) -> None:
    """Compare what was printed with what a block shows."""
    shown = block.text
    if block.language == "json":
        printed, shown = (
            json.dumps(json.loads(each), ensure_ascii=False)
            for each in (printed, shown)
        )
    pattern = ".*?".join(map(re.escape, shown.split("…")))
    assert re.fullmatch(pattern, printed, re.DOTALL), f"{printed}\nis not\n{shown}"
