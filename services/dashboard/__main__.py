"""Dashboard: `python -m services.dashboard` serves the API and the page."""

from services.dashboard.config import DashboardSettings
from shared.runtime.documents import load_documents
from shared.runtime.service import refusing, start
from shared.runtime.web import serve


def main() -> None:
    """Become gunicorn with the dashboard."""
    settings = start("dashboard", DashboardSettings)
    with refusing("dashboard"):
        load_documents(settings.botwatch_config)
    serve("services.dashboard.wsgi:app()", settings, settings.dashboard_port)


if __name__ == "__main__":
    main()
