"""Write hits at once."""

import pytest

from tracking.backends import get_backend
from tracking.backends.immediate import ImmediateBackend
from tracking.hits import Hit, Kind
from tracking.models import Beacon


def hits(number):
    return [Hit(kind=Kind.OPEN) for _ in range(number)]


@pytest.mark.django_db
def test_the_default_writes_at_once():
    backend = get_backend()
    assert type(backend) is ImmediateBackend
    hit, *more = hits(3)
    backend.send(hit)
    assert Beacon.objects.get().pk == hit.id
    backend.send_many([hit, *more])
    assert Beacon.objects.count() == 3
