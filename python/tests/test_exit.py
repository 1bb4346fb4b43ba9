"""Ends of processes: nothing stays in shared memory, and nothing hangs."""

import os
import signal
import subprocess
import sys
import textwrap
import time

from conftest import has_segment


def test_a_program_that_ends_leaves_nothing(run):
    [name] = run(
        """
        import shmq
        q = shmq.Queue()
        q.put("left")
        print(q.name)
        """
    )
    assert not has_segment(name)


def test_sys_exit_beside_a_daemon_thread_that_waits_leaves_nothing(run):
    for _ in range(5):
        lines = run(
            """
            import shmq, sys, threading, time
            from shmq import multiprocessing
            q, lock, event = shmq.Queue(), multiprocessing.Lock(), multiprocessing.Event()
            lock.acquire()
            for wait in (q.get, q.lease, lock.acquire, event.wait):
                threading.Thread(target=wait, daemon=True).start()
            time.sleep(0.05)
            print(q.name, lock._name, event._name, sep="\\n", flush=True)
            sys.exit(0)
            """
        )
        assert not any(map(has_segment, lines))


def test_daemon_threads_at_work_do_not_disturb_the_end(run):
    for _ in range(5):
        [name] = run(
            """
            import shmq, sys, threading, time
            q = shmq.Queue(3)
            def put():
                while True: q.put({"a": 1})
            def get():
                while True: q.get()
            for work in (put, get, put, get):
                threading.Thread(target=work, daemon=True).start()
            time.sleep(0.05)
            print(q.name, flush=True)
            """
        )
        assert not has_segment(name)


def test_children_of_multiprocessing_leave_nothing(run):
    for method in ("fork", "spawn", "forkserver"):
        lines = run(PROGRAM, method)
        assert len(lines) == 3
        assert not any(map(has_segment, lines)), method


# The child is the last user of `own`, and keeps the handle in a global, beside a thread that waits.
PROGRAM = """
import sys, pathlib, tempfile, runpy
text = '''
import shmq, sys, threading, multiprocessing
held = []
def work(q):
    own = shmq.Queue()
    held.extend([q, own])
    threading.Thread(target=own.get, daemon=True).start()
    q.put(own.name)
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    q = shmq.Queue()
    children = [context.Process(target=work, args=(q,)) for _ in range(2)]
    for child in children: child.start()
    names = [q.name] + [q.get() for child in children]
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0]
    print(*names, sep="\\\\n")
'''
with tempfile.TemporaryDirectory() as directory:
    program = pathlib.Path(directory, "program.py")
    program.write_text(text)
    import subprocess
    sys.stdout.flush()
    ran = subprocess.run([sys.executable, program, sys.argv[1]], capture_output=True, text=True)
    print(ran.stdout, end="")
    print(ran.stderr, end="", file=sys.stderr)
"""


def test_ctrl_c_ends_a_program_that_waits():
    program = "import shmq; q = shmq.Queue(); print(q.name, flush=True); q.get()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            name = child.stdout.readline().strip()
            time.sleep(0.1)
            child.send_signal(signal.SIGINT)
            assert child.wait(timeout=30) == -signal.SIGINT
            assert "KeyboardInterrupt" in child.stderr.read()
        finally:
            child.kill()
    assert not has_segment(name)


def test_a_finalizer_that_waits_does_not_hold_the_end_up(run):
    said = run(
        """
        import os, sys, shmq

        full, empty = shmq.Queue(1), shmq.Queue()
        full.put(0)

        class Late:
            def __del__(self, verbs=((full.put, 1), (empty.get,)), error=shmq.Error, write=os.write):
                for verb, *arguments in verbs:
                    try:
                        verb(*arguments)
                    except error as raised:
                        write(1, f"{raised}\\n".encode())

        # What sys holds is finalized when the interpreter is nearly gone.
        sys.late = Late()
        """
    )
    assert said == ["the interpreter is at its end: nothing waits any more"] * 2


def test_a_second_interpreter_is_refused(run):
    said = run(
        """
        import sys
        import shmq

        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        try:
            other = interpreters.create("legacy")
        except TypeError:
            other = interpreters.create()
        run = getattr(interpreters, "run_string", None) or interpreters.exec
        program = "try:\\n import shmq\\nexcept ImportError as error:\\n import os; os.write(1, str(error).encode())"
        try:
            run(other, program)
        except TypeError:
            run(other, program, {})
        """
    )
    assert said and ("another interpreter" in said[0] or "subinterpreters" in said[0])
