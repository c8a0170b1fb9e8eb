"""Names of the columns that every format's last layer has beside `v0`, `v1` …: see `formats/base.py`."""

FILE, RESCUED, REJECT, RAW = "file", "rescued", "reject", "raw"
