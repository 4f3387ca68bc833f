"""Products, offers, affiliates and subscribers of the example shop."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from shop.models import Affiliate, Offer, Product, Subscriber

SUBSCRIBERS = Path(__file__).parent / "data" / "subscribers.csv"

#: How many subscribers have the same first name: those of the file, and their namesakes.
FAMILIES = 5

AFFILIATES = {
    "leaf-letter": "Leaf Letter",
    "kettle-talk": "Kettle Talk",
    "slow-sips": "Slow Sips",
}

PRODUCTS = {
    "first-flush-darjeeling": (
        "First Flush Darjeeling",
        "24.90",
        "Floral, bright, some apricot.",
    ),
    "genmaicha": ("Genmaicha", "9.80", "Green tea and roasted rice."),
    "lapsang-souchong": ("Lapsang Souchong", "14.50", "Dried over pinewood. Divisive."),
    "mountain-mint": ("Mountain Mint", "6.20", "Nothing but mint, from 1,400 metres."),
}

OFFERS = {"spring-20": ("first-flush-darjeeling", 20), "smoke-10": ("lapsang-souchong", 10)}


def load() -> None:
    """Create the sample data, with the subscribers of the CSV file. Safe to run again."""
    for slug, name in AFFILIATES.items():
        Affiliate.objects.update_or_create(slug=slug, defaults={"name": name})
    for slug, (name, price, description) in PRODUCTS.items():
        defaults = {"name": name, "price": Decimal(price), "description": description}
        Product.objects.update_or_create(slug=slug, defaults=defaults)
    for code, (product, percent) in OFFERS.items():
        defaults = {"product": Product.objects.get(slug=product), "percent": percent}
        Offer.objects.update_or_create(code=code, defaults=defaults)
    affiliates = {affiliate.slug: affiliate for affiliate in Affiliate.objects.all()}
    Subscriber.objects.bulk_create(
        (
            Subscriber(
                # The same in each database, so that the same reader does the same.
                id=uuid5(NAMESPACE_URL, f"mailto:{person.email}"),
                email=person.email,
                name=person.name,
                affiliate=affiliates[person.affiliate],
            )
            for person in people()
        ),
        ignore_conflicts=True,
    )


class Person(NamedTuple):
    """A subscriber: address, name, and the slug of an affiliate."""

    email: str
    name: str
    affiliate: str


def people() -> Iterator[Person]:
    """Yield the people of the CSV file, and others who have a first and a last name of two."""
    with SUBSCRIBERS.open(newline="", encoding="utf-8") as file:
        known = [Person(**row) for row in csv.DictReader(file)]
    yield from known
    for step in range(1, FAMILIES):
        for number, person in enumerate(known):
            other = known[(number + 7 * step) % len(known)]
            name = f"{person.name.split()[0]} {other.name.split()[-1]}"
            first, last = person.email.split(".")[0], other.email.partition("@")[0].split(".")[-1]
            yield Person(f"{first}.{last}@mail.example", name, other.affiliate)
