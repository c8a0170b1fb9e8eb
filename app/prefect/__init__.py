"""Prefect runs ingestions: the flow, its tasks, and the warm worker. See README.md beside this file."""
