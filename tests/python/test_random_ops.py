"""Samplers in all their forms, generators and their states (T-100 to T-112, E-87 to E-89)."""

import math

import numpy as np
import pytest

import rgrad as torch
from rgrad.autograd import Variable
from support import CLASSES, FLOATS, INTEGERS, array, leaf, same, tensor

RE, TE = RuntimeError, TypeError


def raw(seed, count):
    """Tempered draws of NumPy's MT19937 under the standard initialiser (T-100, T-101)."""
    source = np.random.MT19937()
    source._legacy_seeding(seed & 0xFFFFFFFF)
    return [int(x) for x in source.random_raw(count)]


def doubles(seed, count):
    """Uniform draws of 53 bits (T-102)."""
    draws = raw(seed, 2 * count)
    pairs = zip(draws[::2], draws[1::2], strict=True)
    return [((high << 32 | low) & (2**53 - 1)) * 2.0**-53 for high, low in pairs]


def seeded(seed, call):
    torch.manual_seed(seed)
    return call()


# What the samplers make of uniform draws (T-105). One ulp of two libraries' functions is allowed.
LAWS = {
    "exponential_": (lambda u, rate: -math.log(1 - u) / rate, (1.5,)),
    "cauchy_": (lambda u, m, s: m + s * math.tan(math.pi * (u - 0.5)), (0.5, 2.0)),
    "geometric_": (lambda u, p: int(math.log(1 - u) / math.log(p)) + 1, (0.3,)),
    "bernoulli_": (lambda u, p: float(u <= p), (0.25,)),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_on_the_recorded_uniform_stream(name):
    law, arguments = LAWS[name]
    got = seeded(9, lambda: getattr(torch.DoubleTensor(50), name)(*arguments))
    wanted = [law(u, *arguments) for u in doubles(9, 50)]
    np.testing.assert_allclose(array(got), wanted, rtol=1e-14)


def test_log_normal_is_the_exponential_of_normal():
    for arguments, mean, std in [((), 1, 2), ((0.5, 0.25), 0.5, 0.25)]:
        got = seeded(4, lambda a=arguments: torch.DoubleTensor(7).log_normal_(*a))
        wanted = seeded(4, lambda m=mean, s=std: torch.DoubleTensor(7).normal_(m, s))
        np.testing.assert_allclose(array(got), np.exp(array(wanted)), rtol=1e-14)


# fmt: off
DEFAULTS = [
    ("cauchy_", {}, {"median": 0, "sigma": 1}), ("exponential_", {}, {"lambd": 1}),
    ("log_normal_", {}, {"mean": 1, "std": 2}), ("normal_", {}, {"mean": 0, "std": 1}),
    ("bernoulli_", {}, {"p": 0.5}), ("uniform_", {}, {"to": 1}),
]
# fmt: on


@pytest.mark.parametrize("name, short, whole", DEFAULTS)
def test_names_and_defaults(name, short, whole):
    a = seeded(2, lambda: getattr(torch.FloatTensor(5), name)(**short))
    b = seeded(2, lambda: getattr(torch.FloatTensor(5), name)(**whole))
    assert a.equal(b)


@pytest.mark.parametrize("name", ["bernoulli_", "geometric_", "random_"])
@pytest.mark.parametrize("cls", CLASSES)
def test_samplers_of_every_class(name, cls):
    t = getattr(torch, cls)(40)
    assert getattr(t, name)(*(() if name == "random_" else (0.5,))) is t
    assert min(t.tolist()) >= (1 if name == "geometric_" else 0)


@pytest.mark.parametrize("name", ["uniform_", "normal_", "log_normal_", "cauchy_", "exponential_"])
@pytest.mark.parametrize("cls", INTEGERS)
def test_integers_lack_the_samplers_of_floats(name, cls):  # E-81
    with pytest.raises(AttributeError, match=name):
        getattr(getattr(torch, cls)(3), name)()


@pytest.mark.parametrize("of", FLOATS)
@pytest.mark.parametrize("cls", ["ByteTensor", "LongTensor", "FloatTensor", "DoubleTensor"])
def test_bernoulli_with_a_probability_for_each(cls, of):
    p = [0.0, 1.0, 0.25, 0.75, 0.5, 0.5]
    t = seeded(6, lambda: getattr(torch, cls)(2, 3).bernoulli_(tensor(of, [p[:3], p[3:]])))
    assert t.view(6).tolist() == [float(u <= q) for u, q in zip(doubles(6, 6), p, strict=True)]
    again = seeded(6, lambda: getattr(torch, cls)(2, 3).bernoulli_(float_p=tensor(of, p)))
    assert again.equal(t)


def test_bernoulli_of_probabilities():
    p = torch.DoubleTensor([[0.2, 0.9], [0.5, 1.0]])
    wanted = [float(u <= q) for u, q in zip(doubles(0, 4), [0.2, 0.9, 0.5, 1.0], strict=True)]
    for call in [
        lambda: torch.bernoulli(p),
        lambda: torch.bernoulli(input=p),
        lambda: p.bernoulli(),
        lambda: torch.bernoulli(p, out=torch.DoubleTensor()),
        lambda: torch.bernoulli(p.t().contiguous().t()),
    ]:
        got = seeded(0, call)
        assert got.type() == "torch.DoubleTensor" and got.size() == (2, 2)
        assert got.view(4).tolist() == wanted


@pytest.mark.parametrize("cls", FLOATS)
def test_normal_with_means_and_deviations(cls):  # T-108
    real = CLASSES[cls]
    means, stds = tensor(cls, [1.0, -2.0, 0.1]), tensor(cls, [0.5, 3.0, 0.7])
    m, s = np.array([1.0, -2.0, 0.1], real), np.array([0.5, 3.0, 0.7], real)
    z = seeded(8, lambda: array(tensor(cls, [0, 0, 0]).normal_()))
    scaled = seeded(8, lambda: array(tensor(cls, [0, 0, 0]).normal_(0, 0.3)))
    for call, wanted in [
        (lambda: torch.normal(means), z + m),
        (lambda: torch.normal(means, 0.3), scaled + m),
        (lambda: torch.normal(means, std=0.3), scaled + m),
        (lambda: torch.normal(means=means, std=stds), z * s + m),
        (lambda: torch.normal(means, stds), z * s + m),
        (lambda: torch.normal(1.5, stds), z * s + real(1.5)),
        (lambda: torch.normal(mean=1.5, std=stds), z * s + real(1.5)),
        (lambda: torch.normal(std=stds), z * s + real(0)),
        (lambda: torch.normal(means, stds, out=tensor(cls, [0])), z * s + m),
    ]:
        got = seeded(8, call)
        assert got.type() == f"torch.{cls}"
        same(got, wanted.astype(real))


def test_normal_of_numbers_only_is_refused():
    with pytest.raises(TE, match=r"\(Tensor means, float std=1\)"):
        torch.normal(1.0, 2.0)
    with pytest.raises(TE):
        torch.normal(torch.ones(2), torch.DoubleTensor([1, 1]))
    with pytest.raises(RE, match="deviation"):
        torch.normal(torch.ones(2), 0)


VARIABLES = [
    lambda p: torch.bernoulli(p),
    lambda p: p.bernoulli(),
    lambda p: torch.multinomial(p, 2),
    lambda p: p.multinomial(),
    lambda p: torch.normal(p, 1.0),
    lambda p: torch.normal(0.0, p),
]


@pytest.mark.parametrize("call", VARIABLES)
def test_samples_of_variables_are_leaves(call):
    p = leaf([0.5, 0.25, 0.75])
    for v in (p, p * 1, Variable(p.data, volatile=True)):
        got = seeded(3, lambda v=v: call(v))
        assert isinstance(got, Variable) and got.is_leaf
        assert not got.requires_grad and not got.volatile
        assert got.data.equal(
            seeded(3, lambda: call(p.data) if call is not VARIABLES[3] else p.data.multinomial(1))
        )


def test_multinomial_defaults_to_one_sample_on_variables_only():
    assert Variable(torch.ones(3)).multinomial().size() == (1,)
    with pytest.raises(TE):
        torch.ones(3).multinomial()


def test_log_normal_and_geometric_of_variables():
    v = Variable(torch.DoubleTensor(4).zero_())
    assert seeded(1, lambda: v.log_normal_()) is v and v._version == 1
    assert v.data.equal(seeded(1, lambda: torch.DoubleTensor(4).log_normal_()))
    x = leaf([1.0, 2.0])
    y = x * 3
    y.geometric_(0.5)
    y.sum().backward()
    assert x.grad.data.tolist() == [0, 0]  # what was overwritten has no gradient
    with pytest.raises(RE, match="leaf"):
        x.log_normal_()
    with pytest.raises(RE, match="not implemented for type"):
        Variable(torch.LongTensor([1])).log_normal_()


@pytest.mark.parametrize(
    "arguments, named, limit",
    [((7,), {}, 7), ((), {"to": 7}, 7), ((2, 9), {}, 7), ((), {"from": 2, "to": 9}, 7)],
)
def test_random_takes_its_bounds_by_name(arguments, named, limit):
    t = seeded(5, lambda: torch.IntTensor(9).random_(*arguments, **named))
    start = 2 if 9 in arguments or 9 in named.values() else 0
    assert t.tolist() == [start + r % limit for r in raw(5, 9)]


def test_the_order_is_logical_for_every_sampler():  # T-109
    for name, arguments in [
        ("normal_", ()),
        ("bernoulli_", (0.5,)),
        ("geometric_", (0.5,)),
        ("random_", (9,)),
        ("cauchy_", ()),
        ("log_normal_", ()),
    ]:
        whole = seeded(1, lambda n=name, a=arguments: getattr(torch.DoubleTensor(3, 4), n)(*a))
        part = torch.zeros(4, 6).double().t()[1:4]
        seeded(1, lambda n=name, a=arguments, p=part: getattr(p, n)(*a))
        assert part.equal(whole), name


# fmt: off
REFUSED = [
    ("E-87", RE, "negative", lambda: torch.multinomial(torch.Tensor([1, -1]), 1)),
    ("E-87", RE, "sum", lambda: torch.multinomial(torch.zeros(3), 1)),
    ("E-87", RE, "without replacement", lambda: torch.multinomial(torch.ones(3), 4)),
    ("E-87", RE, "without replacement", lambda: torch.multinomial(torch.Tensor([1, 0]), 2)),
    ("E-87", RE, "n_sample", lambda: torch.multinomial(torch.ones(3), 0)),
    ("E-87", RE, "dimensions", lambda: torch.multinomial(torch.ones(2, 2, 2), 1)),
    ("E-87", RE, "sum", lambda: torch.multinomial(torch.Tensor([[1, 1], [0, 0]]), 1)),
    ("E-88", RE, "1.5", lambda: torch.Tensor(3).bernoulli_(1.5)),
    ("E-88", RE, "-0.5", lambda: torch.bernoulli(torch.Tensor([0.5, -0.5]))),
    ("E-88", RE, "2", lambda: torch.ByteTensor(2).bernoulli_(torch.Tensor([0.5, 2]))),
    ("E-89", RE, "5048", lambda: torch.set_rng_state(torch.ByteTensor(10))),
    ("E-89", TE, "ByteTensor", lambda: torch.set_rng_state(torch.FloatTensor(5048))),
    ("E-89", TE, "list", lambda: torch.set_rng_state([1])),
    ("E-89", RE, "state", lambda: torch.set_rng_state(torch.ByteTensor(5048).fill_(255))),
    ("T-103", RE, "deviation", lambda: torch.Tensor(2).normal_(0, -1)),
    ("T-103", RE, "deviation", lambda: torch.Tensor(2).log_normal_(0, 0)),
    ("T-105", RE, "probability", lambda: torch.Tensor(2).geometric_(1)),
    ("T-104", RE, "range", lambda: torch.Tensor(2).random_(0)),
    ("T-104", TE, "int to", lambda: torch.Tensor(2).random_(1.5)),
    ("T-104", TE, "int to", lambda: torch.Tensor(2).random_(1, 2, 3)),
    ("O-7", TE, "LongTensor", lambda: torch.randperm(3, out=torch.Tensor(3))),
    ("O-7", TE, "DoubleTensor", lambda: torch.bernoulli(torch.ones(2), out=torch.DoubleTensor())),
    ("O-7", TE, "LongTensor", lambda: torch.multinomial(torch.ones(2), 1, out=torch.Tensor())),
    ("O-7", TE, "LongTensor", lambda: torch.rand(3, out=torch.LongTensor(3))),
    ("T-82", TE, "does not implement", lambda: torch.bernoulli(torch.LongTensor([1]))),
    ("T-110", TE, "Generator", lambda: torch.rand(2, generator=1)),
    ("T-110", TE, "int", lambda: torch.manual_seed("a")),
    ("E-9", RE, "expanded", lambda: torch.Tensor(1).expand(3).normal_()),
]
# fmt: on


@pytest.mark.parametrize("rule, error, words, call", REFUSED)
def test_a_refused_call_draws_nothing(rule, error, words, call):
    state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        call()
    assert torch.get_rng_state().equal(state)


def test_a_refused_bernoulli_writes_nothing():  # E-88
    t = torch.FloatTensor([7, 8])
    with pytest.raises(RE):
        t.bernoulli_(torch.Tensor([0.5, 2]))
    assert t.tolist() == [7, 8]


GENERATED = [
    lambda g: torch.rand(3, generator=g),
    lambda g: torch.rand(g, 3),
    lambda g: torch.randn(3, generator=g),
    lambda g: torch.randperm(5, generator=g),
    lambda g: torch.multinomial(torch.ones(4), 2, generator=g),
    lambda g: torch.ones(4).multinomial(2, generator=g),
    lambda g: torch.bernoulli(torch.ones(4) / 2, generator=g),
    lambda g: torch.normal(torch.ones(4), 1.0, generator=g),
    *[
        lambda g, n=n: getattr(torch.Tensor(3), n)(generator=g)
        for n in ["uniform_", "normal_", "log_normal_", "cauchy_", "exponential_", "random_"]
    ],
    lambda g: torch.Tensor(3).bernoulli_(0.5, generator=g),
    lambda g: torch.Tensor(3).geometric_(0.5, generator=g),
]


@pytest.mark.parametrize("call", GENERATED)
def test_a_generator_of_ones_own(call):  # T-110
    g = torch.Generator()
    assert g.manual_seed(11) is g and g.initial_seed() == 11
    state = torch.get_rng_state()
    got = call(g)
    assert torch.get_rng_state().equal(state), "the default one is left alone"
    assert got.equal(
        seeded(11, lambda: call(None) if not isinstance(got, int) else None)
        if call is not GENERATED[1]
        else seeded(11, lambda: torch.rand(3))
    )


def test_generator_objects():  # T-110
    assert torch.manual_seed(4) is torch.default_generator
    assert torch.initial_seed() == torch.default_generator.initial_seed() == 4
    g = torch.Generator()
    seed = g.seed()
    assert seed == g.initial_seed() != g.seed()
    g.set_state(torch.manual_seed(6).get_state())
    assert torch.rand(4, generator=g).equal(torch.rand(4))
    assert torch.manual_seed(-1).initial_seed() == 2**64 - 1


def test_the_state_is_the_struct_of_the_time():  # T-111
    torch.manual_seed(2**33 + 5)
    torch.randn(1)
    s = bytes(torch.get_rng_state().tolist())
    assert len(s) == 5048
    assert int.from_bytes(s[:8], "little") == 2**33 + 5
    left, seeded_, used = (
        int.from_bytes(s[a:b], "little") for a, b in [(8, 12), (12, 16), (16, 24)]
    )
    assert (left, seeded_, used) == (621, 1, 4)  # four draws made one pair of doubles
    x, y, rho = np.frombuffer(s[24 + 624 * 8 : 5040], dtype="<f8")
    assert [x, y] == doubles(5, 2) and rho == pytest.approx(math.sqrt(-2 * math.log(1 - y)))
    assert s[5040:] == bytes([1, 0, 0, 0, 0, 0, 0, 0])


def test_a_longer_state_of_later_versions():  # T-111
    torch.manual_seed(3)
    state = torch.get_rng_state().tolist()
    wanted = torch.rand(5)
    torch.set_rng_state(torch.ByteTensor(state + [0] * 8))
    assert torch.rand(5).equal(wanted)


def test_fork_rng_puts_everything_back():  # T-112
    for arguments in ({}, {"devices": []}, {"devices": [0]}):
        state, there = torch.get_rng_state(), torch.cuda.get_rng_state()
        with torch.random.fork_rng(**arguments):
            torch.manual_seed(1)
            torch.randn(3)
        assert torch.get_rng_state().equal(state)
        assert torch.cuda.get_rng_state().equal(there) == (arguments.get("devices") != [])
    with torch.random.fork_rng(enabled=False):
        torch.randn(3)
    assert not torch.get_rng_state().equal(state)
    with pytest.raises(ZeroDivisionError), torch.random.fork_rng():
        state = torch.get_rng_state()
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.get_rng_state().equal(state)


def test_seeding_the_gpu_leaves_the_cpu_alone():  # T-110: two streams, both seeded by manual_seed
    torch.manual_seed(9)
    assert torch.cuda.initial_seed() == 9
    state = torch.get_rng_state()
    torch.cuda.manual_seed(1)
    assert torch.get_rng_state().equal(state) and torch.cuda.initial_seed() == 1


def test_fills_on_the_gpu_come_from_its_own_stream(gpu):  # T-113
    torch.manual_seed(4)
    here = torch.get_rng_state()
    a = torch.cuda.FloatTensor(4).normal_()
    assert torch.get_rng_state().equal(here)
    torch.cuda.manual_seed(4)
    assert torch.cuda.FloatTensor(4).normal_().equal(a)
    p = torch.cuda.FloatTensor([0.5, 0.5])
    assert torch.bernoulli(p).is_cuda and p.multinomial(1).type() == "torch.cuda.LongTensor"


# apply_, map_, map2_


def test_apply_visits_elements_in_order():
    seen = []
    t = torch.LongTensor([[1, 2], [3, 4]]).t()
    assert t.apply_(lambda x: seen.append(x) or 10 * x) is t
    assert seen == [1, 3, 2, 4] and t.tolist() == [[10, 30], [20, 40]]


def test_map_and_map2():
    t, x, y = torch.FloatTensor([1, 2]), torch.FloatTensor([3]), torch.FloatTensor([5, 6])
    assert t.map_(x, lambda a, b: a + b).tolist() == [4, 5]
    assert t.map2_(x, y, lambda a, b, c: a * b - c).tolist() == [7, 9]


def test_a_failing_function_leaves_the_tensor():
    t = torch.FloatTensor([1, 2, 3])
    with pytest.raises(KeyError):
        t.apply_({1.0: 5.0}.__getitem__)
    with pytest.raises(KeyError):
        t.map_(t, lambda a, b: {1.0: 5.0}[a])
    assert t.tolist() == [1, 2, 3]


def test_results_are_numbers_of_the_class():
    assert torch.FloatTensor([1]).apply_(lambda x: 3).tolist() == [3]
    assert torch.ByteTensor([1]).apply_(lambda x: 257).tolist() == [1]
    assert torch.FloatTensor([1]).apply_(lambda x: np.float64(0.5)).tolist() == [0.5]
    for t, value in [
        (torch.LongTensor([1]), 1.5),
        (torch.FloatTensor([1]), "x"),
        (torch.FloatTensor([1]), None),
    ]:
        with pytest.raises(RE, match="should return"):
            t.apply_(lambda x, v=value: v)
        assert t.tolist() == [1]
    with pytest.raises(TE):
        torch.FloatTensor([1]).apply_(3)
    with pytest.raises(TE, match="class"):
        torch.FloatTensor([1]).map_(torch.LongTensor([1]), lambda a, b: a)


def test_apply_is_for_the_cpu(gpu):
    with pytest.raises(TE, match="CPU"):
        torch.cuda.FloatTensor([1]).apply_(lambda x: x)
