"""The page in a real browser: what a developer sees and does, and what it looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.corpus.readers import INSTALLED
from tests.inbox.browser import Browser
from tests.inbox.letters import keep_letters, letters
from wlsmtp import Message, RetryPolicy, SMTPSession
from wlsmtp.inbox import Inbox
from wlsmtp.inbox.store import Facts

PICTURES = Path(__file__).parent.parent.parent / "docs" / "assets" / "inbox"
AXE = INSTALLED / "node" / "node_modules" / "axe-core" / "axe.min.js"
ROWS = "document.querySelectorAll('.row').length"


def subjects(browser: Browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('.row .subject')].map(node => node.textContent)")  # type: ignore[no-any-return]


def press(browser: Browser, keys: str) -> None:
    browser.driver.find_element("css selector", "body").send_keys(keys)


@pytest.fixture
def page(box: Inbox, browser: Browser) -> Browser:
    """The page of an inbox with our letters."""
    keep_letters(box.store)
    browser.open(box.web_url)
    browser.wait(f"{ROWS} === 6")
    return browser


class TestTheList:
    def test_it_waits_for_the_first_mail_and_shows_it_at_once(self, box: Inbox, browser: Browser) -> None:
        box.listen()
        browser.open(box.web_url)
        browser.wait("document.querySelector('.live.on') && document.querySelector('.snippet-box')")
        assert box.url in browser.run("return document.querySelector('.snippet-box').textContent")
        with SMTPSession.from_url(box.url) as session:
            session.send(Message("Ann <ann@example.com>", "bob@example.org", subject="First", text="Hello"))
        browser.wait(f"{ROWS} === 1")
        assert subjects(browser) == ["First"]
        assert browser.run("return document.title") == "(1) Inbox"
        assert browser.run("return document.querySelector('#announce').textContent") == "New mail from Ann: First"

    def test_it_is_searched_as_one_types(self, page: Browser) -> None:
        press(page, "/")
        page.driver.find_element("css selector", "#search").send_keys("has:attachment sales")
        page.wait(f"{ROWS} === 1")
        assert subjects(page) == ["Sales of the second quarter"]
        page.driver.find_element("css selector", "#search").send_keys("\ue00c")  # Escape
        page.wait(f"{ROWS} === 6")
        page.run("[...document.querySelectorAll('#tags button')].find(one => one.textContent === 'signup').click()")
        page.wait(f"{ROWS} === 1")

    def test_it_is_used_by_keys(self, page: Browser, box: Inbox) -> None:
        press(page, "j")
        page.wait("document.querySelector('h1')?.textContent.startsWith('Welcome')")
        page.wait("document.querySelectorAll('.row.unread').length === 5")
        press(page, "j")
        page.wait("document.querySelector('h1').textContent.startsWith('Disk')")
        press(page, "k")
        page.wait("document.querySelector('h1').textContent.startsWith('Welcome')")
        press(page, "2")
        page.wait("document.querySelector('#tab-text[aria-selected=true]')")
        press(page, "#")
        page.wait(f"{ROWS} === 5")
        assert box.store.totals().messages == 5
        press(page, "u")
        page.wait("document.querySelector('.empty')")
        press(page, "?")
        page.wait("document.querySelector('dialog[open]')")

    def test_a_long_one_is_loaded_as_one_scrolls(self, box: Inbox, browser: Browser) -> None:
        for number in range(150):
            box.store.add(b"From: a@example.com\r\nSubject: %d\r\n\r\n" % number, Facts())
        browser.open(box.web_url)
        browser.wait(f"{ROWS} === 60")
        browser.run("const list = document.querySelector('.list'); list.scrollTop = list.scrollHeight")
        browser.wait(f"{ROWS} >= 120")
        assert subjects(browser)[:3] == ["149", "148", "147"] and len(set(subjects(browser))) == len(subjects(browser))

    def test_all_are_deleted_after_a_question(self, page: Browser, box: Inbox) -> None:
        page.run("document.querySelector('#read-all').click()")
        page.wait("document.querySelectorAll('.row.unread').length === 0")
        page.run("document.querySelector('#delete-all').click()")
        assert box.store.totals().messages == 6
        page.run("document.querySelector('dialog .button.danger').click()")
        page.wait(f"{ROWS} === 0")
        assert box.store.totals().messages == 0


class TestAMessage:
    def test_each_view_of_it(self, page: Browser, box: Inbox) -> None:
        id = box.search("subject:welcome")[0].id
        page.show(id)
        views = {
            "text": "Your code is 482913", "checks": "List-Unsubscribe-Post", "links": "unsubscribe",
            "headers": "Message-Id", "parts": "multipart/", "source": "Content-Type:",
        }  # fmt: skip
        for tab, words in views.items():
            page.show(id, tab)
            page.wait("document.querySelector('#pane').textContent.includes(given[0])", words)
        page.show(id)
        page.run("document.querySelector('[aria-label=\"Phone width\"]').click()")
        assert page.wait("document.querySelector('iframe').getBoundingClientRect().width") <= 390

    def test_attachments_are_seen_before_they_are_saved(self, page: Browser, box: Inbox) -> None:
        page.show(box.search("has:attachment")[0].id, "text")
        page.run("document.querySelectorAll('.file')[0].click()")
        page.wait("document.querySelector('dialog pre')?.textContent.startsWith('month,sold')")
        page.run("document.querySelector('#dialog').close(); document.querySelectorAll('.file')[1].click()")
        assert page.wait("document.querySelector('dialog img')?.naturalWidth") == 320

    def test_a_fault_is_ordered(self, page: Browser, box: Inbox) -> None:
        page.run("document.querySelector('#faults').click()")
        page.wait("document.querySelector('dialog select')")
        page.run(
            "document.querySelector('dialog select').value = 'busy';"
            "document.querySelector('dialog .button.main').click()"
        )
        page.wait("document.querySelector('dialog .items')")
        with SMTPSession.from_url(box.url, retry=RetryPolicy(backoff=0, jitter=0)) as session:
            assert session.send(letters()[0]).attempts == 2

    def test_mail_that_comes_while_the_list_is_read_is_not_lost(self, page: Browser, box: Inbox) -> None:
        page.run("""
            const real = window.fetch;
            window.held = new Promise(go => { window.go = go; });
            window.fetch = async (...given) => {
                const answer = await real(...given);
                if (String(given[0]).includes('messages?')) { window.waits = true; await window.held; }
                return answer;
            };
        """)
        box.store.set_read(True)
        page.wait("window.waits")
        box.store.add(b"Subject: meanwhile\r\n\r\n", Facts())
        page.wait(f"{ROWS} === 7")
        page.run("window.go()")
        page.wait("document.querySelectorAll('.row.unread').length === 1")
        assert subjects(page)[0] == "meanwhile"


def test_what_is_dropped_is_told(box: Inbox, browser: Browser) -> None:
    box.store.max_messages = 2
    for _ in range(5):
        box.store.add(b"Subject: x\r\n\r\n", Facts())
    browser.open(box.web_url)
    browser.wait("document.querySelector('#note').textContent.startsWith('3 older messages deleted to make room')")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_it_is_accessible_and_what_the_docs_show(page: Browser, box: Inbox, look: str, tmp_path: Path) -> None:
    """axe-core finds nothing to object to; the pictures are put into docs/assets/inbox when PICTURES is set."""
    id = box.search("subject:welcome")[0].id
    page.run("document.documentElement.dataset.theme = arguments[0]", "dark" if look == "dark" else "light")
    page.show(id)
    folder = PICTURES if os.environ.get("PICTURES") else tmp_path
    folder.mkdir(exist_ok=True, parents=True)
    size = {"width": 1280, "height": 800}
    if look == "phone":
        size = {"width": 390, "height": 780, "scale": 2, "is_phone": True}
    page.picture(folder / f"{look}.webp", **size)  # type: ignore[arg-type]
    assert (folder / f"{look}.webp").stat().st_size < 80_000
    if not AXE.is_file():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("axe-core is not installed")
    for state in ("", "document.querySelector('#help').click()", "document.querySelector('#tab-checks').click()"):
        page.run(f"document.querySelector('#dialog').close(); {state}")
        faults = page.judge(AXE)
        assert faults == []
