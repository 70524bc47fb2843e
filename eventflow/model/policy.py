"""What decorators ask of the attempts of a step, as plain data that needs no user code."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["NO_POLICY", "Packages", "StepPolicy"]


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages that a step runs with, by name and version, `""` for any; `python` is the
    version of the interpreter, None for the runner's own."""

    packages: dict[str, str] = field(default_factory=dict)
    python: str | None = None


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How the attempts of a step are run, and what happens when they fail.

    A failed attempt is repeated up to `retries` times, `retry_wait_s` after its end, a wait that
    grows by the factor `retry_backoff` with each attempt. With `is_caught` the task goes on after
    the last one, with the failure in the artifact `catch_artifact`, unless that is empty. An
    attempt is killed after `timeout_s`; 0 lets it run. `variables` are set in its environment
    before its module is imported. `resources` are what it asks of its machine, as text by name.
    `added` are decorators that `--with` gave it and that its tasks obey themselves, as text.
    """

    retries: int = 0
    retry_wait_s: float = 0.0
    retry_backoff: float = 1.0
    is_caught: bool = False
    catch_artifact: str = ""
    timeout_s: float = 0.0
    variables: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    packages: Packages | None = None
    added: tuple[str, ...] = ()

    def wait_before(self, attempt: int) -> float:
        """Seconds between the end of the attempt before and the beginning of this one."""
        return self.retry_wait_s * self.retry_backoff ** max(0, attempt - 1)


NO_POLICY = StepPolicy()
"""That of a step without decorators."""
