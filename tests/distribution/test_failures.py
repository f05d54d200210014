"""A rank that fails ends all ranks, and says why; nothing is left half written."""

import pytest
import ranks

import tinynet as tn

# A phase of training, a way to fail, and what the message says.
FAILURES = [
    ("data", "raise", "ZeroDivisionError"),
    ("forward", "raise", "ZeroDivisionError"),
    ("backward", "exit", "rank 1 has ended"),
    ("sum", "interrupt", "KeyboardInterrupt"),
    ("C", "raise", "ZeroDivisionError"),
    ("callback", "leave", "rank 1 has ended"),
    ("callback", "sleep", "WAYS[way]()"),
    ("validation", "kill", "KILLED BY SIGNAL|signal 9"),
    ("validation", "stop", "does not answer"),
    ("predict", "raise", "ZeroDivisionError"),
    ("map", "leave", "the cases of `map`, but rank 1 has ended"),
    ("map", "stop", "does not answer"),
    ("save", "raise", "ZeroDivisionError"),
    ("save", "kill", "signal 9"),
]


@pytest.mark.parametrize(("phase", "way", "message"), FAILURES)
def test_a_rank_that_fails_ends_the_job_with_its_message(tmp_path, phase, way, message):
    path = tmp_path / "m.keras"
    ranks.network().save(path)
    argument = f"{phase}:{way}:{path}"
    seconds = "1" if way in ("sleep", "stop") else "60"  # for which the other rank waits
    done, found = ranks.mpiexec(tmp_path, 2, {"fails": argument}, TEST_TIMEOUT=seconds)
    text = done.stderr + done.stdout
    assert done.returncode, text
    assert found == {"fails": []}
    assert "trained to the end" not in text
    assert any(part in text for part in message.split("|")), text
    if way in ("raise", "interrupt"):
        failed = 0 if phase == "save" else 1
        assert f"Rank {failed} of 2 raised an exception:\nTraceback" in text
        assert way != "raise" or "in fail" in text  # the traceback goes to where it was raised
    tn.models.load_model(path)  # whole: the old file, or a new one


def test_a_rank_that_ends_before_mpi_begins_does_not_let_the_others_wait_for_ever(tmp_path):
    done, found = ranks.mpiexec(tmp_path, 2, {"threads": ""}, TEST_START="3")
    assert done.returncode
    assert found["threads"] == []
    assert "before MPI begins" in done.stderr
    assert "Timeout (0:00:03)!" in done.stderr
    assert "in initialize" in done.stderr


@pytest.mark.parametrize(("call", "named"), [("save", "save"), ("predict", "'begin', 'predict'")])
def test_a_call_that_one_rank_makes_alone_is_reported_and_not_taken_for_another(
    tmp_path, call, named
):
    argument = {"other_calls": f"{call}:{tmp_path}"}
    done, found = ranks.mpiexec(tmp_path, 2, argument, TEST_TIMEOUT="1")
    assert done.returncode
    assert found == {"other_calls": []}
    assert "All ranks must make the same calls in the same order" in done.stderr
    assert named in done.stderr
