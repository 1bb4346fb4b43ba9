"""Topics: every subscriber sees every object."""

import asyncio
import os
import pickle
import signal
import threading
import time

import pytest

import shmq


def test_every_subscriber_sees_every_object():
    topic = shmq.Topic()
    first, second = topic.subscribe(), topic.subscribe()
    assert topic.subscribers == 2
    for n in range(3):
        topic.publish({"n": n})
    topic.close()
    assert [got["n"] for got in first] == [got["n"] for got in second] == [0, 1, 2]
    with pytest.raises(shmq.ShutDown):
        first.get()
    with pytest.raises(shmq.ShutDown):
        topic.publish(1)


def test_publishers_wait_for_those_that_miss_nothing():
    topic = shmq.Topic(capacity_bytes=4096)
    subscriber = topic.subscribe()
    with pytest.raises(shmq.Full, match="lags"):
        for n in range(1000):
            topic.publish([n], timeout=0.02)
    published = n
    threading.Timer(0.1, lambda: [subscriber.get() for _ in range(published)]).start()
    topic.publish("there is room now", timeout=30)
    assert subscriber.get(timeout=30) == "there is room now"


def test_one_thread_at_a_time_reads():
    topic = shmq.Topic()
    subscriber = topic.subscribe()
    thread = threading.Thread(target=subscriber.get)
    thread.start()
    time.sleep(0.05)
    with pytest.raises(shmq.Error, match="uses"):
        subscriber.get_nowait()
    topic.publish(1)
    thread.join()


def test_lossy_ones_know_what_they_missed():
    topic = shmq.Topic(capacity_bytes=4096)
    subscriber = topic.subscribe_lossy()
    for n in range(1000):
        topic.publish(n, block=False)
    with pytest.raises(shmq.Lagged) as lagged:
        subscriber.get()
    [missed] = lagged.value.args
    assert subscriber.get() == missed
    assert subscriber.latest() == 999
    assert subscriber.missed >= missed
    with pytest.raises(shmq.Empty):
        subscriber.get(timeout=0.01)


def test_between_processes_and_a_killed_subscriber(child):
    topic, said = shmq.Topic(name=f"test-{os.getpid()}-topic", capacity_bytes=4096), shmq.Queue()

    def listen():
        subscriber = shmq.Topic.open(topic.name).subscribe()
        said.put("listens")
        said.put(subscriber.get())
        signal.pause()

    pid = child(listen)
    assert said.get(timeout=10) == "listens"
    topic.wait_subscribers(1, timeout=10)
    topic.publish("hello")
    assert said.get(timeout=10) == "hello"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for n in range(1000):
        topic.publish([n], timeout=10)  # nobody is waited for any more
    with pytest.raises(TimeoutError):
        topic.wait_subscribers(1, timeout=0.01)


def test_history_and_pickles():
    topic = shmq.Topic(history=2)
    for n in range(5):
        topic.publish(n)
    copy = pickle.loads(pickle.dumps(topic))
    subscriber = copy.subscribe()
    topic.publish("new")
    topic.close()
    assert list(subscriber) == [3, 4, "new"]


def test_arrays_to_all():
    numpy = pytest.importorskip("numpy")
    topic = shmq.Topic(capacity_bytes=1 << 20)
    first, second = topic.subscribe(), topic.subscribe_lossy()
    topic.publish({"weights": numpy.arange(10_000)})
    assert first.get()["weights"].sum() == second.get()["weights"].sum() == 49_995_000


def fill(a, value):
    for at in range(len(a)):
        a[at] = value


class TestInPlace:
    def test_every_subscriber_reads_what_a_loan_filled(self):
        topic = shmq.Topic(capacity_bytes=1 << 20)
        first, second = topic.subscribe(), topic.subscribe()
        with topic.loan(4, "d") as a:
            fill(a, 1.5)
            assert first.lag in (0, 1)
        for subscriber in (first, second):
            with subscriber.read_array(timeout=10) as b:
                assert (b.shape, b.format, b.readonly, list(memoryview(b))) == ((4,), "d", True, [1.5] * 4)
            with pytest.raises(BufferError, match="ended"):
                memoryview(b)
            with pytest.raises(shmq.Empty):
                subscriber.read_array(block=False)
            with pytest.raises(shmq.Empty):
                subscriber.read_array(timeout=0.01)
        assert first.missed == 0

    def test_a_block_that_raises_or_is_left_under_a_view_publishes_nothing(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()
        with pytest.raises(KeyError):
            with topic.loan(4, "d"):
                raise KeyError
        with pytest.raises(BufferError):
            with topic.loan(4, "d") as a:
                view = memoryview(a)
        with pytest.raises(shmq.Empty):
            subscriber.get_nowait()
        topic.publish("goes on")
        with pytest.raises(shmq.Empty):
            subscriber.get_nowait()  # The loan stands before it while its view is alive.
        view.release()
        assert subscriber.get(timeout=10) == "goes on"

    def test_a_sample_is_passed_with_its_last_view(self):
        topic = shmq.Topic(capacity_bytes=1 << 16)
        subscriber = topic.subscribe()
        with topic.loan(1000, "B") as a:
            a[999] = 7
        with subscriber.read_array() as b:
            view = memoryview(b)
            with pytest.raises(BufferError):
                b.release()
            with pytest.raises(shmq.Error, match="in place"):
                subscriber.get_nowait()
        with pytest.raises(shmq.Error, match="in place"):
            subscriber.get_nowait()
        with pytest.raises(shmq.Full, match="lags"):
            for _ in range(1000):
                topic.publish(bytes(1000), timeout=0.01)
        assert view[999] == 7
        view.release()
        assert subscriber.get_nowait() == bytes(1000)

    def test_a_message_that_is_no_array_is_kept(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()
        topic.publish("text")
        topic.publish("newer")
        for _ in range(2):
            with pytest.raises(TypeError, match="no array"):
                subscriber.read_array()
        assert subscriber.get() == "text"
        with pytest.raises(TypeError):
            subscriber.read_array()
        assert subscriber.latest() == "newer"
        with pytest.raises(shmq.Empty):
            subscriber.latest()

    def test_lossy_ones_read_by_copy(self):
        topic = shmq.Topic()
        lossy = topic.subscribe_lossy()
        with pytest.raises(shmq.Error):
            topic.loan(4, "d")  # It would be read while it is written.
        with pytest.raises(shmq.Error, match="gat"):
            topic.publish(1)
            lossy.read_array()
        assert lossy.get() == 1

    def test_by_get(self):
        numpy = pytest.importorskip("numpy")
        topic = shmq.Topic(capacity_bytes=1 << 22)
        subscriber, lossy = topic.subscribe(), topic.subscribe_lossy()
        for array in (numpy.arange(6.0).reshape(2, 3), numpy.arange(100_000), numpy.zeros((0, 3)), numpy.asfortranarray(numpy.ones((500, 99)))):
            topic.publish(array)
            for each in (subscriber, lossy):
                got = each.get()
                assert got.dtype == array.dtype and got.shape == array.shape and (got == array).all() and got.flags.writeable
            topic.publish(array)
            with subscriber.read_array() as b:
                assert (numpy.asarray(b) == array).all()
            topic.publish({"of": [array, array[::2]]})
            got = subscriber.get()["of"]
            assert (got[0] == array).all() and (got[1] == array[::2]).all()
            lossy.get(), lossy.get()

    def test_a_subscriber_that_is_killed_in_a_sample_holds_up_nothing(self, child):
        topic, said = shmq.Topic(name=f"test-{os.getpid()}-sample", capacity_bytes=1 << 16), shmq.Queue()

        def listen():
            subscriber = shmq.Topic.open(topic.name).subscribe()
            said.put("listens")
            with subscriber.read_array() as b:
                said.put(b[0])
                signal.pause()

        pid = child(listen)
        assert said.get(timeout=10) == "listens"
        with topic.loan(1000, "d") as a:
            a[0] = 4.0
        assert said.get(timeout=10) == 4.0
        with pytest.raises(shmq.Full, match="lags"):
            for _ in range(100):
                topic.publish(bytes(5000), timeout=0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for _ in range(100):
            topic.publish(bytes(5000), timeout=10)

    def test_a_loan_of_a_killed_publisher_is_skipped(self, child):
        topic, said = shmq.Topic(name=f"test-{os.getpid()}-loan"), shmq.Queue()
        subscriber = topic.subscribe()

        def publish():
            publisher = topic.publisher()
            a = publisher.loan(100, "d")
            a[0] = 1.0
            said.put("has it")
            signal.pause()

        pid = child(publish)
        assert said.get(timeout=10) == "has it"
        with pytest.raises(shmq.Error):
            topic.publish("not beside a publisher")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        topic.publish("goes on", timeout=10)
        assert subscriber.get(timeout=10) == "goes on"

    def test_a_child_that_inherits_one(self, child):
        topic, said = shmq.Topic(), shmq.Queue()
        subscriber = topic.subscribe()
        with topic.loan(1, "d") as a:
            a[0] = 3.0
        b, a = subscriber.read_array(), topic.loan(1, "d")

        def work():
            for array in (a, b):
                try:
                    memoryview(array)
                except BufferError as error:
                    said.put(str(error))
            b.__exit__(None, None, None)
            try:
                subscriber.get_nowait()
            except shmq.Error:
                said.put("not the child's")

        pid = child(work)
        assert [said.get(timeout=10) for _ in range(3)] == ["the array belongs to the parent process"] * 2 + ["not the child's"]
        assert os.waitpid(pid, 0)[1] == 0
        assert b[0] == 3.0
        a[0] = 4.0
        a.commit()
        b.release()
        with subscriber.read_array(timeout=10) as b:
            assert b[0] == 4.0

    def test_an_interpreter_that_ends_with_a_sample(self, run):
        assert run(
            """
            import shmq
            topic = shmq.Topic()
            subscriber = topic.subscribe()
            with topic.loan(2, "d") as a:
                a[1] = 2.0
            b = subscriber.read_array()
            view = memoryview(b)
            print(view[1])
            """
        ) == ["2.0"]

    def test_samples_outlive_what_they_came_from(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()
        with topic.loan(2, "d") as a:
            a[1] = 2.0
        b = subscriber.read_array()
        view = memoryview(b)
        del topic, subscriber, b
        assert view[1] == 2.0


class TestPublisher:
    def test_it_has_the_topic_for_itself(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()
        with topic.publisher() as publisher:
            publisher.publish([1])
            with publisher.loan(1, "d") as a:
                a[0] = 2.0
            with pytest.raises(shmq.Error):
                topic.publish(3)
            with pytest.raises(shmq.Error):
                topic.publisher()
        publisher.close()
        with pytest.raises(shmq.Error, match="ended"):
            publisher.publish(3)
        topic.publish(3)
        assert (subscriber.get(), subscriber.read_array().release(), subscriber.get()) == ([1], None, 3)

    def test_it_waits_for_those_that_miss_nothing(self):
        topic = shmq.Topic(capacity_bytes=4096)
        subscriber = topic.subscribe()
        publisher = topic.publisher()
        with pytest.raises(shmq.Full, match="lags"):
            for n in range(1000):
                publisher.publish([n], timeout=0.02)
        published = n
        threading.Timer(0.1, lambda: [subscriber.get() for _ in range(published)]).start()
        publisher.publish("there is room now", timeout=30)
        assert subscriber.get(timeout=30) == "there is room now"

    def test_a_loan_outlives_it(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()
        a = topic.publisher().loan(1, "d")
        topic.publish("behind it")
        a[0] = 1.0
        a.commit()
        assert subscriber.read_array().release() is None
        assert subscriber.get() == "behind it"


def run_async(main):
    return asyncio.run(asyncio.wait_for(main, 30))


class TestAsyncio:
    def test_waiting_for_another_process(self, child):
        topic = shmq.Topic(name=f"test-{os.getpid()}-async")
        subscriber = topic.subscribe()

        def publish():
            time.sleep(0.1)
            topic.publish("from a child")

        pid = child(publish)

        async def main():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            got = await subscriber.get_async()
            ticking.cancel()
            assert ticks >= 3
            return got

        assert run_async(main()) == "from a child"
        os.waitpid(pid, 0)  # It ends as a killed one does: the topic goes with the last user that lives.

    def test_every_task_sees_every_object(self):
        topic = shmq.Topic()

        async def listen(subscriber):
            return [n async for n in subscriber]

        async def main():
            listening = [asyncio.create_task(listen(topic.subscribe())) for _ in range(3)]
            await asyncio.sleep(0)
            for n in range(100):
                topic.publish(n)
                if n % 7 == 0:
                    await asyncio.sleep(0)
            topic.close()
            return await asyncio.gather(*listening)

        assert run_async(main()) == [list(range(100))] * 3

    def test_a_cancelled_task_has_taken_nothing(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()

        async def main():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(subscriber.get_async(), 0.05)
            waiting = asyncio.create_task(subscriber.get_async())
            await asyncio.sleep(0.01)
            with pytest.raises(shmq.Error, match="task"):
                subscriber.get_nowait()
            waiting.cancel()
            await asyncio.sleep(0)
            topic.publish(1)
            return await subscriber.get_async()

        assert run_async(main()) == 1
        assert subscriber.missed == 0

    def test_a_lossy_one_that_was_overtaken(self):
        topic = shmq.Topic(capacity_bytes=4096)
        subscriber = topic.subscribe_lossy()

        async def main():
            asyncio.get_running_loop().call_later(0.05, lambda: [topic.publish(n) for n in range(1000)])
            got, missed = [], 0
            while not got or got[-1] != 999:
                try:
                    got.append(await subscriber.get_async())
                except shmq.Lagged as lagged:
                    missed += lagged.args[0]
            return len(got) + missed

        assert run_async(main()) == 1000

    def test_an_inherited_one_is_the_parents(self, child):
        topic, said = shmq.Topic(), shmq.Queue()
        subscriber = topic.subscribe()

        def work():
            try:
                run_async(subscriber.get_async())
            except shmq.Error:
                said.put("not the child's")

        pid = child(work)
        assert said.get(timeout=10) == "not the child's"
        os.waitpid(pid, 0)
        topic.publish(1)
        assert run_async(subscriber.get_async()) == 1

    def test_descriptors_do_not_pile_up(self):
        topic = shmq.Topic()
        subscriber = topic.subscribe()

        async def main():
            for n in range(20):
                asyncio.get_running_loop().call_later(0.001, topic.publish, n)
                assert await subscriber.get_async() == n
            return len(os.listdir("/proc/self/fd"))

        assert run_async(main()) <= run_async(main()) + 2


def test_the_dead_are_not_counted(child):
    topic = shmq.Topic()

    def subscribe():
        subscriber = topic.subscribe()
        time.sleep(60)
        del subscriber

    pid = child(subscribe)
    topic.wait_subscribers(1, timeout=30)
    assert topic.subscribers == 1
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert topic.subscribers == 0
