"""The jars of the tests' Spark server: by Maven coordinates from pom.xml, kept in .cache/spark between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

JAVA = (
    "Java 17 and Maven are needed for the Spark Connect server of the tests: install openjdk-17-jre-headless and maven."
)

_HERE = Path(__file__).parent
_CACHE = Path(__file__).parents[3] / ".cache" / "spark"
# What `make test` tries; `make test-spark4` says 4.0.
VERSION = os.environ.get("SPARK_SERVER", "3.5")
_POM = _HERE / {"3.5": "pom.xml", "4.0": "pom-4.0.xml"}[VERSION]
SPARK = _POM.read_text(encoding="utf-8").partition("<spark.version>")[2].partition("<")[0]


def jars() -> Path:
    """Where the jars of this pom lie, once they are installed; other poms have folders of their own."""
    return _CACHE / hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]


def install() -> str:
    """Bring the jars unless they are there. Answers why that failed; empty: they are there."""
    if jars().exists():
        return ""
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        return JAVA
    _CACHE.mkdir(parents=True, exist_ok=True)
    (_CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return "" if jars().exists() else _copied(maven)


def _copied(maven: str) -> str:
    # Into place only when all of it is there: a run that is killed leaves no half of a server.
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        made = Path(folder) / "jars"
        command = [maven, "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={made}"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            return f"Maven could not bring the jars of the Spark server: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        made.rename(jars())
    return ""
