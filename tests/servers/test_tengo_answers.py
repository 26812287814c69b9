"""What the front end answers for scripts in Tengo, and for the files beside them."""

from __future__ import annotations

import pytest
from serving import Serve, Served

FILES = {
    "main.tengo": 'import("server").write("main")',
    "runtime.tengo": 'm := import("lib/m")\nm.fail(1)',
    "lib/m.tengo": "export {\n\tfail: func(x) { return x + {} }\n}",
    "parse.tengo": "x := ;\ny := ;",
    "missing.tengo": 'import("lib/none")',
    "zero.tengo": "x := 1\ny := x / (x - 1)",
    "after.tengo": 's := import("server")\ns.write(201, "text")\nx := 1 + {}',
    "redirect.tengo": 'import("server").write(302, "a b?c=<d>")',
    "script_link.tengo": 'import("server").write(302, "javascript:alert(1)")',
    "page.tengo": 'import("server").write("<html>")',
    "plain": "0123456789",
    "page.html": "<html></html>",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Served:
    root = tmp_path_factory.mktemp("root")
    for name, content in FILES.items():
        path = root / "plugins" / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return serve("--dir", str(root))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "runtime",
            "Runtime Error: invalid operation: int + map\n\tat lib/m.tengo:2:25\n\tat (main):2:1\n",
        ),
        (
            "parse",
            "Parse Error: expected operand, found ';'\n\tat (main):1:6 (and 1 more errors)\n",
        ),
        (
            "missing",
            "Compile Error: module file path error: module 'lib/none' not found at: "
            "lib/none.tengo\n\tat (main):1:1\n",
        ),
        # What ends the original's run from outside has no place there.
        ("zero", "runtime error: integer divide by zero\n"),
        ("after", "Runtime Error: invalid operation: int + map\n\tat (main):3:6\n"),
    ],
)
def test_errors_are_shown_as_tengo_shows_them(served: Served, name: str, text: str) -> None:
    answer = served.ask(f"/p/{name}.tengo")
    assert (answer.status, answer.text) == (500, text)
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert answer.header("x-content-type-options") == "nosniff"
    # The log names the file.
    assert f"{name}.tengo" in served.log.read_text()


def test_a_redirect_with_nothing_but_a_link_is_no_page(served: Served) -> None:
    answer = served.ask("/p/redirect.tengo")
    assert (answer.status, answer.header("location")) == (302, "/p/a%20b?c=%3Cd%3E")
    assert answer.text == '<a href="/p/a b?c=&lt;d&gt;">Found</a>.\n\n'
    assert "content-security-policy" not in answer.headers
    # A link that runs something is one, and so is every other page.
    for name in ("script_link", "page"):
        assert "content-security-policy" in served.ask(f"/p/{name}.tengo").headers


def test_files(served: Served) -> None:
    answer = served.ask("/p/plain")
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert {"etag", "x-content-type-options"}.isdisjoint(answer.headers)
    changed = answer.header("last-modified")
    assert served.ask("/p/plain", headers={"If-Modified-Since": changed}).status == 304
    ranged = {"Range": "bytes=2-3"}
    assert served.ask("/p/plain", headers=ranged).body == b"23"
    assert served.ask("/p/plain", headers={**ranged, "If-Range": changed}).body == b"23"
    assert served.ask("/p/plain", headers={**ranged, "If-Range": '"x"'}).body == b"0123456789"
    page = served.ask("/p/page.html")
    assert page.header("x-content-type-options") == "nosniff"
    assert "content-security-policy" in page.headers
