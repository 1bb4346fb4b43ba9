"""Topics: every subscriber sees every object."""

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
