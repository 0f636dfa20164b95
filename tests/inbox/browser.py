"""A real Chromium, driven by selenium: one for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromedriver")


def what_is_missing() -> str | None:
    """Why there is no browser here."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Browser:
    """A window with the page of an inbox."""

    def __init__(self) -> None:
        from selenium import webdriver

        chromium, driver = (shutil.which(program) for program in PROGRAMS)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium or ""
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-extensions",
            "--mute-audio", "--force-color-profile=srgb", "--disable-features=IsolateSandboxedIframes",
            "--window-size=1280,860", "--host-resolver-rules=MAP *.elsewhere.test 127.0.0.1",
        ):  # fmt: skip
            options.add_argument(argument)
        self.driver: Any = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        self.driver.set_script_timeout(40)

    def open(self, url: str) -> None:
        """Open a page, as somebody does who types its address."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, *arguments: object) -> Any:
        """Wait until an expression in the page is true; return its value."""
        script = (
            "const done = arguments[arguments.length - 1], given = arguments;"
            "const look = () => { let value = false; try { value = (() => (" + condition + "))(); } catch {}"
            "  if (value) done(value); else setTimeout(look, 10); }; look();"
        )
        return self.driver.execute_async_script(script, *arguments)

    def show(self, id: str, tab: str = "html") -> None:
        """Show a message in the page, and wait until its frame is loaded."""
        self.walk([(id, tab)])

    def walk(self, views: list[tuple[str, str]], *, previews: bool = False) -> None:
        """Show one message after another, each in a view, and with ``previews`` also those of two attachments."""
        script = """
            const [views, previews, done] = arguments;
            const frames = then => requestAnimationFrame(() => requestAnimationFrame(then));
            const show = (id, tab) => new Promise(shown => {
                const settle = () => frames(() => fetch('api/v1/info').then(shown));
                const observer = new MutationObserver(() => {
                    const frame = document.querySelector(`iframe[src^="view/${id}.html"]`);
                    if (frame) { observer.disconnect(); frame.addEventListener('load', settle, {once: true}); }
                    const chosen = document.querySelector(`#tab-${tab}[aria-selected=true]`);
                    if (tab !== 'html' && chosen) { observer.disconnect(); settle(); }
                });
                observer.observe(document.querySelector('#reader'), {childList: true, subtree: true});
                location.hash = `#${id}/${tab}`;
            });
            (async () => {
                for (const [id, tab] of views) {
                    await show(id, tab);
                    if (!previews) continue;
                    for (const file of [...document.querySelectorAll('.file')].slice(0, 2)) {
                        file.click();
                        await new Promise(frames);
                    }
                    document.querySelector('#dialog').close();
                }
            })().then(done);
        """
        for start in range(0, len(views), 5):
            self.driver.execute_async_script(script, views[start : start + 5], previews)

    def frames(self, ids: list[str]) -> None:
        """Show the HTML of messages as the page does, in frames of the same kind, and wait until they are loaded."""
        script = """
            const [ids, done] = arguments, frames = ids.map(id => document.createElement('iframe'));
            const wait = then => requestAnimationFrame(() => requestAnimationFrame(then));
            frames.forEach((frame, at) => {
                frame.setAttribute('sandbox', 'allow-popups allow-popups-to-escape-sandbox');
                frame.src = `view/${ids[at]}.html`;
            });
            Promise.all(frames.map(frame => new Promise(load => frame.addEventListener('load', load, {once: true}))))
                .then(() => wait(() => fetch('api/v1/info').then(done)));
            let wall = document.querySelector('#wall');
            if (!wall) {  // in sight, as a browser does not draw what is not
                wall = document.createElement('div');
                wall.id = 'wall';
                wall.style.cssText = 'position:fixed;inset:0;z-index:9;display:grid;grid-template:none/repeat(4,1fr)';
                document.body.append(wall);
            }
            wall.replaceChildren(...frames);
        """
        self.driver.execute_async_script(script, ids)

    def marked(self) -> int:
        """In how many documents a script of a mail has run: the page, and all frames in it."""
        ask = self.driver.execute_cdp_cmd
        ask("DOM.getDocument", {"depth": 0})
        found = ask("DOM.performSearch", {"query": "[data-ran]"})
        ask("DOM.discardSearchResults", {"searchId": found["searchId"]})
        return int(found["resultCount"])

    def picture(
        self, path: Path, *, width: int = 1280, height: int = 800, scale: float = 1, is_phone: bool = False
    ) -> None:
        """Put a picture of the page into a file."""
        import base64

        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.run("return document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 82})
        path.write_bytes(base64.b64decode(taken["data"]))
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def judge(self, axe: Path) -> list[str]:
        """What axe-core objects to in the page, without looking into frames."""
        world = self.driver.execute_cdp_cmd("Page.getFrameTree", {})["frameTree"]["frame"]["id"]
        made = self.driver.execute_cdp_cmd("Page.createIsolatedWorld", {"frameId": world})
        script = (
            axe.read_text(encoding="utf-8")
            + """
            ; axe.run(document, {iframes: false, resultTypes: ['violations']}).then(found => found.violations.flatMap(
                one => one.nodes.map(node => `${one.id}: ${node.target} ${node.failureSummary}`)))
        """
        )
        answer = self.driver.execute_cdp_cmd("Runtime.evaluate", {
            "expression": script, "contextId": made["executionContextId"], "awaitPromise": True, "returnByValue": True,
        })  # fmt: skip
        return [str(one) for one in answer["result"]["value"]]

    def close_other_windows(self) -> None:
        """Close what a click has opened."""
        first, *others = self.driver.window_handles
        for window in others:
            self.driver.switch_to.window(window)
            self.driver.close()
        self.driver.switch_to.window(first)

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()
