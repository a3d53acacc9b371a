"""Random fills against recorded streams and against NumPy's own MT19937 (T-100 to T-110)."""

import json

import numpy as np
import pytest

import rgrad as torch
from support import GOLDEN, array, same

SEEDS = json.loads((GOLDEN / "rng_golden.json").read_text())["seeds"]
WEIGHTS = [1.0, 2.0, 3.0, 4.0]

STREAMS = {
    # Below 2^32 - 1 a draw of 32 bits is what it is.
    "raw32_first5": lambda: torch.LongTensor(5).random_(0, 2**32 - 1),
    "float_rand5": lambda: torch.rand(5),
    "double_rand5": lambda: torch.DoubleTensor(5).uniform_(),
    "float_randn20": lambda: torch.randn(20),
    "double_randn5": lambda: torch.DoubleTensor(5).normal_(),
    "randn3_then_rand2": lambda: torch.cat([torch.randn(3), torch.rand(2)]),
    "randperm10": lambda: torch.randperm(10),
    "long_random_0_10_x8": lambda: torch.LongTensor(8).random_(0, 10),
    "float_uniform_-1_1_x4": lambda: torch.FloatTensor(4).uniform_(-1, 1),
    "bernoulli_half_x10": lambda: torch.FloatTensor(10).bernoulli_(0.5),
    "double_exponential_1_x3": lambda: torch.DoubleTensor(3).exponential_(1),
    "multinomial_1234_rep_x8": lambda: torch.multinomial(torch.FloatTensor(WEIGHTS), 8, True),
    "multinomial_1234_norep_x4": lambda: torch.multinomial(torch.FloatTensor(WEIGHTS), 4, False),
}


def raw(seed, count):
    """Tempered 32-bit draws of MT19937 under the standard initialiser (T-100, T-101)."""
    source = np.random.MT19937()
    source._legacy_seeding(seed & 0xFFFFFFFF)
    return [int(x) for x in source.random_raw(count)]


def wide(draws):
    """64-bit draws: the first of each pair is the high half (T-101)."""
    return [high << 32 | low for high, low in zip(draws[::2], draws[1::2], strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_is_the_recorded_generator(seed):
    assert raw(int(seed), 5) == SEEDS[seed]["raw32_first5"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stream", STREAMS)
def test_recorded_stream(seed, stream):
    torch.manual_seed(int(seed))
    got = array(STREAMS[stream]())
    np.testing.assert_array_equal(got, np.array(SEEDS[seed][stream]).astype(got.dtype))


def test_every_stream_is_run():
    assert all(set(lists) == set(STREAMS) for lists in SEEDS.values())


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32 + 3])
def test_long_uniform_streams(seed):  # T-102; 700 draws cross a reload of the state
    torch.manual_seed(seed)
    wanted = [(r & 0xFFFFFF) * 2.0**-24 for r in raw(seed, 700)]
    same(torch.rand(700), np.float32(wanted))
    torch.manual_seed(seed)
    wanted = [(r & (2**53 - 1)) * 2.0**-53 for r in wide(raw(seed, 1400))]
    same(torch.DoubleTensor(700).uniform_(), wanted)


def test_long_normal_stream():  # T-103
    torch.manual_seed(3)
    u = [(r & (2**53 - 1)) * 2.0**-53 for r in wide(raw(3, 2800))]
    wanted = []
    for x, y in zip(u[::2], u[1::2], strict=True):
        rho = np.sqrt(-2 * np.log(1 - y))
        wanted += [rho * np.cos(2 * np.pi * x), rho * np.sin(2 * np.pi * x)]
    got = array(torch.DoubleTensor(1400).normal_())
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)


RANDOM = [  # T-104: class, arguments, width of the draw, rule
    ("ByteTensor", (), 32, lambda r: r % 256),
    ("CharTensor", (), 32, lambda r: r % 128),
    ("ShortTensor", (), 32, lambda r: r % 32768),
    ("IntTensor", (), 32, lambda r: r % 2**31),
    ("LongTensor", (), 64, lambda r: r % 2**63),
    ("FloatTensor", (), 32, lambda r: float(r % (2**24 + 1))),
    ("DoubleTensor", (), 64, lambda r: float(r % (2**53 + 1))),
    ("IntTensor", (7,), 32, lambda r: r % 7),
    ("FloatTensor", (-3, 5), 32, lambda r: float(r % 8 - 3)),
    ("LongTensor", (2**40,), 64, lambda r: r % 2**40),
]


@pytest.mark.parametrize("name, arguments, bits, rule", RANDOM)
def test_random(name, arguments, bits, rule):
    torch.manual_seed(5)
    t = getattr(torch, name)(6)
    assert t.random_(*arguments) is t
    draws = raw(5, 6) if bits == 32 else wide(raw(5, 12))
    assert t.tolist() == [rule(r) for r in draws]


def test_the_second_normal_waits_in_the_generator():  # T-103
    whole = array(torch.randn(4))
    torch.manual_seed(0)
    first = torch.randn(1)
    torch.rand(3)  # draws, but does not clear what waits
    second = torch.DoubleTensor(1).normal_()
    assert first[0] == whole[0]
    assert np.float32(second[0]) == whole[1]
    torch.randn(1)
    torch.manual_seed(0)  # seeding clears it
    assert torch.randn(1)[0] == whole[0]


def test_uniform_and_normal_take_bounds():
    u = array(torch.rand(4))
    n = array(torch.DoubleTensor(3).normal_())
    torch.manual_seed(0)
    np.testing.assert_allclose(array(torch.FloatTensor(4).uniform_(2, 5)), u * 3 + 2, rtol=1e-6)
    got = array(torch.DoubleTensor(3).normal_(1, 0.5))
    np.testing.assert_allclose(got, n * 0.5 + 1, rtol=1e-14)
    with pytest.raises(RuntimeError):
        torch.FloatTensor(3).normal_(0, 0)


def test_order_is_logical_for_strided_targets():  # T-109
    wanted = array(torch.rand(2, 3))
    torch.manual_seed(0)
    t = torch.zeros(3, 2)
    t.t().uniform_()
    same(t, wanted.T)


def test_randn_takes_a_tuple():
    a = torch.randn(4, 3)
    torch.manual_seed(0)
    b = torch.randn((4, 3))
    assert a.equal(b) and b.size() == (4, 3)


def test_manual_seed_returns_the_generator():  # T-110
    g = torch.manual_seed(12)
    assert g is not None and torch.initial_seed() == 12
    torch.cuda.manual_seed(3)  # U-63: silently lazy without a GPU
    torch.cuda.manual_seed_all(3)


def test_no_samplers_on_variables():  # fill `.data` instead
    from rgrad.autograd import Variable

    v = Variable(torch.zeros(3))
    v.data.uniform_(1, 2)
    assert array(v).min() >= 1 and v._version == 0
