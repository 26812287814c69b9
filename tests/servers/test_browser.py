"""The web page in a real browser: a phone, a desktop and a television, with nothing mocked.

Needs Debian's package `chromium` and PyPI's `playwright`, whose own browsers are not downloaded.
Pictures of the page are kept in the folder that SANDBOX_ARTIFACTS names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packing import package
from serving import BOUND, Serve, Served

sync_api: Any = pytest.importorskip(
    "playwright.sync_api", reason="a browser is driven by playwright: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no browser: apt-get install chromium"
)

PHONE, DESKTOP, TELEVISION = (390, 844), (1280, 900), (1920, 1080)
AGENT = "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/537.36 TV Safari/537.36"
EVIL = "Radio <img src=x onerror=alert(1)>"
RADIO = package(
    {
        "main.py": 'import server\nserver.log("on the air <b>")\nserver.write("music")\n',
        "logo.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    },
    Label=EVIL,
    Image="{BASE_URL}logo.svg",
    Capabilities=["memory", "timer"],
)
FILE = {"name": "radio.200.tgz", "mimeType": "application/gzip", "buffer": RADIO}


class Screen:
    """One page that is looked at, and what went wrong in it."""

    def __init__(self, page: Any, served: Served, shots: Path, name: str) -> None:
        self.page, self.served, self.shots, self.name = page, served, shots, name
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        page.set_default_timeout(BOUND * 1000 / 2)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))

    def _said(self, message: Any) -> None:
        # An answer that refuses something is said as an error, too, which tests may provoke.
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.wrong.append(message.text)

    def open(self, path: str = "") -> None:
        """Open the page and wait until its script has listed the plugins."""
        self.page.goto(self.served.url + path)
        self.page.locator(".plugin[data-name]").first.wait_for()

    def shot(self, what: str) -> None:
        """Keep a picture."""
        self.page.screenshot(path=self.shots / f"{self.name}-{what}.png", full_page=True)

    def plugin(self, name: str) -> Any:
        """A plugin's card."""
        return self.page.locator(f'[data-name="{name}"]')

    def says(self, text: str) -> None:
        """Wait until the status line says so."""
        sync_api.expect(self.page.locator("#status")).to_have_text(text)

    def press(self, *keys: str) -> None:
        """Keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """What has the focus: its name for those who cannot see it, or its id."""
        found = self.page.evaluate(
            "() => { const e = document.activeElement;"
            " return e.getAttribute('aria-label') || e.id || e.textContent; }"
        )
        return str(found)

    def fits(self) -> None:
        """Nothing is wider than the screen, and what can be pressed is large enough."""
        found = self.page.evaluate(
            """() => {
                const small = [...document.querySelectorAll("button, a.button, label.button")]
                    .map(e => e.getBoundingClientRect())
                    .filter(r => r.width && (r.height < 44 || r.width < 44)).length;
                const wide = document.documentElement.scrollWidth - innerWidth;
                return [wide, small];
            }"""
        )
        assert found[0] <= 0, "the page is wider than the screen"
        assert found[1] == 0, "a button is too small for a finger"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with sync_api.sync_playwright() as playwright:
        # Its own sandbox needs rights that a container may lack; it loads our own page only.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def served(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server with a folder, whose operator is who comes from this machine."""
    root = tmp_path_factory.mktemp("browser")
    hello = root / "plugins" / "hello"
    hello.mkdir(parents=True)
    (hello / "manifest.json").write_text(json.dumps({"Label": "Hello"}))
    (hello / "main.py").write_text('import server\nserver.write("hello")\n')
    return serve("--dir", str(root))


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are kept."""
    named = os.environ.get("SANDBOX_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Opener:
    """Opens screens, and at the end looks whether anything went wrong in them."""

    def __init__(self, browser: Any, shots: Path) -> None:
        self.browser, self.shots = browser, shots
        self.screens: list[Screen] = []

    def __call__(self, served: Served, size: tuple[int, int], name: str, **more: Any) -> Screen:
        width, height = size
        viewport = {"width": width, "height": height}
        context = self.browser.new_context(viewport=viewport, locale="en-GB", **more)
        self.screens.append(Screen(context.new_page(), served, self.shots, name))
        return self.screens[-1]

    def close(self) -> None:
        """The end of a test."""
        for screen in self.screens:
            screen.page.context.close()
            assert screen.wrong == []
            assert screen.asked == {f"{screen.served.host}:{screen.served.port}"}


@pytest.fixture
def screen(browser: Any, shots: Path) -> Iterator[Opener]:
    """Opens screens for one test."""
    opener = Opener(browser, shots)
    yield opener
    opener.close()


def test_a_plugin_from_drop_to_removal(screen: Opener, served: Served) -> None:
    desktop = screen(served, DESKTOP, "desktop", color_scheme="light")
    page = desktop.page
    desktop.open()
    desktop.fits()
    # Dropped as from a file manager: the browser makes the event, with the file in it.
    drop = page.evaluate_handle(
        """([name, bytes]) => {
            const drop = new DataTransfer();
            drop.items.add(new File([new Uint8Array(bytes)], name));
            return drop;
        }""",
        ["radio.200.tgz", list(RADIO)],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": drop})
    page.dispatch_event("body", "drop", {"dataTransfer": drop})
    review = page.get_by_role("region", name=f"{EVIL} is installed")
    review.wait_for()
    assert served.ask("/radio/").status == 404
    desktop.shot("asks")
    # Nothing is granted that was not marked.
    box = review.get_by_role("checkbox")
    assert not box.is_checked()
    box.check()
    review.get_by_role("button", name="Grant what is marked and switch on").click()
    desktop.says(f"{EVIL} is on.")
    radio = desktop.plugin("radio")
    sync_api.expect(radio.locator(".badge").first).to_have_text("on")
    picture = radio.locator(".icon img")
    picture.wait_for()
    page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())

    radio.get_by_role("link", name="Open").click()
    assert page.inner_text("body") == "music"
    page.go_back()
    radio.get_by_role("button", name="Details").click()
    sync_api.expect(radio.get_by_role("log")).to_contain_text("on the air <b>")
    sync_api.expect(radio.locator(".measure").first).to_contain_text("of 1 s")
    desktop.shot("details")

    radio.get_by_role("button", name="Revoke timer").click()
    desktop.says("timer is revoked.")
    sync_api.expect(radio.locator(".badge").first).to_have_text("missing grants")
    assert "timer" in served.ask("/radio/").text
    radio.get_by_role("button", name="Grant timer").click()
    desktop.says("timer is granted.")
    radio.get_by_role("button", name="Reload").click()
    desktop.says(f"{EVIL} will start afresh.")
    radio.get_by_role("button", name="Switch off").click()
    desktop.says(f"{EVIL} is off.")
    assert served.ask("/radio/").status == 404
    radio.get_by_role("button", name="Switch on").click()
    desktop.says(f"{EVIL} is on.")
    assert served.ask("/radio/").text == "music"

    radio.get_by_role("button", name="Uninstall", exact=True).click()
    sure = radio.get_by_role("alertdialog")
    sure.get_by_role("button", name="Keep it").click()
    assert served.ask("/radio/").text == "music"
    radio.get_by_role("button", name="Uninstall", exact=True).click()
    sure.get_by_role("button", name="Yes, uninstall").click()
    desktop.says(f"{EVIL} is uninstalled.")
    sync_api.expect(radio).to_have_count(0)
    assert served.ask("/radio/").status == 404


def test_a_phone(screen: Opener, served: Served) -> None:
    phone = screen(served, PHONE, "phone", color_scheme="dark", is_mobile=True, has_touch=True)
    page = phone.page
    phone.open()
    phone.fits()
    page.set_input_files("#file", {**FILE, "name": "pocket.200.tgz"})
    review = page.get_by_role("region", name=f"{EVIL} is installed")
    review.get_by_role("checkbox").tap()
    phone.fits()
    phone.shot("asks")
    review.get_by_role("button", name="Leave it off").tap()
    pocket = phone.plugin("pocket")
    sync_api.expect(pocket.locator(".badge").first).to_have_text("off")
    pocket.get_by_role("button", name="Details").tap()
    pocket.get_by_role("button", name="Grant timer").wait_for()
    phone.fits()
    phone.shot("details")
    pocket.get_by_role("button", name="Uninstall", exact=True).tap()
    pocket.get_by_role("button", name="Yes, uninstall").tap()
    phone.says(f"{EVIL} is uninstalled.")


def test_progress_of_a_slow_upload(screen: Opener, served: Served) -> None:
    desktop = screen(served, DESKTOP, "slow")
    page = desktop.page
    desktop.open()
    page.evaluate(
        """() => {
            window.told = [];
            const line = document.getElementById("upload-text");
            const seen = new MutationObserver(() => told.push(line.textContent));
            seen.observe(line, {childList: true});
        }"""
    )
    network = page.context.new_cdp_session(page)
    speed = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    network.send("Network.emulateNetworkConditions", speed)
    noise = package({"main.py": "", "noise.txt": os.urandom(200_000).hex()}, Label="Slow")
    page.set_input_files("#file", {**FILE, "name": "slow.200.tgz", "buffer": noise})
    review = page.get_by_role("region", name="Slow is installed")
    review.wait_for()
    # Its manifest is empty, which does not mean that it can do nothing.
    sync_api.expect(review).to_contain_text("nothing more than it may do already")
    assert review.locator("code").all_inner_texts() == ["file", "http", "memory"]
    assert set(review.locator(".badge").all_inner_texts()) == {"every plugin may"}
    assert not page.get_by_role("progressbar").is_visible()
    told = page.evaluate("() => told")
    steps = [int(text.split()[-2]) for text in told if text.endswith("%")]
    assert any(0 < step < 100 for step in steps)
    assert steps == sorted(steps)
    page.get_by_role("button", name="Switch on", exact=True).click()
    desktop.says("Slow is on.")
    assert served.ask("/slow/").status == 200
    more = package({"main.py": ""}, Label="Slow", Capabilities=["timer"])
    page.set_input_files("#file", {**FILE, "name": "slow.200.tgz", "buffer": more})
    review = page.get_by_role("region", name="Slow is upgraded")
    sync_api.expect(review).to_contain_text("It is off. It asks for more than it was granted.")
    review.get_by_role("checkbox", name="timer").wait_for()
    assert served.ask("/slow/").status == 404


def test_refused_packages_and_settings(screen: Opener, served: Served) -> None:
    desktop = screen(served, DESKTOP, "refused")
    page = desktop.page
    desktop.open()
    alert = page.get_by_role("alert")
    page.set_input_files("#file", {**FILE, "name": "radio.tgz"})
    sync_api.expect(alert).to_contain_text("radio.tgz: ")
    page.set_input_files("#file", {**FILE, "name": "radio.txt"})
    sync_api.expect(alert).to_contain_text("A package is a file such as")
    page.get_by_label("Folder of films").fill("nowhere")
    page.get_by_role("button", name="Save settings").click()
    sync_api.expect(alert).to_contain_text("Video: must be an absolute path")
    page.get_by_label("Folder of films").fill("/usr")
    page.get_by_label("Film behind the menu").select_option("2")
    page.get_by_role("button", name="Save settings").click()
    desktop.says("The settings are saved.")
    assert json.loads(served.ask("/settings").body)["VideoWall"] == 2
    # Only what was changed is sent: what others have set meanwhile stays.
    kind = {"content-type": "application/json"}
    served.ask("/admin/settings", "POST", b'{"Video": "/var"}', kind)
    page.get_by_label("Film behind the menu").select_option("3")
    with page.expect_request("**/admin/settings") as sent:
        page.get_by_role("button", name="Save settings").click()
    assert sent.value.post_data_json == {"VideoWall": 3}
    desktop.says("The settings are saved.")
    assert json.loads(served.ask("/settings").body)["Video"] == "/var"
    page.get_by_role("button", name="Server log").click()
    sync_api.expect(page.get_by_role("log", name="Server log")).to_contain_text("settings")


def test_a_television_by_arrow_keys(screen: Opener, served: Served) -> None:
    television = screen(served, TELEVISION, "television", color_scheme="dark", user_agent=AGENT)
    page = television.page
    television.open()
    television.fits()
    # Text that can be read from three metres away: at least a fortieth of the height.
    size = page.evaluate("() => parseFloat(getComputedStyle(document.body).fontSize)")
    assert size >= TELEVISION[1] / 40
    television.press("ArrowDown")
    assert television.focused() == "Open: Hello"
    ring = page.evaluate("() => getComputedStyle(document.activeElement).outlineWidth")
    assert ring == "4px"
    television.press("ArrowRight", "ArrowRight")
    assert television.focused() == "Switch off: Hello"
    television.press("Enter")
    television.says("Hello is off.")
    assert served.ask("/hello/").status == 404
    # There is no link to a plugin that is off, and the focus is where it was.
    turn = page.get_by_role("button", name="Switch on: Hello")
    sync_api.expect(turn).to_be_focused()
    television.press("Enter")
    television.says("Hello is on.")
    sync_api.expect(turn).to_have_count(0)
    television.press("ArrowLeft")
    assert television.focused() == "Details: Hello"
    television.press("Enter")
    field = television.plugin("hello").get_by_label("Grant something else")
    field.wait_for()
    television.shot("details")
    # Into the field and out of it again; what is typed is granted by Enter.
    television.press("ArrowDown")
    assert television.focused() == "grant-hello"
    page.keyboard.type("timer")
    television.press("Enter")
    television.says("timer is granted.")
    television.plugin("hello").get_by_role("button", name="Revoke timer").wait_for()
    television.press("ArrowUp")
    assert television.focused() == "Revoke timer"
    television.press("Enter")
    television.says("timer is revoked.")
    # The button is gone with its line: the focus is near, and Escape goes back.
    sync_api.expect(field).to_be_focused()
    television.press("Escape")
    assert not field.is_visible()
    # Everything can be reached by going down; nothing is a trap.
    seen = []
    for _ in range(40):
        television.press("ArrowDown")
        if seen and seen[-1] == television.focused():
            if television.focused() != "set-VideoWall":
                break
            television.press("ArrowRight", "Tab")  # a list of choices keeps up and down
        seen.append(television.focused())
    assert {"file", "set-Video", "set-Background", "show-log"} <= set(seen)
    television.shot("end")


def test_somebody_without_the_token(
    screen: Opener, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("guarded")
    hello = root / "plugins" / "hello"
    hello.mkdir(parents=True)
    (hello / "main.py").write_text('import server\nserver.write("hello")\n')
    served = serve("--dir", str(root), "--token-only")
    token = (root / "admin-token").read_text().strip()
    phone = screen(served, PHONE, "anyone", color_scheme="light")
    page = phone.page
    phone.open()
    hello_card = phone.plugin("hello")
    assert hello_card.get_by_role("button").count() == 0
    assert not page.get_by_text("Choose a package").is_visible()
    phone.shot("reads")
    page.get_by_label("Token").fill("x" * 32)
    page.get_by_role("button", name="Sign in").click()
    sync_api.expect(page.get_by_role("alert")).to_contain_text("not the token")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    hello_card.get_by_role("button", name="Switch off").wait_for()
    # The token is where no script can read it.
    assert page.evaluate("() => document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    sync_api.expect(hello_card.get_by_role("button")).to_have_count(0)
    # A link with the token in it signs in, and takes the token out of the address.
    phone.open(f"?token={token}")
    hello_card.get_by_role("button", name="Switch off").wait_for()
    assert page.url == served.url


def test_without_scripts(screen: Opener, served: Served) -> None:
    old = screen(served, TELEVISION, "scriptless", java_script_enabled=False)
    old.page.goto(served.url)
    old.page.get_by_role("link", name="Hello").click()
    assert old.page.inner_text("body") == "hello"
