"""What rooms above ``io`` need of threads: values that each thread has for itself, and a lock."""

from __future__ import annotations

from threading import Lock, local

ThreadLocal = local

__all__ = ["Lock", "ThreadLocal"]
