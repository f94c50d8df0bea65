"""How hypothesis runs here: everywhere alike, so that a failure in CI can be had on a desk."""

from hypothesis import HealthCheck, settings


def use_profile():
    """Moderate numbers, no database, no clock; the slow tests ask for more examples themselves."""
    settings.register_profile(
        "unit",
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile("unit")
