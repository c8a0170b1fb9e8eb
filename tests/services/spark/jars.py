"""The jars of the tests' servers: by Maven coordinates from a pom, kept in .cache/spark between runs."""

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
SPARK_POM = _HERE / {"3.5": "pom.xml", "4.0": "pom-4.0.xml"}[VERSION]
SPARK = SPARK_POM.read_text(encoding="utf-8").partition("<spark.version>")[2].partition("<")[0]
REST = _HERE / "rest-pom.xml"


def jars(pom: Path = SPARK_POM) -> Path:
    """Where the jars of the pom lie, once they are installed; each pom has a folder of its own."""
    return _CACHE / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]


def install(pom: Path = SPARK_POM) -> str:
    """Bring the jars unless they are there. Answers why that failed; empty: they are there."""
    if jars(pom).exists():
        return ""
    maven = shutil.which("mvn")
    if maven is None or shutil.which("java") is None:
        return JAVA
    _CACHE.mkdir(parents=True, exist_ok=True)
    (_CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return "" if jars(pom).exists() else _copied(maven, pom)


def _copied(maven: str, pom: Path) -> str:
    # Into place only when all of it is there: a run that is killed leaves no half of a server.
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        made = Path(folder) / "jars"
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={made}"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            return f"Maven could not bring the jars of {pom.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        made.rename(jars(pom))
    return ""
