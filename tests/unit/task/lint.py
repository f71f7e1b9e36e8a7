#!/usr/bin/env python3
"""The lint rejects every way around the task registry, where it shall and nowhere else."""

import importlib.machinery
import importlib.util
import pathlib
import sys

TOOL = pathlib.Path(__file__).resolve().parents[3] / "tools/lint"

# (what is written, where, is it rejected?)
CASES = [
    ("\tpthread_detach(thread);", "src/task/registry.c", True),
    ("\tpthread_detach(thread);", "src/install/transaction.c", True),
    ("\tthrd_detach(thread);", "app/main.c", True),
    ("\tpthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);", "src/task/registry.c", True),
    ("\tpthread_create(&thread, NULL, run, NULL);", "src/net/endpoint.c", True),
    ("\tpthread_create(&thread, NULL, run, NULL);", "src/task/registry.c", False),
    ("\tpthread_create(&thread, NULL, run, NULL);", "tests/unit/task/registry.c", False),
    ("\tthrd_create(&thread, run, NULL);", "src/peer/runtime.c", True),
    ("\tuv_thread_create(&thread, run, NULL);", "src/http/server.c", True),
    ("\tuv_thread_create_ex(&thread, &options, run, NULL);", "src/http/server.c", True),
    ("\tstd::thread worker(run);", "src/torrent/shim.cc", True),
    ("\tauto answer = std::async(run);", "src/torrent/shim.cc", True),
    ("\tstd::thread(run).detach();", "src/torrent/shim_close.cc", False),
    ("\tuv_queue_work(loop, &request, work, done);", "src/install/transaction.c", True),
    ("\tuv_queue_work(loop, &request, work, NULL);", "src/content/stage.c", True),
    ("\tpthread_kill(thread, SIGKILL);", "src/task/registry.c", True),
    ("\tpthread_cancel(thread);", "src/peer/runtime.c", True),
    ("\t/* never pthread_detach(thread) */", "src/task/registry.c", False),
    ("\tlsp_tasks_spawn(tasks, name, kind, run, NULL, NULL, err);", "src/peer/runtime.c", False),
]


def main():
    loader = importlib.machinery.SourceFileLoader("lint", str(TOOL))
    sys.dont_write_bytecode = True
    lint = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint", loader))
    loader.exec_module(lint)
    wrong = [f"{name}: {text.strip()}: {'not ' if rejected else ''}rejected"
             for text, name, rejected in CASES
             if bool(list(lint.check_rules(name, text))) != rejected]
    print("\n".join(wrong) or f"{len(CASES)} cases as they shall be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
