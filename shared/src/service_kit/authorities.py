"""How the certificates of servers are judged."""

import ssl
from os import PathLike

from service_kit.files import read_file


def client_context(authorities: str | PathLike[str] | None = None) -> ssl.SSLContext:
    """Return a context that verifies servers by a file's authorities.

    None: by those of the system. From Python 3.13 on these need all that RFC 5280,
    section 4.2.1, asks of them. Those that an operator names do not: MySQL makes
    itself one without key usage.

    Raises `OSError` or `ValueError`: the file cannot be used.
    """
    if authorities is not None:
        read_file(authorities)  # OpenSSL would wait for the end of a pipe or a device
    context = ssl.create_default_context(cafile=authorities)
    if authorities is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def authorities_fault(error: OSError | ValueError) -> str:
    """Return in words why `client_context` cannot use a file."""
    match error:
        case ssl.SSLError():
            return "it holds no certificate in PEM, or a broken one"
        case OSError(strerror=str(words)):
            return words
        case _:
            return "there can be no file of this name"
