"""Writes what is made of the models: `python -m sales_api.generate`, in the project's folder.

For developers alone: the only module here that needs PyYAML.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sales_api.crd import crd
from sales_api.reference import with_reference

_NOTICE: Final = "# Made of the models in api/src/sales_api by `make generate`: change those.\n"
CRD_FILES: Final = (
    "manifests/crds/minidata.io_salesingests.yaml",
    "charts/operator/files/crds/salesingests.yaml",
)
REFERENCE: Final = "docs/salesingest.md"


class _Dumper(yaml.SafeDumper):
    """YAML for readers: every part is written out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's signature
        return True


def generated(root: Path) -> Mapping[Path, str]:
    """Each file and what it should hold."""
    text = _NOTICE + yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, width=100)
    page = root / REFERENCE
    return {
        **{root / name: text for name in CRD_FILES},
        page: with_reference(page.read_text("utf-8")),
    }


def main() -> None:
    """Write them below the working directory."""
    for path, text in generated(Path()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
