"""Serve resources, or check the service's dependencies."""

from service_kit.imports import uncollected

with uncollected():
    from content_service.app import create_app
    from content_service.settings import Settings
    from service_kit.service import run_service


def main() -> None:
    """Run the command that the arguments name."""
    run_service("content", Settings, create_app)


if __name__ == "__main__":
    main()
