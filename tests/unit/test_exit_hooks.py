"""`@exit_hook`: what the graph says of it, and every mistake in one."""

from __future__ import annotations

import json

import pytest

from eventflow.authoring.graph import check, graph_of
from eventflow.model.graph import ExitHooks
from eventflow.store.graphs import graph_from_json, graph_to_json
from tests.support.authored import Author

FLOW = """
        import os.path
        def tell(run): ...
        def mourn(): ...

        {decorator}
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
"""


def test_the_graph_has_the_functions_by_name_the_uppermost_first(author: Author) -> None:
    flow = author.flow(
        FLOW.format(
            decorator="@exit_hook(on_success=[tell, 'mourn'])\n"
            "        @exit_hook(on_success=[os.path.join], on_error=['pkg.mod.tell'])"
        )
    )

    graph = graph_of(flow)

    assert graph.exit_hooks == ExitHooks(("tell", "mourn", "posixpath.join"), ("pkg.mod.tell",))
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph)))) == graph


def test_a_flow_without_hooks_has_none(author: Author) -> None:
    assert graph_of(author.flow(FLOW.format(decorator=""))).exit_hooks is None


def test_a_subclass_has_the_hooks_of_its_base(author: Author) -> None:
    flow = author.flow(
        FLOW.format(decorator="@exit_hook(on_error=[mourn])").replace("class F(", "class Base(")
        + "\n        class F(Base): ...\n"
    )

    assert graph_of(flow).exit_hooks == ExitHooks((), ("mourn",))


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("@exit_hook()", "give it functions"),
        ("@exit_hook(on_success=tell)", "on_success has to be a list of functions"),
        ("@exit_hook(on_error=['weep'])", "there is no function 'weep' in the flow's file"),
        ("@exit_hook(on_error=[lambda: 1])", "'<lambda>' is no function of a module"),
        ("@exit_hook(on_error=[print])", "'print' is no function of a module"),
        ("@exit_hook(on_error=[mourn], options={'a': 1})", "there are no options"),
    ],
)
def test_a_mistake_has_the_line_of_the_decorator(
    decorator: str, message: str, author: Author
) -> None:
    flow = author.flow(FLOW.format(decorator=decorator))

    (problem,) = check(flow)

    assert message.replace("'", "") in problem.message.replace("'", "")
    assert problem.line == 7
