"""Seeds of the fuzzer, whole and damaged, break nothing; it goes on from there by itself."""

from contextlib import suppress

import pytest

from fuzz import targets


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_whole_and_damaged_are_read_or_refused(name):
    target = targets.TARGETS[name]
    for seed in target.seeds:
        for at in range(min(len(seed), 60)):
            for odd in (
                seed[:at],
                seed[:at] + b"\xff" + seed[at + 1 :],
                seed[:at] + seed[at + 1 :],
            ):
                with suppress(*targets.ALLOWED):
                    target.test(odd)
        with suppress(*targets.ALLOWED):
            target.test(seed)
