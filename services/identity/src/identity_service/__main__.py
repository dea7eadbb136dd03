"""Run identity's commands: ``python -m identity_service``."""

import gc


def main() -> None:
    """Run the command that the arguments name.

    Modules are never freed, so Python's garbage collector leaves them out: while they
    are imported, where it took a sixth of the time of a start, and later. `cli` enables
    it again, when it has imported the command.
    """
    gc.disable()
    from identity_service.cli import main as run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    main()
