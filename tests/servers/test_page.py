"""The web page as it is sent: its policy, its files, and that nothing in it is a stranger's."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from serving import Serve, Served

from sandbox.servers.page import policy

EVIL = "</title><script>alert(1)</script>'\""


@pytest.fixture(scope="module")
def served(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server with plugins that try to get markup into the page."""
    root = tmp_path_factory.mktemp("page")
    plugins = root / "plugins"
    for name, manifest in {
        "evil": {"Label": EVIL, "Image": '{BASE_URL}a.png" onerror=alert(1) x="'},
        "<b>": {"Label": ""},
        "static": {"Label": "in the way"},
        "pictured": {"Image": "{BASE_URL}logo a.png"},
        "elsewhere": {"Image": "http://elsewhere.example/logo.png"},
        "outside": {"Image": "{BASE_URL}../pictured/logo a.png"},
        "runs": {"Image": "{BASE_URL}main.py"},
        "absent": {"Image": "{BASE_URL}absent.png"},
    }.items():
        (plugins / name).mkdir(parents=True)
        (plugins / name / "manifest.json").write_text(json.dumps(manifest))
        (plugins / name / "main.py").write_text("")
    (plugins / "static" / "page.js").write_text("alert(1)")
    (plugins / "pictured" / "logo a.png").write_bytes(b"")
    return serve("--dir", str(root))


def test_the_document(served: Served) -> None:
    page = served.ask("/")
    assert page.status == 200
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert page.header("cache-control") == "no-store"
    assert page.header("x-frame-options") == "DENY"
    assert page.header("content-security-policy") == policy(f"{served.host}:{served.port}")
    assert EVIL not in page.text
    assert "&lt;/title&gt;&lt;script&gt;" in page.text
    assert 'href="/%3Cb%3E/"' in page.text
    # One script and one style, of our own; none within the document.
    assert re.findall(r"<script[^>]*>", page.text) == re.findall(
        r'<script src="/static/page\.js\?[0-9a-f]{16}">', page.text
    )
    assert page.text.count("<script") == 1
    assert "<style" not in page.text
    assert not re.search(r"\son[a-z]+=", page.text.replace("&#x27;", "").partition("<main>")[0])
    assert served.ask("/", "HEAD").body == b""
    assert served.ask("/", "POST", b"x").status == 405
    assert served.ask("/favicon.ico").body == served.ask("/logo.png").body


def test_its_files(served: Served) -> None:
    page = served.ask("/").text
    addresses = re.findall(r'"(/static/[^"]+)"', page)
    assert len(addresses) == 2
    for address in addresses:
        name, _, digest = address.removeprefix("/static/").partition("?")
        sent = served.ask(address)
        assert sent.body == (files("sandbox.servers") / "web" / name).read_bytes()
        assert sent.header("content-type").startswith(("text/css", "text/javascript"))
        assert sent.header("x-content-type-options") == "nosniff"
        assert "immutable" in sent.header("cache-control")
        assert served.ask(f"/static/{name}?{digest}0").header("cache-control") == "no-cache"
        assert served.ask(f"/static/{name}", "POST", b"").status == 405
    assert served.ask("/static/page.html").text != page


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080/static/"),
        ("radio.example", "radio.example/static/"),
        ("[::1]:8080", "'self'"),
        ("x; script-src *", "'self'"),
        ("x\r\ny", "'self'"),
        ("*", "'self'"),
        ("", "'self'"),
    ],
)
def test_policy(host: str, source: str) -> None:
    directives = dict(one.split(" ", 1) for one in policy(host).split("; "))
    assert directives["default-src"] == directives["frame-ancestors"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == source
    assert directives["connect-src"] == directives["img-src"] == "'self'"


def test_pictures_are_files_of_the_plugin(served: Served) -> None:
    shown = json.loads(served.ask("/admin/plugins").body)["plugins"]
    pictures = {one["name"]: one["image"] for one in shown if one["image"]}
    # Neither of another server, nor what would run the plugin when somebody looks at the page.
    assert pictures == {"pictured": "/pictured/logo%20a.png"}


SCRIPT = (files("sandbox.servers") / "web" / "page.js").read_text(encoding="utf-8")


def test_the_script_is_plain() -> None:
    """Browsers of old televisions stop at the first word that they do not know."""
    code = re.sub(r"(?m)^\s*(//|/\*|\*).*$|\s//\s.*$", "", SCRIPT)
    newer = r"=>|`|\b(?:let|const|class|async|await|import|export|of|yield)\b|\?\.|\?\?|\.\.\."
    assert re.findall(newer, re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', code)) == []
    for name in ("fetch(", "Promise", "Symbol", ".includes(", ".startsWith(", ".closest("):
        assert name not in code


def test_the_script_writes_no_markup() -> None:
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "Function(", "srcdoc", "javascript:"):  # fmt: skip
        assert name not in SCRIPT


def test_nothing_comes_from_elsewhere() -> None:
    for one in ("page.html", "page.css", "page.js"):
        text = (files("sandbox.servers") / "web" / one).read_text(encoding="utf-8")
        assert re.findall(r"(?:https?:)?//[a-z0-9]", text) == [], one
        assert not {"url(", "@import"} & set(re.findall(r"url\(|@import", text)), one


def test_the_files_are_in_the_package() -> None:
    folder = Path(str(files("sandbox.servers"))) / "web"
    assert sorted(path.name for path in folder.iterdir()) == ["page.css", "page.html", "page.js"]
