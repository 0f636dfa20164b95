"""A message of the outbox, for the admin site: it has permissions and a place in the index, and no table."""

from __future__ import annotations

from typing import Any

from django.db import models


class _Nothing(models.Manager["OutboxMessage"]):
    """Finds nothing, and asks no database: the messages are in the outbox of a session."""

    def get_queryset(self) -> Any:
        return super().get_queryset().none()


class OutboxMessage(models.Model):
    """A message in an outbox. Viewing requires the permission ``wlsmtp.view_outboxmessage``; retrying and cancelling
    require ``wlsmtp.change_outboxmessage``."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=255)
    objects = _Nothing()

    class Meta:
        managed = False
        app_label = "wlsmtp"
        default_permissions = ("view", "change")
        base_manager_name = default_manager_name = "objects"
        verbose_name = "message in the outbox"
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return str(self.id)
