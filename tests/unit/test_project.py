"""Where a flow lives: its project, and the branch that its options add up to."""

from __future__ import annotations

import pytest

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.project import namespace_of, project, project_of
from eventflow.errors import InvalidName


class Plain(FlowSpec):
    pass


@project(name="shop")
class Shop(FlowSpec):
    pass


class ShopToo(Shop):
    pass


BRANCHES = [
    # flow, --branch, --production, by hand, deployed
    (Shop, None, False, "shop/user.ann", "shop/user.ann"),
    (Shop, "b", False, "shop/test.b", "shop/test.b"),
    (Shop, None, True, "shop/prod", "shop/prod"),
    (Shop, "b", True, "shop/prod.b", "shop/prod.b"),
    (ShopToo, None, True, "shop/prod", "shop/prod"),
    (Plain, None, False, "default/user.ann", "default/prod"),
    (Plain, "b", False, "default/test.b", "default/test.b"),
    (Plain, None, True, "default/prod", "default/prod"),
]


@pytest.mark.parametrize(("flow", "branch", "is_production", "by_hand", "deployed"), BRANCHES)
def test_the_options_add_up_to_a_namespace(
    flow: type, branch: str | None, is_production: bool, by_hand: str, deployed: str
) -> None:
    found = [
        namespace_of(
            flow, branch=branch, is_production=is_production, user="ann", is_deploy=is_deploy
        )
        for is_deploy in (False, True)
    ]

    assert [str(each) for each in found] == [by_hand, deployed]


def test_a_subclass_has_the_project_of_its_base_unless_it_has_its_own() -> None:
    @project(name="bank")
    class Bank(Shop):
        pass

    assert [project_of(flow) for flow in (Plain, Shop, ShopToo, Bank)] == [
        None,
        "shop",
        "shop",
        "bank",
    ]


@pytest.mark.parametrize("name", ["", "Shop", "a b", "a/b", "x" * 129])
def test_a_name_that_no_project_can_have_is_refused(name: str) -> None:
    @project(name=name)
    class Odd(FlowSpec):
        pass

    with pytest.raises(InvalidName, match="no project name"):
        namespace_of(Odd, branch=None, is_production=True, user="ann", is_deploy=True)


@pytest.mark.parametrize("branch", ["", "B", "a.b", "a/b"])
def test_a_branch_that_cannot_be_is_refused(branch: str) -> None:
    with pytest.raises(InvalidName, match="--branch"):
        namespace_of(Shop, branch=branch, is_production=False, user="ann", is_deploy=True)
