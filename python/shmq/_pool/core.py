"""The core of a pool: who puts tasks, who takes results, and who notices deaths.

    caller --put--> tasks --lease--> worker --put--> results --> the thread that takes them:
       | no room: to the backlog, for the handler                 a caller that waits (it leads),
       | an iterator: a thread for as long as it yields           or else the handler

The handler, the one thread of a pool, sleeps in poll() on the workers' sentinels while there is
nothing to do, or while a caller leads. A caller that waits for its result takes those of others
too, until it has its own: then no other thread runs between a worker's answer and its caller.

Invariants:
1. One thread at a time takes results: the one that has the role `_taking`. Whoever gives it up while
   there are jobs wakes the handler.
2. The handler sets `_is_idle` before it checks that there is nothing to do, and sleeps only then; a
   thread that adds something to do checks `_is_idle` afterwards, and wakes it.
3. An answer that a caller takes is on lease until it was delivered: a Ctrl-C gives it back.
4. `is_over` is set before all jobs are abandoned, and checked after a job was added: no job is left.
"""

import collections
import contextlib
import itertools
import os
import select
import threading
import time
from queue import Empty, Full

from .. import _events
from .._shmq import Role, Tasks
from . import worker
from .errors import BrokenPool, Terminated

__all__ = ["CLOSE", "RUN", "TERMINATE", "Core"]

RUN, CLOSE, TERMINATE = "RUN", "CLOSE", "TERMINATE"

# The job of a message that is nothing but a wake-up.
_WAKE = -2

# How long the handler takes results before it checks on workers.
_SLICE = 0.1

# How many workers in a row end before they are ready until the pool is broken, if it has no more: by
# what the initializer raised, or else, as of kills at random.
_RAISED = 3
_KILLED = 10

# How often workers are checked while there are jobs, whatever their sentinels say: a process that another
# thread forked in the same moment may have a copy of the end that is to be closed.
_CHECK = 0.5

# When a worker that could not be started is tried again.
_RETRY_MS = 500


class Core:
    """All of a pool but its face. The face may be dropped, which ends the pool."""

    def __init__(self, start_process, processes, initializer, initargs, maxtasks, wraps, retries):
        self.tasks = Tasks.create()
        self.results = Tasks.create()
        self.jobs = {}
        self.workers = []
        self.state = RUN
        self.is_over = False
        # Why no task can be run.
        self.broken = None
        self._start_process = start_process
        self._processes = processes
        self._about_workers = (initializer, initargs, maxtasks, wraps, retries)
        self._numbers = itertools.count()
        self._of_workers = threading.RLock()
        self._ready = set()
        # Workers in a row that ended before they were ready.
        self._failures = 0
        self._last_error = None
        self._backlog = collections.deque()
        # Answers for the handler.
        self._answers = collections.deque()
        self._is_idle = False
        self._must_start = False
        self._checks_next = 0
        self._poller = None
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Who takes results.
        self._taking = Role(self.jobs, self._wakeup)
        self._handler = None

    def start(self):
        """Starts workers, and the handler."""
        try:
            self.populate()
        except Exception:
            for process in self.workers:
                if process.exitcode is None:
                    process.terminate()
            for process in self.workers:
                process.join()
            raise
        self._handler = threading.Thread(target=self._handle, name="shmq-pool", daemon=True)
        self._handler.start()

    def close(self):
        """Takes no more jobs, and ends once there are none."""
        if self.state == RUN:
            self.state = CLOSE
            self.wake()

    def terminate(self):
        """Ends now."""
        self.state = TERMINATE
        self.wake()
        self.join()

    def join(self):
        """Waits for the end of the handler and of all workers."""
        if self._handler is not None and self._handler is not threading.current_thread():
            self._handler.join()

    # ------------------------------------------------------------------ tasks

    def submit(self, job, calls):
        """Has workers run calls, each a number and (function, arguments, keywords). The iterable must not
        block, nor raise."""
        put, number_of_job = self.tasks.put, job._job
        calls = iter(calls)
        try:
            self.jobs[number_of_job] = job
            if not self._backlog:
                for number, call in calls:
                    try:
                        error = put(number_of_job, number, True, call, False)
                    except Full:
                        calls = itertools.chain([(number, call)], calls)
                        break
                    if error is not None:
                        self._answer(number_of_job, number, False, error)
                else:
                    calls = None
            if calls is not None:
                self._backlog.append((number_of_job, calls))
        except BaseException:
            # A Ctrl-C: there is no job, whatever was put.
            self.jobs.pop(number_of_job, None)
            self.wake()
            raise
        self._added(job)

    def submit_from(self, job, calls):
        """As submit(), for an iterable that may block, or raise: by a thread of its own."""
        self.jobs[job._job] = job
        self._added(job)
        threading.Thread(target=self._feed_from, args=(job, calls), name="shmq-pool-input", daemon=True).start()

    def _added(self, job):
        if self.is_over:
            # Invariant 4.
            job.abandon(self.broken or Terminated("the pool was terminated before the task had begun"))
        elif self._is_idle and (self._backlog or not self._taking.is_taken()):
            self.wake()

    def _feed_from(self, job, calls):
        number = -1
        try:
            for number, call in calls:
                if not self._put(job._job, number, call):
                    return
        except Exception as error:
            job.stop(number + 1, error)
        else:
            job.set_length(number + 1)
        # A pool that is closed ends with its last job.
        self.wake()

    def _put(self, job, number, call):
        """Waits for room. False: there is no need any more."""
        while job in self.jobs and self.state != TERMINATE and not self.is_over:
            try:
                error = self.tasks.put(job, number, True, call, True, _SLICE)
            except Full:
                continue
            if error is not None:
                self._answer(job, number, False, error)
            return True
        return False

    def _feed(self):
        """Puts what there is room for. By the handler alone: a caller may be interrupted."""
        while self._backlog:
            job, calls = self._backlog[0]
            for number, call in calls if job in self.jobs else ():
                try:
                    error = self.tasks.put(job, number, True, call, False)
                except Full:
                    self._backlog[0] = (job, itertools.chain([(number, call)], calls))
                    return
                if error is not None:
                    self._answer(job, number, False, error)
            self._backlog.popleft()

    # ---------------------------------------------------------------- results

    def lead(self, job, deadline):
        """Takes results until that job has ended, or until the deadline. False: another thread takes them."""
        if self._backlog:
            return False
        if self._taking.is_mine():
            # The handler of a signal waits while its thread does.
            try:
                return self._lead(job, deadline)
            finally:
                self._wake_taker()
        with self._taking.take() as is_mine:
            has_led = is_mine and self._lead(job, deadline)
        if self.state != RUN:
            self.wake()
        return has_led

    def _lead(self, job, deadline):
        lease = self.results.lease
        while not job._is_ended:
            if deadline is None:
                answer = lease()
            else:
                left = deadline - time.monotonic()
                try:
                    answer = lease(left > 0, left)
                except Empty:
                    return True
            # Invariant 3.
            self._deliver(*answer.read())
            answer.done()
            if self._backlog:
                # There may be room now, which only the handler fills.
                return job._is_ended
        return True

    def _take(self):
        """As the handler: takes results for a while. False: a caller leads, or there are no jobs."""
        if not self.jobs:
            return False
        with self._taking.take(False) as is_mine:
            if not is_mine:
                return False
            end = time.monotonic() + _SLICE
            with contextlib.suppress(Empty):
                while self.jobs and self.state != TERMINATE and time.monotonic() < end:
                    self._deliver_here(*self.results.get(True, _SLICE))
                    self._work_off()
            return True

    def _take_what_is_there(self):
        """What workers said before they ended, unless a caller takes it."""
        with self._taking.take(False) as is_mine, contextlib.suppress(Empty):
            while is_mine:
                self._deliver_here(*self.results.get(False))

    def _deliver(self, job, number, is_ok, value):
        """Delivers an answer, in whatever thread."""
        found = self.jobs.get(job)
        if found is not None and not found.is_for_handler:
            found.take(number, is_ok, value)
        elif found is not None or job == worker.EVENT:
            self._answers.append((job, number, is_ok, value))
            self.wake()

    def _deliver_here(self, job, number, is_ok, value):
        """Delivers an answer, in the handler."""
        found = self.jobs.get(job)
        if found is not None:
            found.take(number, is_ok, value)
        elif job == worker.EVENT:
            self._heard_of(number, is_ok, value)

    def _answer(self, job, number, is_ok, value):
        """An answer that is no worker's: the task could not be put."""
        self._answers.append((job, number, is_ok, value))
        self.wake()

    def _work_off(self):
        while self._answers:
            self._deliver_here(*self._answers.popleft())
        if self._backlog:
            self._feed()

    # ---------------------------------------------------------------- workers

    def populate(self):
        """Starts as many workers as are missing."""
        with self._of_workers:
            while len(self.workers) < self._processes and not self.is_over:
                number = next(self._numbers)
                process = self._start_process(worker.work, (self.tasks, self.results, number, *self._about_workers))
                process._shmq_number = number
                self.workers.append(process)
            self._poller = None
        self.wake()

    def _heard_of(self, number, is_ready, error):
        if is_ready:
            self._ready.add(number)
            self._failures = 0
        else:
            _events.log(_events.WARNING, "the initializer of a pool's worker raised %r", error)
        self._last_error = error

    def _reap(self):
        """Joins workers that have ended, and starts others."""
        now = time.monotonic()
        is_due = self._must_start or (self.jobs and now >= self._checks_next)
        if not is_due and not any(fd != self._wakeup for fd, _ in self._polled(0)):
            return
        self._checks_next = now + _CHECK
        with self._of_workers:
            ended = self._remove_ended()
            self._take_what_is_there()
            self._work_off()
            for process in ended:
                if process.exitcode != 0:
                    what = "a pool's worker died pid=%d exitcode=%d"
                    _events.log(_events.WARNING, what, process.pid, process.exitcode)
                if process._shmq_number in self._ready:
                    self._ready.discard(process._shmq_number)
                else:
                    self._failed(process.exitcode)
            if self.broken is None:
                self._restart()

    def _remove_ended(self):
        ended = [process for process in self.workers if process.exitcode is not None]
        if not ended:
            # A sentinel is closed a little before its process has ended.
            time.sleep(0.001)
        for process in ended:
            process.join()
            self.workers.remove(process)
        self._poller = None
        return ended

    def _failed(self, exitcode):
        """A worker ended before it was ready."""
        self._failures += 1
        bound = max(self._processes, _RAISED if self._last_error is not None else _KILLED)
        if self._failures < bound or self.broken is not None:
            return
        cause = self._last_error
        why = f"its initializer raised {cause!r}" if cause is not None else f"its exit code is {exitcode}"
        self.broken = BrokenPool(f"{self._failures} workers in a row ended before they were ready; of the last, {why}")
        self.broken.__cause__ = cause
        _events.log(_events.WARNING, "a pool is broken: %s", self.broken)

    def _restart(self):
        try:
            self.populate()
            self._must_start = False
        except Exception as error:
            # Memory or processes are short: later.
            if not self._must_start:
                what = "a pool's worker could not be started, which is tried again: %r"
                _events.log(_events.WARNING, what, error)
            self._must_start = True

    def _polled(self, timeout):
        poller = self._poller
        if poller is None:
            with self._of_workers:
                poller = self._poller = select.poll()
                poller.register(self._wakeup, select.POLLIN)
                for process in self.workers:
                    poller.register(process.sentinel, select.POLLIN)
        return poller.poll(timeout)

    # ---------------------------------------------------------------- handler

    def wake(self):
        """Has the handler check what there is to do."""
        os.eventfd_write(self._wakeup, 1)
        if not self._is_idle and self._taking.is_taken():
            self._wake_taker()

    def ended(self):
        """A job has ended; the caller that leads may wait for it, while another thread ended it."""
        if self._taking.is_taken() and not self._taking.is_mine():
            self._wake_taker()

    def _wake_taker(self):
        try:
            self.results.put(_WAKE, 0, True, None, False)
        except Full:
            # It is awake.
            pass

    def _handle(self):
        try:
            while self.state != TERMINATE and self.broken is None:
                self._work_off()
                self._reap()
                if self.state == CLOSE and not self.jobs:
                    break
                if not self._take():
                    self._sleep()
        finally:
            self._end()

    def _sleep(self):
        self._is_idle = True
        try:
            # Invariant 2.
            if self._answers or (self.jobs and not self._taking.is_taken()) or (self.state != RUN and not self.jobs):
                return
            # A Ctrl-C may have kept a caller from waking this thread.
            self._polled(_RETRY_MS if self._must_start or self.jobs else None)
        finally:
            self._is_idle = False
        try:
            os.eventfd_read(self._wakeup)
        except BlockingIOError:
            pass

    def _end(self):
        self.is_over = True
        self.tasks.shutdown()
        with self._of_workers:
            if self.state == CLOSE and self.broken is None:
                self._wait_for_workers()
            for process in self.workers:
                if process.exitcode is None:
                    process.terminate()
        self._fail_all()
        for process in list(self.workers):
            process.join()

    def _wait_for_workers(self):
        """They end by themselves, unless the pool is terminated."""
        while self.workers and self.state != TERMINATE:
            if any(fd == self._wakeup for fd, _ in self._polled(None)):
                os.eventfd_read(self._wakeup)
            self._remove_ended()

    def _fail_all(self):
        for job in list(self.jobs.values()):
            if self.broken is not None:
                job.fail(self.broken)
            else:
                job.abandon(Terminated("the pool was terminated before the task had ended"))
        # A caller that leads sees it.
        self._wake_taker()

    def __del__(self):
        os.close(self._wakeup)
