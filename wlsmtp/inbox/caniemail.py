"""A table of the HTML and CSS that mail programs do not support, made from the data of caniemail.com.

The data are those of 29 June 2026 (https://github.com/hteumeuleu/caniemail, commit 6b086a3), under the licence below.
"""

# MIT License
#
# Copyright (c) 2019 Rémi Parmentier
#
# Permission is hereby granted, free of charge, to any person obtaining a copy
# of this software and associated documentation files (the "Software"), to deal
# in the Software without restriction, including without limitation the rights
# to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
# copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all
# copies or substantial portions of the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
# IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
# FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
# AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
# LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
# OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
# SOFTWARE.

from __future__ import annotations

CLIENTS = {
    "G": "Gmail",
    "O": "Outlook on Windows",
    "C": "Outlook.com",
    "A": "Apple Mail",
    "Y": "Yahoo",
    "S": "Samsung Email",
    "T": "Thunderbird",
    "X": "GMX",
    "P": "Proton Mail",
}

UNKNOWN: dict[str, str] = {
    "align-items:": "GOY",
    "animation:": "GOCYTP",
    "aspect-ratio:": "GOCYST",
    "backdrop-filter:": "GOCYX",
    "background-blend-mode:": "OY",
    "background-clip:": "OY",
    "background-image:": "O",
    "background-position:": "O",
    "background-size:": "O",
    "border-image:": "GOCY",
    "border-radius:": "O",
    "box-shadow:": "OY",
    "box-sizing:": "OY",
    "clip-path:": "GOCY",
    "column-count:": "OY",
    "filter:": "GOCY",
    "float:": "O",
    "gap:": "OYX",
    "hyphens:": "GOCY",
    "inset:": "GOCYSX",
    "justify-content:": "GOY",
    "mask-image:": "GOCYX",
    "max-height:": "O",
    "min-width:": "O",
    "mix-blend-mode:": "OY",
    "object-fit:": "OY",
    "opacity:": "O",
    "outline:": "O",
    "overflow:": "O",
    "position:": "GO",
    "text-overflow:": "OYS",
    "text-shadow:": "GOC",
    "transform:": "GOCY",
    "transition:": "GOC",
    "visibility:": "GO",
    "white-space:": "OS",
    "word-break:": "Y",
    "writing-mode:": "OY",
    "z-index:": "GO",
    "flex-direction:": "GOY",
    "flex-wrap:": "GOY",
    "list-style-image:": "GOCY",
    "display:flex": "O",
    "display:grid": "O",
    "grid-template": "GOCYX",
    "@font-face": "GCY",
    "@import": "GCYST",
    "@keyframes": "GOCP",
    "@media": "OT",
    "@supports": "GOCT",
    "prefers-color-scheme": "GOYTP",
    "clamp(": "OCY",
    "calc(": "OCY",
    "min(": "OCY",
    "max(": "OCY",
    "linear-gradient(": "OCY",
    "radial-gradient(": "OCY",
    "rgba(": "O",
    "var(": "GOCY",
    ":hover": "O",
    ":has(": "GOCYT",
    ":not(": "GOCY",
    ":nth-child(": "GOCY",
    "::before": "GOY",
    "::after": "GOY",
    "<audio>": "GOCYXP",
    "<button>": "OC",
    "<dialog>": "OCY",
    "<form>": "OP",
    "<input>": "OSP",
    "<link>": "GCYSTP",
    "<object>": "GOCYP",
    "<picture>": "GOCYP",
    "<select>": "O",
    "<svg>": "GOCY",
    "<textarea>": "OS",
    "<video>": "GOCYP",
    "srcset=": "GOCYP",
    "image/webp": "O",
    "image/avif": "OX",
    "data:image": "G",
}
"""A feature, as it is written, and the clients none of whose apps supports it. ``name:`` is a property, ``<name>`` an
element, ``name=`` an attribute, and the rest stands anywhere in a style."""
