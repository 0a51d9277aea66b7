"""What closes a source of evidence: a busy run command, a missing right, no boot diagnostics."""

from __future__ import annotations
