"""Decorators of steps that people write themselves, as a generator or as a class.

They run in the task's process, around the step: the uppermost is entered first and left last.
The hooks are `init`, `pre_step` and `post_step`; a generator is the short form of the last two.
What they do to the artifacts of `flow` is kept as if the step had done it.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast, overload

from eventflow.authoring.configs import resolved
from eventflow.authoring.misuse import leave_mistake
from eventflow.errors import FlowProblem, InvalidFlow
from eventflow.model.graph import StepKind

if TYPE_CHECKING:
    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.authoring.source import Place
    from eventflow.model.graph import StepNode

__all__ = [
    "USER_SKIP_STEP",
    "Decorating",
    "Following",
    "Replacement",
    "UserStepDecorator",
    "go_on",
    "run_within",
    "user_step_decorator",
    "wrappers_of",
]

USER_SKIP_STEP: Final[Mapping[str, Any]] = MappingProxyType({})
"""Yielded by a generator, or set as `skip_step`: the step is not run, and the flow goes on as the
step says. A dict with something in it is what `self.next` is called with besides the steps."""

Replacement: TypeAlias = Callable[..., Any]
"""Called with the flow, and with the inputs of a join, in place of what is decorated."""

Following: TypeAlias = bool | Mapping[str, Any] | None
"""How a step goes on: None as its own `self.next` said, True as it is written there, a dict with
something in it as written, with these options of `self.next`."""

_MARK = "__eventflow_wrappers__"
Method = TypeVar("Method", bound=Callable[..., Any])


class UserStepDecorator:
    """A decorator of steps. Subclass it, and override what is needed of

    - `init(**attributes)`: what stands in the parentheses; without it there can be none.
    - `pre_step(step_name, flow, inputs)`: before the step. A function that is returned runs in
      place of the step, with the same arguments; with `self.skip_step = True`, or a dict as
      `USER_SKIP_STEP` describes it, nothing does.
    - `post_step(step_name, flow, exception)`: after it, with what was raised, or None. What it
      returns counts: None for success, an exception for a failure; or a tuple of either and a
      dict with which `self.next` is called anew.

    Each task has an object of its own, made in its process.
    """

    skip_step: bool | Mapping[str, Any] = False
    _place: Place
    _attributes: dict[str, Any]

    def __new__(cls, *given: Any, **attributes: Any) -> Any:
        """What stands above a method: with parentheses a decorator, without the method itself."""
        caller = sys._getframe(1)
        decorator = object.__new__(cls)
        decorator._place = caller.f_code.co_filename, caller.f_lineno
        decorator._attributes = attributes
        if len(given) == 1 and not attributes and callable(given[0]):
            return decorator(given[0])
        if given:
            raise decorator._mistake("takes its attributes by name")
        return decorator

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing: `init` is asked in the task."""

    def __call__(self, method: Method) -> Method:
        """Decorate a method."""
        if isinstance(method, type) or not hasattr(method, "__dict__"):
            message = f"@{type(self).__name__} stands on a step: put it above a method of the flow."
            return cast("Method", leave_mistake(method, message, self._place))
        vars(method)[_MARK] = (self, *wrappers_of(method))
        return method

    def init(self, **attributes: Any) -> None:
        """Take what stands in the parentheses."""
        if attributes:
            raise self._mistake(f"takes no {', '.join(attributes)}: give it an init method")

    def pre_step(
        self,
        step_name: str,  # noqa: ARG002 - for those who override it
        flow: FlowSpec,  # noqa: ARG002
        inputs: Any = None,  # noqa: ARG002
    ) -> Replacement | None:
        """Before the step."""
        return None

    def post_step(
        self,
        step_name: str,  # noqa: ARG002 - for those who override it
        flow: FlowSpec,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> Any:
        """After the step."""
        return exception

    def _for_task(self, flow_class: type) -> UserStepDecorator:
        """An object like this one for one task of that flow, its attributes taken."""
        fresh: UserStepDecorator = object.__new__(type(self))
        vars(fresh).update(vars(self))
        fresh._attributes = resolved(flow_class, self._attributes)
        fresh.init(**fresh._attributes)
        return fresh

    def _mistake(self, what: str) -> InvalidFlow:
        return InvalidFlow([FlowProblem(f"@{type(self).__name__} {what}.", *self._place)])


class Decorating(Protocol):
    """With parentheses and attributes, or without."""

    @overload
    def __call__(self, method: Method, /) -> Method: ...

    @overload
    def __call__(self, **attributes: Any) -> Callable[[Method], Method]: ...


def user_step_decorator(function: Callable[..., Generator[Any, None, Any]]) -> Decorating:
    """Make a decorator of steps of a generator function.

        @user_step_decorator
        def timed(step_name, flow, inputs=None, attributes=None):
            began = time.monotonic()
            yield
            flow.seconds = time.monotonic() - began

    It yields once, where the step runs: nothing, a function to run in place of the step, or
    `USER_SKIP_STEP`, or a dict that is given to `self.next`. One that does not yield skips the
    step. What the step raises is raised at the `yield`, and is done with where it is caught.
    `attributes` is a dict of what stands in the parentheses.

    Raises:
        InvalidFlow: it is no such function.
    """
    code = getattr(function, "__code__", None)
    place = (code.co_filename, code.co_firstlineno) if code else ("<unknown>", 0)
    if not inspect.isgeneratorfunction(function):
        message = "@user_step_decorator stands on a generator function: yield where the step runs."
        raise InvalidFlow([FlowProblem(message, *place)])
    takes = len(inspect.signature(function).parameters)
    if takes not in (3, 4):
        message = (
            f"{function.__name__} takes {takes} arguments: write"
            f" def {function.__name__}(step_name, flow, inputs=None, attributes=None)."
        )
        raise InvalidFlow([FlowProblem(message, *place)])
    members = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "_function": staticmethod(function),
        "_takes_attributes": takes == 4,
    }
    made: Any = type(function.__name__, (_Generated,), members)
    return made  # type: ignore[no-any-return]


class _Generated(UserStepDecorator):
    """What `user_step_decorator` makes: the generator, between its yield and its end."""

    _function: Callable[..., Generator[Any, None, Any]]
    _takes_attributes: bool

    def init(self, **attributes: Any) -> None:
        if attributes and not self._takes_attributes:
            raise self._mistake(f"takes no {', '.join(attributes)}: add a fourth argument")

    def pre_step(self, step_name: str, flow: FlowSpec, inputs: Any = None) -> Replacement | None:
        more = (self._attributes,) if self._takes_attributes else ()
        self._running = self._function(step_name, flow, inputs, *more)
        self._has_ended = False
        try:
            said = next(self._running)
        except StopIteration:
            said, self._has_ended = USER_SKIP_STEP, True
        if isinstance(said, Mapping):
            self.skip_step = said or True
            return None
        if said is not None and not callable(said):
            raise self._mistake(
                f"yields {type(said).__name__}: yield nothing, a function or a dict"
            )
        return said  # type: ignore[no-any-return]

    def post_step(
        self,
        step_name: str,  # noqa: ARG002 - the generator has it
        flow: FlowSpec,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> Any:
        if self._has_ended:
            return exception
        try:
            if exception is None:
                next(self._running)
            else:
                self._running.throw(exception)
        except StopIteration as end:
            return end.value
        raise self._mistake("yields a second time: the step runs at its one yield")


def wrappers_of(method: object) -> tuple[UserStepDecorator, ...]:
    """The decorators of this kind on a method, the uppermost first."""
    return tuple(getattr(method, _MARK, ()))


def run_within(
    wrappers: Sequence[UserStepDecorator],
    flow: FlowSpec,
    step_name: str,
    inputs: Any,
    run: Callable[[], object],
) -> Following:
    """Run a step within its decorators, the first of them the outermost; what they say of
    `self.next`.

    Raises:
        BaseException: what the step raised and no decorator caught, or what one of them did.
    """
    if not wrappers:
        run()
        return None
    wrapper = wrappers[0]._for_task(type(flow))
    instead = wrapper.pre_step(step_name, flow, inputs)
    following: Following = None
    error: BaseException | None = None
    try:
        if wrapper.skip_step is not False:
            following = wrapper.skip_step
        elif instead is not None:
            following = instead(flow) if inputs is None else instead(flow, inputs)
        else:
            following = run_within(wrappers[1:], flow, step_name, inputs, run)
    except BaseException as raised:  # noqa: BLE001 - `finally` in a decorator is for sys.exit too
        error, following = raised, True
    said = wrapper.post_step(step_name, flow, error)
    failure, anew = said if isinstance(said, tuple) and len(said) == 2 else (said, None)
    if failure is None:
        return _checked(wrapper, following if anew is None else anew)
    if not isinstance(failure, BaseException):
        raise wrapper._mistake("returns from post_step what is no exception: None is success")
    raise failure


def go_on(flow: FlowSpec, node: StepNode, following: bool | Mapping[str, Any]) -> None:
    """Call `self.next` in place of a step: as it is written there, or with these options.

    Raises:
        InvalidFlow: what the step would have set for it is not there.
    """
    vars(flow).pop("_transition", None)
    if not node.next_steps:
        return
    options: dict[str, Any] = dict(following) if isinstance(following, Mapping) else {}
    steps: list[Any] = [getattr(flow, name) for name in node.next_steps]
    if not options and node.foreach is not None:
        options["foreach"] = node.foreach
    if not options and node.condition is not None:
        options["condition"] = node.condition
        cases = (json.loads(case) for case in node.cases)
        steps = [dict(zip(cases, steps, strict=True))]
    if not options and node.kind is StepKind.PARALLEL:
        message = f"Step {node.name!r} was skipped: say {{'num_parallel': …}} in its place."
        raise InvalidFlow([FlowProblem(message, "<decorator>", node.line)])
    flow.next(*steps, **options)


def _checked(wrapper: UserStepDecorator, following: object) -> Following:
    if following is None or following is False:
        return None
    if following is True or isinstance(following, Mapping):
        return following
    raise wrapper._mistake("says how to go on by True, or a dict that self.next is given")
