"""The steps of a run as Prefect tasks: one service step is one task."""
