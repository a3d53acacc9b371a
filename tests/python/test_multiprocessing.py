"""torch.multiprocessing: what is sent is shared (T-120, T-121, T-122, U-50).

Everything with children runs in a program of its own, which ends itself when a child hangs.
"""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import rgrad as torch
import rgrad.multiprocessing as mp
from support import STORAGES, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc and /dev/shm")

STRATEGY = pytest.mark.parametrize("strategy", ["file_descriptor", "file_system"])

HEAD = """
import gc, os, signal, sys, time
signal.alarm(50)
import rgrad as torch
import rgrad.multiprocessing as mp
from rgrad.autograd import Variable

def through(*things):
    "What arrives of each thing, sent one after the other."
    here, there = mp.Pipe()
    got = []
    for thing in things:
        here.send(thing)
        got.append(there.recv())
    return got

def files():
    "The named memory of this program."
    prefix = mp.memory._prefix()
    return sorted(name for name in os.listdir("/dev/shm") if name.startswith(prefix))

def tell():
    "Lets the test look for what is left when this program has ended."
    print(mp.memory._prefix(), flush=True)

def descriptors(base=None):
    "How many are open: `base`, if they fall to it soon; threads close theirs when they come to it."
    gc.collect()
    until = time.monotonic() + 10
    while (count := len(os.listdir("/proc/self/fd"))) != (base or count):
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return count
"""


def program(tmp_path, code, *arguments, returncode=0):
    """Runs a program from a file, as children that are not forked need; gives what it printed."""
    path = tmp_path / "program.py"
    path.write_text(HEAD + textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == returncode, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def quiet(done):
    assert done.stderr == ""
    return done.stdout


def left_by(done):
    """The named memory of a program that has ended, which told its prefix first."""
    prefix = done.stdout.split()[0]
    assert prefix.startswith("rgrad-")
    return [name for name in os.listdir("/dev/shm") if name.startswith(prefix)]


# Names.


def test_import_costs_nothing_and_the_name_is_there():  # U-1
    run_python("""
        import sys
        import rgrad as torch
        assert "multiprocessing" not in sys.modules and "multiprocessing" in dir(torch)
        assert callable(torch.multiprocessing.Queue)
        import rgrad.multiprocessing as mp
        from rgrad.multiprocessing import Process
        assert mp is torch.multiprocessing and mp.Process is Process
    """)


def test_everything_of_multiprocessing_is_there():  # U-50
    import multiprocessing

    for name in multiprocessing.__all__:
        assert getattr(mp, name) == getattr(multiprocessing, name)
    assert mp.process is multiprocessing.process
    with pytest.raises(AttributeError, match="no attribute 'Colour'"):
        mp.Colour  # noqa: B018


def test_strategies():  # T-121
    assert mp.get_all_sharing_strategies() == {"file_descriptor", "file_system"}
    assert mp.get_sharing_strategy() == "file_descriptor"
    with pytest.raises(ValueError, match=r"'pigeons'.*file_descriptor, file_system"):
        mp.set_sharing_strategy("pigeons")
    assert mp.get_sharing_strategy() == "file_descriptor"


# What arrives.


@STRATEGY
def test_what_arrives_is_the_same_memory(tmp_path, strategy):  # T-121
    code = """
        from multiprocessing.reduction import ForkingPickler
        mp.set_sharing_strategy(sys.argv[1])
        for name in sys.argv[2:]:
            s = getattr(torch, name)([1, 2, 3])
            (r,) = through(s)
            assert r is s and r.is_shared() and type(r) is getattr(torch, name), name
            s[0] = 7
            assert r.tolist() == [7, 2, 3]
            assert through(getattr(torch, name)())[0].tolist() == []
        # Tensors, views and storages, in one message and in several; sizes, strides and offsets.
        t = torch.arange(0, 12).view(3, 4)
        things = [t, t[1], t.t(), t[1:, 2:], t.storage(), torch.zeros(2).expand(3, 2)]
        for got in (through(things)[0], through(*things)):
            assert got[4] is t.storage()
            for a, b in zip(got[:4], things):
                assert a.is_set_to(b) and a.stride() == b.stride() and a.tolist() == b.tolist()
            assert got[5].stride() == (0, 1)
        # Storages that are views of one, and tensors on them.
        whole = torch.FloatStorage([0, 1, 2, 3, 4])
        part = whole[1:4]
        on_part = torch.FloatTensor(part)[1:]
        p, w, tensor = through([part, whole, on_part])[0]
        assert w is whole and p.tolist() == [1, 2, 3] and tensor.tolist() == [2, 3]
        whole[2] = 9
        assert p.tolist() == [1, 9, 3] and tensor.tolist() == [9, 3] and part.tolist() == [1, 9, 3]
        assert part.is_shared()
        # Nothing, and halves.
        assert through(torch.FloatTensor())[0].size() == ()
        h = torch.ones(3).half()
        (got,) = through(h)
        h.copy_(torch.zeros(3))
        assert type(got) is torch.HalfTensor and got.float().tolist() == [0, 0, 0]
        # A storage that shows less than it has.
        s = torch.FloatStorage(100).fill_(1).resize_(3)
        assert len(through(s)[0]) == 3
        # Already shared memory keeps its kind; the strategy is for what is not shared yet.
        other, = mp.get_all_sharing_strategies() - {sys.argv[1]}
        mp.set_sharing_strategy(other)
        assert through(t)[0].is_set_to(t)
    """
    assert quiet(program(tmp_path, code, strategy, *STORAGES)) == ""


def test_variables_arrive_as_leaves(tmp_path):  # T-122, U-50, A-22
    code = """
        from rgrad.nn import Parameter
        def double(g):
            return g * 2
        v = Variable(torch.ones(3), requires_grad=True)
        v.register_hook(double)
        v.sum().backward()
        p, w = Parameter(torch.ones(2)), Variable(torch.ones(2), volatile=True)
        frozen = Parameter(torch.ones(2), requires_grad=False)
        y = v * 3
        a, b, c, d, e = through(v, p, w, y, frozen)
        assert type(b) is type(e) is Parameter
        flags = [(x.requires_grad, x.volatile, x.is_leaf, x.grad) for x in (a, b, c, d, e)]
        yes, no = (True, False, True, None), (False, False, True, None)
        assert flags == [yes, yes, (False, True, True, None), yes, no], flags
        assert a.data.is_set_to(v.data) and d.data.tolist() == [3, 3, 3]
        a.sum().backward()
        assert a.grad.data.tolist() == [2, 2, 2]  # its hook came along
        assert v.grad.data.tolist() == [2, 2, 2]
        v.data.fill_(5)
        assert a.data.tolist() == [5, 5, 5]
        # One message, one memory.
        a, b, c = through([v, v.data, v[1:]])[0]
        assert a.data.is_set_to(b) and c.data.storage() is b.storage()
        x = Variable(torch.ones(2))
        assert not x.is_shared() and x.share_memory_() is x and x.is_shared()
        assert x.data.is_shared() and x.data.storage().is_shared()
    """
    assert quiet(program(tmp_path, code)) == ""


@STRATEGY
def test_every_start_method(tmp_path, strategy):  # T-121, U-50
    code = """
        def child(inbox, outbox, argument):
            signal.alarm(40)
            t = inbox.get()
            again = inbox.get()
            t.add_(1)
            argument.fill_(3)
            outbox.put((t.narrow(0, 1, 2), again.storage() is t.storage(), torch.ones(2) * 8))
            inbox.get()  # lives until the answer is read

        if __name__ == "__main__":
            mp.set_sharing_strategy(sys.argv[1])
            tell()
            for method in ("fork", "spawn", "forkserver"):
                context = mp.get_context(method)
                inbox, outbox = context.Queue(), context.Queue()
                t, argument = torch.zeros(4), torch.zeros(2).share_memory_()
                process = context.Process(target=child, args=(inbox, outbox, argument))
                process.start()
                inbox.put(t)
                inbox.put(t[2:])
                back, is_same, fresh = outbox.get(timeout=40)
                inbox.put("the end")
                process.join(40)
                assert process.exitcode == 0
                assert is_same and back.storage() is t.storage() and t.tolist() == [1] * 4
                assert argument.tolist() == [3, 3] and fresh.tolist() == [8, 8]
                del t, argument, back, fresh
            # The queues' own threads may hold the last message still; they end with their queues.
            for queue in (inbox, outbox):
                queue.close()
                queue.join_thread()
    """
    done = program(tmp_path, code, strategy)
    assert quiet(done).startswith("rgrad-") and left_by(done) == []


# Memory that is let go of.


@STRATEGY
def test_memory_is_released_on_both_sides(tmp_path, strategy):  # T-121
    code = """
        def child(pipe):
            signal.alarm(40)
            base = None
            for _ in range(2):
                kept = [pipe.recv() for _ in range(200)]
                pipe.send([sum(t[0] for t in kept), torch.ones(5)])
                kept = None
                pipe.recv()
                base = descriptors(base)
                pipe.send((base, len(files())))

        mp.set_sharing_strategy(sys.argv[1])
        assert files() == []
        here, there = mp.Pipe()
        process = mp.get_context("fork").Process(target=child, args=(there,))
        process.start()
        counts, base = [], None
        for _ in range(2):
            tensors = [torch.ones(100) * i for i in range(200)]
            for t in tensors:
                here.send(t)
            total, ones = here.recv()
            assert total == 19900 and ones.tolist() == [1] * 5
            if sys.argv[1] == "file_system":
                assert len(files()) >= 200 and descriptors() < 60
            del tensors, t, ones
            here.send("let go")
            counts.append((here.recv(), base := descriptors(base), len(files())))
        assert counts[0] == counts[1], counts
        (theirs, named), ours, left = counts[1]
        assert theirs < 40 and ours < 40 and named == left == 0, counts
        process.join(40)
        assert process.exitcode == 0
    """
    assert quiet(program(tmp_path, code, strategy)) == ""


def test_a_forked_child_that_ends_leaves_the_programs_memory_alone(tmp_path):  # T-121
    code = """
        mp.set_sharing_strategy("file_system")
        mp.memory.start_tracker()
        if os.fork() == 0:
            own = torch.ones(3).share_memory_()
            here, there = mp.Pipe()
            here.send(own)
            assert there.recv().tolist() == [1, 1, 1]
            time.sleep(0.5)  # until the parent has sent
            sys.exit()
        here, there = mp.Pipe()
        t = torch.arange(0, 4).share_memory_()
        here.send(t)
        assert os.wait()[1] == 0
        here.send(t)
        assert [there.recv().tolist() for _ in range(2)] == [[0, 1, 2, 3]] * 2
        assert len(files()) == 1
        tell()
    """
    assert left_by(program(tmp_path, code)) == []


def test_a_killed_user_leaves_nothing(tmp_path):  # T-121: file_system
    code = """
        def child(pipe, old):
            kept = pipe.recv(), torch.ones(3).share_memory_()
            pipe.send(kept[1])
            os.kill(os.getpid(), signal.SIGKILL)

        mp.set_sharing_strategy("file_system")
        here, there = mp.Pipe()
        t, old = torch.zeros(9), torch.zeros(9).share_memory_()
        process = mp.get_context("fork").Process(target=child, args=(there, old))
        process.start()
        here.send(t)
        ones = here.recv()
        process.join(40)
        assert process.exitcode == -signal.SIGKILL and len(files()) == 3, files()
        assert through(ones)[0].is_set_to(ones) and ones.tolist() == [1] * 3
        del t, ones, old
        assert files() == []
    """
    assert quiet(program(tmp_path, code)) == ""


def test_names_go_with_the_program(tmp_path):  # T-121: file_system
    code = """
        def child(pipe):
            global kept
            kept = torch.ones(3).share_memory_()
            pipe.send(torch.zeros(3))  # nobody reads it

        mp.set_sharing_strategy("file_system")
        tell()
        here, there = mp.Pipe()
        process = mp.get_context("fork").Process(target=child, args=(there,))
        process.start()
        process.join(40)
        t = torch.ones(3).share_memory_()
        here.send(t)
        assert len(files()) >= 4
        if sys.argv[1] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = program(tmp_path, code, "end")
    assert quiet(done).startswith("rgrad-") and left_by(done) == []
    # The tracker has the program's standard error, so it has ended when that is closed.
    done = program(tmp_path, code, "kill", returncode=-signal.SIGKILL)
    assert "leaked shared_memory" in done.stderr and left_by(done) == []


@STRATEGY
def test_a_sender_that_has_ended(tmp_path, strategy):
    code = """
        def child(queue):
            queue.put(torch.ones(3))

        mp.set_sharing_strategy(sys.argv[1])
        context = mp.get_context("fork")
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        process.join(40)
        try:
            print(queue.get().tolist())
        except RuntimeError as e:
            print(e)
    """
    out = quiet(program(tmp_path, code, strategy))
    expected = "sender must live until" if strategy == "file_descriptor" else "[1.0, 1.0"
    assert expected in out


def test_more_storages_than_descriptors(tmp_path):
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        kept = [torch.ones(3) for _ in range(100)]
        try:
            for t in kept:
                t.share_memory_()
        except RuntimeError as e:
            print(e)
        assert t.tolist() == [1] * 3 and not t.is_shared()
        kept[50:] = []
        mp.set_sharing_strategy("file_system")
        more = [torch.ones(3).share_memory_() for _ in range(100)]
        assert through(*more)[99].is_set_to(more[99])
    """
    assert "ulimit -n" in quiet(program(tmp_path, code))


def test_memory_is_not_held_twice(tmp_path):  # T-120
    code = """
        def anonymous():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

        t = torch.ones(16 << 20)  # 64 MiB
        before = anonymous()
        t.share_memory_()
        assert before - anonymous() > 60 << 10
        assert t.min() == t.max() == 1
    """
    assert quiet(program(tmp_path, code)) == ""


def test_a_message_that_is_read_twice(tmp_path):
    code = """
        from multiprocessing.reduction import ForkingPickler
        mp.set_sharing_strategy("file_system")
        t = torch.ones(3)
        message = bytes(ForkingPickler.dumps(t))
        for _ in range(2):
            assert ForkingPickler.loads(message).is_set_to(t)
        del t
        try:
            ForkingPickler.loads(message)
        except RuntimeError as e:
            print(e)
    """
    assert "was read before" in quiet(program(tmp_path, code))


def test_the_engine_does_not_write_into_what_others_see(tmp_path):
    code = """
        from multiprocessing.reduction import ForkingPickler
        mp.set_sharing_strategy("file_system")
        messages = []

        def hook(g):
            fresh = Variable(torch.ones(30))
            messages.append(bytes(ForkingPickler.dumps(fresh.data)))
            return fresh

        x = Variable(torch.ones(30), requires_grad=True)
        x.register_hook(hook)
        y = x * 1
        y.register_hook(hook)
        (y.sum() + y.sum() + (x * 1).sum()).backward()
        (x * 1).sum().backward()
        x.grad.data.fill_(9)
        assert len(messages) == 3
        for message in messages:
            assert ForkingPickler.loads(message).tolist() == [1] * 30
    """
    assert quiet(program(tmp_path, code)) == ""


def test_sending_what_cannot_move(tmp_path):  # T-121
    code = """
        import numpy as np
        n = np.ones(3)
        t = torch.from_numpy(n)
        here, there = mp.Pipe()
        for _ in range(2):
            try:
                here.send(t)
            except RuntimeError as e:
                print(e)
        t.fill_(4)
        assert n.tolist() == [4, 4, 4] and not there.poll()
        assert through(t.clone())[0].tolist() == [4, 4, 4]
    """
    out = quiet(program(tmp_path, code))
    assert out.count("sending to another process") == out.count("clone()") == 2


# Processes that work together.


def test_memory_moves_while_nobody_works_on_it(tmp_path):  # T-121
    code = """
        # Long work lets other threads run, such as the queue's own, which moves the memory.
        torch.set_num_threads(1)
        queue = mp.get_context("fork").Queue()
        one = torch.ones(1000000).fill_(2.5)
        expected = one.lgamma()
        sent = [one.clone() for _ in range(12)]
        for t in sent:
            queue.put(t)
            assert t.lgamma().equal(expected)  # reads the elements meanwhile
            for _ in range(4):
                t.add_(1)
        for t in sent:
            assert queue.get(timeout=40).is_set_to(t)
            assert t.min() == t.max() == 6.5
    """
    assert quiet(program(tmp_path, code)) == ""


def test_hogwild(tmp_path):  # T-120, T-122, U-50
    code = """
        def work(rank, weights, lock, results):
            signal.alarm(40)
            w, b = weights
            for _ in range(50):
                w.grad = b.grad = None
                x = Variable(torch.ones(3) * (rank + 1))
                (w * x).sum().backward()
                with lock:
                    w.data.add_(w.grad.data)
                b.data[rank] += 1  # nobody else's
            results.put((rank, w.grad.data.tolist(), torch.rand(1)[0]))

        torch.manual_seed(3)
        weights = [Variable(torch.zeros(3), requires_grad=True) for _ in range(2)]
        for w in weights:
            w.share_memory_()
            (w * 2).sum().backward()  # the engine has run here before
        context = mp.get_context("fork")
        lock, results = context.Lock(), context.SimpleQueue()
        processes = [
            context.Process(target=work, args=(rank, weights, lock, results)) for rank in range(3)
        ]
        for process in processes:
            process.start()
        got = sorted(results.get() for _ in processes)
        for process in processes:
            process.join(40)
            assert process.exitcode == 0
        assert weights[0].data.tolist() == [300] * 3  # 50 * (1 + 2 + 3)
        assert weights[1].data.tolist() == [50] * 3
        assert [g for _, g, _ in got] == [[1] * 3, [2] * 3, [3] * 3]
        assert {r for _, _, r in got} == {torch.rand(1)[0]}  # the random state is inherited
        assert weights[0].grad.data.tolist() == [2] * 3  # gradients are each process's own
    """
    assert quiet(program(tmp_path, code)) == ""


@STRATEGY
def test_pools(tmp_path, strategy):  # U-50
    code = """
        def square(v):
            return v * v

        def fail(t):
            raise ValueError(f"no good: {t.tolist()}")

        mp.set_sharing_strategy(sys.argv[1])
        tell()
        with mp.get_context("fork").Pool(2) as pool:
            tensors = [torch.ones(3) * i for i in range(20)]
            squares = pool.map(square, tensors)
            assert [t[0] for t in squares] == [i * i for i in range(20)]
            (y,) = pool.map(square, [Variable(torch.ones(2) * 3, requires_grad=True)])
            assert y.is_leaf and y.requires_grad and y.data.tolist() == [9, 9]
            try:
                pool.apply(fail, (torch.ones(1),))
            except ValueError as e:
                assert "no good: [1.0]" in str(e) and "in fail" in str(e.__cause__)
                print("raised")
        with mp.Manager() as manager:
            shared = manager.list()
            t = torch.zeros(2)
            shared.append(t)
            t.fill_(3)
            assert shared[0].tolist() == [3, 3]
        with mp.get_context("fork").Pool(1) as pool:
            assert pool.apply(square, (torch.ones(1) * 2,))[0] == 4
    """
    done = program(tmp_path, code, strategy)
    assert quiet(done).endswith("raised\n") and left_by(done) == []


def test_the_gpus_memory_stays(gpu):
    from multiprocessing.reduction import ForkingPickler

    t = torch.zeros(2).cuda()
    with pytest.raises(RuntimeError, match=r"\.cpu\(\)"):
        ForkingPickler.dumps(t)
