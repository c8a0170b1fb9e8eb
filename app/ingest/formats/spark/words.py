"""Names of the columns that every format's last layer has beside `v0`, `v1` …: see `formats/base.py`."""

FILE, RESCUED, REJECT, RAW = "file", "rescued", "reject", "raw"
FILE_FLAW = "autoloader-file:"  # a REJECT that begins so is no record's fault but the file's: `<state>:<reason>:<text>`
