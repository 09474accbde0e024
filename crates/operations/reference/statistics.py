"""Reference values for the statistics in `operations::evidence`.

An independent implementation: plain products in 50 digits (mpmath) instead of sums of
logarithms, all subsets of strata instead of the shortcuts, distribution functions of scipy. Run by
hand when a formula changes, with numpy, scipy and mpmath installed:

    python3 statistics.py > statistics.json

The Rust test `evidence::tests::reference` compares within 1e-9.
"""

import itertools
import json

import mpmath
import numpy
import scipy.stats
from mpmath import mpf

mpmath.mp.dps = 50
random = numpy.random.default_rng(20_240_917)


def exact(value):
    """The decimal meant by a short Python float, not its binary neighbour."""
    return mpf(repr(float(value)))


def log_mean(values):
    return mpmath.log(mpmath.fsum(values) / len(values))


def installs():
    multiples, extreme = [1.5, 2.5, 5.0, 10.0, 25.0, 60.0], 0.8
    weights = [exact(w) for w in [0.03, 0.15, 0.35, 0.25, 0.12, 0.07, 0.03]]
    for tolerated, failures, successes in [
        (0.0075, 0, 0),
        (0.0075, 3, 40),
        (0.0075, 1, 2000),
        (0.02, 700, 20_000),
        (0.06, 5, 95),
        (0.4, 30, 20),
        (0.0075, 12, 1_000_000),
    ]:
        p = exact(tolerated)
        rates = [min(p * exact(m), exact(extreme)) for m in multiples] + [exact(extreme)]
        e = [
            (rate / p) ** failures * ((1 - rate) / (1 - p)) ** successes for rate in rates
        ]
        yield {
            "tolerated": tolerated,
            "failures": failures,
            "successes": successes,
            "log_e": float(mpmath.log(mpmath.fsum(w * v for w, v in zip(weights, e)))),
        }


def tolerances():
    for levels in [
        [],
        [[0, 0]],
        [[4, 100]],
        [[40, 10_000], [3, 30]],
        [[500, 100_000], [400, 10_000]],
        [[5_000, 1_000_000], [0, 50_000]],
    ]:
        x, n = 0.005 * 200.0, 200.0
        for failures, attempts in levels:
            carried = min(n, 1000.0)
            x, n = failures + x * carried / n, attempts + carried
        upper = min(1.0, scipy.stats.chi2.ppf(0.999, 2 * (x + 1)) / 2 / n)
        yield {
            "levels": levels,
            "learned": x / n,
            "upper": float(upper),
            "rate": float(min(0.5, max(0.0075, 1.5 * x / n, upper))),
        }


def logrank():
    tolerated, ratios = mpf("1.25"), [mpf(3), mpf(10), mpf(30), mpf(100), mpf(1000)]
    for steps, largest in [(1, 10), (5, 50), (40, 1000), (200, 100_000)]:
        windows = [[mpf(1)] * len(ratios) for _ in range(4)]
        observed = []
        for _ in range(steps):
            row = []
            for window in windows:
                treated, control = (int(n) for n in random.integers(0, largest, 2))
                of_treated = int(random.integers(0, min(3, treated) + 1))
                of_control = int(random.integers(0, min(3, control) + 1))
                row.append([of_treated, of_control, treated, control])
                if treated == 0 or control == 0:
                    continue
                for index, ratio in enumerate(ratios):
                    share = ratio * treated / (ratio * treated + control)
                    null = tolerated * treated / (tolerated * treated + control)
                    window[index] *= (share / null) ** of_treated
                    window[index] *= ((1 - share) / (1 - null)) ** of_control
            observed.append(row)
        yield {
            "observed": observed,
            "log_windows": [float(log_mean(window)) for window in windows],
            "log_e": float(log_mean([e for window in windows for e in window])),
        }


def pairs(values, waiting_max, apart_max):
    """Pairs values of two arms in order of arrival; neighbours join when too many wait, and
    those that wait too long are dropped."""
    waiting, arm = [], None
    for treated, at, value in values:
        waiting = [group for group in waiting if at - group[0][0] <= apart_max]
        if not waiting or arm == treated:
            if len(waiting) >= waiting_max:
                waiting = [sum(waiting[at : at + 2], []) for at in range(0, len(waiting), 2)]
            waiting.append([(at, value)])
            arm = treated
        else:
            group = waiting.pop(0)
            mean = mpmath.fsum(v for _, v in group) / len(group)
            yield value - mean if treated else mean - value


def means():
    bets, alpha = [0.05, 0.1, 0.2, 0.4, 0.65, 0.9], 0.05
    for count, shift, share, bound, tolerated in [
        (1, 0.0, 0.5, 1.0, 0.05),
        (20, 0.2, 0.5, 1.0, 0.05),
        (200, 0.15, 0.1, 0.5, 0.05),
        (400, 1.0, 0.8, 8.0, 0.0),
        (300, 0.0, 0.02, 0.25, 0.01),
    ]:
        values, at = [], 0
        for _ in range(count):
            at += int(random.choice([0, 30, 400]))
            treated = bool(random.random() < share)
            value = float(numpy.round(random.normal(shift if treated else 0.0, 0.3), 4))
            values.append([treated, at, value])
        c, delta = exact(bound), exact(tolerated)
        cut = [(treated, at, max(-c, min(c, exact(value)))) for treated, at, value in values]
        differences = list(pairs(cut, 32, 3600))
        wealth = [
            mpmath.fprod(1 + exact(f) / (2 * c + delta) * (z - delta) for z in differences)
            for f in bets
        ]
        # Waudby-Smith and Ramdas, theorem 2, on X = (Z + 2c)/4c.
        x = [(z + 2 * c) / (4 * c) for z in differences]
        means_, variances, weights = [mpf(1) / 2], [mpf(1) / 4], []
        for t in range(1, len(x) + 1):
            weights.append(
                min(
                    mpmath.sqrt(
                        2 * mpmath.log(2 / exact(alpha)) / (variances[t - 1] * t * mpmath.log(t + 1))
                    ),
                    mpf(1) / 2,
                )
            )
            means_.append((mpf(1) / 2 + mpmath.fsum(x[:t])) / (t + 1))
            spread = mpmath.fsum((x[i] - means_[i + 1]) ** 2 for i in range(t))
            variances.append((mpf(1) / 4 + spread) / (t + 1))
        interval = [float(-2 * c), float(2 * c)]
        if x:
            penalty = mpmath.fsum(
                4 * (x[i] - means_[i]) ** 2 * (-mpmath.log(1 - weights[i]) - weights[i]) / 4
                for i in range(len(x))
            )
            total = mpmath.fsum(weights)
            centre = mpmath.fsum(w * v for w, v in zip(weights, x)) / total
            radius = (mpmath.log(2 / exact(alpha)) + penalty) / total
            interval = [
                float((max(mpf(0), min(mpf(1), end)) - mpf(1) / 2) * 4 * c)
                for end in (centre - radius, centre + radius)
            ]
        yield {
            "bound": bound,
            "tolerated": tolerated,
            "values": values,
            "pairs": len(differences),
            "log_e": float(log_mean(wealth)),
            "interval": interval,
        }


def combined():
    for count, planned, kinds, weighted in [
        (1, 1, (0.6, 0.15), False),
        (2, 4, (0.6, 0.15), True),
        (4, 4, (0.6, 0.15), False),
        (4, 4, (0.5, 0.5), True),
        (7, 7, (0.0, 0.3), False),
        (9, 10, (0.6, 0.15), True),
        (3, 3, (0.0, 0.0), False),
    ]:
        strata = []
        for _ in range(count):
            scale = random.choice([0.5, 2.0, 6.0])
            strata.append(
                [
                    [float(numpy.round(v, 4)) for v in random.normal(-0.5, scale, size)]
                    for size in (7, 20, 6)
                ]
            )
        components = [[[mpmath.exp(exact(v)) for v in t] for t in s] for s in strata]
        sizes = [len(t) for t in strata[0]]
        given = [
            [float(numpy.round(random.uniform(0, 2), 3)) for _ in range(size)] for size in sizes
        ]
        given = given if weighted else []
        weights = [
            exact(given[t][i]) if given else 1 / mpf(size)
            for t, size in enumerate(sizes)
            for i in range(size)
        ]
        weights = [weight / mpmath.fsum(weights) for weight in weights]
        cells = [[v for t in s for v in t] for s in components]
        stopped = [s % 3 == 1 for s in range(count)]

        def weigh(values, weights):
            return mpmath.fsum(v * w for v, w in zip(values, weights))

        def product(chosen):
            return [mpmath.fprod(cells[s][i] for s in chosen) for i in range(len(weights))]

        guilt = [
            w * mpmath.fsum(cells[s][i] for s in range(count) if stopped[s])
            for i, w in enumerate(weights)
        ]
        guilty = mpmath.fsum(guilt)
        guilt = [g / guilty for g in guilt] if guilty > 0 else weights
        going = max(product([s for s in range(count) if not stopped[s]]))
        against = []
        for s in range(count):
            hint = max(max(cells[s]), going) * mpmath.exp(exact(-1.8))
            same = weigh(cells[s], guilt) * mpmath.exp(mpf(4)) if guilty > 0 else mpf(0)
            against.append(max(hint, same))

        def mean(values):
            values = list(values)
            return mpmath.fsum(values) / len(values)

        e = [weigh(s, weights) for s in cells]
        of_common, of_subsets = (exact(kind) for kind in kinds)

        def together(chosen, planned):
            """All kinds of faults of a set of strata: common, any subset, one; and their mean."""
            common = weigh(product(chosen), weights)
            subsets = mean(
                mpmath.fprod(e[s] for s in some)
                for size in range(len(chosen) + 1)
                for some in itertools.combinations(chosen, size)
            )
            neutral = [mpf(1)] * max(planned - len(chosen), 0 if chosen else 1)
            single = mean([e[s] for s in chosen] + neutral)
            whole = of_common * common + of_subsets * subsets
            whole += (1 - of_common - of_subsets) * single
            one = max(planned, len(chosen)) <= 1
            return common, subsets, single, single if one else whole

        family = e + [mpf(1)] * (planned - count)
        everyone = together(range(count), planned)
        rest = [s for s in range(count) if not stopped[s]]
        closed = []
        for s in range(count):
            others = [t for t in range(len(family)) if t != s]
            smallest = everyone[3]
            for size in range(len(others)):
                for chosen in itertools.combinations(others, size):
                    smallest = min(smallest, mean(family[t] for t in (s, *chosen)))
            closed.append(smallest)
        yield {
            "strata": strata,
            "planned": planned,
            "kinds": kinds,
            "weights": given,
            "stopped": stopped,
            "log_against": [float(mpmath.log(v)) for v in against],
            "log_likeness": [float(mpmath.log(weigh(s, guilt))) for s in cells],
            "log_strata": [float(mpmath.log(v)) for v in e],
            "log_together": [float(mpmath.log(v)) for v in everyone],
            "log_rest": [float(mpmath.log(v)) for v in together(rest, planned - sum(stopped))],
            "log_closed": [float(mpmath.log(v)) for v in closed],
        }


def poisson():
    for events in [0, 0.25, 1, 2, 3.5, 7, 9, 15, 60.5, 400, 2500, 9998]:
        for confidence in [0.5, 0.8, 0.95, 0.999]:
            a = mpf(events) + 1
            start = scipy.stats.gamma.ppf(confidence, float(a))
            upper = mpmath.findroot(
                lambda u: mpmath.gammainc(a, u, regularized=True) - (1 - exact(confidence)), start
            )
            z = mpmath.sqrt(2) * mpmath.erfinv(2 * exact(confidence) - 1)
            approximate = a * (1 - 1 / (9 * a) + z / (3 * mpmath.sqrt(a))) ** 3
            yield {
                "events": events,
                "confidence": confidence,
                "upper": float(upper),
                "approximate": float(approximate),
            }


def maturities():
    for age in [0, 1800, 7200, 7201, 10_800, 50_000, 300_000, 5_000_000]:
        for deadline in [0, 7200]:
            since = max(0, age - deadline)
            share = mpmath.fsum(
                exact(weight) * (1 - mpmath.exp(-mpf(since) / mean))
                for mean, weight in [(3600, 0.5), (21_600, 0.3), (86_400, 0.2)]
            )
            yield {"age_s": age, "deadline_s": deadline, "share": float(share)}


def budgets():
    for budget, targets in [
        (50, [70_000, 20_000, 8_000, 2_000]),
        (200, [70_000, 20_000, 8_000, 2_000]),
        (5, [140, 8, 1, 1]),
        (1000, [1, 0, 1_000_000]),
    ]:
        total = mpmath.fsum(mpmath.sqrt(n) for n in targets)
        shares = [max(mpf(1), budget * mpmath.sqrt(n) / total) if n else mpf(0) for n in targets]
        yield {"budget": budget, "targets": targets, "shares": [float(s) for s in shares]}


print(
    json.dumps(
        {
            "installs": list(installs()),
            "tolerances": list(tolerances()),
            "logrank": list(logrank()),
            "means": list(means()),
            "combined": list(combined()),
            "poisson": list(poisson()),
            "maturities": list(maturities()),
            "budgets": list(budgets()),
        },
        separators=(",", ":"),
    ).replace('],"', '],\n"').replace("},{", "},\n{")
)
