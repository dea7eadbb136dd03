"""Write the digests of common passwords that identity refuses.

From the lists in Django and zxcvbn, both development requirements: run it after either
was updated. Only what is long enough to pass the shortest minimum length is kept.
"""

import gzip
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from identity_service.security.common_passwords import DATA, digest

MIN_LENGTH: Final = 8
DJANGO_LIST: Final = "django/contrib/auth/common-passwords.txt.gz"


def main() -> None:
    """Write the file."""
    packed = Path(str(distribution("django").locate_file(DJANGO_LIST)))
    with gzip.open(packed, "rt") as lines:
        passwords = {line.strip() for line in lines}
    passwords.update(FREQUENCY_LISTS["passwords"])
    digests = {digest(word) for word in passwords if len(word) >= MIN_LENGTH}
    Path(str(DATA)).write_bytes(b"".join(sorted(digests)))
    print(f"{len(digests)} passwords")


if __name__ == "__main__":
    main()
