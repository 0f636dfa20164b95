"""The description of the API in OpenAPI 3.1."""

from __future__ import annotations

import re
from typing import Any

from wlsmtp import __version__

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_ADDRESS: Schema = {"type": "object", "properties": {"Name": _TEXT, "Address": _TEXT}, "required": ["Name", "Address"]}
_ADDRESSES: Schema = {"type": "array", "items": _ADDRESS}
_TEXTS: Schema = {"type": "array", "items": _TEXT}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


_BOXES = {"To": _ADDRESSES, "Cc": _ADDRESSES, "Bcc": _ADDRESSES, "ReplyTo": _ADDRESSES}
_HEAD = {"ID": _TEXT, "MessageID": _TEXT, "From": _ADDRESS, "Subject": _TEXT, "Tags": _TEXTS, "Size": _NUMBER} | _BOXES
_ATTACHMENT = _object(
    PartID=_TEXT, FileName=_TEXT, ContentType=_TEXT, ContentID=_TEXT, Size=_NUMBER, Checksums=_object()
)
_FILES: Schema = {"type": "array", "items": _ATTACHMENT}
_IDS = _object(IDs=_TEXTS)
_TRIGGER = _object(ErrorCode={"type": "integer", "minimum": 400, "maximum": 599},
                   Probability={"type": "integer", "minimum": 0, "maximum": 100})  # fmt: skip
SCHEMAS: dict[str, Schema] = {
    "Item": _object(**_HEAD, Read={"type": "boolean"}, Created=_TEXT, Snippet=_TEXT, Attachments=_NUMBER),
    "Message": _object(**_HEAD, ReturnPath=_TEXT, Date=_TEXT, Text=_TEXT, HTML=_TEXT, Attachments=_FILES,
                       Inline=_FILES),
    "Listing": _object(total=_NUMBER, unread=_NUMBER, dropped=_NUMBER, count=_NUMBER, messages_count=_NUMBER,
                       messages_unread=_NUMBER, start=_NUMBER, tags=_TEXTS,
                       messages={"type": "array", "items": {"$ref": "#/components/schemas/Item"}}),
    "Chaos": _object(Sender=_TRIGGER, Recipient=_TRIGGER, Authentication=_TRIGGER),
    "Fault": _object(Kind=_TEXT, Times={"type": ["integer", "null"]}, Seconds={"type": "number"}),
    "Error": _object(Error=_TEXT),
}  # fmt: skip

_PATHS: list[tuple[str, str, str, str, Schema | None]] = [
    # method, path, summary, answer (a schema, or a media type), body
    ("get", "/api/v1/info", "How much there is, and the limits", "application/json", None),
    ("get", "/api/v1/webui", "The settings that the page needs", "application/json", None),
    ("get", "/api/v1/messages", "Messages, newest first", "Listing", None),
    ("put", "/api/v1/messages", "Mark messages as read or unread", "text/plain",
     _object(IDs=_TEXTS, Search=_TEXT, Read={"type": "boolean"})),
    ("delete", "/api/v1/messages", "Delete messages: those with these ids, or all", "text/plain", _IDS),
    ("get", "/api/v1/search", "Messages that a search finds, newest first", "Listing", None),
    ("delete", "/api/v1/search", "Delete the messages that a search finds", "text/plain", None),
    ("get", "/api/v1/events", "Server-sent events: message, changed", "text/event-stream", None),
    ("get", "/api/v1/message/{id}", "A message; with the token, it is then read", "Message", None),
    ("get", "/api/v1/message/{id}/headers", "All header fields, by name", "application/json", None),
    ("get", "/api/v1/message/{id}/details", "The envelope, the parts, links and codes", "application/json", None),
    ("get", "/api/v1/message/{id}/checks", "Remarks on the message", "application/json", None),
    ("get", "/api/v1/message/{id}/html-check", "What clients do not know of the HTML", "application/json", None),
    ("get", "/api/v1/message/{id}/link-check", "The links, none of which is followed", "application/json", None),
    ("get", "/api/v1/message/{id}/sa-check", "What a spam filter on this machine says", "application/json", None),
    ("get", "/api/v1/message/{id}/raw", "The message, octet by octet", "text/plain", None),
    ("get", "/api/v1/message/{id}/part/{part}", "An attachment", "application/octet-stream", None),
    ("get", "/api/v1/message/{id}/part/{part}/thumb", "An attachment", "application/octet-stream", None),
    ("post", "/api/v1/message/{id}/release", "Send a message on by the configured server, to these addresses only",
     "text/plain", _object(To=_TEXTS)),
    ("post", "/api/v1/send", "Put a message into the inbox", "application/json",
     _object(From=_object(Email=_TEXT, Name=_TEXT), To={"type": "array", "items": _object(Email=_TEXT, Name=_TEXT)},
             Subject=_TEXT, Text=_TEXT, HTML=_TEXT, Tags=_TEXTS)),
    ("get", "/api/v1/tags", "All tags", "application/json", None),
    ("put", "/api/v1/tags", "Give messages these tags, and no others", "text/plain", _object(IDs=_TEXTS, Tags=_TEXTS)),
    ("put", "/api/v1/tags/{tag}", "Give a tag another name", "text/plain", _object(Name=_TEXT)),
    ("delete", "/api/v1/tags/{tag}", "Remove a tag from all messages", "text/plain", None),
    ("get", "/api/v1/chaos", "The chances of random faults", "Chaos", None),
    ("put", "/api/v1/chaos", "Set them; those left out are off", "Chaos", {"$ref": "#/components/schemas/Chaos"}),
    ("get", "/api/v1/faults", "The faults that were ordered, and those there are", "application/json", None),
    ("post", "/api/v1/faults", "Make the next messages fail", "application/json",
     {"$ref": "#/components/schemas/Fault"}),
    ("delete", "/api/v1/faults", "Cancel all faults", "application/json", None),
    ("get", "/api/v1/openapi.json", "This document", "application/json", None),
    ("get", "/view/{id}.html", "The HTML of a message, harmless", "text/html", None),
    ("get", "/view/{id}.txt", "The text of a message", "text/plain", None),
]  # fmt: skip
_LISTS = {"query": _TEXT, "tz": _TEXT, "start": _NUMBER, "limit": _NUMBER}
_QUERIES = {
    ("get", "/api/v1/messages"): {"start": _NUMBER, "limit": _NUMBER},
    ("get", "/api/v1/search"): _LISTS,
    ("delete", "/api/v1/search"): {"query": _TEXT, "tz": _TEXT},
}


def document() -> Schema:
    """The whole of it."""
    paths: dict[str, Schema] = {}
    for method, path, summary, answer, body in _PATHS:
        paths.setdefault(path, {})[method] = _operation(method, path, summary, answer, body)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wlsmtp inbox",
            "version": __version__,
            "description": "The paths are those of Mailpit's API.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Inbox-Token"},
                "basic": {"type": "http", "scheme": "basic", "description": "The password is the token."},
            },
        },
    }


def _operation(method: str, path: str, summary: str, answer: str, body: Schema | None) -> Schema:
    content = (
        {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
        if answer in SCHEMAS
        else {answer: {}}
    )
    failure = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    named = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)]
    asked = [{"name": name, "in": "query", "schema": kind} for name, kind in _QUERIES.get((method, path), {}).items()]
    operation: Schema = {
        "operationId": re.sub(r"\W+", "_", f"{method}{path}").strip("_"),
        "summary": summary,
        "responses": {
            "200": {"description": "Done", "content": content},
            "4XX": {"description": "Not done", "content": failure},
        },
    }
    if named or asked:
        operation["parameters"] = named + asked
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    if method != "get":
        operation["security"] = [{"token": []}, {"basic": []}]
    return operation
