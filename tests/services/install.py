"""Install what tests need beyond Python packages: `python -m tests.services.install`. Once is enough."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.services.spark import jars

AZURITE_VERSION = "3.37.0"
AZURITE_HOME = Path(__file__).parents[2] / ".cache" / "azurite"
AZURITE_MAIN = AZURITE_HOME / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def main() -> int:
    return max(_azurite(), _spark())


def _spark() -> int:
    why = jars.install() or jars.install(jars.REST)
    if why:
        sys.stderr.write(f"{why}\n")
    # Who has no Java can still work, with `make test-fast`; in `make test` the tests say it again.
    return 0 if why in {"", jars.JAVA} else 1


def _azurite() -> int:
    if AZURITE_MAIN.exists():
        return 0
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        sys.stderr.write(
            "Node.js with npm is needed for Azurite (the Azure Blob server of the tests): install nodejs.\n"
        )
        return 1
    AZURITE_HOME.mkdir(parents=True, exist_ok=True)
    (AZURITE_HOME / ".gitignore").write_text("*\n", encoding="utf-8")
    (AZURITE_HOME / "package.json").write_text('{"name": "test-services", "private": true}\n', encoding="utf-8")
    # No package may run a script of its own; Azurite needs none.
    flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    return subprocess.run(
        [npm, "install", *flags, f"azurite@{AZURITE_VERSION}"], cwd=AZURITE_HOME, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
