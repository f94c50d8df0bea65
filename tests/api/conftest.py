"""Hypothesis for the tests of the contract."""

from tests.support.properties import use_profile

use_profile()
