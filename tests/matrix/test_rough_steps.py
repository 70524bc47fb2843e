"""Steps that treat their process roughly: the run goes on, and says of each what became of it."""

from __future__ import annotations

import pytest

from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow
from tests.matrix.play import Stage

UNHARMED = {
    "closes its streams": "sys.stdout.close(); sys.stderr.close()",
    "closes their descriptors": "os.close(1); os.close(2)",
    "closes all descriptors": "os.closerange(3, 100)",
    "replaces stdout": "sys.stdout = __import__('io').StringIO(); print('lost')",
    "forgets its modules": "sys.modules.clear()",
    "forgets its environment": "os.environ.clear()",
    "removes its folder": "os.chdir(self.folder); os.mkdir('x'); os.chdir('x'); os.rmdir('../x')",
    "leaves no rights to files": "os.umask(0o777)",
    "leaves a thread": "__import__('threading').Thread(target=time.sleep, args=(600,)).start()",
    "prints what is no line": r"print('a\rb\x00c\x1b[31m', 'é', end='')",
}
FAILED = {
    "kills itself politely": ("os.kill(os.getpid(), signal.SIGTERM)", "was killed by SIGTERM"),
    "sets an alarm": ("signal.alarm(1); time.sleep(30)", "was killed by SIGALRM"),
    "exits as if it were well": ("sys.exit(0)", "sys.exit(0) was called"),
    "raises no exception": (
        "raise type('Own', (BaseException,), {})('of its own')",
        "Own: of its own",
    ),
    "leaves a generator": ("raise GeneratorExit", "GeneratorExit"),
    "stops an iteration": ("raise StopIteration", "StopIteration"),
    "raises many": ("raise ExceptionGroup('many', [ValueError(1)])", "ExceptionGroup: many"),
    "says what is no text": (r"raise ValueError('no \udcff text')", "ValueError: no "),
    "says too much": ("raise ValueError('x' * 5_000_000)", "ValueError: xxx"),
    "says nothing": ("raise ValueError", "ValueError"),
    "cannot say it": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
        "Mute: (its message cannot be made)",
    ),
    "goes too deep": ("exec('def f(): f()\\nf()', {})", "RecursionError: "),
}


@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_nothing_that_a_step_does_to_its_process_harms_its_run(stage: Stage) -> None:
    bodies = {**UNHARMED, **{name: body for name, (body, _) in FAILED.items()}}
    source = flow(
        f"""
        @step
        def start(self):
            self.bodies = {bodies!r}
            self.next(self.rough, foreach="bodies")
        """,
        """
        @catch(var="caught")
        @step
        def rough(self):
            self.before = self.input
            exec(self.bodies[self.input])
            self.is_through = True
            self.next(self.join)

        @step
        def join(self, inputs):
            self.reasons = {each.input: each.caught and each.caught.reason for each in inputs}
            self.through = [each.input for each in inputs if hasattr(each, "is_through")]
            self.next(self.end)
        """,
    )

    played = stage.flow(source)

    data = played.run.data
    assert played.run.state is RunState.SUCCEEDED, played.done.stderr
    assert data.through == list(UNHARMED)
    assert [name for name, reason in data.reasons.items() if reason is None] == list(UNHARMED)
    for name, (_, reason) in FAILED.items():
        assert reason in data.reasons[name], name
        assert len(data.reasons[name]) < 400
