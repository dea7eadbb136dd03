"""Run identity's commands: ``python -m identity_service``."""

from service_kit.imports import uncollected

with uncollected():
    from identity_service.cli import main

if __name__ == "__main__":
    main()
