"""What one pass of the reconciler did, as `prefect sync` tells it."""

from __future__ import annotations

from uuid import UUID

from app.cli.output import Output
from app.cli.prefect import _show
from app.services.reconcile_report import ReconcileReport
from app.services.trigger_service import Delivery


def test_a_run_that_a_person_had_cancelled_is_not_told_as_abandoned(capsys):
    report = ReconcileReport(abandoned=[UUID(int=1)], cancelled=[UUID(int=2)])

    _show(Output(as_json=False), report, Delivery())

    _, abandoned, cancelled, _ = capsys.readouterr().out.splitlines()
    assert abandoned.startswith(f"abandoned run  {UUID(int=1)}")
    assert cancelled.startswith(f"cancelled run  {UUID(int=2)}")
    assert not report.quiet
