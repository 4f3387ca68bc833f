"""Products, offers, affiliates and subscribers of the example shop."""

import csv
from decimal import Decimal
from pathlib import Path

from shop.models import Affiliate, Offer, Product, Subscriber

SUBSCRIBERS = Path(__file__).parent / "data" / "subscribers.csv"

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
    with SUBSCRIBERS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            defaults = {"name": row["name"], "affiliate": affiliates[row["affiliate"]]}
            Subscriber.objects.update_or_create(email=row["email"], defaults=defaults)
