"""What app.ingest.ports.Engine promises, of the real engine and of the fake that the protocol is tested with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.errors import FileMissing, TableChanged, TableNotFound
from app.values import FileState, LandingKind, RejectFile
from tests.functional.ingest.engines.rigs import FakeRig, RealRig, Rig

LANDED, SPENT, NOT_LANDED, UNKNOWN = (
    LandingKind.LANDED,
    LandingKind.SPENT,
    LandingKind.NOT_LANDED,
    LandingKind.UNKNOWN,
)


@pytest.fixture(params=["embedded", "fake", "fake that picks"])
def rig(request) -> Rig:
    if request.param == "embedded":
        return RealRig.of(request.getfixturevalue("bench")())
    return FakeRig.new(picks=request.param == "fake that picks")


class TestPublishing:
    def test_lands_a_batch_once_whatever_attempt_comes_second(self, rig):
        file = rig.put()
        batch = rig.batch(file)
        assert rig.engine.landing(batch).kind is NOT_LANDED
        first, second = rig.engine.write(batch, [file]), rig.engine.write(batch, [file])
        landing = rig.publish(batch, first, note="mine")
        late = rig.publish(batch, second)
        assert (landing.kind, late.kind, rig.engine.landing(batch).kind) == (LANDED, LANDED, LANDED)
        assert late.snapshot == landing.snapshot
        assert landing.snapshot.summary["note"] == "mine"
        assert landing.snapshot.summary["autoloader.attempt"] == first.attempt
        assert rig.table.count() == {file.file_id: 1}

    def test_lands_beside_what_others_append(self, rig):
        file = rig.put()
        batch = rig.batch(file)
        written = rig.engine.write(batch, [file])
        rig.table.append_nothing()
        assert rig.publish(batch, written).kind is LANDED
        assert len(rig.table.history()) == 2

    def test_of_a_batch_without_a_good_file_lands_an_empty_snapshot(self, rig):
        changed = rig.put()
        rig.spoil(changed)
        batch = rig.batch(changed)
        written = rig.engine.write(batch, [changed])
        assert [(o.state, o.reason, o.rows) for o in written.outcomes] == [(FileState.FAILED, "changed", 0)]
        assert rig.publish(batch, written).kind is LANDED
        assert not rig.table.count()

    def test_refuses_files_whose_columns_have_changed_and_lands_those_written_again(self, rig):
        file = rig.put()
        batch = rig.batch(file)
        written = rig.engine.write(batch, [file])
        rig.table.drop_a_column()
        with pytest.raises(TableChanged):
            rig.publish(batch, written)
        rig.engine.discard(written)
        assert not rig.kept(written)
        assert rig.publish(batch, rig.engine.write(batch, [file])).kind is LANDED
        assert rig.table.count() == {file.file_id: 1}

    def test_makes_files_the_tables_own_which_no_discard_removes(self, rig):
        file = rig.put(rejected=1)
        batch = rig.batch(file)
        written, spare = rig.engine.write(batch, [file]), rig.engine.write(batch, [file])
        rig.publish(batch, written)
        rig.engine.discard(written)
        rig.engine.discard(spare)
        assert (rig.kept(written), rig.kept(spare)) == (True, False)


class TestSpending:
    def test_takes_an_id_that_nobody_can_publish_any_more(self, rig):
        file = rig.put()
        batch = rig.batch(file)
        written = rig.engine.write(batch, [file])
        spent = rig.engine.spend(batch)
        assert (spent.kind, rig.publish(batch, written).kind, rig.engine.landing(batch).kind) == (SPENT, SPENT, SPENT)
        assert rig.engine.spend(batch).snapshot == spent.snapshot
        assert not rig.table.count()

    def test_of_a_batch_that_landed_changes_nothing(self, rig):
        file = rig.put()
        batch, landing = rig.load(file)
        assert rig.engine.spend(batch).snapshot == landing.snapshot
        assert len(rig.table.history()) == 1

    def test_is_where_a_child_counts_from(self, rig):
        file = rig.put()
        parent = rig.batch(file)
        spent = rig.engine.spend(parent)
        child = replace(rig.batch(file), table_uuid=spent.table_uuid, base_snapshot_id=spent.snapshot.snapshot_id)
        assert rig.publish(child, rig.engine.write(child, [file])).kind is LANDED


class TestWhatHistoryCanTell:
    @pytest.fixture
    def claimed(self, rig):
        """Main has two snapshots when the batch is claimed."""
        rig.engine.ensure_table()
        old = [rig.table.append_nothing() for _ in range(2)]
        file = rig.put()
        batch = rig.batch(file)
        assert batch.base_snapshot_id == old[1]
        return old, file, batch

    def unknown(self, rig, batch, file) -> None:
        """Nothing is said, and nothing written."""
        written = rig.engine.write(batch, [file])
        before = rig.table.history()
        kinds = {rig.engine.landing(batch).kind, rig.engine.spend(batch).kind, rig.publish(batch, written).kind}
        assert kinds == {UNKNOWN}
        assert rig.table.history() == before

    def test_rolled_back_to_the_base_the_batch_has_not_landed(self, rig, claimed):
        old, file, batch = claimed
        rig.publish(batch, rig.engine.write(batch, [file]))
        rig.table.roll_back(old[1])
        assert rig.engine.landing(batch).kind is NOT_LANDED

    def test_rolled_back_past_the_base_it_is_unknown(self, rig, claimed):
        old, file, batch = claimed
        rig.table.roll_back(old[0])
        self.unknown(rig, batch, file)

    def test_without_the_base_a_landing_still_counts_and_its_absence_does_not(self, rig, claimed):
        old, file, batch = claimed
        other = rig.batch(rig.put())
        rig.publish(batch, rig.engine.write(batch, [file]))
        rig.table.forget(old)
        assert rig.engine.landing(batch).kind is LANDED
        self.unknown(rig, other, file)

    def test_in_a_table_made_again_it_is_unknown(self, rig, claimed):
        _, file, batch = claimed
        rig.table.drop()
        with pytest.raises(TableNotFound):
            rig.engine.landing(batch)
        rig.engine.ensure_table()
        self.unknown(rig, batch, file)

    def test_in_a_table_that_was_replaced_it_is_unknown_and_new_batches_count_from_a_snapshot(self, rig):
        file = rig.put()
        batch, _ = rig.load(file)
        rig.table.replace()
        self.unknown(rig, batch, file)
        base = rig.engine.table_to_claim().head
        assert rig.table.history() == [base]
        _, landing = rig.load(rig.put())
        assert landing.kind is LANDED
        assert rig.table.history()[1:] == [base]

    def test_a_new_table_is_claimed_without_a_snapshot(self, rig):
        assert rig.engine.ensure_table() == rig.engine.table_to_claim() == rig.engine.table_state()
        assert rig.table.history() == []


class TestReceipts:
    def test_come_back_as_they_were_written_and_are_missed_when_they_are_gone(self, rig):
        path = rig.engine.write_receipt(rig.batch(), "a1", {"batch_id": "x", "files": [{"id": 1, "path": "ü"}]})
        assert rig.engine.read_receipt(path) == {"batch_id": "x", "files": [{"id": 1, "path": "ü"}]}
        rig.remove(path)
        with pytest.raises(FileMissing):
            rig.engine.read_receipt(path)


class TestRejects:
    @pytest.fixture
    def landed(self, rig):
        """A batch whose two rejects are yet to be published; others were before."""
        older, landing = rig.load(rig.put(rejected=1))
        rig.engine.publish_rejects(older, rig.reject_file(landing))
        file = rig.put(rejected=2)
        batch, landing = rig.load(file)
        return file, batch, rig.reject_file(landing)

    def test_are_published_once(self, rig, landed):
        file, batch, reject_file = landed
        assert rig.rejects.count()[file.file_id] == 0
        for _ in range(3):
            rig.engine.publish_rejects(batch, reject_file)
        assert rig.rejects.count()[file.file_id] == 2
        assert len(rig.rejects.history()) == 2

    @pytest.mark.parametrize("lost", ["expired", "copied", "not said"])
    def test_are_not_published_again_where_only_their_rows_are_left(self, rig, landed, lost):
        file, batch, reject_file = landed
        rig.engine.publish_rejects(batch, reject_file)
        if lost == "copied":
            rig.copy_rejects()
        else:
            rig.rejects.append_nothing()
            rig.rejects.forget(rig.rejects.history()[1:])
        asked = RejectFile(reject_file.path) if lost == "not said" else reject_file
        rig.engine.publish_rejects(batch, asked)
        assert rig.rejects.count()[file.file_id] == 2

    @pytest.mark.parametrize("lost", ["dropped", "replaced", "rolled back"])
    def test_come_back_where_their_rows_are_gone(self, rig, landed, lost):
        file, batch, reject_file = landed
        rig.engine.publish_rejects(batch, reject_file)
        if lost == "rolled back":
            rig.rejects.roll_back(rig.rejects.history()[1])
        else:
            rig.rejects.drop() if lost == "dropped" else rig.rejects.replace()
        for _ in range(2):
            rig.engine.publish_rejects(batch, reject_file)
        assert rig.rejects.count()[file.file_id] == 2

    def test_whose_file_is_gone_are_missed_only_while_they_are_unpublished(self, rig, landed):
        _, batch, reject_file = landed
        rig.engine.publish_rejects(batch, reject_file)
        rig.remove(reject_file.path)
        rig.engine.publish_rejects(batch, reject_file)
        rig.rejects.roll_back(rig.rejects.history()[1])
        with pytest.raises(FileMissing):
            rig.engine.publish_rejects(batch, reject_file)


class TestExpiring:
    @pytest.fixture
    def history(self, rig):
        """Four snapshots of the table and two of its reject table, the oldest first."""
        batch, landing = rig.load(rig.put(rejected=1))
        rig.engine.publish_rejects(batch, rig.reject_file(landing))
        rig.rejects.append_nothing()
        return [landing.snapshot.snapshot_id, *(rig.table.append_nothing() for _ in range(3))]

    def test_leaves_both_tables_their_head_and_their_rows(self, rig, history):
        assert rig.engine.expire(frozenset(), rig.later) == 4
        assert (rig.table.history(), len(rig.rejects.history())) == (history[-1:], 1)
        assert (rig.table.count().total(), rig.rejects.count().total()) == (1, 1)
        assert rig.engine.expire(frozenset(), rig.later) == 0

    def test_leaves_a_base_what_comes_after_it_and_all_rejects(self, rig, history):
        assert rig.engine.expire(frozenset({history[2]}), rig.later) == 2
        assert rig.table.history()[::-1] == history[2:]
        assert len(rig.rejects.history()) == 2

    @pytest.mark.parametrize("base", [None, 12345], ids=["of an empty table", "that is not there"])
    def test_leaves_everything_for_a_base_it_cannot_place(self, rig, history, base):
        assert rig.engine.expire(frozenset({base}), rig.later) == 0
        assert rig.table.history()[::-1] == history

    def test_leaves_what_is_young(self, rig, history):
        assert rig.engine.expire(frozenset(), rig.longer_ago) == 0

    def test_of_a_table_that_is_not_there_is_nothing(self, rig):
        assert rig.engine.expire(frozenset(), rig.later) == 0
