"""Next steps after an error of a cluster, as commands that can be typed where its name is known."""

from __future__ import annotations

import re
import shlex

# Where a hint says NAME, it is the cluster's, as far as it is known (`hint_for`).
TRY = ": autoloader clusters test NAME"
NEXT = f"Look whether it runs, and whether address, port and TLS are right{TRY}"
INSTALL = "Install it: pip install 'iomete-autoloader[spark]'"
LOGIN = "Store it with its token and all else: autoloader clusters add NAME URL --replace --secret token"
NO_TLS = (
    "TLS is asked for, as a token does by itself. If a proxy brings it, give its address; if the way there is private,"
    " go without: autoloader clusters add NAME URL --replace -o tls=false"
)

_TEST = "clusters test NAME"
_WITHOUT_TLS, _CA_FILE = ("-o", "tls=false"), ("-o", "ca_file")  # the second is nothing without TLS
_ADD = re.compile(r"clusters add NAME URL --replace((?: (?:-o|--secret) \S+)*)")


def hint_for(where: object, hint: str) -> str:
    """The hint with the name of the cluster that an endpoint is of. A command that stores it anew repeats what it was
    stored with: `--replace` keeps nothing.
    """
    name = getattr(where, "name", "")
    if not name:
        return hint
    return _ADD.sub(lambda found: _stored_anew(where, name, found[1]), hint.replace(_TEST, f"clusters test {name}"))


def _stored_anew(where: object, name: str, changed: str) -> str:
    words = changed.split()
    new = list(zip(words[::2], words[1::2], strict=True))
    keys = {_key(*pair) for pair in new}
    if _WITHOUT_TLS in new:
        keys.add(_CA_FILE)
    pairs = [pair for pair in getattr(where, "kept", ()) if _key(*pair) not in keys] + new
    given = "".join(f" {flag} {shlex.quote(value)}" for flag, value in pairs)
    return f"clusters add {name} {where} --replace{given}"


def _key(flag: str, value: str) -> tuple[str, str]:
    return flag, value.partition("=")[0]
