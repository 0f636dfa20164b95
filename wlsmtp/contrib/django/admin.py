"""A page of the admin site for the outbox: its messages and their results, retry and cancel.

It shows the outboxes of the mailers that have one. The site's database has nothing of it but the log of the admin site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import reverse

from wlsmtp.contrib.django.apps import backends
from wlsmtp.contrib.django.models import OutboxMessage
from wlsmtp.errors import NotInOutbox, SMTPError
from wlsmtp.receipt import Receipt, Status
from wlsmtp.session import SMTPSession
from wlsmtp.settings.config import Mode

ON_A_PAGE = 100
_TRAIL = """
{% extends "admin/base_site.html" %}
{% block breadcrumbs %}<div class="breadcrumbs"><a href="{% url "admin:index" %}">Home</a> &rsaquo;
{% if receipt %}<a href="{{ list_url }}">Outbox</a> &rsaquo; {{ receipt.id }}{% else %}Outbox{% endif %}</div>
{% endblock %}"""
_LIST = """
{% block content %}<div id="content-main">
{% for outbox in outboxes %}
<h2>{{ outbox.alias }}</h2>
{% if outbox.error %}<p class="errornote">{{ outbox.error }}</p>{% else %}
<p>{% for name, count in outbox.counts %}{{ count }} {{ name }}{% if not forloop.last %}, {% endif %}{% endfor %}</p>
<table id="result_list"><thead><tr><th>Id</th><th>Status</th><th>Recipients</th><th>Tries</th><th>Next try</th>
<th>Error</th></tr></thead><tbody>
{% for receipt in outbox.receipts %}<tr>
<th><a href="{% url "admin:wlsmtp_outboxmessage_change" receipt.id %}">{{ receipt.id }}</a></th>
<td>{{ receipt.status }}</td><td>{% for to in receipt.recipients|slice:":3" %}{{ to.address }} {% endfor %}
{% if receipt.recipients|length > 3 %}…{% endif %}</td>
<td>{{ receipt.attempts }}</td><td>{{ receipt.next_attempt|default_if_none:"" }}</td>
<td>{{ receipt.error|default_if_none:""|truncatechars:200 }}</td></tr>{% endfor %}
</tbody></table>{% endif %}
{% empty %}<p>No mailer has an outbox: <code>"outbox": "sqlite:////var/lib/site/outbox.db"</code></p>{% endfor %}
<p class="paginator"><a href="?">all</a>
{% for status in statuses %}| <a href="?status={{ status }}">{{ status }}</a> {% endfor %}
{% if page %}| <a href="?status={{ chosen }}&amp;p={{ page|add:"-1" }}">earlier</a>{% endif %}
{% if has_more %}| <a href="?status={{ chosen }}&amp;p={{ page|add:"1" }}">later</a>{% endif %}</p>
</div>{% endblock %}"""
_DETAIL = """
{% block content %}<div id="content-main"><table>
{% for name, value in facts %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table>
<table><thead><tr><th>Recipient</th><th>Status</th><th>The server said</th></tr></thead><tbody>
{% for to in receipt.recipients %}<tr><th>{{ to.address }}</th><td>{{ to.status }}</td>
<td>{{ to.reply|default_if_none:"" }}</td></tr>{% endfor %}</tbody></table>
{% if may_change %}<form method="post">{% csrf_token %}<div class="submit-row">
<input type="submit" name="retry" value="Try again now"><input type="submit" name="cancel" value="Cancel">
</div></form>{% endif %}</div>{% endblock %}"""


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[OutboxMessage]
else:
    ModelAdmin = admin.ModelAdmin  # Django's own has no parameter


@admin.register(OutboxMessage)
class OutboxAdmin(ModelAdmin):
    """The list, and a page for each message: for staff with the permission to view. The buttons are for those with the
    permission to change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: programs put mail into an outbox."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: OutboxMessage | None = None) -> bool:
        """Nobody: a finished message leaves the outbox by itself."""
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> OutboxMessage | None:
        """The message, for the history of what was done to it here; None when no outbox knows it."""
        return OutboxMessage(id=object_id) if _found(object_id) is not None else None

    def changelist_view(self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None) -> HttpResponse:
        """List the messages, the oldest first."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        chosen, page = request.GET.get("status", ""), request.GET.get("p", "")
        wanted = [Status(chosen)] if chosen in [*Status] else []
        start = ON_A_PAGE * int(page) if page.isdecimal() and len(page) < 7 else 0
        outboxes = [_outbox(alias, session, wanted, start) for alias, session in _sessions()]
        has_more = any(outbox.get("has_more") for outbox in outboxes)
        return self._page(
            request, _LIST, title="Outbox", outboxes=outboxes, chosen=chosen, statuses=[*Status],
            page=start // ON_A_PAGE, has_more=has_more,
        )  # fmt: skip

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """Show one message, and retry or cancel it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        found = _found(object_id)
        if found is None:
            raise Http404(f"No outbox has {object_id}")
        session, receipt = found
        if request.method == "POST":
            return self._change(request, session, receipt)
        names = (
            "status",
            "message_id",
            "attempts",
            "next_attempt",
            "interruptions",
            "reply",
            "queue_id",
            "tls",
            "error",
        )
        facts = [(name.replace("_", " "), getattr(receipt, name)) for name in names if getattr(receipt, name)]
        may_change = self.has_change_permission(request)
        return self._page(request, _DETAIL, title=receipt.id, receipt=receipt, facts=facts, may_change=may_change)

    def _change(self, request: HttpRequest, session: SMTPSession, receipt: Receipt) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        change, done = (session.cancel, "cancelled") if "cancel" in request.POST else (session.retry, "tried again")
        try:
            if change(receipt.id):
                self.log_change(request, OutboxMessage(id=receipt.id), done.capitalize())
                messages.success(request, f"{receipt.id} is {done}")
            else:
                messages.error(request, f"{receipt.id} cannot be {done}: it is on its way, or finished")
        except SMTPError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(
            reverse("admin:wlsmtp_outboxmessage_change", args=[receipt.id], current_app=self.admin_site.name)
        )

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name  # which of several
        list_url = reverse("admin:wlsmtp_outboxmessage_changelist", current_app=self.admin_site.name)
        page = engines["django"].from_string(_TRAIL.strip() + template)
        return HttpResponse(
            page.render({**self.admin_site.each_context(request), "list_url": list_url, **context}, request)
        )


def _sessions() -> Iterator[tuple[str, SMTPSession]]:
    """Those with an outbox."""
    for backend in backends():
        if backend.config.mode is Mode.ASYNC:
            yield backend.alias or "EMAIL_BACKEND", backend.session


def _found(id: str) -> tuple[SMTPSession, Receipt] | None:
    for _, session in _sessions():
        try:
            return session, session.receipt(id)
        except NotInOutbox:
            continue
    return None


def _outbox(alias: str, session: SMTPSession, wanted: list[Status], start: int) -> dict[str, Any]:
    try:
        counts, found = session.outbox_statistics(), session.receipts(*wanted)
        receipts = list(islice(found, start, start + ON_A_PAGE + 1))
        found.close()
    except SMTPError as error:
        return {"alias": alias, "error": str(error)}
    names = ("pending", "in_flight", "deferred", "sent", "partial", "error", "unknown", "unreadable")
    said = [(name.replace("_", " "), getattr(counts, name)) for name in names]
    return {"alias": alias, "counts": said, "receipts": receipts[:ON_A_PAGE], "has_more": len(receipts) > ON_A_PAGE}
