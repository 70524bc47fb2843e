"""Flows with mistakes in what is said of parameters, files and configurations; marked as in
`wrong_flows`."""

from __future__ import annotations

__all__ = ["WRONG_PARAMETERS"]

WRONG_PARAMETERS = {
    "what is said of parameters": """
        class F(FlowSpec):
            a_b = Parameter("a-b")
            other = Parameter("a_b")  # ! differs from parameter 'a-b'
            twin = Parameter("twin")
            twin_2 = Parameter("twin")  # ! There are two parameters 'twin'
            nameless = Parameter(default=1)  # ! A parameter cannot be called ''
            many = Parameter("many", multiple=True)  # ! has no option multiple=; there is: name, d
            files = IncludeFile("files", glob="*")  # ! 'files' has no option glob=
            set_up = Config("set_up", tpye=1)  # ! 'set_up' has no option tpye=
            run_id = Parameter("run-id")  # ! option of the command line
            odd = Parameter("odd", separator=",", default=1)  # ! only a str has a separator=
            empty = Parameter("empty", separator="")  # ! separator= is text
            asked = Parameter("asked", required=lambda c: True)  # ! required= cannot be a function
            file = IncludeFile("file", default=3)  # ! the path of a file, not 3
            text = IncludeFile("text", encoding="utf-9")  # ! no encoding 'utf-9'
            parsed = IncludeFile("parsed", parser=3)  # ! parser=3 is neither
            config = Config("config")
            text_2 = Config("TEXT")  # ! differs from parameter 'text'
            _hidden = Config("hidden")  # ! attribute '_hidden'
            odd_name = Config("a b")  # ! cannot be called 'a b'
            @step
            def start(self):
                self.config = 1  # ! a parameter
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "configurations": """
        class F(FlowSpec):
            config = Config("config", default="nowhere.json")  # ! cannot be read
            both = Config("both", default="a", default_value={})  # ! keep one of them
            @step
            def start(self):
                pass
        """,
    "expressions of configurations": """
        @project(name=config_expr("config.project"))  # ! has no 'project'
        class F(FlowSpec):
            config = Config("config", default_value={"a": 1})
            rows = Parameter("rows", default=config.rows)  # ! there is no 'rows'
            wrong = config_expr("confg.a")  # ! name 'confg' is not defined
            deep = {"a": config.a}  # ! inside of it
            @step
            def start(self):
                pass
        """,
}
