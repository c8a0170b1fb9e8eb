"""The `autoloader` command."""

from app.garbage import collect_seldom

collect_seldom()  # before the commands are imported
