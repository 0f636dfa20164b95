"""Mails that attack who reads them. ``TRACKER`` is an address that must never be asked, ``RUN`` a script that must
never run: it marks the document that it runs in, tells the page around it, and asks the tracker."""

from __future__ import annotations

from tests.inbox import hostile_html
from tests.inbox.hostile_mime import structures

TRACKER = "http://127.0.0.1:0"
RUN = (
    "document.documentElement.setAttribute(`data-ran`,1);top.postMessage(`ran`,`*`);"
    "document.createElement(`img`).src=`http://127.0.0.1:0/ran`"
)

HTML: dict[str, str] = {
    "script": "<script>RUN</script>",
    "script from elsewhere": "<script src=TRACKER/x.js></script>",
    "script in odd case": "<ScRiPt/x>RUN</sCrIpT >",
    "script that is not closed": "<p>a<script>RUN",
    "module": '<script type="module">RUN</script>',
    "image": "<img src=TRACKER/i.png>",
    "image without http": "<img src=//127.0.0.1:0/i.png>",
    "image with spaces": "<img src='\n\tht\ntp://127.0.0.1:0/i.png'>",
    "image that fails": "<img src=x onerror=\"RUN\">",
    "image with a set": '<img srcset="TRACKER/1.png 1x, TRACKER/2.png 2x">',
    "picture": '<picture><source srcset="TRACKER/p.webp"><img src=x></picture>',
    "attribute behind a slash": "<img/src=x/onerror=RUN>",
    "attribute twice": "<img src=data:, src=TRACKER onerror=RUN>",
    "quote that is not closed": "<img alt=\"<img src=x onerror=RUN>\"><img title='a> <img src=x onerror=RUN>",
    "svg": "<svg onload=\"RUN\"></svg>",
    "svg image": "<svg><image href=TRACKER/s.png width=9 height=9 /></svg>",
    "svg script": "<svg><script>RUN</script></svg>",
    "svg use": "<svg><use href='TRACKER/u.svg#a'/></svg>",
    "svg animation": "<svg><a><animate attributeName=href values=javascript:RUN /><text y=20>x</text></a></svg>",
    "math": "<math><mtext></p><img src=x onerror=RUN></mtext></math>",
    "mutation by namespaces": "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=x "
    "onerror=RUN&gt;\"></style></mglyph></table></mtext></math>",
    "mutation by noscript": "<noscript><p title=\"</noscript><img src=x onerror=RUN>\"></noscript>",
    "mutation by template": "<template><style></template><img src=x onerror=RUN></style></template>",
    "mutation by comment": "<!--><img src=x onerror=RUN>--><!-- --!><img src=x onerror=RUN> -->",
    "mutation by form": "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=RUN>",
    "raw text": "<textarea><img title=\"</textarea><img src=x onerror=RUN>\"></textarea><xmp></xmp><img src=x onerror=RUN>",
    "title": "<title><a title=\"</title><img src=x onerror=RUN>\"></title>",
    "style that ends": "<style>a{content:'</style><img src=x onerror=RUN>'}</style>",
    "refresh": '<meta http-equiv="refresh" content="0;url=TRACKER/refresh">',
    "refresh to a script": '<meta http-equiv="refresh" content="0;url=javascript:RUN">',
    "policy of its own": "<meta http-equiv=\"Content-Security-Policy\" content=\"img-src *\"><img src=TRACKER/m.png>",
    "base": "<base href=TRACKER/><img src=b.png>",
    "preconnect": "<link rel=preconnect href=TRACKER>",
    "prefetch": "<link rel=prefetch href=TRACKER/f><link rel=preload as=image href=TRACKER/l.png>",
    "style sheet": "<link rel=stylesheet href=TRACKER/c.css>",
    "icon": "<link rel=icon href=TRACKER/favicon.ico>",
    "import": "<style>@import 'TRACKER/i.css';@import url(TRACKER/j.css);</style>",
    "background": "<div style=\"height:9px;background:url(TRACKER/b.png)\">x</div><table background=TRACKER/t.png><td>x</table>",
    "background with escapes": "<div style=\"height:9px;background:u\\72l(TRACKER/b2.png)\">x</div>",
    "font": "<style>@font-face{font-family:f;src:url(TRACKER/f.woff)}p{font-family:f}</style><p>text",
    "image set": "<style>p{background:image-set('TRACKER/set.png' 1x)}</style><p>text",
    "list image": "<ul style=\"list-style-image:url(TRACKER/l.png)\"><li>x</ul>",
    "cursor and content": "<style>p::after{content:url(TRACKER/c.png)}</style><p>x",
    "frame": "<iframe src=TRACKER/frame></iframe>",
    "frame of its own": "<iframe srcdoc=\"<script>RUN</script><img src=TRACKER/d.png>\"></iframe>",
    "frame with a script address": "<iframe src=\"javascript:RUN\"></iframe>",
    "object": "<object data=TRACKER/o></object><embed src=TRACKER/e>",
    "object with data": "<object data=\"data:text/html,<script>new Image().src='TRACKER/od'</script>\"></object>",
    "video": "<video src=TRACKER/v.mp4 poster=TRACKER/v.png autoplay></video><audio src=TRACKER/a.mp3 autoplay></audio>",
    "form": "<form action=TRACKER/form method=post id=f><input name=a autofocus onfocus=RUN><button form=f>x</button></form>",
    "details": "<details open ontoggle=RUN><summary>x</summary></details>",
    "body": "<body onload=RUN background=TRACKER/body.png><p onclick=RUN>x</body>",
    "animation event": "<style>@keyframes k{}</style><p style=animation:k onanimationstart=RUN>x",
    "frameset": "</body><frameset onload=RUN><frame src=TRACKER/fs></frameset>",
    "link with a script address": "<a id=click href=\"java\tscript:RUN\">x</a><a href=data:text/html,x>x</a>",
    "link to the top": "<a id=click target=_top href=TRACKER/top>x</a>",
    "link here": "<a id=click target=_self href=TRACKER/self>x</a>",
    "ping": "<a id=click href=#x ping=TRACKER/ping>x</a>",
    "manifest and worker": "<link rel=manifest href=TRACKER/m.json><script>navigator.serviceWorker.register('x.js');RUN</script>",
    "speculation rules": '<script type="speculationrules">{"prefetch":[{"source":"list","urls":["TRACKER/sp"]}]}</script>',
    "portal and import map": "<portal src=TRACKER/p></portal><script type=importmap>{}</script><script>RUN</script>",
    "shadow root": "<div><template shadowrootmode=open><img src=TRACKER/sh.png><img src=x onerror=RUN></template></div>",
    "deeply nested": "<div>" * 3000 + "<img src=TRACKER/deep.png onerror=RUN>",
    "many attributes": "<img " + " ".join(f"a{n}=1" for n in range(5000)) + " src=TRACKER/attributes.png>",
    "null and controls": "<im\0g src=TRACKER/n.png><img src\0=x o\0nerror=RUN><img src=TRACKER/n2.png>",
    "entities": "<img src=&#104;ttp:&#47;&#x2f;127.0.0.1:0/e.png><a id=click href=&#106;avascript:RUN>x</a>",
    **hostile_html.MUTATIONS, **hostile_html.HANDLERS, **hostile_html.GRAPHICS, **hostile_html.STYLES, **hostile_html.FETCHES,
}  # fmt: skip

INERT = frozenset({
    "attribute behind a slash", "attribution", "dns-prefetch", "download", "form that needs no click",
    "frame with a script address", "handler of a marquee", "handler of focus", "icon", "lazy image",
    "link by vbscript", "link here", "link to a view of the inbox", "link to data", "link to the top",
    "link with a script address", "link with an opener", "link with letters between", "map of links", "math link",
    "mutation by backquotes", "mutation by depth", "mutation by end tags with attributes", "mutation by form",
    "mutation by instructions", "mutation by namespaces", "mutation by plaintext", "mutation by select",
    "mutation by select and frame", "mutation by tables", "mutation by template", "ping", "preconnect", "print",
    "quote that is not closed", "refresh to a script", "script that is not closed", "speculation rules",
    "style that is cut", "svg animation", "svg link", "svg use of data",
})  # fmt: skip
"""Those that need a click or a printer, open no more than a connection, or were made against filters and older browsers."""

MARKUP = '<img src=TRACKER/header.png onerror="RUN"><script>RUN</script>'


def with_tracker(text: str, tracker: str) -> str:
    """The text with real addresses in it."""
    return text.replace("RUN", RUN).replace("TRACKER", TRACKER).replace("127.0.0.1:0", tracker)


def hostile_mails(tracker: str) -> dict[str, bytes]:
    """All of them, as octets, by name. Each asks for a path of its own: its number comes first."""
    mails: dict[str, bytes] = {}
    for number, (name, page) in enumerate(HTML.items()):
        body = with_tracker(page, f"{tracker}/{number}")
        mails[name] = (
            f"From: eve@example.net\r\nTo: bob@example.org\r\nSubject: {name}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}\r\n"
        ).encode()
    markup = with_tracker(MARKUP, tracker)
    mails["headers with markup"] = (
        f'From: "{markup.replace(chr(34), chr(39))}" <eve@example.net>\r\nTo: {markup}\r\nSubject: {markup}\r\nX-Tag: {markup}\r\n'
        f"Message-ID: {markup}\r\nDate: {markup}\r\nX-{'A' * 60}: {markup}\r\n"
        f"List-Unsubscribe: <javascript:alert(1)>, {markup}\r\n"
        f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{markup}\r\n--b\r\nContent-Type: image/png; "
        f'name="{markup.replace(chr(34), chr(39))}"\r\nContent-Disposition: attachment; filename="{markup.replace(chr(34), chr(39))}"\r\n\r\n'
        f"{markup}\r\n--b--\r\n"
    ).encode()
    mails["text with markup"] = f"Subject: text\r\n\r\n{markup}\r\n{markup}\r\n".encode()
    mails["inline html"] = (
        "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:a><iframe src=cid:a>"
        f"</iframe><object data=cid:a>\r\n--b\r\nContent-Type: text/html\r\nContent-ID: <a>\r\n\r\n{markup}\r\n--b\r\n"
        f"Content-Type: image/svg+xml\r\nContent-ID: <b>\r\n\r\n<svg xmlns='http://www.w3.org/2000/svg' onload=\"x\"/>\r\n--b--\r\n"
    ).encode()
    return mails | structures(markup, with_tracker("RUN", tracker), tracker)
