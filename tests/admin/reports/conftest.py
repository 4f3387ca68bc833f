import pytest

from tests.site.models import Affiliate, Subscriber
from tests.support import mailings


@pytest.fixture
def affiliate():
    return Affiliate.objects.create(name="Leaf Letter")


@pytest.fixture
def readers():
    """Five of them; a user that may not see them sees their keys."""
    emails = ("anna", "ben", "cleo", "dora", "emil")
    return [Subscriber.objects.create(email=f"{name}@mail.example") for name in emails]


@pytest.fixture
def mailing(affiliate, readers):
    """Sent to five: one clicked, one opened, one by a proxy, one by a machine, one nothing."""
    return mailings.send(affiliate, readers)
