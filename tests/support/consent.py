"""Callables for ``TRACKING_CONSENT``."""


def yes(request):
    return True


def not_asked(request):
    return None


def no(request):
    return False


def odd(request):
    return "perhaps"


def failing(request):
    raise RuntimeError("the consent platform is away")


async def asynchronous(request):
    """Not supported: its answer would have to be awaited."""
