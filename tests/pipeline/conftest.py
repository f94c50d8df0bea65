"""Hypothesis for the tests of the pipeline."""

from tests.support.properties import use_profile

use_profile()
