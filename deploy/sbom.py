"""Write what each image is made of, as CycloneDX, from its lock: `make sbom`.

The same locks give the same bytes: there is no date in it, and the serial number is
made of the content.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ROOT / "deploy" / "requirements"
IMAGES: Final = ("identity", "content", "gateway")

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main(folder: Path) -> None:
    """Write one document for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        file = folder / f"{image}.cdx.json"
        file.write_text(json.dumps(document(image), indent=2) + "\n")
        print(file)


def document(image: str) -> dict[str, Any]:
    """Return what an image is made of."""
    components = list(_components(image))
    content = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"gatehouse-{image}"}},
        "components": components,
    }


def _components(image: str) -> Iterator[dict[str, Any]]:
    text = (LOCKS / f"{image}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if (pin := _PIN.match(line)) is None:
            continue
        name, version = pin[1].lower(), pin[2]
        purl = f"pkg:pypi/{name}@{version}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "hashes": [
                {"alg": "SHA-256", "content": each} for each in _HASH.findall(line)
            ],
            **_licences(name),
        }


def _licences(name: str) -> dict[str, Any]:
    """Return the licence that an installed package states, if it does."""
    stated = licence(name)
    if not stated:
        return {}
    return {"licenses": [{"license": {"name": stated}}]}


def licence(name: str) -> str:
    """Return what a package says its licence is; empty if it is not installed."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if "License-Expression" in found:
        return found["License-Expression"]
    names = [
        each.rpartition(" :: ")[2]
        for each in found.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    return " OR ".join(names or found.get_all("License") or []).partition("\n")[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
