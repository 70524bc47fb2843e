"""What the author of a flow is told of a failure: their own frames, and not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventflow.errors import ArtifactNotStorable, InvalidFlow
from eventflow.execution.failure import Failure

OURS = compile(
    """
def refuse(value, error):
    try:
        value.stored()
    except Exception as cause:
        raise error("It cannot be done.") from cause
""",
    "/ours/store.py",
    "exec",
)
USERS = """
class Value:
    def __init__(self, is_users):
        self.is_users = is_users
    def __getattr__(self, name):
        return self.fail if self.is_users else int("x")
    def fail(self):
        raise TypeError("user")
def step(refuse, value, error):
    refuse(value, error)
"""


def _failure(root: Path, *, is_users: bool, error: type[Exception], in_step: bool) -> Failure:
    ours: dict[str, Any] = {}
    users: dict[str, Any] = {}
    exec(OURS, ours)  # noqa: S102 - code in files whose names are the test's
    exec(compile(USERS, str(root / "flow.py"), "exec"), users)  # noqa: S102 - likewise
    value = users["Value"](is_users) if is_users else object()
    try:
        if in_step:
            users["step"](ours["refuse"], value, error)
        else:
            ours["refuse"](value, error)
    except error as raised:
        return Failure.of(raised, root)
    raise AssertionError("nothing was raised")


def test_an_error_of_ours_outside_of_user_code_is_its_message(tmp_path: Path) -> None:
    failure = _failure(tmp_path, is_users=False, error=ArtifactNotStorable, in_step=False)

    assert failure.traceback == "eventflow.errors.ArtifactNotStorable: It cannot be done.\n"


def test_of_an_error_of_ours_the_frames_end_in_user_code(tmp_path: Path) -> None:
    failure = _failure(tmp_path, is_users=False, error=ArtifactNotStorable, in_step=True)

    assert failure.reason == "ArtifactNotStorable: It cannot be done. (flow.py:10)"
    assert failure.traceback.count("File ") == 1
    assert 'flow.py", line 10, in step' in failure.traceback


def test_what_user_code_raised_before_is_told(tmp_path: Path) -> None:
    failure = _failure(tmp_path, is_users=True, error=ArtifactNotStorable, in_step=False)

    assert "TypeError: user" in failure.traceback
    assert 'flow.py", line 8, in fail' in failure.traceback


def test_of_an_error_of_anybody_else_all_frames_are_told(tmp_path: Path) -> None:
    failure = _failure(tmp_path, is_users=False, error=ValueError, in_step=True)

    assert "/ours/store.py" in failure.traceback
    assert "AttributeError" in failure.traceback


def test_an_error_of_ours_with_several_problems_tells_them_all(tmp_path: Path) -> None:
    failure = Failure.of(InvalidFlow([]), tmp_path)

    assert failure.traceback.startswith("eventflow.errors.InvalidFlow")
