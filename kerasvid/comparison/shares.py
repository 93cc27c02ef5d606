"""How sure a share of so many choices is: Wilson's interval, and the exact test of one half."""

import math
import statistics


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share.

    Args:
        successes: of the trials.
        trials: 1 or more.
        level: of the interval, between 0 and 1.

    Raises:
        ValueError: other numbers.

    Example:
        >>> low, high = wilson_interval(81, 263)  # 0.2553, 0.3662
    """
    if not 0 <= successes <= trials or trials < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"{successes} of {trials} at the level {level} has no interval.")
    z = statistics.NormalDist().inv_cdf((1.0 + level) / 2.0)
    share, spread = successes / trials, z**2 / trials
    middle = share + spread / 2.0
    half = math.sqrt(spread * (share * (1.0 - share) + spread / 4.0))
    low, high = (middle - half) / (1.0 + spread), (middle + half) / (1.0 + spread)
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def fair_coin_p(heads: int, tosses: int) -> float:
    """The exact two-sided binomial test of 1/2: how likely so uneven a number is, or more so.

    Example:
        >>> fair_coin_p(9, 10)  # 22 / 1024
        0.021484375
    """
    ways = sequences = 1  # that have no heads, then one, and so on
    for k in range(min(heads, tosses - heads)):
        sequences = sequences * (tosses - k) // (k + 1)
        ways += sequences
    return min(1.0, 2 * ways / 2**tosses)
