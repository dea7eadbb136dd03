"""Run identity's commands: ``python -m identity_service``."""

import gc


def main() -> None:
    """Run the command that the arguments name.

    What is imported stays for good. The collector would look at all of it over and
    over, which takes a sixth of the time of a start, and at all of it later, too.
    """
    gc.disable()
    from identity_service.cli import main as run  # noqa: PLC0415 - see above

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
