"""What a mail does in a real browser: nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.inbox.browser import Browser
from tests.inbox.hostile import HTML, INERT, hostile_mails, with_tracker
from tests.inbox.tracker import Tracker
from wlsmtp.inbox import Inbox, Mail
from wlsmtp.inbox.guard import MAIL_POLICY
from wlsmtp.inbox.html import make_showable
from wlsmtp.inbox.store import Facts

FACTS = Facts("eve@example.net", ("bob@example.org",))
SHOWN_IN_THE_PAGE = {
    "script", "image that fails", "base", "refresh", "frame", "form", "body", "link to the top", "deeply nested",
    "mutation by depth", "cover of the whole page", "frames with names",
}  # fmt: skip


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    with Tracker() as tracker:
        yield tracker


def harmful(browser: Browser, tracker: Tracker, policy: str = "", *, showable: bool = False) -> set[str]:
    """Which of the mails ask the tracker when their HTML is shown in frames without a sandbox: as it is, under a
    policy, or as the inbox writes it."""
    frames = ""
    for number, page in enumerate(HTML.values()):
        page = with_tracker(page, f"{tracker.address}/{number}")
        page = make_showable(page).html if showable else page
        tracker.pages[f"/page/{number}"] = page.encode(), policy
        frames += f"<iframe src=/page/{number}></iframe>"
    listens = "<script>told = 0; onmessage = () => told++</script>"
    tracker.pages["/"] = f"<!doctype html><link rel=icon href=data:,>{listens}{frames}".encode(), ""
    browser.open(f"http://{tracker.address}/")
    browser.wait("document.readyState === 'complete'")
    browser.run("return fetch('/').then(() => new Promise(requestAnimationFrame))")
    asked = {path.split("/")[1] for path in tuple(tracker.asked)}
    return {name for number, name in enumerate(HTML) if str(number) in asked}


class TestFiftyHostileMails:
    def test_their_html_does_nothing(self, browser: Browser, box: Inbox, tracker: Tracker) -> None:
        mails = hostile_mails(tracker.address)
        self.open(browser, box)
        ids = [box.store.add(mails[name], FACTS).id for name in HTML]
        assert len(ids) > 150
        box.store.set_read(True)
        for start in range(0, len(ids), 12):
            browser.frames(ids[start : start + 12])
            assert browser.marked() == 0, list(HTML)[start : start + 12]
        self.assert_untouched(browser, box, tracker)

    @pytest.mark.timeout(120)
    def test_they_do_nothing_in_the_page(self, browser: Browser, box: Inbox, tracker: Tracker) -> None:
        mails = hostile_mails(tracker.address)
        chosen = [name for name in mails if name not in HTML or name in SHOWN_IN_THE_PAGE]
        entries = {name: box.store.add(mails[name], FACTS) for name in chosen}
        assert len(entries) > 50
        box.store.set_read(True)
        self.open(browser, box)
        browser.wait("document.querySelectorAll('.row').length >= 50")
        views = [(entry.id, "html" if Mail(box.store, entry).html else "text") for entry in entries.values()]
        browser.walk(views, previews=True)
        self.assert_untouched(browser, box, tracker)
        shown = ("headers with markup", "addresses with markup", "type with markup", "fields of prototypes")
        browser.walk([(entries[name].id, tab) for name in shown for tab in ("checks", "headers", "parts", "source")])
        self.assert_untouched(browser, box, tracker)

    def open(self, browser: Browser, box: Inbox) -> None:
        browser.open(box.web_url)
        browser.wait("document.querySelector('.live.on')")
        browser.run("localStorage.setItem('mine', 'untouched'); window.told = [];"
                    "addEventListener('message', event => window.told.push(String(event.data)))")  # fmt: skip

    def assert_untouched(self, browser: Browser, box: Inbox, tracker: Tracker) -> None:
        assert (tracker.connections, tracker.asked) == (0, [])
        assert browser.run("return window.told") == [] and browser.marked() == 0
        browser.wait("document.title === 'Inbox'")
        assert browser.run("return [{...localStorage}, {...sessionStorage}]") == [{"mine": "untouched"}, {}]
        assert browser.run("return [document.cookie, window.name, {}.x, [].y]") == ["", "", None, None]
        assert browser.run("return location.href").startswith(box.web_url)
        assert len(browser.driver.window_handles) == 1

    def test_most_of_them_would_without_the_inbox(self, browser: Browser, tracker: Tracker) -> None:
        found, deadline = set[str](), time.monotonic() + 20
        while time.monotonic() < deadline and not set(HTML) - INERT <= found:
            found |= harmful(browser, tracker)
        assert " | ".join(sorted(set(HTML) - INERT - found)) == ""
        assert browser.marked() > 40 and browser.run("return window.told") > 40

    def test_the_policy_alone_would_hold_them(self, browser: Browser, tracker: Tracker) -> None:
        assert harmful(browser, tracker, MAIL_POLICY.format(remote="")) == set()
        assert browser.marked() == 0

    def test_what_the_inbox_writes_holds_them_wherever_it_is_shown(self, browser: Browser, tracker: Tracker) -> None:
        """Also in the page of a test suite that asks for it by the API: neither our header nor our sandbox is there."""
        assert harmful(browser, tracker, showable=True) == set()
        assert browser.marked() == 0 and browser.run("return window.told") == 0

    @pytest.mark.parametrize("name", ["link to the top", "link here", "link with a script address", "entities"])
    def test_a_click_leaves_the_page_where_it_is(
        self, browser: Browser, box: Inbox, tracker: Tracker, name: str
    ) -> None:
        id = box.store.add(hostile_mails(tracker.address)[name], FACTS).id
        browser.open(box.web_url)
        browser.show(id)
        browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe"))
        browser.driver.find_element("css selector", "a").click()
        browser.driver.switch_to.default_content()
        browser.close_other_windows()
        assert browser.run("return location.href").startswith(box.web_url)
        assert browser.run("return document.title") == "Inbox" and browser.marked() == 0


def test_remote_images_are_loaded_by_the_browser_once_the_user_asks(
    browser: Browser, box: Inbox, tracker: Tracker
) -> None:
    asks = f"src=http://{tracker.address}/asked.png".encode()
    raw = hostile_mails(tracker.address)["image that fails"].replace(b"src=x", asks)
    id = box.store.add(raw, FACTS).id
    browser.open(box.web_url)
    browser.show(id)
    assert tracker.asked == []
    browser.run("document.querySelector('#load-remote').click()")
    browser.wait("document.querySelector('iframe').src.endsWith('remote=1')")
    deadline = time.monotonic() + 10
    while not tracker.asked and time.monotonic() < deadline:
        browser.run("return fetch('api/v1/info').then(() => 1)")
    assert tracker.asked == ["/asked.png"] and browser.marked() == 0
    other = box.store.add(hostile_mails(tracker.address)["image"], FACTS).id
    browser.show(other)
    assert tracker.asked == ["/asked.png"]


def test_another_web_page_can_neither_read_nor_change_the_mail(browser: Browser, box: Inbox, tracker: Tracker) -> None:
    box.store.add(b"Subject: secret\r\n\r\nsecret\r\n", FACTS)
    tracker.pages["/"] = b"<!doctype html><link rel=icon href=data:,><title>other</title>", ""
    browser.open(f"http://{tracker.address}/")
    attempt = """
        const [url, method, mode, done] = arguments;
        fetch(url, {method, mode, credentials: 'include', headers: mode === 'cors' && method !== 'GET' ?
              {'Content-Type': 'application/json'} : {}})
            .then(answer => answer.text()).then(text => done(text), () => done(''));
    """
    for method, path in [
        ("GET", "api/v1/messages"),
        ("GET", "view/latest.txt"),
        ("GET", ""),
        ("DELETE", "api/v1/messages"),
    ]:
        assert browser.driver.execute_async_script(attempt, box.web_url + path, method, "cors") == ""
    assert browser.driver.execute_async_script(attempt, box.web_url + "api/v1/faults", "POST", "no-cors") == ""
    read = """
        const [url, done] = arguments, frame = document.createElement('iframe');
        const text = () => { try { return frame.contentDocument.body.textContent; } catch { return ''; } };
        frame.onload = () => done(text());
        frame.src = url; document.body.append(frame);
    """
    assert browser.driver.execute_async_script(read, box.web_url + "api/v1/messages") == ""
    assert browser.driver.execute_async_script(read, box.web_url) == ""
    source = """
        const [url, done] = arguments, source = new EventSource(url);
        source.onerror = () => done('refused'); source.onopen = () => done('open');
    """
    assert browser.driver.execute_async_script(source, box.web_url + "api/v1/events") == "refused"
    assert box.store.totals().messages == 1 and box.faults.ordered == ()
