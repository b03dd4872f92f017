"""Dashboard: `python -m services.dashboard` serves the API and the page."""

from services.dashboard.config import DashboardSettings
from shared.runtime.access import log_open_access, require_secrets
from shared.runtime.config.documents import load_documents
from shared.runtime.service import configure_part, exit_on_invalid_config
from shared.runtime.web.app import run_gunicorn
from shared.runtime.web.tls import tls_files


def main() -> None:
    """Serve the dashboard."""
    settings = configure_part("dashboard", DashboardSettings)
    with exit_on_invalid_config("dashboard"):
        load_documents(settings.botwatch_config)
        require_secrets(settings)
        tls = tls_files(settings)
    log_open_access(settings, settings.bind_host)
    run_gunicorn("services.dashboard.wsgi:app()", settings, settings.dashboard_port, tls)


if __name__ == "__main__":
    main()
