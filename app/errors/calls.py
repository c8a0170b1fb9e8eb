"""How a call came to the REST API, whatever it asks for."""

from __future__ import annotations

from app.errors.root import AutoloaderError


class CallRefused(AutoloaderError):
    code = "call-refused"
    status_code = 400


class MalformedCall(CallRefused):
    code = "malformed-call"


class NotAuthenticated(CallRefused):
    code = "not-authenticated"
    status_code = 401


class CrossSite(CallRefused):
    code = "cross-site"
    status_code = 403


class MethodNotAllowed(CallRefused):
    code = "method-not-allowed"
    status_code = 405


class CallTooLarge(CallRefused):
    code = "call-too-large"
    status_code = 413


class UnsupportedMediaType(CallRefused):
    code = "unsupported-media-type"
    status_code = 415


class WrongHost(CallRefused):
    code = "wrong-host"
    status_code = 421


class TooBusy(CallRefused):
    code = "too-busy"
    status_code = 429
    retryable = True
