import pytest

from tests.support import services
from tests.support.mail_providers import PROVIDERS, SECRET

#: What a warning of anymail says about a provider that it no longer tests.
pytestmark = pytest.mark.filterwarnings("ignore:django-anymail has dropped official support")


@pytest.fixture(autouse=True)
def anymail(settings, request):
    """Receive events of all providers."""
    for name in ("anymail", "boto3", "svix"):
        try:
            __import__(name)
        except ImportError:
            services.missing(name)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "anymail", "tracking.contrib.anymail"]
    settings.ROOT_URLCONF = "tests.support.urls_with_anymail"
    settings.TRACKING_BASE_URL = "https://mail.example"
    settings.ANYMAIL = {
        "WEBHOOK_SECRET": SECRET,
        **{name: value for one in PROVIDERS for name, value in one.settings.items()},
    }
